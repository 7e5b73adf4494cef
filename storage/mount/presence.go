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

// A presence knows whether the mount is there. It looks at the root at each
// interval, and at once when something happens to it on our side.
type presence struct {
	root    string
	marker  string
	timeout time.Duration
	log     *slog.Logger
	moved   func() // told when the root is another directory than before

	cancel context.CancelFunc
	tasks  sync.WaitGroup // the watch: looks end with their system calls

	mu      sync.Mutex
	looking *look          // guarded by mu: the look that is under way, or nil
	hangs   bool           // guarded by mu: the mount does not answer
	hung    int            // guarded by mu: looks that take longer than timeout
	seen    sight          // guarded by mu: what was seen last
	at      time.Time      // guarded by mu: when that was
	mounted bool           // guarded by mu: the root was a mount point once
	last    storage.Health // guarded by mu
}

// A look is one look at the root, on a goroutine that ends with its system calls.
type look struct {
	done  chan struct{} // closed when what was seen is noted
	began time.Time
	table string // what was mounted there when it began
	hangs bool   // guarded by presence.mu
}

// watchPresence begins to watch. moved must not call back.
func watchPresence(c Config, moved func()) *presence {
	p := &presence{root: c.Root, marker: c.Marker, timeout: c.Timeout, log: c.Logger, moved: moved}
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	p.tasks.Go(func() { p.watch(ctx) }) // ends with close
	return p
}

func (p *presence) close() {
	p.cancel()
	p.tasks.Wait()
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

// refusal is the error of whoever comes while the mount is known to hang.
func (p *presence) refusal() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hangs {
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
func (p *presence) check() error { return p.note(see(p.root, p.marker)) }

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

// look begins a look, or joins the one that is under way: no more than one
// hangs in a dead mount.
func (p *presence) look() *look {
	table := p.table()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.looking != nil {
		return p.looking
	}
	l := &look{done: make(chan struct{}), began: time.Now(), table: table}
	p.looking = l
	go func() {
		defer close(l.done)
		seen := see(p.root, p.marker)
		if p.finish(l) {
			p.note(seen)
		}
	}()
	return l
}

// table returns what is mounted where the root led when it was seen last.
func (p *presence) table() string {
	target := p.sight().target
	if target == "" {
		target = p.root
	}
	return mountTable(target)
}

// finish ends a look, and reports whether its mount is still the one to know about.
func (p *presence) finish(l *look) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l.hangs {
		p.hung--
	}
	if p.looking != l {
		return false
	}
	p.looking = nil
	return true
}

// note records what was seen, and returns why the mount is not there.
func (p *presence) note(seen sight) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if seen.err == nil && p.mounted && !seen.mounted && p.marker == "" {
		seen.err = fmt.Errorf("%w: nothing is mounted at %s any more", storage.ErrUnavailable, p.root)
	}
	p.mounted = p.mounted || seen.mounted && seen.err == nil
	moved := !p.at.IsZero() && seen.device != p.seen.device
	if seen.err != nil {
		seen.kind = p.seen.kind // what is there instead tells nothing about what comes back
	}
	p.seen, p.at, p.hangs = seen, time.Now(), false
	p.tell(seen.err)
	if moved || seen.err != nil {
		p.moved()
	}
	return seen.err
}

// tell keeps and logs how the mount is. p.mu is held.
func (p *presence) tell(err error) {
	reason := ""
	if err != nil {
		reason = err.Error()
	}
	up, first := err == nil, p.last.Since.IsZero()
	switch {
	case !first && up == p.last.Up:
	case !up:
		p.log.Warn("a mount is down", "root", p.root, "reason", reason)
	case !first:
		p.log.Info("a mount is back", "root", p.root, "down_for", time.Since(p.last.Since).Round(time.Millisecond).String())
	}
	if first || up != p.last.Up {
		p.last = storage.Health{Up: up, Since: time.Now()}
	}
	p.last.Reason = reason
}

// silent notes that a look hangs.
func (p *presence) silent(l *look) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.looking != l {
		return
	}
	l.hangs, p.hangs = true, true
	p.hung++
	p.tell(p.silence())
	p.moved()
}

// abandon lets another look begin while l hangs in a mount that is there no more.
func (p *presence) abandon(l *look) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.looking == l {
		p.looking = nil
	}
}
