//go:build integration && linux

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// The snippets of docs/ run as they stand there, with addresses that exist, in an
// app of the least that each needs around it. Its users are anna, who may play all
// calls but call-2, and otto, who may play none; the cookie session=NAME is all
// that it takes to be one.

// A stack is what a snippet is written for, and runs it.
type stack struct {
	language string // as the code block says
	path     string // of its app in ways 1 and 2, before the call
	mayPlay  string // path of its app in way 3
	run      func(t *testing.T, s *snippetSite, code string)
}

var stacks = []stack{
	{"go", "/recording/", "/may-play", runGo},
	{"js", "/recording/", "/may-play", runNode},
	{"php", "/recording.php?call=", "/may-play.php", runPHP},
}

func TestSnippetsOfWay1(t *testing.T) {
	for _, stack := range stacks {
		t.Run(stack.language, func(t *testing.T) {
			s := newSnippetSite(t, stack)
			stack.run(t, s, snippet(t, "docs/way1.md", stack.language))
			s.checkPlays(t, s.url(stack.path))
			s.checkRefuses(t, s.url(stack.path), 403, 403)
			s.checkStatus(t, s.url(stack.path)+"nobody", "session=anna", 404)
			s.checkOutage(t, s.url(stack.path))
		})
	}
	t.Run("nginx", func(t *testing.T) {
		s := newSnippetSite(t, stacks[0])
		s.runNginx(t, snippet(t, "docs/way1.md", "nginx"), "127.0.0.1:8080", s.server.address)
		link := s.sign(t)
		s.checkPlays(t, strings.Replace(link, "call-1", "", 1))
		s.checkStatus(t, strings.Replace(link, "call-1", "call-2", 1), "", 403)
	})
}

func TestSnippetsOfWay2(t *testing.T) {
	for _, stack := range stacks {
		t.Run(stack.language, func(t *testing.T) {
			s := newSnippetSite(t, stack)
			stack.run(t, s, snippet(t, "docs/way2.md", stack.language))
			s.checkPlays(t, s.url(stack.path))
			s.checkPassesOn(t, s.url(stack.path))
			s.checkLeaving(t, s.url(stack.path))
			s.checkRefuses(t, s.url(stack.path), 403, 403)
			s.checkStatus(t, s.url(stack.path)+"nobody", "session=anna", 404)
			s.checkOutage(t, s.url(stack.path))
		})
	}
	t.Run("nginx", func(t *testing.T) {
		s := newSnippetSite(t, stacks[0])
		runGo(t, s, snippet(t, "docs/way2.md", "go"))
		s.runNginx(t, snippet(t, "docs/way2.md", "nginx"), "127.0.0.1:3000", s.app)
		s.checkPlays(t, "http://"+s.nginx+"/recording/")
		s.checkRefuses(t, "http://"+s.nginx+"/recording/", 403, 403)
	})
}

func TestSnippetsOfWay3(t *testing.T) {
	for _, stack := range stacks {
		t.Run(stack.language, func(t *testing.T) {
			s := newSnippetSite(t, stack)
			stack.run(t, s, snippet(t, "docs/way3.md", stack.language))
			s.checkPlays(t, "http://"+s.server.address+"/recordings/")
			s.checkRefuses(t, "http://"+s.server.address+"/recordings/", 401, 403)
			s.server.awaitLogged(`"who":"anna","via":"forward"`)
		})
	}
	for _, page := range []string{"docs/way3.md", "README.md"} {
		t.Run("nginx of "+page, func(t *testing.T) {
			s := newSnippetSite(t, stacks[0])
			runGo(t, s, snippet(t, "docs/way3.md", "go"))
			s.runNginx(t, snippet(t, page, "nginx"), "127.0.0.1:8080", s.server.address)
			s.checkPlays(t, "http://"+s.nginx+"/recordings/")
			s.checkRefuses(t, "http://"+s.nginx+"/recordings/", 401, 403)
		})
	}
}

// snippet returns the code of a page in some language, of which there is one
// block, short enough to be read.
func snippet(t *testing.T, page, language string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(page)))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?s)\n```"+language+"\n(.*?)\n```\n").FindAllSubmatch(text, -1)
	if len(found) != 1 {
		t.Fatalf("%d blocks of %s in %s", len(found), language, page)
	}
	code := string(found[0][1])
	if n := strings.Count(code, "\n") + 1; n > 15 {
		t.Errorf("%d lines of %s in %s", n, language, page)
	}
	return code
}

// replaced returns code with what has to be in it replaced.
func replaced(t *testing.T, code string, oldnew ...string) string {
	t.Helper()
	for i := 0; i < len(oldnew); i += 2 {
		if !strings.Contains(code, oldnew[i]) {
			t.Fatalf("no %s in\n%s", oldnew[i], code)
		}
	}
	return strings.NewReplacer(oldnew...).Replace(code)
}

// A snippetSite is storagesrv with the calls call-1 and call-2, and an hour that
// is another one, and addresses for an app and an nginx around it.
type snippetSite struct {
	dir, app, nginx string
	server          *program
	recording       []byte
	token           string
}

// newSnippetSite has the listeners asked about at an app's.
func newSnippetSite(t *testing.T, app stack) *snippetSite {
	t.Helper()
	s := &snippetSite{dir: t.TempDir(), app: freeAddress(t, "127.0.0.2"), nginx: freeAddress(t, "127.0.0.3"), recording: sawtooth(600), token: "token-of-a-snippet"}
	leaks.keep(s.token, "key-that-signs-links-of-a-snippet")
	recordIn(t, s.dir, s.recording)
	s.write(t, "key", "key-that-signs-links-of-a-snippet")
	s.write(t, "calls.json", `[{"call_id": "call-1", "files": [{"stop_time": "2013-10-12T16:38:56Z", "file_path": "/r/a.wav"}]},
		{"call_id": "call-2", "files": [{"stop_time": "2013-10-12T16:38:56Z", "file_path": "/r/a.wav"}]},
		{"call_id": "hour", "files": [{"stop_time": "2013-10-12T16:38:56Z", "file_path": "/r/hour.wav"}]}]`)
	recordSilence(t, filepath.Join(s.dir, "hour.wav"), 3600)
	s.write(t, "storagesrv.yaml", fmt.Sprintf(`{http: {listen: "127.0.0.1:0", admin: "127.0.0.1:0", trusted_proxies: [127.0.0.1]}, metadata: {catalog: calls.json},
		storage: [{prefix: /r, mount: {root: %q}}], access: {tokens: [{name: crm, sha256: %x}], signing_keys: [{id: one, secret_file: key}],
		forward: {url: "http://%s%s", headers: [Cookie, Authorization], user_header: X-Forwarded-User}}}`, s.dir, sha256.Sum256([]byte(s.token)), s.app, app.mayPlay))
	s.server = startConfigured(t, s.dir)
	return s
}

func (s *snippetSite) write(t *testing.T, name, text string) (path string) {
	t.Helper()
	path = filepath.Join(s.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func (s *snippetSite) url(path string) string { return "http://" + s.app + path }

// sign returns a link to call-1 as nginx is asked for it.
func (s *snippetSite) sign(t *testing.T) string {
	t.Helper()
	response, body := s.server.ask("GET", "http://"+s.server.address+"/api/v2/calls/call-1.json/file_url.json",
		"Authorization", "Bearer "+s.token, "X-Forwarded-Host", "127.0.0.3")
	var link struct{ Signed_URL string }
	if err := json.Unmarshal([]byte(body), &link); err != nil {
		t.Fatalf("%s: %s", response.Status, body)
	}
	_, sign, _ := strings.Cut(link.Signed_URL, "sign=")
	leaks.keep(sign)
	return replaced(t, link.Signed_URL, "http://127.0.0.3/", "http://"+s.nginx+"/")
}

// get asks as who has a cookie, and follows where that leads.
func (s *snippetSite) get(t *testing.T, url, cookie string, header ...string) (*http.Response, []byte) {
	t.Helper()
	return s.do(t, "GET", url, cookie, header...)
}

func (s *snippetSite) do(t *testing.T, method, url, cookie string, header ...string) (*http.Response, []byte) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Cookie", cookie)
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Error(err)
	}
	return response, body
}

// checkPlays plays call-1 as anna, at an address that the call is put into: whole,
// in part, and in part only if it is still the same.
func (s *snippetSite) checkPlays(t *testing.T, url string) {
	t.Helper()
	url = withCall(url, "call-1")
	whole, body := s.get(t, url, "session=anna")
	etag := whole.Header.Get("ETag")
	if whole.StatusCode != 200 || !bytes.Equal(body, s.recording) || whole.Header.Get("Content-Type") != "audio/wav" || whole.Header.Get("Accept-Ranges") != "bytes" || etag == "" {
		t.Fatalf("%s, %d bytes, %v", whole.Status, len(body), whole.Header)
	}
	for _, same := range []string{"", etag} {
		part, body := s.get(t, url, "session=anna", "Range", "bytes=4000000-4000099", "If-Range", same)
		if part.StatusCode != 206 || !bytes.Equal(body, s.recording[4_000_000:4_000_100]) || part.Header.Get("Content-Range") != fmt.Sprintf("bytes 4000000-4000099/%d", len(s.recording)) {
			t.Errorf("a range: %s, %d bytes, %v", part.Status, len(body), part.Header)
		}
	}
	if all, body := s.get(t, url, "session=anna", "Range", "bytes=4000000-4000099", "If-Range", `"another"`); all.StatusCode != 200 || !bytes.Equal(body, s.recording) {
		t.Errorf("a range of another version: %s, %d bytes, %v", all.Status, len(body), all.Header)
	}
	if beyond, _ := s.get(t, url, "session=anna", "Range", "bytes=90000000-"); beyond.StatusCode != 416 {
		t.Errorf("a range beyond the end: %s", beyond.Status)
	}
}

// checkPassesOn makes sure that an app asks for no more than it was asked for.
func (s *snippetSite) checkPassesOn(t *testing.T, url string) {
	t.Helper()
	head, body := s.do(t, "HEAD", url+"call-1", "session=anna")
	if head.StatusCode != 200 || len(body) > 0 || head.ContentLength != int64(len(s.recording)) || head.Header.Get("Content-Type") != "audio/wav" {
		t.Errorf("HEAD: %s, %v", head.Status, head.Header)
	}
	s.server.awaitLogged(`"method":"HEAD"`)
	for _, condition := range [][2]string{{"If-None-Match", head.Header.Get("ETag")}, {"If-Modified-Since", head.Header.Get("Last-Modified")}} {
		if same, body := s.get(t, url+"call-1", "session=anna", condition[0], condition[1]); same.StatusCode != 304 || len(body) > 0 {
			t.Errorf("%s: %s, %d bytes", condition[0], same.Status, len(body))
		}
	}
}

// withCall puts a call where a link has none, or at the end.
func withCall(url, call string) string {
	if before, after, found := strings.Cut(url, "//signed?"); found {
		return before + "/" + call + "/signed?" + after
	}
	return url + call
}

// checkRefuses asks as nobody, and then as those who may not play a call.
func (s *snippetSite) checkRefuses(t *testing.T, url string, nobody, forbidden int) {
	t.Helper()
	s.checkStatus(t, url+"call-1", "", nobody)
	s.checkStatus(t, url+"call-1", "session=otto", forbidden)
	s.checkStatus(t, url+"call-2", "session=anna", forbidden)
}

func (s *snippetSite) checkStatus(t *testing.T, url, cookie string, want int) {
	t.Helper()
	if got, body := s.get(t, url, cookie); got.StatusCode != want {
		t.Errorf("%s as %q: %s, want %d; %d bytes", url, cookie, got.Status, want, len(body))
	}
}

// checkLeaving makes sure that an app takes no more of a recording whose listener
// has gone.
func (s *snippetSite) checkLeaving(t *testing.T, url string) {
	t.Helper()
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	request, err := http.NewRequestWithContext(ctx, "GET", url+"hour", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Cookie", "session=anna")
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := io.ReadFull(response.Body, make([]byte, 10_000)); err != nil {
		t.Fatalf("%s: %v", response.Status, err)
	}
	leave()
	var record struct {
		Status int
		Bytes  int64
	}
	s.server.await("the end of the request", func() bool {
		line := regexp.MustCompile(`.*"route":"file",.*"call_id":"hour".*`).FindString(s.server.logged())
		return line != "" && json.Unmarshal([]byte(line), &record) == nil
	})
	if record.Bytes >= response.ContentLength {
		t.Errorf("%+v of %d bytes", record, response.ContentLength)
	}
}

// checkOutage makes sure that an app whose storagesrv is gone says so.
func (s *snippetSite) checkOutage(t *testing.T, url string) {
	t.Helper()
	s.server.terminate()
	s.server.ends()
	s.checkStatus(t, url+"call-1", "session=anna", 502)
}

// playInternal is what the pages call storagesrv's address.
const playInternal = "http://play-internal:8080"

// runGo has the app's question asked where a comment is in the way of the code.
func runGo(t *testing.T, s *snippetSite, code string) {
	if strings.Contains(code, playInternal) {
		code = replaced(t, code, playInternal, "http://"+s.server.address, `// here: may this user play r.PathValue("call")?`,
			"\n"+`if u := userOf(r); u == nil || !u.MayPlay(r.PathValue("call")) { w.WriteHeader(http.StatusForbidden); return }`)
	}
	source := s.write(t, "app.go", replaced(t, `package main

import (
	"encoding/json"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
)

var token = os.Getenv("STORAGESRV_TOKEN")
var _, _, _ = json.Marshal, url.Parse, httputil.DumpRequest // not each snippet needs them

type user struct{ Name string }

func (u *user) MayPlay(call string) bool { return u.Name == "anna" && call != "call-2" }

func userOf(r *http.Request) *user {
	cookie, err := r.Cookie("session")
	if err != nil {
		return nil
	}
	return &user{cookie.Value}
}

func main() {
	SNIPPET
	panic(http.ListenAndServe(os.Args[1], nil))
}
`, "SNIPPET", code))
	binary := filepath.Join(s.dir, "app")
	if out, err := exec.Command("go", "build", "-o", binary, source).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s.start(t, s.app, binary, s.app)
}

func runNode(t *testing.T, s *snippetSite, code string) {
	if strings.Contains(code, playInternal) {
		code = replaced(t, code, playInternal, "http://"+s.server.address, "// here: may this user play req.params.call?",
			"if (!mayPlay(req.session.user, req.params.call)) return res.sendStatus(403);")
	}
	script := s.write(t, "app.js", replaced(t, `
const http = require('node:http');
const { pipeline } = require('node:stream');
const app = require('express')();
const mayPlay = (user, call) => user === 'anna' && call !== 'call-2';
app.use((req, res, next) => { req.session = { user: /^session=(.*)/.exec(req.headers.cookie)?.[1] }; next(); });
SNIPPET
const [host, port] = process.argv[2].split(':');
app.listen(port, host);
`, "SNIPPET", code))
	s.start(t, s.app, "node", script, s.app)
}

// runPHP keeps users where PHP's own sessions have them.
func runPHP(t *testing.T, s *snippetSite, code string) {
	if strings.Contains(code, playInternal) {
		first, rest, _ := strings.Cut(code, "\n")
		code = first + "\nif (!may_play($_COOKIE['session'] ?? '', $_GET['call'])) { http_response_code(403); exit; }\n" +
			replaced(t, rest, playInternal, "http://"+s.server.address)
	}
	name, _, _ := strings.Cut(replaced(t, code, "<?php // ", ""), ".php")
	s.write(t, name+".php", code)
	s.write(t, "before.php", `<?php function may_play($user, $call) { return $user === 'anna' && $call !== 'call-2'; }`)
	s.write(t, "sess_anna", `user|s:4:"anna";`)
	s.write(t, "sess_otto", `user|s:4:"otto";`)
	s.start(t, s.app, "php", "-S", s.app, "-t", s.dir, "-d", "auto_prepend_file="+filepath.Join(s.dir, "before.php"),
		"-d", "session.save_path="+s.dir, "-d", "session.name=session", "-d", "session.use_strict_mode=0")
}

// runNginx has a snippet lead to a server.
func (s *snippetSite) runNginx(t *testing.T, code, documented, address string) {
	t.Helper()
	code = replaced(t, code, "http://"+documented, "http://"+address)
	config := s.write(t, "nginx.conf", fmt.Sprintf(`daemon off; master_process off; pid nginx.pid; events {}
		http { access_log off; client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3; uwsgi_temp_path t4; scgi_temp_path t5;
		server { listen %s;
		%s
		} }`, s.nginx, code))
	s.start(t, s.nginx, "nginx", "-p", s.dir, "-c", config, "-e", "stderr")
}

// start runs a program until the test ends, and waits until it listens.
func (s *snippetSite) start(t *testing.T, address, name string, args ...string) {
	t.Helper()
	command := exec.Command(name, args...)
	var said bytes.Buffer
	command.Dir, command.Stdout, command.Stderr = s.dir, &said, &said
	command.Env = append(os.Environ(), "STORAGESRV_TOKEN="+s.token, "NODE_PATH=/usr/share/nodejs") // where Debian has Express
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { // ends with the program
		command.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		command.Process.Kill()
		<-ended
		if t.Failed() {
			t.Logf("%s says:\n%s", name, &said)
		}
	})
	for deadline := time.Now().Add(time.Minute); ; {
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
			return
		}
		select {
		case <-ended:
			t.Fatalf("%s ended: %s", name, &said)
		case <-time.After(10 * time.Millisecond):
			if time.Now().After(deadline) {
				t.Fatalf("%s does not listen at %s", name, address)
			}
		}
	}
}
