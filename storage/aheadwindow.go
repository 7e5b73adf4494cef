package storage

import "time"

// What follows decides how much is read ahead. It is called with f.mu held, but
// for review.

// adapt makes the window follow the reader, each time that comes for another
// fetch: it grows while the reader waits, and shrinks while the reader lags.
func (f *aheadFile) adapt() {
	switch n := len(f.queue); {
	case !f.going && f.limit-f.offset <= own:
		f.window = own + packet // all there will be, of which the first part may be short
	case !f.going:
		f.window = 1 // one read
	case n > 0 && f.queue[0].offset < f.offset:
		// The reader is not through with this one.
	case n == 0 || !f.queue[0].isDone():
		if !f.isQueueing() {
			f.window = min(max(2*f.window, own), f.trust(), most)
		}
	case f.queue[n-1].isDone():
		f.window = max(f.window-max(f.window/4, packet), own)
	}
}

// queueing is how long a fetch takes that waits behind others, and not for the
// distance, however far the store is.
const queueing = 500 * time.Millisecond

// isQueueing reports whether what is asked for waits behind what was asked for
// before, as over a slow link. More of that would make no stream faster, and
// answers late.
func (f *aheadFile) isQueueing() bool { return f.waited > queueing }

// trust is how large the window may be. A reader that waits is not always far
// away: over a link that is slow the window would grow with each fetch, and who
// leaves after the first 100 KB would have cost megabytes. So it stays small
// until the reader has shown that it goes on, and then in proportion to that.
// One that has said how much it wants is believed.
func (f *aheadFile) trust() int64 {
	switch {
	case f.limit < f.size:
		return most
	case f.served < 16*packet:
		return 6 * packet
	}
	return 2 * f.served
}

// step is how much one fetch asks for: little at first, so that the reader need
// not wait for more than it wants, and so that several are under way.
func (f *aheadFile) step() int64 {
	return min(max(f.window/8/packet*packet, packet), large)
}

// reviewEvery is how often a File that has borrowed looks at its reader's pace.
const reviewEvery = time.Second

// A pace is how much a reader takes.
type pace struct {
	taken  int64       // since the last review
	review *time.Timer // nil while nothing is borrowed
}

// review gives back what a reader that is slow, or pauses, does not need: all
// that it asked for is there, and more than it takes in two turns.
func (f *aheadFile) review() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n := len(f.queue); n > 0 && f.queue[n-1].isDone() {
		f.trim(max(2*f.pace.taken, own))
	}
	f.pace = pace{}
	if f.loan > 0 && !f.closed {
		f.pace.review = time.AfterFunc(reviewEvery, f.review)
	}
}

// trim drops the end of what was read ahead.
func (f *aheadFile) trim(window int64) {
	f.window = min(f.window, window)
	for n := len(f.queue); n > 1 && f.held > window; n-- {
		last := f.queue[n-1]
		f.queue = f.queue[:n-1]
		f.held -= last.want
		f.release(last)
	}
}
