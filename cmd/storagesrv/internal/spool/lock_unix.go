//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package spool

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// lock locks a file until it is closed, or fails at once if somebody else has it
// locked.
func lock(file *os.File) error {
	return syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
}

// openOwn opens a file of our own user; the directory may be anybody's.
func openOwn(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil {
		if owner, ok := info.Sys().(*syscall.Stat_t); !ok || !info.Mode().IsRegular() || int(owner.Uid) != os.Geteuid() {
			err = fmt.Errorf("%s: %w", path, fs.ErrPermission)
		}
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}
