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
	stuck int       // guarded by mu
	full  time.Time // guarded by mu: when all came to be stuck, the last time
}

func newSlots(n int) *slots { return &slots{taken: make(chan struct{}, n)} }

// take waits for a slot, which is to be given back.
func (s *slots) take(ctx context.Context) error {
	select {
	case s.taken <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *slots) give() { <-s.taken }

// stick notes that n more calls are stuck, or fewer.
func (s *slots) stick(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stuck += n; n > 0 && s.stuck == cap(s.taken) {
		s.full = time.Now()
	}
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
	return s.full, fmt.Errorf("%w: %d system calls hang there", storage.ErrUnavailable, s.stuck)
}
