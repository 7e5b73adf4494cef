package sftp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"time"

	"storagesrv/storage"
)

// What is below is how a File keeps a handle to read by: one at first; others
// in further sessions while there is more to read than one carries; and a new
// one when all were lost.

// An attachment is handles being opened for a File.
type attachment struct {
	done chan struct{} // closed when err is set
	err  error         // why there is none; nil if there is
	why  reason
}

// A reason is why a File is opened once more.
type reason int

const (
	wider     reason = iota // there is much to read
	elsewhere               // an answer is late
	resume                  // there is no handle left
)

// handle returns a handle to read by, on a connection other than avoid's if
// that is not nil. If all were lost it waits for a new one.
func (f *File) handle(ctx context.Context, avoid *handle) (*handle, error) {
	for {
		f.mu.Lock()
		h, a, err := f.pick(avoid)
		f.mu.Unlock()
		if h != nil || err != nil {
			return h, err
		}
		select {
		case <-a.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-f.ctx.Done():
			return nil, f.ctx.Err()
		}
		if a.err != nil && (a.why == resume || avoid != nil) {
			return nil, a.err
		}
	}
}

// pick returns the handle whose connection has the least to carry, or an
// attachment to wait for. f.mu is held.
func (f *File) pick(avoid *handle) (*handle, *attachment, error) {
	if f.failure != nil {
		return nil, nil, f.failure
	}
	f.prune()
	var best *handle
	for _, h := range f.handles {
		if (avoid == nil || h.conn != avoid.conn) && (best == nil || h.better(best)) {
			best = h
		}
	}
	if best != nil {
		f.spread(best)
		return best, nil, nil
	}
	if f.alone && len(f.handles) > 0 {
		return nil, nil, errAlone
	}
	if f.attaching != nil {
		return nil, f.attaching, nil
	}
	if len(f.handles) == 0 {
		return nil, f.attach(resume), nil
	}
	return nil, f.attach(elsewhere), nil
}

// prune drops the handles that were lost. f.mu is held.
func (f *File) prune() {
	f.handles = slices.DeleteFunc(f.handles, func(h *handle) bool {
		if h.conn.alive() {
			return false
		}
		h.close()
		return true
	})
}

// errAlone says that what is at the name of a File is not what it has open.
var errAlone = fmt.Errorf("%w: the file is there over one connection only", storage.ErrUnavailable)

func (h *handle) better(than *handle) bool {
	if suspect := h.conn.suspect.Load(); suspect != than.conn.suspect.Load() {
		return !suspect
	}
	return h.load.Load() < than.load.Load()
}

// spread opens f in other sessions if the best it has is busy and others are
// not. f.mu is held.
func (f *File) spread(best *handle) {
	load := best.load.Load()
	if load < busy || f.alone {
		return
	}
	f.store.pool.grow()
	best.widen()
	if f.attaching != nil || time.Since(f.unattached) < f.store.config.patience() {
		return
	}
	if sessions := append(f.unused(), f.store.pool.others(load/2, f.conns())...); len(sessions) > 0 {
		f.attach(wider, sessions...)
	}
}

// conns returns the connections that f is open on. f.mu is held.
func (f *File) conns() []*conn {
	conns := make([]*conn, len(f.handles))
	for i, h := range f.handles {
		conns[i] = h.conn
	}
	return conns
}

// unused returns the second sessions of these connections that f is not open
// in. f.mu is held.
func (f *File) unused() (sessions []*session) {
	for _, h := range f.handles {
		s := h.second.Load()
		if s != nil && !slices.ContainsFunc(f.handles, func(h *handle) bool { return h.session == s }) && !slices.Contains(sessions, s) {
			sessions = append(sessions, s)
		}
	}
	return sessions
}

// attach begins to open f once more: in sessions, or where the reason says.
// f.mu is held.
func (f *File) attach(why reason, sessions ...*session) *attachment {
	a := &attachment{done: make(chan struct{}), why: why}
	f.attaching = a
	avoid := f.conns()
	run := func() {
		defer close(a.done)
		handles, err := f.reopen(why, sessions, avoid)
		f.mu.Lock()
		defer f.mu.Unlock()
		f.attaching = nil
		if a.err = f.adopt(handles, err); a.err != nil {
			f.unattached = time.Now()
		}
	}
	if !f.store.pool.spawn(run) {
		a.err = fmt.Errorf("%w: %w", storage.ErrUnavailable, errClosed)
		f.attaching = nil
		close(a.done)
	}
	return a
}

// reopen opens f once more: in sessions, or on a connection that is none of avoid.
func (f *File) reopen(why reason, sessions []*session, avoid []*conn) ([]*handle, error) {
	if why == resume {
		return f.resume()
	}
	ctx, cancel := context.WithTimeout(f.ctx, 2*f.store.config.Timeout)
	defer cancel()
	if why == elsewhere {
		c, _, err := f.store.pool.get(ctx, avoid...)
		if err != nil {
			return nil, err
		}
		sessions = []*session{c.first}
	}
	return f.openIn(ctx, sessions)
}

// openIn opens f in sessions. The error is that of the first if all fail.
func (f *File) openIn(ctx context.Context, sessions []*session) ([]*handle, error) {
	handles, errs := make([]*handle, len(sessions)), make([]error, len(sessions))
	var group sync.WaitGroup
	for i, s := range sessions {
		group.Go(func() { handles[i], errs[i] = f.store.openOn(ctx, s, f.name) })
	}
	group.Wait()
	if handles = slices.DeleteFunc(handles, func(h *handle) bool { return h == nil }); len(handles) == 0 {
		return nil, errs[0]
	}
	return handles, nil
}

// resume opens f, which has no handle left, on one connection, and tries for as
// long as the configuration says.
func (f *File) resume() ([]*handle, error) {
	ctx, cancel := context.WithTimeout(f.ctx, f.store.config.Resume)
	defer cancel()
	lost, missed := fmt.Errorf("%w: %w", storage.ErrUnavailable, errLost), false
	for ctx.Err() == nil {
		c, err := f.store.pool.await(ctx)
		switch {
		case isPermanent(err):
			return nil, err
		case err != nil:
			return nil, errors.Join(lost, err)
		}
		h, err := f.store.openOn(ctx, c.first, f.name)
		if err == nil {
			return []*handle{h}, nil
		}
		// A disk may have been mounted between the question for the file and
		// that for the root.
		missing := errors.Is(err, fs.ErrNotExist) && !missed
		if isAnswer(err) && !missing {
			return nil, err
		}
		lost, missed = err, missing
		f.pause(ctx, c)
	}
	return nil, lost
}

// pause waits a moment before c is tried again, if it is still there: its
// server is in trouble.
func (f *File) pause(ctx context.Context, c *conn) {
	if !c.alive() {
		return
	}
	select {
	case <-time.After(f.store.config.patience()):
	case <-c.dead:
	case <-ctx.Done():
	}
}

// isAnswer reports whether err says what became of a file, and not that nobody
// could be asked.
func isAnswer(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) || errors.Is(err, fs.ErrPermission)
}

// adopt takes handles, or the lack of one. f.mu is held.
func (f *File) adopt(handles []*handle, err error) error {
	f.prune()
	resumed := len(f.handles) == 0
	for _, h := range handles {
		err = cmp.Or(err, f.adoptOne(h))
	}
	switch {
	case err == nil:
		if resumed && slices.ContainsFunc(f.handles, func(h *handle) bool { return h.conn.alive() }) {
			f.store.config.OnResume()
		}
		return nil
	case f.failure != nil: // it was closed, or is known to have changed
		return f.failure
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrInvalid):
		err = fmt.Errorf("%w: %w", storage.ErrChanged, err)
	case !errors.Is(err, storage.ErrChanged) && !errors.Is(err, fs.ErrPermission):
		return err
	}
	if resumed {
		f.failure = err
	}
	f.alone = true // those who have the old one may keep it
	return err
}

// adoptOne takes a handle if it is of the file that f is, and closes it if not.
// f.mu is held.
func (f *File) adoptOne(h *handle) error {
	switch {
	case f.failure != nil:
		h.close()
		return f.failure
	case !h.attrs.same(f.attrs):
		h.close()
		return fmt.Errorf("%w: %d bytes of %v became %d of %v", storage.ErrChanged, f.attrs.size, f.attrs.mtime, h.attrs.size, h.attrs.mtime)
	}
	f.handles = append(f.handles, h)
	return nil
}
