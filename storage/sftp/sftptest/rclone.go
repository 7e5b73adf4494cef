//go:build unix

package sftptest

import "os/exec"

// StartRclone starts rclone, which must be installed, over dir: clients see it
// as "/", without what are no regular files or directories in it. Whoever has
// the key may log in.
func StartRclone(dir string) (*Daemon, error) {
	return startDaemon("", "SFTP server listening on", func(d *Daemon) (*exec.Cmd, error) {
		return exec.Command("rclone", "serve", "sftp", "--read-only",
			"--addr", d.Addr(),
			"--key", d.path("host_key"),
			"--authorized-keys", d.path("authorized_keys"),
			"--config", "", // none
			"--cache-dir", d.path("cache"),
			"--dir-cache-time", "0s", // see what changes
			dir), nil
	})
}
