package media

import (
	"container/list"
	"io"
	"sync"
	"time"
)

// A Key is one state of one file: bytes that change without size or
// modification time are not noticed.
type Key struct {
	Store, Path string
	Size        int64
	ModTime     time.Time
}

// Verdicts remembers what Identify found. It is safe for concurrent use.
type Verdicts struct {
	limit int

	// mu guards what is below. It is not held while a recording is read.
	mu      sync.Mutex
	entries map[Key]*list.Element
	recent  *list.List // of *entry, the last used first
}

// An entry is what is known of a Key.
type entry struct {
	key       Key
	firstSeen time.Time // zero = not asked yet

	judged bool
	format Format
	err    error
}

// NewVerdicts returns an empty memory of at most limit keys, at least one; the
// least recently used go first.
func NewVerdicts(limit int) *Verdicts {
	return &Verdicts{limit: max(limit, 1), entries: make(map[Key]*list.Element), recent: list.New()}
}

// Identify returns the verdict on k, asking the function Identify about r and
// k.Size if there is none yet. ErrUnrecognized, ErrEncrypted and ErrEmpty are
// verdicts; other errors are not remembered. Callers that come at once may
// each read.
func (v *Verdicts) Identify(k Key, r io.ReaderAt) (Format, error) {
	if known := v.lookup(k); known.judged {
		return known.format, known.err
	}
	f, err := Identify(r, k.Size)
	if err == nil || isVerdict(err) {
		v.update(k, func(e *entry) { e.judged, e.format, e.err = true, f, err })
	}
	return f, err
}

// FirstSeen returns when k was first asked for here: now, the first time. A
// key that was forgotten is new again.
func (v *Verdicts) FirstSeen(k Key, now time.Time) (first time.Time) {
	v.update(k, func(e *entry) {
		if e.firstSeen.IsZero() {
			e.firstSeen = now
		}
		first = e.firstSeen
	})
	return first
}

func (v *Verdicts) lookup(k Key) (known entry) {
	v.update(k, func(e *entry) { known = *e })
	return known
}

// update calls change with the entry of k, a new one if need be.
func (v *Verdicts) update(k Key, change func(*entry)) {
	k.ModTime = k.ModTime.Round(0).UTC() // the same instant is the same key
	v.mu.Lock()
	defer v.mu.Unlock()
	at, ok := v.entries[k]
	if !ok {
		if len(v.entries) >= v.limit {
			oldest := v.recent.Back()
			delete(v.entries, v.recent.Remove(oldest).(*entry).key)
		}
		at = v.recent.PushFront(&entry{key: k})
		v.entries[k] = at
	}
	v.recent.MoveToFront(at)
	change(at.Value.(*entry))
}
