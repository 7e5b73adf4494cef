package sftptest

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// A Proxy is a TCP proxy on loopback that stands between a client and a real
// server, for what a network does that no server can be made to do:
//
//	proxy, err := sftptest.StartProxy(sshd.Addr())
//	defer proxy.Close()
//	proxy.SetDelay(25 * time.Millisecond) // 50 ms a round trip
//
// The client connects to Addr; the key that it expects is that of the server.
// What a fault finds in the sockets' own buffers may still arrive. A Proxy is
// safe for concurrent use.
type Proxy struct {
	target   string
	listener net.Listener
	ctx      context.Context // ends with the Proxy
	cancel   context.CancelFunc
	tasks    sync.WaitGroup
	delay    atomic.Int64 // one way, in nanoseconds

	mu       sync.Mutex
	frozen   bool           // guarded by mu
	changed  chan struct{}  // guarded by mu: closed when frozen changes
	refusing bool           // guarded by mu
	pairs    map[*pair]bool // guarded by mu
	accepted int            // guarded by mu: connections since the start
	received int64          // guarded by mu
	cutAt    int64          // guarded by mu: where received cuts a connection, 0 for nowhere
	rate     int64          // guarded by mu: bytes a second, 0 for as many as come
	free     time.Time      // guarded by mu: when the link is
}

// StartProxy starts a proxy on a free port of 127.0.0.1, to target, a host:port.
// It does not matter whether the target is there yet: a connection that cannot
// be made is reset.
func StartProxy(target string) (*Proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{target: target, listener: listener, changed: make(chan struct{}), pairs: make(map[*pair]bool)}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.tasks.Go(p.accept) // ends with the listener
	return p, nil
}

// Addr returns the host:port to connect to.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// SetDelay sets how long each byte is on its way in each direction, from now
// on: bandwidth stays as it is up to 64 MiB a delay. Connecting takes no time.
func (p *Proxy) SetDelay(oneWay time.Duration) { p.delay.Store(int64(oneWay)) }

// SetRate makes all connections together pass on at most so many bytes of the
// server a second; 0 is no limit.
func (p *Proxy) SetRate(bytesPerSecond int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rate = bytesPerSecond
}

// due returns when a link of the rate has carried n bytes more.
func (p *Proxy) due(n int) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if p.rate == 0 {
		return now
	}
	if p.free.Before(now) {
		p.free = now
	}
	p.free = p.free.Add(time.Duration(n) * time.Second / time.Duration(p.rate))
	return p.free
}

// Received returns how many bytes of the server were passed on, over all
// connections since the start.
func (p *Proxy) Received() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.received
}

// CutAfter makes the connection that passes on the n-th byte of the server,
// counted from now over all connections, end with this byte. It happens once;
// an n of 0 or less takes it back.
func (p *Proxy) CutAfter(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cutAt = 0
	if n > 0 {
		p.cutAt = p.received + n
	}
}

// Freeze makes nothing pass, in either direction, until it is called with
// false. Connections stay open; new ones are accepted, and are made when that
// is over.
func (p *Proxy) Freeze(frozen bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.frozen = frozen
	close(p.changed)
	p.changed = make(chan struct{})
}

// Forget makes the connections there are carry nothing any more, for ever, and
// tells neither side: what a NAT does that was restarted. The server keeps its
// side until it gives up by itself, or until Close.
func (p *Proxy) Forget() {
	for _, c := range p.all() {
		c.forgotten.Store(true)
	}
}

// ForgetOldest does to the connection that was made first, of those that carry
// something, what Forget does to all.
func (p *Proxy) ForgetOldest() {
	if c := p.oldest(); c != nil {
		c.forgotten.Store(true)
	}
}

// Reset resets all connections there are, on both sides.
func (p *Proxy) Reset() {
	for _, c := range p.all() {
		c.end(true)
	}
}

// ResetOldest resets the connection that was made first, of those that carry
// something.
func (p *Proxy) ResetOldest() {
	if c := p.oldest(); c != nil {
		c.end(true)
	}
}

// oldest returns nil if there is none.
func (p *Proxy) oldest() (oldest *pair) {
	for _, c := range p.all() {
		if !c.forgotten.Load() && !c.left.Load() && (oldest == nil || c.number < oldest.number) {
			oldest = c
		}
	}
	return oldest
}

// Refuse makes new connections be reset at once, until it is called with false.
func (p *Proxy) Refuse(refuse bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refusing = refuse
}

// Connections returns how many connections clients have open.
func (p *Proxy) Connections() int {
	n := 0
	for _, c := range p.all() {
		if !c.left.Load() {
			n++
		}
	}
	return n
}

// Close ends all connections, and returns when nothing is left running.
func (p *Proxy) Close() error {
	p.cancel()
	err := p.listener.Close()
	for _, c := range p.all() {
		c.end(false)
	}
	p.tasks.Wait()
	return err
}

func (p *Proxy) all() []*pair {
	p.mu.Lock()
	defer p.mu.Unlock()
	pairs := make([]*pair, 0, len(p.pairs))
	for c := range p.pairs {
		pairs = append(pairs, c)
	}
	return pairs
}

func (p *Proxy) accept() {
	for {
		tcp, err := p.listener.Accept()
		if err != nil {
			return
		}
		c := &pair{proxy: p, client: tcp.(*net.TCPConn)}
		c.ctx, c.cancel = context.WithCancel(p.ctx)
		c.up, c.down = newLane(c), newLane(c)
		p.mu.Lock()
		p.accepted++
		c.number = p.accepted
		refusing := p.refusing || p.ctx.Err() != nil
		p.pairs[c] = true
		p.mu.Unlock()
		if refusing {
			c.end(true)
			continue
		}
		p.tasks.Go(c.connect) // these two end with the pair
		p.tasks.Go(func() { c.up.read(c.client) })
	}
}

// count notes that n bytes of the server are passed on. If a cut is due, it
// returns how many of them still are, and true.
func (p *Proxy) count(n int) (allowed int, cut bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cutAt > 0 && p.received+int64(n) >= p.cutAt {
		n, cut = int(p.cutAt-p.received), true
		p.cutAt = 0
	}
	p.received += int64(n)
	return n, cut
}
