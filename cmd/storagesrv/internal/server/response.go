package server

import (
	"io"
	"net/http"
	"time"
)

// A response notes what is answered. What a *conn sends past it, it is told of by
// passed.
//
// A client may take as long as it likes, but one that takes nothing for the
// stall timeout is cut. The deadline is set with the header; who writes more
// than fits into a buffer moves it on.
type response struct {
	http.ResponseWriter
	stall   time.Duration
	status  int   // 0 until the header is written
	written int64 // bytes of the body
}

func (w *response) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
		w.extend()
	}
	w.ResponseWriter.WriteHeader(status)
}

// extend gives the client until the stall timeout to take what was written.
func (w *response) extend() {
	// It fails only where there is no connection to cut.
	http.NewResponseController(w.ResponseWriter).SetWriteDeadline(time.Now().Add(w.stall))
}

func (w *response) Write(p []byte) (int, error) {
	w.begin()
	n, err := w.ResponseWriter.Write(p)
	w.written += int64(n)
	return n, err
}

// passed notes n bytes of the body that went past net/http.
func (w *response) passed(n int64) {
	io.Copy(w.ResponseWriter, passed(n)) // a *conn returns no error
	w.written += n
}

// begin writes the header that net/http would.
func (w *response) begin() {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
}

// Unwrap serves http.ResponseController.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }
