//go:build linux

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
	"time"
)

// clientOptions are those of newClient; the zero value is an ordinary client.
type clientOptions struct {
	from          net.IP // its own address; nil: any
	receiveBuffer int    // bytes that the kernel holds for it; 0: as it likes
	tls           *tls.Config
}

// newClient returns a client of its own, with connections of its own. It speaks
// HTTP/1.1.
func newClient(o clientOptions) *http.Client {
	dialer := &net.Dialer{}
	if o.from != nil {
		dialer.LocalAddr = &net.TCPAddr{IP: o.from}
	}
	if o.receiveBuffer > 0 {
		// Before it connects: that is when TCP says how much it will take.
		dialer.Control = func(_, _ string, c syscall.RawConn) error {
			var err error
			refused := c.Control(func(fd uintptr) {
				err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, o.receiveBuffer)
			})
			return errors.Join(refused, err)
		}
	}
	return &http.Client{Transport: &http.Transport{DialContext: dialer.DialContext, DisableCompression: true, TLSClientConfig: o.tls}}
}

// A request is one for a recording or a part of it.
type request struct {
	url       string
	recording recording
	from, to  int64 // a range, unless both are 0: from included, to not
	check     func(c recording, p []byte, at int64) error
}

// An answer is an HTTP response that has begun.
type answer struct {
	request
	body io.ReadCloser
	at   int64 // where in the recording the next byte of body is
	end  int64 // where the last one is, and one
}

// ask sends a request and waits for the header of the answer.
func ask(ctx context.Context, client *http.Client, q request) (*answer, error) {
	h, err := http.NewRequestWithContext(ctx, http.MethodGet, q.url, nil)
	if err != nil {
		return nil, err
	}
	status := http.StatusOK
	end := int64(len(q.recording.data))
	if q.to > 0 {
		h.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", q.from, q.to-1))
		status, end = http.StatusPartialContent, q.to
	}
	response, err := client.Do(h)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != status || response.ContentLength != end-q.from {
		response.Body.Close()
		return nil, fmt.Errorf("%s: got %s with %d bytes, want %d with %d", q.recording.path, response.Status, response.ContentLength, status, end-q.from)
	}
	return &answer{q, response.Body, q.from, end}, nil
}

// Read reads and checks.
func (a *answer) Read(p []byte) (int, error) {
	n, err := a.body.Read(p)
	if wrong := a.check(a.recording, p[:n], a.at); wrong != nil {
		return n, wrong
	}
	a.at += int64(n)
	if err == io.EOF && a.at != a.end {
		return n, fmt.Errorf("%s: ends at %d of %d", a.recording.path, a.at, a.end)
	}
	return n, err
}

// Close gives the connection back if all was read, and breaks it otherwise.
func (a *answer) Close() error { return a.body.Close() }

// fetch reads a whole answer. It returns when its first byte was there, from
// the time when it was asked for.
func fetch(ctx context.Context, client *http.Client, q request) (first time.Duration, err error) {
	start := time.Now()
	a, err := ask(ctx, client, q)
	if err != nil {
		return 0, err
	}
	defer a.Close()
	buffer := make([]byte, 256<<10)
	for {
		n, err := a.Read(buffer)
		if n > 0 && first == 0 {
			first = time.Since(start)
		}
		if err == io.EOF {
			return first, nil
		}
		if err != nil {
			return 0, err
		}
	}
}
