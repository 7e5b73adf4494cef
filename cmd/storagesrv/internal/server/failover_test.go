package server_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"storagesrv/storage"
	"storagesrv/storage/sftp"
	"storagesrv/storage/sftp/sftptest"
)

// A failover is a rig with two stores of one prefix: the first over SFTP, and
// the second over SFTP or mounted. Each has a directory of its own.
type failover struct {
	*rig
	first     *stack
	second    *stack // nil if it is mounted
	secondDir string

	mu     sync.Mutex
	wentOn []string // guarded by mu: in which store streams went on
}

const secondLabel = prefix + " second"

// hasty is the configuration of a store that has another to go on in, and
// reads so little ahead that its end is noticed.
var hasty = stackConfig{
	ahead: 1 << 20,
	sftp:  sftp.Config{Timeout: patient, Resume: 100 * time.Millisecond},
	cache: storage.CacheConfig{Memory: 1 << 20},
}

func newFailover(t testing.TB, kind string, config stackConfig) *failover {
	t.Helper()
	f := &failover{rig: newRig(t, rigConfig{ttl: cached}), secondDir: realDir(t)}
	f.first = f.over(t, f.dir, config)
	second := mountedAt(t, prefix, secondLabel, f.secondDir)
	if kind == "sftp" {
		config.label = secondLabel
		f.second = f.over(t, f.secondDir, config)
		second = f.second.entry
	}
	f.config.OnResume = func(store string) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.wentOn = append(f.wentOn, store)
	}
	f.reroute(f.first.entry, second)
	return f
}

func (f *failover) over(t testing.TB, dir string, config stackConfig) *stack {
	server, root := inThisProcess(t, dir)
	config.sftp.Root = root
	return newStack(t, server, config)
}

// wantWentOn asserts in which stores streams went on, in this order.
func (f *failover) wantWentOn(stores ...string) {
	f.t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if !slices.Equal(f.wentOn, stores) {
		f.t.Errorf("went on in %q, want %q", f.wentOn, stores)
	}
}

// both writes a recording in both stores, and returns its file_path.
func (f *failover) both(name string, content []byte) string {
	f.t.Helper()
	path := f.file(name, content)
	f.inSecond(name, content, longAgo)
	return path
}

func (f *failover) inSecond(name string, content []byte, modified time.Time) {
	f.t.Helper()
	path := filepath.Join(f.secondDir, name)
	if err := errors.Join(os.WriteFile(path, content, 0o600), os.Chtimes(path, modified, modified)); err != nil {
		f.t.Fatal(err)
	}
}

func (f *failover) firstDown() { f.first.down() }

// down makes the server of a stack unreachable.
func (s *stack) down() {
	s.proxy.Refuse(true)
	s.proxy.Reset()
}

func (f *failover) remove(name string) {
	f.t.Helper()
	if err := os.Remove(filepath.Join(f.dir, name)); err != nil {
		f.t.Fatal(err)
	}
}

// eachSecond runs a test with each kind of second store.
func eachSecond(t *testing.T, test func(t *testing.T, kind string)) {
	for _, kind := range []string{"sftp", "mount"} {
		t.Run(kind, func(t *testing.T) { test(t, kind) })
	}
}

func TestASecondStoreServesWhatTheFirstCannot(t *testing.T) {
	content := noisy(200_000, 1)
	eachSecond(t, func(t *testing.T, kind string) {
		t.Parallel()
		f := newFailover(t, kind, hasty)
		f.file("other.wav", content) // an empty root would count as down
		f.call("both", f.both("both.wav", content))
		f.call("second", prefix+"/second.wav")
		f.inSecond("second.wav", content, longAgo)
		f.call("first", f.file("first.wav", content))
		f.call("nowhere", prefix+"/nowhere.wav")

		for _, id := range []string{"both", "second", "first"} {
			f.wantPlays("/recordings/"+id, content)
		}
		f.wantProblem("/recordings/nowhere", "recording-missing", 404, patient)

		f.firstDown()
		for _, id := range []string{"both", "second"} {
			f.wantPlays("/recordings/"+id, content)
		}
		for _, id := range []string{"first", "nowhere"} {
			f.wantProblem("/recordings/"+id, "storage-unavailable", 503, patient)
		}
		f.first.proxy.Refuse(false)
		f.awaitPlays("/recordings/first", content)
		if f.second == nil {
			return
		}
		f.second.down()
		f.wantPlays("/recordings/first", content)
		f.wantPlays("/recordings/both", content)
		for _, id := range []string{"second", "nowhere"} {
			f.wantProblem("/recordings/"+id, "storage-unavailable", 503, patient)
		}
	})
}

// streamed is the size of recordings that are too long for all buffers together.
const streamed = 4 << 20

// A stream is a response whose body comes as it is read.
type stream struct {
	*http.Response
	got []byte
}

// open asks for a recording, over a connection whose receive buffer stays
// small, and reads how it begins.
func open(t testing.TB, r *rig, path string, h http.Header) *stream {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		if err == nil {
			err = conn.(*net.TCPConn).SetReadBuffer(64 << 10)
		}
		return conn, err
	}}
	request, err := http.NewRequestWithContext(t.Context(), "GET", r.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(request.Header, h)
	response, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	s := &stream{Response: response, got: make([]byte, 100_000)}
	if _, err := io.ReadFull(response.Body, s.got); err != nil {
		t.Fatal(err)
	}
	return s
}

// more reads until there are n bytes.
func (s *stream) more(t testing.TB, n int) {
	t.Helper()
	more := make([]byte, n-len(s.got))
	if _, err := io.ReadFull(s.Body, more); err != nil {
		t.Fatal(err)
	}
	s.got = append(s.got, more...)
}

// rest reads the rest.
func (s *stream) rest() (all []byte, err error) {
	more, err := io.ReadAll(s.Body)
	return append(s.got, more...), err
}

func TestAStreamGoesOnInTheSecondStore(t *testing.T) {
	content := noisy(streamed, 1)
	const from, to = 100_000, 3_600_000
	for _, c := range []struct {
		name  string
		fault func(f *failover)
	}{
		{"first down", (*failover).firstDown},
		{"first cannot read", func(f *failover) { f.first.server.(*sftptest.Server).Set(sftptest.Faults{FailAt: 2 << 20}) }},
		{"file removed from the first", func(f *failover) { f.remove("a.wav"); f.first.proxy.Reset() }},
		{"file replaced in the first", func(f *failover) { f.remove("a.wav"); f.file("a.wav", wav(1000)); f.first.proxy.Reset() }},
	} {
		for _, ranges := range []string{"", fmt.Sprintf("bytes=%d-%d", from, to-1)} {
			t.Run(c.name+" "+ranges, func(t *testing.T) {
				t.Parallel()
				eachSecond(t, func(t *testing.T, kind string) {
					t.Parallel()
					f := newFailover(t, kind, hasty)
					f.file("other.wav", wav(10))
					f.call("call-1", f.both("a.wav", content))
					want := content
					if ranges != "" {
						want = content[from:to]
					}
					s := open(t, f.rig, "/recordings/call-1", header("Range", ranges))
					c.fault(f)
					if got, err := s.rest(); err != nil || !bytes.Equal(got, want) {
						t.Errorf("%d bytes of %d, %v", len(got), len(want), err)
					}
					f.wantWentOn(secondLabel)
					if f.second != nil {
						if most := int64(len(want)) + 512<<10; f.second.proxy.Received() > most {
							t.Errorf("the second was asked for %d bytes, and at most %d are needed", f.second.proxy.Received(), most)
						}
					}
				})
			})
		}
	}
}

func TestAStreamOfSeveralRangesGoesOnInTheSecondStore(t *testing.T) {
	content := noisy(streamed, 1)
	f := newFailover(t, "sftp", hasty)
	f.call("call-1", f.both("a.wav", content))
	ranges := header("Range", "bytes=1000-2000000,2500000-3900000")
	want := f.do("GET", "/recordings/call-1", ranges)
	s := open(t, f.rig, "/recordings/call-1", ranges)
	f.firstDown()
	got, err := s.rest()
	boundary := func(h http.Header) string {
		_, boundary, _ := strings.Cut(h.Get("Content-Type"), "boundary=")
		return boundary
	}
	same := bytes.ReplaceAll(want.body, []byte(boundary(want.header)), []byte(boundary(s.Header)))
	if err != nil || !bytes.Equal(got, same) {
		t.Errorf("%d bytes of %d, %v", len(got), len(want.body), err)
	}
}

func TestAStreamFromAMountGoesOnOverSFTP(t *testing.T) {
	content := noisy(streamed, 1)
	f := newFailover(t, "sftp", hasty)
	f.reroute(mountedAt(t, prefix, prefix+" mount", f.dir), f.second.entry)
	f.call("call-1", f.both("a.wav", content))
	s := open(t, f.rig, "/recordings/call-1", nil)
	if err := os.Truncate(filepath.Join(f.dir, "a.wav"), 3<<20); err != nil {
		t.Fatal(err)
	}
	if got, err := s.rest(); err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d bytes of %d, %v", len(got), len(content), err)
	}
	f.wantWentOn(secondLabel)
}

func TestAStreamDoesNotGoOnInAnotherVersion(t *testing.T) {
	content := noisy(streamed, 1)
	for name, other := range map[string]func(f *failover){
		"a second later": func(f *failover) { f.inSecond("a.wav", content, longAgo.Add(time.Second)) },
		"longer":         func(f *failover) { f.inSecond("a.wav", append(content[:len(content):len(content)], 0), longAgo) },
		"no media":       func(f *failover) { f.inSecond("a.wav", make([]byte, len(content)), longAgo) },
		"missing":        func(f *failover) { f.inSecond("b.wav", content, longAgo) },
	} {
		t.Run(name, func(t *testing.T) {
			eachSecond(t, func(t *testing.T, kind string) {
				t.Parallel()
				f := newFailover(t, kind, hasty)
				f.call("call-1", f.file("a.wav", content))
				other(f)
				s := open(t, f.rig, "/recordings/call-1", nil)
				f.firstDown()
				if got, err := s.rest(); err == nil || !bytes.HasPrefix(content, got) {
					t.Errorf("%d bytes, %v", len(got), err)
				}
				f.awaitTruncated("sftp", 1)
				if log := f.log.String(); !strings.Contains(log, "connection lost") {
					t.Errorf("the cause is not in the log: %s", log)
				}
				f.wantWentOn()
			})
		})
	}
}

func TestAStreamGoesOnInAThirdStoreIfTheSecondHasAnotherVersion(t *testing.T) {
	content := noisy(streamed, 1)
	f := newFailover(t, "mount", hasty)
	third := realDir(t)
	f.reroute(f.first.entry, mountedAt(t, prefix, secondLabel, f.secondDir), mountedAt(t, prefix, "third", third))
	f.call("call-1", f.both("a.wav", content))
	f.inSecond("a.wav", content, longAgo.Add(time.Minute))
	f.secondDir = third
	f.inSecond("a.wav", content, longAgo)
	s := open(t, f.rig, "/recordings/call-1", nil)
	f.firstDown()
	if got, err := s.rest(); err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d bytes of %d, %v", len(got), len(content), err)
	}
	f.wantWentOn("third")
}

func TestAStreamGoesBackToTheFirstStoreIfTheSecondFailsLater(t *testing.T) {
	t.Parallel()
	content := noisy(2*streamed, 1)
	f := newFailover(t, "sftp", hasty)
	f.call("call-1", f.both("a.wav", content))
	f.second.server.(*sftptest.Server).Set(sftptest.Faults{FailAt: streamed})
	s := open(t, f.rig, "/recordings/call-1", nil)
	f.firstDown()
	s.more(t, 2<<20)
	f.first.proxy.Refuse(false)
	await(t, "the first store to be well again", func() bool { return f.first.sftp.Health().Up })
	if got, err := s.rest(); err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d bytes of %d, %v", len(got), len(content), err)
	}
	f.wantWentOn(secondLabel, f.first.entry.Label)
}

func TestAStreamIsCutWhereAllStoresHaveFailed(t *testing.T) {
	content := noisy(streamed, 1)
	f := newFailover(t, "sftp", hasty)
	f.call("call-1", f.both("a.wav", content))
	for _, s := range []*stack{f.first, f.second} {
		s.server.(*sftptest.Server).Set(sftptest.Faults{FailAt: 3 << 20})
	}
	s := open(t, f.rig, "/recordings/call-1", nil)
	if got, err := s.rest(); err == nil || !bytes.Equal(got, content[:3<<20]) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	f.awaitTruncated("sftp", 1)
}

func TestADownloadIsResumedFromTheSecondStore(t *testing.T) {
	content := noisy(200_000, 1)
	eachSecond(t, func(t *testing.T, kind string) {
		f := newFailover(t, kind, hasty)
		f.call("same", f.both("a.wav", content))
		f.call("other", f.both("b.wav", content))
		f.inSecond("b.wav", content, longAgo.Add(time.Minute))
		part := func(id, etag string) answer {
			return f.do("GET", "/recordings/"+id, header("Range", "bytes=150000-", "If-Range", etag))
		}
		same, other := f.get("/recordings/same"), f.get("/recordings/other")
		f.firstDown()
		got := part("same", same.header.Get("ETag"))
		if got.status != 206 || !bytes.Equal(got.body, content[150_000:]) || got.header.Get("ETag") != same.header.Get("ETag") {
			t.Errorf("same version: status %d, %d bytes, %v", got.status, len(got.body), got.header)
		}
		got = part("other", other.header.Get("ETag"))
		if got.status != 200 || !bytes.Equal(got.body, content) || got.header.Get("ETag") == other.header.Get("ETag") {
			t.Errorf("another version: status %d, %d bytes, %v", got.status, len(got.body), got.header)
		}
	})
}

// A store may open a recording and fail to read it.
func TestAFirstStoreThatCannotReadIsLeft(t *testing.T) {
	content := noisy(200_000, 1)
	eachSecond(t, func(t *testing.T, kind string) {
		f := newFailover(t, kind, hasty)
		f.call("both", f.both("a.wav", content))
		f.call("first", f.file("b.wav", content))
		f.first.server.(*sftptest.Server).Set(sftptest.Faults{FailAt: 1000})
		got := f.get("/recordings/both")
		if store := f.logged(got)["store"]; !bytes.Equal(got.body, content) || store != secondLabel {
			t.Errorf("status %d, %d bytes of store %v", got.status, len(got.body), store)
		}
		f.wantProblem("/recordings/first", "storage-unavailable", 503, patient)
	})
}
