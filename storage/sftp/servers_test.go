//go:build integration && unix

package sftp_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"storagesrv/storage"
	"storagesrv/storage/sftp"
	"storagesrv/storage/sftp/sftptest"
	"storagesrv/storage/storagetest"
)

// ended ends a server that was started with t.
func ended(t testing.TB) func(*sftptest.Daemon, error) *sftptest.Daemon {
	return func(server *sftptest.Daemon, err error) *sftptest.Daemon {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := server.Close(); err != nil {
				t.Error(err)
			}
		})
		return server
	}
}

// over returns what makes stores over a directory, by a server that shows the
// whole machine.
func over(server *sftptest.Daemon) storagetest.Factory {
	return func(t *testing.T, dir string, followLinks bool) storage.Store {
		freesSessions(t, dir)
		return connect(t, server, below(dir), func(c *sftp.Config) { c.FollowLinks = followLinks })
	}
}

// freesSessions lets sessions go, when t ends, that wait in an open of a FIFO
// for somebody who writes: nothing else does, not even the end of their server.
func freesSessions(t *testing.T, dir string) {
	t.Cleanup(func() {
		if err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.Type() != fs.ModeNamedPipe {
				return err
			}
			fifo, err := os.OpenFile(path, os.O_RDWR|unix.O_NONBLOCK, 0)
			if err != nil {
				return err
			}
			return fifo.Close()
		}); err != nil {
			t.Error(err)
		}
	})
}

func TestDropbearKeepsTheContract(t *testing.T) {
	storagetest.Run(t, over(ended(t)(sftptest.StartDropbear())))
}

// ProFTPD's LSTAT follows links, so that only REALPATH tells of one.
func TestProFTPDKeepsTheContract(t *testing.T) {
	server := ended(t)(sftptest.StartProFTPD())
	storagetest.Run(t, func(t *testing.T, dir string, followLinks bool) storage.Store {
		store := over(server)(t, dir, followLinks)
		if followLinks {
			untiesLoop(t, dir, store)
		}
		return store
	})
}

// untiesLoop makes the link that leads to itself one that leads nowhere. Of the
// former, ProFTPD says no more than that something failed: it counts as an
// outage, which the contract's test does not expect.
func untiesLoop(t *testing.T, dir string, store storage.Store) {
	t.Helper()
	if _, err := os.Lstat(filepath.Join(dir, "loop.mp3")); err != nil {
		return
	}
	_, err := store.Open(t.Context(), "loop.mp3")
	wants(t, err, unavailable)
	loop := filepath.Join(dir, "loop.mp3")
	if err := errors.Join(os.Remove(loop), os.Symlink("nowhere.mp3", loop)); err != nil {
		t.Fatal(err)
	}
}

// rclone cannot keep all of the contract: it hides links, and all that is not a
// regular file or a directory, so that they are missing; and of a file that has
// shrunk it says no more than that a read failed. Its REALPATH is lexical.
func TestRcloneServesRegularFilesOnly(t *testing.T) {
	tree := storagetest.NewTree(t)
	server := ended(t)(sftptest.StartRclone(tree.Root))
	for _, followLinks := range []bool{false, true} {
		bare := connect(t, server, func(c *sftp.Config) { c.FollowLinks = followLinks })
		for way, on := range ways {
			store := on(t, bare)
			for name, content := range tree.Files {
				if err := isExact(store, name, content, 20); err != nil {
					t.Errorf("%s: %.60q: %v", way, name, err)
				}
			}
			for _, name := range append(slices.Concat(tree.Irregular, tree.LinksOutside), "missing.mp3", "missing/a.mp3") {
				if _, err := store.Open(t.Context(), name); !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrInvalid) {
					t.Errorf("%s: %s: %v", way, name, err)
				}
			}
			for link, name := range tree.LinksInside { // below a link, rclone serves what it does not list
				if err := isExact(store, link, tree.Files[name], 1); err != nil && !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("%s: %s: %v", way, link, err)
				}
			}
		}
	}
}

func TestOtherServersServeExactly(t *testing.T) {
	t.Parallel()
	dir := recordings(t)
	for name, test := range map[string]struct {
		start  func() (*sftptest.Daemon, error)
		change func(*sftp.Config)
	}{
		"ProFTPD":  {sftptest.StartProFTPD, below(dir)},
		"Dropbear": {sftptest.StartDropbear, below(dir)},
		"rclone":   {func() (*sftptest.Daemon, error) { return sftptest.StartRclone(dir) }, func(*sftp.Config) {}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := ended(t)(test.start())
			for way, on := range ways {
				if err := isExact(on(t, connect(t, server, test.change)), recording, content, 100); err != nil {
					t.Errorf("%s: %v", way, err)
				}
			}
			readsThroughCuts(t, server, 12, test.change)
			store := connect(t, server, test.change, impatient)
			file := begun(t, store)
			if err := server.Restart(false); err != nil {
				t.Fatal(err)
			}
			reads(t, file, content[50_000:])
			if err := server.Stop(); err != nil {
				t.Fatal(err)
			}
			within(t, 2*timeout, func() { wants(t, tries(store), unavailable, tooLate) })
			if err := server.Cont(); err != nil {
				t.Fatal(err)
			}
			recovers(t, store)
		})
	}
}
