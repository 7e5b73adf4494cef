package storage

import (
	"container/list"
	"context"
	"io/fs"
	"sync"
	"time"
)

const (
	// idleTime is for how long a file stays open that nobody listens to: a
	// player's next Range comes sooner.
	idleTime = 30 * time.Second
	// maxIdle is how many of them there may be: SFTP servers bound the files
	// that one session has open, some to a few hundred.
	maxIdle = 128
)

// A handle is a File of the store below, and all who use it.
type handle struct {
	store *cachedStore
	name  string

	// ctx is that of the first who opened the file, without its end: it ends
	// when the handle is shut. It is kept for the checks.
	ctx    context.Context
	cancel context.CancelFunc

	opened  chan struct{} // closed when the following are set
	file    File
	info    fs.FileInfo
	version *version
	settled bool // its size and time will tell if it changes
	err     error

	// These are guarded by Cache.mu.
	users   int
	closed  bool
	checked time.Time     // when info was asked for last
	recheck *recheck      // under way, or nil
	rest    *list.Element // in Cache.idle, or nil
	expiry  *time.Timer   // while it is there

	mu      sync.Mutex
	fetches map[int64]*chunkFetch // guarded by mu: those under way, by each chunk's index
}

type handleKey struct {
	store *cachedStore
	name  string
}

// handle returns the handle of name for one more user, and whether it is only
// being opened.
func (c *Cache) handle(ctx context.Context, s *cachedStore, name string) (h *handle, fresh bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, false, errCacheClosed
	}
	key := handleKey{s, name}
	if h = c.current[key]; h == nil {
		h = &handle{store: s, name: name, opened: make(chan struct{}), fetches: make(map[int64]*chunkFetch)}
		h.ctx, h.cancel = context.WithCancel(context.WithoutCancel(ctx))
		c.current[key], c.handles[h] = h, struct{}{}
		c.running.Go(h.open) // until the store answers, or the handle is shut
	}
	h.users++
	h.wake()
	return h, !h.isOpened(), nil
}

func (h *handle) isOpened() bool {
	select {
	case <-h.opened:
		return true
	default:
		return false
	}
}

// open opens the file.
func (h *handle) open() {
	began := time.Now()
	file, info, err := h.store.open(h.ctx, h.name)
	if !h.keep(file, info, err, began) && err == nil {
		file.Close()
	}
}

// keep reports whether file, which the store was asked for at began, is wanted.
func (h *handle) keep(file File, info fs.FileInfo, err error, began time.Time) bool {
	c := h.store.cache
	c.mu.Lock()
	defer c.mu.Unlock()
	defer close(h.opened)
	switch {
	case h.closed:
		h.err = PathError(h.name, errCacheClosed)
		return false
	case err != nil:
		h.err = err
		h.forget()
		return false
	}
	h.file, h.info, h.checked = file, info, began
	h.version, h.settled = c.versions.of(h.versionKey(info), began)
	if !h.settled {
		h.leave()
	}
	return true
}

func (h *handle) versionKey(info fs.FileInfo) versionKey {
	return versionKey{h.store.label, h.name, info.Size(), info.ModTime().UnixNano()}
}

// release is called by each user once.
func (h *handle) release() {
	c := h.store.cache
	c.mu.Lock()
	defer c.mu.Unlock()
	h.users--
	h.leave()
}

// drop makes the next Open open the file anew. Whoever uses the handle goes on.
func (h *handle) drop() {
	c := h.store.cache
	c.mu.Lock()
	defer c.mu.Unlock()
	h.forget()
}
