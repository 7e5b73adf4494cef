package server_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"testing"

	"storagesrv/cmd/storagesrv/internal/access"
	"storagesrv/cmd/storagesrv/internal/server"
)

// asking makes a server ask a web app who may play.
func asking(t *testing.T, app http.HandlerFunc, config rigConfig) *rig {
	s := httptest.NewServer(app)
	t.Cleanup(s.Close)
	forward, err := access.NewForward(access.ForwardConfig{URL: s.URL, Headers: []string{"Cookie"}, Timeout: patient})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(forward.Close)
	config.and = func(c *server.Config) { c.Access = access.NewPolicy(access.NewFailures(), false, forward) }
	r := newRig(t, config)
	r.call("call-1", r.file("a.wav", wav(1000)))
	return r
}

func TestTheWebAppIsToldWhereAClientCameFrom(t *testing.T) {
	fields := header("X-Forwarded-For", "6.6.6.6, 192.168.1.7", "X-Forwarded-Proto", "HTTPS", "X-Forwarded-Host", "play.example.lan", "Host", "inner.example.lan")
	for name, c := range map[string]struct {
		proxies             []netip.Prefix
		proto, host, client string
	}{
		"by a proxy that is trusted": {[]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, "https", "play.example.lan", "192.168.1.7"},
		"by one that is not trusted": {nil, "http", "inner.example.lan", "127.0.0.1"},
	} {
		var asked http.Header
		r := asking(t, func(_ http.ResponseWriter, r *http.Request) { asked = r.Clone(context.Background()).Header }, rigConfig{proxies: c.proxies})
		if got := r.do("GET", "/recordings/call-1.wav?file_id=01", fields); got.status != 200 {
			t.Fatalf("%s: %d", name, got.status)
		}
		for field, want := range map[string]string{
			"X-Forwarded-Proto": c.proto, "X-Forwarded-Host": c.host, "X-Forwarded-For": c.client, "X-Original-Uri": "/recordings/call-1.wav?file_id=01",
			"X-Storagesrv-Call-Id": "call-1", "X-Storagesrv-File-Id": "01",
		} {
			if got := asked[field]; !slices.Equal(got, []string{want}) {
				t.Errorf("%s: %s is %q, want %q", name, field, got, want)
			}
		}
	}
}

func TestTheWebAppIsAskedBeforeTheRecorder(t *testing.T) {
	status := 0
	r := asking(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="crm", error="insufficient_scope"`)
		w.Header().Set("Location", "/login")
		w.WriteHeader(status)
	}, rigConfig{})
	for _, c := range []struct {
		app, status int
		problem     string
		challenged  bool
	}{
		{302, 401, "unauthenticated", false}, {401, 401, "unauthenticated", true}, {403, 403, "forbidden", true},
		{404, 503, "access-unavailable", false}, {500, 503, "access-unavailable", false},
	} {
		status = c.app
		for _, path := range []string{"/recordings/call-1", "/recordings/call-1/info", "/recordings/nobody"} {
			got := r.do("GET", path, header("Cookie", "session=secret"))
			r.wantRefused(path, got, c.problem, c.status)
			if challenged := got.header.Get("WWW-Authenticate") != ""; challenged != c.challenged || got.header.Get("Location") != "" {
				t.Errorf("%s, with %d: %v", path, c.app, got.header)
			}
		}
	}
	if n := r.recorder.Requests("call-1") + r.recorder.Requests("nobody"); n != 0 {
		t.Errorf("%d look-ups for somebody who is not let in", n)
	}
}
