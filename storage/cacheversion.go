package storage

import (
	"container/list"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// A version of a recording is what chunks belong to. It survives the handle
// that they were read by.
type version struct {
	id      uint64
	retired atomic.Pointer[error]
}

// retire ends a version: what was read of it may be of two files. err, which
// told, is what its readers fail with from now on, as an ErrChanged.
func (v *version) retire(err error) error {
	if !errors.Is(err, ErrChanged) {
		err = fmt.Errorf("%w: %w", ErrChanged, err)
	}
	v.retired.CompareAndSwap(nil, &err)
	return err
}

// changed returns why the version was retired, or nil.
func (v *version) changed() error {
	if err := v.retired.Load(); err != nil {
		return *err
	}
	return nil
}

// settling is how old a file must be, or for how long it must have been seen as
// it is, so that a later change shows in its modification time: SFTP's and that
// of some file systems have whole, or two, seconds.
const settling = 2 * time.Second

// A versionTable knows the versions that were seen lately. It is guarded by
// Cache.mu.
type versionTable struct {
	limit  int
	last   uint64
	known  map[versionKey]*list.Element
	recent *list.List // of *knownVersion, the one used last in front
}

type versionKey struct {
	label, name string
	size, mtime int64 // mtime in ns
}

type knownVersion struct {
	key     versionKey
	version *version
	seen    time.Time // first
}

// newVersionTable returns a table that fits a cache of so many bytes of files
// of 8 KiB, which are seconds of a call. It takes some 300 bytes for each.
func newVersionTable(memory int64) versionTable {
	return versionTable{
		limit: 1024 + int(memory/(8<<10)),
		known: make(map[versionKey]*list.Element), recent: list.New(),
	}
}

// of returns the version of a file that was seen at a time, and whether it is
// settled. A file that is not may change without a sign: it has a version of
// its own each time that it is opened.
func (t *versionTable) of(key versionKey, at time.Time) (v *version, settled bool) {
	known := t.see(key, at)
	if !known.isSettled(at) {
		return t.new(), false
	}
	return known.version, true
}

// isSettled sees a file and reports whether it is settled.
func (t *versionTable) isSettled(key versionKey, at time.Time) bool {
	return t.see(key, at).isSettled(at)
}

// remove makes v be used no more for files that look like key.
func (t *versionTable) remove(key versionKey, v *version) {
	if e := t.known[key]; e != nil && e.Value.(*knownVersion).version == v {
		t.recent.Remove(e)
		delete(t.known, key)
	}
}

func (t *versionTable) see(key versionKey, at time.Time) *knownVersion {
	if e := t.known[key]; e != nil {
		t.recent.MoveToFront(e)
		return e.Value.(*knownVersion)
	}
	k := &knownVersion{key: key, version: t.new(), seen: at}
	t.known[key] = t.recent.PushFront(k)
	if oldest := t.recent.Back(); t.recent.Len() > t.limit {
		delete(t.known, t.recent.Remove(oldest).(*knownVersion).key)
	}
	return k
}

func (t *versionTable) new() *version {
	t.last++
	return &version{id: t.last}
}

func (k *knownVersion) isSettled(at time.Time) bool {
	modified := time.Unix(0, k.key.mtime)
	return at.Sub(modified) >= settling || at.Sub(k.seen) >= settling
}
