package access

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"strings"
)

// A Token is a secret of a server that may ask for any call. Only its hash is
// kept.
type Token struct {
	Name string
	Hash [sha256.Size]byte // SHA-256 of the token
}

// Tokens is a Scheme: a request is let in with a token in its Authorization
// header, either as Bearer or as the password of HTTP Basic under the token's
// name, as web apps that were written for the recorder send it. Without a token
// in the list nobody is let in, and nobody is asked for one.
type Tokens struct {
	List []Token
	// OfferBasic makes a refusal offer HTTP Basic too. A browser that plays a
	// recording would ask its user for a password then.
	OfferBasic bool
	// BesideJWT makes a JSON web token that is no token of the list count as
	// no credential at all: another scheme is for it.
	BesideJWT bool
}

var _ Scheme = Tokens{}

// maxCredential bounds what is hashed.
const maxCredential = 4096

var (
	errUnknownToken  = errors.New("the token is not known")
	errWrongPassword = errors.New("the user or password of HTTP Basic is not known")
)

// Admit implements Scheme.
func (t Tokens) Admit(r Request) (Caller, error) {
	if name, secret, ok := r.HTTP.BasicAuth(); ok {
		if token := t.find(secret); token != nil && token.Name == name {
			return Caller{token.Name, ByToken}, nil
		}
		return Caller{}, t.unknown(errWrongPassword)
	}
	secret, ok := Bearer(r.HTTP.Header)
	if !ok {
		return Caller{}, t.unknown(nil)
	}
	if token := t.find(secret); token != nil {
		return Caller{token.Name, ByToken}, nil
	}
	if t.BesideJWT && readHeader(secret) != nil {
		return Caller{}, t.unknown(nil)
	}
	return Caller{}, t.unknown(errUnknownToken)
}

func (t Tokens) unknown(reason error) error {
	var challenges []string
	if len(t.List) > 0 {
		challenges = append(challenges, bearerChallenge)
	}
	if len(t.List) > 0 && t.OfferBasic {
		challenges = append(challenges, `Basic realm="storagesrv", charset="UTF-8"`)
	}
	return &Unauthenticated{Challenges: challenges, Invalid: reason != nil, Reason: reason}
}

const bearerChallenge = `Bearer realm="storagesrv"`

// find compares with every token, so that the time it takes tells nothing.
func (t Tokens) find(secret string) (found *Token) {
	if len(secret) > maxCredential {
		return nil
	}
	hash := sha256.Sum256([]byte(secret))
	for i := range t.List {
		if subtle.ConstantTimeCompare(hash[:], t.List[i].Hash[:]) == 1 {
			found = &t.List[i]
		}
	}
	return found
}

// Bearer returns the credential of an Authorization header of that scheme.
func Bearer(h http.Header) (string, bool) {
	scheme, credential, found := strings.Cut(h.Get("Authorization"), " ")
	credential = strings.TrimSpace(credential)
	return credential, found && strings.EqualFold(scheme, "Bearer") && credential != ""
}
