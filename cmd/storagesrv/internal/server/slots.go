package server

import "sync"

// slots bound how many recordings are sent at a time: to all, and to each client.
type slots struct {
	most, mostEach int // 0 = any number

	// mu guards what follows.
	mu    sync.Mutex
	taken int
	each  map[string]int // by client; nobody is in it with 0
}

// take takes a slot for a client, until free is called. Clients called "" are
// not counted as one.
func (s *slots) take(client string) (free func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.most > 0 && s.taken >= s.most:
		return nil, tooManyStreams
	case s.mostEach > 0 && client != "" && s.each[client] >= s.mostEach:
		return nil, tooManyStreamsOfOne
	}
	s.taken++
	if client != "" {
		s.each[client]++
	}
	return func() { s.free(client) }, nil
}

func (s *slots) free(client string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken--
	if client == "" {
		return
	}
	if s.each[client]--; s.each[client] == 0 {
		delete(s.each, client)
	}
}
