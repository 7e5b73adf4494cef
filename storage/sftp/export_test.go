package sftp

import (
	"sync"
	"sync/atomic"
	"time"

	"storagesrv/storage"
)

// Age makes it as if so much time had passed since connections were used.
func Age(s *Store, d time.Duration) {
	for _, c := range conns(s) {
		c.used.Add(-int64(d / time.Second))
	}
}

// Retire does to all connections at once what each does at its keepalive, and
// returns how many were ended.
func Retire(s *Store) int {
	var ended atomic.Int32
	var all sync.WaitGroup
	for _, c := range conns(s) {
		all.Go(func() {
			if s.pool.retire(c) {
				ended.Add(1)
			}
		})
	}
	all.Wait()
	return int(ended.Load())
}

func conns(s *Store) []*conn {
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	return append([]*conn(nil), s.pool.conns...)
}

// Load returns how many bytes are under way.
func Load(s *Store) (n int64) {
	for _, c := range conns(s) {
		n += c.load.Load()
	}
	return n
}

// Spread returns on how many connections a File is open.
func Spread(file storage.File) int {
	f := file.(*File)
	f.mu.Lock()
	defer f.mu.Unlock()
	conns := make(map[*conn]bool)
	for _, h := range f.handles {
		conns[h.conn] = true
	}
	return len(conns)
}

// Sessions returns in how many sessions a File is open.
func Sessions(file storage.File) int {
	f := file.(*File)
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.handles)
}

// Alive returns how many connections are alive of those that are not forgotten,
// and how many these are.
func Alive(s *Store) (alive, all int) {
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	return s.pool.alive(), len(s.pool.conns)
}
