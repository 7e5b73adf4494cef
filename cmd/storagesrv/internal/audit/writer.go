package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

const (
	retryEvery  = time.Second // while lines cannot be written
	remindEvery = time.Minute // of that, in the log

	// mostQueued bounds, in bytes, what waits to be written: as much as all
	// those leave behind who are in memory. Half of it is for lines that tell of
	// playbacks alone.
	mostQueued = 32 << 20
	// mostAtOnce is how many bytes one system call appends.
	mostAtOnce = 64 << 10
)

// A sink is where lines are appended. One goroutine uses it.
type sink interface {
	// write appends lines, and returns how many bytes of them stay; fewer than
	// all only with an error.
	write(lines []byte) (int, error)
	// reopen begins anew with what is now called what the sink was called.
	reopen() error
	close() error
}

var (
	errSilent = errors.New("the disk does not answer")
	errFull   = errors.New("too many lines wait to be written")
)

// A writer appends lines to a sink, in order, by a goroutine of its own, so that
// a sink that hangs keeps nobody waiting for ever. What cannot be written is
// kept for later, but for started lines that are required: those do not start.
type writer struct {
	config Config
	sink   sink

	wake    chan struct{}   // holds one token when there is something to write
	reopens chan chan error // answered when the sink was reopened
	closing chan struct{}   // closed by Close
	ended   chan struct{}   // closed when the goroutine has ended

	mu       sync.Mutex
	queue    []*line   // guarded by mu: to be written
	size     int       // guarded by mu: bytes of queue
	since    time.Time // guarded by mu: when the sink began what it is at; zero if it waits for us
	failure  error     // guarded by mu: why the last try was in vain; nil if it was not
	turned   time.Time // guarded by mu: when that was another than before
	reported time.Time // guarded by mu: when that was logged last
	closed   bool      // guarded by mu
}

func newWriter(c Config) *writer {
	w := &writer{
		config:  c,
		sink:    &stream{w: c.Stdout},
		wake:    make(chan struct{}, 1),
		reopens: make(chan chan error),
		closing: make(chan struct{}),
		ended:   make(chan struct{}),
		turned:  time.Now(),
	}
	if c.File != "" {
		w.sink = &file{path: c.File, sync: c.Required, log: c.Log}
	}
	go w.run() // until Close
	return w
}

// enqueue hands over a line. An error is that it will never be written.
func (w *writer) enqueue(l *line) error {
	w.mu.Lock()
	mayWrite, err := w.put(l)
	w.mu.Unlock()
	if err != nil {
		w.config.Dropped(l.event, 1)
		return err
	}
	if mayWrite {
		select {
		case w.wake <- struct{}{}:
		default: // it knows
		}
	}
	return nil
}

// put is called with w.mu held. It reports whether the line is worth a try now.
func (w *writer) put(l *line) (mayWrite bool, err error) {
	most, needed := mostQueued/2, l.event == started && w.config.Required
	if l.event == played {
		most = mostQueued
	}
	switch {
	case w.closed:
		return false, errClosed
	case needed && w.hangs():
		return false, errSilent
	case w.size+len(l.text) > most:
		return false, errFull
	}
	w.queue = append(w.queue, l)
	w.size += len(l.text)
	return needed || w.failure == nil, nil
}

// hangs is called with w.mu held.
func (w *writer) hangs() bool { return !w.since.IsZero() && time.Since(w.since) >= w.config.Patience }

// await waits until a line was tried, and returns what came of it.
func (w *writer) await(ctx context.Context, l *line) error {
	select {
	case <-l.done:
		return l.err
	default:
	}
	w.mu.Lock()
	hopeless := w.hangs() || w.failure != nil && !w.config.Required
	w.mu.Unlock()
	if hopeless {
		return errSilent
	}
	patience := time.NewTimer(w.config.Patience)
	defer patience.Stop()
	select {
	case <-l.done:
		return l.err
	case <-ctx.Done():
		return ctx.Err()
	case <-patience.C:
		w.report(errSilent)
		return errSilent
	}
}

// Reopen makes the sink begin anew.
func (w *writer) Reopen() error {
	answer, late := make(chan error, 1), time.After(w.config.Patience)
	select {
	case w.reopens <- answer:
	case <-w.ended:
		return errClosed
	case <-late:
		w.report(errSilent)
		return errSilent
	}
	select {
	case err := <-answer:
		return err
	case <-late:
		w.report(errSilent)
		return errSilent
	}
}

// Close writes what there is and ends the goroutine. What cannot be written in
// time is logged.
func (w *writer) Close() error {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	close(w.closing)
	select {
	case <-w.ended:
	case <-time.After(max(closeTimeout, w.config.Patience)): // it hangs, and ends with the process
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, l := range w.queue {
		w.config.Log.Error("an audit line could not be written", "line", string(l.text[:len(l.text)-1]))
		w.config.Dropped(l.event, 1)
	}
	if n := len(w.queue); n > 0 {
		return fmt.Errorf("%d audit lines could not be written", n)
	}
	return nil
}

func (w *writer) run() {
	defer close(w.ended)
	var retry <-chan time.Time
	for {
		closing := false
		select {
		case <-w.wake:
		case <-retry:
		case answer := <-w.reopens:
			answer <- w.reopen()
		case <-w.closing:
			closing = true
		}
		retry = nil
		if !w.flush() || !w.revive() {
			retry = time.After(retryEvery)
		}
		if closing {
			w.sink.close() // what it held was written, or it was an error
			return
		}
	}
}

func (w *writer) reopen() error {
	w.busy(time.Now())
	err := w.sink.reopen()
	w.busy(time.Time{})
	if err != nil {
		w.mu.Lock()
		w.note(err)
		w.mu.Unlock()
		w.report(err)
	}
	return err
}

func (w *writer) busy(since time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.note(w.failure) // it may have hung
	w.since = since
}

// note notes what came of a try. w.mu is held, and since is when it began.
func (w *writer) note(err error) {
	if w.hangs() || (err == nil) != (w.failure == nil) {
		w.turned = time.Now()
	}
	w.failure = err
}

// revive reports whether all is well when there is nothing to write. If it was
// not, it can only be seen whether the sink opens: nobody may come to be written
// down, where those are kept away who would be in vain.
func (w *writer) revive() bool {
	w.mu.Lock()
	isWell := w.failure == nil
	w.mu.Unlock()
	if isWell {
		return true
	}
	w.busy(time.Now())
	err := w.sink.reopen()
	w.busy(time.Time{})
	w.mu.Lock()
	w.note(err)
	w.mu.Unlock()
	if err == nil {
		w.recovered()
	}
	return err == nil
}

// recovered tells that lines can be written again.
func (w *writer) recovered() {
	w.mu.Lock()
	w.reported = time.Time{}
	w.mu.Unlock()
	w.config.Log.Info("the audit is written again")
}

func (w *writer) health() Health {
	w.mu.Lock()
	defer w.mu.Unlock()
	h := Health{Required: w.config.Required, Up: true, Since: w.turned}
	if w.hangs() {
		h.Up, h.Since, h.Reason = false, w.since, errSilent.Error()
	} else if w.failure != nil {
		h.Up, h.Reason = false, w.failure.Error()
	}
	return h
}

// flush writes all lines, or reports that it cannot.
func (w *writer) flush() bool {
	var text []byte
	for {
		batch := w.take()
		if len(batch) == 0 {
			return true
		}
		text = text[:0]
		for _, l := range batch {
			text = append(text, l.text...)
		}
		n, err := w.sink.write(text)
		w.wrote(batch, n, err)
		if err != nil {
			return false
		}
	}
}

// take returns lines to write at once. They stay in the queue.
func (w *writer) take() []*line {
	w.mu.Lock()
	defer w.mu.Unlock()
	n, size := 0, 0
	for n < len(w.queue) && (n == 0 || size+len(w.queue[n].text) <= mostAtOnce) {
		size += len(w.queue[n].text)
		n++
	}
	if n > 0 {
		w.since = time.Now()
	}
	return w.queue[:n:n]
}

// wrote settles a batch of which n bytes were written.
func (w *writer) wrote(batch []*line, n int, err error) {
	if err != nil {
		w.report(err) // before anybody is told
	}
	w.mu.Lock()
	recovered := err == nil && w.failure != nil
	w.note(err)
	w.since = time.Time{}
	events := make(map[string]int)
	done := 0
	for ; done < len(batch) && n >= len(batch[done].text)-1; done++ { // the sink makes up for a newline
		n -= len(batch[done].text)
		events[batch[done].event]++
		w.size -= len(batch[done].text)
		batch[done].settle(nil)
	}
	clear(w.queue[:done])
	w.queue = w.queue[done:]
	dropped := 0
	if err != nil {
		dropped = w.disappoint(err)
	}
	w.mu.Unlock()

	for event, n := range events {
		w.config.Wrote(event, n)
	}
	if dropped > 0 {
		w.config.Dropped(started, dropped)
	}
	if recovered {
		w.recovered()
	}
}

// disappoint tells all who wait that their lines could not be written. w.mu is
// held. It returns how many lines were given up.
func (w *writer) disappoint(err error) (dropped int) {
	var kept []*line
	for _, l := range w.queue {
		if l.settle(err); l.event == started && w.config.Required {
			w.size -= len(l.text)
			dropped++
			continue
		}
		kept = append(kept, l)
	}
	w.queue = kept
	return dropped
}

// report counts a failure, and logs it now and then.
func (w *writer) report(err error) {
	w.config.Failed()
	w.mu.Lock()
	now := time.Now()
	due := now.Sub(w.reported) >= remindEvery
	if due {
		w.reported = now
	}
	w.mu.Unlock()
	if due {
		w.config.Log.Warn("the audit cannot be written", slog.Any("error", err), slog.Bool("required", w.config.Required))
	}
}
