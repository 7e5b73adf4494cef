package sftp

import (
	"sync/atomic"
	"time"
)

const (
	// checkEvery is how much is read, and for how long, before the server is
	// asked again whether the file is still the same.
	checkEvery = 4 << 20
	checkAfter = time.Second
)

// A check tells when to ask whether a file is still what was opened: between
// pieces, and at the end. The question travels with a read, and costs no round
// trip.
type check struct {
	bytes atomic.Int64 // read since the last one
	last  atomic.Int64 // when that was, in Unix nanoseconds
}

// began notes that the file was asked about right now.
func (c *check) began() {
	c.bytes.Store(0)
	c.last.Store(time.Now().UnixNano())
}

// due reports whether to ask with the read of a span of a file of this size.
func (c *check) due(at span, size int64) bool {
	if c.bytes.Add(at.length) < checkEvery && at.end() < size && time.Since(time.Unix(0, c.last.Load())) < checkAfter {
		return false
	}
	c.began()
	return true
}
