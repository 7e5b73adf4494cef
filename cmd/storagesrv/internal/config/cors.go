package config

import (
	"fmt"
	"slices"

	"storagesrv/cmd/storagesrv/internal/access"
)

// validateCORS checks the origins whose pages may read what is answered to
// them. Browsers send an origin in one spelling, which is compared as it is.
func (h *HTTP) validateCORS(in source) error {
	for i, text := range h.CORSOrigins {
		key := fmt.Sprintf("http.cors_origins[%d]", i)
		origin, err := access.ParseOrigin(text)
		switch {
		case text == "*" || text == "null":
			return in.fault(key, "would let any page read recordings with its visitor's credentials: list the origins of your web apps")
		case err != nil || origin.String() != text || origin.Path != "":
			return in.fault(key, "must be an origin as browsers send it, in lower case and without / at its end, such as https://crm.example.lan or http://crm.example.lan:3000")
		case slices.Contains(h.CORSOrigins[:i], text):
			return in.fault(key, "the same origin twice")
		}
	}
	return nil
}
