package storage

import (
	"context"
	"io"
	"io/fs"
	"sync/atomic"
)

// A cachedFile is one listener's view of a handle.
type cachedFile struct {
	handle *handle
	offset int64 // of the next Read
	closed atomic.Bool

	// fetched counts the bytes that the store was asked for on behalf of this
	// File alone.
	fetched atomic.Int64

	// ctx is that of Open, and ends with Close besides. It is kept because
	// reads have none and must return when either ends.
	ctx    context.Context
	cancel context.CancelFunc
}

var _ File = (*cachedFile)(nil)

// newCachedFile takes over the caller's use of h.
func newCachedFile(ctx context.Context, h *handle) *cachedFile {
	f := &cachedFile{handle: h}
	f.ctx, f.cancel = context.WithCancel(ctx)
	return f
}

// Stat describes the file as it was when the store opened it.
func (f *cachedFile) Stat() (fs.FileInfo, error) { return f.handle.info, nil }

// Read implements [io.Reader].
func (f *cachedFile) Read(p []byte) (int, error) {
	n, err := f.ReadAt(p, f.offset)
	f.offset += int64(n)
	if n > 0 && err == io.EOF {
		err = nil
	}
	return n, err
}

// Seek implements [io.Seeker].
func (f *cachedFile) Seek(offset int64, whence int) (int64, error) {
	to, err := Seek(offset, whence, f.offset, f.handle.info.Size())
	if err != nil {
		return 0, f.fail("seek", err)
	}
	f.offset = to
	return to, nil
}

// Close ends the reads that are under way. It returns at once.
func (f *cachedFile) Close() error {
	if f.closed.Swap(true) {
		return f.fail("close", fs.ErrClosed)
	}
	f.cancel()
	f.handle.release()
	return nil
}

// left returns why nobody reads the File any more, or nil.
func (f *cachedFile) left() error {
	err := f.ctx.Err()
	if f.closed.Load() { // before it ends ctx
		err = fs.ErrClosed
	}
	if err == nil {
		return nil
	}
	return f.fail("read", err)
}

func (f *cachedFile) fail(op string, err error) error {
	return &fs.PathError{Op: op, Path: f.handle.name, Err: err}
}
