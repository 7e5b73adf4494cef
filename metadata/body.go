package metadata

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// A body is the body of a file's response, with a bound on each wait for more
// of it. A reader that pauses costs nothing of that.
type body struct {
	ctx     context.Context    // the caller's, to tell its end from ours
	cancel  context.CancelFunc // ends the request
	source  io.ReadCloser
	length  int64 // -1 if it is not known
	most    time.Duration
	inTime  func() bool // ends the budget's hold on the request, unless it is over
	release func()      // gives the slot back

	// mu guards what is below. It is held while source is read: cancel ends that.
	mu       sync.Mutex
	read     int64
	progress int           // bytes read while patience was spent
	patience time.Duration // what is left of most
	err      error         // the first
	closed   bool
}

// leastProgress is how much has to come within the stall timeout: a byte now and
// then is no progress. The slowest audio takes ten times as much.
const leastProgress = 16 << 10

// begin sends a request for a file. It is governed by budget until inTime is
// called, and by ctx, budget's parent, from then on. The body is to be closed.
func (c *Client) begin(ctx, budget context.Context, u *url.URL, header http.Header) (*http.Response, *body, error) {
	if err := acquire(budget, c.downloads); err != nil {
		return nil, nil, err
	}
	lifetime, cancel := context.WithCancel(ctx)
	inTime := context.AfterFunc(budget, cancel)
	response, err := c.get(lifetime, u, header)
	if err != nil {
		inTime()
		cancel()
		release(c.downloads)
		return nil, nil, err
	}
	return response, &body{
		ctx: ctx, cancel: cancel, source: response.Body, length: -1, most: c.config.StallTimeout,
		inTime: inTime, release: func() { release(c.downloads) }, patience: c.config.StallTimeout,
	}, nil
}

func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return 0, b.err
	}
	began := time.Now()
	late := time.AfterFunc(b.patience, b.cancel)
	n, err := b.source.Read(p)
	stalled := !late.Stop()
	b.read += int64(n)
	b.spend(n, time.Since(began))
	b.err = b.judge(err, stalled)
	return n, b.err
}

// spend notes that n bytes took some time to come.
func (b *body) spend(n int, took time.Duration) {
	b.progress += n
	b.patience -= took
	if b.progress >= leastProgress {
		b.progress, b.patience = 0, b.most
	}
}

// judge says what an error of reading means. An end is one only if all is there.
func (b *body) judge(err error, stalled bool) error {
	tooMuch := b.length >= 0 && b.read > b.length
	switch {
	case tooMuch:
		return fmt.Errorf("%w: more than %d bytes of a file", ErrMalformed, b.length)
	case err == io.EOF && (b.length < 0 || b.read == b.length):
		return io.EOF
	case err == nil && !stalled:
		return nil
	case b.ctx.Err() != nil:
		return b.ctx.Err()
	case stalled:
		return fmt.Errorf("%w: a file stopped after %d bytes", ErrTimeout, b.read)
	}
	return fmt.Errorf("%w: a file ended after %d of %d bytes: %v", ErrUnavailable, b.read, b.length, err)
}

// Close ends the request. A Read under way returns.
func (b *body) Close() error {
	b.cancel()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil
	}
	b.closed = true
	b.inTime()
	if b.err == nil {
		b.err = fmt.Errorf("%w: the file was closed", ErrUnavailable)
	}
	b.source.Close() // returns nothing of use
	b.release()
	return nil
}
