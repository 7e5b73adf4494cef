package server

import (
	"context"
	"sync"
	"time"
)

// A lease is the context of a recording. It ends with that of the request, when it
// is given back, and when it takes too long until the first bytes are there. What
// that needs is made when somebody waits for it: most recordings are open already
// and known, and nobody does.
type lease struct {
	context.Context // of the request

	mu       sync.Mutex
	until    time.Time               // guarded by mu: zero when there is no limit any more
	tooLate  error                   // the cause of an end by until
	inner    context.Context         // guarded by mu: nil until somebody waits
	cancel   context.CancelCauseFunc // guarded by mu: of inner
	timer    *time.Timer             // guarded by mu: nil where there is none
	returned bool                    // guarded by mu
}

// newLease is to be followed by giveBack. tooLate is its cause of an end by limit.
func newLease(ctx context.Context, limit time.Duration, tooLate error) *lease {
	return &lease{Context: ctx, until: time.Now().Add(limit), tooLate: tooLate}
}

// lift lifts the limit.
func (l *lease) lift() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until = time.Time{}
	if l.timer != nil {
		l.timer.Stop()
	}
}

func (l *lease) giveBack() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.returned = true
	if l.timer != nil {
		l.timer.Stop()
	}
	if l.cancel != nil {
		l.cancel(nil)
	}
}

// late returns the error of an end by the limit, else nil.
func (l *lease) late() error {
	if err := context.Cause(l); err == l.tooLate {
		return err
	}
	return nil
}

// Done implements [context.Context].
func (l *lease) Done() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.inner != nil {
		return l.inner.Done()
	}
	l.inner, l.cancel = context.WithCancelCause(l.Context)
	switch cancel := l.cancel; {
	case l.returned:
		cancel(nil)
	case !l.until.IsZero():
		l.timer = time.AfterFunc(time.Until(l.until), func() { cancel(l.tooLate) }) // until lift or giveBack
	}
	return l.inner.Done()
}

// Err implements [context.Context].
func (l *lease) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.inner != nil:
		return l.inner.Err()
	case l.returned:
		return context.Canceled
	}
	return l.Context.Err()
}

// Value implements [context.Context].
func (l *lease) Value(key any) any {
	l.mu.Lock()
	inner := l.inner
	l.mu.Unlock()
	if inner != nil {
		return inner.Value(key)
	}
	return l.Context.Value(key)
}
