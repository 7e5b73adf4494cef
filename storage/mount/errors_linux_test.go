package mount

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"
	"testing"

	"storagesrv/storage"
)

// losses are what system calls on a mount fail with that has lost a file, its
// server, or both: none says anything about the recording.
var losses = []error{
	syscall.ESTALE, syscall.EBADF, syscall.EIO, syscall.ENOTCONN, syscall.ETIMEDOUT,
	syscall.EHOSTDOWN, syscall.EREMOTEIO, syscall.ECONNABORTED, syscall.ENODEV, syscall.ENXIO,
	syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EPIPE, syscall.EMFILE,
}

func pathError(err error) error { return &os.PathError{Op: "openat", Path: "a.mp3", Err: err} }

func TestAnErrorOfTheMountIsNoneOfTheRecordings(t *testing.T) {
	s := &Store{presence: blindPresence()}
	for _, loss := range losses {
		err := s.classify(pathError(loss))
		if !errors.Is(err, storage.ErrUnavailable) {
			t.Errorf("%v: %v", loss, err)
		}
		for _, other := range []error{fs.ErrNotExist, fs.ErrPermission, fs.ErrInvalid, context.DeadlineExceeded} {
			if errors.Is(err, other) {
				t.Errorf("%v is %v", loss, other)
			}
		}
	}
	for cause, want := range map[error]error{
		syscall.EACCES: fs.ErrPermission, syscall.EPERM: fs.ErrPermission,
		syscall.ELOOP: fs.ErrInvalid, syscall.ENAMETOOLONG: fs.ErrInvalid, errReplaced: fs.ErrInvalid,
	} {
		if err := s.classify(pathError(cause)); !errors.Is(err, want) || errors.Is(err, storage.ErrUnavailable) {
			t.Errorf("%v: %v, want %v", cause, err, want)
		}
	}
}

func TestWhatIsMissingIsSoOnlyOfAMountThatIsThere(t *testing.T) {
	for _, cause := range []error{syscall.ENOENT, syscall.ENOTDIR} {
		for seen, want := range map[sight]error{up: fs.ErrNotExist, down: storage.ErrUnavailable} {
			s := &Store{presence: blindPresence()}
			s.presence.see = func() sight { return seen }
			if err := s.classify(pathError(cause)); !errors.Is(err, want) || errors.Is(err, fs.ErrNotExist) != (want == fs.ErrNotExist) {
				t.Errorf("%v: %v, want %v", cause, err, want)
			}
		}
	}
}

func TestAFileIsOpenedAgainAfterAnErrorOfTheMount(t *testing.T) {
	info, err := os.Stat(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	f := &File{info: info}
	for _, loss := range append(losses, syscall.EACCES, io.EOF) {
		if !f.isLost(loss, 0) || !f.isLost(f.fail("read", loss), 0) && loss != io.EOF {
			t.Errorf("not after %v", loss)
		}
	}
	for _, err := range []error{nil, fs.ErrClosed, context.Canceled, context.DeadlineExceeded, errStuck, storage.ErrChanged} {
		if f.isLost(err, 0) {
			t.Errorf("after %v", err)
		}
	}
	if f.isLost(io.EOF, info.Size()) {
		t.Error("after its end")
	}
}
