//go:build !race

package sftp_test

const slower = 1
