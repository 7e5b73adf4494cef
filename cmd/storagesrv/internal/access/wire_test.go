package access_test

import (
	"context"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"

	"storagesrv/cmd/storagesrv/internal/access"
	"storagesrv/storage/storagetest"
)

func TestMain(m *testing.M) {
	os.Setenv("HTTP_PROXY", "http://proxy.example.lan:3128") // which nothing here may use
	storagetest.Main(m)
}

// A wire is a network in memory with one server, whatever its address: there
// synctest knows who waits for what.
type wire struct {
	conns  chan net.Conn
	closed chan struct{}
	close  sync.Once

	mu     sync.Mutex
	dialed []string // guarded by mu: addresses
}

// newWire serves a handler until the test ends.
func newWire(t *testing.T, handler http.Handler) *wire {
	w := &wire{conns: make(chan net.Conn), closed: make(chan struct{})}
	var answering sync.WaitGroup // which Close does not wait for
	server := &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		answering.Add(1)
		defer answering.Done()
		handler.ServeHTTP(rw, r)
	})}
	go server.Serve(w)
	t.Cleanup(func() { server.Close(); answering.Wait() })
	return w
}

var _ access.Dial = (*wire)(nil).dial

func (w *wire) dial(ctx context.Context, network, address string) (net.Conn, error) {
	w.mu.Lock()
	w.dialed = append(w.dialed, address)
	w.mu.Unlock()
	ours, theirs := net.Pipe()
	select {
	case w.conns <- theirs:
		return ours, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-w.closed:
		return nil, net.ErrClosed
	}
}

func (w *wire) addresses() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dialed
}

// Accept implements net.Listener, as do the others.
func (w *wire) Accept() (net.Conn, error) {
	select {
	case conn := <-w.conns:
		return conn, nil
	case <-w.closed:
		return nil, net.ErrClosed
	}
}

func (w *wire) Close() error {
	w.close.Do(func() { close(w.closed) })
	return nil
}

func (w *wire) Addr() net.Addr { return &net.TCPAddr{} }
