// Package storage opens call recordings, wherever the recorder keeps them.
//
// A [Store] is one place that holds recordings: a directory (package mount) or
// an SFTP server (package sftp). A [Router] maps the file_path of a call's
// metadata to the stores that may have it:
//
//	recordings, err := mount.New(mount.Config{Root: "/mnt/recordings"})
//	router, err := storage.NewRouter(storage.Entry{Prefix: "/var/recordings", Kind: "mount", Store: recordings})
//	file, err := router.Open(ctx, "/var/recordings/20131012/a.mp3")
//
// Stores are read-only: what no request needs (write, list, delete) is not in
// the contract. Package storagetest holds the tests that every Store passes.
package storage

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"time"
)

// ErrUnavailable says that a store could not be asked: the mount is gone, the
// SSH server does not answer, the connection broke. It says nothing about
// whether the recording exists. A later attempt may succeed.
var ErrUnavailable = errors.New("storage unavailable")

// ErrChanged says that a File is not any more what it was when it was opened:
// it was replaced, truncated, rewritten or removed, as far as its size and
// modification time tell. What was read before is of the old version; the new
// one must be opened.
var ErrChanged = errors.New("the file changed after it was opened")

// A Store opens recordings below one root. Stores are safe for concurrent use.
type Store interface {
	// Open opens the recording called name, a slash-separated path below the
	// store's root as [fs.ValidPath] defines it. It returns regular files only.
	//
	// ctx governs Open and, where the store can sever it, every read of the
	// File until Close: a read that ctx ends returns ctx's error.
	//
	// Errors are *fs.PathError around one of
	//   - fs.ErrNotExist: the store is well and has no such file;
	//   - fs.ErrPermission: the store, or its server, refuses us, or the server
	//     is not the one we trust;
	//   - fs.ErrInvalid: not a regular file, or a name that is malformed,
	//     escapes the root, or passes a symbolic link that the store's policy denies;
	//   - ErrUnavailable: the store could not be asked;
	//   - context.DeadlineExceeded or context.Canceled: no answer in time.
	Open(ctx context.Context, name string) (File, error)
}

// A File is an open recording; an *os.File and an *sftp.File fit as they are.
//
// Read and Seek share a position and are for one goroutine; ReadAt leaves the
// position alone and is safe for concurrent use. Stat describes the file as it
// was opened or as it is now; it is cheap after Open. A read that finds the
// file shorter than its size at Open fails with io.ErrUnexpectedEOF (sendfile
// from a mounted file ends early: whoever copies so counts).
// One whose path gets another file goes on with the old one or fails with
// ErrChanged; so does one that is rewritten, where the store notices.
// Close may be called while a Read is under way and ends it where the store
// can; reads after Close fail with fs.ErrClosed.
type File interface {
	io.ReadSeekCloser
	io.ReaderAt
	Stat() (fs.FileInfo, error)
}

// Health is what a store says of itself to operators.
type Health struct {
	Up     bool      // whether the last contact succeeded
	Since  time.Time // when Up last changed
	Reason string    // why it is down, in words for an operator's eyes only; "" when up
}

// PathError wraps err as the *fs.PathError that [Store.Open] promises.
func PathError(name string, err error) error {
	return &fs.PathError{Op: "open", Path: name, Err: err}
}
