package storage

import "time"

// What follows is called with Cache.mu held.

// isCurrent reports whether the handle is what the next Open goes on with.
func (h *handle) isCurrent() bool {
	return h.store.cache.current[handleKey{h.store, h.name}] == h
}

// forget makes the next Open open the file anew.
func (h *handle) forget() {
	if h.isCurrent() {
		delete(h.store.cache.current, handleKey{h.store, h.name})
	}
	h.leave()
}

// leave puts the handle to rest when nobody uses it, or shuts it if it would
// not be used again. One that is being opened rests like others: whoever left
// too early may come again.
func (h *handle) leave() {
	c := h.store.cache
	switch {
	case h.users > 0 || h.closed:
		return
	case !h.isCurrent() || h.file != nil && !h.settled:
		h.shut()
		return
	case h.rest != nil:
		return
	}
	h.rest = c.idle.PushBack(h)
	h.expiry = time.AfterFunc(idleTime, func() { c.expire(h) })
	if c.idle.Len() > maxIdle {
		c.idle.Front().Value.(*handle).shut()
	}
}

// wake ends the handle's rest.
func (h *handle) wake() {
	if h.rest != nil {
		h.store.cache.idle.Remove(h.rest)
		h.expiry.Stop()
		h.rest, h.expiry = nil, nil
	}
}

// shut closes the file, and ends what runs on it.
func (h *handle) shut() {
	if h.closed {
		return
	}
	c := h.store.cache
	h.closed = true
	h.wake()
	if h.isCurrent() {
		delete(c.current, handleKey{h.store, h.name})
	}
	delete(c.handles, h)
	h.cancel()
	if h.file != nil {
		c.running.Go(func() { h.file.Close() }) // nobody could do anything about an error
	}
}

// expire is called without Cache.mu.
func (c *Cache) expire(h *handle) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if h.rest != nil {
		h.shut()
	}
}
