package mount

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// A sight is what a look at the root has seen. Taking one may hang.
type sight struct {
	err     error  // why the mount is not there, around storage.ErrUnavailable
	target  string // where the root is, links resolved
	device  device // which directory that is
	mounted bool   // it is on another file system than its parent
	local   bool   // it is on a disk of this machine, and all below it
	parent  bool   // its parent is on such a disk
}

// see looks at root, where marker has to be if it is not "".
func see(root, marker string) (seen sight) {
	target, err := filepath.EvalSymlinks(root)
	if err != nil {
		seen.err = unavailable(err)
		return seen
	}
	info, err := os.Stat(target)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is no directory", root)
	}
	if err != nil {
		seen.err = unavailable(err)
		return seen
	}
	seen.target, seen.device = target, deviceOf(info)
	seen.local, seen.parent = isLocal(target) && !hasMountsBelow(target), isLocal(filepath.Dir(target))
	if above, err := os.Stat(filepath.Dir(target)); err == nil {
		seen.mounted = seen.device.fs != deviceOf(above).fs
	}
	if marker != "" {
		if _, err = os.Lstat(filepath.Join(target, marker)); err != nil {
			err = fmt.Errorf("no marker, so nothing seems to be mounted there: %w", err)
		}
	} else {
		err = notEmpty(target)
	}
	if err != nil {
		seen.err = unavailable(err)
	}
	return seen
}

// notEmpty returns an error for a directory where nothing seems to be mounted.
func notEmpty(root string) error {
	dir, err := os.Open(root)
	if err != nil {
		return err
	}
	defer dir.Close()
	if _, err := dir.Readdirnames(1); err == io.EOF {
		return fmt.Errorf("%s is empty, so nothing seems to be mounted there", root)
	} else if err != nil && !os.IsPermission(err) { // not to be listed is not to be empty
		return err
	}
	return nil
}
