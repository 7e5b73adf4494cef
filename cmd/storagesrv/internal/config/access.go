package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"time"
)

// Access says who may play.
type Access struct {
	// Anonymous lets everyone play who reaches the server.
	Anonymous   bool         `yaml:"anonymous"`
	Tokens      []Token      `yaml:"tokens"`
	SigningKeys []SigningKey `yaml:"signing_keys"` // the first signs, all verify
	MaxExpires  Duration     `yaml:"max_expires"`  // how long a signed link may be good
	Forward     *Forward     `yaml:"forward"`      // nil: no web app is asked
	JWT         *JWT         `yaml:"jwt"`          // nil: none are believed
}

// Token is a secret of a server that may ask for any call.
type Token struct {
	Name   string `yaml:"name"`   // who has it, for the log and as the user of HTTP Basic
	SHA256 string `yaml:"sha256"` // of the token, in hexadecimal

	Hash [sha256.Size]byte `yaml:"-"` // SHA256, parsed
}

// SigningKey is a key that signs links.
type SigningKey struct {
	ID         string `yaml:"id"` // stands in the links
	SecretFile string `yaml:"secret_file"`
}

// Decides reports whether the section names anyone who may play. If it does
// not, nothing was said about who may.
func (a *Access) Decides() bool {
	return a.Anonymous || len(a.Tokens) > 0 || len(a.SigningKeys) > 0 || a.Forward != nil || a.JWT != nil
}

func (c *Config) validateAccess(in source) error {
	a := &c.Access
	if !loopback(c.HTTP.Listen) && !a.Decides() {
		return in.fault("http.listen", "listens beyond this machine, where anyone could play any recording; "+
			"write under access who may: tokens, signing_keys, forward, jwt, or anonymous: true if something in front decides it")
	}
	if a.Decides() && !a.Anonymous && sharesCache.MatchString(c.HTTP.CacheControl) {
		return in.fault("http.cache_control", "public and s-maxage would have a cache in between give recordings to whom access does not let in")
	}
	if time.Duration(a.MaxExpires) < time.Second {
		return in.fault("access.max_expires", "must be at least 1s")
	}
	if err := a.validateTokens(in); err != nil {
		return err
	}
	if err := a.validateKeys(in); err != nil {
		return err
	}
	if a.Forward != nil {
		if err := a.Forward.validate(in, "access.forward"); err != nil {
			return err
		}
	}
	if a.JWT != nil {
		return a.JWT.validate(in, "access.jwt")
	}
	return nil
}

// sharesCache matches a Cache-Control by which a shared cache may keep what was
// answered to somebody in particular (RFC 9111, section 3.5).
var sharesCache = regexp.MustCompile(`(?i)\b(public|s-maxage)\b`)

var (
	// tokenName has no colon, which ends a user in HTTP Basic, and no space.
	tokenName = regexp.MustCompile(`^[!-9;-~]{1,64}$`)
	keyID     = regexp.MustCompile(`^[0-9A-Za-z._-]{1,64}$`)
)

func (a *Access) validateTokens(in source) error {
	names, hashes := map[string]bool{}, map[[sha256.Size]byte]bool{sha256.Sum256(nil): true}
	for i := range a.Tokens {
		t, key := &a.Tokens[i], fmt.Sprintf("access.tokens[%d]", i)
		hash, err := hex.DecodeString(t.SHA256)
		switch {
		case !tokenName.MatchString(t.Name):
			return in.fault(key+".name", "must be 1 to 64 printable characters without spaces and colons")
		case names[t.Name]:
			return in.fault(key+".name", "the same name twice")
		case err != nil || len(hash) != sha256.Size:
			return in.fault(key+".sha256", `must be the SHA-256 of a token, 64 hexadecimal digits, as printf %%s "$TOKEN" | sha256sum prints it`)
		}
		t.Hash = [sha256.Size]byte(hash)
		if hashes[t.Hash] {
			return in.fault(key+".sha256", "is that of another token, or of nothing")
		}
		names[t.Name], hashes[t.Hash] = true, true
	}
	return nil
}

func (a *Access) validateKeys(in source) error {
	ids := map[string]bool{}
	for i, k := range a.SigningKeys {
		key := fmt.Sprintf("access.signing_keys[%d]", i)
		switch {
		case !keyID.MatchString(k.ID):
			return in.fault(key+".id", "must be 1 to 64 letters, digits, dots, _ and -")
		case ids[k.ID]:
			return in.fault(key+".id", "the same id twice")
		case k.SecretFile == "":
			return in.fault(key, "needs a secret_file")
		}
		ids[k.ID] = true
	}
	return nil
}

// minSigningSecret is the length of what HMAC-SHA256 makes (RFC 2104, section 3).
const minSigningSecret = 32

// SigningSecret is Secret for a key that signs links.
func SigningSecret(file string) (string, error) {
	secret, err := Secret(file)
	if err == nil && len(secret) < minSigningSecret {
		err = fmt.Errorf("%s: must hold at least %d bytes, as openssl rand -hex 32 makes them", file, minSigningSecret)
	}
	if err != nil {
		return "", err
	}
	return secret, nil
}
