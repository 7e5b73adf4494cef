package mount

import (
	"os"
	"sync"
)

// A closer closes files on one goroutine, because close(2) too can hang on a
// dead mount: there it holds one thread, and the other files wait.
type closer struct {
	mu      sync.Mutex
	queue   []*os.File // guarded by mu
	running bool       // guarded by mu: a goroutine works on the queue
}

// close closes file soon. An error would be nobody's business: nothing was written.
func (c *closer) close(file *os.File) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue = append(c.queue, file)
	if !c.running {
		c.running = true
		go c.work() // ends with its system calls, when the queue is empty
	}
}

func (c *closer) work() {
	for {
		c.mu.Lock()
		if len(c.queue) == 0 {
			c.queue, c.running = nil, false
			c.mu.Unlock()
			return
		}
		file := c.queue[0]
		c.queue = c.queue[1:]
		c.mu.Unlock()
		file.Close()
	}
}
