package mount

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"storagesrv/storage"
)

// A guard runs system calls where their waiters can leave: on a dead mount
// they heed no context. It bounds how many run at once, and so how many
// threads a dead mount can hold, and runs one at a time on each path: a
// recording that hangs costs one of them.
type guard struct {
	timeout  time.Duration
	slots    *slots        // of this mount
	all      *slots        // of this mount and those it has replaced
	returned atomic.Uint64 // how many calls have

	mu    sync.Mutex
	turns map[string]*turn // guarded by mu: of the paths that are in use
}

// A turn is what the calls on one path take in turns.
type turn struct {
	token chan struct{} // holds a token while one is in the kernel
	users int           // guarded by guard.mu: who has the turn or waits for it
	stuck chan struct{} // guarded by guard.mu: closed while the call is stuck
}

func newGuard(timeout time.Duration, most int, all *slots) *guard {
	return &guard{timeout: timeout, slots: newSlots(most), all: all, turns: make(map[string]*turn)}
}

// guarded waits for a call of f, which is about path, until ctx ends or the
// timeout is over, and for its turn before, for as long as none of those who
// have it takes longer. It fails at once when as many calls as may are stuck, or
// the one on the same path is, and when they come to be while it waits. The
// goroutine that it starts ends with the system calls of f; what they return when
// nobody waits any more is given to drop.
func guarded[T any](ctx context.Context, g *guard, path string, f func() (T, error), drop func(T)) (T, error) {
	var none T
	t, err := g.takeTurn(ctx, path)
	if err != nil {
		return none, err
	}
	ctx, cancel := context.WithTimeout(ctx, g.timeout)
	defer cancel()
	if err := g.takeSlot(ctx); err != nil {
		g.giveTurn(path, t)
		return none, err
	}
	type result struct {
		value T
		err   error
	}
	done := make(chan result)
	go func() {
		var r result
		g.run(func() { r.value, r.err = f() }, func() { g.block(t) })
		g.giveTurn(path, t)
		select {
		case done <- r:
		case <-ctx.Done():
			if r.err == nil {
				drop(r.value)
			}
		}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		return none, ctx.Err()
	}
}

// takeSlot waits until a call may be made, unless those who come are refused
// meanwhile. It is to be followed by run.
func (g *guard) takeSlot(ctx context.Context) error {
	return g.take(ctx, g.slots.filled(), g.all.filled())
}

// awaitSlot is takeSlot for what is never refused.
func (g *guard) awaitSlot() { g.take(context.Background(), nil, nil) }

func (g *guard) take(ctx context.Context, full, allFull <-chan struct{}) error {
	if err := g.slots.take(ctx, full); err != nil {
		return err
	}
	err := g.all.take(ctx, allFull)
	if err != nil {
		g.slots.give()
	}
	return err
}

// run calls f in the slot that was taken, and gives it back. A call that takes
// longer than the timeout is stuck until it returns, and late is told.
func (g *guard) run(f, late func()) {
	wasLate := timed(g.timeout, f, func() { g.stick(1); late() })
	g.returned.Add(1)
	if wasLate {
		g.stick(-1)
	}
	g.all.give()
	g.slots.give()
}

// timed calls f, and late if that takes too long. It reports whether it did, and
// does not return before late has.
func timed(timeout time.Duration, f, late func()) (wasLate bool) {
	told := make(chan struct{})
	timer := time.AfterFunc(timeout, func() { defer close(told); late() })
	f()
	if timer.Stop() {
		return false
	}
	<-told
	return true
}

func (g *guard) stick(n int) {
	g.slots.stick(n)
	g.all.stick(n)
}

// refusal is the error of whoever comes while as many calls as may are stuck, in
// this mount or in all that were there.
func (g *guard) refusal() (since time.Time, err error) {
	if since, err = g.slots.refusal(); err != nil {
		return since, err
	}
	return g.all.refusal()
}

// health is h, unless whoever comes is refused.
func (g *guard) health(h storage.Health) storage.Health {
	since, err := g.refusal()
	if err == nil || !h.Up {
		return h
	}
	return storage.Health{Since: since, Reason: err.Error()}
}

// takeTurn waits for the turn of path, which is to be given back.
func (g *guard) takeTurn(ctx context.Context, path string) (*turn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if _, err := g.refusal(); err != nil {
		return nil, err
	}
	t, stuck := g.enter(path)
	err := t.wait(ctx, stuck, g.slots.filled(), g.all.filled())
	if err != nil {
		g.leave(path, t)
		return nil, err
	}
	return t, nil
}

func (t *turn) wait(ctx context.Context, stuck, full, allFull <-chan struct{}) error {
	select {
	case <-stuck:
		return errStuck
	default:
	}
	select {
	case t.token <- struct{}{}:
		return nil
	case <-stuck:
		return errStuck
	case <-full:
		return errFull
	case <-allFull:
		return errFull
	case <-ctx.Done():
		return ctx.Err()
	}
}

var errStuck = fmt.Errorf("%w: a system call on this recording hangs", storage.ErrUnavailable)

func (g *guard) enter(path string) (t *turn, stuck <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if t = g.turns[path]; t == nil {
		t = &turn{token: make(chan struct{}, 1), stuck: make(chan struct{})}
		g.turns[path] = t
	}
	t.users++
	return t, t.stuck
}

func (g *guard) leave(path string, t *turn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if t.users--; t.users == 0 {
		delete(g.turns, path)
	}
}

// block lets nobody wait for a turn that is stuck.
func (g *guard) block(t *turn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(t.stuck)
}

// giveTurn gives back what takeTurn took.
func (g *guard) giveTurn(path string, t *turn) {
	g.mu.Lock()
	select {
	case <-t.stuck:
		t.stuck = make(chan struct{})
	default:
	}
	g.mu.Unlock()
	<-t.token
	g.leave(path, t)
}
