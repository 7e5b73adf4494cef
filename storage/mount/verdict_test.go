package mount

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"storagesrv/storage"
)

// blindPresence returns one that is told what is seen.
func blindPresence() *presence {
	c := Config{Root: "/nowhere", Timeout: 5 * time.Second, MaxStuck: 4, Logger: slog.New(slog.DiscardHandler)}
	return newPresence(c, newSlots(16), func() {})
}

var (
	up   = sight{mounted: true, device: device{fs: 1, inode: 1}}
	down = sight{err: storage.ErrUnavailable}
)

func TestWhatAnOldLookHasSeenIsNotBelieved(t *testing.T) {
	for name, c := range map[string]struct{ older, newer sight }{
		"up, then down": {up, down},
		"down, then up": {down, up},
		"another mount": {sight{mounted: true, device: device{fs: 2}}, up},
	} {
		t.Run(name, func(t *testing.T) {
			p := blindPresence()
			older, newer := p.number(), p.number()
			p.note(newer, c.newer)
			was := p.generation()
			if err := p.note(older, c.older); !errors.Is(err, c.newer.err) {
				t.Errorf("the older look is told %v", err)
			}
			if p.seen != c.newer || p.last.Up != (c.newer.err == nil) || p.generation() != was {
				t.Errorf("seen %+v, health %+v", p.seen, p.last)
			}
			p.note(p.number(), c.older)
			if p.seen != c.older || p.last.Up != (c.older.err == nil) {
				t.Errorf("after one more look: seen %+v, health %+v", p.seen, p.last)
			}
		})
	}
}

func TestAMountThatIsSeenToBeAnotherIsTheNextGeneration(t *testing.T) {
	p := blindPresence()
	p.note(1, up)
	was := p.generation()
	p.note(2, down) // which says nothing about what comes back
	p.note(3, sight{mounted: true, device: device{fs: 1, inode: 2}})
	if p.generation() != was {
		t.Error("the same file system is another generation")
	}
	p.note(4, sight{mounted: true, device: device{fs: 2, inode: 1}})
	if p.generation() == was {
		t.Error("another file system is the same generation")
	}
}

// A log that is slow is waited for by nobody who asks.
func TestNobodyWaitsForTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := blindPresence()
		writing, written := make(chan struct{}), make(chan struct{})
		p.log = slog.New(slogFunc(func() { close(writing); <-written }))
		go p.note(p.number(), down)
		<-writing
		if err := p.refusal(p.generation()); err != nil || p.last.Up || p.last.Since.IsZero() {
			t.Errorf("%v, %+v", err, p.last)
		}
		p.note(p.number(), down)
		close(written)
	})
}

// A slogFunc is called for each record.
type slogFunc func()

func (f slogFunc) Enabled(context.Context, slog.Level) bool  { return true }
func (f slogFunc) Handle(context.Context, slog.Record) error { f(); return nil }
func (f slogFunc) WithAttrs([]slog.Attr) slog.Handler        { return f }
func (f slogFunc) WithGroup(string) slog.Handler             { return f }

// A lookout lets a presence watch a mount whose looks return when they are told.
type lookout struct {
	*presence
	looks chan chan sight // of each look that begins: what it is to see
	tick  chan time.Time
}

func newLookout(ctx context.Context) *lookout {
	l := &lookout{presence: blindPresence(), looks: make(chan chan sight, 10), tick: make(chan time.Time)}
	l.see = func() sight {
		sees := make(chan sight)
		l.looks <- sees
		return <-sees
	}
	go func() {
		for ctx.Err() == nil {
			l.lookOnce(ctx, l.tick)
		}
	}()
	return l
}

// passes lets the timeout pass, and a tick.
func (l *lookout) passes() {
	time.Sleep(l.timeout)
	synctest.Wait()
	select {
	case l.tick <- time.Now():
	default:
	}
	synctest.Wait()
}

func TestALookThatHangsIsSilenceUnlessALaterOneReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		l := newLookout(ctx)
		early := l.number() // an open's own look, which is under way
		hangs := <-l.looks
		l.passes()
		silent := func() bool { return l.refusal(l.generation()) != nil }
		if l.note(early, up); !silent() || l.hanging() != 1 || l.last.Up {
			t.Errorf("an answer to what was asked before: %+v, %d hang", l.last, l.hanging())
		}
		if l.note(l.number(), up); silent() || !l.last.Up || l.hanging() != 1 {
			t.Errorf("an answer to what was asked later: %+v, %d hang", l.last, l.hanging())
		}
		l.tick <- time.Now()
		synctest.Wait()
		next := <-l.looks // the watch goes on
		next <- down
		synctest.Wait()
		hangs <- up
		synctest.Wait()
		if l.last.Up || l.hanging() != 0 {
			t.Errorf("when the first one returns: %+v, %d hang", l.last, l.hanging())
		}
		// One whose mount has answered another meanwhile does not say that it is silent.
		hangs = <-l.looks
		l.note(l.number(), up)
		if l.passes(); silent() || !l.last.Up || l.hanging() != 1 {
			t.Errorf("a look that was overtaken: %+v, %d hang", l.last, l.hanging())
		}
		hangs <- down
		cancel()
		next = <-l.looks
		next <- up
	})
}
