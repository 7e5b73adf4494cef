package access

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// JWTConfig says whose JSON web tokens are believed, and what of them.
type JWTConfig struct {
	Issuer   string // the claim iss
	Audience string // among the claim aud
	Cookie   string // where a token may be too, besides Authorization: Bearer; "": nowhere
	// CallsClaim is the claim that lists the calls which a token is good for,
	// one as a string or several as an array; "": it is good for any.
	CallsClaim string

	// JWKS is a JSON Web Key Set with the issuer's public keys. If nil, they
	// are fetched from JWKSURL.
	JWKS    []byte
	JWKSURL string
	RootCAs *x509.CertPool // who may vouch for that server; nil: the system's
	Timeout time.Duration  // for one fetch; 0: 5 s

	Log     *slog.Logger        // for fetches that fail; nil: none
	Observe func(result string) // told of each fetch; nil: nobody
	Dial    Dial                // nil: as usual
}

// JWT is a Scheme: a request is let in with a JSON web token (RFC 7519) that
// the issuer signed for us, by RS256, ES256 or EdDSA, and that has not expired.
// A bearer token of another kind is no credential here.
type JWT struct {
	config JWTConfig
	keys   keys
	parser *jwt.Parser
}

var _ Scheme = (*JWT)(nil)

// The algorithms that tokens may be signed with (RFC 7518, RFC 8037).
const (
	rs256 = "RS256"
	es256 = "ES256"
	edDSA = "EdDSA"
)

var algorithms = []string{rs256, es256, edDSA}

const (
	// maxToken is the length of a token. Many servers take no larger header.
	maxToken = 8 << 10
	// leeway is how far the issuer's clock may be from ours.
	leeway = time.Minute
)

var (
	errHugeToken = fmt.Errorf("the JSON web token is longer than %d bytes", maxToken)
	errAlgorithm = errors.New("the JSON web token is not signed by RS256, ES256 or EdDSA")
	errCritical  = errors.New("the JSON web token asks for an extension that is not known here")
	errNoKey     = errors.New("the JSON web token names a key that the issuer does not have")
	errSignature = errors.New("the signature of the JSON web token is wrong")
	errMalformed = errors.New("the JSON web token is malformed")
	errExpired   = errors.New("the JSON web token has expired")
	errTooEarly  = errors.New("the JSON web token is not valid yet")
)

// NewJWT returns a scheme, and begins to fetch its keys if they are not given.
// An issuer that cannot be reached is no error.
func NewJWT(config JWTConfig) (*JWT, error) {
	if config.Issuer == "" || config.Audience == "" {
		return nil, errors.New("JSON web tokens need an issuer and an audience")
	}
	if config.Timeout == 0 {
		config.Timeout = 5 * time.Second
	}
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	if config.Observe == nil {
		config.Observe = func(string) {}
	}
	j := &JWT{config: config, parser: jwt.NewParser(
		jwt.WithValidMethods(algorithms), jwt.WithStrictDecoding(), jwt.WithIssuer(config.Issuer), jwt.WithAudience(config.Audience),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(leeway))}
	if config.JWKS != nil {
		set, err := parseJWKS(config.JWKS)
		if err == nil && len(set.keys) == 0 {
			err = errors.New("no key for RS256, ES256 or EdDSA")
		}
		j.keys = fileKeys{set}
		return j, err
	}
	if err := checkURL(config.JWKSURL); err != nil {
		return nil, fmt.Errorf("keys of JSON web tokens: %w", err)
	}
	keys := &urlKeys{
		url: config.JWKSURL, timeout: config.Timeout, transport: newTransport(config.RootCAs, config.Timeout, 1, config.Dial),
		log: config.Log, observe: config.Observe,
	}
	keys.start()
	j.keys = keys
	return j, nil
}

// Close ends a fetch of keys that is under way.
func (j *JWT) Close() {
	if keys, ok := j.keys.(*urlKeys); ok {
		keys.close()
	}
}

// Admit implements Scheme.
func (j *JWT) Admit(r Request) (Caller, error) {
	token, header := j.find(r.HTTP)
	if header == nil {
		return Caller{}, &Unauthenticated{Challenges: []string{bearerChallenge}}
	}
	claims, err := j.verify(r.HTTP.Context(), token, header)
	if err != nil {
		return Caller{}, refusal(err)
	}
	subject, _ := claims.GetSubject() // "" if it is no string
	caller := Caller{Printable(subject), ByJWT}
	if !j.allows(claims, r.CallID) {
		return caller, fmt.Errorf("%w: the JSON web token does not list it", ErrForbidden)
	}
	return caller, nil
}

// find returns the token of a request and its header, which is nil if there is
// no token.
func (j *JWT) find(r *http.Request) (string, *joseHeader) {
	if token, ok := Bearer(r.Header); ok {
		if header := readHeader(token); header != nil {
			return token, header
		}
	}
	if j.config.Cookie == "" {
		return "", nil
	}
	cookie, err := r.Cookie(j.config.Cookie)
	if err != nil {
		return "", nil
	}
	return cookie.Value, readHeader(cookie.Value)
}

// A joseHeader is what a token says about its signature (RFC 7515, 4.1).
type joseHeader struct {
	algorithm, key string
	critical       bool
}

// readHeader returns the header of a JSON web token: three parts, of which the
// first is a JSON object that names an algorithm. What is nothing of the kind
// has none: nil.
func readHeader(token string) *joseHeader {
	first, rest, found := strings.Cut(token, ".")
	if !found || strings.Count(rest, ".") != 1 || len(first) > maxToken {
		return nil
	}
	text, err := base64.RawURLEncoding.DecodeString(first)
	if err != nil {
		return nil
	}
	var fields map[string]any // a struct would take keys of any case
	if json.Unmarshal(text, &fields) != nil {
		return nil
	}
	algorithm, ok := fields["alg"].(string)
	if !ok {
		return nil
	}
	id, _ := fields["kid"].(string)
	return &joseHeader{algorithm, id, fields["crit"] != nil}
}

// verify returns the claims of a token that is valid. One that does not fit
// the keys is tried again with newer ones: issuers change them.
func (j *JWT) verify(ctx context.Context, token string, header *joseHeader) (jwt.MapClaims, error) {
	switch {
	case len(token) > maxToken:
		return nil, errHugeToken
	case !slices.Contains(algorithms, header.algorithm):
		return nil, errAlgorithm
	case header.critical:
		return nil, errCritical
	}
	keys, err := j.keys.current(ctx)
	if err != nil {
		return nil, err
	}
	claims, misfit := j.parse(token, header, keys)
	if !errors.Is(misfit, errNoKey) && !errors.Is(misfit, errSignature) {
		return claims, misfit
	}
	newer, err := j.keys.newer(ctx, keys)
	switch {
	case err != nil && (errors.Is(misfit, errNoKey) || ctx.Err() != nil):
		return nil, err
	case err != nil || newer == keys:
		return nil, misfit
	}
	return j.parse(token, header, newer)
}

func (j *JWT) parse(token string, header *joseHeader, set *keySet) (jwt.MapClaims, error) {
	claims := jwt.MapClaims{}
	_, err := j.parser.ParseWithClaims(token, claims, func(*jwt.Token) (any, error) {
		candidates := set.candidates(header.algorithm, header.key)
		if len(candidates) == 0 {
			return nil, errNoKey
		}
		keys := jwt.VerificationKeySet{}
		for _, key := range candidates {
			keys.Keys = append(keys.Keys, key)
		}
		return keys, nil
	})
	return claims, plain(err)
}

// faults are what can be wrong with a token, in words that quote nothing of
// it; the first match wins, so that one which has expired was valid.
var faults = []struct{ is, err error }{
	{errNoKey, errNoKey},
	{jwt.ErrTokenSignatureInvalid, errSignature},
	{jwt.ErrInvalidType, errors.New("a claim of the JSON web token has the wrong type")},
	{jwt.ErrTokenRequiredClaimMissing, errors.New("the JSON web token lacks iss, aud or exp")},
	{jwt.ErrTokenInvalidIssuer, errors.New("the JSON web token is of another issuer")},
	{jwt.ErrTokenInvalidAudience, errors.New("the JSON web token is for another audience")},
	{jwt.ErrTokenExpired, errExpired},
	{jwt.ErrTokenNotValidYet, errTooEarly},
	{jwt.ErrTokenUsedBeforeIssued, errTooEarly},
}

func plain(err error) error {
	if err == nil {
		return nil
	}
	for _, fault := range faults {
		if errors.Is(err, fault.is) {
			return fault.err
		}
	}
	return errMalformed
}

// refusal is the error of a token that does not let in.
func refusal(err error) error {
	if errors.Is(err, ErrUnavailable) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return &Unauthenticated{
		Challenges: []string{bearerChallenge + `, error="invalid_token"`}, // RFC 6750, 3.1
		Invalid:    err != errExpired && err != errTooEarly,
		Reason:     err,
	}
}

// allows reports whether the claims let a call be played.
func (j *JWT) allows(claims jwt.MapClaims, callID string) bool {
	if j.config.CallsClaim == "" {
		return true
	}
	if callID == "" {
		return false
	}
	switch listed := claims[j.config.CallsClaim].(type) {
	case string:
		return listed == callID
	case []any:
		return slices.Contains(listed, any(callID))
	}
	return false
}
