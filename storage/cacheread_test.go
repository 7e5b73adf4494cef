package storage_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"storagesrv/storage"
)

func TestCacheFetchesNeighbouringChunksTogether(t *testing.T) {
	cached(t, 1_000_000, storage.CacheConfig{Memory: 8 << 20, Revalidate: time.Hour}, func(t *testing.T, c *rig) {
		file := c.file()
		defer file.Close()
		c.since()
		for _, test := range []struct {
			offset, length int
			want           asked
		}{
			{0, 224 << 10, asked{reads: 1, bytes: 224 << 10}},
			{100, 1000, asked{}},
			{300_000, 10, asked{reads: 1, bytes: 32 << 10}},
			{8<<15 - 10, 20, asked{reads: 1, bytes: 64 << 10}},               // 7 and 8
			{999_999, 1, asked{reads: 1, bytes: 1_000_000 - 30<<15}},         // the end, shorter
			{8 << 15, 10 << 15, asked{reads: 1, bytes: 8 << 15}},             // 8 and 9 are there
			{17 << 15, 1_000_000 - 17<<15, asked{reads: 1, bytes: 12 << 15}}, // 17 and 30 are there
			{0, 1_000_000, asked{}},
		} {
			c.reads(file, c.content, test.offset, test.length)
			synctest.Wait()
			if got := c.since(); got != test.want {
				t.Errorf("%d+%d asked the store for %+v, want %+v", test.offset, test.length, got, test.want)
			}
		}
	})
}

func TestCacheFetchesRunsAtOnce(t *testing.T) {
	cached(t, 1_000_000, storage.CacheConfig{Memory: 8 << 20, Revalidate: time.Hour}, func(t *testing.T, c *rig) {
		file := c.file()
		defer file.Close()
		for _, i := range []int{1, 3, 4} {
			c.reads(file, c.content, i<<15, 1)
		}
		c.since()
		start := time.Now()
		c.reads(file, c.content, 5, 7<<15)
		c.costs(asked{reads: 3, bytes: 5 << 15})
		if took := time.Since(start); took != roundTrip {
			t.Errorf("that took %v", took)
		}
	})
}

func TestCacheSharesWhatIsUnderWay(t *testing.T) {
	for _, memory := range []int64{0, 8 << 20} {
		results := newResults()
		config := storage.CacheConfig{Memory: memory, Revalidate: time.Hour, Observe: results.count}
		cached(t, 1_000_000, config, func(t *testing.T, c *rig) {
			var group sync.WaitGroup
			for range 10 {
				file := c.file()
				defer file.Close()
				group.Go(func() { c.reads(file, c.content, 64<<10, 64<<10) })
			}
			group.Wait()
			c.costs(asked{opens: 1, reads: 1, bytes: 64 << 10})
			results.want(t, map[string]int{storage.CacheMiss: 2, storage.CacheShared: 18})
			file := c.file()
			defer file.Close()
			c.reads(file, c.content, 64<<10, 64<<10)
			if memory > 0 {
				results.want(t, map[string]int{storage.CacheHit: 2})
			} else {
				results.want(t, map[string]int{storage.CacheMiss: 2})
			}
		})
	}
}

func TestCacheThatKeepsNothingReadsNoMoreThanIsAsked(t *testing.T) {
	cached(t, 1_000_000, storage.CacheConfig{Revalidate: time.Hour}, func(t *testing.T, c *rig) {
		file := c.file()
		defer file.Close()
		c.since()
		c.reads(file, c.content, 100_000, 100_000)
		c.costs(asked{reads: 1, bytes: 100_000})
		if n := c.cache.Bytes(); n != 0 {
			t.Errorf("%d bytes are kept", n)
		}
		var group sync.WaitGroup
		group.Go(func() { c.reads(file, c.content, 100_000, 50_000) })
		group.Go(func() { c.reads(file, c.content, 90_000, 70_000) })
		group.Go(func() { c.reads(file, c.content, 110_000, 100_000) })
		group.Wait()
	})
}

func TestCacheReadEndsWithItsListener(t *testing.T) {
	for _, direct := range []bool{false, true} {
		cached(t, 4<<20, storage.CacheConfig{Memory: 8 << 20, Revalidate: time.Hour}, func(t *testing.T, c *rig) {
			ctx, cancel := context.WithCancel(t.Context())
			leaving, err := c.store.Open(ctx, "a")
			if err != nil {
				t.Fatal(err)
			}
			closing, staying := c.file(), c.file()
			if direct {
				c.reads(leaving, c.content, 0, 1<<20)
				c.reads(closing, c.content, 1<<20, 1<<20)
			}
			hanging := make(chan struct{})
			c.set(func() { c.hanging = hanging })
			errs := make([]error, 2)
			var group sync.WaitGroup
			for i, file := range []storage.File{leaving, closing} {
				group.Go(func() {
					mine := bytes.Repeat([]byte{1}, 100)
					_, errs[i] = file.ReadAt(mine, 3<<20)
					time.Sleep(time.Hour)
					if !bytes.Equal(mine, bytes.Repeat([]byte{1}, 100)) {
						t.Error("it was written to after the read had returned")
					}
				})
			}
			group.Go(func() { c.reads(staying, c.content, 3<<20, 100) })
			synctest.Wait()
			start := time.Now()
			cancel()
			closing.Close()
			synctest.Wait()
			if !errors.Is(errs[0], context.Canceled) || !errors.Is(errs[1], fs.ErrClosed) || time.Since(start) > 0 {
				t.Errorf("%v and %v, after %v", errs[0], errs[1], time.Since(start))
			}
			close(hanging)
			group.Wait()
			if _, err := leaving.ReadAt(make([]byte, 1), 0); !errors.Is(err, context.Canceled) { // though it is kept
				t.Error(err)
			}
			leaving.Close()
			staying.Close()
		})
	}
}

func TestCacheFetchGoesOnWhenItsListenerLeaves(t *testing.T) {
	cached(t, 100_000, storage.CacheConfig{Memory: 8 << 20, Revalidate: time.Hour}, func(t *testing.T, c *rig) {
		file := c.file()
		time.AfterFunc(roundTrip/2, func() { file.Close() })
		if _, err := file.ReadAt(make([]byte, 100_000), 0); !errors.Is(err, fs.ErrClosed) {
			t.Error(err)
		}
		time.Sleep(roundTrip)
		c.since()
		c.plays(c.content)
		c.costs(asked{})
	})
}

func TestCacheFailureGoesToAllWhoWaitAndIsForgotten(t *testing.T) {
	for _, memory := range []int64{0, 8 << 20} {
		cached(t, 100_000, storage.CacheConfig{Memory: memory, Revalidate: time.Hour}, func(t *testing.T, c *rig) {
			a, b := c.file(), c.file()
			defer a.Close()
			defer b.Close()
			c.reads(a, c.content, 0, 10)
			c.set(func() { c.failing = storage.ErrUnavailable })
			c.since()
			var group sync.WaitGroup
			for _, file := range []storage.File{a, b} {
				group.Go(func() {
					if _, err := file.ReadAt(make([]byte, 10), 70_000); !errors.Is(err, storage.ErrUnavailable) {
						t.Error(err)
					}
				})
			}
			group.Wait()
			c.costs(asked{reads: 1, bytes: min(10+int(memory), 32<<10)})
			c.set(func() { c.failing, c.down = nil, storage.ErrUnavailable })
			c.reads(a, c.content, 70_000, 10) // the same File, when the store is well again
			if _, err := c.store.Open(t.Context(), "a"); !errors.Is(err, storage.ErrUnavailable) {
				t.Errorf("a later Open: %v", err)
			}
			c.set(func() { c.down = nil })
			c.since()
			d := c.file()
			defer d.Close()
			if memory > 0 { // what was kept is good
				c.reads(d, c.content, 0, 10)
				c.reads(d, c.content, 70_000, 10)
			}
			c.costs(asked{opens: 1})
		})
	}
}

func TestCacheForgetsAChangedFile(t *testing.T) {
	for _, why := range []error{storage.ErrChanged, io.ErrUnexpectedEOF} {
		cached(t, 200_000, storage.CacheConfig{Memory: 8 << 20, Revalidate: time.Hour}, func(t *testing.T, c *rig) {
			a, b := c.file(), c.file()
			defer a.Close()
			defer b.Close()
			c.reads(a, c.content, 0, 100_000)
			c.set(func() { c.failing = fmt.Errorf("it says: %w", why) })
			if _, err := a.ReadAt(make([]byte, 10), 150_000); !errors.Is(err, why) || !errors.Is(err, storage.ErrChanged) {
				t.Errorf("who found out: %v", err)
			}
			c.set(func() { c.failing = nil })
			for _, offset := range []int64{0, 150_000} {
				for _, file := range []storage.File{a, b} {
					if n, err := file.ReadAt(make([]byte, 10), offset); n > 0 || !errors.Is(err, storage.ErrChanged) {
						t.Errorf("later at %d: %d bytes, %v", offset, n, err)
					}
				}
			}
			// The same size and time, and yet another file.
			now := c.put("a", 200_000, c.files["a"].mtime)
			now[0] = ^c.content[0]
			c.since()
			c.plays(now)
			if got := c.since(); got.opens != 1 || got.bytes != 200_000 {
				t.Errorf("the store was asked for %+v", got)
			}
			c.plays(now)
			c.costs(asked{})
		})
	}
}

func TestCacheFileThatEndsEarlyIsAChangedOne(t *testing.T) {
	cached(t, 200_000, storage.CacheConfig{Memory: 8 << 20, Revalidate: time.Hour}, func(t *testing.T, c *rig) {
		c.store = c.cache.Over("cut", cut{c.distant, 100_000})
		file := c.file()
		defer file.Close()
		got, err := io.ReadAll(file)
		if !bytes.HasPrefix(c.content[:100_000], got) || !errors.Is(err, io.ErrUnexpectedEOF) || !errors.Is(err, storage.ErrChanged) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		n, err := c.file().ReadAt(make([]byte, 150_000), 0)
		if n != 100_000 || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%d bytes, %v", n, err)
		}
	})
}

// cut is a Store whose Files end before their size.
type cut struct {
	storage.Store
	at int64
}

type cutFile struct {
	storage.File
	at int64
}

func (c cut) Open(ctx context.Context, name string) (storage.File, error) {
	file, err := c.Store.Open(ctx, name)
	return cutFile{file, c.at}, err
}

func (f cutFile) ReadAt(p []byte, offset int64) (int, error) {
	n, err := f.File.ReadAt(p, offset)
	if end := f.at - offset; end < int64(n) {
		return int(max(end, 0)), io.EOF
	}
	return n, err
}

// results counts what a Cache's Observe is told.
type results struct {
	mu     sync.Mutex
	counts map[string]int
}

func newResults() *results { return &results{counts: make(map[string]int)} }

func (r *results) count(result string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts[result]++
}

// want asserts what was counted since the last time.
func (r *results) want(t *testing.T, want map[string]int) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if fmt.Sprint(r.counts) != fmt.Sprint(want) {
		t.Errorf("counted %v, want %v", r.counts, want)
	}
	r.counts = make(map[string]int)
}
