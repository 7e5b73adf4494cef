package storage

import (
	"errors"
	"io"
	"io/fs"
	"sync/atomic"
)

// A chunkFetch is one read of the store below, and all who wait for it. It reads
// into a buffer of its own: whoever leaves takes theirs along.
type chunkFetch struct {
	handle *handle
	offset int64
	want   int  // bytes
	shared bool // for whoever wants it, and to be kept

	users  atomic.Int32 // who may still touch buffer: the fetch itself, and who waits
	buffer *[]byte

	done chan struct{} // closed when n and err are set
	n    int
	err  error // set if n < want
}

func (t *chunkFetch) end() int64 { return t.offset + int64(t.want) }

func (t *chunkFetch) covers(from, to int64) bool { return t.offset <= from && to <= t.end() }

// begin runs the fetch on a goroutine of the Cache. It ends with the read,
// which ends with the handle at the latest.
func (t *chunkFetch) begin() {
	if !t.handle.store.cache.start(t.run) {
		t.finish(0, &fs.PathError{Op: "read", Path: t.handle.name, Err: errCacheClosed})
	}
}

func (t *chunkFetch) run() {
	n, err := t.handle.file.ReadAt((*t.buffer)[:t.want], t.offset)
	if n < t.want {
		err = t.handle.failed(err)
	} else {
		err = nil
	}
	if t.shared && t.handle.version.changed() == nil {
		t.keep((*t.buffer)[:n])
	}
	t.finish(n, err)
}

// keep keeps the chunks that came whole. All of them begin where a chunk does,
// if any are to be kept.
func (t *chunkFetch) keep(content []byte) {
	for i := int64(0); i < int64(t.want); i += chunkSize {
		end := min(i+chunkSize, int64(t.want))
		if end > int64(len(content)) {
			return
		}
		t.handle.store.cache.chunks.put(t.handle.chunkKey(t.offset+i), content[i:end])
	}
}

func (t *chunkFetch) finish(n int, err error) {
	t.n, t.err = n, err
	if t.shared {
		t.handle.land(t)
	}
	close(t.done)
	t.release()
}

// release is called by each user once.
func (t *chunkFetch) release() {
	if t.users.Add(-1) == 0 {
		freeChunkBuffer(t.buffer)
		t.buffer = nil
	}
}

func (h *handle) chunkKey(offset int64) chunkKey {
	return chunkKey{h.version.id, offset / chunkSize}
}

// land takes t off the list of what is under way.
func (h *handle) land(t *chunkFetch) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for at := t.offset; at < t.end(); at = chunkEnd(at) {
		if h.fetches[at/chunkSize] == t {
			delete(h.fetches, at/chunkSize)
		}
	}
}

// failed draws the consequences of a read that ended early, with err, and
// returns what to tell those who wait for it.
func (h *handle) failed(err error) error {
	if err == nil || err == io.EOF {
		err = &fs.PathError{Op: "read", Path: h.name, Err: io.ErrUnexpectedEOF}
	}
	if h.ctx.Err() != nil { // the handle was shut, so err says nothing
		return &fs.PathError{Op: "read", Path: h.name, Err: errCacheClosed}
	}
	if isChange(err) {
		err = h.version.retire(err)
		h.store.cache.forgetVersion(h)
	}
	h.drop()
	return err
}

func isChange(err error) bool {
	return errors.Is(err, ErrChanged) || errors.Is(err, io.ErrUnexpectedEOF)
}

func (c *Cache) forgetVersion(h *handle) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.versions.remove(h.versionKey(h.info), h.version)
}
