package config

import "time"

// JWT says whose JSON web tokens are believed.
type JWT struct {
	Issuer     string   `yaml:"issuer"`
	Audience   string   `yaml:"audience"`
	JWKSURL    string   `yaml:"jwks_url"`    // where the issuer's public keys are: either here,
	JWKSFile   string   `yaml:"jwks_file"`   // or here
	CAFile     string   `yaml:"ca_file"`     // for jwks_url
	Timeout    Duration `yaml:"timeout"`     // for jwks_url; 0 stands for the default
	Cookie     string   `yaml:"cookie"`      // where a token may be besides the Authorization header; "" = nowhere
	CallsClaim string   `yaml:"calls_claim"` // lists the calls that a token is good for; "" = it is good for any
}

// maxJWKS is the length in bytes of a file of keys.
const maxJWKS = 256 << 10

func (j *JWT) validate(in source, key string) error {
	if j.Timeout == 0 {
		j.Timeout = Duration(5 * time.Second)
	}
	switch {
	case j.Issuer == "":
		return in.fault(key+".issuer", "must be what tokens have as iss")
	case j.Audience == "":
		return in.fault(key+".audience", "must be what tokens for this server have as aud")
	case (j.JWKSURL == "") == (j.JWKSFile == ""):
		return in.fault(key, "needs either jwks_url or jwks_file, the issuer's public keys")
	case j.JWKSURL != "" && !isURL(j.JWKSURL):
		return in.fault(key+".jwks_url", "must be an address such as https://id.example.lan/jwks, without a password")
	case j.CAFile != "" && j.JWKSURL == "":
		return in.fault(key+".ca_file", "needs a jwks_url")
	case time.Duration(j.Timeout) < 100*time.Millisecond:
		return in.fault(key+".timeout", "must be at least 100ms")
	case j.Cookie != "" && !header.MatchString(j.Cookie):
		return in.fault(key+".cookie", "must be the name of a cookie")
	}
	return nil
}

// JWKS reads a file of public keys.
func JWKS(file string) ([]byte, error) { return read(file, maxJWKS) }
