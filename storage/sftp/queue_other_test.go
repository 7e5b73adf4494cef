//go:build !linux

package sftp_test

import (
	"net"
	"testing"
)

// fullQueue returns the address of a listener that accepts nobody: what a full
// queue does differs between systems.
func fullQueue(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener.Addr().String()
}
