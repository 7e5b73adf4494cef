package mount

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"syscall"

	"storagesrv/storage"
)

// classify turns an error of the kernel into one of the contract's.
func (s *Store) classify(err error) error {
	switch {
	case errors.Is(err, fs.ErrInvalid), errors.Is(err, fs.ErrPermission):
		return err
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		// It may have gone since it was confirmed.
		if err := s.presence.check(); err != nil {
			return err
		}
		return fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	case errors.Is(err, syscall.ELOOP), errors.Is(err, syscall.ENAMETOOLONG),
		errors.Is(err, syscall.EINVAL): // readlink of what is a link no more
		return fmt.Errorf("%w: %w", fs.ErrInvalid, err)
	}
	return unavailable(err)
}

func unavailable(err error) error {
	return fmt.Errorf("%w: %w", storage.ErrUnavailable, hideNotExist{err})
}

// hideNotExist keeps the text of an error about the root, but not its meaning:
// a root that does not exist must never read as a recording that does not.
type hideNotExist struct{ error }

// isLost reports whether err, of reading up to offset, may be the mount's: that
// it has lost the file that we hold. An end before the size is such a loss, too:
// sshfs answers that for files of a connection that has gone.
func (f *File) isLost(err error, offset int64) bool {
	switch {
	case err == nil, errors.Is(err, fs.ErrClosed), errors.Is(err, storage.ErrUnavailable), errors.Is(err, storage.ErrChanged),
		errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return false
	case err == io.EOF:
		return offset < f.info.Size()
	}
	return true
}
