package metadatatest

import (
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

// A Fault makes something go wrong with the answer of next, the recorder.
type Fault func(next http.Handler) http.Handler

// wrap returns answer with the fault, if there is one.
func (f Fault) wrap(answer http.HandlerFunc) http.Handler {
	if f == nil {
		return answer
	}
	return f(answer)
}

// instead returns a fault that never asks the recorder.
func instead(f http.HandlerFunc) Fault {
	return func(http.Handler) http.Handler { return f }
}

// Delay answers after d, unless the client leaves first.
func Delay(d time.Duration) Fault {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-time.After(d):
				next.ServeHTTP(w, r)
			case <-r.Context().Done():
			}
		})
	}
}

// Hang answers when release is closed, unless the client leaves first; nil
// means never.
func Hang(release <-chan struct{}) Fault {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-release:
				next.ServeHTTP(w, r)
			case <-r.Context().Done():
			}
		})
	}
}

// Times is fault for the first n requests, then all is well.
func Times(n int, fault Fault) Fault {
	var requests atomic.Int64
	return func(next http.Handler) http.Handler {
		if requests.Add(1) > int64(n) {
			return next
		}
		return fault(next)
	}
}

// Status answers with a status and a body that is no JSON.
func Status(code int, body string) Fault {
	return instead(func(w http.ResponseWriter, r *http.Request) { http.Error(w, body, code) })
}

// RetryAfter is Status with that header: seconds or a date.
func RetryAfter(code int, value string) Fault {
	return instead(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", value)
		http.Error(w, "busy", code)
	})
}

// Body answers 200 with a body: invalid JSON, another call, a page of HTML.
func Body(contentType, body string) Fault {
	return instead(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", contentType)
		io.WriteString(w, body)
	})
}

// Redirect sends the client to a login page.
func Redirect(url string) Fault {
	return instead(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, url, http.StatusFound) })
}

// Reset breaks the connection (RST) before an answer.
func Reset() Fault {
	return instead(func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err) // HTTP/2, which has no connection to break
		}
		defer conn.Close()
		if c, ok := conn.(*tls.Conn); ok {
			conn = c.NetConn()
		}
		if c, ok := conn.(*net.TCPConn); ok {
			c.SetLinger(0)
		}
	})
}

// Truncate breaks the connection in the middle of the answer.
func Truncate() Fault {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c := &capture{ResponseWriter: w}
			next.ServeHTTP(c, r)
			body := c.body.Bytes()
			w.Header().Set("Content-Length", strconv.Itoa(len(body)))
			w.WriteHeader(c.code())
			w.Write(body[:len(body)/2])
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		})
	}
}

// HangAfter sends the first n bytes of the answer's body, and no more until
// release is closed or the client leaves; nil means never.
func HangAfter(n int, release <-chan struct{}) Fault {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body := record(next, w, r)
			n := min(n, len(body))
			w.Write(body[:n])
			w.(http.Flusher).Flush()
			select {
			case <-release:
				w.Write(body[n:])
			case <-r.Context().Done():
			}
		})
	}
}

// Header sets a field of the answer's header to what it is not.
func Header(name, value string) Fault {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c := &capture{ResponseWriter: w}
			next.ServeHTTP(c, r)
			w.Header().Set(name, value)
			w.WriteHeader(c.code())
			w.Write(c.body.Bytes())
		})
	}
}

// Drip sends the answer byte by byte, one each interval.
func Drip(interval time.Duration) Fault {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for _, b := range record(next, w, r) {
				w.Write([]byte{b})
				w.(http.Flusher).Flush()
				select {
				case <-time.After(interval):
				case <-r.Context().Done():
					return
				}
			}
		})
	}
}

// Endless answers with a JSON string that has no end.
func Endless() Fault {
	return instead(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.Copy(w, io.MultiReader(bytes.NewReader([]byte(`{"call":"`)), letters{}))
	})
}

// GzipBomb is Endless in a thousandth of the bytes.
func GzipBomb() Fault {
	return instead(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Encoding", "gzip")
		w.Write(zip([]byte(`{"call":"`)))
		charge := zip(bytes.Repeat([]byte("a"), 1<<20))
		for r.Context().Err() == nil {
			w.Write(charge)
		}
	})
}

// zip returns a gzip member; any number of them one after another is a stream.
func zip(data []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write(data)
	w.Close()
	return b.Bytes()
}

// letters is a reader without an end.
type letters struct{}

func (letters) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'a'
	}
	return len(p), nil
}

// A capture keeps the body that a handler writes, and its status.
type capture struct {
	http.ResponseWriter
	body   bytes.Buffer
	status int
}

func (c *capture) Write(p []byte) (int, error) { return c.body.Write(p) }

func (c *capture) WriteHeader(status int) { c.status = status }

func (c *capture) code() int {
	if c.status == 0 {
		return http.StatusOK
	}
	return c.status
}

// record returns the body that next would send. It sets its header on w, and its
// status, if that is another than 200.
func record(next http.Handler, w http.ResponseWriter, r *http.Request) []byte {
	c := &capture{ResponseWriter: w}
	next.ServeHTTP(c, r)
	if c.code() != http.StatusOK {
		w.WriteHeader(c.code())
	}
	return c.body.Bytes()
}
