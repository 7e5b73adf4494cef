//go:build integration && linux

package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// linkLife is how long a signed link of the site is good: longer than a browser
// takes to follow one.
const linkLife = 20 * time.Second

// wavHeaderSize is how much comes before the samples of a sawtooth.
const wavHeaderSize = 44

// A way is one of those in which a web app plays a recording.
type way struct {
	player   string // the element of the page
	call     int
	url      string // where the browser gets the recording, up to the query
	who, via string // as storagesrv knows the listener
}

// TestThreeWaysInChromium logs in to the sample app, and clicks on a call in each
// of the three ways.
func TestThreeWaysInChromium(t *testing.T) {
	s := startSite(t)
	t.Setenv("TMPDIR", t.TempDir()) // where the browser's profile is
	b := startBrowser(t, s.app, chromedp.Flag("host-resolver-rules", "MAP app.example.test 127.0.0.2, MAP play.example.test 127.0.0.1"))
	if got := browse(t, b, chromedp.NavigateResponse(s.app+"/")); got.Status != 401 {
		t.Errorf("before the login: %d", got.Status)
	}
	b.do(t, chromedp.Navigate(s.app+"/login"))
	b.do(t, chromedp.Evaluate[chromedp.Void](helpers))
	if n := await[int](t, b, "document.querySelectorAll('p').length"); n != calls {
		t.Fatalf("%d calls on the page", n)
	}
	ways := []way{
		{"way1-call-07", 7, s.play + "/calls/file/call-07/signed", "anna", "link"},
		{"way2-call-23", 23, s.app + "/way2/call-23", "crm", "token"},
		{"way3-call-50", 50, s.play + "/recordings/call-50", "anna", "forward"},
	}
	if b.asked("call-") != nil {
		t.Error("recordings were asked for before somebody clicked")
	}
	for _, w := range ways {
		played := t.Run(w.player, func(t *testing.T) {
			b.click(t, w.player)
			if p := b.plays(t, w.player, 0); p.Duration != float64(seconds(w.call)) {
				t.Errorf("%+v", p)
			}
			await[player](t, b, "seek(player(%q), 1800)", w.player)
			b.plays(t, w.player, 1800)
			b.checkAskedFor(t, w.url, 1800)
			b.pause(t, w.player)
		})
		if !played {
			t.FailNow()
		}
	}
	late := s.checkExpiry(t, b, ways[0])
	s.checkOutsiders(t)
	b.do(t, chromedp.Navigate("about:blank")) // so that no stream runs on
	s.server.terminate()
	s.server.ends()
	for _, w := range ways {
		s.checkLogged(t, w)
	}
	served := fmt.Sprintf(`"request_id":%q,.*"status":206,.*"who":"anna","via":"link"`, late)
	if !regexp.MustCompile(served).MatchString(s.server.logged()) {
		t.Errorf("no %s in the log\n%s", served, s.server.logged())
	}
}

// checkExpiry seeks in a player when its link has expired. It returns the id of
// a request that was made then.
func (s *site) checkExpiry(t *testing.T, b *browser, w way) (requestID string) {
	link := b.asked(w.url).URL
	path := strings.TrimPrefix(link, s.play)
	_, sign, _ := strings.Cut(path, "sign=")
	leaks.keep(sign)
	s.server.await("the end of the link", func() bool {
		response, body := s.server.ask("GET", "http://"+s.server.address+path)
		return response.StatusCode == 403 && strings.Contains(body, "link-expired")
	})
	b.forget()
	b.do(t, chromedp.Evaluate[chromedp.Void](fmt.Sprintf("player(%q).play()", w.player)))
	await[player](t, b, "seek(player(%q), 3000)", w.player)
	b.plays(t, w.player, 3000)
	b.checkAskedFor(t, w.url, 3000)
	again := b.asked(w.url)
	if again.URL != link {
		t.Error("the player has got another link")
	}
	b.pause(t, w.player)
	another := new(browser)
	another.ctx, _ = chromedp.NewContext(b.ctx, chromedp.WithNewBrowserContext()) // ends with the browser
	if got := browse(t, another, chromedp.NavigateResponse(link)); got.Status != 403 {
		t.Errorf("another profile gets %d by the link", got.Status)
	}
	requestID, _ = again.Headers["X-Request-Id"].(string)
	return requestID
}

// checkOutsiders asks for recordings as somebody who is not logged in.
func (s *site) checkOutsiders(t *testing.T) {
	for _, url := range []string{s.appAddress + "/way1/call-07", s.appAddress + "/way2/call-07", s.server.address + "/recordings/call-07"} {
		for _, cookie := range []string{"", "session=guessed"} {
			if response, _ := s.server.ask("GET", "http://"+url, "Cookie", cookie); response.StatusCode != 401 {
				t.Errorf("%s: %s with cookie %q", url, response.Status, cookie)
			}
		}
	}
}

// checkLogged makes sure that log and audit have who listened, and how they
// were let in.
func (s *site) checkLogged(t *testing.T, w way) {
	audit, err := os.ReadFile(filepath.Join(s.dir, "audit.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	leaks.hearText("audit", string(audit))
	for what, text := range map[string]string{"log": s.server.logged(), "audit": string(audit)} {
		var found bool
		for line := range strings.Lines(text) {
			var r struct {
				CallID       string `json:"call_id"`
				Msg, Event   string
				Who, Via     string
				Status       int
				Range, Store string
			}
			if err := json.Unmarshal([]byte(line), &r); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			found = found || r.CallID == fmt.Sprintf("call-%02d", w.call) && r.Who == w.who && r.Via == w.via && (r.Event == "started" || r.Status == 206)
		}
		if !found {
			t.Errorf("nobody plays call %d as %q via %s in the %s:\n%s", w.call, w.who, w.via, what, text)
		}
	}
}

// calls is how many there are on the page of a site.
const calls = 50

// seconds is how long a call takes: each another time.
func seconds(call int) int { return 3600 + call }

// A site is the sample app and storagesrv, at two hosts of one domain.
type site struct {
	app, play  string // as browsers call them
	appAddress string
	dir        string // of the configuration
	server     *program
}

func startSite(t *testing.T) *site {
	t.Helper()
	// Ports that were free a moment ago. Nothing else here uses 127.0.0.2, and the
	// name of the other has to be known before it listens.
	s := &site{appAddress: freeAddress(t, "127.0.0.2"), dir: t.TempDir()}
	public := freeAddress(t, "127.0.0.1")
	s.app = strings.Replace("http://"+s.appAddress, "127.0.0.2", "app.example.test", 1)
	s.play = strings.Replace("http://"+public, "127.0.0.1", "play.example.test", 1)
	token, key := "token-of-the-crm", "key-that-signs-links-of-the-site"
	leaks.keep(token, key)
	var catalog []string
	for i := 1; i <= calls; i++ {
		name := fmt.Sprintf("call-%02d", i)
		recordSilence(t, filepath.Join(s.dir, name+".wav"), seconds(i))
		catalog = append(catalog, fmt.Sprintf(`{"call_id": %q, "files": [{"stop_time": "2013-10-12T16:38:56Z", "file_path": "/r/%[1]s.wav"}]}`, name))
	}
	for name, text := range map[string]string{
		"token": token,
		"key":   key,
		"storagesrv.yaml": fmt.Sprintf(`{http: {listen: %q, admin: "127.0.0.1:0", public_url: %q}, metadata: {catalog: calls.json},
			storage: [{prefix: /r, mount: {root: %q}}], audit: {file: audit.jsonl}, access: {tokens: [{name: crm, sha256: %x}],
			signing_keys: [{id: one, secret_file: key}], forward: {url: "http://%s/may-play", user_header: X-Forwarded-User}}}`,
			public, s.play, s.dir, sha256.Sum256([]byte(token)), s.appAddress),
		"calls.json": "[" + strings.Join(catalog, ",") + "]",
	} {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.server = startConfigured(t, s.dir)
	s.startApp(t, public)
	return s
}

// startApp starts the sample app, and keeps its cookie.
func (s *site) startApp(t *testing.T, public string) {
	t.Helper()
	binary, err := buildSampleapp(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"-storagesrv", "http://" + public, "-play", s.play, "-domain", "example.test",
		"-token-file", filepath.Join(s.dir, "token"), "-expires", fmt.Sprint(linkLife.Seconds())}
	for i := 1; i <= calls; i++ {
		args = append(args, fmt.Sprintf("call-%02d", i))
	}
	session, stop, err := startSampleapp(binary, s.appAddress, args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	leaks.keep(session.Value)
}

// recordSilence makes a recording that takes as good as no room: after a second of
// tone it is silent.
func recordSilence(t *testing.T, path string, seconds int) {
	t.Helper()
	longAgo := time.Date(2013, 10, 12, 16, 38, 56, 0, time.UTC)
	for _, err := range []error{
		os.WriteFile(path, append(wavHeader(seconds), sawtooth(1)[wavHeaderSize:]...), 0o644),
		os.Truncate(path, int64(wavHeaderSize+8000*seconds)),
		os.Chtimes(path, longAgo, longAgo),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// freeAddress returns an address that was free a moment ago.
func freeAddress(t *testing.T, host string) string {
	t.Helper()
	listener, err := net.Listen("tcp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}
