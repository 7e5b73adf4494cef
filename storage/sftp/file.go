package sftp

import (
	"context"
	"io/fs"
	"sync"
	"time"

	"storagesrv/storage"
)

// A File is an open recording, read in packets as they are asked for. It is as
// long as it was when it was opened. When its connection is lost it goes on
// over another, if the file is still the same; until there is one, reads wait,
// for at most as long as [Config] says.
type File struct {
	store  *Store
	name   string
	attrs  attributes
	offset int64
	check  check

	// ctx is that of Open, and ends with Close besides. It is kept because
	// Read has none and must return when either ends.
	ctx    context.Context
	cancel context.CancelFunc

	mu         sync.Mutex
	closed     bool        // guarded by mu
	failure    error       // guarded by mu: what all reads fail with
	handles    []*handle   // guarded by mu: one for each connection it is read over
	attaching  *attachment // guarded by mu: nil if none is under way
	unattached time.Time   // guarded by mu: when an attachment failed last
	alone      bool        // guarded by mu: it cannot be opened again as it was
	primed     []*prime    // guarded by mu
	unprime    *time.Timer // drops what was primed and not asked for
}

var _ storage.File = (*File)(nil)

func newFile(ctx context.Context, s *Store, name string, h *handle) *File {
	f := &File{store: s, name: name, attrs: h.attrs, handles: []*handle{h}, primed: h.primed}
	f.check.began()
	f.ctx, f.cancel = context.WithCancel(ctx)
	f.unprime = time.AfterFunc(primedFor, f.dropPrimed)
	return f
}

// Stat returns the file's size and time as they were when it was opened.
func (f *File) Stat() (fs.FileInfo, error) { return info{f.name, f.attrs}, nil }

// Alive reports whether f can be read without looking for a connection.
func (f *File) Alive() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, h := range f.handles {
		if h.conn.alive() {
			return f.failure == nil
		}
	}
	return false
}

// Read implements [io.Reader]. It asks the server once, for at most 32 KiB.
func (f *File) Read(p []byte) (int, error) {
	n, err := f.readPart(p[:min(len(p), smallPacket)], f.offset)
	f.offset += int64(n)
	return n, err
}

// Seek implements [io.Seeker].
func (f *File) Seek(offset int64, whence int) (int64, error) {
	to, err := storage.Seek(offset, whence, f.offset, f.attrs.size)
	if err != nil {
		return 0, f.fail("seek", err)
	}
	f.offset = to
	return to, nil
}

// Close ends the reads that are under way. It returns at once; the server is
// told in the background.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return f.fail("close", fs.ErrClosed)
	}
	f.closed = true
	f.unprime.Stop()
	f.failure = fs.ErrClosed
	f.cancel()
	for _, h := range f.handles {
		h.close()
	}
	f.handles = nil
	return nil
}

func (f *File) fail(op string, err error) error {
	return &fs.PathError{Op: op, Path: f.name, Err: err}
}
