package mount

import (
	"fmt"
	"io/fs"

	"storagesrv/storage"
)

// Check looks whether the file is still what it was when it was opened: nobody can
// tell one that was appended to from one that was written anew and is longer now.
// Otherwise the error is storage.ErrChanged, or that of a mount that hangs. What
// cannot be told is left for a read to find.
func (f *File) Check() error {
	o, err := f.current()
	if err != nil {
		return f.fail("stat", err)
	}
	now, err := call(f.ctx, o.on, f.name, func() (fs.FileInfo, error) { return f.look(o) }, func(fs.FileInfo) {})
	switch {
	case err == nil && f.isAsOpened(now), err != nil && f.isLost(err, 0):
		return nil
	case err == nil:
		err = f.changed(now)
	}
	f.spoil()
	return f.fail("stat", err)
}

// look tells what o is now. Before it asks the mount, it looks at what the kernel
// remembers: a read by FUSE that came short leaves a shorter file there, with
// zeros in the page cache behind its end, which would come to light.
func (f *File) look(o *opened) (fs.FileInfo, error) {
	if o.on.local.Load() {
		return o.file.Stat()
	}
	if size, known := remembered(o.file); known && size < f.info.Size() {
		return nil, fmt.Errorf("%w: %d bytes became %d, or were not all read", storage.ErrChanged, f.info.Size(), size)
	}
	return o.ask()
}

// isAsOpened reports whether now is what the file was when it was opened.
func (f *File) isAsOpened(now fs.FileInfo) bool {
	return now.Size() == f.info.Size() && now.ModTime().Equal(f.info.ModTime())
}

// changed is the error of a file that has become another.
func (f *File) changed(now fs.FileInfo) error {
	return fmt.Errorf("%w: %d bytes of %v became %d of %v, or another file", storage.ErrChanged,
		f.info.Size(), f.info.ModTime(), now.Size(), now.ModTime())
}

// ask asks the mount what the file is now: by FUSE the kernel may know the size
// of a file that was replaced, past opening the new one.
func (o *opened) ask() (fs.FileInfo, error) {
	if err := refresh(o.file); err != nil {
		return nil, err
	}
	return o.file.Stat()
}
