package storage

import (
	"io"
	"io/fs"
)

// Seek returns where a File of size bytes is after Seek(offset, whence), which
// was at a position before. The error is fs.ErrInvalid: before the beginning, or
// no such whence.
func Seek(offset int64, whence int, at, size int64) (int64, error) {
	switch whence {
	case io.SeekStart:
		at = 0
	case io.SeekCurrent:
	case io.SeekEnd:
		at = size
	default:
		return 0, fs.ErrInvalid
	}
	if at += offset; at < 0 {
		return 0, fs.ErrInvalid
	}
	return at, nil
}
