package server_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"flag"
	"log/slog"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"storagesrv/cmd/storagesrv/internal/server"
	"storagesrv/metadata"
	"storagesrv/metadata/metadatatest"
	"storagesrv/storage"
	"storagesrv/storage/mount"
	"storagesrv/storage/sftp"
	"storagesrv/storage/sftp/sftptest"
	"storagesrv/storage/storagetest"
)

func TestMain(m *testing.M) {
	flag.Set("test.parallel", "8") // unless the command line says another: those that are parallel wait more than they work
	storagetest.Main(m)
}

// prefix is what file_path starts with in these tests.
const prefix = "/var/recordings"

// A rig is a server with a real client, a fake recorder and a directory of
// recordings, which it reads through a store.
type rig struct {
	t        testing.TB
	url      string
	admin    string
	config   server.Config
	server   *server.Server
	recorder *metadatatest.Recorder
	dir      string
	log      *logBuffer
	client   *http.Client
}

// A makeStore returns a store over a directory, and its kind.
type makeStore func(t testing.TB, dir string) (store storage.Store, kind string)

// rigConfig is what tests change; the zero value is a rig in order.
type rigConfig struct {
	store      makeStore // nil: mounted
	stall      time.Duration
	timeout    time.Duration // of the metadata client; 0: patient
	ttl        time.Duration // of the metadata cache; 0: none, so that each request asks
	headerless []string
	proxies    []netip.Prefix
	and        func(*server.Config) // what else is different; nil: nothing

	fallback func(recorder *metadata.Client, url string) server.Fallback // nil: none
	recorder metadata.ClientConfig                                       // other bounds of the metadata client
}

func newRig(t testing.TB, config rigConfig) *rig {
	t.Helper()
	if config.store == nil {
		config.store = mounted
	}
	if config.timeout == 0 {
		config.timeout = patient
	}
	if config.ttl == 0 {
		config.ttl = -1
	}
	r := &rig{t: t, dir: realDir(t), log: &logBuffer{}, recorder: metadatatest.New("playback", "recorder-secret")}
	log := slog.New(slog.NewJSONHandler(r.log, nil))
	api := httptest.NewServer(r.recorder)
	t.Cleanup(api.Close)
	config.recorder.URL, config.recorder.Timeout = api.URL, config.timeout
	config.recorder.Username, config.recorder.Password = "playback", "recorder-secret"
	client, err := metadata.NewClient(config.recorder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	cache := metadata.NewCache(client, metadata.CacheConfig{TTL: config.ttl, NegativeTTL: config.ttl, Logger: log})
	t.Cleanup(func() { cache.Close() })

	store, kind := config.store(t, r.dir)
	health := func() storage.Health { return storage.Health{Up: true} }
	if store, ok := store.(interface{ Health() storage.Health }); ok {
		health = store.Health
	}
	if kind == "sftp" { // as it is assembled
		store = storage.ReadAhead(store, storage.NewBudget(64<<20))
	}
	router, err := storage.NewRouter(storage.Entry{Prefix: prefix, Label: prefix + " " + kind, Store: store, Health: health})
	if err != nil {
		t.Fatal(err)
	}
	r.config = server.Config{
		Calls: cache, Recordings: router, Headerless: config.headerless, StallTimeout: config.stall,
		Proxies: config.proxies, Log: log, Metrics: prometheus.NewRegistry(),
	}
	if config.and != nil {
		config.and(&r.config)
	}
	if config.fallback != nil {
		r.config.Fallback = config.fallback(client, api.URL)
	}
	r.server = server.New(r.config)
	admin := httptest.NewServer(r.server.Admin())
	t.Cleanup(admin.Close)
	r.url, r.admin = serve(t, r.server), admin.URL
	r.client = &http.Client{Transport: &http.Transport{DisableCompression: true}}
	t.Cleanup(r.client.CloseIdleConnections)
	return r
}

// serve returns the URL of a handler on a listener as clients have it.
func serve(t testing.TB, handler http.Handler) string {
	t.Helper()
	s := httptest.NewUnstartedServer(handler)
	s.Config.ConnContext = server.ConnContext
	s.Listener.Close()
	var err error
	if s.Listener, err = server.Listen(t.Context(), "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(s.Close)
	return s.URL
}

// Time-outs of parts are short in these tests only where an answer is missing
// on purpose. Elsewhere a busy machine may take what it needs.
const (
	patient = 20 * time.Second // for an answer that will come
	slack   = 20 * time.Second // what a busy machine adds to a short time-out
	hung    = 2 * time.Minute  // nothing will come any more
)

// cached is the TTL of a cache that outlives a test.
const cached = time.Hour

func mounted(t testing.TB, dir string) (storage.Store, string) {
	store, err := mount.New(mount.Config{Root: dir, Timeout: patient})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store, "mount"
}

// overSFTP serves the directory by an SFTP server in this process.
func overSFTP(t testing.TB, dir string) (storage.Store, string) {
	store, _ := startSFTP(t, dir, patient)
	return store, "sftp"
}

func startSFTP(t testing.TB, dir string, timeout time.Duration) (*sftp.Store, *sftptest.Server) {
	t.Helper()
	s, err := sftptest.Start(sftptest.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return newSFTP(t, sftp.Config{Address: s.Addr(), User: s.User(), PrivateKey: s.ClientKey(), HostKey: s.Fingerprint(), Timeout: timeout, Resume: -1}), s
}

func newSFTP(t testing.TB, config sftp.Config) *sftp.Store {
	t.Helper()
	store, err := sftp.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}

// inProcess are the stores that need nothing installed.
var inProcess = map[string]makeStore{"mount": mounted, "sftp": overSFTP}

func realDir(t testing.TB) string {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// longAgo is when recordings in these tests were made.
var longAgo = time.Date(2013, 10, 12, 16, 38, 56, 0, time.UTC)

// file writes a recording and returns its file_path.
func (r *rig) file(name string, content []byte) string {
	r.t.Helper()
	path := filepath.Join(r.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o644); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Chtimes(path, longAgo, longAgo); err != nil {
		r.t.Fatal(err)
	}
	return prefix + "/" + name
}

// call makes a finished call of one file for each path, with ids 01, 02, ...
func (r *rig) call(id string, filePaths ...string) metadata.Call {
	call := metadata.Call{ID: id, From: "102", To: "101", State: 6, Start: longAgo.Add(-time.Hour), Stop: longAgo}
	for i, path := range filePaths {
		start := call.Start.Add(time.Duration(i) * time.Minute)
		call.Files = append(call.Files, metadata.File{ID: "0" + string(rune('1'+i)), Start: start, Stop: start.Add(time.Minute), Size: 1, Path: path})
	}
	r.recorder.Set(call)
	return call
}

// An answer is a whole response.
type answer struct {
	status int
	header http.Header
	body   []byte
	err    error // of reading the body
}

func (r *rig) do(method, path string, header http.Header) answer {
	r.t.Helper()
	return r.doURL(method, r.url+path, header)
}

func (r *rig) get(path string) answer { return r.do("GET", path, nil) }

func (r *rig) post(path, body string, header http.Header) answer {
	r.t.Helper()
	return r.send("POST", r.url+path, body, header)
}

func (r *rig) doURL(method, url string, header http.Header) answer {
	r.t.Helper()
	return r.send(method, url, "", header)
}

func (r *rig) send(method, url, content string, header http.Header) answer {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), hung)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(content))
	if err != nil {
		r.t.Fatal(err)
	}
	if maps.Copy(request.Header, header); header.Get("Host") != "" {
		request.Host = header.Get("Host")
	}
	response, err := r.client.Transport.RoundTrip(request)
	if err != nil {
		return answer{err: err}
	}
	defer response.Body.Close()
	// What is long comes into a buffer that is long enough.
	body := bytes.NewBuffer(make([]byte, 0, max(response.ContentLength, 0)+bytes.MinRead))
	_, err = body.ReadFrom(response.Body)
	return answer{response.StatusCode, response.Header, body.Bytes(), err}
}

// problemName returns the name of the problem that an answer is.
func (a answer) problemName(t testing.TB) string {
	t.Helper()
	var problem struct {
		Type, Title, Detail string
		Status              int
		RequestID           string `json:"request_id"`
	}
	if err := json.Unmarshal(a.body, &problem); err != nil {
		t.Fatalf("status %d, no problem document: %.200q (%v)", a.status, a.body, a.err)
	}
	if a.header.Get("Content-Type") != "application/problem+json" || problem.Status != a.status || problem.Title == "" ||
		problem.RequestID == "" || problem.RequestID != a.header.Get("X-Request-Id") || a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("problem %+v with status %d and header %v", problem, a.status, a.header)
	}
	return strings.TrimPrefix(problem.Type, "urn:storagesrv:problem:")
}

// metric returns the value of a series, such as storagesrv_streams.
func (r *rig) metric(series string) string {
	r.t.Helper()
	a := r.doURL("GET", r.admin+"/metrics", nil)
	for line := range strings.Lines(string(a.body)) {
		if rest, ok := strings.CutPrefix(line, series+" "); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}

// A logBuffer holds what was logged.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// logged returns the record of a request in the log, which is written when the
// client may have its answer already.
func (r *rig) logged(a answer) (record map[string]any) {
	r.t.Helper()
	id := a.header.Get("X-Request-Id")
	await(r.t, "the record of request "+id, func() bool {
		for line := range strings.Lines(r.log.String()) {
			record = nil
			if json.Unmarshal([]byte(line), &record) == nil && record["msg"] == "request" && record["request_id"] == id {
				return true
			}
		}
		return false
	})
	return record
}

// wav returns a PCM recording of n samples, which sound like a voice humming.
func wav(n int) []byte {
	var b bytes.Buffer
	b.Grow(44 + 2*n)
	size := uint32(2 * n)
	b.WriteString("RIFF")
	binary.Write(&b, binary.LittleEndian, 36+size)
	b.WriteString("WAVEfmt ")
	binary.Write(&b, binary.LittleEndian, struct {
		Size          uint32
		Tag, Channels uint16
		Rate, Bytes   uint32
		Block, Bits   uint16
	}{16, 1, 1, 8000, 16000, 2, 16})
	b.WriteString("data")
	binary.Write(&b, binary.LittleEndian, size)
	for b.Len() < 44+2*n {
		b.Write(second[:min(len(second), 44+2*n-b.Len())])
	}
	return b.Bytes()
}

// second is one second of the humming, which ends as it begins.
var second = func() (samples []byte) {
	for i := range 8000 {
		t := float64(i) / 8000
		loud := 3000 * (1 + math.Sin(2*math.Pi*3*t))
		sample := int16(loud*math.Sin(2*math.Pi*180*t) + loud/3*math.Sin(2*math.Pi*2300*t))
		samples = binary.LittleEndian.AppendUint16(samples, uint16(sample))
	}
	return samples
}()

// await polls until a condition holds, which it must before long.
func await(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(hung)
	for tick := time.Tick(10 * time.Millisecond); !holds(); <-tick {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}
