package media

import (
	"bytes"
	"io"
	"testing"
)

// bounded is a recording that counts what is read of it.
type bounded struct {
	r           io.ReaderAt
	size        int64
	reads, read int
	outside     bool
}

func newBounded(b []byte) *bounded {
	return &bounded{r: bytes.NewReader(b), size: int64(len(b))}
}

func (b *bounded) ReadAt(p []byte, off int64) (int, error) {
	b.reads++
	b.read += len(p)
	if off < 0 || len(p) == 0 || off+int64(len(p)) > b.size {
		b.outside = true
	}
	return b.r.ReadAt(p, off)
}

// check fails the test if more was read than Identify promises.
func (b *bounded) check(t testing.TB) {
	t.Helper()
	if b.reads > 80 || b.read > 256<<10 || b.outside {
		t.Fatalf("%d reads of %d bytes, outside of the recording: %t", b.reads, b.read, b.outside)
	}
}

// identify is Identify with its promises checked.
func identify(t testing.TB, b []byte) (Format, error) {
	t.Helper()
	r := newBounded(b)
	f, err := Identify(r, r.size)
	r.check(t)
	if (err == nil) != (f.Type != "") {
		t.Fatalf("type %q with error %v", f.Type, err)
	}
	return f, err
}
