package server_test

import (
	"context"
	"net"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"testing"
	"time"

	"storagesrv/cmd/storagesrv/internal/access"
	"storagesrv/cmd/storagesrv/internal/server"
)

// A browser keeps cookies, and finds the server of a rig under any name.
type browser struct {
	rig  *rig
	http *http.Client
	sent []*http.Cookie // with the last request
}

func (r *rig) browser() *browser {
	r.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		r.t.Fatal(err)
	}
	b := &browser{rig: r}
	transport := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, strings.TrimPrefix(r.url, "http://"))
	}}
	r.t.Cleanup(transport.CloseIdleConnections)
	b.http = &http.Client{Jar: jar, Transport: roundTrip(func(request *http.Request) (*http.Response, error) {
		b.sent = request.Cookies()
		return transport.RoundTrip(request)
	})}
	return b
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// play asks for bytes of a link, and returns the status.
func (b *browser) play(link string) int {
	b.rig.t.Helper()
	request, err := http.NewRequestWithContext(b.rig.t.Context(), "GET", link, nil)
	if err != nil {
		b.rig.t.Fatal(err)
	}
	request.Header.Set("Range", "bytes=100-")
	response, err := b.http.Do(request)
	if err != nil {
		b.rig.t.Fatal(err)
	}
	response.Body.Close()
	return response.StatusCode
}

func TestWhoBeganBeforeTheLinkExpiredGoesOnSeeking(t *testing.T) {
	const one, two = "http://play.one.example", "http://play.two.example"
	clock := newClock()
	r, _ := guarded(t, func(c *server.Config) { c.Links = clock.keys(october) })
	at := func(host, id string) string {
		return r.signed(id, "?expires=60", "Host", strings.TrimPrefix(host, "http://"))
	}
	begun, elsewhere := at(one, "call-1"), at(two, "call-1")
	notBegun := r.signed("call-2", "?expires=60&file_id=02", "Host", "play.one.example")
	listener, latecomer := r.browser(), r.browser()
	for _, link := range []string{begun, elsewhere} {
		if status := listener.play(link); status != 206 || len(listener.sent) > 0 {
			t.Errorf("%s: %d with cookies %v", link, status, listener.sent)
		}
		if status := listener.play(link); status != 206 || len(listener.sent) != 1 {
			t.Errorf("%s again: %d with cookies %v", link, status, listener.sent)
		}
	}
	clock.forward(time.Hour)
	expect := func(what string, b *browser, link string, status, cookies int) {
		t.Helper()
		if got := b.play(link); got != status || len(b.sent) != cookies {
			t.Errorf("%s: %d with cookies %v", what, got, b.sent)
		}
	}
	expect("who began", listener, begun, 206, 1)
	expect("who began at another host", listener, elsewhere, 206, 1)
	expect("who did not", latecomer, begun, 403, 0)
	expect("a link that was not begun", listener, notBegun, 403, 0)
	expect("the link at another host", listener, two+strings.TrimPrefix(begun, one), 403, 1)
	expect("another call", listener, strings.Replace(begun, "call-1", "call-2", 1), 403, 0)
	expect("with more", listener, begun+"&a=b", 403, 1)
	if got := r.do("GET", strings.TrimPrefix(begun, one), header("Host", "play.one.example")); got.problemName(t) != "link-expired" {
		t.Errorf("%s", got.body)
	}
	clock.forward(24 * time.Hour)
	expect("long after", listener, begun, 403, 1)
}

func TestACookieIsSetWhenPlaybackBegins(t *testing.T) {
	clock := newClock()
	r, _ := guarded(t, func(c *server.Config) { c.Links = clock.keys(october) })
	link := r.signed("call-1", "?expires=60")
	first := r.get(link).header.Get("Set-Cookie")
	if !strings.HasPrefix(first, "play-") || !strings.HasSuffix(first, "; Path=/calls/file/call-1/signed; Max-Age=86459; HttpOnly; SameSite=Lax") &&
		!strings.HasSuffix(first, "; Path=/calls/file/call-1/signed; Max-Age=86460; HttpOnly; SameSite=Lax") {
		t.Errorf("cookie %s", first)
	}
	pair, _, _ := strings.Cut(first, ";")
	for what, got := range map[string]answer{
		"who has it":     r.do("GET", link, header("Cookie", pair)),
		"HEAD":           r.do("HEAD", link, nil),
		"info":           r.get(strings.Replace(link, "/signed", "/signed/info", 1)),
		"no recording":   r.get(r.signed("nobody", "")),
		"no valid link":  r.get(link + "&"),
		"another way in": r.do("GET", "/recordings/call-1", bearer),
	} {
		if cookie := got.header.Get("Set-Cookie"); cookie != "" {
			t.Errorf("%s: cookie %s", what, cookie)
		}
	}
	secure := r.signed("call-1", "", "X-Forwarded-Proto", "https")
	_, secure, _ = strings.Cut(strings.TrimPrefix(secure, "https://"), "/")
	got := r.do("GET", "/"+secure, header("X-Forwarded-Proto", "https"))
	if cookie := got.header.Get("Set-Cookie"); !strings.HasSuffix(cookie, "; HttpOnly; Secure; SameSite=None; Partitioned") {
		t.Errorf("over HTTPS: %s", cookie)
	}
	public := access.Origin{Scheme: "https", Host: "play.example.lan"}
	r.config.Public = &public
	r.reroute(r.config.Recordings.Entries()...)
	got = r.get(strings.TrimPrefix(r.signed("call-1", ""), public.String()))
	if cookie := got.header.Get("Set-Cookie"); !strings.HasSuffix(cookie, "; HttpOnly; Secure; SameSite=None; Partitioned") {
		t.Errorf("at a public_url with https: %s", cookie)
	}
}

func TestNoSecretIsLogged(t *testing.T) {
	clock := newClock()
	r, _ := guarded(t, func(c *server.Config) { c.Links = clock.keys(october) })
	link := r.signed("call-1", "?expires=60")
	query := link[strings.Index(link, "?")+1:]
	_, sign, _ := strings.Cut(query, "sign=")
	cookie, _, _ := strings.Cut(r.get(link).header.Get("Set-Cookie"), ";")
	name, value, _ := strings.Cut(cookie, "=")
	clock.forward(time.Hour)
	var last answer
	for _, h := range []http.Header{
		nil, bearer, basic, header("Cookie", cookie), header("Referer", "http://crm"+link), header("Range", "bytes=0-1"), header("User-Agent", link),
		header("Authorization", "Bearer "+token+"x"), header("Authorization", "Basic "+token), header("Authorization", token),
	} {
		for _, path := range []string{
			link, link + "&", link + "x", "/calls/file/call-1/signed/info?" + query, "/recordings/call-1?" + query, "/recordings/call-1?token=" + token,
			"/calls/file/call-1/signed%3F" + query, "/calls/file/call-1/signed%3f" + query, "/calls/file/call-1%3F" + query + "/signed",
			"/calls/file/call-1/signed%253F" + query, "/calls/file/call-1/signed&" + query, "/calls/file/call-1/signed/" + query, "/play/calls/file/call-1/signed;" + query,
			"/api/v2/calls/call-1.json?" + query, "/api/v2/calls/call-1.json/file_url.json?subject=a", "/nowhere?" + query,
		} {
			r.do("GET", path, h)
		}
		last = r.post("/api/v2/file_urls.json", `{"token": "`+token+`", "calls": [{"call_id": "call-1"}, {"call_id": "`+sign+`"}]}`, h)
	}
	r.logged(last)
	log := r.log.String() + r.metrics()
	for what, secret := range map[string]string{"token": token, "Basic": strings.TrimPrefix(basic.Get("Authorization"), "Basic "), "signature": sign,
		"cookie's name": name, "cookie": value, "key": string(october.Secret)} {
		if strings.Contains(log, secret) {
			t.Errorf("a %s is in the log, or in the metrics", what)
		}
	}
	if !strings.Contains(log, `"problem":"link-expired"`) || !strings.Contains(log, `"problem":"link-invalid"`) || !strings.Contains(log, `storagesrv_refusals_total{problem="link-invalid"}`) {
		t.Error("nothing of this was logged, or counted")
	}
}

func (r *rig) metrics() string { return string(r.doURL("GET", r.admin+"/metrics", nil).body) }
