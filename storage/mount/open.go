package mount

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// openPlain opens name below root and refuses any symbolic link on the way. It
// takes the path one component at a time: each is looked at, opened, and
// compared, so that a link put there in between is noticed.
func openPlain(root *os.Root, name string) (*opened, error) {
	for {
		first, rest, more := strings.Cut(name, "/")
		if !more {
			return openLast(root, name)
		}
		next, err := descend(root, first)
		if err != nil {
			return nil, err
		}
		defer next.Close()
		root, name = next, rest
	}
}

// descend opens a directory. What is mounted there only now, as by an automounter,
// is another than was seen, so that is tried again.
func descend(root *os.Root, dir string) (next *os.Root, err error) {
	for range 3 {
		if next, err = descendOnce(root, dir); err != errReplaced {
			break
		}
	}
	return next, err
}

func descendOnce(root *os.Root, dir string) (*os.Root, error) {
	seen, err := root.Lstat(dir)
	if err != nil {
		return nil, err
	}
	switch mode := seen.Mode(); {
	case mode&fs.ModeSymlink != 0:
		return nil, fmt.Errorf("%w: %q is a symbolic link", fs.ErrInvalid, dir)
	case !mode.IsDir():
		return nil, fmt.Errorf("%w: %q is no directory", fs.ErrNotExist, dir)
	}
	next, err := root.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	info, err := next.Stat(".")
	if err == nil && !os.SameFile(seen, info) {
		err = errReplaced
	}
	if err != nil {
		next.Close()
		return nil, err
	}
	return next, nil
}

// openLast opens the last component of a path. A recorder may replace a file by
// renaming another over it at any moment, so that is tried again.
func openLast(root *os.Root, name string) (file *opened, err error) {
	for range 3 {
		if file, err = openRegular(root, name); err != errReplaced {
			break
		}
	}
	return file, err
}

// openRegular opens a regular file that is no link. What it is is asked before
// it is opened, because opening alone moves some devices, and after, because
// it may have been replaced; the opening itself never waits, as it would for
// the writer of a FIFO.
func openRegular(root *os.Root, name string) (*opened, error) {
	now := time.Now()
	seen, err := root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !seen.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: not a regular file (%s)", fs.ErrInvalid, seen.Mode())
	}
	file, err := root.OpenFile(name, os.O_RDONLY|nonblock, 0)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && (!info.Mode().IsRegular() || !os.SameFile(seen, info)) {
		err = errReplaced
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return &opened{file: file, info: info, checked: now}, nil
}

var errReplaced = fmt.Errorf("%w: replaced while it was opened", fs.ErrInvalid)

// openInside opens name below root, links included. They are resolved first,
// because an os.Root follows no absolute link, not even one that leads back
// inside; what they lead to is then opened like a plain path, so a link that
// is changed meanwhile is refused and not followed out of the root.
func openInside(root *os.Root, name string) (*opened, error) {
	file, err := openPlain(root, name)
	if !errors.Is(err, fs.ErrInvalid) {
		return file, err // or there is no link in it
	}
	base, rootErr := filepath.EvalSymlinks(root.Name())
	if rootErr != nil {
		return nil, rootErr
	}
	target, resolveErr := resolve(base, name)
	if resolveErr != nil {
		return nil, resolveErr
	}
	if target == name {
		return nil, err
	}
	return openPlain(root, target)
}

// resolve returns where name below base leads, as a name below base. What does
// not exist is fs.ErrNotExist only if no link on the way leads out or to
// nothing: or the answer would tell what exists outside.
func resolve(base, name string) (string, error) {
	target, err := filepath.EvalSymlinks(filepath.Join(base, filepath.FromSlash(name)))
	if pathErr := (*fs.PathError)(nil); errors.Is(err, fs.ErrNotExist) {
		return "", cmp.Or(leadsNowhere(base, name), err)
	} else if errors.As(err, &pathErr) {
		return "", err
	} else if err != nil {
		return "", fmt.Errorf("%w: %w", fs.ErrInvalid, err) // links in a circle
	}
	return below(base, target)
}

// below returns the name of target below base, if it is there.
func below(base, target string) (string, error) {
	name, err := filepath.Rel(base, target)
	if err != nil || !filepath.IsLocal(name) {
		return "", errLeadsOut
	}
	return filepath.ToSlash(name), nil
}

var errLeadsOut = fmt.Errorf("%w: a symbolic link leads out of the root, or to nothing", fs.ErrInvalid)

// leadsNowhere returns an error if what is missing of name is missing because
// of a link.
func leadsNowhere(base, name string) error {
	for dir := name; dir != "."; dir = path.Dir(dir) {
		full := filepath.Join(base, filepath.FromSlash(dir))
		if _, err := os.Lstat(full); err != nil {
			continue
		}
		target, err := filepath.EvalSymlinks(full)
		if err != nil {
			return errLeadsOut
		}
		_, err = below(base, target)
		return err
	}
	return nil
}
