package server

import "time"

// A client that took fastPiece at once, at fastRate bytes a second, is a fast one.
const (
	fastPiece = 1 << 20
	fastRate  = 8 << 20
)

// A pace is how fast a client takes the pieces of a file. The kernel may hold
// more for a fast one. If that turns slow, as a player does when it has enough,
// the kernel asks for more only after a long time: whether it takes anything is
// then told by what it acknowledges.
type pace struct {
	conn  *conn
	fast  bool
	limit int    // of what the kernel holds unsent
	acked uint64 // what it had acknowledged at the last look, once it was fast
}

// newPace is of a client that is not known yet.
func newPace(conn *conn) *pace { return &pace{conn: conn, limit: mostUnsent} }

// allow sets how much the kernel may hold. Before the last piece it is little:
// when that is sent there is room for what is written by hand, under a deadline.
func (p *pace) allow(last bool) {
	limit := mostUnsent
	if p.fast && !last {
		limit = mostUnsentFast
	}
	if limit != p.limit {
		limitUnsent(p.conn.TCPConn, limit)
		p.limit = limit
	}
}

// note judges the client by a piece that it took.
func (p *pace) note(took int64, d time.Duration) {
	p.fast = took >= fastPiece && float64(took) >= fastRate*d.Seconds()
	if p.fast {
		p.acked = acknowledged(p.conn.TCPConn)
	}
}

// moves reports whether a client that was fast once has taken anything since
// the last look, though there was no room for more.
func (p *pace) moves() bool {
	before := p.acked
	if before > 0 {
		p.acked = acknowledged(p.conn.TCPConn)
	}
	return p.acked > before
}
