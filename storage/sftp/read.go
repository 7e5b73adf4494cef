package sftp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"

	"storagesrv/storage"
)

// ReadAt implements [io.ReaderAt]. What takes several packets is asked for at
// once, over several connections if there is much of it.
func (f *File) ReadAt(p []byte, offset int64) (n int, err error) {
	parts := f.parts(p, offset)
	if len(parts) == 1 {
		return f.readFull(p, offset)
	}
	const atOnce = 64
	for ; len(parts) > 0 && err == nil; parts = parts[min(len(parts), atOnce):] {
		var m int
		m, err = f.readTogether(p[n:], offset+int64(n), parts[:min(len(parts), atOnce)])
		n += m
	}
	return n, err
}

// parts divides a read into what one packet each holds, where a read that went
// with the opening begins as well.
func (f *File) parts(p []byte, offset int64) []int {
	f.mu.Lock()
	defer f.mu.Unlock()
	largest := int64(smallPacket)
	for i, h := range f.handles {
		if l := h.conn.largest.Load(); i == 0 || l < largest {
			largest = l
		}
	}
	var parts []int
	for end := offset + int64(len(p)); offset < end || len(parts) == 0; {
		part := min(largest, end-offset)
		for _, prime := range f.primed {
			if prime.offset == offset {
				part = min(part, prime.length)
			} else if prime.offset > offset {
				part = min(part, prime.offset-offset)
			}
		}
		parts = append(parts, int(part))
		offset += part
	}
	return parts
}

// readTogether reads parts that follow each other.
func (f *File) readTogether(p []byte, offset int64, parts []int) (n int, err error) {
	got, errs := make([]int, len(parts)), make([]error, len(parts))
	var group sync.WaitGroup
	at := 0
	for i, length := range parts {
		part, from := p[at:at+length], offset+int64(at)
		group.Go(func() { got[i], errs[i] = f.readFull(part, from) })
		at += length
	}
	group.Wait()
	for i, length := range parts {
		n += got[i]
		if got[i] < length {
			return n, errs[i]
		}
	}
	return n, nil
}

// readFull reads what one packet holds, and asks again where the server answers
// short.
func (f *File) readFull(p []byte, offset int64) (n int, err error) {
	for n < len(p) && err == nil {
		var m int
		m, err = f.readPart(p[n:], offset+int64(n))
		n += m
	}
	return n, err
}

// readPart reads some of p, at least a byte.
func (f *File) readPart(p []byte, offset int64) (int, error) {
	f.mu.Lock()
	failure := f.failure
	f.mu.Unlock()
	switch {
	case failure != nil:
		return 0, f.fail("read", failure)
	case offset < 0:
		return 0, f.fail("read", fs.ErrInvalid)
	case len(p) == 0:
		return 0, nil
	case offset >= f.attrs.size:
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), f.attrs.size-offset)]
	packet, err := f.fetch(span{offset, int64(len(p))})
	if err == nil {
		defer packet.free()
		return copy(p, packet.data[:packet.n]), nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		err = fs.ErrClosed
	}
	return 0, f.fail("read", err)
}

// fetch gets a packet with some of a span, over whichever connection gives it.
func (f *File) fetch(at span) (*packet, error) {
	if p := f.fetchPrimed(at); p != nil {
		return p, nil
	}
	ctx := f.ctx
	var lost error // how the last connection ended
	for {
		h, err := f.handle(ctx, nil)
		switch {
		case err == nil:
		case ctx.Err() != nil && f.ctx.Err() == nil: // the time is ours, and not the caller's
			return nil, fmt.Errorf("%w: %w", storage.ErrUnavailable, lost)
		default:
			return nil, err
		}
		packet, err := f.finish(f.read(h, at))
		if !errors.Is(err, errLost) || f.store.config.Resume == 0 && !f.Alive() || ctx.Err() != nil {
			return packet, err
		}
		if lost == nil { // one time for all that it takes to get this packet
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(f.ctx, max(f.store.config.Resume, f.store.config.Timeout))
			defer cancel()
		}
		lost = err
	}
}
