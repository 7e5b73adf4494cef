package mount

import (
	"cmp"
	"os"

	"golang.org/x/sys/unix"
)

// refresh has the kernel ask the file system what file is, past what it
// remembers. Where it cannot, before Linux 4.11 or by a container's filter, it
// does not.
func refresh(file *os.File) error {
	_, err := statx(file, unix.AT_STATX_FORCE_SYNC)
	if err == unix.ENOSYS || err == unix.EPERM {
		return nil
	}
	return err
}

// remembered tells the size that the kernel knows file to have, without asking.
func remembered(file *os.File) (size int64, known bool) {
	size, err := statx(file, unix.AT_STATX_DONT_SYNC)
	return size, err == nil
}

// statx is statx(2), for the size.
func statx(file *os.File, flags int) (size int64, err error) {
	raw, err := file.SyscallConn()
	if err != nil {
		return 0, err
	}
	var told unix.Statx_t
	var failure error
	err = raw.Control(func(fd uintptr) {
		for failure = unix.EINTR; failure == unix.EINTR; {
			failure = unix.Statx(int(fd), "", unix.AT_EMPTY_PATH|flags, unix.STATX_SIZE|unix.STATX_MTIME, &told)
		}
	})
	return int64(told.Size), cmp.Or(err, failure)
}
