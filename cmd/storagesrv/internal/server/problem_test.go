package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"storagesrv/cmd/storagesrv/internal/server"
	"storagesrv/metadata"
	"storagesrv/metadata/metadatatest"
	"storagesrv/storage"
	"storagesrv/storage/sftp/sftptest"
	"storagesrv/storage/storagetest"
)

// wantProblem asserts that a GET is refused with a problem, within a time-out
// and some slack, and that the answer tells nothing that is for the log.
func (r *rig) wantProblem(path, name string, status int, within time.Duration) answer {
	r.t.Helper()
	start := time.Now()
	got := r.get(path)
	if took := time.Since(start); took > within+slack {
		r.t.Errorf("GET %s took %v, and may take %v", path, took, within)
	}
	if got.status != status {
		r.t.Errorf("GET %s: status %d, want %d %s: %.300s %v", path, got.status, status, name, got.body, got.err)
		return got
	}
	if problem := got.problemName(r.t); problem != name {
		r.t.Errorf("GET %s: problem %s, want %s", path, problem, name)
	}
	if retry := got.header.Get("Retry-After"); (status == 503 || status == 409 && name == "recording-in-progress") != (retry != "") {
		r.t.Errorf("GET %s: %s with Retry-After %q", path, name, retry)
	}
	for _, secret := range []string{r.dir, prefix, "20131012", "recorder-secret", "127.0.0.1", "gossip", "passwd", "goroutine"} {
		if strings.Contains(string(got.body)+fmt.Sprint(got.header), secret) {
			r.t.Errorf("GET %s tells %q: %s %v", path, secret, got.body, got.header)
		}
	}
	if logged := r.logged(got); logged["problem"] != name {
		r.t.Errorf("logged %v", logged)
	}
	return got
}

// wantPlays asserts that a call is answered with content.
func (r *rig) wantPlays(path string, content []byte) {
	r.t.Helper()
	if got := r.get(path); got.status != 200 || string(got.body) != string(content) {
		r.t.Errorf("GET %s: status %d, %d bytes, %v %.200s", path, got.status, len(got.body), got.err, got.body[:min(len(got.body), 200)])
	}
}

// awaitPlays waits until a call is answered with content: a short time-out may
// be over before a busy machine has connected.
func (r *rig) awaitPlays(path string, content []byte) {
	r.t.Helper()
	var got answer
	await(r.t, "GET "+path, func() bool {
		got = r.get(path)
		return got.status == 200
	})
	if got.err != nil || string(got.body) != string(content) {
		r.t.Errorf("GET %s: %d bytes, %v", path, len(got.body), got.err)
	}
}

func TestMetadataProblems(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		fault   metadatatest.Fault
		problem string
		status  int
	}{
		{"unauthorized", metadatatest.Status(401, "gossip"), "metadata-denied", 502},
		{"forbidden", metadatatest.Status(403, "gossip"), "metadata-denied", 502},
		{"not found", metadatatest.Status(404, "gossip"), "call-not-found", 404},
		{"internal error", metadatatest.Status(500, "<html>gossip"), "metadata-unavailable", 503},
		{"busy", metadatatest.RetryAfter(503, "3600"), "metadata-unavailable", 503},
		{"too many", metadatatest.RetryAfter(429, "3600"), "metadata-unavailable", 503},
		{"reset", metadatatest.Reset(), "metadata-unavailable", 503},
		{"truncated", metadatatest.Truncate(), "metadata-unavailable", 503},
		{"hangs", metadatatest.Hang(nil), "metadata-timeout", 504},
		{"drips", metadatatest.Drip(100 * time.Millisecond), "metadata-timeout", 504},
		{"HTML", metadatatest.Body("text/html", "<html>gossip</html>"), "bad-metadata", 502},
		{"no JSON", metadatatest.Body("application/json", `{"call": gossip`), "bad-metadata", 502},
		{"no files", metadatatest.Body("application/json", `{"call": {"call_id": "call-1"}}`), "bad-metadata", 502},
		{"wrong types", metadatatest.Body("application/json", `{"call": {"call_id": 1, "files": "gossip"}}`), "bad-metadata", 502},
		{"another call", metadatatest.Body("application/json", `{"call": {"call_id": "call-2", "files": []}}`), "bad-metadata", 502},
		{"endless", metadatatest.Endless(), "bad-metadata", 502},
		{"gzip bomb", metadatatest.GzipBomb(), "bad-metadata", 502},
		{"redirect to a login page", metadatatest.Redirect("http://127.0.0.1:1/gossip"), "bad-metadata", 502},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			timeout := patient
			switch c.problem {
			case "metadata-timeout":
				timeout = 500 * time.Millisecond
			case "metadata-unavailable": // asked again until it is over
				timeout = 2 * time.Second
			}
			r := newRig(t, rigConfig{timeout: timeout})
			content := wav(1000)
			r.call("call-1", r.file("20131012/a.wav", content))
			r.recorder.Fail("call-1", c.fault)
			r.wantProblem("/recordings/call-1", c.problem, c.status, timeout)
			r.wantProblem("/recordings/call-1/info", c.problem, c.status, timeout)
			r.recorder.Fail("call-1", nil)
			r.awaitPlays("/recordings/call-1", content)
		})
	}
}

func TestRecorderThatIsNotThere(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	// A port that is in use, so that nobody else comes to listen there.
	deaf, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Close()
	client, err := metadata.NewClient(metadata.ClientConfig{URL: "http://" + deaf.LocalAddr().String(), Timeout: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	cache := metadata.NewCache(client, metadata.CacheConfig{})
	defer cache.Close()
	router, err := storage.NewRouter(storage.Entry{Prefix: prefix, Label: "test", Store: storagetest.Failing{Err: storage.ErrUnavailable}, Health: func() storage.Health { return storage.Health{} }})
	if err != nil {
		t.Fatal(err)
	}
	s := server.New(server.Config{Calls: cache, Recordings: router})
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest("GET", "/recordings/call-1", nil))
	if w.Code != 503 || !strings.Contains(w.Body.String(), ":metadata-unavailable") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// ciphertext returns bytes without any mark, the same ones in every run.
func ciphertext(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{}).Read(b)
	return b
}

func TestFileProblems(t *testing.T) {
	for kind, store := range inProcess {
		t.Run(kind, func(t *testing.T) {
			r := newRig(t, rigConfig{store: store})
			content, noise := wav(1000), ciphertext(100_000)
			playing := r.file("20131012/a.wav", content)
			finished := func(id string, content []byte) { r.call(id, r.file("20131012/"+id, content)) }
			ongoing := func(id string, files ...metadata.File) {
				r.recorder.Set(metadata.Call{ID: id, State: 4, Start: longAgo, Files: files})
			}
			finished("empty", nil)
			finished("header", wav(0))
			finished("noise.mp3", noise)
			finished("noise", noise)
			finished("short-noise", noise[:10])
			finished("salted", append([]byte("Salted__"), noise...))
			finished("text", []byte("<html>recordings moved</html>"))
			r.call("nothing")
			r.call("nowhere", "")
			r.call("missing", prefix+"/20131012/missing.wav")
			r.call("several", playing, playing)
			ongoing("just-begun")
			ongoing("not-written", metadata.File{ID: "01", Path: prefix + "/20131012/missing.wav"})
			ongoing("still-empty", metadata.File{ID: "01", Path: r.file("20131012/empty.wav", nil)})
			ongoing("only-header", metadata.File{ID: "01", Path: r.file("20131012/header.wav", wav(0))})
			flagged := r.call("flagged", playing)
			flagged.Files[0].Encrypted = true
			r.recorder.Set(flagged)

			for _, c := range []struct {
				id, problem string
				status      int
			}{
				{"empty", "no-recording", 404},
				{"header", "no-recording", 404},
				{"nothing", "no-recording", 404},
				{"missing", "recording-missing", 404},
				{"nowhere", "bad-metadata", 502},
				{"several", "not-joinable", 409},
				{"just-begun", "recording-in-progress", 409},
				{"not-written", "recording-in-progress", 409},
				{"still-empty", "recording-in-progress", 409},
				{"only-header", "recording-in-progress", 409},
				{"flagged", "encrypted", 422},
				{"salted", "encrypted", 422},
				{"noise", "unrecognized", 422},
				{"short-noise", "unrecognized", 422},
				{"text", "unrecognized", 422},
			} {
				r.wantProblem("/recordings/"+c.id, c.problem, c.status, patient)
				middle := r.do("GET", "/recordings/"+c.id, header("Range", "bytes=500-600"))
				if middle.status != c.status {
					t.Errorf("%s: a range answers %d", c.id, middle.status)
				}
			}
			if detail := r.get("/recordings/several"); !strings.Contains(string(detail.body), "01, 02") {
				t.Errorf("the detail lists no file ids: %s", detail.body)
			}
			if detail := r.get("/recordings/several?file_id=03"); !strings.Contains(string(detail.body), "01, 02") {
				t.Errorf("the detail lists no file ids: %s", detail.body)
			}
			r.wantPlays("/recordings/several?file_id=02", content)
		})
	}
}

func TestHostilePathsAreRefused(t *testing.T) {
	for kind, store := range inProcess {
		t.Run(kind, func(t *testing.T) { testHostilePaths(t, store) })
	}
}

// testHostilePaths provokes the refusal of everything that must never be
// opened, in a tree that has it all.
func testHostilePaths(t *testing.T, store makeStore) {
	tree := storagetest.NewTree(t)
	secret, err := os.ReadFile(filepath.Join(tree.Root, "..", "outside", "secret.mp3"))
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, rigConfig{store: func(t testing.TB, _ string) (storage.Store, string) { return store(t, tree.Root) }})
	outside := []string{"", "a.mp3", "../a.mp3", "/etc/passwd", "/var/recordings-evil/a.mp3", prefix, prefix + "/", "~/a.mp3", `C:\a.mp3`, `\\nas\a\b.mp3`,
		"file:///etc/passwd", `\var\recordings\a.mp3`}
	inside := []string{"../../etc/passwd", "../outside/secret.mp3", "..", ".", "./a.mp3", "a/../../outside/secret.mp3", "/../../etc/passwd", "a\x00.mp3",
		"a\n", `..\outside\secret.mp3`, strings.Repeat("x", 300), strings.Repeat("x/", 3000) + "a", strings.Repeat("x", 500_000), tree.Root + "/../outside/secret.mp3"}
	inside = append(inside, tree.LinksOutside...)
	inside = append(inside, tree.Irregular...)
	for link := range tree.LinksInside {
		inside = append(inside, link)
	}
	var paths []string
	paths = append(paths, outside[1:]...)
	for _, name := range inside {
		paths = append(paths, prefix+"/"+name)
	}
	for i, path := range paths {
		id := fmt.Sprintf("hostile-%d", i)
		r.call(id, path)
		got := r.wantProblem("/recordings/"+id, "unmapped-path", 502, patient)
		if strings.Contains(string(got.body), string(secret)) {
			t.Errorf("%.60q: served from outside", path)
		}
		if t.Failed() {
			t.Fatalf("path %.60q", path)
		}
	}
	// Afterwards everything goes on.
	r.call("good", prefix+"/"+storagetest.SmallFile)
	r.wantProblem("/recordings/good", "unrecognized", 422, patient)
}

func TestMountProblems(t *testing.T) {
	r := newRig(t, rigConfig{})
	content := wav(1000)
	r.call("call-1", r.file("20131012/a.wav", content))
	r.wantPlays("/recordings/call-1", content)
	if err := os.Rename(r.dir, r.dir+".away"); err != nil {
		t.Fatal(err)
	}
	r.wantProblem("/recordings/call-1", "storage-unavailable", 503, patient)
	if err := os.Mkdir(r.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	r.wantProblem("/recordings/call-1", "storage-unavailable", 503, patient)
	if err := errors.Join(os.Remove(r.dir), os.Rename(r.dir+".away", r.dir)); err != nil {
		t.Fatal(err)
	}
	r.wantPlays("/recordings/call-1", content)
}

func TestStoreProblems(t *testing.T) {
	for _, c := range []struct {
		err     error
		problem string
		status  int
	}{
		{storage.ErrUnavailable, "storage-unavailable", 503},
		{os.ErrPermission, "storage-denied", 502},
		{os.ErrInvalid, "unmapped-path", 502},
		{os.ErrNotExist, "recording-missing", 404},
		{context.DeadlineExceeded, "storage-timeout", 504},
	} {
		r := newRig(t, rigConfig{store: func(testing.TB, string) (storage.Store, string) { return storagetest.Failing{Err: c.err}, "test" }})
		r.call("call-1", prefix+"/20131012/a.wav")
		r.wantProblem("/recordings/call-1", c.problem, c.status, patient)
	}
}

func TestSFTPProblems(t *testing.T) {
	t.Parallel()
	const brief = time.Second
	otherKey, err := sftptest.NewHostKey("ed25519")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name     string
		timeout  time.Duration
		fault    func(*sftptest.Server)
		problems string // any of these
	}{
		{"connections killed and login refused", patient, func(s *sftptest.Server) { s.Set(sftptest.Faults{RefuseAuth: true}); s.KillConnections() }, "storage-denied"},
		{"another host", patient, func(s *sftptest.Server) { s.SetHostKeys(otherKey); s.KillConnections() }, "storage-denied"},
		{"frozen", brief, func(s *sftptest.Server) { s.Set(sftptest.Faults{Frozen: true}) }, "storage-timeout storage-unavailable"},
		{"silent", brief, func(s *sftptest.Server) { s.Set(sftptest.Faults{Answer: func([]byte) []byte { return nil }}) }, "storage-timeout storage-unavailable"},
		{"garbage", patient, func(s *sftptest.Server) {
			s.Set(sftptest.Faults{Answer: func(p []byte) []byte { return append(p[:5:5], "gossip"...) }})
		}, "storage-unavailable"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var sshd *sftptest.Server
			r := newRig(t, rigConfig{store: func(t testing.TB, dir string) (store storage.Store, kind string) {
				store, sshd = startSFTP(t, dir, c.timeout)
				return store, "sftp"
			}})
			content := wav(1000)
			r.call("call-1", r.file("20131012/a.wav", content))
			r.awaitPlays("/recordings/call-1", content)
			c.fault(sshd)
			start := time.Now()
			got := r.get("/recordings/call-1")
			if took := time.Since(start); got.status < 500 || took > 2*c.timeout+slack {
				t.Errorf("status %d after %v", got.status, took)
			}
			if name := got.problemName(t); !strings.Contains(c.problems, name) {
				t.Errorf("problem %s, want %s", name, c.problems)
			}
		})
	}
}

func TestSFTPServerThatIsGoneComesBack(t *testing.T) {
	t.Parallel()
	var sshd *sftptest.Server
	r := newRig(t, rigConfig{store: func(t testing.TB, dir string) (store storage.Store, kind string) {
		store, sshd = startSFTP(t, dir, time.Second)
		return store, "sftp"
	}})
	content := wav(1000)
	r.call("call-1", r.file("20131012/a.wav", content))
	r.awaitPlays("/recordings/call-1", content)
	sshd.Set(sftptest.Faults{Frozen: true})
	for range 3 {
		if got := r.get("/recordings/call-1"); got.status != 503 && got.status != 504 {
			t.Errorf("frozen: %d %s", got.status, got.body)
		}
	}
	sshd.Set(sftptest.Faults{})
	r.awaitPlays("/recordings/call-1", content)
}

// panicking is a source of calls with a bug.
type panicking struct{ server.Calls }

func (panicking) Call(context.Context, string) (*metadata.Call, error) { panic("gossip") }

func TestAPanicIsAProblemAndGoesToTheLog(t *testing.T) {
	router, err := storage.NewRouter()
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	server.New(server.Config{Calls: panicking{}, Recordings: router}).ServeHTTP(w, httptest.NewRequest("GET", "/recordings/call-1", nil))
	if w.Code != 500 || !strings.Contains(w.Body.String(), "urn:storagesrv:problem:internal") || strings.Contains(w.Body.String(), "gossip") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestManyListenersOfANewCallCostOneLookUp(t *testing.T) {
	r := newRig(t, rigConfig{ttl: cached})
	content := wav(1000)
	r.call("call-1", r.file("a.wav", content))
	release := make(chan struct{})
	r.recorder.Fail("call-1", metadatatest.Hang(release))
	var listeners sync.WaitGroup
	for range 50 {
		listeners.Go(func() { r.wantPlays("/recordings/call-1", content) })
	}
	await(t, "the first request", func() bool { return r.recorder.Requests("call-1") > 0 })
	close(release)
	listeners.Wait()
	if n := r.recorder.Requests("call-1"); n != 1 {
		t.Errorf("%d requests to the recorder", n)
	}
}

func TestFailingBackendsLeakNothing(t *testing.T) {
	t.Parallel()
	const timeout = time.Second
	var sshd *sftptest.Server
	r := newRig(t, rigConfig{timeout: timeout, store: func(t testing.TB, dir string) (store storage.Store, kind string) {
		store, sshd = startSFTP(t, dir, timeout)
		return store, "sftp"
	}})
	r.call("call-1", r.file("a.wav", wav(100_000)))
	link := []func(){
		func() { sshd.Set(sftptest.Faults{}) },
		func() { sshd.Set(sftptest.Faults{Frozen: true}) },
		func() { sshd.Set(sftptest.Faults{RefuseSFTP: true}); sshd.KillConnections() },
		func() { sshd.Set(sftptest.Faults{FailAt: 40_000}) },
		func() { sshd.KillConnections() },
	}
	api := []metadatatest.Fault{nil, nil, nil, metadatatest.Reset(), metadatatest.Hang(nil), metadatatest.Status(500, "")}
	for i := range 25 {
		link[i%len(link)]()
		r.recorder.Fail("call-1", api[i%len(api)])
		var requests sync.WaitGroup
		for range 20 {
			requests.Go(func() { r.get("/recordings/call-1") })
		}
		requests.Wait()
	}
	sshd.Set(sftptest.Faults{})
	r.recorder.Fail("call-1", nil)
	await(t, "recovery", func() bool { return r.get("/recordings/call-1").status == 200 })
	await(t, "the end of the streams", func() bool { return r.server.Streams() == 0 })
	// TestMain looks for goroutines that are left.
}

func TestMovedFilesAreLookedUpOnceMore(t *testing.T) {
	t.Parallel()
	r := newRig(t, rigConfig{ttl: time.Hour})
	content := wav(1000)
	old := r.file("20131012/a.wav", content)
	r.call("call-1", old)
	r.wantPlays("/recordings/call-1", content)
	if err := os.Remove(filepath.Join(r.dir, "20131012/a.wav")); err != nil {
		t.Fatal(err)
	}
	r.call("call-1", r.file("archive/a.wav", content))
	// What is younger than a second is not asked again.
	await(t, "the new place", func() bool { return r.get("/recordings/call-1").status == 200 })
	r.wantPlays("/recordings/call-1", content)

	r.call("info", r.file("20131012/b.wav", content))
	r.wantPlays("/recordings/info", content)
	if err := os.Remove(filepath.Join(r.dir, "20131012/b.wav")); err != nil {
		t.Fatal(err)
	}
	r.call("info", r.file("archive/b.wav", content))
	await(t, "the new place in /info", func() bool {
		return strings.Contains(string(r.get("/recordings/info/info").body), `"playable":true`)
	})

	ongoing := r.call("ongoing", r.file("20131012/c.wav", content))
	ongoing.State = 4
	r.recorder.Set(ongoing)
	r.wantPlays("/recordings/ongoing", content)
	if err := os.Remove(filepath.Join(r.dir, "20131012/c.wav")); err != nil {
		t.Fatal(err)
	}
	r.call("ongoing", r.file("archive/c.wav", content))
	await(t, "the new place of a call that went on", func() bool { return r.get("/recordings/ongoing").status == 200 })

	r.call("missing", prefix+"/missing.wav")
	start := time.Now()
	for range 20 {
		r.wantProblem("/recordings/missing", "recording-missing", 404, patient)
	}
	if n, took := r.recorder.Requests("missing"), time.Since(start); n > 1+int(took/time.Second) {
		t.Errorf("%d requests to the recorder, in %v, for a file that stays missing", n, took)
	}
}

func TestInfo(t *testing.T) {
	for kind, store := range inProcess {
		t.Run(kind, func(t *testing.T) {
			r := newRig(t, rigConfig{store: store})
			playing := r.file("20131012/a.wav", wav(1000))
			r.call("call-1", playing)
			r.call("several", playing, prefix+"/20131012/missing.wav", r.file("20131012/salted.mp3", append([]byte("Salted__"), make([]byte, 99)...)))
			var info struct {
				CallID   string `json:"call_id"`
				From, To string
				Start    time.Time
				Type     string
				Playable bool
				Reason   string
				Files    []struct {
					FileID                         string `json:"file_id"`
					Size                           int64
					Type, Container, Codec, Reason string
					SampleRate                     int `json:"sample_rate"`
					Playable                       bool
				}
			}
			got := r.get("/recordings/call-1/info")
			if err := json.Unmarshal(got.body, &info); err != nil || got.header.Get("Content-Type") != "application/json" {
				t.Fatalf("%v %s", err, got.body)
			}
			f := info.Files[0]
			if info.CallID != "call-1" || info.From != "102" || !info.Playable || info.Type != "audio/wav" || f.FileID != "01" ||
				f.Size != 2044 || f.Container != "wav" || f.Codec != "pcm_s16le" || f.SampleRate != 8000 || !f.Playable {
				t.Errorf("info %+v", info)
			}
			got = r.get("/recordings/several/info")
			if err := json.Unmarshal(got.body, &info); err != nil || len(info.Files) != 3 {
				t.Fatalf("%v %s", err, got.body)
			}
			if info.Playable || info.Reason != "not-joinable" || !info.Files[0].Playable || info.Files[1].Reason != "recording-missing" ||
				info.Files[2].Reason != "encrypted" || info.Files[2].Size != 107 {
				t.Errorf("info %+v", info)
			}
			if strings.Contains(string(got.body), "20131012") {
				t.Errorf("info tells a path: %s", got.body)
			}
			if h := r.do("HEAD", "/recordings/call-1/info", nil); h.status != 200 || len(h.body) != 0 || h.header.Get("Content-Length") == "" {
				t.Errorf("HEAD %+v", h)
			}
		})
	}
}

func TestHeaderlessExtensionsAreServedWithoutProof(t *testing.T) {
	r := newRig(t, rigConfig{headerless: []string{".ulaw"}})
	noise := ciphertext(5000)
	r.call("raw", r.file("a.ULAW", noise))
	r.call("other", r.file("a.mp3", noise))
	r.call("salted", r.file("b.ulaw", append([]byte("Salted__"), noise...)))
	r.wantPlays("/recordings/raw", noise)
	if got := r.get("/recordings/raw").header.Get("Content-Type"); got != "audio/basic" {
		t.Errorf("Content-Type %q", got)
	}
	r.wantProblem("/recordings/other", "unrecognized", 422, patient)
	r.wantProblem("/recordings/salted", "encrypted", 422, patient)
}

func TestMountAndSFTPOfOneDirectoryAgree(t *testing.T) {
	a := newRig(t, rigConfig{})
	content := wav(1000)
	a.call("call-1", a.file("a.wav", content))
	b := newRig(t, rigConfig{store: func(t testing.TB, _ string) (storage.Store, string) { return overSFTP(t, a.dir) }})
	b.call("call-1", prefix+"/a.wav")
	sameAnswer(t, a.get("/recordings/call-1"), b.get("/recordings/call-1"))
}

func TestTwoStoresOfAPrefix(t *testing.T) {
	content := wav(1000)
	for _, c := range []struct {
		name   string
		first  error
		second bool // whether it has the file
		status int
		store  string
	}{
		{"first without it", os.ErrNotExist, true, 200, "second"},
		{"first down", storage.ErrUnavailable, true, 200, "second"},
		{"first down, second without it", storage.ErrUnavailable, false, 503, "first"},
		{"both without it", os.ErrNotExist, false, 404, "first"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, rigConfig{})
			r.call("call-1", prefix+"/a.wav")
			r.file("other.wav", content)
			if c.second {
				r.file("a.wav", content)
			}
			second, _ := mounted(t, r.dir)
			up := func() storage.Health { return storage.Health{Up: true} }
			router, err := storage.NewRouter(
				storage.Entry{Prefix: prefix, Label: "first", Store: storagetest.Failing{Err: c.first}, Health: up},
				storage.Entry{Prefix: prefix, Label: "second", Store: second, Health: up})
			if err != nil {
				t.Fatal(err)
			}
			config := r.config
			config.Recordings, config.Metrics = router, nil
			r.url = serve(t, server.New(config))
			got := r.get("/recordings/call-1")
			if logged := r.logged(got); got.status != c.status || logged["store"] != c.store {
				t.Errorf("status %d of store %v, want %d of %s", got.status, logged["store"], c.status, c.store)
			}
		})
	}
}

func TestADetailIsShortHoweverManyFilesThereAre(t *testing.T) {
	r := newRig(t, rigConfig{})
	call := r.call("call-1")
	for i := range 5000 {
		call.Files = append(call.Files, metadata.File{ID: fmt.Sprintf("file-%d", i), Stop: longAgo, Path: prefix + "/a.wav"})
	}
	r.recorder.Set(call)
	if got := r.wantProblem("/recordings/call-1", "not-joinable", 409, patient); len(got.body) > 2000 {
		t.Errorf("%d bytes", len(got.body))
	}
}
