package mount

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"storagesrv/storage"
)

// Prepare makes the kernel fetch n bytes from offset on, and waits for the last
// of them: what is sent after that does not wait for a mount that has died
// meanwhile. On a local disk it does nothing.
func (f *File) Prepare(offset, n int64) error {
	if f.Timeout() == 0 || n <= 0 {
		return nil
	}
	if o, err := f.current(); err == nil {
		// Nothing is to be done about an error: it is advice.
		call(f.ctx, o.on, f.name, func() (struct{}, error) { willNeed(o.file, offset, n); return struct{}{}, nil }, func(struct{}) {})
	}
	var last [1]byte
	_, err := f.ReadAt(last[:], offset+n-1)
	return err
}

// Renew opens the file again after reading it has failed with err, an end
// included. What was opened is closed. The error wraps storage.ErrChanged if the
// name means another file by now. It is err if that says that the mount hangs.
func (f *File) Renew(err error) error {
	if !f.isLost(err, 0) {
		return f.fail("read", err)
	}
	o, currentErr := f.current()
	if currentErr != nil {
		return f.fail("read", currentErr)
	}
	_, err = f.renew(o, err)
	return f.fail("read", err)
}

// renew replaces lost, unless somebody else has. cause is what reading it has
// failed with.
func (f *File) renew(lost *opened, cause error) (*opened, error) {
	if o, err := f.current(); err != nil || o != lost {
		return o, err
	}
	o, err := f.store.openAnew(f.ctx, f.name)
	switch {
	case err != nil:
		f.spoil()
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) {
			err = fmt.Errorf("%w: %w", storage.ErrChanged, err)
		}
		return nil, fmt.Errorf("%w, after: %w", err, hideNotExist{cause})
	case !isSame(f.info, o.info):
		o.close()
		f.spoil()
		err := f.changed(o.info)
		if o.info.Size() < f.info.Size() {
			err = fmt.Errorf("%w: %w", err, io.ErrUnexpectedEOF)
		}
		return nil, err
	}
	return f.replace(lost, o)
}

// replace makes o what is read, if lost still is.
func (f *File) replace(lost, o *opened) (*opened, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.opened != lost {
		o.close()
		if f.opened == nil {
			return nil, fs.ErrClosed
		}
		return f.opened, nil
	}
	lost.close()
	f.opened = o
	return o, nil
}

// spoil makes the file be closed and not be kept.
func (f *File) spoil() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failed = true
}

// ended is the error of a file that was opened again and cannot be read all the
// same, with err.
func (f *File) ended(err error) error {
	f.spoil()
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return unavailable(err)
}
