package server

import (
	"net"
	"sync"
	"time"
)

// hangEvery is how often sends are looked at.
const hangEvery = 250 * time.Millisecond

// A hangWatch looks after what the kernel sends of mounts. A sendfile that hangs
// in a dead one heeds no deadline, and closing its connection would wait for it:
// the client is freed by a shutdown of the socket. The zero value is ready.
type hangWatch struct {
	mu       sync.Mutex
	sends    map[*kernelSend]bool // guarded by mu
	watching bool                 // guarded by mu: a goroutine runs, until there are none
	requests int                  // guarded by mu: under way
	hanging  int                  // guarded by mu: of these, cut and not returned
	only     chan struct{}        // guarded by mu: closed when no others are left
}

// A kernelSend is one sendfile. It hangs when for its timeout there was nothing
// left for the client to take, and nothing came.
type kernelSend struct {
	watch   *hangWatch
	conn    *net.TCPConn
	file    mountedFile
	timeout time.Duration
	cut     func()

	fed   time.Time // guarded by watch.mu: when there was something to take
	taken uint64    // guarded by watch.mu: how much the client had taken at the last look
	hung  bool      // guarded by watch.mu
}

// begin is to be followed by end. cut is told once if the send hangs, and file
// from then until it ends. Nothing is watched of a local disk, or where the
// connection is not known.
func (w *hangWatch) begin(conn *net.TCPConn, file mountedFile, cut func()) *kernelSend {
	timeout := file.Timeout()
	if timeout == 0 || conn == nil {
		return nil
	}
	k := &kernelSend{watch: w, conn: conn, file: file, timeout: timeout, cut: cut, fed: time.Now()}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.sends == nil {
		w.sends = make(map[*kernelSend]bool)
	}
	w.sends[k] = true
	if !w.watching {
		w.watching = true
		go w.run() // ends when no sends are left
	}
	return k
}

// end reports whether the send has hung.
func (k *kernelSend) end() bool {
	if k == nil {
		return false
	}
	k.watch.mu.Lock()
	defer k.watch.mu.Unlock()
	delete(k.watch.sends, k)
	if k.hung {
		k.watch.hanging--
		k.file.CountHung(-1)
	}
	return k.hung
}

func (w *hangWatch) run() {
	tick := time.NewTicker(hangEvery)
	defer tick.Stop()
	for now := range tick.C {
		hanging, done := w.look(now)
		for _, k := range hanging {
			shutdown(k.conn)
			k.cut()
		}
		if done {
			return
		}
	}
}

// look returns the sends that hang since this look, and whether none are left
// to look at.
func (w *hangWatch) look(now time.Time) (hanging []*kernelSend, done bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for k := range w.sends {
		taken, waits := progress(k.conn)
		switch {
		case !waits: // the client is the slow one, or gone
			k.fed = now
		case taken != k.taken: // a client that is faster than its mount takes all at once
			k.fed, k.taken = now, taken
		case now.Sub(k.fed) >= k.timeout:
			k.hung = true
			w.hanging++
			k.file.CountHung(1)
			delete(w.sends, k)
			hanging = append(hanging, k)
		}
	}
	w.tell()
	w.watching = len(w.sends) > 0
	return hanging, !w.watching
}

// enter counts a request, until leave.
func (w *hangWatch) enter() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.requests++
}

func (w *hangWatch) leave() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.requests--
	w.tell()
}

// onlyHanging returns a channel that is closed when the only requests left are
// such that hang in a mount.
func (w *hangWatch) onlyHanging() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.only = make(chan struct{})
	w.tell()
	return w.only
}

// tell is called with w.mu held.
func (w *hangWatch) tell() {
	if w.only != nil && w.hanging > 0 && w.hanging == w.requests {
		close(w.only)
		w.only = nil
	}
}
