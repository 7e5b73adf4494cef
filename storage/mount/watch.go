package mount

import (
	"context"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// watch looks at the root until ctx ends.
func (p *presence) watch(ctx context.Context) {
	e := newEvents(p.root, p.marker)
	p.tasks.Go(e.pass) // ends with close
	defer e.close()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		p.lookOnce(ctx, tick.C)
		e.follow(p.sight())
		select {
		case <-ctx.Done():
		case <-tick.C:
		case <-e.happened:
		}
	}
}

// lookOnce looks, and waits for the outcome: if need be, until ctx ends or
// nothing is to be learned from it any more.
func (p *presence) lookOnce(ctx context.Context, tick <-chan time.Time) {
	l := p.look()
	late := time.NewTimer(p.timeout)
	defer late.Stop()
	select {
	case <-l.done:
		return
	case <-ctx.Done():
		return
	case <-late.C:
	}
	p.overdue(l)
	for {
		select {
		case <-l.done:
			return
		case <-ctx.Done():
			return
		case <-tick:
			if p.hanging() < mostHanging && p.isPast(l) {
				p.abandon(l)
				return
			}
		}
	}
}

// events are what happens to a root on our side: it or its marker appears or
// goes, or it is unmounted. Only local directories are watched: on others, what
// is done elsewhere makes no event, and asking for events may hang.
type events struct {
	root, marker string
	happened     chan struct{}     // holds one that was not seen to yet
	watcher      *fsnotify.Watcher // nil if the system gives none: there are the looks
}

func newEvents(root, marker string) *events {
	e := &events{root: root, marker: filepath.Join(root, marker), happened: make(chan struct{}, 1)}
	e.watcher, _ = fsnotify.NewWatcher()
	return e
}

func (e *events) close() {
	if e.watcher != nil {
		e.watcher.Close()
	}
}

// pass passes on what concerns the root, until close.
func (e *events) pass() {
	if e.watcher == nil {
		return
	}
	for {
		select {
		case event, ok := <-e.watcher.Events:
			if !ok {
				return
			}
			if event.Name != e.root && event.Name != e.marker {
				continue
			}
			select {
			case e.happened <- struct{}{}:
			default:
			}
		case <-e.watcher.Errors: // events were lost, which the next look makes up for
		}
	}
}

// follow watches what can be watched by what was seen. The directories may have
// been replaced since the last time.
func (e *events) follow(seen sight) {
	if e.watcher == nil || seen.err != nil {
		return
	}
	if seen.parent {
		e.watcher.Add(filepath.Dir(e.root)) // an error is that of a directory that has gone
	}
	if seen.local {
		e.watcher.Add(e.root)
	}
}
