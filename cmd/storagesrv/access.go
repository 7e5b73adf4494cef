package main

import (
	"fmt"
	"time"

	"storagesrv/cmd/storagesrv/internal/access"
	"storagesrv/cmd/storagesrv/internal/config"
)

// An admittance is who may play what, as a configuration says.
type admittance struct {
	recordings *access.Policy
	api        *access.Policy // for the paths of the recorder's API
	links      *access.Keys   // nil: there are none
}

// openToAll reports whether everyone may play who reaches the server: because
// it says so, or because nothing is said and only this machine reaches it.
func openToAll(c config.Access) bool { return c.Anonymous || !c.Decides() }

// newAdmittance reads the secrets that a configuration names. Recordings may be
// played by others too, who are asked about after the tokens.
func newAdmittance(c config.Access, others []access.Scheme) (a admittance, err error) {
	failures := access.NewFailures()
	tokens := make([]access.Token, len(c.Tokens))
	for i, t := range c.Tokens {
		tokens[i] = access.Token{Name: t.Name, Hash: t.Hash}
	}
	known := access.Tokens{List: tokens, BesideJWT: c.JWT != nil}
	a.recordings = access.NewPolicy(failures, openToAll(c), append([]access.Scheme{known}, others...)...)
	known.OfferBasic = true
	a.api = access.NewPolicy(failures, false, known)
	a.links, err = newKeys(c, failures)
	return a, err
}

// newKeys returns nil if c names no keys.
func newKeys(c config.Access, failures *access.Failures) (*access.Keys, error) {
	if len(c.SigningKeys) == 0 {
		return nil, nil
	}
	keys := make([]access.Key, len(c.SigningKeys))
	for i, k := range c.SigningKeys {
		secret, err := config.SigningSecret(k.SecretFile)
		if err != nil {
			return nil, fmt.Errorf("access.signing_keys[%d].secret_file: %w", i, err)
		}
		keys[i] = access.Key{ID: k.ID, Secret: []byte(secret)}
	}
	return access.NewKeys(access.KeysConfig{Keys: keys, MaxExpires: time.Duration(c.MaxExpires), Failures: failures}), nil
}
