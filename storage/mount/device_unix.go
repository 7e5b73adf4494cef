//go:build unix

package mount

import (
	"io/fs"
	"syscall"
)

// A device tells directories apart: by file system, and by inode.
type device struct{ fs, inode uint64 }

func deviceOf(info fs.FileInfo) device {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return device{uint64(stat.Dev), uint64(stat.Ino)}
	}
	return device{}
}
