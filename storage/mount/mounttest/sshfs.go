//go:build linux

package mounttest

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"storagesrv/storage/sftp/sftptest"
)

// SSHFSConfig says what is mounted and how.
type SSHFSConfig struct {
	Server *sftptest.OpenSSH
	// Dir is the directory that is mounted, as the server's clients see it.
	Dir string
	// Options are those of sshfs -o, such as reconnect, besides how to log in.
	Options []string
}

// An SSHFS is a mount by sshfs, until Close.
type SSHFS struct {
	config SSHFSConfig
	temp   string
	guard  *process // unmounts when this one dies
	sshfs  *process // nil before Mount and after Unmount
}

// StartSSHFS mounts a directory of a server by sshfs, which must be installed.
func StartSSHFS(config SSHFSConfig) (*SSHFS, error) {
	temp, err := os.MkdirTemp("", "sshfs")
	if err != nil {
		return nil, err
	}
	s := &SSHFS{config: config, temp: temp}
	err = errors.Join(
		os.WriteFile(s.file("key"), config.Server.ClientKey(), 0o600),
		os.Mkdir(s.Root(), 0o755))
	if err == nil {
		s.guard, err = unmountAfterDeath(s.Root())
	}
	if err == nil {
		err = s.Mount()
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Root returns the directory on which it is mounted. Nothing is in it while it
// is not.
func (s *SSHFS) Root() string { return s.file("recordings") }

func (s *SSHFS) file(name string) string { return filepath.Join(s.temp, name) }

// Mount mounts it again after Unmount, or after sshfs has ended by itself.
func (s *SSHFS) Mount() error {
	if err := s.Unmount(); err != nil {
		return err
	}
	// It may have got another host key since.
	if err := os.WriteFile(s.file("known_hosts"), s.config.Server.KnownHosts(), 0o600); err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(s.config.Server.Addr())
	if err != nil {
		return err
	}
	options := append([]string{
		"IdentityFile=" + s.file("key"), "UserKnownHostsFile=" + s.file("known_hosts"), "StrictHostKeyChecking=yes",
		"IdentitiesOnly=yes", "BatchMode=yes",
	}, s.config.Options...)
	var said bytes.Buffer
	sshfs := exec.Command("sshfs", "-f", "-F", "/dev/null", "-p", port, "-o", strings.Join(options, ","),
		s.config.Server.User()+"@"+host+":"+s.config.Dir, s.Root())
	sshfs.Stderr = &said
	sshfs.WaitDelay = time.Second // its ssh has stderr, too
	if s.sshfs, err = start(sshfs, syscall.SIGKILL); err != nil {
		return err
	}
	return s.awaitMounted(&said)
}

// awaitMounted waits for the mount, without a look into it.
func (s *SSHFS) awaitMounted(said *bytes.Buffer) error {
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		table, err := os.ReadFile("/proc/self/mountinfo")
		if err != nil {
			return err
		}
		if bytes.Contains(table, []byte(" "+s.Root()+" ")) {
			return nil
		}
		select {
		case <-s.sshfs.ended:
			return fmt.Errorf("sshfs does not mount: %s", bytes.TrimSpace(said.Bytes()))
		default:
		}
		if time.Now().After(deadline) {
			return errors.New("sshfs does not mount")
		}
	}
}

// Stop freezes sshfs. What is asked of the mount is not answered.
func (s *SSHFS) Stop() error { return s.sshfs.signal(syscall.SIGSTOP) }

// Cont ends what Stop began.
func (s *SSHFS) Cont() error { return s.sshfs.signal(syscall.SIGCONT) }

// Ended is closed when sshfs has ended, by itself or by Unmount.
func (s *SSHFS) Ended() <-chan struct{} { return s.sshfs.ended }

// Unmount takes the mount away, from under open files, too, and ends sshfs,
// even one that is frozen. What hangs there fails.
func (s *SSHFS) Unmount() error {
	err := detach(s.Root())
	if s.sshfs != nil {
		err = errors.Join(err, s.sshfs.end(syscall.SIGKILL))
		s.sshfs = nil
	}
	return err
}

// Close unmounts, and returns when nothing is left running.
func (s *SSHFS) Close() error {
	err := s.Unmount()
	if s.guard != nil {
		err = errors.Join(err, s.guard.end(syscall.SIGTERM))
	}
	return errors.Join(err, os.RemoveAll(s.temp))
}
