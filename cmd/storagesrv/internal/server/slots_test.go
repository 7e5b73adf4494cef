package server_test

import (
	"testing"

	"storagesrv/cmd/storagesrv/internal/server"
)

// busy is a rig with a recording that is long, and call-1.
func busy(t *testing.T, and func(*server.Config)) *rig {
	r, _ := guarded(t, and, func(c *server.Config) { c.Access = nil }) // everyone
	r.call("long", r.file("long.wav", noisy(streamed, 1)))
	return r
}

func TestStreamsOfAClientAreLimited(t *testing.T) {
	r := busy(t, func(c *server.Config) { c.MaxStreamsPerClient = 2 })
	one, other := from("192.0.2.1"), from("192.0.2.2")
	app := from("192.0.2.1")
	app.Set("Authorization", bearer.Get("Authorization"))
	link := r.signed("call-1", "")

	first, second := open(t, r, "/recordings/long", one), open(t, r, "/recordings/long", one)
	for _, path := range []string{"/recordings/call-1", link} {
		got := r.do("GET", path, one)
		r.wantRefused(path, got, "too-many-streams", 429)
		if got.header.Get("Retry-After") == "" || got.header.Get("Set-Cookie") != "" || got.header.Get("ETag") != "" {
			t.Errorf("%s: %v", path, got.header)
		}
	}
	for what, got := range map[string]answer{
		"another client":             r.do("GET", "/recordings/call-1", other),
		"a server with a token":      r.do("GET", "/api/v2/calls/call-1.json/file", app),
		"who wants the headers only": r.do("HEAD", "/recordings/call-1", one),
		"who asks about a call":      r.do("GET", "/recordings/call-1/info", one),
	} {
		if got.status != 200 {
			t.Errorf("%s: %d %s", what, got.status, got.body)
		}
	}
	open(t, r, "/api/v2/calls/long.json/file", app) // goes on, and is not counted
	if _, err := first.rest(); err != nil {
		t.Fatal(err)
	}
	await(t, "the end of a stream", func() bool { return r.do("GET", "/recordings/call-1", one).status == 200 })
	second.Body.Close()
	third := open(t, r, "/recordings/long", one)
	await(t, "the end of one that was left", func() bool { return r.do("GET", "/recordings/call-1", one).status == 200 })
	third.Body.Close()
}

func TestAClientIsOneByAllAddressesOfItsNetwork(t *testing.T) {
	r := busy(t, func(c *server.Config) { c.MaxStreamsPerClient = 2 })
	open(t, r, "/recordings/long", from("2001:db8::1"))
	open(t, r, "/recordings/long", from("2001:db8::2"))
	r.wantRefused("a third address", r.do("GET", "/recordings/call-1", from("2001:db8::3:3")), "too-many-streams", 429)
	if got := r.do("GET", "/recordings/call-1", from("2001:db8:0:1::1")); got.status != 200 {
		t.Errorf("another network: %d", got.status)
	}
}

func TestStreamsOfAllAreLimited(t *testing.T) {
	r := busy(t, func(c *server.Config) { c.MaxStreams = 2 })
	first := open(t, r, "/recordings/long", from("192.0.2.1"))
	open(t, r, "/api/v2/calls/long.json/file", bearer)
	for _, path := range []string{"/recordings/call-1", "/api/v2/calls/call-1.json/file"} {
		got := r.do("GET", path, bearer)
		if r.wantRefused(path, got, "too-many-streams", 503); got.header.Get("Retry-After") == "" {
			t.Errorf("%s: %v", path, got.header)
		}
	}
	if got := r.do("HEAD", "/recordings/call-1", nil); got.status != 200 {
		t.Errorf("HEAD: %d", got.status)
	}
	if n := r.metric("storagesrv_streams"); n != "2" {
		t.Errorf("%s streams", n)
	}
	if _, err := first.rest(); err != nil {
		t.Fatal(err)
	}
	await(t, "the end of a stream", func() bool { return r.get("/recordings/call-1").status == 200 })
}
