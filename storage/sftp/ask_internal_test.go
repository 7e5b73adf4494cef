package sftp

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"storagesrv/storage"
)

// Several questions are asked together. When the server answers none, the oldest
// ends the connection for all: each of them was too late, whichever is told of.
// Who had only begun to wait has lost a connection.
func TestWhatIsAskedTogetherIsLateTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const timeout = 8 * time.Second
		ours, servers := net.Pipe()
		defer servers.Close()
		c := newConn(&wire{Conn: ours}, nil, timeout)
		silence := func() (struct{}, error) { <-c.dead; return struct{}{}, net.ErrClosed }
		oldest := ask(c, silence, nil)
		time.Sleep(timeout / 8)
		together := ask(c, silence, nil)
		time.Sleep(timeout / 4)
		later := ask(c, silence, nil)
		for _, asked := range []struct {
			*request[struct{}]
			want error
		}{{oldest, context.DeadlineExceeded}, {together, context.DeadlineExceeded}, {later, storage.ErrUnavailable}} {
			if _, err := asked.wait(t.Context()); !errors.Is(err, asked.want) || !errors.Is(err, errLost) {
				t.Errorf("%v, want %v", err, asked.want)
			}
			asked.abandon()
		}
		c.tasks.Wait()
	})
}
