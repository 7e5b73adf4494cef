package storage

import "sync"

// A Budget bounds what the read-aheads of many Files hold together, beyond the
// little that each owns. It is shared evenly among those who want more when it
// runs low. It is safe for concurrent use.
type Budget struct {
	total int64

	mu        sync.Mutex
	free      int64 // guarded by mu: bytes
	borrowers int64 // guarded by mu: how many Files hold some
}

// NewBudget returns a Budget of so many bytes.
func NewBudget(bytes int64) *Budget { return &Budget{total: bytes, free: bytes} }

// take takes n bytes for a File that has borrowed so many before, if there are
// enough. The last quarter is for those who hold less than their share.
func (b *Budget) take(n, borrowed int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	first := int64(0)
	if borrowed == 0 {
		first = 1
	}
	fair := borrowed+n <= b.total/(b.borrowers+first)
	if b.free < n || b.free-n < b.total/4 && !fair {
		return false
	}
	b.free -= n
	b.borrowers += first
	return true
}

// give returns n bytes of a File that has borrowed so many.
func (b *Budget) give(n, borrowed int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.free += n
	if borrowed == n {
		b.borrowers--
	}
}
