package main

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/rogpeppe/go-internal/testscript"
)

// webappScript starts a web app, $APP, as startWebapp does; $JWT, $EXPIRED and
// $FORGED are its JSON web tokens.
func webappScript(ts *testscript.TestScript, neg bool, args []string) {
	server, tokens, err := startWebapp()
	ts.Check(err)
	ts.Defer(server.Close)
	ts.Setenv("APP", server.URL)
	for name, token := range tokens {
		ts.Setenv(name, token)
	}
}

// startWebapp starts a web app where anna and otto may play call-1 with the
// cookie session=NAME-secret, and which has the keys of an issuer of JSON web
// tokens. These are of that issuer and for call-1, or say so.
func startWebapp() (server *httptest.Server, tokens map[string]string, err error) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, nil, err
	}
	_, another, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, nil, err
	}
	app := http.NewServeMux()
	app.HandleFunc("GET /may-play", mayPlay)
	app.HandleFunc("GET /login", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "Who are you?") })
	app.HandleFunc("GET /jwks", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"keys":[{"kty":"OKP","crv":"Ed25519","x":%q,"kid":"1"}]}`, base64.RawURLEncoding.EncodeToString(public))
	})
	tokens = make(map[string]string)
	for name, c := range map[string]struct {
		key      ed25519.PrivateKey
		lifetime time.Duration
	}{"JWT": {private, time.Hour}, "EXPIRED": {private, -time.Hour}, "FORGED": {another, time.Hour}} {
		token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.MapClaims{
			"iss": "https://id.example.lan", "aud": "storagesrv", "sub": "zoe", "calls": "call-1", "exp": time.Now().Add(c.lifetime).Unix(),
		})
		token.Header["kid"] = "1"
		if tokens[name], err = token.SignedString(c.key); err != nil {
			return nil, nil, err
		}
	}
	return httptest.NewServer(app), tokens, nil
}

// mayPlay sends whom it does not know to a page that answers 200.
func mayPlay(w http.ResponseWriter, r *http.Request) {
	session, err := r.Cookie("session")
	names := map[string]string{"anna-secret": "anna", "otto-secret": "otto"}
	switch {
	case err != nil:
		http.Redirect(w, r, "/login", http.StatusFound)
	case session.Value == "broken-secret":
		w.WriteHeader(http.StatusInternalServerError)
	case names[session.Value] == "":
		w.Header().Set("WWW-Authenticate", "Session realm=\"crm\"")
		w.WriteHeader(http.StatusUnauthorized)
	case r.Header.Get("X-Storagesrv-Call-Id") != "call-1":
		w.WriteHeader(http.StatusForbidden)
	default:
		w.Header().Set("X-Forwarded-User", names[session.Value])
	}
}
