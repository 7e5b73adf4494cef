package sftp

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"storagesrv/storage"
)

const (
	// busy is how many bytes may be under way on a connection before another
	// one is dialed to share the load.
	busy = 512 << 10

	// superfluousAfter is how long a connection must have been idle to be
	// ended, as long as there is another.
	superfluousAfter = time.Minute
)

// A pool hands out live connections to one server: the one that has the least
// to carry. They are dialed as they are needed: one, and more at a time while
// there is more to carry.
type pool struct {
	config Config
	dial   func(context.Context) (*conn, error)
	health *health
	ctx    context.Context // ends with the pool: dials belong to nobody else
	cancel context.CancelFunc

	mu      sync.Mutex
	tasks   sync.WaitGroup // guarded by mu: grows only while not closed
	closed  bool           // guarded by mu
	conns   []*conn        // guarded by mu: in the order they were made, dead ones until they are forgotten
	dialing []*dialing     // guarded by mu: the dials under way, the first one begun in front
	breaker breaker        // guarded by mu
}

// A dialing is a dial under way. Those who need a connection share it.
type dialing struct {
	done chan struct{} // closed when conn and err are set
	conn *conn
	err  error
}

func newPool(config Config, dial func(context.Context) (*conn, error), h *health) *pool {
	p := &pool{config: config, dial: dial, health: h, breaker: newBreaker()}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p
}

// get returns a live connection and whether it was there before. It prefers
// those that answer, and gives none of avoid. A dial that is needed goes on if
// ctx ends: others may wait for it.
func (p *pool) get(ctx context.Context, avoid ...*conn) (c *conn, reused bool, err error) {
	p.mu.Lock()
	c = p.best(avoid)
	if c != nil && !c.suspect.Load() {
		p.spread() // for those who come later
		p.mu.Unlock()
		return c, true, nil
	}
	d, err := p.join()
	p.mu.Unlock()
	switch {
	case err == nil:
	case c != nil:
		return c, true, nil // better than none
	default:
		return nil, false, err
	}
	select {
	case <-d.done:
		if d.err != nil && c != nil && c.alive() {
			return c, true, nil
		}
		return d.conn, false, d.err
	case <-ctx.Done():
		return nil, false, ctx.Err()
	}
}

// await is get for those who have time: until ctx ends, it waits for the server
// to come back. Its error is the last one of get.
func (p *pool) await(ctx context.Context) (*conn, error) {
	for {
		c, _, err := p.get(ctx)
		if err == nil || ctx.Err() != nil || p.ctx.Err() != nil || isPermanent(err) {
			return c, err
		}
		p.mu.Lock()
		wait := p.breaker.wait()
		p.mu.Unlock()
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, err
		case <-p.ctx.Done():
			return nil, err
		}
	}
}

// others returns a session on each connection that answers, carries less than
// load, and is none of avoid.
func (p *pool) others(load int64, avoid []*conn) (sessions []*session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		if c.alive() && !c.suspect.Load() && c.load.Load() < load && !slices.Contains(avoid, c) {
			sessions = append(sessions, c.first)
		}
	}
	return sessions
}

// best returns the connection with the least to carry, one that answers if
// there is any. p.mu is held.
func (p *pool) best(avoid []*conn) *conn {
	var best *conn
	for _, c := range p.conns {
		switch {
		case !c.alive() || slices.Contains(avoid, c):
		case best == nil,
			best.suspect.Load() && !c.suspect.Load(),
			best.suspect.Load() == c.suspect.Load() && c.load.Load() < best.load.Load():
			best = c
		}
	}
	return best
}

// alive returns how many connections are alive. p.mu is held.
func (p *pool) alive() int {
	n := 0
	for _, c := range p.conns {
		if c.alive() {
			n++
		}
	}
	return n
}

var errFull = fmt.Errorf("%w: all connections are in use", storage.ErrUnavailable)

// join returns the dial that is under way, or starts one if there may be
// another connection and the time has come. p.mu is held.
func (p *pool) join() (*dialing, error) {
	p.forgetDead()
	switch refusal := p.breaker.refusal(); {
	case p.closed:
		return nil, fmt.Errorf("%w: %w", storage.ErrUnavailable, errClosed)
	case len(p.dialing) > 0:
		return p.dialing[0], nil
	case refusal != nil:
		return nil, refusal
	case len(p.conns) >= p.config.Connections:
		return nil, errFull
	}
	return p.begin(), nil
}

// begin begins a dial. p.mu is held, and p is not closed.
func (p *pool) begin() *dialing {
	d := &dialing{done: make(chan struct{})}
	p.dialing = append(p.dialing, d)
	p.tasks.Go(func() { p.serve(d) }) // ends with the connection, which close severs
	return d
}

// grow dials as many connections as what is under way would fill.
func (p *pool) grow() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.spread()
}

// spread is grow with p.mu held.
func (p *pool) spread() {
	if p.closed || p.breaker.refusal() != nil {
		return
	}
	p.forgetDead()
	load := int64(0)
	for _, c := range p.conns {
		load += c.load.Load()
	}
	if load < busy {
		return
	}
	for want := min(1+int(load/busy), p.config.Connections); len(p.conns)+len(p.dialing) < want; {
		p.begin()
	}
}

// serve dials, and tends the connection until its end.
func (p *pool) serve(d *dialing) {
	c, err := p.dial(p.ctx)
	p.mu.Lock()
	p.dialing = slices.DeleteFunc(p.dialing, func(other *dialing) bool { return other == d })
	p.dialed(c, err)
	p.mu.Unlock()
	p.report(err)
	d.conn, d.err = c, err
	close(d.done)
	if err != nil {
		return
	}
	c.serve(p.config.Keepalive, func() bool { return p.retire(c) })
	p.mu.Lock()
	p.forgetDead()
	p.mu.Unlock()
	switch cause := c.failure(time.Now()); {
	case p.ctx.Err() != nil:
	case c.retired():
		p.config.Logger.Info("sftp connection ended", "address", p.config.Address, "reason", errRetired)
	default:
		p.config.Logger.Warn("sftp connection ended", "address", p.config.Address, "error", cause)
	}
}

// retire ends c if it is idle and not the only one. It returns whether it did.
func (p *pool) retire(c *conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.alive() < 2 || !c.idleFor(superfluousAfter) {
		return false
	}
	c.sever(errRetired) // with mu held: each of two would take the other for the one that stays
	return true
}

// dialed takes up what came of a dial. p.mu is held.
func (p *pool) dialed(c *conn, err error) {
	if err != nil {
		p.breaker.failed(err)
		if p.alive() == 0 {
			p.health.down(err)
		}
		return
	}
	p.breaker.dialed(c)
	p.conns = append(p.conns, c)
	p.health.up()
	if p.closed {
		c.sever(errClosed)
	}
}

// report tells the outside how a dial ended.
func (p *pool) report(err error) {
	if err == nil {
		p.config.OnDial("ok")
		p.config.Logger.Info("sftp connected", "address", p.config.Address)
		return
	}
	if p.ctx.Err() != nil {
		return
	}
	if e := (*dialError)(nil); errors.As(err, &e) {
		p.config.OnDial(e.result)
	}
	p.config.Logger.Warn("sftp dial failed", "address", p.config.Address, "error", err)
}

// forgetDead drops the connections that have ended. p.mu is held.
func (p *pool) forgetDead() {
	p.conns = slices.DeleteFunc(p.conns, func(c *conn) bool {
		if c.alive() {
			return false
		}
		if !c.retired() {
			lost := c.failure(time.Now())
			p.breaker.lost(c, lost)
			if p.alive() == 0 {
				p.health.down(lost)
			}
		}
		return true
	})
}

// size returns how many connections are alive.
func (p *pool) size() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.alive()
}

// spawn runs task on a goroutine that close waits for. It returns false if the
// pool is closed.
func (p *pool) spawn(task func()) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.tasks.Go(task)
	return true
}

var errClosed = errors.New("the store is closed")

// close severs all there is and returns when nothing is left running.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	p.cancel()
	for _, c := range p.conns {
		c.sever(errClosed)
	}
	p.mu.Unlock()
	p.tasks.Wait()
}
