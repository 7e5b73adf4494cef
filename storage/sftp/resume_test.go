package sftp_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"storagesrv/storage"
	"storagesrv/storage/sftp"
	"storagesrv/storage/sftp/sftptest"
)

// resumes counts how often Files of a store go on.
func resumes(n *atomic.Int32) func(*sftp.Config) {
	return func(c *sftp.Config) { c.OnResume = func() { n.Add(1) } }
}

// resumesFor makes a store look so long for another connection.
func resumesFor(d time.Duration) func(*sftp.Config) {
	return func(c *sftp.Config) { c.Resume = d }
}

// reads asserts that the next bytes of the recording are content.
func reads(t testing.TB, file io.Reader, want []byte) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(file, got); err != nil || !bytes.Equal(got, want) {
		t.Errorf("read %d bytes, %v; want %d", n, err, len(want))
	}
}

func TestAReadGoesOnOverAnotherConnection(t *testing.T) {
	t.Parallel()
	server := start(t, sftptest.Config{})
	var n atomic.Int32
	store := connect(t, server, resumes(&n))
	file := open(t, store)
	for i := range 3 {
		reads(t, file, content[i*100_000:][:50_000])
		server.KillConnections()
		reads(t, file, content[i*100_000+50_000:][:50_000])
		if got := n.Load(); got != int32(i+1) {
			t.Errorf("lost its connection %d times, was told of %d resumes", i+1, got)
		}
	}
	if _, err := file.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
}

func TestManyReadersOfOneFileResumeItOnce(t *testing.T) {
	t.Parallel()
	server := start(t, sftptest.Config{})
	var n atomic.Int32
	store := connect(t, server, resumes(&n))
	file := open(t, store)
	var readers, halfway sync.WaitGroup
	killed := make(chan struct{})
	for i := range 16 {
		random := rand.New(rand.NewPCG(5, uint64(i)))
		halfway.Add(1)
		readers.Go(func() {
			for round := range 20 {
				if round == 10 {
					halfway.Done()
				}
				if round == 12 { // not before some reads were under way
					<-killed
				}
				offset := random.Int64N(int64(len(content) - 50_000))
				reads(t, io.NewSectionReader(file, offset, 50_000), content[offset:][:50_000])
			}
		})
	}
	halfway.Wait()
	server.KillConnections()
	close(killed)
	readers.Wait()
	if got := n.Load(); got != 1 {
		t.Errorf("resumed %d times", got)
	}
}

func TestACutConnectionCostsNoByte(t *testing.T) {
	t.Parallel()
	readsThroughCuts(t, start(t, sftptest.Config{}), 24)
}

// readsThroughCuts reads the recording n times, while the connection is cut
// after some bytes, each time over a store of its own and in another way.
func readsThroughCuts(t *testing.T, server peer, n int, changes ...func(*sftp.Config)) {
	t.Helper()
	proxy, via := proxied(t, server)
	random := rand.New(rand.NewPCG(3, uint64(n)))
	for i := range n {
		var dials atomic.Int32
		store := connect(t, server, append(changes, via, func(c *sftp.Config) { c.OnDial = func(string) { dials.Add(1) } })...)
		if _, err := store.Stat(t.Context(), recording); err != nil {
			t.Fatal(err)
		}
		after := 1 + random.Int64N(int64(len(content)))
		proxy.CutAfter(after)
		if err := readers[i%len(readers)](t, store); err != nil {
			t.Errorf("cut after %d bytes, way %d: %v", after, i%len(readers), err)
		}
		if !soon(func() bool { return dials.Load() >= 2 }) { // told when it is in use already
			t.Errorf("cut after %d bytes: was not cut", after)
		}
		store.Close()
	}
}

// readers are ways to read the whole recording: in small pieces, at once, and
// as the program does.
var readers = []func(testing.TB, *sftp.Store) error{
	func(_ testing.TB, store *sftp.Store) error { return tries(store) },
	func(t testing.TB, store *sftp.Store) error {
		file, err := store.Open(t.Context(), recording)
		if err != nil {
			return err
		}
		defer file.Close()
		got := make([]byte, len(content))
		if _, err := file.ReadAt(got, 0); err != nil {
			return err
		}
		if !bytes.Equal(got, content) {
			return errors.New("wrong bytes")
		}
		return nil
	},
	func(t testing.TB, store *sftp.Store) error { return tries(stacked(t, store)) },
}

// stacked returns store below what the program puts on top of it.
func stacked(t testing.TB, store storage.Store) storage.Store {
	t.Helper()
	cache := storage.NewCache(storage.CacheConfig{Memory: 8 << 20})
	t.Cleanup(cache.Close)
	return storage.ReadAhead(cache.Over("sftp", store), storage.NewBudget(8<<20))
}

// out makes all connections break, and new ones hang until the fault is over.
func out(server *sftptest.Server) {
	server.Set(sftptest.Faults{HoldAt: sftptest.BeforeBanner})
	server.KillConnections()
}

// changes are what may become of a recording while nobody can look.
var changes = map[string]func(path string) error{
	"replaced": func(path string) error {
		return errors.Join(os.WriteFile(path+".new", other, 0o644), os.Rename(path+".new", path))
	},
	"replaced by a longer one": func(path string) error {
		longer := append(bytes.Clone(other), other...)
		return errors.Join(os.WriteFile(path+".new", longer, 0o644), os.Chtimes(path+".new", recorded, recorded), os.Rename(path+".new", path))
	},
	"replaced by a directory": func(path string) error {
		return errors.Join(os.Remove(path), os.Mkdir(path, 0o755))
	},
	"replaced by a link": func(path string) error {
		return errors.Join(os.Rename(path, path+".old"), os.Symlink(path+".old", path))
	},
	"truncated": func(path string) error {
		return errors.Join(os.Truncate(path, 200_000), os.Chtimes(path, recorded, recorded))
	},
	"removed":            os.Remove,
	"rewritten in place": func(path string) error { return os.WriteFile(path, other, 0o644) },
}

// other is as long as content, and has no byte in common with it.
var other = func() []byte {
	other := bytes.Clone(content)
	for i := range other {
		other[i] ^= 0xff
	}
	return other
}()

func TestAFileThatChangedDuringTheOutageIsNotGoneOnWith(t *testing.T) {
	t.Parallel()
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := recordings(t)
			record(t, filepath.Join(dir, "another.mp3"), other) // or else the root is empty
			server := start(t, sftptest.Config{Dir: dir})
			var n atomic.Int32
			store := connect(t, server, resumes(&n))
			file := open(t, store)
			reads(t, file, content[:50_000])
			out(server)
			ends := make(chan error)
			for _, offset := range []int64{0, 50_000, 250_000} {
				go func() {
					n, err := file.ReadAt(make([]byte, 50_000), offset)
					if n > 0 {
						t.Errorf("read %d bytes at %d", n, offset)
					}
					ends <- err
				}()
			}
			if err := change(filepath.Join(dir, recording)); err != nil {
				t.Fatal(err)
			}
			server.Set(sftptest.Faults{})
			for range 3 {
				wants(t, <-ends, storage.ErrChanged)
			}
			failsForGood(t, file, storage.ErrChanged)
			if n.Load() != 0 {
				t.Error("counts as a resume")
			}
		})
	}
}

// failsForGood asserts that no read of file brings a byte, at once and with
// the same error.
func failsForGood(t testing.TB, file storage.File, want error) {
	t.Helper()
	within(t, 0, func() {
		for range 3 {
			if n, err := file.Read(make([]byte, 100)); n != 0 || !errors.Is(err, want) {
				t.Errorf("Read: %d bytes, %v", n, err)
			}
			for _, offset := range []int64{0, 50_000, 299_000} {
				if n, err := file.ReadAt(make([]byte, 100), offset); n != 0 || !errors.Is(err, want) {
					t.Errorf("ReadAt %d: %d bytes, %v", offset, n, err)
				}
			}
		}
	})
	var pathErr *fs.PathError
	if _, err := file.Read(make([]byte, 1)); !errors.As(err, &pathErr) || pathErr.Path != recording {
		t.Errorf("a %T", err)
	}
	if file.(*sftp.File).Alive() {
		t.Error("says that it can be read")
	}
}

func TestARefusalDuringTheOutageEndsAReadSoon(t *testing.T) {
	for name, refuse := range map[string]func(*sftptest.Server){
		"login":    func(s *sftptest.Server) { s.Set(sftptest.Faults{RefuseAuth: true}) },
		"sftp":     func(s *sftptest.Server) { s.Set(sftptest.Faults{RefuseSFTP: true}) },
		"host key": func(s *sftptest.Server) { s.SetHostKeys(hostKey(t, "ed25519")) },
		"file": func(s *sftptest.Server) {
			s.Set(sftptest.Faults{Answer: on(fxHandle, func(p []byte) []byte { return status(p, 3) })})
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := start(t, sftptest.Config{})
			store := connect(t, server)
			file := open(t, store)
			reads(t, file, content[:50_000])
			refuse(server)
			server.KillConnections()
			within(t, 0, func() {
				_, err := file.Read(make([]byte, 100))
				wants(t, err, refused)
				if errors.Is(err, unavailable) { // or the listener would be told to try again
					t.Errorf("counts as an outage: %v", err)
				}
			})
			failsForGood(t, file, refused)
		})
	}
}

func TestAReadWaitsForTheServerNoLongerThanItShould(t *testing.T) {
	t.Parallel()
	const resume = time.Second
	for name, test := range map[string]struct {
		fail func(*sftptest.Proxy)
		late time.Duration // until it is noticed
	}{
		"refusing": {func(p *sftptest.Proxy) { p.Refuse(true); p.Reset() }, 0},
		"silent":   {func(p *sftptest.Proxy) { p.Reset(); p.Freeze(true) }, 0},
		"frozen":   {func(p *sftptest.Proxy) { p.Freeze(true) }, timeout},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := start(t, sftptest.Config{})
			proxy, via := proxied(t, server)
			store := connect(t, server, via, impatient, resumesFor(resume))
			file := begun(t, store)
			test.fail(proxy)
			began := time.Now()
			within(t, test.late+resume, func() {
				_, err := file.Read(make([]byte, 100))
				wants(t, err, unavailable)
			})
			if took := time.Since(began); took < resume {
				t.Errorf("gave up after %v", took)
			}
			proxy.Refuse(false)
			proxy.Freeze(false)
			eventually(t, "a later read goes on", func() bool {
				got := make([]byte, 100)
				n, err := file.ReadAt(got, 50_000)
				return err == nil && bytes.Equal(got[:n], content[50_000:][:100])
			})
		})
	}
}

func TestAReadGoesOnWhenTheServerIsBack(t *testing.T) {
	t.Parallel()
	server := start(t, sftptest.Config{})
	proxy, via := proxied(t, server)
	var n, failed atomic.Int32
	store := connect(t, server, via, resumes(&n), func(c *sftp.Config) {
		c.OnDial = func(result string) {
			if result != "ok" {
				failed.Add(1)
			}
		}
	})
	file := open(t, store)
	reads(t, file, content[:50_000])
	proxy.Refuse(true)
	proxy.Reset()
	done := make(chan struct{})
	go func() {
		defer close(done)
		reads(t, file, content[50_000:])
	}()
	eventually(t, "two dials fail", func() bool { return failed.Load() == 2 })
	proxy.Refuse(false)
	<-done
	if n.Load() != 1 {
		t.Errorf("resumed %d times", n.Load())
	}
}

func TestWithoutResumeALostConnectionEndsAReadAtOnce(t *testing.T) {
	server := start(t, sftptest.Config{})
	var n atomic.Int32
	store := connect(t, server, noResume, resumes(&n))
	file := open(t, store)
	reads(t, file, content[:50_000])
	out(server)
	within(t, 0, func() {
		_, err := file.Read(make([]byte, 100))
		wants(t, err, unavailable)
	})
	if n.Load() != 0 {
		t.Error("it was resumed")
	}
}

func TestAReadThatWaitsForAConnectionCanBeEnded(t *testing.T) {
	for name, test := range map[string]struct {
		end  func(*sftp.Store, storage.File, context.CancelFunc)
		want error
	}{
		"File":    {func(_ *sftp.Store, file storage.File, _ context.CancelFunc) { file.Close() }, fs.ErrClosed},
		"context": {func(_ *sftp.Store, _ storage.File, cancel context.CancelFunc) { cancel() }, context.Canceled},
		"Store":   {func(store *sftp.Store, _ storage.File, _ context.CancelFunc) { store.Close() }, unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			server := start(t, sftptest.Config{})
			store := connect(t, server)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			file, err := store.Open(ctx, recording)
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			reads(t, file, content[:50_000])
			out(server)
			ends := make(chan error)
			for range 3 {
				go func() {
					_, err := file.ReadAt(make([]byte, 100_000), 50_000)
					ends <- err
				}()
			}
			eventually(t, "it is dialed again", func() bool { return server.Dials() == 2 })
			within(t, 0, func() {
				test.end(store, file, cancel)
				for range 3 {
					wants(t, <-ends, test.want)
				}
			})
		})
	}
}

func TestAReadThatEndsEachConnectionIsGivenUp(t *testing.T) {
	t.Parallel()
	const resume = time.Second
	server := start(t, sftptest.Config{})
	store := connect(t, server, impatient, resumesFor(resume))
	file := begun(t, store)
	server.Set(sftptest.Faults{Answer: on(fxData, func([]byte) []byte {
		server.KillConnections()
		return nil
	})})
	before, began := server.Dials(), time.Now()
	within(t, resume+timeout, func() {
		n, err := file.ReadAt(make([]byte, 1000), 100_000)
		wants(t, err, unavailable)
		if n != 0 {
			t.Errorf("%d bytes", n)
		}
	})
	if n, took := server.Dials()-before, time.Since(began); n > 1+mostDials(took) { // the first loss is mended at once
		t.Errorf("dialed %d times in %v", n, took)
	}
	server.Set(sftptest.Faults{})
	eventually(t, "a later read goes on", func() bool {
		got := make([]byte, 1000)
		n, err := file.ReadAt(got, 100_000)
		return err == nil && bytes.Equal(got[:n], content[100_000:][:1000])
	})
}

func TestADiskThatWasNotMountedIsWaitedFor(t *testing.T) {
	t.Parallel()
	root := recordings(t)
	server := start(t, sftptest.Config{Dir: filepath.Dir(root)})
	store := connect(t, server, impatient, resumesFor(2*time.Minute), func(c *sftp.Config) { c.Root = "/" + filepath.Base(root) })
	file := begun(t, store)
	if err := os.Rename(root, root+".away"); err != nil {
		t.Fatal(err)
	}
	server.KillConnections()
	done := make(chan struct{})
	go func() {
		defer close(done)
		reads(t, file, content[50_000:])
	}()
	eventually(t, "the disk is missed", func() bool {
		tries(store)
		return strings.Contains(store.Health().Reason, "root")
	})
	if err := os.Rename(root+".away", root); err != nil {
		t.Fatal(err)
	}
	within(t, timeout, func() { <-done })
}
