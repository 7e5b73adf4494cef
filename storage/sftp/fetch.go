package sftp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"storagesrv/storage"
)

// A reading is a READ under way, and besides it, now and then, the question
// whether the file is still the same. It is to be abandoned.
type reading struct {
	span
	handle *handle
	packet *request[*packet]
	attrs  *request[attributes] // nil if it is not asked

	got *packet     // nil before it came, and when it was passed on
	now *attributes // nil before they came
}

func (f *File) read(h *handle, at span) *reading {
	r := &reading{span: at, handle: h, packet: h.read(at)}
	if f.check.due(at, f.attrs.size) {
		r.attrs = ask(h.conn, h.fstat, nil)
	}
	return r
}

func (r *reading) abandon() {
	r.packet.abandon()
	if r.attrs != nil {
		r.attrs.abandon()
	}
	if r.got != nil {
		r.got.free()
	}
}

// wait waits for both answers. If it ends with ctx or late, it can be called
// again. An early end of the file makes it ask what became of it: connections
// that are lost can look like that, too.
func (r *reading) wait(ctx context.Context, late <-chan time.Time) (err error) {
	if r.got == nil {
		if r.got, err = r.packet.waitUntil(ctx, late); err != nil {
			return err
		}
	}
	if r.attrs == nil && r.got.n == 0 {
		r.attrs = ask(r.handle.conn, r.handle.fstat, nil)
	}
	if r.attrs == nil || r.now != nil {
		return nil
	}
	now, err := r.attrs.waitUntil(ctx, late)
	if err == nil {
		r.now = &now
	}
	return err
}

// finish waits for read, and asks by another handle besides when the answer is
// late. The first answer counts.
func (f *File) finish(read *reading) (*packet, error) {
	defer read.abandon()
	c, patience := read.handle.conn, f.store.config.patience()
	late := time.NewTimer(patience)
	defer late.Stop()
	err := read.wait(f.ctx, late.C)
	for err == errLate && c.isDelivering() && time.Since(read.packet.started) < mostPatient/2*f.store.config.Timeout {
		late.Reset(patience) // it waits behind others, over a slow link
		err = read.wait(f.ctx, late.C)
	}
	if err != errLate {
		return f.settle(read, err)
	}
	c.suspect.Store(true)
	return f.race(read)
}

// race waits for a late answer, and for one over another connection.
func (f *File) race(late *reading) (*packet, error) {
	ctx, cancel := context.WithCancel(f.ctx)
	ends := make(chan answer[*packet], 2)
	var both sync.WaitGroup // they end with ctx
	both.Go(func() {
		p, err := f.settle(late, late.wait(ctx, nil))
		ends <- answer[*packet]{p, err}
	})
	both.Go(func() {
		p, err := f.fetchElsewhere(ctx, late)
		if err != nil {
			err = fmt.Errorf("%w: %w", errNoOther, err)
		}
		ends <- answer[*packet]{p, err}
	})
	defer func() {
		cancel()
		both.Wait()
		close(ends)
		for a := range ends {
			if a.err == nil {
				a.value.free()
			}
		}
	}()
	a := <-ends
	if errors.Is(a.err, errNoOther) {
		a = <-ends
	} else if errors.Is(a.err, errLost) {
		if b := <-ends; b.err == nil {
			a = b
		}
	}
	return a.value, a.err
}

// fetchElsewhere asks over another connection.
func (f *File) fetchElsewhere(ctx context.Context, late *reading) (*packet, error) {
	h, err := f.handle(ctx, late.handle)
	if err != nil {
		return nil, err
	}
	read := f.read(h, late.span)
	defer read.abandon()
	return f.settle(read, read.wait(ctx, nil))
}

// settle decides whether what came, or err, is bytes of the file that was
// opened.
func (f *File) settle(r *reading, err error) (*packet, error) {
	if err == nil {
		err = f.unchanged(r)
	}
	if err != nil {
		return nil, err
	}
	got := r.got
	r.got = nil
	return got, nil
}

// unchanged makes sure that the file is what was opened, if that was asked.
func (f *File) unchanged(r *reading) error {
	switch {
	case r.now == nil:
	case r.now.size < f.attrs.size:
		return f.changed(fmt.Errorf("%w: %w: it shrank from %d to %d bytes", storage.ErrChanged, io.ErrUnexpectedEOF, f.attrs.size, r.now.size))
	case f.attrs.rewritten(*r.now):
		return f.changed(fmt.Errorf("%w: it was rewritten at %v", storage.ErrChanged, r.now.mtime))
	case r.got.n == 0:
		return fmt.Errorf("%w: the server ends at byte %d a file of %d", storage.ErrUnavailable, r.offset, f.attrs.size)
	}
	return nil
}

// changed makes all further reads fail with err.
func (f *File) changed(err error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failure == nil {
		f.failure = err
	}
	return err
}
