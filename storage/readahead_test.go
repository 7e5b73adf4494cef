package storage_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
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

func TestReadAheadOverAMount(t *testing.T) {
	storagetest.Run(t, func(t *testing.T, dir string, followLinks bool) storage.Store {
		store, err := mount.New(mount.Config{Root: dir, FollowLinks: followLinks})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { store.Close() })
		return storage.ReadAhead(store, storage.NewBudget(1<<20))
	})
}

func TestReadAheadOverSFTP(t *testing.T) {
	storagetest.Run(t, func(t *testing.T, dir string, followLinks bool) storage.Store {
		server, err := sftptest.Start(sftptest.Config{Dir: filepath.Dir(dir)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { server.Close() })
		server.Set(sftptest.Faults{MaxRead: 20_000}) // answers short
		store, err := sftp.New(sftp.Config{
			Address: server.Addr(), User: server.User(), PrivateKey: server.ClientKey(), HostKey: server.Fingerprint(),
			Root: "/" + filepath.Base(dir), FollowLinks: followLinks,
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { store.Close() })
		return storage.ReadAhead(store, storage.NewBudget(1<<20))
	})
}

const roundTrip = 10 * time.Millisecond

// far is a Store of one File whose every read takes a round trip, in a bubble
// of synctest.
type far struct {
	content []byte
	failAt  int64         // reads from there on fail, if not 0
	packet  time.Duration // what a packet takes on the link, if not 0

	mu      sync.Mutex
	asked   int       // bytes
	pending int       // reads
	atOnce  int       // the most there were
	free    time.Time // when the link is free
}

func (f *far) Open(context.Context, string) (storage.File, error) {
	return &farFile{far: f, Reader: bytes.NewReader(f.content), closed: make(chan struct{})}, nil
}

type farFile struct {
	*bytes.Reader
	far    *far
	closed chan struct{}
}

func (f *farFile) Stat() (fs.FileInfo, error) { return size(f.Size()), nil }

func (f *farFile) Close() error {
	close(f.closed)
	return nil
}

var errFar = errors.New("input/output error")

func (f *farFile) ReadAt(p []byte, offset int64) (int, error) {
	due := f.far.begin(len(p))
	defer f.far.end()
	select {
	case <-time.After(time.Until(due) + roundTrip):
	case <-f.closed:
		return 0, fs.ErrClosed
	}
	if at := f.far.failAt; at > 0 && offset+int64(len(p)) > at {
		n, _ := f.Reader.ReadAt(p[:max(at-offset, 0)], offset)
		return n, errFar
	}
	return f.Reader.ReadAt(p, offset)
}

// begin returns when the link has carried n bytes.
func (f *far) begin(n int) time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked += n
	f.pending++
	f.atOnce = max(f.atOnce, f.pending)
	if now := time.Now(); f.free.Before(now) {
		f.free = now
	}
	f.free = f.free.Add(f.packet * time.Duration(n) / (32 << 10))
	return f.free
}

func (f *far) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pending--
}

func (f *far) bytesAsked() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked
}

// size is an fs.FileInfo that knows nothing but a size.
type size int64

func (s size) Size() int64      { return int64(s) }
func (size) Name() string       { return "far" }
func (size) Mode() fs.FileMode  { return 0 }
func (size) ModTime() time.Time { return time.Time{} }
func (size) IsDir() bool        { return false }
func (size) Sys() any           { return nil }

func farAway(n int) *far {
	f := &far{content: make([]byte, n)}
	random := rand.New(rand.NewPCG(1, 2))
	for i := range f.content {
		f.content[i] = byte(random.Uint32())
	}
	return f
}

// inBubble opens a File of n bytes that is far away, with a read-ahead.
func inBubble(t *testing.T, n int, budget int64, test func(t *testing.T, f *far, file storage.File)) {
	synctest.Test(t, func(t *testing.T) {
		f := farAway(n)
		file, err := storage.ReadAhead(f, storage.NewBudget(budget)).Open(t.Context(), "far")
		if err != nil {
			t.Fatal(err)
		}
		test(t, f, file)
		file.Close()
		synctest.Wait() // no goroutine is left, or the bubble panics
	})
}

func TestReadAheadPaysFewRoundTrips(t *testing.T) {
	inBubble(t, 8<<20, 64<<20, func(t *testing.T, f *far, file storage.File) {
		start := time.Now()
		got, err := io.ReadAll(file)
		if err != nil || !bytes.Equal(got, f.content) {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
		// 256 packets; how the window grows depends on who runs first when
		// several answers come at once: 8 to 14 have been seen.
		if trips := time.Since(start) / roundTrip; trips > 60 {
			t.Errorf("%d round trips", trips)
		}
	})
}

func TestReadAheadMakesDoWithoutABudget(t *testing.T) {
	inBubble(t, 1<<20, 0, func(t *testing.T, f *far, file storage.File) {
		start := time.Now()
		got, err := io.ReadAll(file)
		if err != nil || !bytes.Equal(got, f.content) {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
		if trips := time.Since(start) / roundTrip; f.atOnce > 2 || trips > 20 {
			t.Errorf("%d reads at once, %d round trips for 32 packets", f.atOnce, trips)
		}
	})
}

func TestReadAheadOfAProbeIsOneRead(t *testing.T) {
	inBubble(t, 8<<20, 64<<20, func(t *testing.T, f *far, file storage.File) {
		if _, err := io.ReadFull(file, make([]byte, 2)); err != nil {
			t.Fatal(err)
		}
		if n := f.bytesAsked(); n > 32<<10 {
			t.Errorf("%d bytes were read for 2", n)
		}
	})
	inBubble(t, 8<<20, 64<<20, func(t *testing.T, f *far, file storage.File) {
		if _, err := io.CopyN(io.Discard, file, 100<<10); err != nil {
			t.Fatal(err)
		}
		if n := f.bytesAsked(); n > 512<<10 {
			t.Errorf("%d bytes were read for 100 KiB", n)
		}
	})
}

// Over a slow link each read is waited for, however many there are. What there
// may be ahead is six packets at first and twice what was served later, and the
// last read begins below that and is of 224 KiB at most.
func TestReadAheadOfWhoLeavesSoonIsSmallOverASlowLink(t *testing.T) {
	for taken, most := range map[int64]int{100 << 10: 320 << 10, 256 << 10: 512 << 10, 1 << 20: 3<<20 + 224<<10} {
		inBubble(t, 16<<20, 64<<20, func(t *testing.T, f *far, file storage.File) {
			f.packet = time.Millisecond
			if _, err := io.CopyN(io.Discard, file, taken); err != nil {
				t.Fatal(err)
			}
			if n := f.bytesAsked(); n > most {
				t.Errorf("%d bytes were read for %d", n, taken)
			}
		})
	}
}

func TestReadAheadReadsWhatIsExpected(t *testing.T) {
	for _, n := range []int{2, 64 << 10, 100_000, 1 << 20} {
		inBubble(t, 8<<20, 64<<20, func(t *testing.T, f *far, file storage.File) {
			if _, err := file.Seek(1_000_000, io.SeekStart); err != nil {
				t.Fatal(err)
			}
			file.(interface{ Expect(int64) }).Expect(int64(n))
			start, got := time.Now(), make([]byte, n)
			if _, err := io.ReadFull(file, got); err != nil || !bytes.Equal(got, f.content[1_000_000:][:n]) {
				t.Fatal(err)
			}
			synctest.Wait()
			if asked := f.bytesAsked(); asked != n {
				t.Errorf("%d bytes were read for %d", asked, n)
			}
			if trips := time.Since(start) / roundTrip; n <= 64<<10 && trips != 1 {
				t.Errorf("%d round trips for %d bytes", trips, n)
			}
			// A reader that goes on is served all the same.
			if _, err := io.ReadFull(file, got); err != nil || !bytes.Equal(got, f.content[1_000_000+n:][:n]) {
				t.Errorf("beyond: %v", err)
			}
		})
	}
}

func TestReadAheadUsesWhatALookHasRead(t *testing.T) {
	inBubble(t, 8<<20, 64<<20, func(t *testing.T, f *far, file storage.File) {
		if _, err := file.ReadAt(make([]byte, 32<<10), 0); err != nil {
			t.Fatal(err)
		}
		start, got := time.Now(), make([]byte, 1000)
		if _, err := io.ReadFull(file, got); err != nil || !bytes.Equal(got, f.content[:1000]) {
			t.Errorf("%v", err)
		}
		if n := f.bytesAsked(); n > 32<<10 || time.Since(start) > 0 {
			t.Errorf("asked for %d bytes, in %v", n, time.Since(start))
		}
	})
}

func TestReadAheadKeepsLittleForASlowReader(t *testing.T) {
	inBubble(t, 8<<20, 64<<20, func(t *testing.T, f *far, file storage.File) {
		if _, err := io.CopyN(io.Discard, file, 2<<20); err != nil { // fast at first
			t.Fatal(err)
		}
		taken, before := 2<<20, 0
		for i := range 100 {
			if i == 5 { // what was read ahead of the fast one is given up
				before = f.bytesAsked() - taken
			}
			time.Sleep(time.Second)
			n, err := file.Read(make([]byte, 32<<10))
			if err != nil {
				t.Fatal(err)
			}
			taken += n
		}
		if ahead := f.bytesAsked() - taken - before; ahead > 4*32<<10 {
			t.Errorf("%d bytes are read ahead of a reader that is slow", ahead)
		}
	})
}

func TestReadAheadGivesBackWhatAPausedReaderHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		budget := storage.NewBudget(64 << 20)
		f := farAway(16 << 20)
		file, err := storage.ReadAhead(f, budget).Open(t.Context(), "far")
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		taken := 0
		for storage.BudgetFree(budget) > 64<<20-320<<10 { // until it has borrowed much
			n, err := io.CopyN(io.Discard, file, 32<<10)
			if taken += int(n); err != nil {
				t.Fatalf("a fast reader holds %d bytes only: %v", 64<<20-storage.BudgetFree(budget), err)
			}
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if free := storage.BudgetFree(budget); free < 64<<20-256<<10 {
			t.Errorf("a paused reader holds %d bytes", 64<<20-free)
		}
		got, err := io.ReadAll(file)
		if err != nil || !bytes.Equal(got, f.content[taken:]) {
			t.Errorf("after the pause: %d bytes, %v", len(got), err)
		}
	})
}

func TestReadAheadSharesAScarceBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		budget := storage.NewBudget(4 << 20)
		store := storage.ReadAhead(farAway(48<<20), budget)
		first := open(t, store)
		if _, err := io.CopyN(io.Discard, first, 32<<20); err != nil { // has all there is
			t.Fatal(err)
		}
		second := open(t, store)
		var trips [2]time.Duration
		var readers sync.WaitGroup
		for i, file := range []storage.File{first, second} {
			readers.Go(func() {
				start := time.Now()
				if _, err := io.CopyN(io.Discard, file, 16<<20); err != nil {
					t.Error(err)
				}
				trips[i] = time.Since(start) / roundTrip
			})
		}
		readers.Wait()
		if trips[1] > 60 { // 10 to 15 have been seen; with nothing but what it owns it would be 256
			t.Errorf("who came later took %d round trips, the other one %d", trips[1], trips[0])
		}
	})
}

func open(t *testing.T, store storage.Store) storage.File {
	t.Helper()
	file, err := store.Open(t.Context(), "far")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file
}

func TestReadAheadDropsOnSeek(t *testing.T) {
	inBubble(t, 8<<20, 64<<20, func(t *testing.T, f *far, file storage.File) {
		if _, err := io.CopyN(io.Discard, file, 2<<20); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // for reads that are about to begin
		before := f.bytesAsked()
		if at, err := file.Seek(-1_000_000, io.SeekEnd); err != nil || at != 8<<20-1_000_000 {
			t.Fatal(at, err)
		}
		got := make([]byte, 10)
		if _, err := io.ReadFull(file, got); err != nil || !bytes.Equal(got, f.content[8<<20-1_000_000:][:10]) {
			t.Errorf("%v", err)
		}
		if n := f.bytesAsked() - before; n > 32<<10 {
			t.Errorf("%d bytes were read after a seek for 10", n)
		}
	})
}

func TestReadAheadTellsErrorsInTheirPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := farAway(2 << 20)
		f.failAt = 1_000_000
		file, err := storage.ReadAhead(f, storage.NewBudget(64<<20)).Open(t.Context(), "far")
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		for range 2 { // the error stays where it is
			if _, err := file.Seek(0, io.SeekStart); err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(file)
			if !bytes.Equal(got, f.content[:1_000_000]) || !errors.Is(err, errFar) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		}
	})
}

func TestReadAheadEndsWithClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file, err := storage.ReadAhead(farAway(8<<20), storage.NewBudget(64<<20)).Open(t.Context(), "far")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(io.Discard, file, 1<<20); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(roundTrip/2, func() { file.Close() })
		if _, err := io.ReadAll(file); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("a Read under way: %v", err)
		}
		if _, err := file.Read(make([]byte, 1)); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("a later Read: %v", err)
		}
	})
}

func TestReadAheadGivesBackItsBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		budget := storage.NewBudget(1 << 20)
		f := farAway(4 << 20)
		store := storage.ReadAhead(f, budget)
		var readers sync.WaitGroup
		for i := range 20 {
			readers.Go(func() {
				file, err := store.Open(t.Context(), "far")
				if err != nil {
					t.Error(err)
					return
				}
				defer file.Close()
				if n, err := io.CopyN(io.Discard, file, int64(1+i)*200_000); err != nil {
					t.Error(n, err)
				}
			})
		}
		readers.Wait()
		synctest.Wait()
		if f.atOnce > 20*2+1<<20/(32<<10) {
			t.Errorf("%d reads at once", f.atOnce)
		}
		if free := storage.BudgetFree(budget); free != 1<<20 {
			t.Errorf("%d bytes are free of %d", free, 1<<20)
		}
	})
}
