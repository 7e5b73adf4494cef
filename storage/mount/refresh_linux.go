package mount

import (
	"os"

	"golang.org/x/sys/unix"
)

// refresh has the kernel ask the file system what file is, past what it
// remembers (statx(2)). Where it cannot, before Linux 4.11 or by a container's
// filter, it does not.
func refresh(file *os.File) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var asked error
	err = raw.Control(func(fd uintptr) {
		for asked = unix.EINTR; asked == unix.EINTR; {
			asked = unix.Statx(int(fd), "", unix.AT_EMPTY_PATH|unix.AT_STATX_FORCE_SYNC, unix.STATX_SIZE|unix.STATX_MTIME, new(unix.Statx_t))
		}
	})
	if err != nil || asked == unix.ENOSYS || asked == unix.EPERM {
		return err
	}
	return asked
}
