package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"storagesrv/cmd/storagesrv/internal/config"
	"storagesrv/cmd/storagesrv/internal/demo"
	"storagesrv/storage/storagetest"
)

// A runningDemo is the real command, run until the test ends.
type runningDemo struct {
	url    string
	text   string // what it printed
	client *http.Client
	end    func() // ends it, the first time
}

// startDemo runs the demo and checks at the end that it leaves nothing behind.
func startDemo(t *testing.T) *runningDemo {
	t.Helper()
	storagetest.LeaksNothing(t) // when what is ended below has ended
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	stdout, pipe := io.Pipe()
	var stderr bytes.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{"demo", "--listen", "127.0.0.1:0"}, pipe, &stderr)
		pipe.Close()
	}()
	d := &runningDemo{client: &http.Client{Transport: &http.Transport{}}}
	d.end = sync.OnceFunc(func() {
		cancel()
		err := <-ended
		leaks.hearText("the demo", stderr.String())
		if err != nil {
			t.Errorf("the demo ended with %v; it logged\n%s", err, &stderr)
		}
	})
	t.Cleanup(func() {
		d.end()
		d.client.CloseIdleConnections()
		if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	})
	lines := bufio.NewScanner(stdout)
	for lines.Scan() && lines.Text() != "Ctrl-C ends it." {
		d.text += lines.Text() + "\n"
	}
	if lines.Err() != nil || lines.Text() != "Ctrl-C ends it." {
		t.Fatalf("printed %q, and then %v", d.text, lines.Err())
	}
	d.url = d.find(t, `demo: (http://127\.0\.0\.1:\d+)/`)
	return d
}

// find returns what the parenthesis in pattern stands for in what was printed.
func (d *runningDemo) find(t *testing.T, pattern string) string {
	t.Helper()
	found := regexp.MustCompile(pattern).FindStringSubmatch(d.text)
	if found == nil {
		t.Fatalf("no %s in\n%s", pattern, d.text)
	}
	return found[1]
}

// get asks for a path, or for a whole address.
func (d *runningDemo) get(t *testing.T, path string, header ...string) (*http.Response, []byte) {
	t.Helper()
	return d.do(t, http.MethodGet, path, header...)
}

func (d *runningDemo) do(t *testing.T, method, path string, header ...string) (*http.Response, []byte) {
	t.Helper()
	if strings.HasPrefix(path, "/") {
		path = d.url + path
	}
	request, err := http.NewRequestWithContext(t.Context(), method, path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := d.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return response, body
}

func TestDemo(t *testing.T) {
	d := startDemo(t)
	for _, call := range demo.Calls {
		t.Run(call.ID, func(t *testing.T) { d.checkCall(t, call) })
	}
	t.Run("seek", d.checkSeek)
	t.Run("validators", d.checkValidators)
	t.Run("page", d.checkPage)
	t.Run("config", d.checkConfig)
	t.Run("ways", d.checkWays)
	t.Run("admin", func(t *testing.T) {
		for _, pattern := range []string{`Health +(\S+)`, `Metrics +(\S+)`} {
			if response, body := d.get(t, d.find(t, pattern)); response.StatusCode != http.StatusOK {
				t.Errorf("%s: %s\n%s", pattern, response.Status, body)
			}
		}
	})
}

func (d *runningDemo) checkCall(t *testing.T, call demo.Call) {
	if !strings.Contains(d.text, call.ID+" ") || !strings.Contains(d.text, call.Answer.String()) {
		t.Errorf("%s, %s is not in what was printed", call.ID, call.Answer)
	}
	response, body := d.get(t, "/recordings/"+call.ID)
	checkAnswer(t, response, call.Answer)
	if call.Problem == "" {
		if !bytes.Equal(body, call.Files[0].Recording()) {
			t.Errorf("%d bytes that are not those of the recording", len(body))
		}
	} else {
		checkProblem(t, body, call.Answer)
	}
	head, _ := d.do(t, http.MethodHead, "/recordings/"+call.ID)
	checkAnswer(t, head, call.Answer)
	if len(call.Files) < 2 {
		return
	}
	for _, file := range call.Files {
		response, body := d.get(t, "/recordings/"+call.ID+"?file_id="+file.ID)
		if response.StatusCode != http.StatusOK || !bytes.Equal(body, file.Recording()) {
			t.Errorf("file %s: %s, %d bytes", file.ID, response.Status, len(body))
		}
	}
}

func checkAnswer(t *testing.T, response *http.Response, want demo.Answer) {
	t.Helper()
	if response.StatusCode != want.Status || response.Header.Get("Content-Type") != want.Type {
		t.Errorf("%s: %s %s, want %s", response.Request.Method, response.Status, response.Header.Get("Content-Type"), want)
	}
}

func checkProblem(t *testing.T, body []byte, want demo.Answer) {
	t.Helper()
	var problem struct{ Type string }
	if err := json.Unmarshal(body, &problem); err != nil || problem.Type != "urn:storagesrv:problem:"+want.Problem {
		t.Errorf("%s (%v), want %s", body, err, want)
	}
	for _, secret := range []string{"/var/recordings", "/var/archive", "passwd"} {
		if bytes.Contains(body, []byte(secret)) {
			t.Errorf("%s tells a path", body)
		}
	}
}

func (d *runningDemo) checkSeek(t *testing.T) {
	for _, call := range demo.Calls {
		if call.Minutes() == nil {
			continue
		}
		response, body := d.get(t, "/recordings/"+call.ID, "Range", "bytes=20000001-20070000")
		if response.StatusCode != http.StatusPartialContent || !bytes.Equal(body, call.Files[0].Recording()[20000001:20070001]) {
			t.Errorf("%s: %s, %d bytes", call.ID, response.Status, len(body))
		}
	}
}

func (d *runningDemo) checkValidators(t *testing.T) {
	for _, id := range []string{"mp3-on-mount", "mp3-on-sftp"} {
		response, _ := d.get(t, "/recordings/"+id)
		etag := response.Header.Get("ETag")
		if again, _ := d.get(t, "/recordings/"+id, "If-None-Match", etag); !strings.HasPrefix(etag, `"`) || again.StatusCode != http.StatusNotModified {
			t.Errorf("%s: ETag %s, then %s", id, etag, again.Status)
		}
	}
	response, _ := d.get(t, "/recordings/in-progress")
	if etag := response.Header.Get("ETag"); !strings.HasPrefix(etag, `W/"`) {
		t.Errorf("a call in progress has the ETag %s", etag)
	}
}

func (d *runningDemo) checkPage(t *testing.T) {
	response, page := d.get(t, "/")
	if response.StatusCode != http.StatusOK || !strings.HasPrefix(response.Header.Get("Content-Type"), "text/html") {
		t.Errorf("%s %s", response.Status, response.Header.Get("Content-Type"))
	}
	if policy := response.Header.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'self';") {
		t.Errorf("Content-Security-Policy: %s", policy)
	}
	for _, call := range demo.Calls {
		if player := `src="/recordings/` + call.ID + `"`; bytes.Contains(page, []byte(player)) != (call.Problem == "") {
			t.Errorf("whether there is a player of %s is wrong", call.ID)
		}
	}
	for _, found := range regexp.MustCompile(`(?:href|src)="(/page\.[a-z]+)"`).FindAllSubmatch(page, -1) {
		if response, _ := d.get(t, string(found[1])); response.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", found[1], response.Status)
		}
	}
	if response, _ := d.do(t, http.MethodPost, "/"); response.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %s", response.Status)
	}
}

// checkConfig makes sure that the file that is printed is one to copy.
func (d *runningDemo) checkConfig(t *testing.T) {
	file := d.find(t, `Config +(\S+)`)
	c, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{c.Metadata.PasswordFile, c.Storage[1].SFTP.KeyFile, c.Access.SigningKeys[0].SecretFile} {
		text, err := os.ReadFile(secret)
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(secret); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", secret, info, err)
		}
		if strings.Contains(d.text, strings.TrimSpace(string(text))) {
			t.Errorf("%s is printed", filepath.Base(secret))
		}
	}
}

// checkWays tries what is printed for web apps.
func (d *runningDemo) checkWays(t *testing.T) {
	token := d.find(t, `-u demo:(\S+)`)
	leaks.keep(token)
	var link struct {
		SignedURL string `json:"signed_url"`
	}
	_, answer := d.get(t, d.find(t, `(http://\S+/file_url\.json\?expires=600)`), "Authorization", "Bearer "+token)
	if err := json.Unmarshal(answer, &link); err != nil {
		t.Fatalf("%s: %v", answer, err)
	}
	if program := d.find(t, `\n +(\S+) sign --config`); !filepath.IsAbs(program) {
		t.Errorf("%s is printed as the program", program)
	}
	var signed bytes.Buffer
	if err := run(t.Context(), []string{"sign", "--config", d.find(t, `Config +(\S+)`), "mp3-on-mount"}, &signed, io.Discard); err != nil {
		t.Fatal(err)
	}
	speech := demo.Calls[0].Files[0].Recording()
	for _, path := range []string{link.SignedURL, strings.TrimSpace(signed.String()), d.find(t, `(http://\S+\.json/file)\n`)} {
		if response, body := d.get(t, path, "Authorization", "Bearer "+token); response.StatusCode != http.StatusOK || !bytes.Equal(body, speech) {
			t.Errorf("%s: %s, %d bytes", path, response.Status, len(body))
		}
	}
	if response, _ := d.get(t, d.find(t, `(http://\S+\.json/file)\n`)); response.StatusCode != http.StatusUnauthorized {
		t.Errorf("without a token: %s", response.Status)
	}
}

func TestDemoPrintsACommandThatWorks(t *testing.T) {
	for file, want := range map[string]string{
		"/usr/local/bin/storagesrv":                                              "/usr/local/bin/storagesrv",
		"/home/o'neill/my go/storagesrv":                                         `'/home/o'\''neill/my go/storagesrv'`,
		"/tmp/go-build2708042723/b001/exe/storagesrv":                            "go run ./cmd/storagesrv",
		"/root/.cache/go-build/9f/" + strings.Repeat("9f", 32) + "-d/storagesrv": "go run ./cmd/storagesrv",
		"/home/anna/go-build/storagesrv":                                         "/home/anna/go-build/storagesrv",
	} {
		if got := commandOf(file); got != want {
			t.Errorf("%s: %s, want %s", file, got, want)
		}
	}
}

func TestDemoEndsWhileSomebodyListens(t *testing.T) {
	d := startDemo(t)
	response, err := d.client.Get(d.url + "/recordings/hour-on-sftp")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := io.ReadFull(response.Body, make([]byte, 1<<10)); err != nil {
		t.Fatal(err)
	}
	d.end()
	if n, err := io.Copy(io.Discard, response.Body); err == nil {
		t.Errorf("%d bytes more, and a clean end", n)
	}
}

func TestDemoRefusesToStart(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, test := range []struct {
		listen, says string
		code         int
	}{
		{"0.0.0.0:0", "for this machine alone", 2},
		{":0", "for this machine alone", 2},
		{"192.0.2.1:8080", "for this machine alone", 2},
		{"127.0.0.1", "missing port", 2},
		{taken.Addr().String(), "--listen 127.0.0.1:0", 1},
	} {
		err := run(t.Context(), []string{"demo", "--listen", test.listen}, io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), test.says) || exitCode(err) != test.code {
			t.Errorf("--listen %s: %v, exit code %d", test.listen, err, exitCode(err))
		}
	}
}

// brokenPipe is a reader that has gone.
type brokenPipe struct{}

var errBrokenPipe = errors.New("broken pipe")

func (brokenPipe) Write([]byte) (int, error) { return 0, errBrokenPipe }

func TestDemoCleansUpIfItCannotStart(t *testing.T) {
	storagetest.LeaksNothing(t)
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	if err := run(t.Context(), []string{"demo", "--listen", "127.0.0.1:0"}, brokenPipe{}, io.Discard); !errors.Is(err, errBrokenPipe) {
		t.Errorf("ended with %v", err)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
