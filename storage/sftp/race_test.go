//go:build race

package sftp_test

// slower is by how much the race detector slows a busy machine down.
const slower = 2
