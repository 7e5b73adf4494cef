//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
)

// An sftpClient is OpenSSH's sftp, connected.
type sftpClient struct {
	process *process
	in      io.WriteCloser
	out     *bufio.Scanner
	root    string
}

// sshOptions are those of ssh, sshfs and sftp to reach the server.
func (r *rig) sshOptions() []string {
	return []string{"-F", "none", "-o", "IdentityFile=" + r.file("key"), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
		"-o", "UserKnownHostsFile=" + r.file("known_hosts"), "-o", "GlobalKnownHostsFile=none", "-o", "StrictHostKeyChecking=yes"}
}

func (r *rig) startSFTP(address string) (*sftpClient, error) {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	args := append([]string{"-q", "-b", "-", "-P", port}, r.sshOptions()...)
	cmd := exec.Command("sftp", append(args, r.sshd.User()+"@127.0.0.1")...)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe() // closed when it has ended
	if err != nil {
		return nil, err
	}
	p, err := startProcess(cmd, r.nextLog("sftp"))
	if err != nil {
		return nil, err
	}
	c := &sftpClient{p, in, bufio.NewScanner(out), r.root}
	if err := c.do("pwd"); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// get copies a recording to a file. It is ended with ctx.
func (c *sftpClient) get(ctx context.Context, recording recording, to string) error {
	defer context.AfterFunc(ctx, c.process.stop)()
	return c.do(fmt.Sprintf("get %q %q\npwd", filepath.Join(c.root, recording.path), to))
}

// do sends commands, the last of which is pwd, and waits for its answer.
func (c *sftpClient) do(commands string) error {
	if _, err := fmt.Fprintln(c.in, commands); err != nil {
		return errors.Join(err, errors.New(c.process.lastWords()))
	}
	for c.out.Scan() {
		if strings.HasPrefix(c.out.Text(), "Remote working directory") {
			return nil
		}
	}
	return fmt.Errorf("sftp ended: %s", c.process.lastWords())
}

func (c *sftpClient) close() {
	c.in.Close() // it ends at the end of its commands, or is told to
	c.process.stop()
}
