package sftp

import (
	"errors"
	"sync"
	"time"

	"storagesrv/storage"
)

// health is what was last seen of the server.
type health struct {
	mu   sync.Mutex
	last storage.Health // guarded by mu
}

func newHealth() *health {
	return &health{last: storage.Health{Since: time.Now(), Reason: "not connected yet"}}
}

func (h *health) up() { h.note(true, "") }

// down reports whether it is so only now.
func (h *health) down(err error) (changed bool) { return h.note(false, printable(err)) }

func (h *health) note(up bool, reason string) (changed bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if changed = h.last.Up != up; changed {
		h.last.Since = time.Now()
	}
	h.last.Up, h.last.Reason = up, reason
	return changed
}

// Health tells how the last contact with the server went. While the store is
// down it also begins a new contact, whose outcome a later call tells: a store
// that gets no requests because it is down comes back by being asked for its
// health.
func (s *Store) Health() storage.Health {
	s.health.mu.Lock()
	last := s.health.last
	s.health.mu.Unlock()
	if !last.Up && s.probing.CompareAndSwap(false, true) {
		probe := func() {
			s.contact(s.pool.ctx)
			s.probing.Store(false)
		}
		if !s.pool.spawn(probe) {
			s.probing.Store(false)
		}
	}
	return last
}

// seen notes what a request through c tells of the server's health.
func (s *Store) seen(c *conn, err error) {
	switch {
	case err == nil && c.alive():
		s.health.up()
	case errors.Is(err, errNoRoot):
		if s.health.down(err) { // which a failed dial would have told
			s.config.Logger.Warn("sftp root is missing", "address", s.config.Address, "error", err)
		}
	}
}
