package storage_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	"storagesrv/storage"
	"storagesrv/storage/storagetest"
)

// A shelf is a Store of many Files of the same bytes, at no distance.
type shelf struct{ content []byte }

func (s shelf) Open(_ context.Context, name string) (storage.File, error) {
	if name == "none" {
		return nil, storage.PathError(name, fs.ErrNotExist)
	}
	return shelfFile{bytes.NewReader(s.content)}, nil
}

func (s shelf) Stat(context.Context, string) (fs.FileInfo, error) { return size(len(s.content)), nil }

type shelfFile struct{ *bytes.Reader }

func (f shelfFile) Stat() (fs.FileInfo, error) { return size(f.Size()), nil }
func (f shelfFile) Close() error               { return nil }

func newShelf(n int) shelf {
	s := shelf{make([]byte, n)}
	rand.NewChaCha8([32]byte{}).Read(s.content)
	return s
}

func TestCacheRandomRangesOfManyReaders(t *testing.T) {
	storagetest.LeaksNothing(t)
	s := newShelf(3_000_000)
	for _, memory := range []int64{0, 40_000, 200_000, 1 << 20} {
		store := newCache(t, storage.CacheConfig{Memory: memory, Revalidate: time.Second}).Over("", s)
		var group sync.WaitGroup
		for i := range 64 {
			group.Go(func() {
				random := rand.New(rand.NewPCG(uint64(memory), uint64(i)))
				file, err := store.Open(t.Context(), fmt.Sprint("of ", i%5))
				if err != nil {
					t.Error(err)
					return
				}
				defer file.Close()
				for range 20 {
					offset := random.IntN(len(s.content))
					got := make([]byte, random.IntN(min(150_000, len(s.content)-offset)+1))
					if n, err := file.ReadAt(got, int64(offset)); n != len(got) || err != nil {
						t.Errorf("%d+%d: %d, %v", offset, len(got), n, err)
					} else if !bytes.Equal(got, s.content[offset:][:n]) {
						t.Errorf("wrong bytes at %d+%d", offset, n)
					}
				}
			})
		}
		group.Wait()
	}
}

func TestCacheKeepsToItsMemory(t *testing.T) {
	for _, n := range []int{1000, 20_000, 1 << 20} { // the Files' size
		const memory = 16 << 20
		s := newShelf(n)
		cache := newCache(t, storage.CacheConfig{Memory: memory, Revalidate: time.Hour})
		store := cache.Over("", s)
		before, most := heap(), int64(0)
		var mu sync.Mutex
		var group sync.WaitGroup
		for i := range 8 {
			group.Go(func() {
				for j := range 2 * memory / 8 / n {
					file, _ := store.Open(t.Context(), fmt.Sprint(i, " ", j))
					if _, err := io.Copy(io.Discard, file); err != nil {
						t.Error(err)
					}
					file.Close()
					mu.Lock()
					most = max(most, cache.Bytes())
					mu.Unlock()
				}
			})
		}
		group.Wait()
		held, kept := heap()-before, cache.Bytes()
		for tries := 10; held > memory*11/10 && tries > 0; tries-- { // what has ended may not be free yet
			time.Sleep(100 * time.Millisecond)
			held = heap() - before
		}
		t.Logf("files of %d bytes: at most %d, now %d by its own measure, %d on the heap", n, most, kept, held)
		if most > memory || kept < memory*8/10 {
			t.Errorf("files of %d bytes: keeps %d, at most %d, of %d", n, kept, most, memory)
		}
		if n >= 20_000 && held > memory*11/10 {
			t.Errorf("files of %d bytes: %d bytes on the heap", n, held)
		}
		runtime.KeepAlive(cache)
	}
}

// heap returns how many bytes of the heap are in use.
func heap() int64 {
	runtime.GC()
	runtime.GC() // for what finalizers and pools held
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestCacheScanLeavesTheOthersTheirs(t *testing.T) {
	const memory = 32 << 20
	scans := map[string]func(t *testing.T, store storage.Store){
		"one listener": func(t *testing.T, store storage.Store) {
			readAll(t, store, "scanned", 256<<20)
		},
		"a listener for each range": func(t *testing.T, store storage.Store) {
			for offset := int64(0); offset < 256<<20; offset += 1 << 20 {
				file, _ := store.Open(t.Context(), "scanned")
				if _, err := file.ReadAt(make([]byte, 1<<20), offset); err != nil {
					t.Error(err)
				}
				file.Close()
			}
		},
	}
	for name, scan := range scans {
		t.Run(name, func(t *testing.T) {
			results := newResults()
			cache := newCache(t, storage.CacheConfig{Memory: memory, Revalidate: time.Hour, Observe: results.count})
			hot, video := cache.Over("hot", newShelf(1<<20)), cache.Over("video", newShelf(256<<20))
			for range 4 {
				for i := range 16 {
					readAll(t, hot, fmt.Sprint(i), 1<<20)
				}
			}
			scan(t, video)
			if name == "one listener" && (results.counts[storage.CacheMiss] > 16*32+memory/16>>15+64 || results.counts[storage.CacheDirect] == 0) {
				t.Errorf("counted %v", results.counts)
			}
			results.counts = make(map[string]int)
			for i := range 16 {
				readAll(t, hot, fmt.Sprint(i), 1<<20)
			}
			if hits := results.counts[storage.CacheHit]; hits < 16*32*95/100 {
				t.Errorf("of what was hot: %v", results.counts)
			}
		})
	}
}

func readAll(t testing.TB, store storage.Store, name string, want int64) {
	t.Helper()
	file, err := store.Open(context.Background(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, file, make([]byte, 224<<10)); n != want || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
}
