package sftptest

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/pkg/sftp"
)

// files answers the requests of one connection from a directory. Links are
// resolved as on the machine, even absolute ones, and what they lead to is
// opened only if it is inside.
type files struct {
	root *os.Root
	dir  string
	link *link
}

var _ interface {
	sftp.LstatFileLister
	sftp.RealPathFileLister
	sftp.ReadlinkFileLister
	sftp.FileReader
} = (*files)(nil)

// Fileread implements OPEN.
func (f *files) Fileread(r *sftp.Request) (io.ReaderAt, error) {
	name, err := f.resolve(r.Filepath)
	if err != nil {
		return nil, err
	}
	if info, err := f.root.Stat(name); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(status(err), errors.New("not a regular file"))
	}
	file, err := f.root.Open(name)
	if err != nil {
		return nil, status(err)
	}
	return &reader{file, f, r.Filepath}, nil
}

// Filelist implements OPENDIR, STAT and FSTAT.
func (f *files) Filelist(r *sftp.Request) (sftp.ListerAt, error) {
	name, err := f.resolve(r.Filepath)
	if err != nil {
		return nil, err
	}
	if r.Method == "List" {
		return f.list(name)
	}
	info, err := f.root.Stat(name)
	return f.single(info, err)
}

// Lstat implements LSTAT.
func (f *files) Lstat(r *sftp.Request) (sftp.ListerAt, error) {
	if f.link.faults().LstatFollows {
		return f.Filelist(r)
	}
	parent, err := f.resolve(path.Dir(r.Filepath))
	if err != nil {
		return nil, err
	}
	f.hang(r.Filepath)
	info, err := f.root.Lstat(filepath.Join(parent, path.Base(r.Filepath)))
	return f.single(info, err)
}

// RealPath implements REALPATH. A place outside the directory is named as if
// it were inside, as in a chroot.
func (f *files) RealPath(name string) (string, error) {
	rel, err := f.relative(name)
	return path.Join("/", filepath.ToSlash(rel)), err
}

// Readlink implements READLINK.
func (f *files) Readlink(name string) (string, error) {
	target, err := f.root.Readlink(local(name))
	return target, status(err)
}

// relative returns the path from dir to where name leads, links resolved.
func (f *files) relative(name string) (string, error) {
	f.hang(name)
	base, err := filepath.EvalSymlinks(f.dir)
	if err != nil {
		return "", status(err)
	}
	real, err := filepath.EvalSymlinks(filepath.Join(base, local(name)))
	if pathErr := (*fs.PathError)(nil); err != nil && !errors.As(err, &pathErr) {
		return "", fs.ErrNotExist // links in a circle: OpenSSH says the same
	}
	if err != nil {
		return "", status(err)
	}
	return filepath.Rel(base, real)
}

// resolve returns where name leads, relative to root, if it is inside.
func (f *files) resolve(name string) (string, error) {
	rel, err := f.relative(name)
	if err == nil && !filepath.IsLocal(rel) {
		err = sftp.ErrSSHFxPermissionDenied
	}
	return rel, err
}

func (f *files) list(name string) (sftp.ListerAt, error) {
	dir, err := f.root.Open(name)
	if err != nil {
		return nil, status(err)
	}
	defer dir.Close()
	entries, err := dir.Readdir(-1)
	return infos(entries), status(err)
}

func (f *files) single(info fs.FileInfo, err error) (sftp.ListerAt, error) {
	if err != nil {
		return nil, status(err)
	}
	if extra := f.link.faults().ExtraSize; info.Mode().IsRegular() {
		info = sized{info, info.Size() + extra}
	}
	return infos{info}, nil
}

// hang waits if name is what Faults.HangAt names.
func (f *files) hang(name string) {
	f.link.hold(func(faults Faults) bool { return faults.HangAt == name })
}

// local returns a client's path as one relative to the root.
func local(name string) string {
	name = strings.TrimPrefix(path.Join("/", name), "/")
	return filepath.FromSlash(path.Join(".", name))
}

// status returns err as OpenSSH would report it.
func status(err error) error {
	if errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ELOOP) {
		return fs.ErrNotExist
	}
	return err
}

// A reader is an open file, with faults.
type reader struct {
	*os.File
	files *files
	name  string
}

func (r *reader) ReadAt(p []byte, offset int64) (int, error) {
	r.files.hang(r.name)
	faults := r.files.link.faults()
	if faults.MaxRead > 0 {
		p = p[:min(len(p), faults.MaxRead)]
	}
	for at, err := range map[int64]error{faults.FailAt: sftp.ErrSSHFxFailure, faults.EndAt: io.EOF} {
		if at > 0 && offset >= at {
			return 0, err
		}
		if at > 0 {
			p = p[:min(int64(len(p)), at-offset)]
		}
	}
	return r.File.ReadAt(p, offset)
}

type sized struct {
	fs.FileInfo
	size int64
}

func (s sized) Size() int64 { return s.size }

// infos is a listing.
type infos []fs.FileInfo

func (l infos) ListAt(p []fs.FileInfo, offset int64) (int, error) {
	if offset >= int64(len(l)) {
		return 0, io.EOF
	}
	n := copy(p, l[offset:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// readOnly refuses what changes anything.
type readOnly struct{}

func (readOnly) Filewrite(*sftp.Request) (io.WriterAt, error) {
	return nil, sftp.ErrSSHFxPermissionDenied
}
func (readOnly) Filecmd(*sftp.Request) error { return sftp.ErrSSHFxPermissionDenied }
