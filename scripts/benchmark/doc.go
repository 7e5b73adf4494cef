// Command benchmark compares storagesrv with what else plays recordings.
//
// From an SFTP server, that is rclone, sshfs behind nginx, and OpenSSH's own
// sftp. The server is OpenSSH, behind a proxy that adds the round trip of a
// network.
//
// From a directory, such as a mount, that is nginx, as it serves files by itself
// and behind an app that resolves calls, Caddy, and rclone. The directory is a
// local one: no network stands before what the servers cost.
//
//	scripts/bench                     # builds, installs what is missing, and runs all
//	scripts/bench --only ^mount       # from a directory
//	scripts/bench --only 'first|cpu'  # two of the cases
//	scripts/bench --only stream-10ms/rclone
//
// A case (cases.go, mountcases.go) is something that is measured. It runs several times, each
// time with every peer in turn, so that whatever else the machine does hits
// all of them; a ratio is taken within a run, and then the median of the runs.
// A peer is started anew for each, and so starts cold; the server's page cache
// is warm for all. Bytes are compared with the recording's while measuring.
package main
