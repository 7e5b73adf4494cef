package storage_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"storagesrv/storage"
)

func TestCacheAsksAgainAfterRevalidate(t *testing.T) {
	cached(t, 100_000, storage.CacheConfig{Memory: 1 << 20, Revalidate: 5 * time.Second}, func(t *testing.T, c *rig) {
		c.plays(c.content)
		c.costs(asked{opens: 1, reads: 4, bytes: 100_000})
		for range 4 {
			c.plays(c.content)
			time.Sleep(time.Second)
		}
		c.costs(asked{})
		time.Sleep(time.Second)
		var group sync.WaitGroup
		for range 10 {
			group.Go(func() { c.plays(c.content) })
		}
		group.Wait()
		c.costs(asked{stats: 1})
	})
}

func TestCacheKeepsChunksLongerThanTheFileIsOpen(t *testing.T) {
	cached(t, 100_000, storage.CacheConfig{Memory: 1 << 20, Revalidate: time.Hour}, func(t *testing.T, c *rig) {
		c.plays(c.content)
		time.Sleep(time.Minute)
		c.since()
		c.plays(c.content)
		c.costs(asked{opens: 1})
	})
}

// bare hides what a store has besides Open.
type bare struct{ storage.Store }

func TestCacheChecksByOpenWhereThereIsNoStat(t *testing.T) {
	cached(t, 100_000, storage.CacheConfig{Memory: 1 << 20}, func(t *testing.T, c *rig) {
		c.store = c.cache.Over("bare", bare{c.distant})
		c.plays(c.content)
		c.since()
		c.plays(c.content)
		c.costs(asked{opens: 1})
		if n := c.open(); n != 1 {
			t.Errorf("%d are open", n)
		}
		c.plays(c.put("a", 50_000, old().Add(time.Minute)))
	})
}

func TestCacheReplacedFileServesThoseWhoHaveIt(t *testing.T) {
	for _, size := range []int{100_000, 90_000, 200_000} {
		cached(t, 100_000, storage.CacheConfig{Memory: 1 << 20}, func(t *testing.T, c *rig) {
			before := c.file()
			c.reads(before, c.content, 0, 10)
			now := c.put("a", size, old().Add(time.Minute))
			if size == 100_000 {
				now[0], now[99_999] = ^c.content[0], ^c.content[99_999]
			}
			after := c.file()
			c.reads(before, c.content, 0, 100_000)
			c.reads(after, now, 0, size)
			c.plays(now)
			c.reads(before, c.content, 99_990, 10)
			before.Close()
			synctest.Wait()
			if n := c.open(); n != 1 {
				t.Errorf("%d are open", n)
			}
			c.reads(after, now, 0, size)
			after.Close()
		})
	}
}

func TestCacheAnswersOfACheck(t *testing.T) {
	for _, test := range []struct {
		err  error
		kept bool
	}{
		{fs.ErrNotExist, false},
		{fs.ErrPermission, false},
		{fs.ErrInvalid, false},
		{storage.ErrUnavailable, true},
		{context.DeadlineExceeded, true},
		{errors.Join(storage.ErrUnavailable, fs.ErrNotExist), true},
	} {
		cached(t, 100_000, storage.CacheConfig{Memory: 1 << 20}, func(t *testing.T, c *rig) {
			listening := c.file()
			defer listening.Close()
			c.reads(listening, c.content, 0, 100_000)
			c.set(func() { c.down = test.err })
			for range 2 {
				if _, err := c.store.Open(t.Context(), "a"); !errors.Is(err, test.err) {
					t.Errorf("%v, want %v", err, test.err)
				}
			}
			c.reads(listening, c.content, 50_000, 100)
			c.since()
			c.set(func() { c.down = nil })
			c.plays(c.content)
			if test.kept {
				c.costs(asked{stats: 1})
			} else {
				c.costs(asked{opens: 1})
			}
		})
	}
}

func TestCacheWhoeverHangsUpDuringACheckHarmsNoOther(t *testing.T) {
	cached(t, 1000, storage.CacheConfig{Memory: 1 << 20}, func(t *testing.T, c *rig) {
		c.plays(c.content)
		first, hangUp := context.WithCancel(t.Context())
		var left error
		go func() { _, left = c.store.Open(first, "a") }()
		synctest.Wait()
		var group sync.WaitGroup
		group.Go(func() { c.plays(c.content) })
		synctest.Wait()
		hangUp()
		synctest.Wait()
		if !errors.Is(left, context.Canceled) {
			t.Errorf("%v", left)
		}
		group.Wait()
		c.costs(asked{opens: 1, stats: 1, reads: 1, bytes: 1000})
	})
}

func TestCacheDoesNotBelieveADeadFile(t *testing.T) {
	cached(t, 1000, storage.CacheConfig{Memory: 1 << 20, Revalidate: time.Hour}, func(t *testing.T, c *rig) {
		c.plays(c.content)
		c.since()
		c.set(func() { c.dead = true })
		c.plays(c.content)
		c.costs(asked{stats: 1})
		c.set(func() { c.dead = false })
		c.plays(c.content)
		c.costs(asked{})
	})
}

func TestCacheReusesNothingOfAnUnsettledFile(t *testing.T) {
	cached(t, 1, storage.CacheConfig{Memory: 1 << 20, Revalidate: time.Hour}, func(t *testing.T, c *rig) {
		time.Sleep(500 * time.Millisecond)
		now := time.Now().Truncate(time.Second)
		before := c.put("a", 50_000, now)
		first := c.file()
		c.reads(first, before, 0, 50_000)
		c.since()
		second := c.file()
		c.reads(second, before, 0, 50_000)
		c.costs(asked{stats: 1}) // one handle, one fetch, but asked again
		first.Close()
		second.Close()
		synctest.Wait()
		if n := c.open(); n != 0 {
			t.Errorf("%d are open", n)
		}

		after := c.put("a", 50_000, now) // in the same second
		after[0] = ^before[0]
		c.plays(after)
		c.since()
		time.Sleep(2 * time.Second)
		after = c.put("a", 50_000, now) // the last moment for that has passed, really
		after[0] = ^before[0]
		c.plays(after)
		c.costs(asked{opens: 1, reads: 2, bytes: 50_000})
		c.plays(after) // settled
		c.costs(asked{})
	})
}

func TestCacheReplacesAFileThatHasSettled(t *testing.T) {
	cached(t, 1, storage.CacheConfig{Memory: 1 << 20, Revalidate: time.Hour}, func(t *testing.T, c *rig) {
		now := time.Now().Truncate(time.Second)
		before := c.put("a", 50_000, now)
		listening := c.file()
		c.reads(listening, before, 0, 50_000)
		after := c.put("a", 50_000, now)
		after[0] = ^before[0]
		time.Sleep(3 * time.Second)
		c.plays(after)
		c.reads(listening, before, 0, 50_000)
		listening.Close()
		c.since()
		c.plays(after)
		c.costs(asked{})
	})
}

func TestCacheFileOfTheFutureSettlesWhenSeenUnchanged(t *testing.T) {
	cached(t, 1, storage.CacheConfig{Memory: 1 << 20, Revalidate: time.Hour}, func(t *testing.T, c *rig) {
		content := c.put("a", 50_000, time.Now().Add(time.Hour))
		for range 2 {
			c.plays(content)
			c.costs(asked{opens: 1, reads: 2, bytes: 50_000})
		}
		time.Sleep(2 * time.Second)
		c.plays(content)
		c.costs(asked{opens: 1, reads: 2, bytes: 50_000})
		c.plays(content)
		c.costs(asked{})
	})
}

func TestCacheReusesNothingThatWasReadWhileAFileWasRewritten(t *testing.T) {
	cached(t, 100_000, storage.CacheConfig{Memory: 1 << 20}, func(t *testing.T, c *rig) {
		original, mtime := bytes.Clone(c.content), c.files["a"].mtime
		before := c.file()
		defer before.Close()
		c.content[70_000]++ // in place
		c.set(func() { c.files["a"] = &distantRecord{c.content, mtime.Add(time.Minute)} })
		c.plays(c.content)
		c.reads(before, c.content, 70_000, 10)
		c.set(func() { c.files["a"] = &distantRecord{original, mtime} }) // from a backup
		c.plays(original)
	})
}
