//go:build !linux

package server

import "net"

// limitUnsent does nothing on systems that we do not tune for.
func limitUnsent(*net.TCPConn, int) {}
