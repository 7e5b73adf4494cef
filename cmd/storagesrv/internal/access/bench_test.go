package access_test

import (
	"net/http"
	"testing"
	"time"

	"storagesrv/cmd/storagesrv/internal/access"
)

// What a request pays that was let in before.
func BenchmarkForwardHit(b *testing.B) {
	f := newForward(b, access.ForwardConfig{CacheTTL: time.Hour, URL: app(b, func(http.ResponseWriter, *http.Request) {})})
	r := request(cookie("session=0123456789abcdef0123456789abcdef"))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.Admit(r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkForwardAsked(b *testing.B) {
	f := newForward(b, access.ForwardConfig{URL: app(b, func(http.ResponseWriter, *http.Request) {})})
	r := request(cookie("session=0123456789abcdef0123456789abcdef"))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.Admit(r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkJWT(b *testing.B) {
	j := newJWT(b, access.JWTConfig{JWKS: allKeys()})
	for _, signer := range []string{"rsa", "ec", "ed"} {
		b.Run(algorithmOf[signer], func(b *testing.B) {
			r := request(bearer(sign(signer, named(signer), valid("exp", time.Now().Add(time.Hour).Unix()))))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := j.Admit(r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
