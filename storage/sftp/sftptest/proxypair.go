package sftptest

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
)

// A pair is a client's connection and the one to the server that goes with it.
type pair struct {
	proxy     *Proxy
	number    int // in the order they were made
	client    *net.TCPConn
	up, down  *lane // to the server, to the client
	ctx       context.Context
	cancel    context.CancelFunc
	forgotten atomic.Bool
	left      atomic.Bool  // the client has closed its side
	closed    atomic.Int32 // how many sides have, as far as the other was told

	mu     sync.Mutex
	server *net.TCPConn // guarded by mu: nil before it is connected
}

// connect makes the connection to the server, and carries what it says.
func (c *pair) connect() {
	if !c.pass() {
		return
	}
	tcp, err := new(net.Dialer).DialContext(c.ctx, "tcp", c.proxy.target)
	if err != nil {
		c.end(true)
		return
	}
	c.mu.Lock()
	c.server = tcp.(*net.TCPConn)
	if c.ctx.Err() != nil {
		tcp.Close()
	}
	c.mu.Unlock()
	c.proxy.tasks.Go(func() { c.up.write(c.server) }) // these end with the pair
	c.proxy.tasks.Go(func() { c.down.write(c.client) })
	c.down.read(c.server)
}

// pass waits until bytes may pass. It returns false when the pair has ended.
func (c *pair) pass() bool {
	for c.ctx.Err() == nil {
		c.proxy.mu.Lock()
		frozen, changed := c.proxy.frozen, c.proxy.changed
		c.proxy.mu.Unlock()
		if !frozen && !c.forgotten.Load() {
			return true
		}
		select {
		case <-changed:
		case <-c.ctx.Done():
		}
	}
	return false
}

// end closes both sides, or resets them.
func (c *pair) end(reset bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cancel()
	for _, side := range []*net.TCPConn{c.client, c.server} {
		if side == nil {
			continue
		}
		if reset {
			side.SetLinger(0)
		}
		side.Close()
	}
	c.up.wake()
	c.down.wake()
	c.proxy.mu.Lock()
	delete(c.proxy.pairs, c)
	c.proxy.mu.Unlock()
}
