package mount

import (
	"io"
	"sync"
)

// A closer closes files one after the other, because close(2) too can hang on a
// dead mount: there it holds one thread, and the other files wait. They do not
// wait for one that hangs in a mount that answers otherwise.
type closer struct {
	guard *guard

	mu     sync.Mutex
	queue  []io.Closer // guarded by mu
	worker *worker     // guarded by mu: who works on the queue, or nil
}

// A worker is a goroutine that closes files.
type worker struct {
	before uint64 // how many calls had returned when it began with a file
	stuck  bool   // guarded by closer.mu: it takes long over that
}

// close closes file soon. An error would be nobody's business: nothing was written.
func (c *closer) close(file io.Closer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue = append(c.queue, file)
	c.start()
}

// start has the queue worked on: by another worker if there is one who is stuck,
// though the mount has answered since. c.mu is held.
func (c *closer) start() {
	if w := c.worker; len(c.queue) == 0 || w != nil && !(w.stuck && c.guard.returned.Load() > w.before) {
		return
	}
	c.worker = new(worker)
	go c.work(c.worker) // ends with its system calls, when the queue is empty
}

func (c *closer) work(w *worker) {
	for file := c.next(w); file != nil; file = c.next(w) {
		c.guard.awaitSlot()
		w.before = c.guard.returned.Load()
		c.guard.run(func() { file.Close() }, func() { c.stick(w) })
	}
}

// next returns what w is to close, or nil if nothing is left or another one
// works on that.
func (c *closer) next(w *worker) io.Closer {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.worker != w {
		return nil
	}
	w.stuck = false
	if len(c.queue) == 0 {
		c.queue, c.worker = nil, nil
		return nil
	}
	file := c.queue[0]
	c.queue = c.queue[1:]
	return file
}

func (c *closer) stick(w *worker) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w.stuck = true
	c.start()
}
