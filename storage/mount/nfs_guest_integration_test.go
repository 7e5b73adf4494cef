//go:build linux && nfs

package mount_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"storagesrv/storage"
	"storagesrv/storage/mount"
	"storagesrv/storage/mount/mounttest"
	"storagesrv/storage/storagetest"
)

// versions are those of NFS, with what a mount of each needs in a guest that
// has no lock manager, and so that a server that is back is asked soon.
var versions = map[string]string{
	"v3":   "vers=3,nolock,timeo=10,retrans=1,",
	"v4.2": "vers=4.2,timeo=10,retrans=1,",
}

const (
	// recommended are the options that the README recommends.
	recommended = "ro,hard,nosuid,nodev,noexec"
	// cacheless shows what is on the server at once.
	cacheless = recommended + ",noac,lookupcache=none"
)

// A guest is the server, with the recording, and a mount of it.
type guest struct {
	*mounttest.NFS
	mount *mounttest.NFSMount
	dir   string // with the recording, on the server
	root  string // the same on the mount
}

// newGuest mounts what the server exports. The server is put in order when t
// ends.
func newGuest(t *testing.T, options string) *guest {
	t.Helper()
	nfs, err := mounttest.OpenNFS()
	if err != nil {
		t.Fatal(err)
	}
	mount, err := nfs.Mount(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(nfs.Start(), nfs.Export(), mount.Close()); err != nil {
			t.Error(err)
		}
	})
	g := &guest{NFS: nfs, mount: mount, dir: t.TempDir()}
	g.root = g.seen(g.dir)
	record(t, g.dir, recording, content)
	record(t, g.dir, another(0), content)
	return g
}

// eachVersion runs a test with each version of NFS.
func eachVersion(t *testing.T, options string, test func(*testing.T, *guest)) {
	for version, first := range versions {
		t.Run(version, func(t *testing.T) { test(t, newGuest(t, first+options)) })
	}
}

// seen returns where the mount has a directory of the server.
func (g *guest) seen(dir string) string {
	return filepath.Join(g.mount.Root(), strings.TrimPrefix(dir, g.Dir()))
}

func TestNFSKeepsTheContract(t *testing.T) {
	eachVersion(t, cacheless, func(t *testing.T, g *guest) {
		storagetest.Run(t, func(t *testing.T, dir string, followLinks bool) storage.Store {
			return sharpStore(t, g.seen(dir), followLinks)
		})
	})
}

func TestNFSServerThatRestartsGoesUnnoticed(t *testing.T) {
	eachVersion(t, recommended, func(t *testing.T, g *guest) {
		store := newStore(t, mount.Config{Root: g.root, Timeout: time.Minute})
		file := begun(t, store)
		must(t, g.Stop)
		var listening sync.WaitGroup
		listening.Go(func() { isWhole(t, file, 1000) })
		must(t, g.Start)
		listening.Wait()
		recovers(t, store)
	})
}

func TestNFSServerThatIsDown(t *testing.T) {
	eachVersion(t, recommended, func(t *testing.T, g *guest) {
		store := impatientStore(t, g.root)
		for i := range listeners {
			record(t, g.dir, another(i), content)
		}
		held := begun(t, store)
		must(t, g.Stop)
		neverEnds(t, held, 900_000, prompt...)
		var calls sync.WaitGroup
		for i := range listeners {
			calls.Go(func() { triesInVain(t, store, another(i)) })
		}
		calls.Wait()
		refusesAtOnce(t, store, another(0))
		if n := asleep(t); n == 0 || n > mostStuck+1 {
			t.Errorf("%d threads hang", n)
		}
		becomes(t, store, false)
		must(t, g.Start)
		recovers(t, store)
		becomes(t, store, true)
		rewind(t, held)
		isWhole(t, held, 1000)
	})
}

// asleep returns how many threads of this process wait for NFS.
func asleep(t testing.TB) (n int) {
	t.Helper()
	threads, err := filepath.Glob("/proc/self/task/*/stat")
	if err != nil || len(threads) == 0 {
		t.Fatalf("threads: %v", err)
	}
	for _, name := range threads {
		if stat, err := os.ReadFile(name); err == nil && bytes.Contains(stat, []byte(") D ")) {
			n++
		}
	}
	return n
}

func TestNFSServerThatIsDownForASoftMount(t *testing.T) {
	var stores []*mount.Store
	var calls sync.WaitGroup
	var g *guest
	begin := make(chan struct{})
	for version, options := range versions {
		g = newGuest(t, options+strings.ReplaceAll(recommended, "hard", "soft"))
		store := newStore(t, mount.Config{Root: g.root, Timeout: time.Minute})
		file := begun(t, store)
		stores = append(stores, store)
		for name, call := range map[string]func() error{
			"ReadAt": func() error { _, err := file.ReadAt(make([]byte, 1000), 900_000); return err },
			"Open":   func() error { _, err := store.Open(context.Background(), another(0)); return err },
		} {
			name += " by " + version
			calls.Go(func() {
				<-begin
				wants(t, name, takes(t, patient, name, call), storage.ErrUnavailable)
			})
		}
	}
	must(t, g.Stop)
	close(begin)
	calls.Wait()
	must(t, g.Start)
	for _, store := range stores {
		recovers(t, store)
	}
}

func TestNFSThatIsUnexported(t *testing.T) {
	eachVersion(t, recommended, func(t *testing.T, g *guest) {
		store := impatientStore(t, g.root)
		file := begun(t, store)
		must(t, g.Unexport)
		refused := append([]error{fs.ErrPermission}, prompt...)
		neverEnds(t, file, 900_000, refused...)
		for _, name := range []string{recording, another(0), "missing.mp3"} {
			wants(t, name, takes(t, bound, "Open", func() error { return reads(store, name) }), refused...)
		}
		must(t, g.Export)
		recovers(t, store)
		rewind(t, file)
		isWhole(t, file, 1000)
	})
}

// changes are what happens on the server to a recording that is listened to.
var changes = map[string]func(*testing.T, *guest){
	"replaced": func(t *testing.T, g *guest) { replace(t, g.dir) },
	"removed":  func(t *testing.T, g *guest) { must(t, func() error { return os.Remove(g.path()) }) },
	"removed during a restart": func(t *testing.T, g *guest) {
		must(t, g.Stop, func() error { return os.Remove(g.path()) }, g.Start)
	},
	"replaced during a restart": func(t *testing.T, g *guest) {
		must(t, g.Stop)
		replace(t, g.dir)
		must(t, g.Start)
	},
}

func (g *guest) path() string { return filepath.Join(g.dir, recording) }

func TestNFSFileThatChangesWhileItIsListenedTo(t *testing.T) {
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			eachVersion(t, recommended, func(t *testing.T, g *guest) {
				store := newStore(t, mount.Config{Root: g.root, Timeout: time.Minute})
				file := begun(t, store)
				change(t, g)
				isWholeOrLost(t, file, 1000, storage.ErrChanged)
				file.Close()
				showsTheChange(t, store, g.path())
			})
		})
	}
}

// As long as the client of NFS 4 takes the old size for known, a few seconds, it
// shows zeros where the file was.
func TestNFSFileThatIsTruncatedWhileItIsListenedTo(t *testing.T) {
	eachVersion(t, cacheless, func(t *testing.T, g *guest) {
		store := newStore(t, mount.Config{Root: g.root, Timeout: time.Minute})
		file := begun(t, store)
		truncate(t, g.path())
		isLost(t, file, 1000, storage.ErrChanged, storage.ErrUnavailable, io.ErrUnexpectedEOF)
		file.Close()
		showsTheChange(t, store, g.path())
	})
}

// The client knows a file's attributes for a while, and is asked past that.
func TestNFSFileThatIsRewrittenIsNoticedAtOnce(t *testing.T) {
	eachVersion(t, recommended, func(t *testing.T, g *guest) {
		file := begun(t, newStore(t, mount.Config{Root: g.root, Timeout: time.Minute})).(*mount.File)
		if err := file.Check(); err != nil {
			t.Errorf("as it was: %v", err)
		}
		must(t, func() error { return os.WriteFile(g.path(), other[:len(content)], 0o644) })
		wants(t, "rewritten", file.Check(), storage.ErrChanged)
	})
}

func TestNFSFileThatIsNewIsFound(t *testing.T) {
	eachVersion(t, recommended+",acdirmin=1,acdirmax=2", func(t *testing.T, g *guest) {
		store := impatientStore(t, g.root)
		const name = "20131012/new.mp3"
		wants(t, "before it is there", reads(store, name), fs.ErrNotExist)
		g.tick(t)
		record(t, g.dir, name, content)
		for deadline := time.Now().Add(wellAgain); ; time.Sleep(50 * time.Millisecond) {
			err := reads(store, name)
			if err == nil {
				return
			}
			wants(t, "before it is seen", err, fs.ErrNotExist)
			if time.Now().After(deadline) {
				t.Fatal("not found")
			}
		}
	})
}

func TestNFSFileThatIsNewIsFoundAtOnceByWhoAsksForThat(t *testing.T) {
	eachVersion(t, recommended, func(t *testing.T, g *guest) {
		store := newStore(t, mount.Config{Root: g.root, Timeout: time.Minute})
		g.tick(t)
		findsWhatIsNew(t, store, g.dir)
	})
}

// tick waits until the server's clock has gone on since the directory of the
// recording changed: it is by that time that a client sees that it does again.
func (g *guest) tick(t testing.TB) {
	t.Helper()
	changed, err := os.Stat(filepath.Dir(g.path()))
	if err != nil {
		t.Fatal(err)
	}
	for {
		path := filepath.Join(g.dir, "tick")
		must(t, func() error { return os.WriteFile(path, nil, 0o644) })
		if now, err := os.Stat(path); err != nil || now.ModTime().After(changed.ModTime()) {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

func TestNFSThatIsUnmountedIsUnavailable(t *testing.T) {
	eachVersion(t, recommended, func(t *testing.T, g *guest) {
		store := impatientStore(t, g.root)
		becomes(t, store, true)
		file := begun(t, store)
		must(t, g.mount.Unmount)
		for _, name := range []string{recording, "missing.mp3"} {
			wants(t, name, takes(t, bound, "Open", func() error { return reads(store, name) }), storage.ErrUnavailable)
		}
		becomes(t, store, false)
		must(t, g.mount.Mount)
		recovers(t, store)
		becomes(t, store, true)
		rewind(t, file)
		isWholeOrLost(t, file, 1000, storage.ErrUnavailable, storage.ErrChanged)
	})
}
