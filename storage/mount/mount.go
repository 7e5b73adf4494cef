// Package mount opens recordings in a directory of this machine: an NFS or
// SSHFS mount of the recorder's storage, or a local disk.
//
//	store, err := mount.New(mount.Config{Root: "/mnt/recordings"})
//	defer store.Close()
//
// The files it opens can be handed to the kernel's sendfile. Nothing that a
// dead mount can hang in is waited for longer than [Config] says.
package mount

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"storagesrv/storage"
)

// Config says which directory to open recordings in. The zero value of a field
// is its default; Root is required.
type Config struct {
	// Root is the directory. It is opened anew for each recording, so that a
	// mount that comes and goes there is noticed. It may be a symbolic link.
	Root string

	// Marker is the name of a file below Root that is there when the mount is.
	// Without one, an empty Root counts as a mount that is down, and so does a
	// Root that was another file system than its parent and no longer is.
	Marker string

	// FollowLinks lets components below Root be symbolic links, as long as
	// they lead to a place inside Root. Otherwise a link is refused.
	FollowLinks bool

	// Timeout bounds Open, and each read of a file on a mount: 0 means 5 s.
	Timeout time.Duration

	// MaxStuck bounds how many system calls are in the kernel at once, each
	// holding a thread. More wait for their turn, unless that many take longer
	// than Timeout: then Open fails at once. A mount that takes the place of
	// another one has as many of its own, up to four times as many in all. 0
	// means 32.
	MaxStuck int

	// Revalidate is for how long a file of a mount that was opened is taken
	// for the one that its name means. 0 means 5 s. On a local disk it is
	// looked at each time.
	Revalidate time.Duration

	// Logger is told when the mount goes down or comes back: nil means none.
	Logger *slog.Logger
}

// A Store opens recordings below a directory.
type Store struct {
	config   Config
	calls    *slots       // of all mounts that are or were at the root
	sends    atomic.Int64 // sendfiles that hang
	presence *presence
	idle     *idleFiles
}

var _ storage.Store = (*Store)(nil)

// New returns a Store over an absolute path, which is to be closed. It does not
// wait for the directory, which may be mounted later.
func New(config Config) (*Store, error) {
	if !filepath.IsAbs(config.Root) {
		return nil, fmt.Errorf("root: %q is not an absolute path", config.Root)
	}
	if config.Marker != "" && (storage.CheckName(config.Marker) != nil || strings.Contains(config.Marker, "/")) {
		return nil, fmt.Errorf("marker: %q is not the name of a file", config.Marker)
	}
	config.Root = filepath.Clean(config.Root) // with a slash at its end it would be its own parent
	config.Timeout = cmp.Or(config.Timeout, 5*time.Second)
	config.MaxStuck = cmp.Or(config.MaxStuck, 32)
	config.Revalidate = cmp.Or(config.Revalidate, 5*time.Second)
	config.Logger = cmp.Or(config.Logger, slog.New(slog.DiscardHandler))
	s := &Store{config: config, calls: newSlots(generations * config.MaxStuck), idle: newIdleFiles()}
	s.presence = newPresence(config, s.calls, s.idle.drop)
	s.presence.begin()
	return s, nil
}

// Close closes the files that are kept open, and ends the watch over the mount.
// It does not wait for system calls that hang.
func (s *Store) Close() error {
	s.presence.close()
	s.idle.close()
	return nil
}

// Health tells how the mount was when it was last looked at, a second ago at
// most, or that it does not answer, or that too many system calls hang there. It
// waits for a look that is quick.
func (s *Store) Health() storage.Health {
	h := s.presence.health()
	return s.presence.generation().guard.health(h)
}

// Stuck returns how many system calls have hung for longer than the timeout, on
// the mount or on one that was there before: those of [File.CountHung] included.
func (s *Store) Stuck() int {
	return s.calls.sticking() + s.presence.hanging() + int(s.sends.Load())
}

// Open implements [storage.Store]. The File is a [*File]. A mount that is not
// there is ErrUnavailable, never one without the file.
func (s *Store) Open(ctx context.Context, name string) (storage.File, error) {
	if err := storage.CheckName(name); err != nil {
		return nil, storage.PathError(name, err)
	}
	file, err := s.openFile(ctx, name)
	if err != nil {
		return nil, storage.PathError(name, err)
	}
	return file, nil
}

func (s *Store) openFile(ctx context.Context, name string) (*File, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if o := s.reuse(name); o != nil {
		return newFile(ctx, s, name, o), nil
	}
	o, err := s.openAnew(ctx, name)
	if err != nil {
		return nil, err
	}
	return newFile(ctx, s, name, o), nil
}

// openAnew opens name, past what is kept open.
func (s *Store) openAnew(ctx context.Context, name string) (*opened, error) {
	g := s.presence.generation()
	if err := s.presence.refusal(g); err != nil {
		return nil, err
	}
	fresh := storage.IsFresh(ctx)
	return call(ctx, g, name, func() (*opened, error) { return s.open(name, fresh) }, (*opened).close)
}

func (s *Store) open(name string, fresh bool) (*opened, error) {
	if err := s.presence.confirm(); err != nil {
		return nil, err
	}
	o, err := s.openOnce(name)
	switch {
	case errors.Is(err, syscall.ESTALE): // what the path was looked up by is gone
		o, err = s.openOnce(name)
	case fresh && errors.Is(err, fs.ErrNotExist):
		s.lookAround(name)
		o, err = s.openOnce(name)
	}
	if err != nil {
		return nil, s.classify(err)
	}
	return o, nil
}

func (s *Store) openOnce(name string) (*opened, error) {
	on := s.presence.generation()
	root, err := os.OpenRoot(s.config.Root)
	if err != nil {
		return nil, unavailable(err)
	}
	defer root.Close()
	open := openPlain
	if s.config.FollowLinks {
		open = openInside
	}
	o, err := open(root, name)
	if err != nil {
		return nil, err
	}
	o.on = on
	if !on.local.Load() {
		if o.info, err = o.ask(); err != nil {
			o.file.Close()
			return nil, err
		}
		o.copied = typeOf(o.info) == "fuse.sshfs"
	}
	return o, nil
}

// lookAround reads the directory of name: an NFS client that was asked for a
// file before it was there may remember that for half a minute.
func (s *Store) lookAround(name string) {
	root, err := os.OpenRoot(s.config.Root)
	if err != nil {
		return
	}
	defer root.Close()
	if dir, err := root.Open(filepath.Dir(filepath.FromSlash(name))); err == nil {
		dir.Readdirnames(1)
		dir.Close()
	}
}
