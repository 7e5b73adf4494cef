//go:build linux && integration

package mount_test

import (
	"bytes"
	"io"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"storagesrv/storage"
	"storagesrv/storage/mount"
	"storagesrv/storage/mount/mounttest"
	"storagesrv/storage/sftp/sftptest"
	"storagesrv/storage/storagetest"
)

func startOpenSSH(t testing.TB) *sftptest.OpenSSH {
	t.Helper()
	server, err := sftptest.StartOpenSSH(sftptest.OpenSSHConfig{})
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

// mountSSHFS mounts without the page cache. With it, the kernel takes what a
// connection that ends leaves unanswered for the end of the file, and shows
// zeros in its place to whoever has more reads under way.
func mountSSHFS(t testing.TB, server *sftptest.OpenSSH, dir string, options ...string) *mounttest.SSHFS {
	t.Helper()
	options = append([]string{"ro", "direct_io"}, options...)
	m, err := mounttest.StartSSHFS(mounttest.SSHFSConfig{Server: server, Dir: dir, Options: options})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

func TestSSHFSKeepsTheContract(t *testing.T) {
	server := startOpenSSH(t)
	options := []string{"dir_cache=no", "entry_timeout=0", "attr_timeout=0"}
	// Debian's sshfs shows no link that has ".." in it, if it is not told to.
	if help, _ := exec.Command("sshfs", "--help").CombinedOutput(); bytes.Contains(help, []byte("no_contain_symlinks")) {
		options = append(options, "no_contain_symlinks")
	}
	storagetest.Run(t, func(t *testing.T, dir string, followLinks bool) storage.Store {
		m := mountSSHFS(t, server, dir, options...)
		return sharpStore(t, m.Root(), followLinks)
	})
}

// An sshfs is a mount of the recording with its server.
type sshfs struct {
	*mounttest.SSHFS
	server *sftptest.OpenSSH
	dir    string
}

func startSSHFS(t testing.TB, options ...string) *sshfs {
	t.Helper()
	dir := t.TempDir()
	record(t, dir, recording, content)
	for i := range listeners {
		record(t, dir, another(i), content)
	}
	server := startOpenSSH(t)
	return &sshfs{mountSSHFS(t, server, dir, options...), server, dir}
}

// reconnecting are the options that the README recommends, but faster.
var reconnecting = []string{"reconnect", "ServerAliveInterval=1", "ServerAliveCountMax=2"}

func TestSSHFSWhoseSessionEndsIsUnavailable(t *testing.T) {
	m := startSSHFS(t)
	store := impatientStore(t, m.Root())
	becomes(t, store, true)
	for range 2 { // it can end again
		file := begun(t, store)
		must(t, m.server.KillSessions)
		<-m.Ended()
		for _, name := range []string{recording, another(0), "missing.mp3"} {
			wants(t, name, takes(t, bound, "Open", func() error { return reads(store, name) }), storage.ErrUnavailable)
		}
		neverEnds(t, file, 900_000, storage.ErrUnavailable)
		becomes(t, store, false)

		must(t, m.Mount)
		recovers(t, store)
		becomes(t, store, true)
		rewind(t, file)
		isWholeOrLost(t, file, 1000, storage.ErrUnavailable, storage.ErrChanged)
	}
}

func TestSSHFSThatReconnectsIsWellAgain(t *testing.T) {
	for name, fail := range map[string]func(*sftptest.OpenSSH) error{
		"session killed": (*sftptest.OpenSSH).KillSessions,
		"sshd restarted": func(server *sftptest.OpenSSH) error { return server.Restart(false) },
	} {
		t.Run(name, func(t *testing.T) {
			m := startSSHFS(t, reconnecting...)
			store := impatientStore(t, m.Root())
			for range 2 {
				file := begun(t, store)
				must(t, func() error { return fail(m.server) })
				isWholeOrLost(t, file, 1000, prompt...)
				recovers(t, store)
				rewind(t, file)
				isWholeOrLost(t, file, 1000, prompt...)
			}
			becomes(t, store, true)
		})
	}
}

// stops are ways of a mount by sshfs to stand still.
var stops = map[string]struct{ stop, cont func(*sshfs) error }{
	"sshd": {
		func(m *sshfs) error { return m.server.Stop() },
		func(m *sshfs) error { return m.server.Cont() },
	},
	"sshfs": {
		func(m *sshfs) error { return m.Stop() },
		func(m *sshfs) error { return m.Cont() },
	},
}

func TestSSHFSThatStandsStill(t *testing.T) {
	for name, how := range stops {
		for with, options := range map[string][]string{"": nil, " with reconnect": {"reconnect"}} {
			t.Run(name+with, func(t *testing.T) {
				m := startSSHFS(t, options...)
				store := impatientStore(t, m.Root())
				held := begun(t, store)
				must(t, func() error { return how.stop(m) })
				neverEnds(t, held, 900_000, prompt...)
				var calls sync.WaitGroup
				for i := range listeners {
					calls.Go(func() { triesInVain(t, store, another(i)) })
				}
				calls.Wait()
				refusesAtOnce(t, store, another(0))
				if n := inKernel(t); n > mostStuck+1 {
					t.Errorf("%d threads are in the kernel", n)
				}
				becomes(t, store, false)

				must(t, func() error { return how.cont(m) })
				recovers(t, store)
				becomes(t, store, true)
				rewind(t, held)
				isWhole(t, held, 1000)
			})
		}
	}
}

// After so long a silence ssh gives the connection up. With reconnect, sshfs
// dials again when it is next asked for something; without, it ends.
func TestSSHFSWhoseServerStandsStillForLong(t *testing.T) {
	for _, options := range [][]string{reconnecting, reconnecting[1:]} {
		t.Run("with "+options[0], func(t *testing.T) {
			m := startSSHFS(t, options...)
			store := impatientStore(t, m.Root())
			held := begun(t, store)
			must(t, m.server.Stop)
			for end := time.After(6 * time.Second); !isOver(end) && !isOver(m.Ended()) && !t.Failed(); time.Sleep(50 * time.Millisecond) {
				if _, err := held.Seek(900_000, io.SeekStart); err != nil {
					t.Error(err)
				}
				isLost(t, held, 900_000, prompt...)
				wants(t, "Open", takes(t, bound, "Open", func() error { return reads(store, another(0)) }), prompt...)
			}
			must(t, m.server.Cont)
			if options[0] != "reconnect" {
				<-m.Ended()
				must(t, m.Mount)
			}
			recovers(t, store)
			becomes(t, store, true)
			rewind(t, held)
			isWholeOrLost(t, held, 1000, append(prompt, storage.ErrChanged)...)
		})
	}
}

func isOver[T any](what <-chan T) bool {
	select {
	case <-what:
		return true
	default:
		return false
	}
}

func TestSSHFSFileThatIsNewIsFoundByWhoAsksForThat(t *testing.T) {
	m := startSSHFS(t)
	findsWhatIsNew(t, newStore(t, mount.Config{Root: m.Root(), Timeout: time.Minute}), m.dir)
}

func TestSSHFSFilesAreNotSentByTheKernel(t *testing.T) {
	dir := t.TempDir()
	record(t, dir, recording, content)
	for root, want := range map[string]bool{startSSHFS(t).Root(): false, startFaulty(t).Root(): true, dir: true} {
		store := newStore(t, mount.Config{Root: root, Timeout: time.Minute})
		for range 2 { // opened, and kept open
			file := openFile(t, store, recording)
			if got := file.(*mount.File).Sendable(); got != want {
				t.Errorf("%s: %t", root, got)
			}
			file.Close()
		}
	}
}

// sshfs remembers for 20 s what it knows of a file, but for whoever opens it.
func TestSSHFSFileThatChangesWhileItIsListenedTo(t *testing.T) {
	for name, change := range map[string]func(*testing.T, *sshfs){
		"replaced": func(t *testing.T, m *sshfs) { replace(t, m.dir) },
		"replaced and the session ends": func(t *testing.T, m *sshfs) {
			replace(t, m.dir)
			must(t, m.server.KillSessions)
		},
		"truncated": func(t *testing.T, m *sshfs) { truncate(t, filepath.Join(m.dir, recording)) },
	} {
		t.Run(name, func(t *testing.T) {
			m := startSSHFS(t, reconnecting...)
			store := newStore(t, mount.Config{Root: m.Root(), Revalidate: time.Second})
			file := begun(t, store)
			change(t, m)
			isWholeOrLost(t, file, 1000, storage.ErrChanged, storage.ErrUnavailable)
			file.Close()
			showsTheChange(t, store, filepath.Join(m.dir, recording))
		})
	}
}
