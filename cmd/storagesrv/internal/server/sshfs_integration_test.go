//go:build integration && linux

package server_test

import (
	"bytes"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"storagesrv/storage"
	"storagesrv/storage/mount"
	"storagesrv/storage/mount/mounttest"
	"storagesrv/storage/sftp/sftptest"
	"storagesrv/storage/storagetest"
)

// An sshfsRig is a rig whose recordings are on a mount by sshfs.
type sshfsRig struct {
	*rig
	sshd  *sftptest.OpenSSH
	sshfs *mounttest.SSHFS
}

func newSSHFSRig(t *testing.T, options ...string) *sshfsRig {
	t.Helper()
	storagetest.LeaksNothing(t)
	s := new(sshfsRig)
	s.rig = newRig(t, rigConfig{ttl: cached, store: func(t testing.TB, dir string) (storage.Store, string) {
		s.mount(t, dir, options)
		return newMount(t, mount.Config{Root: s.sshfs.Root(), Timeout: hangTimeout, MaxStuck: mostStuck}), "mount"
	}})
	return s
}

func (s *sshfsRig) mount(t testing.TB, dir string, options []string) {
	t.Helper()
	var err error
	if s.sshd, err = sftptest.StartOpenSSH(sftptest.OpenSSHConfig{}); err != nil {
		t.Fatal(err)
	}
	closeAfter(t, s.sshd)
	options = append([]string{"ro", "direct_io"}, options...)
	if s.sshfs, err = mounttest.StartSSHFS(mounttest.SSHFSConfig{Server: s.sshd, Dir: dir, Options: options}); err != nil {
		t.Fatal(err)
	}
	closeAfter(t, s.sshfs)
}

func closeAfter(t testing.TB, c io.Closer) {
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}

// remount mounts again what has ended with its session.
func (s *sshfsRig) remount() error {
	<-s.sshfs.Ended()
	return s.sshfs.Mount()
}

func TestAnSSHFSThatFailsCutsAndRefusesUntilItIsBack(t *testing.T) {
	for _, c := range []struct {
		name       string
		fail, mend func(*sshfsRig) error
	}{
		{"session killed", func(s *sshfsRig) error { return s.sshd.KillSessions() }, (*sshfsRig).remount},
		{"sshd stopped", func(s *sshfsRig) error { return s.sshd.Stop() }, func(s *sshfsRig) error { return s.sshd.Cont() }},
		{"sshfs stopped", func(s *sshfsRig) error { return s.sshfs.Stop() }, func(s *sshfsRig) error { return s.sshfs.Cont() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSSHFSRig(t)
			content := s.calls(hearers + 1)
			finish := s.listen(content)
			if err := c.fail(s); err != nil {
				t.Fatal(err)
			}
			if cut := finish(); cut != hearers {
				t.Errorf("%d of %d were cut", cut, hearers)
			}
			s.awaitTruncated("mount", hearers)
			s.wantDown(call(0))
			s.wantDown(call(hearers)) // which nobody has asked for yet
			if err := c.mend(s); err != nil {
				t.Fatal(err)
			}
			s.playsAgain(content)
		})
	}
}

// Where it mends itself, listeners may have had enough ahead to notice nothing.
func TestAnSSHFSThatReconnectsMixesNothing(t *testing.T) {
	s := newSSHFSRig(t, "reconnect")
	content := s.calls(hearers)
	finish := s.listen(content)
	if err := s.sshd.KillSessions(); err != nil {
		t.Fatal(err)
	}
	s.playsAgain(content)
	t.Logf("%d of %d were cut", finish(), hearers)
}

// hearers is how many listen when the mount fails.
const hearers = 8

// calls makes n calls, call(0) and so on, with a recording each.
func (s *sshfsRig) calls(n int) (content []byte) {
	s.t.Helper()
	content = noisy(sharp, 1)
	for i := range n {
		s.call(call(i), s.file(file(i), content))
	}
	s.awaitPlays("/recordings/"+call(0), content)
	return content
}

// listen lets the hearers begin to listen, and returns what lets them go on. That
// asserts that each gets right bytes and an end in time, and tells how many of
// these ends came too early.
func (s *sshfsRig) listen(content []byte) (finish func() (cut int)) {
	s.t.Helper()
	bodies := make([]io.Reader, hearers)
	for i := range bodies {
		conn, body := rawGet(s.t, s.rig, "/recordings/"+call(i))
		if err := conn.SetReadDeadline(time.Now().Add(hung)); err != nil {
			s.t.Fatal(err)
		}
		bodies[i] = body
	}
	return func() int {
		var cut atomic.Int64
		var listeners sync.WaitGroup
		start := time.Now()
		for _, body := range bodies {
			listeners.Go(func() {
				got := make([]byte, len(content))
				n, err := io.ReadFull(body, got)
				if took := time.Since(start); !bytes.Equal(got[:n], content[:n]) || took > 2*hangTimeout+hangSlack {
					s.t.Errorf("%d bytes, or others, after %v", n, took)
				}
				if err != nil {
					cut.Add(1)
				}
			})
		}
		listeners.Wait()
		return int(cut.Load())
	}
}

// wantDown asserts that a recording of a mount that is down is refused in time.
func (s *sshfsRig) wantDown(id string) {
	s.t.Helper()
	start := time.Now()
	got := s.get("/recordings/" + id)
	if took := time.Since(start); took > hangTimeout+time.Second+hangSlack {
		s.t.Errorf("%s took %v", id, took)
	}
	if name := got.problemName(s.t); name != "storage-unavailable" && name != "storage-timeout" {
		s.t.Errorf("%s: status %d, %s", id, got.status, name)
	}
}

// playsAgain asserts that a mount that is back is soon served from.
func (s *sshfsRig) playsAgain(content []byte) {
	s.t.Helper()
	start := time.Now()
	for i := range hearers {
		s.awaitPlays("/recordings/"+call(i), content)
	}
	if took := time.Since(start); took > wellAgain+hangSlack {
		s.t.Errorf("it serves again after %v", took)
	}
}
