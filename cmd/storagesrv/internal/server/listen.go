package server

import (
	"context"
	"net"
)

// mostUnsent is how many bytes the kernel takes from us for one client before they
// can be sent. Left to itself it takes megabytes, and asks for more only when
// a third of them are gone: a client at the pace of its player would seem to
// take nothing for minutes, and be cut. It would also cost those megabytes for
// each listener.
const mostUnsent = 128 << 10

// mostUnsentFast is the same for a client that takes a lot: to be woken for each
// 64 KiB would double what it costs.
const mostUnsentFast = 2 << 20

// Listen returns a TCP listener for clients of a [Server]. The http.Server that
// it is given to needs [ConnContext] for the kernel to send files.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return listener{l.(*net.TCPListener)}, nil
}

type listener struct{ *net.TCPListener }

// Accept returns a *conn.
func (l listener) Accept() (net.Conn, error) {
	tcp, err := l.AcceptTCP()
	if err != nil {
		return nil, err
	}
	limitUnsent(tcp, mostUnsent)
	return newConn(tcp)
}
