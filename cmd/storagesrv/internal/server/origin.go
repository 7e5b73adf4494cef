package server

import (
	"cmp"
	"net/http"
	"strings"

	"storagesrv/cmd/storagesrv/internal/access"
)

// origin returns where a client reaches this server: what the configuration
// says, else what the request says, or a trusted proxy about it.
func (s *Server) origin(r *http.Request) (access.Origin, error) {
	if s.config.Public != nil {
		return *s.config.Public, nil
	}
	return access.NewOrigin(reached(r))
}

// reached returns the scheme and the host of the URL that a client has asked
// for, as the request says, or a trusted proxy about it.
func reached(r *http.Request) (scheme, host string) {
	scheme, host = "http", r.Host
	if r.TLS != nil {
		scheme = "https"
	}
	if recordOf(r.Context()).proxied {
		scheme = cmp.Or(forwarded(r, "X-Forwarded-Proto"), scheme)
		host = cmp.Or(forwarded(r, "X-Forwarded-Host"), host)
	}
	return strings.ToLower(scheme), host
}

// forwarded is the last value of a header, which the proxy next to us has
// written. Those before it may be anybody's.
func forwarded(r *http.Request, header string) string {
	values := strings.Split(strings.Join(r.Header.Values(header), ","), ",")
	return strings.TrimSpace(values[len(values)-1])
}
