package mount

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"storagesrv/storage"
)

const (
	// lookEvery is how often the root is looked at, and knownFor how long what
	// was seen is believed.
	lookEvery = time.Second
	knownFor  = 2 * time.Second

	// healthPatience is how long a look may take for a question for health to
	// wait for it, and firstPatience how long the first one may: metrics of all
	// stores are asked for together.
	healthPatience = 20 * time.Millisecond
	firstPatience  = time.Second
)

// A presence knows whether the mount is there, and which one. It looks at the
// root at each interval, and at once when something happens to it on our side.
// Looks may end in another order than they began in: what is known is what the
// one that began last has seen.
type presence struct {
	root    string
	marker  string
	timeout time.Duration
	log     *slog.Logger
	see     func() sight                // takes a look, and may hang
	next    func(fs uint64) *generation // begins one
	gone    func()                      // told when open files may be of a mount that has gone

	cancel context.CancelFunc
	tasks  sync.WaitGroup // the watch: looks end with their system calls

	mu      sync.Mutex
	begun   int            // guarded by mu: how many looks have
	noted   int            // guarded by mu: the number of the one that is known of, those before being old
	looking *look          // guarded by mu: the look that is under way and is waited for, or nil
	hung    int            // guarded by mu: looks that take longer than timeout
	silent  bool           // guarded by mu: the mount does not answer
	seen    sight          // guarded by mu: what was seen last
	at      time.Time      // guarded by mu: when that was
	mounted bool           // guarded by mu: the root was a mount point once
	now     *generation    // guarded by mu
	last    storage.Health // guarded by mu
}

// newPresence returns one that knows nothing yet. gone is told of open files that
// may be of a mount that has gone.
func newPresence(c Config, all *slots, gone func()) *presence {
	p := &presence{root: c.Root, marker: c.Marker, timeout: c.Timeout, log: c.Logger, gone: gone}
	p.see = func() sight { return see(c.Root, c.Marker) }
	p.next = func(fs uint64) *generation { return newGeneration(fs, c, all) }
	p.now = p.next(0)
	return p
}

// begin begins to watch, until close.
func (p *presence) begin() {
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	p.tasks.Go(func() { p.watch(ctx) }) // ends with close
}

func (p *presence) close() {
	p.cancel()
	p.tasks.Wait()
}

// generation returns the mount that is there, as it was seen last.
func (p *presence) generation() *generation {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now
}

// sight returns what was seen last.
func (p *presence) sight() sight {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen
}

// hanging returns how many looks hang.
func (p *presence) hanging() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hung
}

// refusal is the error of whoever comes to a mount while it is known to hang.
func (p *presence) refusal(g *generation) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.silent && g == p.now {
		return p.silence()
	}
	return nil
}

// silence is the error of a mount that does not answer.
func (p *presence) silence() error {
	return fmt.Errorf("%w: %s has not answered for %v", storage.ErrUnavailable, p.root, p.timeout)
}

// confirm returns why the mount is not there, as it was seen a moment ago or is
// seen now. It may hang in system calls.
func (p *presence) confirm() error {
	p.mu.Lock()
	known := p.seen.err == nil && time.Since(p.at) < knownFor
	p.mu.Unlock()
	if known {
		return nil
	}
	return p.check()
}

// check looks at the mount now, and returns why it is not there. It may hang in
// system calls.
func (p *presence) check() error {
	n := p.number()
	return p.note(n, p.see())
}

// health tells what is known, after a look if that does not take long.
func (p *presence) health() storage.Health {
	l := p.look()
	patience := firstPatience
	if p.known() {
		patience = healthPatience
	}
	timer := time.NewTimer(time.Until(l.began.Add(patience)))
	defer timer.Stop()
	select {
	case <-l.done:
	case <-timer.C:
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last.Since.IsZero() {
		return storage.Health{Since: l.began, Reason: p.root + " has not answered yet"}
	}
	return p.last
}

// known reports whether anything is known of the mount.
func (p *presence) known() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.last.Since.IsZero()
}
