//go:build linux

package mounttest

import (
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// FaultyConfig says what is mounted. Only Dir is required.
type FaultyConfig struct {
	// Dir is the directory that is seen in the mount.
	Dir string
	// PageCache lets the kernel keep and read ahead what it reads, as it does on
	// NFS and sshfs. Otherwise each read reaches the file system as it is.
	PageCache bool
	// Remember is for how long the kernel knows names and attributes: by default
	// not at all.
	Remember time.Duration
}

// A Faulty shows a directory by FUSE: read-only, and with the faults that it is told. It is mounted until Close.
type Faulty struct {
	config FaultyConfig
	temp   string

	server *fuse.Server // nil while nothing serves the mount
	tasks  sync.WaitGroup
	guard  *process // unmounts when this one dies

	mu       sync.Mutex
	faults   []Fault       // guarded by mu
	calls    map[Op]int    // guarded by mu
	hanging  []*Call       // guarded by mu: the longest first
	changed  chan struct{} // guarded by mu: closed when hanging changes
	released chan struct{} // guarded by mu: closed by Release
}

// StartFaulty mounts a directory, without faults.
func StartFaulty(config FaultyConfig) (*Faulty, error) {
	temp, err := os.MkdirTemp("", "faulty")
	if err != nil {
		return nil, err
	}
	f := &Faulty{
		config: config, temp: temp,
		calls: make(map[Op]int), changed: make(chan struct{}), released: make(chan struct{}),
	}
	err = os.Mkdir(f.Root(), 0o755)
	if err == nil {
		f.guard, err = unmountAfterDeath(f.Root())
	}
	if err == nil {
		err = f.Mount()
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Dir returns the directory that is seen in the mount.
func (f *Faulty) Dir() string { return f.config.Dir }

// Root returns the directory on which it is mounted. Nothing is in it while it
// is not.
func (f *Faulty) Root() string { return filepath.Join(f.temp, "recordings") }

// Mount mounts it again after Unmount or Disconnect.
func (f *Faulty) Mount() error {
	if f.server != nil {
		return nil
	}
	if err := detach(f.Root()); err != nil { // what Disconnect has left
		return err
	}
	quiet := log.New(io.Discard, "", 0)
	loopback, err := fs.NewLoopbackRoot(f.config.Dir)
	if err != nil {
		return err
	}
	files := fs.NewNodeFS(loopback, &fs.Options{EntryTimeout: &f.config.Remember, AttrTimeout: &f.config.Remember, Logger: quiet})
	server, err := fuse.NewServer(newFaultyFiles(f, files), f.Root(), &fuse.MountOptions{
		Name:              "faulty",
		FsName:            f.config.Dir,
		AllowOther:        true,
		DirectMountStrict: true,
		DirectMountFlags:  unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV,
		// Neither looking up nor reading goes past us.
		DisableReadDirPlus:   true,
		DisabledCapabilities: fuse.CAP_PASSTHROUGH,
		Logger:               quiet, // of answers that nobody waits for any more
	})
	if err != nil {
		return fmt.Errorf("mount %s by FUSE: %w", f.Root(), err)
	}
	f.server = server
	f.tasks.Go(server.Serve) // ends with the connection to the kernel
	return server.WaitMount()
}

// Unmount takes the mount away, from under open files, too: what hangs there,
// and what comes later, fails. It releases, so that the server can end.
func (f *Faulty) Unmount() error {
	err := detach(f.Root())
	f.await(err)
	return err
}

// Disconnect leaves the mount as one whose server has died: each call on it
// fails with ENOTCONN. It releases, as Unmount does.
func (f *Faulty) Disconnect() error {
	busy, err := unix.Open(f.Root(), unix.O_PATH|unix.O_CLOEXEC, 0) // so that it stays mounted
	if err != nil {
		return err
	}
	defer unix.Close(busy)
	if err = unix.Unmount(f.Root(), unix.MNT_FORCE); err == unix.EBUSY {
		err = nil
	}
	f.await(err)
	return err
}

// await waits for the end of the server after its connection has ended.
func (f *Faulty) await(err error) {
	if err == nil && f.server != nil {
		f.Release()
		f.tasks.Wait()
		f.server = nil
	}
}

// Close unmounts, and returns when nothing is left running.
func (f *Faulty) Close() error {
	err := f.Unmount()
	if f.guard != nil {
		err = errors.Join(err, f.guard.end(syscall.SIGTERM))
	}
	return errors.Join(err, os.RemoveAll(f.temp))
}

// detach takes away what is mounted on root, if anything is.
func detach(root string) error {
	err := unix.Unmount(root, unix.MNT_FORCE|unix.MNT_DETACH)
	if err == unix.EINVAL || err == unix.ENOENT { // not mounted
		return nil
	}
	if err != nil {
		return &os.PathError{Op: "unmount", Path: root, Err: err}
	}
	return nil
}
