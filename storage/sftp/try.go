package sftp

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// tries is over how many connections something is tried: it may be what ends
// them.
const tries = 3

// try runs attempt over a connection, within twice the time-out. When the
// connection is lost it is run again over another one, and when an answer is
// late, besides. A value that comes too late is given to drop, if that is not
// nil.
func try[T any](ctx context.Context, s *Store, attempt func(context.Context, *conn) (T, error), drop func(T)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*s.config.Timeout)
	defer cancel()
	for left := tries - 1; ; left-- {
		c, reused, err := s.pool.get(ctx)
		if err != nil {
			var none T
			return none, err
		}
		value, err := tryBoth(ctx, s, c, attempt, drop)
		if !errors.Is(err, errLost) || !reused || left == 0 || ctx.Err() != nil {
			return value, err
		}
	}
}

// errNoOther marks the error of an attempt that did not come to ask anything.
var errNoOther = errors.New("no other connection")

// tryBoth runs attempt over c, and over another connection when it takes long.
// That there is no other one says nothing: c may still answer.
func tryBoth[T any](ctx context.Context, s *Store, c *conn, attempt func(context.Context, *conn) (T, error), drop func(T)) (T, error) {
	ctx, cancel := context.WithCancel(ctx)
	ends := make(chan answer[T])
	pending := 0
	run := func(pick func() (*conn, error)) {
		pending++
		go func() { // ends with ctx, and is waited for
			var a answer[T]
			if c, err := pick(); err != nil {
				a.err = fmt.Errorf("%w: %w", errNoOther, err)
			} else {
				a.value, a.err = attempt(ctx, c)
				s.seen(c, a.err)
			}
			ends <- a
		}()
	}
	defer func() {
		cancel()
		for ; pending > 0; pending-- {
			if a := <-ends; a.err == nil && drop != nil {
				drop(a.value)
			}
		}
	}()
	run(func() (*conn, error) { return c, nil })
	late := time.NewTimer(s.config.patience())
	defer late.Stop()
	var worst error // of those that ended: a lost connection says least
	for {
		select {
		case a := <-ends:
			pending--
			if a.err == nil || !errors.Is(a.err, errLost) && !errors.Is(a.err, errNoOther) {
				return a.value, a.err
			}
			if worst == nil || errors.Is(a.err, errLost) {
				worst = a.err
			}
			if pending == 0 {
				return a.value, worst
			}
		case <-late.C:
			c.suspect.Store(true)
			run(func() (*conn, error) {
				other, _, err := s.pool.get(ctx, c)
				return other, err
			})
		}
	}
}
