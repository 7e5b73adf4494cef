//go:build integration && linux

package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"storagesrv/metadata"
	"storagesrv/metadata/metadatatest"
	"storagesrv/storage/sftp/sftptest"
)

// TestNoSecretIsTold asks for calls of all kinds with credentials of all kinds,
// right and wrong, of a program that has secrets of all kinds and logs all it can.
func TestNoSecretIsTold(t *testing.T) {
	h := startHolder(t)
	var n int
	for _, call := range h.calls {
		for _, path := range []string{
			"/recordings/" + call, "/recordings/" + call + "/info", "/recordings/" + call + "?token=" + h.token, "/calls/file/" + call + "/signed?" + h.query,
			"/api/v2/calls/" + call + ".json", "/api/v2/calls/" + call + ".json/file", "/api/v2/calls/" + call + ".json/file_url.json?subject=anna",
		} {
			credentials := h.credentials
			if call != "call-1" {
				credentials = credentials[:4]
			}
			for _, field := range credentials {
				n++ // each from another client, so that wrong ones are looked at
				name, value, _ := strings.Cut(field, ": ")
				h.server.ask("GET", "http://"+h.server.address+path, "X-Forwarded-For", fmt.Sprintf("10.0.%d.%d", n>>8, n&0xff), name, value)
			}
		}
	}
	for range 100 { // and one that guesses
		h.server.ask("GET", "http://"+h.server.address+"/recordings/call-1", "Authorization", "Bearer guessed-token")
	}
	_, metrics := h.server.ask("GET", "http://"+h.server.admin+"/metrics")
	_, ready := h.server.ask("GET", "http://"+h.server.admin+"/readyz")
	leaks.hearText("metrics", metrics+ready)
	h.server.terminate()
	h.server.ends()
	for _, told := range leaks.told() {
		t.Error(told)
	}
	for _, problem := range []string{
		"unauthenticated", "forbidden", "link-invalid", "link-expired", "too-many-failures", "access-unavailable", "bad-call-id", "call-not-found", "bad-metadata",
		"unmapped-path", "storage-denied", "storage-unavailable",
	} {
		if !strings.Contains(metrics, fmt.Sprintf("storagesrv_refusals_total{problem=%q}", problem)) {
			t.Errorf("nothing was refused as %s", problem)
		}
	}
	for _, way := range []string{"proxy", "redirect"} {
		if !strings.Contains(metrics, fmt.Sprintf(`storagesrv_fallbacks_total{result="ok",way=%q}`, way)) {
			t.Errorf("nothing was played by %s", way)
		}
	}
	for _, via := range []string{"token", "link", "forward", "jwt"} {
		if !strings.Contains(h.server.logged(), fmt.Sprintf(`"via":%q`, via)) {
			t.Errorf("nobody came in by %s", via)
		}
	}
}

// A holder is a program with secrets.
type holder struct {
	dir         string
	recorder    *metadatatest.Recorder
	server      *program
	calls       []string // some in vain
	token       string
	query       string   // of a link to call-1 that has expired
	credentials []string // fields of a request
}

func startHolder(t *testing.T) *holder {
	t.Helper()
	h := &holder{dir: t.TempDir(), token: "token-of-the-crm", recorder: metadatatest.New("playback", "password-at-the-recorder")}
	secrets := map[string]string{
		"password": "password-at-the-recorder", "key-1": "key-that-signs-links-since-today", "key-2": "key-that-signed-links-yesterday-", "sftp-1": "password-of-sftp", "sftp-2": "wrong-password-of-sftp",
	}
	leaks.keep(h.token, "guessed-token")
	for name, secret := range secrets {
		leaks.keep(secret)
		h.write(t, name, secret+"\n")
	}
	app, tokens, err := startWebapp()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(app.Close)
	api := httptest.NewServer(h.recorder)
	t.Cleanup(api.Close)
	archive, err := sftptest.Start(sftptest.Config{Dir: h.dir, User: "playback", Password: secrets["sftp-1"]})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { archive.Close() })
	recordIn(t, h.dir, sawtooth(3))
	h.addCalls()
	h.write(t, "storagesrv.yaml", fmt.Sprintf(`{http: {listen: "127.0.0.1:0", admin: "127.0.0.1:0", trusted_proxies: [127.0.0.1]},
		metadata: {url: %q, username: playback, password_file: password}, log: {level: debug}, audit: {quiet: 1s},
		storage: [{prefix: /r, mount: {root: %[2]q}}, {prefix: /s, sftp: {address: %[3]q, user: playback, password_file: sftp-1, host_key: %[4]q}},
		{prefix: /w, sftp: {address: %[3]q, user: playback, password_file: sftp-2, host_key: %[4]q}},
		{prefix: /d, sftp: {address: "127.0.0.1:1", user: playback, password_file: sftp-1, host_key: %[4]q}}],
		playback: {encrypted: proxy, missing: redirect, spool: {dir: %[2]q}},
		access: {tokens: [{name: crm, sha256: %[5]x}], signing_keys: [{id: "1", secret_file: key-1}, {id: "2", secret_file: key-2}],
		forward: {url: "%[6]s/may-play", user_header: X-Forwarded-User},
		jwt: {issuer: "https://id.example.lan", audience: storagesrv, jwks_url: "%[6]s/jwks", cookie: jwt, calls_claim: calls}}}`,
		api.URL, h.dir, archive.Addr(), archive.Fingerprint(), sha256.Sum256([]byte(h.token)), app.URL))
	h.server = startConfigured(t, h.dir)
	h.sign(t)
	h.credentials = append([]string{"Authorization: Bearer " + h.token, "Authorization: Bearer mistyped-token", "Cookie: session=anna-secret",
		"Authorization: Bearer " + tokens["JWT"]}, h.credentials...)
	h.credentials = append(h.credentials, "Accept: */*", "Authorization: Basic Y3JtOnRva2VuLW9mLXRoZS1jcm0=",
		"Authorization: Basic bWlzdHlwZWQ6cGFzc3dvcmQ=", "Authorization: token-without-a-scheme", "Cookie: session=stolen-secret", "Cookie: session=broken-secret",
		"Referer: http://crm/calls/file/call-1/signed?"+h.query, "User-Agent: "+h.query)
	for _, token := range tokens {
		h.credentials = append(h.credentials, "Authorization: Bearer "+token, "Cookie: jwt="+token)
	}
	return h
}

func (h *holder) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(h.dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// addCalls has the recorder know calls that are on storages that work and others,
// or that it has to play itself, and say odd things about some.
func (h *holder) addCalls() {
	stop := time.Date(2013, 10, 12, 16, 38, 56, 0, time.UTC)
	for id, file := range map[string]metadata.File{
		"call-1": {Path: "/r/a.wav"}, "call-2": {Path: "/s/a.wav"}, "denied": {Path: "/w/a.wav"}, "dead": {Path: "/d/a.wav"},
		"hostile": {Path: "/r/../../etc/passwd"}, "nowhere": {Path: "/elsewhere/a.wav"}, "lost": {Path: "/r/lost.wav"},
		"encrypted": {Path: "/r/a.wav", Encrypted: true}, "unknown-there": {Path: "/r/a.wav", Encrypted: true}, "missing": {Path: "/r/gone.wav"},
		"elsewhere": {Path: "/r/gone.wav"}, "odd": {Path: "/r/gone.wav"}, "torn": {Path: "/r/gone.wav"}, "refused": {Path: "/r/gone.wav"},
	} {
		file.ID, file.Start, file.Stop = "01", stop.Add(-time.Minute), stop
		h.recorder.Set(metadata.Call{ID: id, State: 6, Files: []metadata.File{file}})
		if id == "encrypted" || id == "missing" {
			h.recorder.SetContent(id, "01", metadatatest.Content{Data: sawtooth(3)})
		}
		h.calls = append(h.calls, id)
	}
	h.calls = append(h.calls, "nobody", "no.call")
	h.recorder.FailLink("elsewhere", metadatatest.Body("application/json", `{"signed_url": "https://elsewhere.example/calls?sign=S1gnature-of-a-recorder"}`))
	h.recorder.FailLink("odd", metadatatest.Body("application/json", `{"signed_url": "http://%zz?sign=S1gnature-of-a-recorder"}`))
	h.recorder.FailLink("torn", metadatatest.Body("application/json", `{"signed_url": "http://x/?sign=S1gnature-of-a-recorder`))
	h.recorder.FailLink("refused", metadatatest.Redirect("/login?sign=S1gnature-of-a-recorder"))
	leaks.keep("S1gnature")
}

// sign gets links to call-1, uses one, which gives a cookie, and waits until it
// has expired.
func (h *holder) sign(t *testing.T) {
	t.Helper()
	link := func(expires string) string {
		_, body := h.server.ask("GET", "http://"+h.server.address+"/api/v2/calls/call-1.json/file_url.json?expires="+expires, "Authorization", "Bearer "+h.token)
		var link struct{ Signed_URL string }
		if err := json.Unmarshal([]byte(body), &link); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		return link.Signed_URL
	}
	response, _ := h.server.ask("GET", link("3600"))
	for _, cookie := range response.Cookies() {
		h.credentials = append(h.credentials, "Cookie: "+cookie.Name+"="+cookie.Value)
		leaks.keep(cookie.Name)
	}
	expiring := link("1")
	_, h.query, _ = strings.Cut(expiring, "?")
	_, sign, _ := strings.Cut(h.query, "sign=")
	leaks.keep(sign)
	h.server.await("the end of the link", func() bool {
		_, body := h.server.ask("GET", expiring)
		return strings.Contains(body, "link-expired")
	})
}
