package sftptest

import (
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// Faults are what a [Server] does wrong. The zero value is a server in order.
type Faults struct {
	// Frozen: nothing more is read or written, on connections old and new.
	Frozen bool
	// FreezeAfter, if above zero, is how many pieces the server still sends,
	// over all connections, before it is Frozen: see [Server.Sent].
	FreezeAfter int
	// FreezeOne: it is only the connection that sends the last piece which
	// freezes then, for good.
	FreezeOne bool
	// HoldAt is where new connections stop until the fault is over.
	HoldAt Stage
	// RefuseAuth: nobody may log in.
	RefuseAuth bool
	// RefuseSFTP: there is no such subsystem.
	RefuseSFTP bool
	// Chatter is sent before the first SFTP packet, as shells do whose
	// profile prints something.
	Chatter string

	// Latency is added to all that the server sends.
	Latency time.Duration
	// Jitter is how much later each SFTP answer is sent at most, so that they
	// overtake each other.
	Jitter time.Duration
	// MaxRead is how many bytes a READ is answered with at most.
	MaxRead int
	// FailAt and EndAt are where READ fails, or says that the file ends.
	FailAt, EndAt int64
	// ExtraSize is added to the size of each file.
	ExtraSize int64
	// LstatFollows: LSTAT tells of what a link leads to, as ProFTPD's does.
	LstatFollows bool
	// HangAt is a path, as clients see it, to which no request is answered.
	HangAt string
	// Answer replaces each SFTP answer, a packet without its length: type,
	// request id, and what depends on the type. Nothing is sent if it returns nil.
	Answer func(packet []byte) []byte
}

// A Stage is one of the steps to an SFTP session.
type Stage string

// The stages in order.
const (
	BeforeBanner  Stage = "before banner"
	InKeyExchange Stage = "in key exchange"
	InAuth        Stage = "in authentication"
	InSubsystem   Stage = "in subsystem"
)

// Set replaces the faults, from now on and for all connections.
func (s *Server) Set(faults Faults) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = faults
	s.announce()
}

// announce tells those who wait that the faults have changed. s.mu is held.
func (s *Server) announce() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// Frozen reports whether the fault Frozen holds.
func (s *Server) Frozen() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.faults.Frozen
}

// Sent returns how many pieces were sent since the start, over all connections.
// A piece is the banner, or an SSH packet, or a part of a large one.
func (s *Server) Sent() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sent
}

// noteSent notes that l has sent a piece, which may be the last for a while.
func (s *Server) noteSent(l *link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent++
	if s.faults.FreezeAfter--; s.faults.FreezeAfter != 0 {
		return
	}
	if s.faults.FreezeOne {
		l.frozen = true
	} else {
		s.faults.Frozen = true
	}
	s.announce()
}

// A link is a connection's server side, with faults.
type link struct {
	net.Conn
	server *Server
	queue  chan delayed
	done   chan struct{}
	once   sync.Once
	frozen bool // guarded by the server's mu: for good
}

type delayed struct {
	bytes []byte
	due   time.Time
}

// newLink returns a link over tcp. What is written waits in a queue, so that
// latency delays and does not slow down.
func newLink(s *Server, tcp net.Conn) *link {
	l := &link{Conn: tcp, server: s, queue: make(chan delayed, 4096), done: make(chan struct{})}
	s.tasks.Go(l.send) // ends with the link
	return l
}

func (l *link) Read(p []byte) (int, error) {
	n, err := l.Conn.Read(p)
	l.hold(func(f Faults) bool { return f.Frozen })
	return n, err
}

func (l *link) Write(p []byte) (int, error) {
	select {
	case l.queue <- delayed{append([]byte(nil), p...), time.Now().Add(l.faults().Latency)}:
		return len(p), nil
	case <-l.done:
		return 0, net.ErrClosed
	}
}

func (l *link) send() {
	defer l.Conn.Close()
	for banner := true; ; banner = false {
		var next delayed
		select {
		case next = <-l.queue:
		case <-l.done:
			select {
			case next = <-l.queue: // what was written before Close
			default:
				return
			}
		}
		timer := time.NewTimer(time.Until(next.due))
		select {
		case <-timer.C:
		case <-l.done:
			timer.Stop()
		}
		l.hold(func(f Faults) bool { return f.Frozen || f.HoldAt == InKeyExchange && !banner })
		if _, err := l.Conn.Write(next.bytes); err != nil {
			return
		}
		l.server.noteSent(l)
	}
}

// Close ends the link when what was written is sent.
func (l *link) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

// kill breaks the link now.
func (l *link) kill() {
	l.Conn.Close()
	l.Close()
}

func (l *link) faults() Faults {
	l.server.mu.Lock()
	defer l.server.mu.Unlock()
	return l.faultsNow()
}

// faultsNow returns the faults of l. The server's mu is held.
func (l *link) faultsNow() Faults {
	faults := l.server.faults
	faults.Frozen = faults.Frozen || l.frozen
	return faults
}

// hold waits while faults are such that held says so, or until the link ends.
func (l *link) hold(held func(Faults) bool) {
	for {
		l.server.mu.Lock()
		faults, changed := l.faultsNow(), l.server.changed
		l.server.mu.Unlock()
		if !held(faults) {
			return
		}
		select {
		case <-changed:
		case <-l.done:
			return
		}
	}
}

func (l *link) holdAt(stage Stage) {
	l.hold(func(f Faults) bool { return f.HoldAt == stage })
}

// answers passes what an SFTP server writes through Faults.Answer, packet by
// packet.
type answers struct {
	io.ReadWriteCloser
	link    *link
	pending []byte

	mu sync.Mutex // held while a packet is sent
}

func (a *answers) Write(p []byte) (int, error) {
	a.pending = append(a.pending, p...)
	for len(a.pending) >= 4 {
		end := 4 + int(binary.BigEndian.Uint32(a.pending))
		if len(a.pending) < end {
			break
		}
		packet := a.pending[4:end:end]
		faults := a.link.faults()
		if faults.Answer != nil {
			packet = faults.Answer(packet)
		}
		if packet != nil {
			framed := append(binary.BigEndian.AppendUint32(nil, uint32(len(packet))), packet...)
			if err := a.send(framed, faults.Jitter); err != nil {
				return 0, err
			}
		}
		a.pending = append([]byte(nil), a.pending[end:]...)
	}
	return len(p), nil
}

// send sends a packet now, or within jitter if there is any.
func (a *answers) send(packet []byte, jitter time.Duration) error {
	if jitter <= 0 {
		a.mu.Lock()
		defer a.mu.Unlock()
		_, err := a.ReadWriteCloser.Write(packet)
		return err
	}
	// pkg/sftp writes from a goroutine that it does not wait for.
	a.link.server.spawn(func() { // ends with the link, or before
		select {
		case <-time.After(rand.N(jitter)):
			a.send(packet, 0)
		case <-a.link.done:
		}
	})
	return nil
}
