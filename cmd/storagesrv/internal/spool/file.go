package spool

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"sync/atomic"
	"time"

	"storagesrv/storage"
)

// A File reads a copy, and waits for what has not come yet. Read and Seek are for
// one goroutine at a time, as those of an os.File are in effect.
type File struct {
	ctx    context.Context // of who reads: io.Reader has no other place for it
	item   *item
	closed atomic.Bool
	offset int64
}

// Size returns how long the recording is. If its source did not say, it waits for
// all of it.
func (f *File) Size() (int64, error) { return f.item.size(f.ctx) }

// ETag returns what the source said.
func (f *File) ETag() string { return f.item.source.ETag }

// Modified returns what the source said.
func (f *File) Modified() time.Time { return f.item.source.Modified }

// Read reads what is there of p, and waits if that is nothing.
func (f *File) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, err := f.readSome(p, f.offset)
	f.offset += int64(n)
	return n, err
}

// ReadAt reads all of p, and waits for it.
func (f *File) ReadAt(p []byte, offset int64) (n int, err error) {
	if offset < 0 {
		return 0, &fs.PathError{Op: "read", Path: f.item.key, Err: fs.ErrInvalid}
	}
	for n < len(p) && err == nil {
		var more int
		more, err = f.readSome(p[n:], offset+int64(n))
		n += more
	}
	return n, err
}

func (f *File) readSome(p []byte, offset int64) (int, error) {
	if f.closed.Load() {
		return 0, fs.ErrClosed
	}
	file, have, err := f.item.await(f.ctx, offset)
	if err != nil {
		return 0, err
	}
	return file.ReadAt(p[:min(int64(len(p)), have-offset)], offset)
}

// Seek is io.Seeker's. From the end it waits as Size does.
func (f *File) Seek(offset int64, whence int) (int64, error) {
	var size int64
	if whence == io.SeekEnd {
		var err error
		if size, err = f.Size(); err != nil {
			return 0, err
		}
	}
	to, err := storage.Seek(offset, whence, f.offset, size)
	if err != nil {
		return 0, &fs.PathError{Op: "seek", Path: f.item.key, Err: err}
	}
	f.offset = to
	return to, nil
}

// Stat is fs.File's. It waits as Size does.
func (f *File) Stat() (fs.FileInfo, error) {
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	return info{f.item.key, size, f.Modified()}, nil
}

// Close leaves the copy to others.
func (f *File) Close() error {
	if f.closed.Swap(true) {
		return errors.New("spool: the file is closed already")
	}
	f.item.spool.leave(f.item)
	return nil
}

// info is an fs.FileInfo.
type info struct {
	name     string
	size     int64
	modified time.Time
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return i.size }
func (i info) Mode() fs.FileMode  { return 0o400 }
func (i info) ModTime() time.Time { return i.modified }
func (i info) IsDir() bool        { return false }
func (i info) Sys() any           { return nil }
