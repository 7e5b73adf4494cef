package server

import (
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

// connect returns the two ends of a connection.
func connect(t *testing.T) (ours, clients *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := new(net.Dialer).DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(); client.Close() })
	return conn.(*net.TCPConn), client.(*net.TCPConn)
}

// ambiguous are errors that a file and a connection both can fail with.
var ambiguous = []error{syscall.ETIMEDOUT, syscall.ECONNRESET, syscall.EPIPE, syscall.EHOSTUNREACH, syscall.ECONNABORTED}

func TestAnErrorIsTheClientsIfItsConnectionHasEnded(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(ours, clients *net.TCPConn) error
		want bool
	}{
		"in order":             {func(_, _ *net.TCPConn) error { return nil }, false},
		"the client is silent": {func(_, clients *net.TCPConn) error { return clients.CloseWrite() }, false},
		"the client has left":  {func(_, clients *net.TCPConn) error { clients.SetLinger(0); return clients.Close() }, true},
		"we have shut it down": {func(ours, _ *net.TCPConn) error { return ours.CloseWrite() }, true},
		"we have closed it":    {func(ours, _ *net.TCPConn) error { return ours.Close() }, true},
	} {
		t.Run(name, func(t *testing.T) {
			ours, clients := connect(t)
			if err := c.end(ours, clients); err != nil {
				t.Fatal(err)
			}
			for _, err := range append(ambiguous, syscall.EIO) {
				// It takes a moment until the client's end is known here.
				for deadline := time.Now().Add(10 * time.Second); isClients(ours, err) != c.want; time.Sleep(time.Millisecond) {
					if time.Now().After(deadline) {
						t.Fatalf("%v is the client's: %t", err, !c.want)
					}
				}
			}
			for _, err := range []error{net.ErrClosed, os.ErrDeadlineExceeded} {
				if !isClients(ours, err) {
					t.Errorf("%v is not the client's", err)
				}
			}
		})
	}
}
