package sftp

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"
)

// A conn is one SSH connection with an SFTP session on it, or two, shared by all who
// read through it. It lives until it is severed: by Close, or because an
// answer was missing for too long, or made no sense, or the server left, or
// because nobody needs it any more.
type conn struct {
	wire    *wire
	ssh     *ssh.Client
	first   *session      // for all that is no reading of much
	timeout time.Duration // for any single answer
	since   time.Time
	number  int           // counts the connections of the pool, which guards it
	dead    chan struct{} // closed when severed

	load    atomic.Int64 // bytes that were asked for and have not come
	handles atomic.Int64 // files that are open
	used    atomic.Int64 // when a handle was last closed, in Unix seconds
	largest atomic.Int64 // how much the server answers to one READ
	suspect atomic.Bool  // an answer is late: there may be better ones to ask

	widened atomic.Bool // a second session was asked for
	second  atomic.Pointer[session]

	mu    sync.Mutex
	cause error          // guarded by mu: why it was severed, nil while it lives
	tasks sync.WaitGroup // guarded by mu: grows only while cause is nil
}

func newConn(w *wire, client *ssh.Client, timeout time.Duration) *conn {
	c := &conn{wire: w, ssh: client, timeout: timeout, since: time.Now(), dead: make(chan struct{})}
	c.largest.Store(smallPacket)
	c.used.Store(c.since.Unix())
	return c
}

// serve keeps c alive until it is severed, and returns when nothing of it is
// left running. At each keepalive it asks whether c was retired.
func (c *conn) serve(keepalive time.Duration, retire func() bool) {
	c.spawn(c.first.attend)
	c.spawn(func() { c.keepAlive(keepalive, retire) })
	c.spawn(c.learnLimits)
	<-c.dead
	c.tasks.Wait()
	c.ssh.Close()
	c.ssh.Wait()
}

// keepAlive asks for a sign of life at each interval. It is what notices that
// an idle connection is dead.
func (c *conn) keepAlive(interval time.Duration, retire func() bool) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-c.dead:
			return
		case <-ticker.C:
		}
		if retire() {
			return
		}
		c.exchange(func() error {
			_, _, err := c.ssh.SendRequest("keepalive@openssh.com", true, nil)
			return err
		})
	}
}

// errRetired is why a connection that nobody needed was ended.
var errRetired = errors.New("not needed any more")

// idleFor reports whether nobody has used c for at least so long.
func (c *conn) idleFor(d time.Duration) bool {
	return c.handles.Load() == 0 && c.load.Load() == 0 && time.Since(time.Unix(c.used.Load(), 0)) >= d
}

// sever ends c for the given reason, unless it has ended. Closing the TCP
// connection comes first: on a frozen link it is all that frees those who
// wait, and closing anything above it would wait as well.
func (c *conn) sever(cause error) {
	c.mu.Lock()
	first := c.cause == nil
	if first {
		c.cause = cause
	}
	c.mu.Unlock()
	if first {
		c.wire.Close()
		close(c.dead)
	}
}

func (c *conn) alive() bool {
	select {
	case <-c.dead:
		return false
	default:
		return true
	}
}

// retired reports whether c was ended because nobody needed it.
func (c *conn) retired() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cause == errRetired
}

// spawn runs task on a goroutine that ends with c, which serve waits for. It
// returns false if c has ended.
func (c *conn) spawn(task func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause != nil {
		return false
	}
	c.tasks.Go(task)
	return true
}
