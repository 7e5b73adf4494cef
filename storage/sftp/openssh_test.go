//go:build integration && unix

package sftp_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"storagesrv/storage"
	"storagesrv/storage/sftp"
	"storagesrv/storage/sftp/sftptest"
	"storagesrv/storage/storagetest"
)

func startOpenSSH(t testing.TB, config sftptest.OpenSSHConfig) *sftptest.OpenSSH {
	t.Helper()
	return ended(t)(sftptest.StartOpenSSH(config))
}

// below makes a store serve dir on a server that shows the whole machine.
func below(dir string) func(*sftp.Config) {
	return func(c *sftp.Config) { c.Root = dir }
}

func TestOpenSSHKeepsTheContract(t *testing.T) {
	storagetest.Run(t, over(startOpenSSH(t, sftptest.OpenSSHConfig{})))
}

func TestOpenSSHLinksTellNothingOfWhatIsOutside(t *testing.T) {
	tree := storagetest.NewTree(t)
	tellsNothing(t, connect(t, startOpenSSH(t, sftptest.OpenSSHConfig{}), below(tree.Root), follow))
}

func TestOpenSSHStopped(t *testing.T) {
	server := startOpenSSH(t, sftptest.OpenSSHConfig{})
	store := connect(t, server, below(recordings(t)), impatient, noResume)
	var readers, started sync.WaitGroup
	for range 20 {
		file := begun(t, store)
		started.Add(1)
		readers.Go(func() {
			_, err := file.ReadAt(make([]byte, 1000), 0)
			started.Done()
			for err == nil {
				_, err = file.ReadAt(make([]byte, 1000), 0)
			}
			wants(t, err, unavailable, tooLate)
		})
	}
	started.Wait()
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	within(t, timeout, readers.Wait)
	for range 3 { // at once while it is known to be down
		within(t, 2*timeout, func() { wants(t, tries(store), tooLate, unavailable) })
	}
	if err := server.Cont(); err != nil {
		t.Fatal(err)
	}
	recovers(t, store)
}

func TestOpenSSHSessionsKilled(t *testing.T) {
	server := startOpenSSH(t, sftptest.OpenSSHConfig{})
	for range 5 {
		store := connect(t, server, below(recordings(t)), noResume)
		file := open(t, store)
		if err := server.KillSessions(); err != nil {
			t.Fatal(err)
		}
		if err := tries(store); err != nil {
			t.Error(err)
		}
		_, err := file.Read(make([]byte, 10))
		wants(t, err, unavailable)
		store.Close()
	}
}

func TestOpenSSHRestarted(t *testing.T) {
	server := startOpenSSH(t, sftptest.OpenSSHConfig{})
	store := connect(t, server, below(recordings(t)))
	file := open(t, store)
	for _, newHostKey := range []bool{false, true} {
		reads(t, file, content[:50_000])
		file.Seek(0, io.SeekStart)
		if err := tries(store); err != nil {
			t.Fatal(err)
		}
		if err := server.Restart(newHostKey); err != nil {
			t.Fatal(err)
		}
		if !newHostKey {
			recovers(t, store)
		}
	}
	eventually(t, "the new host key is refused", func() bool {
		_, err := store.Open(context.Background(), recording)
		return errors.Is(err, refused)
	})
	within(t, 0, func() {
		_, err := file.Read(make([]byte, 100))
		wants(t, err, refused)
	})
	failsForGood(t, file, refused)
}

func TestOpenSSHCutConnectionsCostNoByte(t *testing.T) {
	t.Parallel()
	readsThroughCuts(t, startOpenSSH(t, sftptest.OpenSSHConfig{}), 100, below(recordings(t)))
}

func TestOpenSSHFileThatChangedWhileTheSessionWasGone(t *testing.T) {
	server := startOpenSSH(t, sftptest.OpenSSHConfig{})
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			dir := recordings(t)
			record(t, filepath.Join(dir, "another.mp3"), other)
			file := open(t, connect(t, server, below(dir)))
			reads(t, file, content[:50_000])
			if err := errors.Join(server.KillSessions(), change(filepath.Join(dir, recording))); err != nil {
				t.Fatal(err)
			}
			_, err := file.Read(make([]byte, 100))
			wants(t, err, storage.ErrChanged)
			failsForGood(t, file, storage.ErrChanged)
		})
	}
}

func TestOpenSSHRefusesTheKey(t *testing.T) {
	server := startOpenSSH(t, sftptest.OpenSSHConfig{})
	store := connect(t, server, below(recordings(t)), func(c *sftp.Config) { c.PrivateKey = clientKey(t) })
	wants(t, tries(store), refused)
}

func TestOpenSSHUnreadableFile(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can run sshd for another user")
	}
	dir, err := os.MkdirTemp("", "recordings") // the directories of t.TempDir are ours alone
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for name, mode := range map[string]os.FileMode{recording: 0o644, "secret.mp3": 0o600} {
		if err := os.WriteFile(filepath.Join(dir, name), content, mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	server := startOpenSSH(t, sftptest.OpenSSHConfig{User: "nobody"})
	store := connect(t, server, below(dir))
	if err := tries(store); err != nil {
		t.Error(err)
	}
	_, err = store.Open(t.Context(), "secret.mp3")
	wants(t, err, refused)

	// One that is lost while the file is open ends it for good.
	file := open(t, store)
	reads(t, file, content[:50_000])
	path := filepath.Join(dir, recording)
	if err := errors.Join(server.KillSessions(), os.Chmod(path, 0o600)); err != nil {
		t.Fatal(err)
	}
	_, err = file.Read(make([]byte, 100))
	wants(t, err, refused)
	failsForGood(t, file, refused)
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}

	// A link that leads out must not tell what we may not read there.
	locked, err := os.MkdirTemp("", "locked")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(locked)
	if err := os.Symlink(locked, filepath.Join(dir, "outdir")); err != nil {
		t.Fatal(err)
	}
	following := connect(t, server, below(dir), follow)
	if err := os.WriteFile(filepath.Join(dir, "outdir", recording), content, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"outdir/" + recording, "outdir/nosuch.mp3"} {
		_, err = following.Open(t.Context(), name)
		wants(t, err, os.ErrInvalid)
	}
	_, err = following.Open(t.Context(), "secret.mp3")
	wants(t, err, refused)

	// A root that cannot be listed is not an empty one.
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	if err := tries(store); err != nil {
		t.Error(err)
	}
	_, err = store.Open(t.Context(), "missing.mp3")
	wants(t, err, os.ErrNotExist)
}
