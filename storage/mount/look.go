package mount

import "time"

// mostHanging is how many looks may hang: each but one in a mount that was
// replaced, or that has answered another since.
const mostHanging = 4

// A look is one look at the root, on a goroutine that ends with its system calls.
type look struct {
	number int
	done   chan struct{} // closed when what was seen is noted
	began  time.Time
	table  string // what was mounted there when it began
	hangs  bool   // guarded by presence.mu
}

// number returns that of a look that begins.
func (p *presence) number() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.begun++
	return p.begun
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
	p.begun++
	l := &look{number: p.begun, done: make(chan struct{}), began: time.Now(), table: table}
	p.looking = l
	go func() {
		defer close(l.done)
		seen := p.see()
		p.end(l)
		p.note(l.number, seen)
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

func (p *presence) end(l *look) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l.hangs {
		p.hung--
	}
	if p.looking == l {
		p.looking = nil
	}
}

// overdue notes that a look hangs, and so does the mount, unless it has answered
// one that began later.
func (p *presence) overdue(l *look) {
	p.mu.Lock()
	if p.looking != l {
		p.mu.Unlock()
		return
	}
	l.hangs = true
	p.hung++
	if p.noted > l.number {
		p.mu.Unlock()
		return
	}
	p.silent, p.noted = true, l.number-1
	tell := p.conclude(p.silence())
	p.mu.Unlock()
	tell()
	p.gone()
}

// isPast reports whether nothing is to be learned from a look that hangs: the
// mount has answered another, or is there no more.
func (p *presence) isPast(l *look) bool {
	p.mu.Lock()
	overtaken := p.noted > l.number
	p.mu.Unlock()
	return overtaken || p.table() != l.table
}

// abandon lets another look begin while l hangs, whose outcome is old.
func (p *presence) abandon(l *look) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.looking == l {
		p.looking = nil
		p.noted = max(p.noted, l.number)
	}
}
