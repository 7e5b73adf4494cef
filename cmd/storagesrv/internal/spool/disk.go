package spool

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Files of spools are called by these, with something random in between.
const (
	prefix = "storagesrv-spool-"
	suffix = ".tmp"
)

// create makes a file, which others can neither read nor, as long as it is open,
// take for left over. It has no name where open files can be removed.
func (s *Spool) create() (file *os.File, named bool, err error) {
	file, err = s.newFile()
	if err != nil {
		return nil, false, fmt.Errorf("make a file for a copy: %w", err)
	}
	lock(file) // where there are no locks, files that are open can be removed, or not be removed by others
	named = s.keepName || os.Remove(file.Name()) != nil
	return file, named, nil
}

// discard closes and removes a file.
func discard(file *os.File, named bool) {
	file.Close()
	if named {
		os.Remove(file.Name()) // what cannot be removed now is when a spool is made
	}
}

// clean removes from a directory the files of spools that are no more.
func clean(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("look for what is left over: %w", err)
	}
	for _, entry := range entries {
		name := entry.Name()
		if entry.Type().IsRegular() && strings.HasPrefix(name, prefix) && strings.HasSuffix(name, suffix) {
			removeLeftOver(filepath.Join(dir, name))
		}
	}
	return nil
}

// removeLeftOver removes a file that is ours, unless somebody has it open. What
// cannot be removed takes room, and hinders nobody.
func removeLeftOver(path string) {
	file, err := openOwn(path)
	if err != nil {
		return
	}
	abandoned := lock(file) == nil
	file.Close()
	if abandoned {
		os.Remove(path)
	}
}
