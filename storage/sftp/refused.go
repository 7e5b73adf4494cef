package sftp

import (
	"sync"
	"time"
)

const (
	// refusedFor is how long a name that cost a connection is not tried again.
	refusedFor = time.Minute

	// refusedMost bounds how many such names are remembered.
	refusedMost = 1000
)

// refused remembers names whose opening cost a connection.
type refused struct {
	mu    sync.Mutex
	names map[string]refusedName // guarded by mu
}

type refusedName struct {
	reason error
	until  time.Time
}

// check returns why name is not to be tried, or nil.
func (r *refused) check(name string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if known, ok := r.names[name]; ok && time.Now().Before(known.until) {
		return known.reason
	}
	return nil
}

// add remembers name, unless there are too many.
func (r *refused) add(name string, reason error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	for name, known := range r.names {
		if now.After(known.until) {
			delete(r.names, name)
		}
	}
	if r.names == nil {
		r.names = make(map[string]refusedName)
	}
	if len(r.names) < refusedMost {
		r.names[name] = refusedName{reason, now.Add(refusedFor)}
	}
}
