package access_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"storagesrv/cmd/storagesrv/internal/access"
)

// signers are what the issuer of these tests signs with, by kid.
var signers = sync.OnceValue(func() map[string]crypto.Signer {
	keys := make(map[string]crypto.Signer)
	for _, id := range []string{"rsa", "rsa-other"} {
		keys[id], _ = rsa.GenerateKey(rand.Reader, 2048)
	}
	for _, id := range []string{"ec", "ec-other"} {
		keys[id], _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	for _, id := range []string{"ed", "ed-other"} {
		_, keys[id], _ = ed25519.GenerateKey(rand.Reader)
	}
	keys["p384"], _ = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	return keys
})

type object = map[string]any

func b64(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

func b64JSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b64(text)
}

// jwkOf returns the public half of a signer as a JSON Web Key.
func jwkOf(id string) object {
	switch key := signers()[id].Public().(type) {
	case *rsa.PublicKey:
		return object{"kty": "RSA", "kid": id, "n": b64(key.N.Bytes()), "e": b64(big.NewInt(int64(key.E)).Bytes())}
	case *ecdsa.PublicKey:
		point, err := key.Bytes()
		if err != nil {
			panic(err)
		}
		half := len(point) / 2
		return object{"kty": "EC", "crv": key.Params().Name, "kid": id, "x": b64(point[1 : 1+half]), "y": b64(point[1+half:])}
	case ed25519.PublicKey:
		return object{"kty": "OKP", "crv": "Ed25519", "kid": id, "x": b64(key)}
	}
	panic(id)
}

func jwks(keys ...object) []byte {
	text, err := json.Marshal(object{"keys": keys})
	if err != nil {
		panic(err)
	}
	return text
}

// sign makes a token with a signer, by its algorithm for P-256 and SHA-256
// unless the header asks for SHA-512 or PSS.
func sign(signer string, header, claims object) string {
	algorithm, _ := header["alg"].(string)
	return signAs(signer, algorithm, header, claims)
}

// signAs is sign whatever the header says.
func signAs(signer, algorithm string, header, claims object) string {
	text := b64JSON(header) + "." + b64JSON(claims)
	hash, sum := crypto.SHA256, sha256.Sum256([]byte(text))
	digest := sum[:]
	if strings.HasSuffix(algorithm, "512") {
		long := sha512.Sum512([]byte(text))
		hash, digest = crypto.SHA512, long[:]
	}
	signature, err := []byte(nil), error(nil)
	switch key := signers()[signer].(type) {
	case *ecdsa.PrivateKey:
		var r, s *big.Int
		r, s, err = ecdsa.Sign(rand.Reader, key, digest)
		size := (key.Params().BitSize + 7) / 8
		signature = append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...)
	case ed25519.PrivateKey:
		signature = ed25519.Sign(key, []byte(text))
	case *rsa.PrivateKey:
		var options crypto.SignerOpts = hash
		if strings.HasPrefix(algorithm, "PS") {
			options = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash}
		}
		signature, err = key.Sign(rand.Reader, digest, options)
	}
	if err != nil {
		panic(err)
	}
	return text + "." + b64(signature)
}

// hs256 signs a token with a shared secret.
func hs256(secret []byte, header, claims object) string {
	text := b64JSON(header) + "." + b64JSON(claims)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(text))
	return text + "." + b64(mac.Sum(nil))
}

const (
	issuer   = "https://id.example.lan"
	audience = "storagesrv"
)

// valid returns the claims of a good token, changed as pairs of name and value
// say; nil takes one away.
func valid(changes ...any) object {
	now := time.Now().Unix()
	claims := object{"iss": issuer, "aud": audience, "sub": "anna", "exp": now + 300, "iat": now, "nbf": now}
	for i := 0; i < len(changes); i += 2 {
		if name := changes[i].(string); changes[i+1] == nil {
			delete(claims, name)
		} else {
			claims[name] = changes[i+1]
		}
	}
	return claims
}

func newJWT(t testing.TB, config access.JWTConfig) *access.JWT {
	t.Helper()
	config.Issuer, config.Audience = issuer, audience
	j, err := access.NewJWT(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(j.Close)
	return j
}

func allKeys() []byte { return jwks(jwkOf("rsa"), jwkOf("ec"), jwkOf("ed"), jwkOf("p384")) }

func TestJWT(t *testing.T) {
	j := newJWT(t, access.JWTConfig{JWKS: allKeys()})
	public := signers()["rsa"].Public().(*rsa.PublicKey)
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	asPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	h := func(alg, kid string) object { return object{"alg": alg, "kid": kid, "typ": "JWT"} }
	now := time.Now().Unix()
	const in, notYet, expired, forged, none = "", "not valid yet", "expired", "invalid", "no credential"
	for name, c := range map[string]struct{ token, want string }{
		"RS256":           {sign("rsa", h("RS256", "rsa"), valid()), in},
		"ES256":           {sign("ec", h("ES256", "ec"), valid()), in},
		"EdDSA":           {sign("ed", h("EdDSA", "ed"), valid()), in},
		"without kid":     {sign("ed", object{"alg": "EdDSA"}, valid()), in},
		"several aud":     {sign("ed", h("EdDSA", "ed"), valid("aud", []string{"crm", audience})), in},
		"no nbf, no iat":  {sign("ed", h("EdDSA", "ed"), valid("nbf", nil, "iat", nil)), in},
		"just expired":    {sign("ed", h("EdDSA", "ed"), valid("exp", now-20)), in},
		"a bit early":     {sign("ed", h("EdDSA", "ed"), valid("nbf", now+20, "iat", now+20)), in},
		"fraction of exp": {sign("ed", h("EdDSA", "ed"), valid("exp", float64(now)+300.5)), in},

		"expired":                  {sign("ed", h("EdDSA", "ed"), valid("exp", now-120)), expired},
		"expired long ago":         {sign("rsa", h("RS256", "rsa"), valid("exp", 1)), expired},
		"expired, of another":      {sign("ed", h("EdDSA", "ed"), valid("exp", now-120, "iss", "https://other")), forged},
		"expired, for another":     {sign("ed", h("EdDSA", "ed"), valid("exp", now-120, "aud", "crm")), forged},
		"expired, badly signed":    {sign("ed-other", h("EdDSA", "ed"), valid("exp", now-120)), forged},
		"not valid yet":            {sign("ed", h("EdDSA", "ed"), valid("nbf", now+300)), notYet},
		"issued in the future":     {sign("ed", h("EdDSA", "ed"), valid("iat", now+300)), notYet},
		"no exp":                   {sign("ed", h("EdDSA", "ed"), valid("exp", nil)), forged},
		"exp 0":                    {sign("ed", h("EdDSA", "ed"), valid("exp", 0)), forged},
		"exp null":                 {strings.Join([]string{b64JSON(h("EdDSA", "ed")), b64([]byte(`{"exp":null}`)), ""}, "."), forged},
		"exp as text":              {sign("ed", h("EdDSA", "ed"), valid("exp", fmt.Sprint(now+300))), forged},
		"no iss":                   {sign("ed", h("EdDSA", "ed"), valid("iss", nil)), forged},
		"another iss":              {sign("ed", h("EdDSA", "ed"), valid("iss", issuer+"/")), forged},
		"iss as a list":            {sign("ed", h("EdDSA", "ed"), valid("iss", []string{issuer})), forged},
		"no aud":                   {sign("ed", h("EdDSA", "ed"), valid("aud", nil)), forged},
		"another aud":              {sign("ed", h("EdDSA", "ed"), valid("aud", "crm")), forged},
		"empty aud":                {sign("ed", h("EdDSA", "ed"), valid("aud", []string{})), forged},
		"aud as a number":          {sign("ed", h("EdDSA", "ed"), valid("aud", 1)), forged},
		"another key":              {sign("rsa-other", h("RS256", "rsa"), valid()), forged},
		"another EC key":           {sign("ec-other", h("ES256", "ec"), valid()), forged},
		"another Ed25519 key":      {sign("ed-other", h("EdDSA", "ed"), valid()), forged},
		"another key, no kid":      {sign("ed-other", object{"alg": "EdDSA"}, valid()), forged},
		"unknown kid":              {sign("rsa", h("RS256", "nobody"), valid()), forged},
		"kid of another algorithm": {sign("rsa", h("RS256", "ec"), valid()), forged},
		"RS256 that is ES256":      {sign("ec", h("RS256", "rsa"), valid()), forged},
		"EdDSA that is RS256":      {sign("rsa", h("EdDSA", "rsa"), valid()), forged},
		"ES256 on P-384":           {sign("p384", h("ES256", "p384"), valid()), forged},
		"ES384":                    {sign("p384", h("ES384", "p384"), valid()), forged},
		"RS512":                    {sign("rsa", h("RS512", "rsa"), valid()), forged},
		"PS256":                    {sign("rsa", h("PS256", "rsa"), valid()), forged},
		"RS256 by PS256":           {signAs("rsa", "PS256", h("RS256", "rsa"), valid()), forged},
		"none":                     {b64JSON(h("none", "rsa")) + "." + b64JSON(valid()) + ".", forged},
		"None":                     {b64JSON(h("None", "rsa")) + "." + b64JSON(valid()) + ".", forged},
		"none, signed":             {sign("rsa", h("none", "rsa"), valid()), forged},
		"alg in another case":      {sign("rsa", h("rs256", "rsa"), valid()), forged},
		"HS256 by the public key":  {hs256(asPEM, h("HS256", "rsa"), valid()), forged},
		"HS256 by its DER":         {hs256(der, h("HS256", "rsa"), valid()), forged},
		"HS256 by the modulus":     {hs256(public.N.Bytes(), h("HS256", "rsa"), valid()), forged},
		"HS256 called RS256":       {hs256(asPEM, h("RS256", "rsa"), valid()), forged},
		"HS256 by an Ed25519 key":  {hs256(signers()["ed"].Public().(ed25519.PublicKey), h("HS256", "ed"), valid()), forged},
		"HS256 by nothing":         {hs256(nil, h("HS256", "rsa"), valid()), forged},
		"two algs":                 {b64([]byte(`{"alg":"RS256","alg":"none"}`)) + "." + b64JSON(valid()) + ".", forged},
		"a key of its own":         {sign("ed-other", object{"alg": "EdDSA", "jwk": jwkOf("ed-other"), "jku": "https://evil/jwks", "kid": "ed"}, valid()), forged},
		"crit":                     {sign("ed", object{"alg": "EdDSA", "kid": "ed", "crit": []string{"b64"}, "b64": false}, valid()), forged},
		"no signature":             {strings.TrimRight(sign("ed", h("EdDSA", "ed"), valid()), "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"), forged},
		"claims changed":           {swapClaims(sign("ed", h("EdDSA", "ed"), valid()), valid("sub", "otto")), forged},
		"no JSON inside":           {b64JSON(h("EdDSA", "ed")) + ".e30x.AAAA", forged},
		"not base64":               {b64JSON(h("EdDSA", "ed")) + ".{}.AAAA", forged},
		"a huge one":               {sign("ed", h("EdDSA", "ed"), valid("x", strings.Repeat("x", 8<<10))), forged},

		"opaque":            {secret, none},
		"opaque, with dots": {"a.b.c", none},
		"one dot":           {b64JSON(h("EdDSA", "ed")) + ".e30", none},
		"three dots":        {sign("ed", h("EdDSA", "ed"), valid()) + ".", none},
		"a list":            {b64([]byte(`["alg"]`)) + ".e30.AAAA", none},
		"no alg":            {b64([]byte(`{"typ":"JWT"}`)) + ".e30.AAAA", none},
		"alg is a number":   {b64([]byte(`{"alg":1}`)) + ".e30.AAAA", none},
		"ALG":               {b64([]byte(`{"ALG":"EdDSA"}`)) + ".e30.AAAA", none},
		"a huge header":     {b64JSON(object{"alg": "EdDSA", "x": strings.Repeat("x", 8<<10)}) + ".e30.AAAA", none},
		"1 MiB of dots":     {strings.Repeat(".", 1<<20), none},
	} {
		t.Run(name, func(t *testing.T) {
			caller, err := j.Admit(request(bearer(c.token)))
			if c.want == in {
				if err != nil || caller != (access.Caller{Name: "anna", Via: access.ByJWT}) {
					t.Errorf("%+v, %v", caller, err)
				}
				return
			}
			e, ok := errors.AsType[*access.Unauthenticated](err)
			if !ok || caller != (access.Caller{}) || e.Invalid != (c.want == forged) || (e.Reason == nil) != (c.want == none) {
				t.Fatalf("%+v, %#v", caller, err)
			}
			if c.want != forged && c.want != none && !strings.Contains(e.Error(), c.want) || len(e.Error()) > 100 {
				t.Errorf("%v", e)
			}
			challenge := `Bearer realm="storagesrv", error="invalid_token"`
			if c.want == none {
				challenge = `Bearer realm="storagesrv"`
			}
			if len(e.Challenges) != 1 || e.Challenges[0] != challenge {
				t.Errorf("challenges %q", e.Challenges)
			}
		})
	}
	if _, err := j.Admit(request(nil)); err == nil {
		t.Error("let in without a token")
	}
}

func swapClaims(token string, claims object) string {
	parts := strings.Split(token, ".")
	parts[1] = b64JSON(claims)
	return strings.Join(parts, ".")
}

func TestEveryChangeOfAJWTIsRefused(t *testing.T) {
	j := newJWT(t, access.JWTConfig{JWKS: allKeys()})
	token := sign("ed", object{"alg": "EdDSA", "kid": "ed"}, valid())
	for i := range token {
		for _, c := range []byte("AQgw9_.") {
			changed := token[:i] + string(c) + token[i+1:]
			if caller, err := j.Admit(request(bearer(changed))); changed != token && err == nil {
				t.Fatalf("byte %d as %c: %+v", i, c, caller)
			}
		}
	}
}

func TestJWTInACookie(t *testing.T) {
	j := newJWT(t, access.JWTConfig{JWKS: allKeys(), Cookie: "jwt"})
	header := object{"alg": "EdDSA", "kid": "ed"}
	good, expired := sign("ed", header, valid()), sign("ed", header, valid("exp", 1))
	for name, c := range map[string]struct {
		set func(*http.Request)
		in  bool
	}{
		"cookie":               {cookie("a=b; jwt=" + good), true},
		"bearer":               {bearer(good), true},
		"beside opaque bearer": {func(r *http.Request) { bearer(secret)(r); cookie("jwt=" + good)(r) }, true},
		"beside expired":       {func(r *http.Request) { bearer(expired)(r); cookie("jwt=" + good)(r) }, false},
		"another cookie":       {cookie("JWT=" + good), false},
		"expired":              {cookie("jwt=" + expired), false},
		"empty":                {cookie("jwt="), false},
	} {
		if _, err := j.Admit(request(c.set)); (err == nil) != c.in {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := newJWT(t, access.JWTConfig{JWKS: allKeys()}).Admit(request(cookie("jwt=" + good))); err == nil {
		t.Error("a cookie lets in that no configuration names")
	}
}

func TestJWTForCalls(t *testing.T) {
	j := newJWT(t, access.JWTConfig{JWKS: allKeys(), CallsClaim: "https://example.lan/calls"})
	for name, c := range map[string]struct {
		claim any
		call  string
		in    bool
	}{
		"one":            {"call-1", "call-1", true},
		"several":        {[]string{"call-0", "call-1"}, "call-1", true},
		"another":        {"call-2", "call-1", false},
		"a part of it":   {"call-11", "call-1", false},
		"several others": {[]string{"call-0", "call-2"}, "call-1", false},
		"none":           {[]string{}, "call-1", false},
		"no claim":       {nil, "call-1", false},
		"odd things":     {[]any{1, object{"call-1": 1}, []any{"call-1"}}, "call-1", false},
		"an object":      {object{"call-1": true}, "call-1", false},
		"true":           {true, "call-1", false},
		"no call":        {"", "", false},
	} {
		r := request(bearer(sign("ed", object{"alg": "EdDSA", "kid": "ed"}, valid("https://example.lan/calls", c.claim))))
		r.CallID = c.call
		if caller, err := j.Admit(r); c.in != (err == nil) || err != nil && !errors.Is(err, access.ErrForbidden) || caller.Via != access.ByJWT || caller.Name == "" {
			t.Errorf("%s: %+v, %v", name, caller, err)
		}
	}
	expired := sign("ed", object{"alg": "EdDSA", "kid": "ed"}, valid("https://example.lan/calls", "1", "exp", 1))
	if _, err := j.Admit(request(bearer(expired))); errors.Is(err, access.ErrForbidden) || err == nil {
		t.Errorf("expired: %v", err)
	}
}

func TestJWTNamesTheCaller(t *testing.T) {
	j := newJWT(t, access.JWTConfig{JWKS: allKeys()})
	for _, c := range []struct{ sub, want any }{
		{"Anna Müller", "Anna Müller"}, {nil, ""}, {1, ""}, {"a\nb\x00", "a\ufffdb\ufffd"}, {strings.Repeat("x", 1000), strings.Repeat("x", 253) + "…"},
	} {
		caller, err := j.Admit(request(bearer(sign("ed", object{"alg": "EdDSA"}, valid("sub", c.sub)))))
		if err != nil || caller.Name != c.want {
			t.Errorf("%v: %+v, %v", c.sub, caller, err)
		}
	}
}

func TestNeitherTokensNorJWTsCountAsBadOnesOfTheOther(t *testing.T) {
	j := newJWT(t, access.JWTConfig{JWKS: allKeys()})
	header := object{"alg": "EdDSA", "kid": "ed"}
	good, expired, forged := sign("ed", header, valid()), sign("ed", header, valid("exp", 1)), sign("ed-other", header, valid())
	beside := tokens(false)
	beside.BesideJWT = true
	beside.List = append(beside.List, access.Token{Name: "looks like one", Hash: sha256.Sum256([]byte(expired + "x"))})
	for name, c := range map[string]struct {
		schemes []access.Scheme
		token   string
		via     access.Via // "": refused
		counts  bool
	}{
		"a JWT":                       {[]access.Scheme{beside, j}, good, access.ByJWT, false},
		"a token":                     {[]access.Scheme{beside, j}, secret, access.ByToken, false},
		"a token that looks like one": {[]access.Scheme{beside, j}, expired + "x", access.ByToken, false},
		"an expired JWT":              {[]access.Scheme{beside, j}, expired, "", false},
		"a forged JWT":                {[]access.Scheme{beside, j}, forged, "", true},
		"a wrong token":               {[]access.Scheme{beside, j}, secret + "x", "", true},
		"a wrong token with dots":     {[]access.Scheme{beside, j}, "a.b.c", "", true},
		"a JWT where none is for it":  {[]access.Scheme{tokens(false)}, good, "", true},
		"a token where none is":       {[]access.Scheme{j}, secret, "", false},
	} {
		caller, err := access.NewPolicy(access.NewFailures(), false, c.schemes...).Admit(request(bearer(c.token)))
		e, _ := errors.AsType[*access.Unauthenticated](err)
		if caller.Via != c.via || (e == nil) != (c.via != "") || e != nil && e.Invalid != c.counts {
			t.Errorf("%s: %+v, %#v", name, caller, err)
		}
	}
}

// FuzzBearer looks for a token that is let in, is more than one kind of
// credential, or makes a parser panic.
func FuzzBearer(f *testing.F) {
	j := newJWT(f, access.JWTConfig{JWKS: allKeys(), Cookie: "jwt"})
	beside := tokens(true)
	beside.BesideJWT = true
	for _, seed := range []string{
		"", ".", "..", "...", "opaque", "e30.e30.e30", b64([]byte(`{"alg":"RS256","kid":"rsa"}`)) + "." + b64JSON(valid()) + ".AAAA",
		sign("ed-other", object{"alg": "EdDSA", "kid": "ed"}, valid()), sign("ed", object{"alg": "EdDSA", "crit": []int{}}, valid()),
		b64([]byte(`{"alg":"none"}`)) + "." + b64([]byte(`{"exp":1e999}`)) + ".",
		b64([]byte(`{"alg":"none"}`)) + ".e30.e30;cut.", // to a cookie, it ends before the semicolon
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		var reasons [2]error
		whole := true // it is the same token in both places
		for i, scheme := range []access.Scheme{beside, j} {
			r := access.Request{HTTP: httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/", nil), CallID: "1"}
			r.HTTP.Header["Authorization"] = []string{"Bearer " + token}
			r.HTTP.Header["Cookie"] = []string{"jwt=" + token}
			cookie, err := r.HTTP.Cookie("jwt")
			whole = whole && err == nil && cookie.Value == token
			_, err = scheme.Admit(r)
			e, ok := errors.AsType[*access.Unauthenticated](err)
			if !ok {
				t.Fatalf("%q by %T: %v", token, scheme, err)
			}
			reasons[i] = e.Reason
		}
		if whole && reasons[0] != nil && reasons[1] != nil {
			t.Errorf("%q is both: %v, %v", token, reasons[0], reasons[1])
		}
	})
}
