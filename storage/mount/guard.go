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
	timeout time.Duration
	slots   chan struct{} // holds a token for each call in the kernel
	stuck   atomic.Int64  // how many calls have taken longer than timeout

	mu    sync.Mutex
	turns map[string]*turn // guarded by mu: of the paths that are in use
	full  time.Time        // guarded by mu: since when as many calls were stuck as may, the last time
}

// A turn is what the calls on one path take in turns.
type turn struct {
	token chan struct{} // holds a token while one is in the kernel
	users int           // guarded by guard.mu: who has the turn or waits for it
	stuck chan struct{} // guarded by guard.mu: closed while the call has taken longer than timeout
}

func newGuard(timeout time.Duration, most int) *guard {
	return &guard{timeout: timeout, slots: make(chan struct{}, most), turns: make(map[string]*turn)}
}

// guarded waits for a call of f, which is about path, until ctx ends or the
// timeout is over, and for its turn before, for as long as none of those who
// have it takes longer. It fails at once when as many calls as may are stuck, or
// the one on the same path is. The goroutine that it starts ends with the system
// calls of f; what they return when nobody waits any more is given to drop.
func guarded[T any](ctx context.Context, g *guard, path string, f func() (T, error), drop func(T)) (T, error) {
	var none T
	turn, err := g.takeTurn(ctx, path)
	if err != nil {
		return none, err
	}
	ctx, cancel := context.WithTimeout(ctx, g.timeout)
	defer cancel()
	select {
	case g.slots <- struct{}{}:
	case <-ctx.Done():
		<-turn.token
		g.leave(path, turn)
		return none, ctx.Err()
	}
	type result struct {
		value T
		err   error
	}
	done := make(chan result)
	go func() {
		var r result
		g.run(path, turn, func() { r.value, r.err = f() })
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

// takeTurn waits for the turn of path.
func (g *guard) takeTurn(ctx context.Context, path string) (*turn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := g.refusal(); err != nil {
		return nil, err
	}
	t, stuck := g.enter(path)
	var err error
	select {
	case <-stuck:
		err = errStuck
	default:
		select {
		case t.token <- struct{}{}:
			return t, nil
		case <-stuck:
			err = errStuck
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	g.leave(path, t)
	return nil, err
}

var errStuck = fmt.Errorf("%w: a system call on this recording hangs", storage.ErrUnavailable)

// refusal is the error of whoever comes while as many calls as may are stuck.
func (g *guard) refusal() error {
	if n := g.stuck.Load(); n >= int64(cap(g.slots)) {
		return fmt.Errorf("%w: %d system calls hang there", storage.ErrUnavailable, n)
	}
	return nil
}

// health is h, unless whoever comes is refused.
func (g *guard) health(h storage.Health) storage.Health {
	err := g.refusal()
	if err == nil || !h.Up {
		return h
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return storage.Health{Since: g.full, Reason: err.Error()}
}

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

// run calls f, counts it as stuck while it takes too long, and gives slot and
// turn back.
func (g *guard) run(path string, t *turn, f func()) {
	var late, done bool // guarded by g.mu
	timer := time.AfterFunc(g.timeout, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if late = !done; late {
			close(t.stuck)
			if g.stuck.Add(1) == int64(cap(g.slots)) {
				g.full = time.Now()
			}
		}
	})
	f()
	timer.Stop()
	g.mu.Lock()
	if done = true; late {
		g.stuck.Add(-1)
		t.stuck = make(chan struct{})
	}
	g.mu.Unlock()
	<-g.slots
	<-t.token
	g.leave(path, t)
}
