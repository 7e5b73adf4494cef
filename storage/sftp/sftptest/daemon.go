//go:build unix

package sftptest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// A Daemon is a real SFTP server on a free port of 127.0.0.1: a process, and
// those that it starts.
type Daemon struct {
	user    string
	dir     string // keys and configuration, readable to all
	port    int
	pem     []byte
	key     ssh.PublicKey // of pem
	hostKey ssh.PublicKey

	command func(*Daemon) (*exec.Cmd, error) // what to run; it may write configuration into dir
	ready   string                           // is in the line of its log which says that it is about to listen
	process *exec.Cmd
	drained chan struct{} // closed when its log has ended
}

// startDaemon starts a server that lets name in: "" means the current user.
func startDaemon(name, ready string, command func(*Daemon) (*exec.Cmd, error)) (*Daemon, error) {
	d := &Daemon{user: name, ready: ready, command: command}
	if name == "" {
		current, err := user.Current()
		if err != nil {
			return nil, err
		}
		d.user = current.Username
	}
	if err := d.prepare(); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	if err := d.start(); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// Addr returns the server's host:port.
func (d *Daemon) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(d.port)) }

// User returns who may log in.
func (d *Daemon) User() string { return d.user }

// ClientKey returns the private key that logs in, in PEM.
func (d *Daemon) ClientKey() []byte { return d.pem }

// Fingerprint returns that of the host key.
func (d *Daemon) Fingerprint() string { return ssh.FingerprintSHA256(d.hostKey) }

// KnownHosts returns the line of a known_hosts file for the server.
func (d *Daemon) KnownHosts() []byte {
	return []byte(knownhosts.Line([]string{d.Addr()}, d.hostKey) + "\n")
}

// Stop freezes the server and its sessions, and returns when they stand still;
// the kernel goes on accepting connections.
func (d *Daemon) Stop() error {
	// Until it is stopped itself, each of them may start another.
	for {
		processes, err := d.processes()
		if err != nil {
			return err
		}
		var running bool
		for _, p := range processes {
			if !p.stands() {
				running = true
				err = errors.Join(err, kill(p.pid, syscall.SIGSTOP))
			}
		}
		if err != nil || !running {
			return err
		}
	}
}

// Cont ends what Stop began.
func (d *Daemon) Cont() error {
	processes, err := d.processes()
	for _, p := range processes {
		err = errors.Join(err, kill(p.pid, syscall.SIGCONT))
	}
	return err
}

// KillSessions kills the sessions there are, if each is a process. New ones can
// begin.
func (d *Daemon) KillSessions() error {
	processes, err := d.processes()
	for _, p := range processes {
		if p.pid != d.process.Process.Pid {
			err = errors.Join(err, kill(p.pid, syscall.SIGKILL))
		}
	}
	return err
}

// Restart ends the server and its sessions and starts it again on the same
// port, with a new host key if that is wanted.
func (d *Daemon) Restart(newHostKey bool) error {
	err := d.end()
	if newHostKey {
		err = errors.Join(err, d.makeHostKey())
	}
	return errors.Join(err, d.start())
}

// Close ends the server and its sessions, and removes its files.
func (d *Daemon) Close() error { return errors.Join(d.end(), os.RemoveAll(d.dir)) }

// prepare writes what any server needs into a directory that every user can
// read, because some read authorized keys as the user who logs in.
func (d *Daemon) prepare() (err error) {
	if d.dir, err = os.MkdirTemp("", "sftptest"); err != nil {
		return err
	}
	if err := os.Chmod(d.dir, 0o755); err != nil {
		return err
	}
	if err := d.makeHostKey(); err != nil {
		return err
	}
	if d.pem, d.key, err = newKeyPEM(); err != nil {
		return err
	}
	return os.WriteFile(d.path("authorized_keys"), ssh.MarshalAuthorizedKey(d.key), 0o644)
}

func (d *Daemon) makeHostKey() error {
	private, public, err := newKeyPEM()
	if err != nil {
		return err
	}
	d.hostKey = public
	return os.WriteFile(d.path("host_key"), private, 0o600)
}

func (d *Daemon) path(name string) string { return filepath.Join(d.dir, name) }

// start runs the server, on the port it had or a free one, and returns when it
// listens.
func (d *Daemon) start() error {
	if d.port != 0 {
		return d.run()
	}
	// A port that the system gives to nobody who asks for any: ours is not
	// taken before the server has it, nor while it restarts.
	const first, ports = 10_000, 10_000
	var err error
	for range 20 {
		d.port = first + rand.IntN(ports)
		if err = d.run(); err == nil {
			return nil
		}
	}
	return err
}

func (d *Daemon) run() error {
	process, err := d.command(d)
	if err != nil {
		return err
	}
	log, err := process.StderrPipe()
	if err != nil {
		return err
	}
	if err := process.Start(); err != nil {
		return err
	}
	d.process, d.drained = process, make(chan struct{})
	if err := d.awaitReady(log); err != nil {
		return err
	}
	return d.awaitListening()
}

// awaitReady reads the log until it says that the server has the port or is
// about to, and hands the rest to a goroutine that ends with the last process
// that has it open.
func (d *Daemon) awaitReady(log io.Reader) error {
	var said []string
	scanner := bufio.NewScanner(log)
	for scanner.Scan() {
		said = append(said, scanner.Text())
		if strings.Contains(scanner.Text(), d.ready) {
			go func() {
				defer close(d.drained)
				io.Copy(io.Discard, log)
			}()
			return nil
		}
	}
	close(d.drained)
	d.process.Wait()
	err := fmt.Errorf("%s does not start: %s", d.process.Path, strings.Join(said, "; "))
	d.process = nil
	return err
}

// awaitListening returns when somebody can connect.
func (d *Daemon) awaitListening() error {
	for tick := time.Tick(5 * time.Millisecond); ; {
		tcp, err := net.Dial("tcp", d.Addr())
		if err == nil {
			return tcp.Close()
		}
		select {
		case <-d.drained:
			d.process.Wait()
			d.process = nil
			return fmt.Errorf("it ended: %w", err)
		case <-tick:
		}
	}
}

// end kills the server and its sessions, frozen or not.
func (d *Daemon) end() error {
	if d.process == nil {
		return nil
	}
	// Frozen first, they start no session that would be missed.
	err := errors.Join(d.Stop(), d.KillSessions(), kill(d.process.Process.Pid, syscall.SIGKILL))
	<-d.drained
	d.process.Wait()
	d.process = nil
	return err
}

// kill signals a process that may have ended.
func kill(pid int, signal syscall.Signal) error {
	if err := syscall.Kill(pid, signal); err != nil && err != syscall.ESRCH {
		return err
	}
	return nil
}
