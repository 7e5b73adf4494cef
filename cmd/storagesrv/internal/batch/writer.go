// Package batch writes many small pieces of a log in few system calls.
//
//	w := batch.NewWriter(os.Stderr)
//	defer w.Close()
//	log := slog.New(batch.Urgent(slog.NewJSONHandler(w, nil), w, slog.LevelWarn))
package batch

import (
	"errors"
	"io"
	"sync"
	"time"
)

const (
	// delay is how long a piece waits for others.
	delay = 100 * time.Millisecond
	// size is how much is written at once; as much again may wait meanwhile.
	size = 64 << 10
	// closeTimeout is how long the last of it may take: an output that takes
	// nothing does not keep a program from ending.
	closeTimeout = 2 * time.Second
)

// A Writer gathers what is written to it, and hands it on after 100 ms, or when
// it is 64 KiB, or when it is told to. Nothing is dropped: whoever writes while
// the output takes nothing waits. It is safe for concurrent use.
type Writer struct {
	out  io.Writer
	wake chan struct{} // tells of the first piece of a batch
	now  chan struct{} // tells that a batch is not to wait for more
	done chan struct{} // closed when all is written

	mu      sync.Mutex
	room    sync.Cond // tells that there is room in pending
	pending []byte    // guarded by mu
	spare   []byte    // guarded by mu: the other buffer, while it is not being written
	err     error     // guarded by mu: the last one of out
	closed  bool      // guarded by mu
}

// NewWriter returns a Writer to out. It is to be closed.
func NewWriter(out io.Writer) *Writer {
	w := &Writer{out: out, wake: make(chan struct{}, 1), now: make(chan struct{}, 1), done: make(chan struct{})}
	w.room.L = &w.mu
	go w.run() // ends with Close
	return w
}

// Write implements [io.Writer]. The error is that of an earlier batch.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.pending) > 0 && len(w.pending)+len(p) > size && !w.closed {
		tell(w.now)
		w.room.Wait()
	}
	if w.closed {
		return w.out.Write(p)
	}
	if len(w.pending) == 0 {
		tell(w.wake)
	}
	w.pending = append(w.pending, p...)
	return len(p), w.err
}

// Flush has what was written handed on at once. It does not wait for it.
func (w *Writer) Flush() { tell(w.now) }

// ErrStuck is the error of Close if the output did not take the last of it.
var ErrStuck = errors.New("the log's output takes nothing")

// Close hands on what was written, and waits for that, but not for ever. What is
// written later goes straight to the output.
func (w *Writer) Close() error {
	w.mu.Lock()
	first := !w.closed
	w.closed = true
	w.room.Broadcast()
	w.mu.Unlock()
	if first {
		close(w.wake)
	}
	tell(w.now)
	select {
	case <-w.done:
	case <-time.After(closeTimeout): // the goroutine ends with the process
		return ErrStuck
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// tell leaves word, unless there is some already.
func tell(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (w *Writer) run() {
	defer close(w.done)
	timer := time.NewTimer(delay)
	for range w.wake {
		timer.Reset(delay)
		select {
		case <-timer.C:
		case <-w.now:
		}
		w.writePending()
	}
	w.writePending()
}

func (w *Writer) writePending() {
	w.mu.Lock()
	batch := w.pending
	if len(batch) > 0 {
		w.pending, w.spare = w.spare[:0], nil
	}
	w.room.Broadcast()
	w.mu.Unlock()
	if len(batch) == 0 {
		return
	}
	_, err := w.out.Write(batch)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err = err
	if cap(batch) <= size {
		w.spare = batch
	}
}
