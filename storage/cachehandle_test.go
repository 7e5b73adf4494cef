package storage_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"storagesrv/storage"
)

func TestCacheOpensOnceForAllWhoListen(t *testing.T) {
	cached(t, 100_000, storage.CacheConfig{Memory: 1 << 20, Revalidate: time.Hour}, func(t *testing.T, c *rig) {
		var group sync.WaitGroup
		for range 20 {
			group.Go(func() { c.plays(c.content) })
		}
		group.Wait()
		c.costs(asked{opens: 1, reads: 4, bytes: 100_000})
	})
}

func TestCacheOpenerWhoHangsUpHarmsNoOther(t *testing.T) {
	cached(t, 100_000, storage.CacheConfig{Memory: 1 << 20}, func(t *testing.T, c *rig) {
		hint := storage.Hint{Offset: 5, Length: 7}
		first, hangUp := context.WithCancel(storage.WithHint(t.Context(), hint))
		var left error
		go func() { _, left = c.store.Open(first, "a") }()
		synctest.Wait()
		var file storage.File
		go func() { file = c.file() }()
		synctest.Wait()
		hangUp()
		synctest.Wait()
		if pathErr := (*fs.PathError)(nil); !errors.Is(left, context.Canceled) || !errors.As(left, &pathErr) {
			t.Errorf("who hung up got %v", left)
		}
		time.Sleep(roundTrip)
		synctest.Wait()
		if file == nil {
			t.Fatal("the other waits still")
		}
		c.reads(file, c.content, 10, 10)
		file.Close()
		if got := storage.HintFrom(c.contexts[0]); got != hint {
			t.Errorf("the store saw %v", got)
		}
	})
}

func TestCacheOpenThatNobodyWaitsForIsKeptAWhile(t *testing.T) {
	cached(t, 100_000, storage.CacheConfig{Memory: 1 << 20}, func(t *testing.T, c *rig) {
		hanging := make(chan struct{})
		c.set(func() { c.hanging = hanging })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.store.Open(ctx, "a"); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if c.contexts[0].Err() != nil {
			t.Error("given up too early")
		}
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if c.contexts[0].Err() == nil {
			t.Error("never given up")
		}
	})
}

func TestCacheClosesWhatNobodyListensTo(t *testing.T) {
	cached(t, 100_000, storage.CacheConfig{Memory: 1 << 20}, func(t *testing.T, c *rig) {
		for range 3 {
			c.file().Close()
			time.Sleep(20 * time.Second)
		}
		if c.open() != 1 {
			t.Errorf("%d open after 20 s", c.open())
		}
		time.Sleep(11 * time.Second)
		synctest.Wait()
		if c.open() != 0 {
			t.Errorf("%d open after 31 s", c.open())
		}
		file := c.file()
		time.Sleep(time.Hour)
		c.reads(file, c.content, 1, 1)
		file.Close()
	})
}

func TestCacheBoundsWhatNobodyListensTo(t *testing.T) {
	cached(t, 1, storage.CacheConfig{Revalidate: time.Hour}, func(t *testing.T, c *rig) {
		listening := c.file()
		defer listening.Close()
		for i := range 200 {
			name := fmt.Sprint(i)
			c.put(name, 10, old())
			file, err := c.store.Open(t.Context(), name)
			if err != nil {
				t.Fatal(err)
			}
			file.Close()
		}
		synctest.Wait()
		if n := c.open(); n != 128+1 {
			t.Errorf("%d files are open", n)
		}
		c.since()
		for _, test := range []struct{ name, opens int }{{199, 0}, {72, 0}, {71, 1}} { // who was left first went first
			file, err := c.store.Open(t.Context(), fmt.Sprint(test.name))
			if err != nil {
				t.Fatal(err)
			}
			file.Close()
			c.costs(asked{opens: test.opens})
		}
	})
}

func TestCacheRemembersNoErrorOfOpen(t *testing.T) {
	cached(t, 1, storage.CacheConfig{Revalidate: time.Hour}, func(t *testing.T, c *rig) {
		for _, why := range []error{storage.ErrUnavailable, fs.ErrPermission, context.DeadlineExceeded} {
			c.set(func() { c.down = why })
			if _, err := c.store.Open(t.Context(), "b"); !errors.Is(err, why) {
				t.Errorf("%v, want %v", err, why)
			}
		}
		c.set(func() { c.down = nil })
		if _, err := c.store.Open(t.Context(), "b"); !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
		c.put("b", 1, old())
		file, err := c.store.Open(t.Context(), "b")
		if err != nil {
			t.Fatal(err)
		}
		file.Close()
	})
}

func TestCacheCloseEndsAll(t *testing.T) {
	cached(t, 100_000, storage.CacheConfig{Memory: 1 << 20}, func(t *testing.T, c *rig) {
		file := c.file()
		c.reads(file, c.content, 0, 1)
		c.set(func() { c.hanging = make(chan struct{}) })
		var read, open, check error
		var group sync.WaitGroup
		group.Go(func() { _, read = file.ReadAt(make([]byte, 1), 90_000) })
		group.Go(func() { _, open = c.store.Open(t.Context(), "b") })
		group.Go(func() { _, check = c.store.Open(t.Context(), "a") })
		synctest.Wait()
		c.cache.Close()
		group.Wait()
		_, later := c.store.Open(t.Context(), "a")
		_, after := file.ReadAt(make([]byte, 1), 50_000)
		for _, err := range []error{read, open, check, later, after} {
			if pathErr := (*fs.PathError)(nil); !errors.Is(err, storage.ErrUnavailable) || !errors.As(err, &pathErr) {
				t.Errorf("%v", err)
			}
		}
		if err := file.Close(); err != nil {
			t.Error(err)
		}
		if n := c.cache.Bytes(); n != 0 {
			t.Errorf("%d bytes are kept", n)
		}
		c.cache.Close() // once more does no harm
	})
}

func TestCacheTellsStoresApart(t *testing.T) {
	cached(t, 1000, storage.CacheConfig{Memory: 1 << 20, Revalidate: time.Hour}, func(t *testing.T, c *rig) {
		other, _ := distantWith(2000)
		content := other.put("a", 1000, old().Add(-time.Minute))
		other.files["a"].mtime = c.files["a"].mtime
		content[0] = ^c.content[0]
		c.plays(c.content)
		c.store = c.cache.Over("farther", other)
		c.plays(content)
	})
}

func TestCacheCloseOfTheLastFileIsWhatItsReadTells(t *testing.T) {
	cached(t, 100_000, storage.CacheConfig{}, func(t *testing.T, c *rig) {
		for range 50 {
			c.put("a", 100_000, time.Now()) // not settled: shut with its last File
			file := c.file()
			var err error
			var group sync.WaitGroup
			group.Go(func() { _, err = file.ReadAt(make([]byte, 1), 0) })
			group.Go(func() { file.Close() })
			group.Wait()
			if !errors.Is(err, fs.ErrClosed) {
				t.Fatalf("%v", err)
			}
			synctest.Wait()
		}
	})
}
