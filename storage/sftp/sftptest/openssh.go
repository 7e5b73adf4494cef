//go:build unix

package sftptest

import (
	"cmp"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// OpenSSHConfig says how to run sshd. The zero value is a server of all that
// the current user may read.
type OpenSSHConfig struct {
	// User is who may log in: "" means the current user. Another one can log
	// in only if the current user is root; "nobody" will do.
	User string
	// Chroot, if not empty, is what the client sees as "/". It must belong to
	// root, and so must all directories above it.
	Chroot string
	// Options are further lines of sshd_config.
	Options []string
}

// OpenSSH is a Daemon that runs sshd with internal-sftp.
type OpenSSH = Daemon

// StartOpenSSH starts sshd, which must be installed.
func StartOpenSSH(config OpenSSHConfig) (*OpenSSH, error) {
	return startDaemon(config.User, "Server listening on", func(d *Daemon) (*exec.Cmd, error) {
		if os.Getuid() == 0 {
			if err := os.MkdirAll("/run/sshd", 0o755); err != nil { // sshd separates privileges there
				return nil, err
			}
		}
		lines := append([]string{
			"ListenAddress 127.0.0.1",
			"Port " + strconv.Itoa(d.port),
			"HostKey " + d.path("host_key"),
			"PidFile none",
			"AuthorizedKeysFile " + d.path("authorized_keys"),
			"StrictModes no",
			"UsePAM no",
			"PasswordAuthentication no",
			"PermitRootLogin yes",
			"AllowUsers " + d.user,
			"Subsystem sftp internal-sftp",
			"ForceCommand internal-sftp",
			"ChrootDirectory " + cmp.Or(config.Chroot, "none"),
		}, config.Options...)
		file := d.path("sshd_config")
		if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
			return nil, err
		}
		return exec.Command("/usr/sbin/sshd", "-D", "-e", "-f", file), nil
	})
}
