package sftp

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"time"

	"github.com/pkg/sftp"
)

// attributes are what the server says of a file.
type attributes struct {
	mode  uint32 // as in POSIX's st_mode; 0 if the server does not say
	size  int64
	mtime time.Time
}

// The type bits of st_mode, which SFTP version 3 has on every system.
const (
	modeType      = 0o170000
	modeDirectory = 0o040000
	modeRegular   = 0o100000
	modeLink      = 0o120000
)

func (a attributes) regular() error {
	if a.mode&modeType != modeRegular {
		return fmt.Errorf("%w: not a regular file (mode %o)", fs.ErrInvalid, a.mode)
	}
	return nil
}

func (a attributes) directory() error {
	switch a.mode & modeType {
	case modeDirectory:
		return nil
	case modeRegular:
		return fmt.Errorf("%w: a file where a directory should be", fs.ErrNotExist)
	}
	return fmt.Errorf("%w: not a directory (mode %o)", fs.ErrInvalid, a.mode)
}

// errMalformed marks an answer that makes no sense; exchange severs on it.
var errMalformed = errors.New("malformed answer")

// toAttributes takes what pkg/sftp's Stat and Lstat return. It reads the mode
// as sent: pkg/sftp takes a mode without type bits for a regular file, and a
// status of "ok" for attributes.
func toAttributes(info fs.FileInfo, err error) (attributes, error) {
	if err != nil {
		return attributes{}, err
	}
	if info == nil {
		return attributes{}, errMalformed
	}
	stat, ok := info.Sys().(*sftp.FileStat)
	if !ok || stat == nil || int64(stat.Size) < 0 {
		return attributes{}, errMalformed
	}
	return attributes{stat.Mode, int64(stat.Size), stat.ModTime()}, nil
}

// same reports whether a file of attributes a may be the one of b: SFTP tells
// no more of a file's identity.
func (a attributes) same(b attributes) bool { return a.size == b.size && a.mtime.Equal(b.mtime) }

// rewritten reports whether a file that was opened with attributes a is not any
// more what it was, now that it has those of b. What was only appended to still
// is.
func (a attributes) rewritten(b attributes) bool { return b.size <= a.size && !a.same(b) }

// info implements fs.FileInfo.
type info struct {
	name  string
	attrs attributes
}

func (i info) Name() string       { return path.Base(i.name) }
func (i info) Size() int64        { return i.attrs.size }
func (i info) Mode() fs.FileMode  { return fs.FileMode(i.attrs.mode & 0o777) }
func (i info) ModTime() time.Time { return i.attrs.mtime }
func (i info) IsDir() bool        { return false }
func (i info) Sys() any           { return nil }
