package storage

import (
	"io"
	"time"
)

// A fetch is one read, under way or done.
type fetch struct {
	offset   int64
	want     int64 // bytes
	borrowed bool  // from the Budget
	users    int   // who may still touch buffer
	buffer   *[]byte

	done chan struct{} // closed when n and err are set
	n    int
	err  error // set if n < want
	took time.Duration
}

func (f *fetch) read(file io.ReaderAt) {
	defer close(f.done)
	began := time.Now()
	defer func() { f.took = time.Since(began) }()
	f.n, f.err = file.ReadAt((*f.buffer)[:f.want], f.offset)
	if int64(f.n) < f.want && (f.err == nil || f.err == io.EOF) {
		f.err = io.ErrUnexpectedEOF
	}
}

func (f *fetch) end() int64 { return f.offset + f.want }

func (f *fetch) isDone() bool {
	select {
	case <-f.done:
		return true
	default:
		return false
	}
}
