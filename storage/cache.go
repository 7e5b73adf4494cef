package storage

import (
	"container/list"
	"fmt"
	"sync"
	"time"
)

// CacheConfig says how much a [Cache] keeps, and for how long it believes it.
type CacheConfig struct {
	// Memory is how many bytes of recordings are kept, of all stores together
	// and with what it takes to find them again. 0 keeps none: open files and
	// reads under way are shared all the same.
	Memory int64
	// Revalidate is for how long an open file is taken for the one that its
	// name means: an Open after that asks the store first. 0 asks at each Open.
	Revalidate time.Duration
	// Observe, if not nil, is told what came of each chunk that is read:
	// CacheHit and so on. It must be quick and safe for concurrent use.
	Observe func(result string)
}

// What became of the read of a chunk, for [CacheConfig.Observe].
const (
	CacheHit    = "hit"    // it was kept
	CacheMiss   = "miss"   // the store was asked
	CacheShared = "shared" // the store was being asked for it already
	CacheDirect = "direct" // the store was asked, and it will not be kept: the reader has read much
)

// A Cache keeps what is read of recordings on distant stores, in chunks of 32
// KiB, and keeps them open for a while. All stores share its memory:
//
//	cache := storage.NewCache(storage.CacheConfig{Memory: 256 << 20, Revalidate: 5 * time.Second})
//	defer cache.Close()
//	store := storage.ReadAhead(cache.Over("/var/recordings sftp", recordings), budget)
//
// A recording is opened once for all who listen to it, and what several of them
// read at a time is fetched once. Opens and reads of the store below belong to
// the Cache: whoever does not wait for one any longer returns at once, and
// harms nobody else who does.
//
// What is kept belongs to a version of a recording: its size and modification
// time. A store that cannot be asked is not spoken for: where something must be
// asked and cannot be, Open and reads fail as they do without a Cache.
type Cache struct {
	config  CacheConfig
	chunks  *chunkTable
	patient int64 // bytes that one File may fetch until it is read past the cache

	running sync.WaitGroup // the Cache's goroutines: each opens, checks, reads or closes a File below

	// mu guards what follows, and those fields of a handle that say so.
	mu       sync.Mutex
	closed   bool
	current  map[handleKey]*handle // what the next Open of a name goes on with
	handles  map[*handle]struct{}  // these, and those that were replaced and are in use
	idle     *list.List            // of those that nobody uses, the one left first in front
	versions versionTable
}

// errCacheClosed is what reads and Opens after Close fail with.
var errCacheClosed = fmt.Errorf("%w: the cache is closed", ErrUnavailable)

// NewCache returns a Cache that keeps nothing yet.
func NewCache(config CacheConfig) *Cache {
	config.Memory = max(config.Memory, 0)
	if config.Observe == nil {
		config.Observe = func(string) {}
	}
	return &Cache{
		config:   config,
		chunks:   newChunkTable(config.Memory),
		patient:  max(config.Memory/16, 1<<20),
		current:  make(map[handleKey]*handle),
		handles:  make(map[*handle]struct{}),
		idle:     list.New(),
		versions: newVersionTable(config.Memory),
	}
}

// Bytes returns how many bytes the Cache keeps, by the measure of
// [CacheConfig.Memory].
func (c *Cache) Bytes() int64 { return c.chunks.bytes.Load() }

// Close closes the files that are kept open, forgets what was kept, and returns
// when nothing of the Cache is left running. Files that were opened through it
// fail with ErrUnavailable, and are still to be closed. It takes as long as the
// Files below take to end reads when they are closed.
func (c *Cache) Close() {
	c.mu.Lock()
	c.closed = true
	for h := range c.handles {
		h.shut()
	}
	c.mu.Unlock()
	c.running.Wait()
	c.chunks.clear()
}

// start runs task on a goroutine that Close waits for, unless the Cache is
// closed.
func (c *Cache) start(task func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.running.Go(task)
	return true
}
