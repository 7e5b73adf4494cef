//go:build unix

package sftptest

import (
	"fmt"
	"os"
	"os/exec"

	"golang.org/x/crypto/ssh"
)

// StartDropbear starts Dropbear, which runs OpenSSH's sftp-server, over all
// that the current user may read. They must be installed, and so must
// nss_wrapper: Dropbear takes authorized keys from the home directory only, and
// is made to see another one.
func StartDropbear() (*Daemon, error) {
	return startDaemon("", "Not backgrounding", func(d *Daemon) (*exec.Cmd, error) {
		home, hostKey := d.path("home"), d.path("dropbear_host_key")
		if err := os.MkdirAll(home+"/.ssh", 0o700); err != nil {
			return nil, err
		}
		for path, content := range map[string][]byte{
			home + "/.ssh/authorized_keys": ssh.MarshalAuthorizedKey(d.key),
			d.path("passwd"):               []byte(d.account("x", home)),
		} {
			if err := os.WriteFile(path, content, 0o600); err != nil {
				return nil, err
			}
		}
		if out, err := exec.Command("dropbearconvert", "openssh", "dropbear", d.path("host_key"), hostKey).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("dropbearconvert: %w: %s", err, out)
		}
		dropbear := exec.Command("/usr/sbin/dropbear", "-F", "-E", "-s", "-r", hostKey, "-p", d.Addr(), "-P", d.path("pid"))
		dropbear.Env = append(os.Environ(), "LD_PRELOAD=libnss_wrapper.so", "NSS_WRAPPER_PASSWD="+d.path("passwd"), "NSS_WRAPPER_GROUP=/etc/group")
		return dropbear, nil
	})
}
