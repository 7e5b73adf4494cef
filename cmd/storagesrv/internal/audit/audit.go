// Package audit writes down who played what, as JSON lines.
//
// A listener who begins is written down as started before the first byte, and
// as played when nothing was sent to it for a while: the ranges that a player
// asks for are one playback.
//
//	log, err := audit.Open(audit.Config{File: "/var/log/storagesrv/audit.jsonl", Quiet: 30 * time.Second})
//	...
//	playback, err := log.Begin(ctx, listener, requestID, size)
//	playback.Took(0, 65536) // as the client takes them
//	playback.End(audit.Sent)
//	...
//	log.Close() // writes down who is still listening
//
// A nil *Log audits nothing, and so does a nil *Playback.
package audit

import (
	"cmp"
	"container/list"
	"errors"
	"io"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Config is what a Log needs. Quiet is required.
type Config struct {
	File   string        // is appended to, and made with mode 0640; "" = Stdout
	Stdout io.Writer     // what lines are written to without a File
	Quiet  time.Duration // requests of a listener that are closer than this are one playback

	// Required makes Begin fail when the listener cannot be written down.
	// Lines are then synced to the disk; otherwise they are left to the
	// kernel, and only a crash of the machine loses them.
	Required bool

	// Patience is how long the disk may take before it counts as one that hangs,
	// and a listener waits for it at most; 0 means 5 s if Required, else 1 s.
	Patience time.Duration

	MaxOpen int          // listeners kept in memory, besides those being sent to; 0 means 20,000
	Log     *slog.Logger // nil: nothing is logged

	Wrote   func(event string, lines int) // told of lines that were written; may be nil
	Dropped func(event string, lines int) // told of lines that were given up; may be nil
	Failed  func()                        // told when lines could not be written for now; may be nil
}

// ErrUnavailable: a required line cannot be written now.
var ErrUnavailable = errors.New("the audit cannot be written")

const (
	// strangersAtOnce and strangersPerSecond are how many refusals of callers
	// whom nobody knows are written down: who needs no credential to fill a disk
	// could stop all playback with it. All of them are in the access log.
	strangersAtOnce    = 1000
	strangersPerSecond = 20

	// endTimeout is how long responses may take to end that were cut, when a
	// Log is closed.
	endTimeout = time.Second
	// patienceRequired and patienceOptional are Config.Patience.
	patienceRequired = 5 * time.Second
	patienceOptional = time.Second
	// closeTimeout is how long the last lines may take to be written; Patience if
	// that is more.
	closeTimeout = 5 * time.Second
)

// A Log writes down who plays what. It is safe for concurrent use.
type Log struct {
	config    Config
	writer    *writer
	strangers *rate.Limiter

	mu       sync.Mutex
	open     map[Listener]*listening // guarded by mu
	idle     list.List               // guarded by mu: of *listening that nothing is sent to, the longest idle first
	expiring *time.Timer             // guarded by mu: for the first of idle; nil when there is none
	running  int                     // guarded by mu: responses under way
	closed   bool                    // guarded by mu
	over     chan struct{}           // closed when closed and no response is under way
}

// Open returns a Log, which is to be closed. The error is that a required file
// cannot be written; a file that is not required may become writable later.
func Open(c Config) (*Log, error) {
	c.MaxOpen = cmp.Or(c.MaxOpen, 20_000)
	if c.Patience == 0 {
		c.Patience = patience(c.Required)
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Wrote == nil {
		c.Wrote = func(string, int) {}
	}
	if c.Dropped == nil {
		c.Dropped = func(string, int) {}
	}
	if c.Failed == nil {
		c.Failed = func() {}
	}
	l := &Log{
		config:    c,
		writer:    newWriter(c),
		strangers: rate.NewLimiter(strangersPerSecond, strangersAtOnce),
		open:      make(map[Listener]*listening),
		over:      make(chan struct{}),
	}
	if err := l.writer.Reopen(); err != nil && c.Required {
		l.Close()
		return nil, err
	}
	return l, nil
}

func patience(required bool) time.Duration {
	if required {
		return patienceRequired
	}
	return patienceOptional
}

// Health says whether lines can be written.
type Health struct {
	Required bool
	Up       bool      // whether the last try succeeded, and none hangs
	Since    time.Time // when Up last changed
	Reason   string    // why it is down, for an operator's eyes only; "" when up
}

// Health waits for nothing. A file that failed, and that nobody came to be written
// to since, is up again when it can be opened.
func (l *Log) Health() Health {
	if l == nil {
		return Health{Up: true}
	}
	return l.writer.health()
}

// Reopen opens the file again, after it was moved away. No line is lost.
func (l *Log) Reopen() error {
	if l == nil {
		return nil
	}
	return l.writer.Reopen()
}

// Refuse writes down that a request was refused, with a problem's name.
func (l *Log) Refuse(who Listener, requestID, problem string) {
	if l == nil {
		return
	}
	who = who.clipped()
	if who.isStranger() && !l.strangers.Allow() {
		l.config.Dropped(refused, 1)
		return
	}
	l.writer.enqueue(newLine(refused, record{Time: stamp(time.Now()), Listener: who, Outcome: clip(problem), RequestIDs: []string{clip(requestID)}}))
}

// Close writes down all who are still listening, and closes the file. Lines
// that cannot be written are logged instead.
func (l *Log) Close() error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	l.endIfOver()
	l.mu.Unlock()
	select {
	case <-l.over:
	case <-time.After(endTimeout):
	}
	l.mu.Lock()
	if l.expiring != nil {
		l.expiring.Stop()
	}
	for _, e := range l.open {
		l.finish(e)
	}
	l.mu.Unlock()
	return l.writer.Close()
}

// endIfOver is called with l.mu held.
func (l *Log) endIfOver() {
	if l.closed && l.running == 0 {
		select {
		case <-l.over:
		default:
			close(l.over)
		}
	}
}
