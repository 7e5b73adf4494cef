package config

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

// withForward is a configuration that listens beyond this machine, and leaves
// who may play to others.
const withForward = `
http:
  listen: ":8080"
  cors_origins: ["https://crm.example.lan", "http://10.1.2.3:3000"]
access:
  forward:
    url: "https://crm.example.lan/may-play?by=storagesrv"
    ca_file: ssl/crm.pem
    headers: [cookie, X-Api-Key]
    timeout: 3s
    max_concurrent: 8
    cache_ttl: 0s
    user_header: X-Forwarded-User
  jwt:
    issuer: "https://id.example.lan"
    audience: storagesrv
    jwks_url: "https://id.example.lan/jwks"
    ca_file: /etc/ssl/id.pem
    timeout: 4s
    cookie: __Host-jwt
    calls_claim: "https://example.lan/calls"
` + minimal

func TestParseReadsForwardAndJWT(t *testing.T) {
	c, err := Parse("x.yaml", []byte(withForward))
	if err != nil {
		t.Fatal(err)
	}
	c.resolve("/etc/storagesrv")
	forward := &Forward{
		URL: "https://crm.example.lan/may-play?by=storagesrv", CAFile: "/etc/storagesrv/ssl/crm.pem", Headers: []string{"cookie", "X-Api-Key"},
		Timeout: Duration(3 * time.Second), MaxConcurrent: 8, UserHeader: "X-Forwarded-User", CacheTTL: new(Duration),
	}
	if !reflect.DeepEqual(c.Access.Forward, forward) {
		t.Errorf("got  %+v\nwant %+v", c.Access.Forward, forward)
	}
	jwt := &JWT{
		Issuer: "https://id.example.lan", Audience: "storagesrv", JWKSURL: "https://id.example.lan/jwks", CAFile: "/etc/ssl/id.pem",
		Timeout: Duration(4 * time.Second), Cookie: "__Host-jwt", CallsClaim: "https://example.lan/calls",
	}
	if !reflect.DeepEqual(c.Access.JWT, jwt) {
		t.Errorf("got  %+v\nwant %+v", c.Access.JWT, jwt)
	}
	if got := c.HTTP.CORSOrigins; len(got) != 2 || got[1] != "http://10.1.2.3:3000" {
		t.Errorf("origins %q", got)
	}
}

func TestForwardAndJWTHaveDefaults(t *testing.T) {
	c, err := Parse("x.yaml", []byte(minimal+`access: {forward: {url: "http://crm/"}, jwt: {issuer: a, audience: b, jwks_file: keys.json}}`))
	if err != nil {
		t.Fatal(err)
	}
	c.resolve("/etc/storagesrv")
	ttl := Duration(10 * time.Second)
	forward := &Forward{URL: "http://crm/", Headers: []string{"Cookie", "Authorization"}, Timeout: Duration(2 * time.Second), MaxConcurrent: 32, CacheTTL: &ttl}
	if !reflect.DeepEqual(c.Access.Forward, forward) {
		t.Errorf("got  %+v\nwant %+v", c.Access.Forward, forward)
	}
	if jwt := c.Access.JWT; jwt.JWKSFile != "/etc/storagesrv/keys.json" || jwt.Timeout != Duration(5*time.Second) {
		t.Errorf("%+v", jwt)
	}
	if c, err = Parse("x.yaml", []byte(minimal+`access: {forward: {url: "http://crm/", headers: []}}`)); err != nil || len(c.Access.Forward.Headers) != 0 {
		t.Errorf("an empty list of headers: %+v, %v", c, err)
	}
}

// Each case changes one thing in the configuration.
func TestParseNamesThePlaceOfAFaultInForwardAndJWT(t *testing.T) {
	for _, c := range []struct{ name, old, new, want string }{
		{"no url", `    url: "https://crm.example.lan/may-play?by=storagesrv"` + "\n", "", "access.forward.url: must be an address"},
		{"not a url", "https://crm.example.lan/may-play", "crm.example.lan", "x.yaml:7:10: access.forward.url: must be an address"},
		{"password", "https://crm.example.lan/may", "https://u:hunter2@crm.example.lan/may", "x.yaml:7:10: access.forward.url: must be an address such as http://crm.example.lan/may-play, without a password"},
		{"unix", "https://crm.example.lan/may", "unix:///run/crm", "x.yaml:7:10: access.forward.url: must be an address"},
		{"no header", "[cookie, X-Api-Key]", "[cookie, 'X Api']", "x.yaml:9:23: access.forward.headers[1]: is not the name of a header"},
		{"a hop's header", "[cookie, X-Api-Key]", "[connection]", "x.yaml:9:15: access.forward.headers[0]: is a header that is not taken from clients"},
		{"one of ours", "[cookie, X-Api-Key]", "[x-forwarded-for]", "x.yaml:9:15: access.forward.headers[0]: is a header that is not taken from clients"},
		{"headers", "[cookie, X-Api-Key]", "Cookie", "x.yaml:9:14: access.forward.headers"},
		{"no time", "timeout: 3s", "timeout: 1ms", "x.yaml:10:14: access.forward.timeout: must be between 100ms and 30s"},
		{"much time", "timeout: 3s", "timeout: 1h", "x.yaml:10:14: access.forward.timeout: must be between 100ms and 30s"},
		{"too many", "max_concurrent: 8", "max_concurrent: -1", "x.yaml:11:21: access.forward.max_concurrent: must be between 1 and 1000"},
		{"kept for long", "cache_ttl: 0s", "cache_ttl: 24h", "x.yaml:12:16: access.forward.cache_ttl: must be at most 1h0m0s"},
		{"user header", "X-Forwarded-User", "'X Forwarded'", "x.yaml:13:18: access.forward.user_header: must be the name of a header"},
		{"unknown", "user_header", "group_header", "x.yaml:13:5: access.forward.group_header: unknown key"},

		{"no issuer", `    issuer: "https://id.example.lan"` + "\n", "", "access.jwt.issuer: must be what tokens have as iss"},
		{"no audience", "    audience: storagesrv\n", "", "access.jwt.audience: must be what tokens for this server have as aud"},
		{"no keys", `    jwks_url: "https://id.example.lan/jwks"` + "\n", "", "access.jwt: needs either jwks_url or jwks_file"},
		{"both", "cookie: __Host-jwt", "jwks_file: keys.json", "access.jwt: needs either jwks_url or jwks_file"},
		{"keys' url", "https://id.example.lan/jwks", "id.example.lan/jwks", "x.yaml:17:15: access.jwt.jwks_url: must be an address"},
		{"keys' password", "https://id.example.lan/jwks", "https://hunter2@id.example.lan/jwks", "x.yaml:17:15: access.jwt.jwks_url: must be an address"},
		{"ca without url", `jwks_url: "https://id.example.lan/jwks"`, "jwks_file: keys.json", "x.yaml:18:14: access.jwt.ca_file: needs a jwks_url"},
		{"no time for keys", "timeout: 4s", "timeout: 1ms", "x.yaml:19:14: access.jwt.timeout: must be at least 100ms"},
		{"cookie", "__Host-jwt", "'a=b'", "x.yaml:20:13: access.jwt.cookie: must be the name of a cookie"},
		{"inline secret", "cookie: __Host-jwt", "secret: hunter2", "access.jwt.secret: unknown key"},

		{"any origin", `"https://crm.example.lan", `, `"*", `, "x.yaml:4:18: http.cors_origins[0]: would let any page read"},
		{"null origin", `"http://10.1.2.3:3000"`, `"null"`, "http.cors_origins[1]: would let any page read"},
		{"no origin", "http://10.1.2.3:3000", "10.1.2.3", "http.cors_origins[1]: must be an origin as browsers send it"},
		{"path", "http://10.1.2.3:3000", "http://10.1.2.3/app", "http.cors_origins[1]: must be an origin as browsers send it"},
		{"slash", "http://10.1.2.3:3000", "http://10.1.2.3/", "http.cors_origins[1]: must be an origin as browsers send it"},
		{"upper case", "http://10.1.2.3:3000", "http://CRM.example.lan", "http.cors_origins[1]: must be an origin as browsers send it"},
		{"its own port", "http://10.1.2.3:3000", "http://10.1.2.3:80", "http.cors_origins[1]: must be an origin as browsers send it"},
		{"wild card", "http://10.1.2.3:3000", "http://*.example.lan", "http.cors_origins[1]: must be an origin as browsers send it"},
		{"origin twice", "http://10.1.2.3:3000", "https://crm.example.lan", "http.cors_origins[1]: the same origin twice"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if !strings.Contains(withForward, c.old) {
				t.Fatalf("%q is not in the configuration", c.old)
			}
			_, err := Parse("x.yaml", []byte(strings.Replace(withForward, c.old, c.new, 1)))
			if fault := (*Error)(nil); !errors.As(err, &fault) || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got  %v\nwant %s", err, c.want)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the message quotes the file: %s", err)
			}
		})
	}
}
