package server

import (
	"sync"
	"time"
)

// An excuse moves the write deadline on while a sender writes nothing, because
// its storage takes time to come back: over HTTP/2 a deadline ends a stream even
// then.
type excuse struct {
	sender *sender

	mu    sync.Mutex
	timer *time.Timer // guarded by mu: nil at the end
}

// excuse is to be followed by end, before the handler returns.
func (s *sender) excuse() *excuse {
	e := &excuse{sender: s}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.timer = time.AfterFunc(s.stall/4, e.extend)
	return e
}

func (e *excuse) extend() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.timer == nil {
		return
	}
	if !e.sender.writing.Load() {
		e.sender.extend()
	}
	e.timer.Reset(e.sender.stall / 4)
}

func (e *excuse) end() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.timer.Stop()
	e.timer = nil
}
