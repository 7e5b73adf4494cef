package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"storagesrv/storage"
)

// send lets http.ServeContent answer with rec, and checks that the body it
// promised is the body it wrote: ServeContent drops errors.
//
// The body is sent when ServeContent has returned. What is on the stack is there
// for as long as somebody listens: with what ServeContent and package io hold below,
// it would be 16 KiB for each, and not 8.
func (s *Server) send(w *response, r *http.Request, rec *recording) (err error) {
	s.streams.Add(1)
	defer s.streams.Add(-1)
	listening := s.listen(r, rec)
	defer func() { listening.end(err, s.draining.Load()) }()
	content := s.newContent(r, rec, listening)
	defer content.close()
	out := s.newSender(w, r, rec, listening)
	http.ServeContent(out, r, "", rec.lastModified(), content)
	out.sendDue(content)
	return s.outcome(r, out, content)
}

func (s *Server) newContent(r *http.Request, rec *recording, listening *listening) *content {
	return &content{recording: rec, elsewhere: func(tried []storage.Place) (*recording, error) { return s.elsewhere(r.Context(), rec, tried) }, took: listening.took}
}

// outcome counts what was sent, and returns why it is not all that was to be.
func (s *Server) outcome(r *http.Request, out *sender, content *content) error {
	store := content.place.Store
	switch {
	case out.kept != 0 || out.listening.refused != nil:
		return cmp.Or(out.listening.refused, out.inVain(r.Context(), content.failure()))
	case out.status >= 300:
		return nil // no bytes of the recording
	}
	s.metrics.bytes.WithLabelValues(store).Add(float64(out.written))
	promised, err := strconv.ParseInt(out.Header().Get("Content-Length"), 10, 64)
	if err != nil || r.Method == http.MethodHead || out.written == promised {
		content.tell()
		return nil
	}
	broken := &brokenBody{written: out.written, promised: promised}
	broken.cause, broken.ours = out.cause(r.Context(), content.failure())
	if broken.ours && !out.hung() { // which was counted when it was cut
		s.metrics.truncated.WithLabelValues(store).Inc()
	}
	return broken
}

// A brokenBody is the error of a body that ended before it was complete.
type brokenBody struct {
	written, promised int64
	cause             error
	ours              bool // the storage failed, and not the client
}

func (b *brokenBody) Error() string {
	who := "the client left"
	if b.ours {
		who = "the storage failed"
	}
	return fmt.Sprintf("%s after %d of %d bytes: %v", who, b.written, b.promised, b.cause)
}

func (b *brokenBody) Unwrap() error { return b.cause }

// A sender is a ResponseWriter for one recording. The write deadline moves on
// with every write that gets anywhere. A mounted file goes to the kernel's
// sendfile where the connection allows it.
type sender struct {
	*response
	renewed   time.Time // when the deadline was last moved
	bodied    bool      // the request is none for a header alone
	kept      int       // the status, until the first bytes are there
	due       int64     // how much is to be sent when http.ServeContent has returned
	plain     bool      // HTTP/1 without TLS, on a connection that is known: sendfile works
	secure    bool      // HTTP/1 over TLS, on a connection that is known
	begun     bool      // the header was written, before what the kernel sends
	shared    bool      // HTTP/2: the deadline is that of a stream
	writing   atomic.Bool
	firstByte func() // told once, before the first byte of a body
	writeErr  error  // the first error of writing to the client
	readErr   error  // the error of sendfile that is not the client's

	rec       *recording
	listening *listening

	conn  *conn // nil if it is not known
	watch *hangWatch
	cut   func() // told when the kernel hangs in a mount
}

func (s *Server) newSender(w *response, r *http.Request, rec *recording, listening *listening) *sender {
	conn := connOf(r.Context())
	alone := conn != nil && r.ProtoMajor == 1
	return &sender{response: w, rec: rec, listening: listening, bodied: r.Method != http.MethodHead, plain: alone && r.TLS == nil, secure: alone && r.TLS != nil, shared: r.ProtoMajor > 1,
		conn: conn, watch: &s.watch, cut: func() { s.cutHanging(r.Context(), rec) },
		firstByte: s.metrics.firstByte(rec.place.Store, recordOf(r.Context()).start)}
}

// WriteHeader keeps the status of a body until its first bytes are there: what
// fails before that is answered as a problem.
func (s *sender) WriteHeader(status int) {
	if status < 300 && s.bodied {
		s.kept = status
		return
	}
	if status >= 400 { // to what was asked, and not of the recording
		s.Header().Set("Cache-Control", "no-store")
		s.Header().Del("Content-Disposition")
	}
	if status == http.StatusPreconditionFailed {
		s.Header().Del("Content-Type")
	}
	s.response.WriteHeader(status)
}

// start is called when there are bytes to write. It writes the status, unless the
// audit may not have it.
func (s *sender) start() error {
	if s.kept == 0 {
		return s.listening.refused
	}
	s.rec.arrived()
	if err := s.listening.begin(); err != nil {
		return err
	}
	s.response.WriteHeader(s.kept)
	s.kept, s.renewed = 0, time.Now()
	return nil
}

// inVain is the error of a recording whose first bytes did not come. readErr is
// what reading the content by hand failed with.
func (s *sender) inVain(ctx context.Context, readErr error) error {
	cause, ours := s.cause(ctx, readErr)
	if !ours {
		return cause
	}
	mark := unreadable
	if s.rec.fetched != nil {
		mark = unfetched
	}
	return cmp.Or(s.rec.late(), mark(cause))
}

// renew moves the deadline, unless it moved a moment ago: then it is good enough.
func (s *sender) renew() {
	if now := time.Now(); now.Sub(s.renewed) > s.stall/16 {
		s.renewed = now
		s.extend()
	}
	if s.firstByte != nil && s.status < 300 {
		s.firstByte()
		s.firstByte = nil
	}
}

// Write writes little at a time: a deadline covers one write, in which a slow
// client has to take all of it.
func (s *sender) Write(p []byte) (n int, err error) {
	if err := s.start(); err != nil {
		return 0, err
	}
	for len(p) > mostAtOnce && err == nil {
		var m int
		m, err = s.write(p[:mostAtOnce])
		n, p = n+m, p[mostAtOnce:]
	}
	if err != nil {
		return n, err
	}
	m, err := s.write(p)
	return n + m, err
}

const (
	mostAtOnce = 64 << 10
	oneRecord  = 16 << 10
)

func (s *sender) write(p []byte) (int, error) {
	s.renew()
	s.writing.Store(true)
	n, err := s.writeTogether(p)
	s.writing.Store(false)
	if s.shared {
		s.renew() // it covers the storage's time too: an excuse is not to come late
	}
	if err != nil && s.writeErr == nil {
		s.writeErr = err
	}
	return n, err
}

// writeTogether writes p, and lets the records of TLS that it becomes, and a
// header before them, travel together: each is a write of its own.
func (s *sender) writeTogether(p []byte) (int, error) {
	if s.secure && len(p) > oneRecord {
		s.conn.hold(true)
		defer s.conn.push()
	}
	return s.response.Write(p)
}

// ReadFrom is what io.CopyN of http.ServeContent calls. Bytes of the recording, which
// stand where they begin, are sent by sendDue; those of several ranges, at once.
func (s *sender) ReadFrom(src io.Reader) (int64, error) {
	if limited, ok := src.(*io.LimitedReader); ok {
		if _, ok := limited.R.(*content); ok {
			s.due = limited.N
			return s.due, nil
		}
	}
	if s.shared {
		defer s.excuse().end()
	}
	return copyByHand(s, src)
}

// sendDue sends the body that ServeContent has left. What became of it is in s.
func (s *sender) sendDue(content *content) {
	n := s.due
	if n == 0 {
		return
	}
	if s.shared {
		defer s.excuse().end()
	}
	content.expect(n)
	file, ok := content.File.(mountedFile)
	switch mounted := ok && content.here(); {
	case mounted && s.plain && n > byHand(file) && file.Sendable():
		s.sendfile(content, file, n)
	case mounted && (s.plain || s.secure) && n <= atOnce:
		s.sendAtOnce(content, n)
	default:
		content.writeTo(s, n)
	}
}

// copyByHand copies without a look at what else w and src can do.
func copyByHand(w io.Writer, src io.Reader) (int64, error) {
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	return io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{src}, *buffer)
}

// buffers hold what is copied by hand; 32 KiB is what one SFTP packet carries.
var buffers = sync.Pool{New: func() any {
	buffer := make([]byte, 32<<10)
	return &buffer
}}

// cause says why a body is incomplete, and whether the storage is to blame.
// readErr is what reading the content by hand failed with.
func (s *sender) cause(ctx context.Context, readErr error) (cause error, ours bool) {
	for _, err := range []error{s.readErr, readErr} {
		if err != nil && !errors.Is(err, context.Canceled) {
			return err, true
		}
	}
	switch {
	case errors.Is(s.writeErr, os.ErrDeadlineExceeded):
		return fmt.Errorf("took nothing for %v", s.stall), false
	case s.writeErr != nil:
		return s.writeErr, false
	case ctx.Err() != nil:
		return ctx.Err(), false
	}
	return io.ErrUnexpectedEOF, true
}
