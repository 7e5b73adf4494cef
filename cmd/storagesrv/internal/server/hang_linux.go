package server

import (
	"net"

	"golang.org/x/sys/unix"
)

// progress returns how many bytes the client has acknowledged, and whether these
// are all that it was sent, so that it waits for more. It does not if that cannot
// be told, as of a connection that is gone.
func progress(conn *net.TCPConn) (taken uint64, waits bool) {
	control(conn, func(fd int) {
		unsent, err := unix.IoctlGetInt(fd, unix.SIOCOUTQ)
		if err != nil || unsent != 0 {
			return
		}
		if info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			taken, waits = info.Bytes_acked, true
		}
	})
	return taken, waits
}

// stands reports whether a connection is in order, also where the client sends
// nothing more. An error of it would have ended it.
func stands(conn *net.TCPConn) (yes, known bool) {
	control(conn, func(fd int) {
		info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		// The states are named for BPF, which has them from include/net/tcp_states.h.
		yes = err == nil && (info.State == unix.BPF_TCP_ESTABLISHED || info.State == unix.BPF_TCP_CLOSE_WAIT)
	})
	return yes, true
}

// acknowledged returns how many bytes the client has acknowledged, or 0 if that
// cannot be told.
func acknowledged(conn *net.TCPConn) (n uint64) {
	control(conn, func(fd int) {
		if info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			n = info.Bytes_acked
		}
	})
	return n
}

// shutdown ends a connection whose Close would wait.
func shutdown(conn *net.TCPConn) {
	control(conn, func(fd int) { unix.Shutdown(fd, unix.SHUT_RDWR) })
}

func control(conn *net.TCPConn, f func(fd int)) {
	if raw, err := conn.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) { f(int(fd)) })
	}
}
