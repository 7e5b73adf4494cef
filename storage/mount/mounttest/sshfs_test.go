//go:build integration && linux

package mounttest_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"storagesrv/storage/mount/mounttest"
	"storagesrv/storage/sftp/sftptest"
)

func startSSHFS(t *testing.T, options ...string) (*sftptest.OpenSSH, *mounttest.SSHFS) {
	t.Helper()
	dir := t.TempDir()
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "dir"), 0o755),
		os.WriteFile(filepath.Join(dir, recording), content, 0o644)); err != nil {
		t.Fatal(err)
	}
	server, err := sftptest.StartOpenSSH(sftptest.OpenSSHConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	mount, err := mounttest.StartSSHFS(mounttest.SSHFSConfig{Server: server, Dir: dir, Options: options})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := within(t, mount.Close); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(mount.Root()); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("after Close, the root: %v", err)
		}
	})
	return server, mount
}

// shows reports whether the mount shows the recording.
func shows(mount *mounttest.SSHFS) bool {
	got, err := os.ReadFile(filepath.Join(mount.Root(), recording))
	return err == nil && bytes.Equal(got, content)
}

func TestSSHFSEndsWithItsSessionAndCanBeMountedAgain(t *testing.T) {
	server, mount := startSSHFS(t)
	for range 2 {
		if !shows(mount) {
			t.Fatal("it does not show the recording")
		}
		if err := server.KillSessions(); err != nil {
			t.Fatal(err)
		}
		within(t, func() error { <-mount.Ended(); return nil })
		if shows(mount) {
			t.Error("it is still there")
		}
		if err := mount.Mount(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSSHFSThatReconnectsGoesOn(t *testing.T) {
	server, mount := startSSHFS(t, "reconnect")
	for _, fail := range []func() error{server.KillSessions, func() error { return server.Restart(false) }} {
		if !shows(mount) {
			t.Fatal("it does not show the recording")
		}
		if err := fail(); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(time.Minute); !shows(mount); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("it does not come back")
			}
		}
	}
}

func TestSSHFSThatIsFrozenIsUnmounted(t *testing.T) {
	for name, freeze := range map[string]func(*sftptest.OpenSSH, *mounttest.SSHFS) error{
		"sshfs": func(_ *sftptest.OpenSSH, mount *mounttest.SSHFS) error { return mount.Stop() },
		"sshd":  func(server *sftptest.OpenSSH, _ *mounttest.SSHFS) error { return server.Stop() },
	} {
		t.Run(name, func(t *testing.T) {
			server, mount := startSSHFS(t, "reconnect")
			if err := freeze(server, mount); err != nil {
				t.Fatal(err)
			}
			look := make(chan error, 1)
			go func() { look <- syscall.Stat(filepath.Join(mount.Root(), "dir"), new(syscall.Stat_t)) }()
			if err := within(t, mount.Unmount); err != nil {
				t.Error(err)
			}
			if err := within(t, func() error { return <-look }); err == nil {
				t.Error("a look into it succeeds")
			}
		})
	}
}
