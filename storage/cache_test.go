package storage_test

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"storagesrv/storage"
	"storagesrv/storage/mount"
	"storagesrv/storage/sftp"
	"storagesrv/storage/sftp/sftptest"
	"storagesrv/storage/storagetest"
)

func TestCacheKeepsTheContract(t *testing.T) {
	for name, below := range map[string]func(*testing.T, string, bool) storage.Store{"mount": mounted, "sftp": overSFTP} {
		for _, test := range []struct {
			name   string
			config storage.CacheConfig
			ahead  bool
		}{
			{"much", storage.CacheConfig{Memory: 64 << 20}, false},
			{"much ahead", storage.CacheConfig{Memory: 64 << 20, Revalidate: time.Hour}, true},
			{"little", storage.CacheConfig{Memory: 100_000, Revalidate: time.Hour}, false},
			{"nothing ahead", storage.CacheConfig{}, true},
		} {
			t.Run(name+" "+test.name, func(t *testing.T) {
				storagetest.Run(t, func(t *testing.T, dir string, followLinks bool) storage.Store {
					storagetest.LeaksNothing(t)
					config := test.config
					if changes(t.Name()) {
						config.Revalidate = 0
					}
					store := newCache(t, config).Over("test", below(t, dir, followLinks))
					if test.ahead {
						store = storage.ReadAhead(store, storage.NewBudget(1<<20))
					}
					return store
				})
			})
		}
	}
}

// changes reports whether a test of the contract changes what a name means, and
// wants that to be seen at once.
func changes(test string) bool {
	return strings.Contains(test, "AMissingOrEmptyRoot") || strings.Contains(test, "AReplacedFile")
}

func mounted(t *testing.T, dir string, followLinks bool) storage.Store {
	store, err := mount.New(mount.Config{Root: dir, FollowLinks: followLinks})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}

func overSFTP(t *testing.T, dir string, followLinks bool) storage.Store {
	server, err := sftptest.Start(sftptest.Config{Dir: filepath.Dir(dir)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	store, err := sftp.New(sftp.Config{
		Address: server.Addr(), User: server.User(), PrivateKey: server.ClientKey(), HostKey: server.Fingerprint(),
		Root: "/" + filepath.Base(dir), FollowLinks: followLinks,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}

func newCache(t testing.TB, config storage.CacheConfig) *storage.Cache {
	cache := storage.NewCache(config)
	t.Cleanup(cache.Close)
	return cache
}

// A distant store holds recordings in memory, a round trip away, in a bubble of
// synctest. It is asked about one thing at a time by name.
type distant struct {
	trip time.Duration

	mu       sync.Mutex
	files    map[string]*distantRecord // guarded by mu
	down     error                     // guarded by mu: what all Opens and Stats end with
	failing  error                     // guarded by mu: what all reads end with
	hanging  chan struct{}             // guarded by mu: nothing is answered until it is closed
	dead     bool                      // guarded by mu: Files are not Alive
	asked    asked                     // guarded by mu
	isOpen   int                       // guarded by mu
	contexts []context.Context         // guarded by mu: of the Opens
}

type distantRecord struct {
	content []byte
	mtime   time.Time
}

// asked counts what a store was asked for.
type asked struct{ opens, stats, reads, bytes int }

// old is when recordings were made that are settled.
func old() time.Time { return time.Now().Add(-time.Hour).Truncate(time.Second) }

// distantWith returns a store, a round trip away, with one recording of n bytes.
func distantWith(n int) (*distant, []byte) {
	d := &distant{trip: roundTrip, files: make(map[string]*distantRecord)}
	return d, d.put("a", n, old())
}

// put records n bytes in place of what was there.
func (d *distant) put(name string, n int, mtime time.Time) []byte {
	random := rand.NewChaCha8([32]byte{byte(n), byte(len(name)), byte(len(d.contexts))})
	content := make([]byte, n)
	random.Read(content)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.files[name] = &distantRecord{content, mtime}
	return content
}

func (d *distant) set(change func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change()
}

// since returns what was asked since the last time.
func (d *distant) since() asked {
	d.mu.Lock()
	defer d.mu.Unlock()
	was := d.asked
	d.asked = asked{}
	return was
}

func (d *distant) open() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.isOpen
}

// answer waits for a round trip, or longer.
func (d *distant) answer(ctx context.Context, count func(*asked)) error {
	d.mu.Lock()
	count(&d.asked)
	hanging := d.hanging
	d.mu.Unlock()
	if hanging != nil {
		select {
		case <-hanging:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	select {
	case <-time.After(d.trip):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (d *distant) find(name string) (*distantRecord, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.down != nil {
		return nil, storage.PathError(name, d.down)
	}
	r := d.files[name]
	if r == nil {
		return nil, storage.PathError(name, fs.ErrNotExist)
	}
	return r, nil
}

func (d *distant) Open(ctx context.Context, name string) (storage.File, error) {
	d.set(func() { d.contexts = append(d.contexts, ctx) })
	if err := d.answer(ctx, func(a *asked) { a.opens++ }); err != nil {
		return nil, storage.PathError(name, err)
	}
	r, err := d.find(name)
	if err != nil {
		return nil, err
	}
	f := &distantFile{Reader: bytes.NewReader(r.content), distant: d, record: r}
	f.ctx, f.close = context.WithCancel(ctx)
	d.set(func() { d.isOpen++ })
	return f, nil
}

func (d *distant) Stat(ctx context.Context, name string) (fs.FileInfo, error) {
	if err := d.answer(ctx, func(a *asked) { a.stats++ }); err != nil {
		return nil, storage.PathError(name, err)
	}
	r, err := d.find(name)
	if err != nil {
		return nil, err
	}
	return r, nil
}

type distantFile struct {
	*bytes.Reader
	distant *distant
	record  *distantRecord
	ctx     context.Context
	close   context.CancelFunc
}

func (f *distantFile) Stat() (fs.FileInfo, error) { return f.record, nil }

func (f *distantFile) Close() error {
	f.close()
	f.distant.set(func() { f.distant.isOpen-- })
	return nil
}

func (f *distantFile) Alive() bool {
	f.distant.mu.Lock()
	defer f.distant.mu.Unlock()
	return !f.distant.dead
}

func (f *distantFile) ReadAt(p []byte, offset int64) (int, error) {
	err := f.distant.answer(f.ctx, func(a *asked) { a.reads++; a.bytes += len(p) })
	if err != nil {
		return 0, err
	}
	f.distant.mu.Lock()
	defer f.distant.mu.Unlock()
	if f.distant.failing != nil {
		return 0, &fs.PathError{Op: "read", Path: "a", Err: f.distant.failing}
	}
	return f.Reader.ReadAt(p, offset)
}

func (r *distantRecord) Name() string       { return "a" }
func (r *distantRecord) Size() int64        { return int64(len(r.content)) }
func (r *distantRecord) Mode() fs.FileMode  { return 0o444 }
func (r *distantRecord) ModTime() time.Time { return r.mtime }
func (r *distantRecord) IsDir() bool        { return false }
func (r *distantRecord) Sys() any           { return nil }

// cached runs test in a bubble, with a cache over a distant recording called a.
func cached(t *testing.T, n int, config storage.CacheConfig, test func(t *testing.T, c *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		d, content := distantWith(n)
		cache := storage.NewCache(config)
		test(t, &rig{t, d, content, cache, cache.Over("far", d)})
		cache.Close()
		if n := d.open(); n != 0 {
			t.Errorf("%d files are left open", n)
		}
		synctest.Wait() // no goroutine is left, or the bubble panics
	})
}

type rig struct {
	*testing.T
	*distant
	content []byte
	cache   *storage.Cache
	store   storage.Store
}

// file opens the recording.
func (c *rig) file() storage.File {
	c.Helper()
	file, err := c.store.Open(c.Context(), "a")
	if err != nil {
		c.Fatal(err)
	}
	return file
}

// reads asserts that a file holds some bytes of want.
func (c *rig) reads(file storage.File, want []byte, offset, length int) {
	c.Helper()
	got := make([]byte, length)
	n, err := file.ReadAt(got, int64(offset))
	if n != length || err != nil {
		c.Errorf("read %d+%d: %d bytes, %v", offset, length, n, err)
	} else if !bytes.Equal(got, want[offset:offset+length]) {
		c.Errorf("wrong bytes at %d+%d", offset, length)
	}
}

// plays opens the recording, reads it whole, and closes it.
func (c *rig) plays(want []byte) {
	c.Helper()
	file := c.file()
	defer file.Close()
	got, err := io.ReadAll(file)
	if err != nil || !bytes.Equal(got, want) {
		c.Errorf("%d bytes, %v; want %d", len(got), err, len(want))
	}
}

// costs asserts what the store was asked for since it was looked at last.
func (c *rig) costs(want asked) {
	c.Helper()
	if got := c.distant.since(); got != want {
		c.Errorf("the store was asked for %+v, want %+v", got, want)
	}
}
