package server_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"storagesrv/cmd/storagesrv/internal/access"
	"storagesrv/cmd/storagesrv/internal/server"
)

const (
	crm   = "https://crm.example.lan"
	other = "http://10.1.2.3:3000"
	evil  = "https://crm.example.lan.evil.example"
)

func withOrigins(origins ...string) rigConfig {
	return rigConfig{and: func(c *server.Config) { c.CORSOrigins = origins }}
}

// allows reports whether an answer lets a page of an origin read it.
func (a answer) allows(origin string) bool {
	return slices.Equal(a.header["Access-Control-Allow-Origin"], []string{origin}) &&
		slices.Equal(a.header["Access-Control-Allow-Credentials"], []string{"true"})
}

// saysNothing reports whether an answer is as without CORS.
func (a answer) saysNothing() bool {
	for name := range a.header {
		if strings.HasPrefix(name, "Access-Control-") {
			return false
		}
	}
	return true
}

func TestCORSByDefaultIsOff(t *testing.T) {
	r := newRig(t, rigConfig{})
	r.call("call-1", r.file("a.wav", wav(1000)))
	for _, got := range []answer{
		r.do("GET", "/recordings/call-1", header("Origin", crm)),
		r.do("OPTIONS", "/recordings/call-1", header("Origin", crm, "Access-Control-Request-Method", "GET")),
	} {
		if !got.saysNothing() || got.header["Vary"] != nil || got.status == 204 {
			t.Errorf("%d %v", got.status, got.header)
		}
	}
}

func TestOneOriginIsSentWhoeverAsks(t *testing.T) {
	r := newRig(t, withOrigins(crm))
	r.call("call-1", r.file("a.wav", wav(1000)))
	etag := r.get("/recordings/call-1").header.Get("ETag")
	for _, c := range []struct {
		path   string
		status int
		header http.Header
	}{
		{"/recordings/call-1", 200, nil},
		{"/recordings/call-1", 200, header("Origin", crm)},
		{"/recordings/call-1", 200, header("Origin", evil)},
		{"/recordings/call-1", 206, header("Origin", crm, "Range", "bytes=1-2")},
		{"/recordings/call-1", 206, header("Origin", crm, "Range", "bytes=1-2,5-6")},
		{"/recordings/call-1", 304, header("Origin", crm, "If-None-Match", etag)},
		{"/recordings/call-1", 412, header("Origin", crm, "If-Match", `"x"`)},
		{"/recordings/call-1", 416, header("Origin", crm, "Range", "bytes=99999-")},
		{"/recordings/call-1/info", 200, header("Origin", crm)},
		{"/recordings/nobody", 404, header("Origin", crm)},
		{"/recordings/%0a", 400, header("Origin", crm)},
		{"/nowhere", 404, header("Origin", crm)},
	} {
		got := r.do("GET", c.path, c.header)
		if got.status != c.status || !got.allows(crm) || got.header["Vary"] != nil {
			t.Errorf("%s %v: %d %v", c.path, c.header, got.status, got.header)
		}
		for _, name := range []string{"Accept-Ranges", "Content-Range", "Content-Length", "ETag", "Content-Disposition"} {
			if !strings.Contains(got.header.Get("Access-Control-Expose-Headers"), name) {
				t.Errorf("%s: %s cannot be read", c.path, name)
			}
		}
	}
}

func TestSeveralOriginsAreEchoed(t *testing.T) {
	r := newRig(t, withOrigins(crm, other))
	r.call("call-1", r.file("a.wav", wav(1000)))
	for _, path := range []string{"/recordings/call-1", "/recordings/nobody", "/nowhere"} {
		for origin, allowed := range map[string]bool{
			crm: true, other: true,
			"": false, "null": false, "*": false, evil: false, "https://crm.example.lan:443": false, "http://crm.example.lan": false,
			"https://CRM.example.lan": false, crm + "/": false, crm + ", " + other: false, "https://evil." + crm[len("https://"):]: false,
		} {
			got := r.do("GET", path, header("Origin", origin))
			if got.allows(origin) != allowed || !allowed && !got.saysNothing() || !slices.Equal(got.header["Vary"], []string{"Origin"}) {
				t.Errorf("%s by %q: %v", path, origin, got.header)
			}
		}
	}
}

func TestPreflight(t *testing.T) {
	for _, origins := range [][]string{{crm}, {crm, other}} {
		r := newRig(t, withOrigins(origins...))
		got := r.do("OPTIONS", "/recordings/call-1", header("Origin", crm, "Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", "if-range,range"))
		if got.status != 204 || len(got.body) != 0 || !got.allows(crm) || got.header.Get("Access-Control-Allow-Methods") != "GET, HEAD" ||
			got.header.Get("Access-Control-Allow-Headers") != "Authorization, If-Range, Range" || got.header.Get("Access-Control-Max-Age") != "7200" ||
			got.header.Get("Access-Control-Allow-Private-Network") != "" {
			t.Errorf("%d %v", got.status, got.header)
		}
		if record := r.logged(got); record["route"] != "preflight" || record["status"] != 204.0 {
			t.Errorf("log %v", record)
		}
		got = r.do("OPTIONS", "/recordings/call-1", header("Origin", crm, "Access-Control-Request-Method", "GET", "Access-Control-Request-Private-Network", "true"))
		if got.status != 204 || got.header.Get("Access-Control-Allow-Private-Network") != "true" {
			t.Errorf("to a private network: %d %v", got.status, got.header)
		}
		got = r.do("OPTIONS", "/api/v2/file_urls.json", header("Origin", crm, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization,content-type"))
		if got.status != 204 || got.header.Get("Access-Control-Allow-Methods") != "POST" || got.header.Get("Access-Control-Allow-Headers") != "Authorization, Content-Type" {
			t.Errorf("to sign: %d %v", got.status, got.header)
		}
	}
}

func TestOptionsWorkOnlyAsAPreflightOfAKnownOrigin(t *testing.T) {
	for _, origins := range [][]string{{crm}, {crm, other}} {
		r := newRig(t, withOrigins(origins...))
		for name, header := range map[string]http.Header{
			"another origin":     header("Origin", evil, "Access-Control-Request-Method", "GET", "Access-Control-Request-Private-Network", "true"),
			"no origin":          header("Access-Control-Request-Method", "GET"),
			"null":               header("Origin", "null", "Access-Control-Request-Method", "GET"),
			"not a preflight":    header("Origin", crm),
			"nothing particular": nil,
		} {
			got := r.do("OPTIONS", "/recordings/call-1", header)
			if got.status != 405 || got.header.Get("Allow") != "GET, HEAD" || got.header["Access-Control-Allow-Methods"] != nil ||
				got.header["Access-Control-Allow-Private-Network"] != nil || got.allows(evil) || got.allows("null") {
				t.Errorf("%s: %d %v", name, got.status, got.header)
			}
		}
	}
}

// A preflight comes without credentials, and a refusal must say to the page
// that there was one.
func TestCORSWithoutACredential(t *testing.T) {
	config := withOrigins(crm)
	origins := config.and
	config.and = func(c *server.Config) {
		origins(c)
		c.Access = access.NewPolicy(access.NewFailures(), false, access.Tokens{})
	}
	r := newRig(t, config)
	if got := r.do("OPTIONS", "/recordings/call-1", header("Origin", crm, "Access-Control-Request-Method", "GET")); got.status != 204 {
		t.Errorf("preflight: %d", got.status)
	}
	if got := r.do("GET", "/recordings/call-1", header("Origin", crm)); got.status != 401 || !got.allows(crm) {
		t.Errorf("%d %v", got.status, got.header)
	}
}
