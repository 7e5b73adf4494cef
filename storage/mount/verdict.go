package mount

import (
	"fmt"
	"time"

	"storagesrv/storage"
)

// note records what the look of this number has seen, unless a later one is
// known of. It returns why the mount is not there.
func (p *presence) note(number int, seen sight) error {
	p.mu.Lock()
	if number <= p.noted {
		defer p.mu.Unlock()
		return p.verdict()
	}
	if seen.err == nil && p.mounted && !seen.mounted && p.marker == "" {
		seen.err = fmt.Errorf("%w: nothing is mounted at %s any more", storage.ErrUnavailable, p.root)
	}
	gone := seen.err != nil || !p.at.IsZero() && seen.device != p.seen.device
	p.noted, p.seen, p.at, p.silent = number, seen, time.Now(), false
	if seen.err == nil {
		p.enter(seen)
	}
	tell := p.conclude(seen.err)
	p.mu.Unlock()
	tell()
	if gone {
		p.gone()
	}
	return seen.err
}

// verdict is why the mount is not there, as far as is known. p.mu is held.
func (p *presence) verdict() error {
	if p.silent {
		return p.silence()
	}
	return p.seen.err
}

// enter notes which mount is there. p.mu is held.
func (p *presence) enter(seen sight) {
	p.mounted = p.mounted || seen.mounted
	switch fs := seen.device.fs; {
	case fs == p.now.fs:
	case p.now.fs == 0 && p.now.guard.slots.sticking() == 0:
		p.now.fs = fs
	default:
		p.now = p.next(fs)
	}
	p.now.local.Store(seen.local)
}

// conclude keeps how the mount is, and returns what is to be called without
// p.mu, which is held: it logs what has changed.
func (p *presence) conclude(err error) (tell func()) {
	was, now := p.last, storage.Health{Up: err == nil, Since: time.Now()}
	if err != nil {
		now.Reason = err.Error()
	}
	first := was.Since.IsZero()
	if !first && now.Up == was.Up {
		p.last.Reason = now.Reason
		return func() {}
	}
	p.last = now
	switch {
	case !now.Up:
		return func() { p.log.Warn("a mount is down", "root", p.root, "reason", now.Reason) }
	case !first:
		down := now.Since.Sub(was.Since).Round(time.Millisecond)
		return func() { p.log.Info("a mount is back", "root", p.root, "down_for", down.String()) }
	}
	return func() {}
}
