package server

import (
	"net"

	"golang.org/x/sys/unix"
)

// limitUnsent sets TCP_NOTSENT_LOWAT. What goes wrong with it, as with any
// connection that is gone already, shows when it is used.
func limitUnsent(conn *net.TCPConn, most int) {
	control(conn, func(fd int) { unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, most) })
}
