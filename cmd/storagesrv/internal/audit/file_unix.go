//go:build unix

package audit

import (
	"os"
	"syscall"
)

// isRemoved reports whether an open file has no name any more: what is written
// to it is lost when it is closed.
func isRemoved(f *os.File) bool {
	info, err := f.Stat()
	if err != nil {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && stat.Nlink == 0
}
