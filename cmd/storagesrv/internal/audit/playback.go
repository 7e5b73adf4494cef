package audit

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// An Ending is how a response ended.
type Ending int

// The endings.
const (
	Sent       Ending = iota // all that was asked for was sent, or the client left
	Cut                      // the storage failed, or the server ended
	Redirected               // the client was sent elsewhere for the recording
)

// A Playback is one response of a recording to a listener. It is safe for
// concurrent use.
type Playback struct {
	log   *Log
	of    *listening
	ended atomic.Bool
}

var errClosed = errors.New("the audit is closed")

// Begin notes that a recording of size bytes is about to be sent to a listener,
// and returns when that is written down. The Playback is to be ended.
//
// Only a required Log returns errors, which wrap ErrUnavailable or are ctx's:
// then nothing may be sent. Others let the listener begin, at once if it is
// known that nothing can be written.
func (l *Log) Begin(ctx context.Context, who Listener, requestID string, size int64) (*Playback, error) {
	if l == nil {
		return nil, nil
	}
	e, err := l.enter(who.clipped(), requestID, size)
	if err == nil {
		p := &Playback{log: l, of: e}
		if err = l.writer.await(ctx, e.started); err == nil || !l.config.Required {
			return p, nil
		}
		p.End(Cut)
	}
	switch {
	case !l.config.Required:
		return nil, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	}
	return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// enter returns the playback that a request of a listener belongs to.
func (l *Log) enter(who Listener, requestID string, size int64) (*listening, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, errClosed
	}
	e := l.open[who]
	if e != nil && l.config.Required && e.started.hasFailed() {
		l.forget(e)
		e = nil
	}
	if e == nil {
		var err error
		if e, err = l.begin(who, requestID); err != nil {
			return nil, err
		}
	}
	if e.place != nil {
		l.idle.Remove(e.place)
		e.place = nil
	}
	e.running++
	l.running++
	e.join(requestID, size)
	return e, nil
}

// begin is called with l.mu held.
func (l *Log) begin(who Listener, requestID string) (*listening, error) {
	who = who.clone()
	now := time.Now()
	e := &listening{Listener: who, began: now,
		started: newLine(started, record{Time: stamp(now), Listener: who, RequestIDs: []string{clip(requestID)}})}
	if err := l.writer.enqueue(e.started); err != nil {
		if l.config.Required {
			return nil, err
		}
		e.started.settle(err) // or all its requests would wait for it
	}
	l.open[who] = e
	if oldest := l.idle.Front(); len(l.open) > l.config.MaxOpen && oldest != nil {
		l.finish(oldest.Value.(*listening))
	}
	return e, nil
}

// Took notes that the client took n bytes of the recording from an offset on.
func (p *Playback) Took(offset, n int64) {
	if p != nil && n > 0 {
		p.of.took(offset, n)
	}
}

// End notes that the response has ended. Only the first call counts.
func (p *Playback) End(how Ending) {
	if p == nil || p.ended.Swap(true) {
		return
	}
	now := time.Now()
	p.of.leave(how, now)
	p.log.leave(p.of, now)
}

func (l *Log) leave(e *listening, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running--
	l.endIfOver()
	if e.running--; e.running > 0 || l.open[e.Listener] != e {
		return
	}
	e.until = now.Add(l.config.Quiet)
	e.place = l.idle.PushBack(e)
	if l.expiring == nil {
		l.expiring = time.AfterFunc(l.config.Quiet, l.expire) // until none are idle, or Close
	}
}

// expire ends the playbacks of those who have been quiet for long enough.
func (l *Log) expire() {
	for l.expireSome() {
	}
}

// expireSome does not hold the lock for long, and reports whether there is more
// to do.
func (l *Log) expireSome() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	for range 100 {
		first := l.idle.Front()
		if first == nil || l.closed {
			l.expiring = nil
			return false
		}
		e := first.Value.(*listening)
		if wait := e.until.Sub(now); wait > 0 {
			l.expiring.Reset(wait)
			return false
		}
		l.finish(e)
	}
	return true
}

// finish writes down what a listener has played. l.mu is held.
func (l *Log) finish(e *listening) {
	l.forget(e)
	if l.config.Required && e.started.hasFailed() {
		return // it was not let begin
	}
	l.writer.enqueue(newLine(played, e.played(time.Now()))) // an error is counted
}

// forget is called with l.mu held.
func (l *Log) forget(e *listening) {
	delete(l.open, e.Listener)
	if e.place != nil {
		l.idle.Remove(e.place)
		e.place = nil
	}
}
