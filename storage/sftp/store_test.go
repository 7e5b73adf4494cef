package sftp_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"storagesrv/storage"
	"storagesrv/storage/sftp"
	"storagesrv/storage/sftp/sftptest"
	"storagesrv/storage/storagetest"
)

func TestMain(m *testing.M) {
	flag.Set("test.parallel", "4") // unless the command line says another: these tests wait more than they work
	storagetest.Main(m)
}

func TestStoreKeepsTheContract(t *testing.T) {
	storagetest.Run(t, func(t *testing.T, dir string, followLinks bool) storage.Store {
		server := start(t, sftptest.Config{Dir: filepath.Dir(dir)})
		return connect(t, server, func(c *sftp.Config) {
			c.Root, c.FollowLinks = "/"+filepath.Base(dir), followLinks
		})
	})
}

// timeout is that of stores in tests where an answer is missing. Elsewhere it
// leaves a busy machine more time.
const timeout = slower * 2 * time.Second

// slack is what a busy machine may add to a time-out. It is shorter than the
// time-outs that the stores of these tests have otherwise.
const slack = 20 * time.Second

// noResume makes reads fail when their connection is lost.
func noResume(c *sftp.Config) { c.Resume = -1 }

func impatient(c *sftp.Config) { c.Timeout = timeout }

// content is what recording.mp3 holds, a file that takes several packets.
var content = func() []byte {
	random := rand.New(rand.NewPCG(1, 2))
	content := make([]byte, 300_000)
	for i := range content {
		content[i] = byte(random.Uint32())
	}
	return content
}()

const recording = "recording.mp3"

// recordings returns a directory with a recording in it.
func recordings(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	record(t, filepath.Join(dir, recording), content)
	return dir
}

// recorded is when recordings were made.
var recorded = time.Now().Add(-time.Hour).Truncate(time.Second)

// record makes a recording.
func record(t testing.TB, path string, content []byte) {
	t.Helper()
	if err := errors.Join(os.WriteFile(path, content, 0o644), os.Chtimes(path, recorded, recorded)); err != nil {
		t.Fatal(err)
	}
}

// start runs a server; without a directory, over recordings.
func start(t testing.TB, config sftptest.Config) *sftptest.Server {
	t.Helper()
	if config.Dir == "" {
		config.Dir = recordings(t)
	}
	server, err := sftptest.Start(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return server
}

// A peer is a server in this process, or OpenSSH.
type peer interface {
	Addr() string
	User() string
	ClientKey() []byte
	Fingerprint() string
	KnownHosts() []byte
}

// proxied runs a proxy before server, and returns what makes a store use it.
func proxied(t testing.TB, server peer) (*sftptest.Proxy, func(*sftp.Config)) {
	t.Helper()
	proxy, err := sftptest.StartProxy(server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { proxy.Close() })
	return proxy, func(c *sftp.Config) {
		c.Address, c.KnownHosts, c.HostKey = proxy.Addr(), "", server.Fingerprint()
	}
}

// connect returns a store on server.
func connect(t testing.TB, server peer, changes ...func(*sftp.Config)) *sftp.Store {
	t.Helper()
	config := sftp.Config{
		Address:    server.Addr(),
		User:       server.User(),
		PrivateKey: server.ClientKey(),
		KnownHosts: file(t, server.KnownHosts()),
		Timeout:    30 * time.Second,
		Resume:     2 * time.Minute,
	}
	for _, change := range changes {
		change(&config)
	}
	store, err := sftp.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}

// file returns the path of a file with the given content.
func file(t testing.TB, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func open(t testing.TB, store storage.Store) storage.File {
	t.Helper()
	file, err := store.Open(t.Context(), recording)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file
}

// begun opens the recording and reads its first 50,000 bytes: again, where a
// time-out that is short on purpose is too short for a busy machine.
func begun(t testing.TB, store storage.Store) (file storage.File) {
	t.Helper()
	eventually(t, "the recording is open", func() bool {
		var err error
		if file, err = store.Open(t.Context(), recording); err != nil {
			return false
		}
		got := make([]byte, 50_000)
		if _, err = io.ReadFull(file, got); err != nil || !bytes.Equal(got, content[:50_000]) {
			file.Close()
			return false
		}
		return true
	})
	t.Cleanup(func() { file.Close() })
	return file
}

// tries opens and reads the recording.
func tries(store storage.Store) error {
	file, err := store.Open(context.Background(), recording)
	if err != nil {
		return err
	}
	defer file.Close()
	got, err := io.ReadAll(file)
	if err == nil && string(got) != string(content) {
		err = errors.New("wrong bytes")
	}
	return err
}

// within asserts that f returns within the bound and what a busy machine adds.
func within(t testing.TB, bound time.Duration, f func()) {
	t.Helper()
	began := time.Now()
	f()
	if took := time.Since(began); took > bound+slack {
		t.Errorf("took %v, bound %v", took, bound)
	}
}

// eventually asserts that ok comes to hold soon.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	if !soon(ok) {
		t.Fatalf("not in a minute: %s", what)
	}
}

// soon reports whether ok comes to hold in a minute.
func soon(ok func() bool) bool {
	deadline := time.After(time.Minute)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			return false
		case <-tick.C:
		}
	}
	return true
}

// recovers asserts that the store works again by itself.
func recovers(t testing.TB, store storage.Store) {
	t.Helper()
	eventually(t, "recovery", func() bool { return tries(store) == nil })
}

// mostDials is how many dials may fail, or be of connections that are lost soon,
// in so much time.
func mostDials(during time.Duration) int {
	n := 1
	for gap := 250 * time.Millisecond; during >= gap; gap = min(2*gap, 2*time.Second) {
		during -= gap
		n++
	}
	return n
}

// wants asserts that err is one of the errors that storage's contract names.
func wants(t testing.TB, err error, want ...error) {
	t.Helper()
	for _, w := range want {
		if errors.Is(err, w) {
			return
		}
	}
	t.Errorf("got %v, want %v", err, want)
}

var (
	unavailable = storage.ErrUnavailable
	tooLate     = context.DeadlineExceeded
	refused     = fs.ErrPermission
)
