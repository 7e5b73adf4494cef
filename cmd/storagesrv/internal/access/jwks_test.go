package access_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"storagesrv/cmd/storagesrv/internal/access"
)

func with(key object, changes object) object {
	all := object{}
	for name, value := range key {
		all[name] = value
	}
	for name, value := range changes {
		if all[name] = value; value == nil {
			delete(all, name)
		}
	}
	return all
}

// letsIn reports whether a scheme takes a token that a signer made now.
func letsIn(s access.Scheme, signer string, header object) error {
	_, err := s.Admit(request(bearer(sign(signer, header, valid()))))
	return err
}

var algorithmOf = map[string]string{"rsa": "RS256", "rsa-other": "RS256", "ec": "ES256", "ec-other": "ES256", "ed": "EdDSA", "ed-other": "EdDSA"}

// named is the header of a token that names its signer.
func named(signer string) object { return object{"alg": algorithmOf[signer], "kid": signer} }

// Each key stands beside a good one, which must go on working.
func TestJWKSTakesOnlyKeysThatAreForIt(t *testing.T) {
	small, _ := rsa.GenerateKey(rand.Reader, 1024)
	for name, c := range map[string]struct {
		signer  string
		changes object
		taken   bool
	}{
		"as it is":            {"ec", nil, true},
		"for signatures":      {"ec", object{"use": "sig", "key_ops": []string{"verify"}, "alg": "ES256"}, true},
		"with unknown fields": {"ec", object{"x5c": []string{"?"}, "iat": 1, "ext": true}, true},
		"without kid":         {"ec", object{"kid": nil}, false}, // the token names one
		"alg Ed25519":         {"ed-other", object{"alg": "Ed25519"}, true},
		"for encryption":      {"ec", object{"use": "enc"}, false},
		"for signing":         {"ec", object{"key_ops": []string{"sign"}}, false},
		"for nothing":         {"ec", object{"key_ops": []string{}}, false},
		"for another alg":     {"rsa", object{"alg": "RS512"}, false},
		"for HMAC":            {"rsa", object{"alg": "HS256"}, false},
		"as a secret":         {"rsa", object{"kty": "oct", "k": "AAAA"}, false},
		"no kty":              {"ec", object{"kty": nil}, false},
		"another curve":       {"ec", object{"crv": "P-384"}, false},
		"not on the curve":    {"ec", object{"y": b64(make([]byte, 32))}, false},
		"short x":             {"ec", object{"x": "AAAA"}, false},
		"x is a number":       {"ec", object{"x": 1}, false},
		"X25519":              {"ed-other", object{"crv": "X25519"}, false},
		"short Ed25519":       {"ed-other", object{"x": "AAAA"}, false},
		"small modulus":       {"rsa", object{"n": b64(small.N.Bytes())}, false},
		"huge modulus":        {"rsa", object{"n": b64([]byte(strings.Repeat("\xff", 2000)))}, false},
		"even modulus":        {"rsa", object{"n": b64(new(big.Int).Lsh(big.NewInt(1), 2047).Bytes())}, false},
		"exponent 1":          {"rsa", object{"e": "AQ"}, false},
		"exponent 2":          {"rsa", object{"e": "Ag"}, false},
		"huge exponent":       {"rsa", object{"e": b64([]byte("\x01\x00\x00\x00\x01"))}, false},
		"padded base64":       {"rsa", object{"e": "AQAB===="}, false},
	} {
		j := newJWT(t, access.JWTConfig{JWKS: jwks(jwkOf("ed"), with(jwkOf(c.signer), c.changes))})
		if err := letsIn(j, "ed", named("ed")); err != nil {
			t.Errorf("%s: the key beside it: %v", name, err)
		}
		if err := letsIn(j, c.signer, named(c.signer)); (err == nil) != c.taken {
			t.Errorf("%s: %v", name, err)
		}
	}
	j := newJWT(t, access.JWTConfig{JWKS: []byte(`{"keys":[null,1,"x",[],{},` + string(jwks(jwkOf("ed")))[len(`{"keys":[`):])})
	if err := letsIn(j, "ed", named("ed")); err != nil {
		t.Errorf("beside nonsense: %v", err)
	}
}

func TestNewJWTRefuses(t *testing.T) {
	many := make([]object, 65)
	for i := range many {
		many[i] = jwkOf("ed")
	}
	for name, config := range map[string]access.JWTConfig{
		"no issuer":      {Audience: audience, JWKS: allKeys()},
		"no audience":    {Issuer: issuer, JWKS: allKeys()},
		"no keys":        {Issuer: issuer, Audience: audience},
		"no URL":         {Issuer: issuer, Audience: audience, JWKSURL: "id.example.lan/jwks"},
		"a password":     {Issuer: issuer, Audience: audience, JWKSURL: "https://u:" + secret + "@id/"},
		"nothing":        {Issuer: issuer, Audience: audience, JWKS: []byte{}},
		"not JSON":       {Issuer: issuer, Audience: audience, JWKS: []byte("-----BEGIN PUBLIC KEY-----" + secret)},
		"a key, no set":  {Issuer: issuer, Audience: audience, JWKS: []byte(b64JSON(jwkOf("ed")))},
		"an empty set":   {Issuer: issuer, Audience: audience, JWKS: jwks()},
		"no usable keys": {Issuer: issuer, Audience: audience, JWKS: jwks(jwkOf("p384"))},
		"too many keys":  {Issuer: issuer, Audience: audience, JWKS: jwks(many...)},
		"too large":      {Issuer: issuer, Audience: audience, JWKS: jwks(jwkOf("ed"), object{"x": strings.Repeat("x", 256<<10)})},
	} {
		if _, err := access.NewJWT(config); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// An idp publishes keys, and can be told to fail.
type idp struct {
	mu      sync.Mutex
	keys    []byte           // guarded by mu
	fails   http.HandlerFunc // guarded by mu; nil: it answers
	fetches atomic.Int64
}

func (i *idp) publish(signers ...string) {
	keys := make([]object, len(signers))
	for n, id := range signers {
		keys[n] = jwkOf(id)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys, i.fails = jwks(keys...), nil
}

func (i *idp) fail(how http.HandlerFunc) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.fails = how
}

func (i *idp) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.fetches.Add(1)
	i.mu.Lock()
	keys, fails := i.keys, i.fails
	i.mu.Unlock()
	if fails != nil {
		fails(w, r)
		return
	}
	w.Write(keys)
}

// with503 is an issuer that is out of order.
func with503(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }

// onWire returns a scheme with the keys of an issuer, in a synctest bubble.
func (i *idp) onWire(t *testing.T) *access.JWT {
	w := newWire(t, i)
	return newJWT(t, access.JWTConfig{JWKSURL: "http://id.example.lan/jwks", Dial: w.dial})
}

func TestJWKSAreFetchedBeforeAnyoneAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var id idp
		id.publish("ed")
		j := id.onWire(t)
		synctest.Wait()
		if id.fetches.Load() != 1 {
			t.Fatalf("%d fetches", id.fetches.Load())
		}
		for range 100 {
			if err := letsIn(j, "ed", named("ed")); err != nil {
				t.Fatal(err)
			}
		}
		if id.fetches.Load() != 1 {
			t.Errorf("%d fetches for 100 tokens", id.fetches.Load())
		}
	})
}

func TestJWKSRotate(t *testing.T) {
	for name, header := range map[string]func(string) object{
		"by kid":      named,
		"without kid": func(signer string) object { return object{"alg": algorithmOf[signer]} },
		"under a kid": func(signer string) object { return object{"alg": algorithmOf[signer], "kid": "1"} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var id idp
				publish := func(signer string) {
					key := jwkOf(signer)
					if header(signer)["kid"] == "1" {
						key["kid"] = "1"
					}
					id.mu.Lock()
					defer id.mu.Unlock()
					id.keys = jwks(key)
				}
				publish("ed")
				j := id.onWire(t)
				synctest.Wait()
				time.Sleep(time.Minute)
				publish("ed-other")
				if err := letsIn(j, "ed", header("ed")); err != nil {
					t.Errorf("the old key, before anyone used the new one: %v", err)
				}
				var all sync.WaitGroup
				for range 20 {
					all.Go(func() {
						if err := letsIn(j, "ed-other", header("ed-other")); err != nil {
							t.Errorf("the new key: %v", err)
						}
					})
				}
				all.Wait()
				if err := letsIn(j, "ed", header("ed")); err == nil {
					t.Error("the old key is still good after it was taken away")
				}
				if got := id.fetches.Load(); got != 2 {
					t.Errorf("%d fetches", got)
				}
			})
		})
	}
}

func TestForgedTokensDoNotStormTheIssuer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var id idp
		id.publish("ed")
		j := id.onWire(t)
		synctest.Wait()
		start := time.Now()
		for i := range 200 {
			time.Sleep(150 * time.Millisecond)
			for _, header := range []object{{"alg": "EdDSA", "kid": fmt.Sprint("k", i)}, named("ed"), {"alg": "EdDSA"}} {
				err := letsIn(j, "ed-other", header)
				if e, ok := errors.AsType[*access.Unauthenticated](err); !ok || !e.Invalid {
					t.Fatalf("%v", err)
				}
			}
		}
		if got, most := id.fetches.Load(), int64(1+time.Since(start)/(5*time.Second)); got > most {
			t.Errorf("%d fetches in %v", got, time.Since(start))
		}
		if err := letsIn(j, "ed", named("ed")); err != nil {
			t.Errorf("a good token meanwhile: %v", err)
		}
	})
}

func TestAKeyThatIsTakenAwayIsNotAcceptedForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var id idp
		id.publish("ed", "ec")
		j := id.onWire(t)
		synctest.Wait()
		id.publish("ed")
		start := time.Now()
		for letsIn(j, "ec", named("ec")) == nil {
			time.Sleep(time.Minute)
			synctest.Wait()
		}
		if took := time.Since(start); took > 20*time.Minute {
			t.Errorf("accepted for %v", took)
		}
		if err := letsIn(j, "ed", named("ed")); err != nil {
			t.Errorf("the key beside it: %v", err)
		}
	})
}

func TestKnownKeysOutliveTheirIssuerForADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var id idp
		id.publish("ed")
		j := id.onWire(t)
		synctest.Wait()
		id.fail(with503)
		start := time.Now()
		for time.Since(start) < 23*time.Hour {
			time.Sleep(10 * time.Minute)
			if err := letsIn(j, "ed", named("ed")); err != nil {
				t.Fatalf("after %v: %v", time.Since(start), err)
			}
			if err := letsIn(j, "ec", named("ec")); !errors.Is(err, access.ErrUnavailable) {
				t.Fatalf("a key that may be new: %v", err)
			}
			if err := letsIn(j, "ed-other", named("ed")); !errors.As(err, new(*access.Unauthenticated)) {
				t.Fatalf("a wrong signature: %v", err)
			}
		}
		time.Sleep(2 * time.Hour)
		if err := letsIn(j, "ed", named("ed")); !errors.Is(err, access.ErrUnavailable) {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		time.Sleep(time.Minute)
		id.publish("ed")
		if err := letsIn(j, "ed", named("ed")); err != nil {
			t.Errorf("with its issuer again: %v", err)
		}
	})
}

func TestADeadIssuer(t *testing.T) {
	closed := httptest.NewServer(nil)
	closed.Close()
	for name, fails := range map[string]http.HandlerFunc{
		"503":    with503,
		"404":    func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) },
		"204":    func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) },
		"HTML":   func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>") },
		"no set": func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "{}") },
		"null":   func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"keys":null}`) },
		"hangs":  func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"too large": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `{"x":"%s",%s`, strings.Repeat("x", 256<<10), jwks(jwkOf("ed"))[1:])
		},
		"huge headers": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("A", strings.Repeat("x", 100<<10))
			w.Write(jwks(jwkOf("ed")))
		},
		"cut off": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100000")
			w.Write(jwks(jwkOf("ed")))
		},
		"redirects": func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/elsewhere" {
				w.Write(jwks(jwkOf("ed")))
				return
			}
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		},
		"hangs in the body": func(w http.ResponseWriter, r *http.Request) {
			w.Write(jwks(jwkOf("ed")))
			http.NewResponseController(w).Flush()
			<-r.Context().Done()
		},
		"is not there": nil,
	} {
		t.Run(name, func(t *testing.T) {
			var log strings.Builder
			results := make(chan string, 100)
			server := httptest.NewServer(fails)
			t.Cleanup(server.Close)
			config := access.JWTConfig{
				JWKSURL: server.URL + "/jwks", Timeout: patient, Log: slog.New(slog.NewTextHandler(&log, nil)),
				Observe: func(result string) { results <- result },
			}
			if strings.HasPrefix(name, "hangs") {
				config.Timeout = soon
			}
			if fails == nil {
				config.JWKSURL = closed.URL
			}
			j := newJWT(t, config)
			if result := <-results; result != access.FetchedNothing {
				t.Errorf("the fetch: %s", result)
			}
			if err := letsIn(j, "ed", named("ed")); !errors.Is(err, access.ErrUnavailable) || len(err.Error()) > 400 {
				t.Errorf("%v", err)
			}
			if err := letsIn(j, "rsa", object{"alg": "PS256", "kid": "rsa"}); !errors.As(err, new(*access.Unauthenticated)) {
				t.Errorf("what no key would make valid: %v", err)
			}
			if _, err := j.Admit(request(nil)); !errors.As(err, new(*access.Unauthenticated)) {
				t.Errorf("without a token: %v", err)
			}
			j.Close()
			if !strings.Contains(log.String(), "level=WARN") {
				t.Errorf("log: %s", log.String())
			}
		})
	}
}

func TestAnIssuerThatComesLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var id idp
		id.fail(with503)
		j := id.onWire(t)
		synctest.Wait()
		if err := letsIn(j, "ed", named("ed")); !errors.Is(err, access.ErrUnavailable) {
			t.Errorf("before: %v", err)
		}
		id.publish("ed")
		start := time.Now()
		for letsIn(j, "ed", named("ed")) != nil {
			time.Sleep(time.Second / 4)
		}
		if took := time.Since(start); took > 6*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

func TestAnIssuerWithoutUsableKeysIsBelieved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var id idp
		id.publish("ed")
		j := id.onWire(t)
		synctest.Wait()
		id.publish("p384")
		time.Sleep(16 * time.Minute)
		letsIn(j, "ed", named("ed")) // makes them be fetched
		synctest.Wait()
		err := letsIn(j, "ed", named("ed"))
		if e, ok := errors.AsType[*access.Unauthenticated](err); !ok || !e.Invalid {
			t.Errorf("%v", err)
		}
	})
}

func TestWhoLeavesDoesNotEndAFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var id idp
		id.publish("ed")
		w := newWire(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { time.Sleep(time.Second); id.ServeHTTP(w, r) }))
		j := newJWT(t, access.JWTConfig{JWKSURL: "http://id.example.lan/jwks", Dial: w.dial})
		ctx, leave := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() {
			r := request(bearer(sign("ed", named("ed"), valid())))
			r.HTTP = r.HTTP.WithContext(ctx)
			if _, err := j.Admit(r); !errors.Is(err, context.Canceled) {
				t.Errorf("who leaves: %v", err)
			}
		})
		all.Go(func() {
			if err := letsIn(j, "ed", named("ed")); err != nil {
				t.Errorf("who stays: %v", err)
			}
		})
		synctest.Wait()
		leave()
		all.Wait()
		if id.fetches.Load() != 1 {
			t.Errorf("%d fetches", id.fetches.Load())
		}
	})
}

func TestCloseEndsAFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial := func(ctx context.Context, _, _ string) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() }
		j := newJWT(t, access.JWTConfig{JWKSURL: "http://id.example.lan/jwks", Dial: dial, Timeout: time.Hour})
		start := time.Now()
		j.Close()
		if err := letsIn(j, "ed", named("ed")); !errors.Is(err, access.ErrUnavailable) || time.Since(start) > 0 {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

func FuzzJWKS(f *testing.F) {
	f.Add([]byte(`{"keys":[]}`))
	f.Add([]byte(`{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"},{"kty":"EC","crv":"P-256"}]}`))
	f.Add(allKeys())
	f.Fuzz(func(t *testing.T, text []byte) {
		j, err := access.NewJWT(access.JWTConfig{Issuer: issuer, Audience: audience, JWKS: append([]byte{}, text...)})
		if err != nil {
			return
		}
		if !json.Valid(text) {
			t.Error("took what is not JSON")
		}
		if err := letsIn(j, "ed-other", object{"alg": "EdDSA"}); err == nil {
			t.Error("let in by another key")
		}
	})
}
