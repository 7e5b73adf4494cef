package media

import (
	"errors"
	"fmt"
	"io"
	"sync"
)

// What one Identify may read at most, hostile files included.
const (
	headBytes = 32 << 10  // from the start, in one call
	pageBytes = 2 << 10   // elsewhere, where less is asked for: neighbours are likely next
	maxBytes  = 256 << 10 // in all
	maxReads  = 80
)

// A window shows parts of a recording for a bounded number of bytes read.
// The slices it gives out are not to be written to; they stay valid until free.
type window struct {
	r    io.ReaderAt
	size int64

	head   []byte // the first bytes, the whole recording if it is short
	page   []byte // what was last read elsewhere, from pageAt on
	pageAt int64

	reads, bytes int

	buffer *[headBytes]byte // of heads
}

// heads are used again: a server proves many recordings when it has just begun.
var heads = sync.Pool{New: func() any { return new([headBytes]byte) }}

// newWindow returns a window, also with an error. It is to be freed.
func newWindow(r io.ReaderAt, size int64) (*window, error) {
	w := &window{r: r, size: size, buffer: heads.Get().(*[headBytes]byte)}
	head := w.buffer[:min(size, headBytes)]
	if err := w.readInto(head, 0); err != nil {
		return w, err
	}
	w.head = head
	return w, nil
}

func (w *window) free() { heads.Put(w.buffer) }

// at returns n bytes from off on, fewer only where the recording ends, none
// from outside of it. Beyond its bounds the answer is ErrUnrecognized.
func (w *window) at(off int64, n int) ([]byte, error) {
	if off < 0 || off >= w.size {
		return nil, nil
	}
	n = int(min(int64(n), w.size-off))
	if b := within(w.head, 0, off, n); b != nil {
		return b, nil
	}
	if b := within(w.page, w.pageAt, off, n); b != nil {
		return b, nil
	}
	page, err := w.read(off, int(min(int64(max(n, pageBytes)), w.size-off)))
	if err != nil {
		return nil, err
	}
	w.page, w.pageAt = page, off
	return page[:n], nil
}

// full is at for what has to be there whole.
func (w *window) full(off int64, n int) ([]byte, error) {
	b, err := w.at(off, n)
	if err == nil && len(b) < n {
		err = unrecognized("it ends within a header")
	}
	return b, err
}

// within returns the n bytes at off out of have, which starts at base, or nil.
func within(have []byte, base, off int64, n int) []byte {
	i := off - base
	if i < 0 || i > int64(len(have)) || int64(n) > int64(len(have))-i {
		return nil
	}
	return have[i : i+int64(n)]
}

func (w *window) read(off int64, n int) ([]byte, error) {
	b := make([]byte, n)
	if err := w.readInto(b, off); err != nil {
		return nil, err
	}
	return b, nil
}

func (w *window) readInto(b []byte, off int64) error {
	w.reads++
	w.bytes += len(b)
	if w.reads > maxReads || w.bytes > maxBytes {
		return unrecognized("its parts are too many or too far apart")
	}
	got, err := w.r.ReadAt(b, off)
	if got == len(b) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("read %d bytes at %d: %w", len(b), off, err)
}
