package sftptest

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

const (
	laneSize   = 64 << 20  // how much may be on its way in one direction of a connection
	parcelSize = 256 << 10 // how much is read at a time
)

// A lane is one direction of a pair: a queue between the goroutine that reads
// one side and the one that writes to the other.
type lane struct {
	pair *pair

	mu    sync.Mutex
	moved *sync.Cond // with mu: the queue has changed, or the pair has ended
	queue []parcel   // guarded by mu
	size  int        // guarded by mu: bytes in the queue
}

// A parcel is what was read at once, or why there is no more.
type parcel struct {
	bytes []byte
	end   error
	due   time.Time
}

func newLane(c *pair) *lane {
	l := &lane{pair: c}
	l.moved = sync.NewCond(&l.mu)
	return l
}

func (l *lane) wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.moved.Broadcast()
}

var parcels = sync.Pool{New: func() any { return new([parcelSize]byte) }}

// read puts what comes from one side into the queue.
func (l *lane) read(from *net.TCPConn) {
	for {
		buffer := parcels.Get().(*[parcelSize]byte)
		n, err := from.Read(buffer[:])
		next := parcel{bytes: buffer[:n], end: err}
		if n < parcelSize/2 { // a queue of small packets must not take the room of large ones
			next.bytes = append([]byte(nil), buffer[:n]...)
			parcels.Put(buffer)
		}
		if err != nil && from == l.pair.client {
			l.pair.left.Store(true)
		}
		if !l.pair.forgotten.Load() {
			next.due = time.Now().Add(time.Duration(l.pair.proxy.delay.Load()))
			l.put(next)
		}
		if err != nil {
			return
		}
	}
}

// put waits for room in the queue.
func (l *lane) put(next parcel) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.size >= laneSize && l.pair.ctx.Err() == nil {
		l.moved.Wait()
	}
	l.queue = append(l.queue, next)
	l.size += len(next.bytes)
	l.moved.Broadcast()
}

// take waits for the next parcel. It returns false when the pair has ended.
func (l *lane) take() (next parcel, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.queue) == 0 && l.pair.ctx.Err() == nil {
		l.moved.Wait()
	}
	if l.pair.ctx.Err() != nil {
		return parcel{}, false
	}
	next, l.queue = l.queue[0], l.queue[1:]
	l.size -= len(next.bytes)
	l.moved.Broadcast()
	return next, true
}

// write passes on what is in the queue when its time has come.
func (l *lane) write(to *net.TCPConn) {
	for {
		next, ok := l.take()
		if !ok || !l.await(next.due) || !l.pair.pass() {
			return
		}
		allowed, cut := len(next.bytes), false
		if to == l.pair.client {
			if !l.await(l.pair.proxy.due(allowed)) {
				return
			}
			allowed, cut = l.pair.proxy.count(allowed)
		}
		_, err := to.Write(next.bytes[:allowed])
		if cap(next.bytes) == parcelSize {
			parcels.Put((*[parcelSize]byte)(next.bytes[:parcelSize]))
		}
		switch {
		case err != nil || cut:
			l.pair.end(false)
			return
		case next.end == nil:
		case !errors.Is(next.end, io.EOF):
			l.pair.end(true)
			return
		case l.pair.closed.Add(1) == 2:
			l.pair.end(false)
			return
		default:
			to.CloseWrite()
			return
		}
	}
}

// await waits until due. It returns false when the pair has ended.
func (l *lane) await(due time.Time) bool {
	wait := time.Until(due)
	if wait <= 0 {
		return true
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-l.pair.ctx.Done():
		return false
	}
}
