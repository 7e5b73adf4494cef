package storage

import (
	"context"
	"errors"
	"io/fs"
	"time"
)

// errReplaced makes an Open begin once more, with another handle.
var errReplaced = errors.New("the file must be opened anew")

// A recheck asks the store whether a handle is still what its name means. All
// who come to open that name meanwhile wait for it.
type recheck struct {
	done chan struct{} // closed when err is set
	err  error         // errReplaced if the file must be opened anew
}

// ready waits until the handle is open and, unless it is fresh, known to be
// what its name means.
func (h *handle) ready(ctx context.Context, fresh bool) error {
	if err := h.wait(ctx, h.opened); err != nil {
		return err
	}
	if h.err != nil || fresh {
		return h.err
	}
	r := h.check()
	if r == nil {
		return nil
	}
	if err := h.wait(ctx, r.done); err != nil {
		return err
	}
	return r.err
}

func (h *handle) wait(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return PathError(h.name, ctx.Err())
	}
}

// check returns the recheck that an Open has to wait for, or nil.
func (h *handle) check() *recheck {
	file, ok := h.file.(interface{ Alive() bool })
	dead := ok && !file.Alive()
	c := h.store.cache
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case h.closed || !h.isCurrent():
		return &recheck{done: h.opened, err: errReplaced}
	case h.recheck != nil:
		return h.recheck
	case h.settled && !dead && time.Since(h.checked) < c.config.Revalidate:
		return nil
	}
	r := &recheck{done: make(chan struct{})}
	h.recheck = r
	c.running.Go(func() { h.ask(r) }) // until the store answers, or the handle is shut
	return r
}

// ask carries out a recheck.
func (h *handle) ask(r *recheck) {
	began := time.Now()
	info, err := h.store.stat(h.ctx, h.name)
	c := h.store.cache
	c.mu.Lock()
	defer c.mu.Unlock()
	h.recheck = nil
	r.err = h.judge(info, err, began)
	close(r.done)
}

// judge draws the consequences of what the store said, with Cache.mu held.
func (h *handle) judge(info fs.FileInfo, err error, began time.Time) error {
	c := h.store.cache
	switch {
	case h.closed:
		return PathError(h.name, errCacheClosed)
	case err != nil:
		if isAnswer(err) {
			h.forget()
		}
		return err
	case h.versionKey(info) != h.versionKey(h.info):
		// Whoever goes on with the old one may be reading a file that is being
		// written in place, so that is not to be found under its old time.
		c.versions.remove(h.versionKey(h.info), h.version)
		h.forget()
		return errReplaced
	case !h.settled && c.versions.isSettled(h.versionKey(info), began):
		h.forget() // it may have been another file in the same second
		return errReplaced
	}
	h.checked = began
	return nil
}

// isAnswer reports whether err says how things are with a file, and not that
// the store could not be asked.
func isAnswer(err error) bool {
	if errors.Is(err, ErrUnavailable) {
		return false
	}
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrInvalid)
}
