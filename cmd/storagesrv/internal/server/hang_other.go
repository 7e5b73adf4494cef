//go:build !linux

package server

import "net"

// progress cannot tell on systems that we do not tune for: nothing is cut.
func progress(*net.TCPConn) (taken uint64, waits bool) { return 0, false }

// stands cannot tell.
func stands(*net.TCPConn) (yes, known bool) { return false, false }

// acknowledged cannot tell either.
func acknowledged(*net.TCPConn) uint64 { return 0 }

func shutdown(*net.TCPConn) {}
