package mount

import (
	"context"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"

	"storagesrv/storage"
)

// A File is an open recording. Reads give up on a dead mount like Open; only
// what goes past them by sendfile, with [File.OSFile], does not. A File whose
// handle the mount has lost is opened again, if it is still the same.
type File struct {
	store *Store
	name  string
	info  fs.FileInfo     // as it was opened
	ctx   context.Context // that of Open: ReadAt has none, and must return when it ends

	offset int64 // of the next Read

	mu     sync.Mutex
	opened *opened // guarded by mu: nil when closed
	failed bool    // guarded by mu: a read has failed, so it is not kept open
}

var _ storage.File = (*File)(nil)

func newFile(ctx context.Context, s *Store, name string, o *opened) *File {
	return &File{store: s, name: name, info: o.info, ctx: ctx, opened: o}
}

// OSFile returns the open file, for sendfile, which reads at a position that is
// not the File's: it is to be set before. It ends with Close.
func (f *File) OSFile() *os.File {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.opened == nil {
		return nil
	}
	return f.opened.file
}

// Timeout returns how long a mount may take for one system call before it
// counts as dead; 0 if the file is on a local disk.
func (f *File) Timeout() time.Duration {
	if o, err := f.current(); err == nil && o.on.local.Load() {
		return 0
	}
	return f.store.config.Timeout
}

// Sendable reports whether the kernel may send the file by itself, as it reads
// it. By sshfs it may not: what sshfs leaves out when its connection ends becomes
// zeros in the page cache, which its direct_io keeps reads out of, but not a
// sendfile.
func (f *File) Sendable() bool {
	o, err := f.current()
	return err == nil && !o.copied
}

// CountHung notes that n more sendfiles of the file hang, or fewer if n is
// negative, for [Store.Stuck].
func (f *File) CountHung(n int) { f.store.sends.Add(int64(n)) }

// Stat returns the file's size and time as they were when it was opened.
func (f *File) Stat() (fs.FileInfo, error) { return f.info, nil }

// Read implements [io.Reader].
func (f *File) Read(p []byte) (int, error) {
	n, err := f.ReadAt(p, f.offset)
	f.offset += int64(n)
	if n > 0 && err == io.EOF {
		err = nil
	}
	return n, err
}

// Seek implements [io.Seeker].
func (f *File) Seek(offset int64, whence int) (int64, error) {
	to, err := storage.Seek(offset, whence, f.offset, f.info.Size())
	if err != nil {
		return 0, f.fail("seek", err)
	}
	f.offset = to
	return to, nil
}

// ReadAt implements [io.ReaderAt].
func (f *File) ReadAt(p []byte, offset int64) (n int, err error) {
	o, err := f.current()
	if err != nil {
		return 0, f.fail("read", err)
	}
	n, err = f.readBy(o, p, offset)
	if now, closed := f.current(); closed == nil && now != o && err != nil {
		o = now // somebody else has opened it again meanwhile
		n, err = f.readBy(o, p, offset)
	}
	if !f.isLost(err, offset+int64(n)) {
		return n, f.fail("read", err)
	}
	if o, err = f.renew(o, err); err != nil {
		return n, f.fail("read", err)
	}
	more, err := f.readBy(o, p[n:], offset+int64(n))
	if n += more; f.isLost(err, offset+int64(n)) {
		err = f.ended(err)
	}
	return n, f.fail("read", err)
}

// Close implements [io.Closer]. It does not wait for a read that hangs.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	o := f.opened
	if o == nil {
		return f.fail("close", fs.ErrClosed)
	}
	f.opened = nil
	if f.failed || f.ctx.Err() != nil || !o.settled() {
		o.close()
	} else {
		f.store.idle.put(f.name, o)
	}
	return nil
}

func (f *File) current() (*opened, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.opened == nil {
		return nil, fs.ErrClosed
	}
	return f.opened, nil
}

// readBy reads from o. On a mount it reads into a buffer of its own: a read
// that is given up goes on in the kernel.
func (f *File) readBy(o *opened, p []byte, offset int64) (int, error) {
	if o.on.local.Load() {
		return o.file.ReadAt(p, offset)
	}
	if err := f.store.presence.refusal(o.on); err != nil {
		return 0, err
	}
	b, err := guarded(f.ctx, o.on.guard, f.name, func() (*block, error) {
		b := blocks.Get().(*block)
		b.read(o.file, len(p), offset)
		return b, nil
	}, (*block).free)
	if err != nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.failed = true
		return 0, err
	}
	defer b.free()
	return copy(p, b.data), b.err
}

// fail makes err one of ours, unless it is nil or the end.
func (f *File) fail(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	if pathErr, ok := err.(*fs.PathError); ok {
		err = pathErr.Err
	}
	return &fs.PathError{Op: op, Path: f.name, Err: err}
}

// A block is what one ReadAt has read.
type block struct {
	data []byte
	err  error
}

var blocks = sync.Pool{New: func() any { return new(block) }}

func (b *block) read(file *os.File, n int, offset int64) {
	if cap(b.data) < n {
		b.data = make([]byte, n)
	}
	n, b.err = file.ReadAt(b.data[:n], offset)
	b.data = b.data[:n]
}

func (b *block) free() { blocks.Put(b) }
