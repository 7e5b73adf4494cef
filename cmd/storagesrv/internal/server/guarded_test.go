package server_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"storagesrv/cmd/storagesrv/internal/access"
	"storagesrv/cmd/storagesrv/internal/server"
)

// token is that of the web app called crm.
const token = "8f14e45fceea167a5a36dedd4bea2543"

var (
	bearer  = header("Authorization", "Bearer "+token)
	basic   = header("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("crm:"+token)))
	october = access.Key{ID: "2026-10", Secret: []byte(strings.Repeat("october.", 4))}
	winter  = access.Key{ID: "2026-12", Secret: []byte(strings.Repeat("december", 4))}
)

// A clock is what time it is for links.
type clock struct {
	mu  sync.Mutex
	now time.Time // guarded by mu
}

func newClock() *clock { return &clock{now: time.Now()} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) forward(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func (c *clock) keys(keys ...access.Key) *access.Keys {
	return access.NewKeys(access.KeysConfig{Keys: keys, MaxExpires: 24 * time.Hour, Failures: access.NewFailures(), Now: c.Now})
}

// guard makes a server take the token, sign links, and let in nobody else.
func guard(config *server.Config) {
	tokens := []access.Token{{Name: "crm", Hash: sha256.Sum256([]byte(token))}}
	failures := access.NewFailures()
	config.Access = access.NewPolicy(failures, false, access.Tokens{List: tokens})
	config.API = access.NewPolicy(failures, false, access.Tokens{List: tokens, OfferBasic: true})
	config.Links = newClock().keys(october)
}

// guarded is a rig that is guarded, with a recording of call-1 and two of
// call-2, and then changed by each of and.
func guarded(t testing.TB, and ...func(*server.Config)) (r *rig, content []byte) {
	t.Helper()
	r = newRig(t, rigConfig{
		ttl:     cached,
		proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		and: func(config *server.Config) {
			guard(config)
			for _, change := range and {
				change(config)
			}
		},
	})
	content = wav(1000)
	r.call("call-1", r.file("20131012/a.wav", content))
	r.call("call-2", r.file("20131012/b.wav", wav(1001)), r.file("20131012/c.wav", wav(1002)))
	return r, content
}

// signed asks for a link to a recording, and returns it without the server's
// address in front.
func (r *rig) signed(id, query string, more ...string) string {
	r.t.Helper()
	h := header(more...)
	h.Set("Authorization", bearer.Get("Authorization"))
	got := r.do("GET", "/api/v2/calls/"+id+".json/file_url.json"+query, h)
	var link struct {
		SignedURL string `json:"signed_url"`
	}
	if err := json.Unmarshal(got.body, &link); err != nil || got.status != 200 || link.SignedURL == "" {
		r.t.Fatalf("no link: %d %s", got.status, got.body)
	}
	return strings.TrimPrefix(link.SignedURL, r.url)
}

// wantRefused asserts that an answer is a problem.
func (r *rig) wantRefused(what string, got answer, name string, status int) {
	r.t.Helper()
	if got.status != status || got.problemName(r.t) != name {
		r.t.Errorf("%s: %d %.300q, want %d %s", what, got.status, got.body, status, name)
	}
}

// wantRecording asserts that an answer is a whole recording.
func (r *rig) wantRecording(what string, got answer, content []byte) {
	r.t.Helper()
	if got.status != 200 || string(got.body) != string(content) {
		r.t.Errorf("%s: %d, %d bytes, %.300q", what, got.status, len(got.body), got.body)
	}
}

// from makes a request come from an address of its own.
func from(client string) http.Header { return header("X-Forwarded-For", client) }
