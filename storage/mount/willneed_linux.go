package mount

import (
	"os"

	"golang.org/x/sys/unix"
)

// willNeed has the kernel begin to fetch a part of a file (posix_fadvise(2)).
func willNeed(file *os.File, offset, n int64) {
	if raw, err := file.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) { unix.Fadvise(int(fd), offset, n, unix.FADV_WILLNEED) })
	}
}
