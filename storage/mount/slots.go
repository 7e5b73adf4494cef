package mount

import (
	"context"
	"fmt"
	"sync"
	"time"

	"storagesrv/storage"
)

// slots bound how many system calls are in the kernel at once, each of which
// holds a thread, and count those that are stuck.
type slots struct {
	taken chan struct{} // holds a token for each call

	mu    sync.Mutex
	stuck int           // guarded by mu
	full  chan struct{} // guarded by mu: closed while all are stuck
	since time.Time     // guarded by mu: when all came to be stuck, the last time
}

func newSlots(n int) *slots {
	return &slots{taken: make(chan struct{}, n), full: make(chan struct{})}
}

// take waits for a slot, which is to be given back, until ctx ends or full is
// closed.
func (s *slots) take(ctx context.Context, full <-chan struct{}) error {
	select {
	case s.taken <- struct{}{}:
		return nil
	case <-full:
		return errFull
	case <-ctx.Done():
		return ctx.Err()
	}
}

// errFull is the error of those who wait when the last slot comes to be stuck.
var errFull = fmt.Errorf("%w: system calls hang there", storage.ErrUnavailable)

func (s *slots) give() { <-s.taken }

// stick notes that one more call is stuck, or one fewer.
func (s *slots) stick(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, most := s.stuck, cap(s.taken)
	s.stuck += n
	switch {
	case before < most && s.stuck == most:
		s.since = time.Now()
		close(s.full)
	case before == most && s.stuck < most:
		s.full = make(chan struct{})
	}
}

// filled returns what is closed when all slots hold a call that is stuck.
func (s *slots) filled() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.full
}

// sticking returns how many calls are stuck.
func (s *slots) sticking() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stuck
}

// refusal is the error of whoever comes while all slots hold a call that is
// stuck, which they have since then.
func (s *slots) refusal() (since time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stuck < cap(s.taken) {
		return time.Time{}, nil
	}
	return s.since, fmt.Errorf("%w: %d system calls hang there", storage.ErrUnavailable, s.stuck)
}
