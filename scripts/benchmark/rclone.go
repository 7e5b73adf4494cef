//go:build linux

package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
)

// startRclone runs rclone serve http with its defaults.
func (r *rig) startRclone(address string) (*server, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	config := fmt.Sprintf("[server]\ntype = sftp\nhost = %s\nport = %s\nuser = %s\nkey_file = %s\n", host, port, r.sshd.User(), r.file("key"))
	if err := os.WriteFile(r.file("rclone.conf"), []byte(config), 0o600); err != nil {
		return nil, err
	}
	return r.serveRclone(false, "server:"+r.root)
}

// serveRclone serves what is below root, a place in rclone's terms.
func (r *rig) serveRclone(secure bool, root string) (*server, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	args := []string{"serve", "http", "--config", r.file("rclone.conf"), "--addr", addr}
	if secure {
		args = append(args, "--cert", r.certificate.file, "--key", r.certificate.keyFile)
	}
	p, err := startProcess(exec.Command("rclone", append(args, root)...), r.nextLog("rclone"))
	if err != nil {
		return nil, err
	}
	s := &server{processes: []*process{p}}
	s.url = r.urlBelow(s, addr, secure, func(c recording) string { return "/" + c.path })
	return s, nil
}
