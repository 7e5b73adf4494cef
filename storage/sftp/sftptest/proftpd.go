//go:build unix

package sftptest

import (
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"
)

// StartProFTPD starts ProFTPD with its own mod_sftp, which must be installed,
// over all that the current user may read.
func StartProFTPD() (*Daemon, error) {
	return startDaemon("", "standalone mode STARTUP", func(d *Daemon) (*exec.Cmd, error) {
		group, err := user.LookupGroupId(strconv.Itoa(os.Getgid()))
		if err != nil {
			return nil, err
		}
		for name, content := range map[string]string{
			"proftpd.conf": d.proftpdConfig(group.Name),
			"passwd":       d.account("*", "/"),
			"keys":         d.keyRFC4716(),
		} {
			if err := os.WriteFile(d.path(name), []byte(content), 0o600); err != nil {
				return nil, err
			}
		}
		return exec.Command("/usr/sbin/proftpd", "--nodaemon", "--config", d.path("proftpd.conf")), nil
	})
}

func (d *Daemon) proftpdConfig(group string) string {
	return fmt.Sprintf(`ModulePath /usr/lib/proftpd
LoadModule mod_sftp.c
ServerName sftptest
ServerType standalone
DefaultAddress 127.0.0.1
SocketBindTight on
Port %d
User %s
Group %s
UseReverseDNS off
PidFile %[4]s/pid
ScoreboardFile %[4]s/scoreboard
DelayEngine off
WtmpLog off
TransferLog none
AuthOrder mod_auth_file.c
AuthUserFile %[4]s/passwd
RequireValidShell off
RootLogin on
UseFtpUsers off
SFTPEngine on
SFTPHostKey %[4]s/host_key
SFTPAuthMethods publickey
SFTPAuthorizedUserKeys file:%[4]s/keys
`, d.port, d.user, group, d.dir)
}

// account returns the line of a passwd file for who may log in.
func (d *Daemon) account(password, home string) string {
	return fmt.Sprintf("%s:%s:%d:%d::%s:/bin/sh\n", d.user, password, os.Getuid(), os.Getgid(), home)
}

// keyRFC4716 returns the key that logs in as RFC 4716, section 3.4 has it.
func (d *Daemon) keyRFC4716() string {
	const width = 70
	lines := []string{"---- BEGIN SSH2 PUBLIC KEY ----"}
	text := base64.StdEncoding.EncodeToString(d.key.Marshal())
	for ; len(text) > width; text = text[width:] {
		lines = append(lines, text[:width])
	}
	return strings.Join(append(lines, text, "---- END SSH2 PUBLIC KEY ----\n"), "\n")
}
