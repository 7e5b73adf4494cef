package spool

import "fmt"

// reserve makes room for n more bytes of a copy, by others that nobody reads if
// need be.
func (s *Spool) reserve(i *item, n int64) error {
	for {
		victim, err := s.tryReserve(i, n)
		if victim == nil {
			return err
		}
		s.dispose(victim)
	}
}

// tryReserve returns a copy to dispose of before it can be tried again, or nil.
func (s *Spool) tryReserve(i *item, n int64) (victim *item, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n <= s.config.Size-s.used { // their sum may be too large for an int64
		s.used += n
		i.reserved += n
		return nil, nil
	}
	if n <= s.config.Size-i.reserved {
		victim = s.longestIdle()
	}
	if victim == nil {
		return nil, fmt.Errorf("%w: %d more bytes do not fit beside %d of %d", ErrFull, n, s.used, s.config.Size)
	}
	s.unlist(victim)
	return victim, nil
}

// giveUpOne disposes of the copy that nobody has read for the longest. It reports
// whether there was one.
func (s *Spool) giveUpOne() bool {
	s.mu.Lock()
	victim := s.longestIdle()
	if victim != nil {
		s.unlist(victim)
	}
	s.mu.Unlock()
	if victim != nil {
		s.dispose(victim)
	}
	return victim != nil
}

// longestIdle is called with s.mu held.
func (s *Spool) longestIdle() (longest *item) {
	for _, i := range s.copies {
		if i.over && i.readers == 0 && (longest == nil || i.idleSince.Before(longest.idleSince)) {
			longest = i
		}
	}
	return longest
}

// filled notes that no more than so many bytes of a copy will come. One that
// failed is for those who have it open already.
func (s *Spool) filled(i *item, have int64, err error) {
	s.mu.Lock()
	i.over = true
	if err != nil {
		s.unlist(i) // with all that was reserved: more than have may be on disk
	} else {
		s.used -= i.reserved - have
		i.reserved = have
	}
	idle := i.readers == 0
	if idle && i.listed {
		if i.timer != nil {
			i.timer.Stop()
		}
		s.scheduleExpiry(i)
	}
	gone := idle && !i.listed
	s.mu.Unlock()
	if gone {
		s.dispose(i)
	}
}

// dispose removes a copy that is over and cannot be opened any more. Its room is
// free when its file is gone.
func (s *Spool) dispose(i *item) {
	s.mu.Lock()
	done := i.disposed
	i.disposed = true
	s.mu.Unlock()
	if done {
		return
	}
	i.mu.Lock()
	file, named := i.file, i.named
	i.mu.Unlock()
	if file != nil {
		discard(file, named)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used -= i.reserved
	i.reserved = 0
}
