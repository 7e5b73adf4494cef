package audit

import (
	"container/list"
	"strings"
	"sync"
	"time"
)

// A Listener is who listens to what. Requests that agree in all of it are one
// listener's.
type Listener struct {
	Who    string `json:"who"`    // "" if nobody said
	Via    string `json:"via"`    // how it was let in; "" if it was not
	Client string `json:"client"` // its address
	CallID string `json:"call_id"`
	FileID string `json:"file_id"`
}

// clipped returns a Listener that is bounded.
func (w Listener) clipped() Listener {
	return Listener{clip(w.Who), clip(w.Via), clip(w.Client), clip(w.CallID), clip(w.FileID)}
}

// clone returns a Listener that does not keep alive what its strings were cut
// out of, which may be all of a request.
func (w Listener) clone() Listener {
	return Listener{strings.Clone(w.Who), strings.Clone(w.Via), strings.Clone(w.Client), strings.Clone(w.CallID), strings.Clone(w.FileID)}
}

// isStranger reports whether anybody could be this listener.
func (w Listener) isStranger() bool { return w.Via == "" || w.Via == "anonymous" }

// A listening is a playback of a listener that may go on.
type listening struct {
	Listener
	began   time.Time
	started *line // what says so

	// The Log's mu guards these.
	running int           // responses under way
	place   *list.Element // among the idle; nil while something is sent
	until   time.Time     // when it will have been quiet for long enough

	mu         sync.Mutex
	size       int64     // guarded by mu: of the recording, at the last request
	bytes      int64     // guarded by mu
	got        spans     // guarded by mu
	furthest   int64     // guarded by mu: the end of what was sent
	redirected bool      // guarded by mu
	last       Ending    // guarded by mu: of the response that ended last
	ended      time.Time // guarded by mu: when that was
	ids        ids       // guarded by mu
}

// join notes a request for the recording, of so many bytes.
func (e *listening) join(requestID string, size int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.size = size
	e.ids.add(requestID)
}

func (e *listening) took(offset, n int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.bytes += n
	e.got.add(offset, offset+n)
	e.furthest = max(e.furthest, offset+n)
}

func (e *listening) leave(how Ending, now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.last, e.ended = how, now
	e.redirected = e.redirected || how == Redirected
}

// played returns what is written down of the playback. One that has not ended
// is cut now.
func (e *listening) played(now time.Time) record {
	if e.running > 0 {
		e.leave(Cut, now)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return record{
		Time:     stamp(e.ended),
		Listener: e.Listener,
		progress: &progress{Bytes: e.bytes, Furthest: e.furthest, Duration: e.ended.Sub(e.began).Milliseconds()},
		Outcome:  e.outcome(), RequestIDs: e.ids.list(),
	}
}

// outcome is called with e.mu held.
func (e *listening) outcome() string {
	switch {
	case e.got.cover(e.size):
		return "complete"
	case e.redirected:
		return "redirected"
	case e.last == Cut:
		return "cut"
	}
	return "partial"
}

// ids are the first and last ids of requests, 8 each.
type ids struct{ first, last []string }

const idsEach = 8

func (i *ids) add(id string) {
	id = strings.Clone(clip(id))
	if len(i.first) < idsEach {
		i.first = append(i.first, id)
		return
	}
	if len(i.last) == idsEach {
		i.last = append(i.last[:0], i.last[1:]...)
	}
	i.last = append(i.last, id)
}

func (i *ids) list() []string { return append(i.first[:len(i.first):len(i.first)], i.last...) }
