// Package batch writes many small pieces of a log in few system calls.
//
//	w := batch.NewWriter(os.Stderr, nil)
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
	// patience is how long a piece waits for room while the output takes nothing.
	// Others find it stuck then, and do not wait until it takes something again.
	patience = time.Second
	// closeTimeout is how long the last of it may take: an output that takes
	// nothing does not keep a program from ending.
	closeTimeout = 2 * time.Second
)

// A Writer gathers what is written to it, and hands it on after 100 ms, or when
// it is 64 KiB, or when it is told to. Whoever writes while the output takes
// nothing waits for up to a second. What finds no room then is dropped, and how
// much was is said in its place. It is safe for concurrent use.
type Writer struct {
	out  io.Writer
	gap  func(pieces int) []byte
	wake chan struct{} // tells of the first piece of a batch
	now  chan struct{} // tells that a batch is not to wait for more
	done chan struct{} // closed when all is written

	mu      sync.Mutex
	moved   chan struct{} // guarded by mu: closed when there is room in pending
	pending []byte        // guarded by mu
	spare   []byte        // guarded by mu: the other buffer, while it is not being written
	dropped int           // guarded by mu: pieces, since a batch was handed on
	stuck   bool          // guarded by mu: somebody has waited for room in vain
	err     error         // guarded by mu: the last one of out
	closed  bool          // guarded by mu
}

// NewWriter returns a Writer to out. It is to be closed. Where pieces were
// dropped stands what gap returns; nil says nothing.
func NewWriter(out io.Writer, gap func(pieces int) []byte) *Writer {
	if gap == nil {
		gap = func(int) []byte { return nil }
	}
	w := &Writer{
		out: out, gap: gap, moved: make(chan struct{}),
		wake: make(chan struct{}, 1), now: make(chan struct{}, 1), done: make(chan struct{}),
		pending: make([]byte, 0, size), spare: make([]byte, 0, size),
	}
	go w.run() // ends with Close
	return w
}

// ErrStuck is the error of what is dropped because the output takes nothing.
var ErrStuck = errors.New("the log's output takes nothing")

// Write implements [io.Writer]. The error is ErrStuck, or that of an earlier
// batch.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	hasRoom := w.awaitRoom(len(p))
	if w.closed {
		stuck := w.stuck
		w.mu.Unlock()
		if stuck {
			return 0, ErrStuck
		}
		return w.out.Write(p)
	}
	defer w.mu.Unlock()
	if !hasRoom {
		w.dropped++
		return 0, ErrStuck
	}
	if len(w.pending) == 0 {
		tell(w.wake)
	}
	w.pending = append(w.pending, p...)
	return len(p), w.err
}

// awaitRoom waits for room for n bytes, and reports whether there is. w.mu is
// held, but not while it waits.
func (w *Writer) awaitRoom(n int) bool {
	for len(w.pending) > 0 && len(w.pending)+n > size && !w.closed {
		if w.stuck {
			return false
		}
		tell(w.now)
		moved, isLate := w.moved, false
		w.mu.Unlock()
		select {
		case <-moved:
		case <-time.After(patience):
			isLate = true
		}
		w.mu.Lock()
		if isLate && w.moved == moved { // or it has moved in that very moment
			w.stuck = true
		}
	}
	return true
}

// makeRoom lets those go on who wait for room. w.mu is held.
func (w *Writer) makeRoom() {
	close(w.moved)
	w.moved = make(chan struct{})
}

// Flush has what was written handed on at once. It does not wait for it.
func (w *Writer) Flush() { tell(w.now) }

// Close hands on what was written, and waits for that, but not for ever: its error
// is ErrStuck then. What is written later goes straight to the output, unless that
// is stuck.
func (w *Writer) Close() error {
	w.mu.Lock()
	first := !w.closed
	w.closed = true
	w.makeRoom()
	w.mu.Unlock()
	if first {
		close(w.wake)
	}
	tell(w.now)
	select {
	case <-w.done:
	case <-time.After(closeTimeout): // the goroutine ends with the process
		w.mu.Lock()
		defer w.mu.Unlock()
		w.stuck = true
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
	if w.dropped > 0 {
		batch = append(batch, w.gap(w.dropped)...)
	}
	w.dropped, w.stuck = 0, false
	w.makeRoom()
	w.mu.Unlock()
	if len(batch) == 0 {
		return
	}
	_, err := w.out.Write(batch)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err = err
	if cap(batch) > size {
		batch = make([]byte, 0, size)
	}
	w.spare = batch
}
