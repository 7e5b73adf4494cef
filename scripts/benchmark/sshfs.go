//go:build linux

package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// startSSHFS mounts the recordings as the README recommends it, and runs nginx
// over the mount.
func (r *rig) startSSHFS(address string) (*server, error) {
	mount := r.file("mount")
	if err := os.MkdirAll(mount, 0o755); err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	args := append([]string{"-f", r.sshd.User() + "@127.0.0.1:" + r.root, mount, "-p", port,
		"-o", "ro,reconnect,ServerAliveInterval=15,ServerAliveCountMax=3"}, r.sshOptions()...)
	p, err := startProcess(exec.Command("sshfs", args...), r.nextLog("sshfs"))
	if err != nil {
		return nil, err
	}
	s := &server{processes: []*process{p}, unmount: func() { unmount(mount) }}
	if err := awaitMount(p, mount); err != nil {
		return s, err
	}
	return s, r.startNginx(s, nginxSite{root: mount})
}

// awaitMount waits until sshfs has mounted dir.
func awaitMount(p *process, dir string) error {
	for deadline := time.Now().Add(10 * time.Second); !mounted(dir); time.Sleep(10 * time.Millisecond) {
		select {
		case <-p.ended:
			return fmt.Errorf("sshfs ended: %s", p.lastWords())
		default:
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("sshfs does not mount: %s", p.lastWords())
		}
	}
	return nil
}

// mounted reports whether dir is another file system than its parent, or a
// mount that does not answer.
func mounted(dir string) bool {
	var below, above syscall.Stat_t
	if err := syscall.Stat(dir, &below); err != nil {
		return err != syscall.ENOENT
	}
	err := syscall.Stat(filepath.Dir(dir), &above)
	return err == nil && below.Dev != above.Dev
}

// unmount detaches what a dead sshfs has left. One that ends does it itself.
func unmount(dir string) {
	if mounted(dir) {
		exec.Command("fusermount3", "-u", "-z", dir).Run() // the rig looks whether it helped
	}
}
