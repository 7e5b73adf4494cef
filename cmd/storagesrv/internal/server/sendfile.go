package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"

	"storagesrv/storage"
)

// A mountedFile is a storage.File of a mount or a disk.
type mountedFile interface {
	storage.File
	// Sendable reports whether the kernel may send it.
	Sendable() bool
	// OSFile is what the kernel sends; it sets the position.
	OSFile() *os.File
	// Timeout is how long one system call on the file may take; 0 if it is on
	// a disk of this machine, where none hangs.
	Timeout() time.Duration
	// Prepare makes the kernel fetch bytes that are to be sent, and waits for
	// the last of them, for Timeout at most.
	Prepare(offset, n int64) error
	// CountHung is told of n more sendfiles of the file that hang, or fewer.
	CountHung(n int)
	// Check returns an error if the file is not what was opened any more.
	Check() error
	// Renew opens the file again after an error of reading it.
	Renew(err error) error
}

const (
	// atOnce is how much of a mount is read at once and written by hand: waiting
	// once costs less than what a sendfile needs. On a local disk that is less
	// than atOnceHere.
	atOnce     = 64 << 10
	atOnceHere = 16 << 10

	// firstPiece is how much sendfile is given at first, and largestPiece at
	// most. A deadline covers one piece, and a client too slow for it gets
	// another as long as it took something.
	firstPiece   = 256 << 10
	largestPiece = 4 << 20

	// largestRemotePiece is less, because those who listen to one recording on
	// a mount wait for each other's pieces.
	largestRemotePiece = 1 << 20

	// lastBytes is how much of a body is held back, at least, until it is known
	// that the file has not changed.
	lastBytes = 4 << 10
)

// byHand is how much of file is read at once and written by hand.
func byHand(file mountedFile) int64 {
	if file.Timeout() > 0 {
		return atOnce
	}
	return atOnceHere
}

// sendfile has the kernel send n bytes of a mounted file. The last ones are read,
// where that could hang.
func (s *sender) sendfile(content *content, file mountedFile, n int64) {
	byKernel := n
	if file.Timeout() > 0 {
		byKernel -= lastBytes
	}
	sent, err := s.sendPieces(content, file, byKernel)
	switch {
	case err == nil && sent < n:
		s.sendAtOnce(content, n-sent)
	case err != nil && s.writeErr == nil && s.readErr == nil:
		s.orElsewhere(content, n-sent, err)
	}
}

// check looks whether the file is still what it was when it was opened.
func (s *sender) check(content *content) error {
	if !content.settled {
		return nil
	}
	err := content.File.(mountedFile).Check()
	if errors.Is(err, storage.ErrChanged) { // nor is it elsewhere, after what was sent
		s.readErr = err
	}
	return err
}

// orElsewhere sends n bytes from another store, when the mount has failed with err.
func (s *sender) orElsewhere(content *content, n int64, err error) {
	if !content.move(err) {
		s.readErr = err
		return
	}
	content.writeTo(s, n)
}

var bodies = sync.Pool{New: func() any {
	buffer := make([]byte, atOnce)
	return &buffer
}}

// sendAtOnce reads n bytes and writes them, once it is known that the file is
// still what it was: a body with bytes of two versions is not completed.
func (s *sender) sendAtOnce(content *content, n int64) {
	buffer := bodies.Get().(*[]byte)
	defer bodies.Put(buffer)
	body := (*buffer)[:n]
	if got, err := content.File.ReadAt(body, content.position()); int64(got) < n {
		s.orElsewhere(content, n, orUnexpectedEnd(err))
		return
	}
	switch err := s.check(content); {
	case s.readErr != nil: // it is said why not
	case err != nil:
		s.orElsewhere(content, n, err)
	default:
		content.skip(int64(s.writeAtOnce(body)))
	}
}

// writeAtOnce writes a body, or the rest of one, together with its header if that
// was not written yet. It returns how much; an error is in s.
func (s *sender) writeAtOnce(body []byte) (n int) {
	if s.secure {
		n, _ = s.Write(body)
		return n
	}
	if s.start() != nil {
		return 0
	}
	s.renew()
	s.conn.gather()
	if s.writeErr = s.begin(); s.writeErr == nil {
		n, s.writeErr = s.conn.writeBody(body)
		s.passed(int64(n))
	}
	return n
}

// orUnexpectedEnd is what a file that is shorter than it was fails with.
func orUnexpectedEnd(err error) error {
	if err == nil || err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// sendPieces has the kernel send n bytes of a mounted file.
func (s *sender) sendPieces(content *content, file mountedFile, n int64) (sent int64, err error) {
	piece, most, held := int64(firstPiece), int64(largestRemotePiece), int64(0)
	if file.Timeout() == 0 {
		piece, most, held = largestPiece, largestPiece, lastBytes
	}
	pace := newPace(s.conn)
	defer pace.allow(true)
	renewed := int64(-1) // where the file was opened again last
	for sent < n {
		if sent > 0 {
			if err := s.check(content); err != nil {
				return sent, err
			}
		}
		pace.allow(n-sent <= piece)
		next := n - sent
		if next > held {
			next -= held
		}
		start := time.Now()
		took, err := s.sendPiece(content, file, min(piece, next))
		sent += took
		pace.note(took, time.Since(start))
		piece = min(2*piece, most)
		switch {
		case err == nil:
		case errors.Is(s.writeErr, os.ErrDeadlineExceeded) && pace.moves():
			s.writeErr, s.renewed = nil, time.Time{}
		case s.writeErr != nil:
			return sent, err
		case sent == renewed: // it is no better than before
			return sent, err
		default:
			if err = file.Renew(err); err != nil {
				return sent, err
			}
			renewed = sent
		}
	}
	return sent, nil
}

// sendPiece has the kernel send up to n bytes. An error is the file's unless
// s.writeErr is set. It sends less without one to a client that is slow.
func (s *sender) sendPiece(content *content, file mountedFile, n int64) (int64, error) {
	offset := content.position()
	if err := file.Prepare(offset, n); err != nil {
		return 0, err
	}
	if s.writeErr = s.beginHeld(); s.writeErr != nil {
		return 0, s.writeErr
	}
	s.renew() // what the mount took its time for is not held against the client
	send := s.watch.begin(s.conn.TCPConn, file, s.cut)
	took, err := s.conn.sendFile(file.OSFile(), offset, n)
	hung := send.end()
	s.passed(took)
	content.skip(took)
	switch {
	case hung:
		s.readErr = errHangs
		s.writeErr = errHangs
		return took, errHangs
	case errors.Is(err, os.ErrDeadlineExceeded) && took > 0:
		s.renewed = time.Time{}
		return took, nil
	case err != nil && isClients(s.conn.TCPConn, err):
		s.writeErr = err
		return took, err
	case err != nil:
		return took, err
	case took < n:
		return took, io.ErrUnexpectedEOF // the file is shorter than it was
	}
	return took, nil
}

// beginHeld is begin for what the kernel sends next. From here on a write that gets
// anywhere is one of the file's bytes: with the header still in a buffer, bytes that
// got no further would count.
func (s *sender) beginHeld() error {
	if s.begun {
		return nil
	}
	s.begun = true
	if err := s.start(); err != nil {
		return err
	}
	s.conn.hold(true)
	defer s.conn.hold(false)
	return s.begin()
}

// begin writes the header, if it was not written yet.
func (s *sender) begin() error {
	s.response.begin()
	return http.NewResponseController(s.response).Flush()
}

// isClients reports whether an error of copying from a file to a connection is
// the connection's. A file can fail with the same ones, as ETIMEDOUT is what an
// NFS server that is gone is told by: it is the connection's if that is in order
// no more.
func isClients(conn *net.TCPConn, err error) bool {
	if errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded) {
		return true
	}
	if yes, known := stands(conn); known {
		return !yes
	}
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.ETIMEDOUT)
}

// errHangs is why a listener was freed whose recording the kernel hangs in.
var errHangs = fmt.Errorf("%w: the kernel hangs in the mount", storage.ErrUnavailable)

// hung reports whether the kernel has hung in the mount.
func (s *sender) hung() bool { return errors.Is(s.readErr, errHangs) }

// cutHanging counts and logs a body that was cut while the kernel hangs in its
// mount: the request's own record comes when it returns, if ever.
func (s *Server) cutHanging(ctx context.Context, rec *recording) {
	s.metrics.truncated.WithLabelValues(rec.place.Store).Inc()
	r := recordOf(ctx)
	s.log.LogAttrs(ctx, slog.LevelWarn, "a stream was cut: the kernel hangs in the mount",
		slog.String("request_id", r.requestID), slog.String("client", r.client), slog.String("call_id", r.callID), slog.String("store", rec.place.Store))
}
