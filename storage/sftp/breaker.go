package sftp

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/cenkalti/backoff/v5"

	"storagesrv/storage"
)

const (
	// refusalMemory is how long a server that refused us, or was not the one
	// we trust, is not dialed again: it would only fill its log, and ours.
	refusalMemory = 5 * time.Second

	// calm is how long a connection must last for its end not to count as a
	// failure of the server.
	calm = 10 * time.Second
)

// A breaker tells when a server may be dialed. A first loss is mended at once;
// a server that cannot be reached, or keeps losing connections, is given time.
type breaker struct {
	backoff  *backoff.ExponentialBackOff
	reason   error // what everybody gets until the time has come
	until    time.Time
	dials    int  // that succeeded
	counted  int  // the losses of connections up to this one are known
	flapping bool // the last loss was early
}

func newBreaker() breaker {
	return breaker{backoff: &backoff.ExponentialBackOff{
		InitialInterval: 500 * time.Millisecond, RandomizationFactor: 0.5, Multiplier: 2, MaxInterval: 4 * time.Second, // and half of it more
	}}
}

// isPermanent reports whether to dial again at once is of no use.
func isPermanent(err error) bool { return errors.Is(err, fs.ErrPermission) }

// refusal returns why there is no dial now, or nil.
func (b *breaker) refusal() error {
	if b.wait() > 0 {
		return b.reason
	}
	return nil
}

// wait returns how long there will be no dial.
func (b *breaker) wait() time.Duration { return max(time.Until(b.until), 0) }

// dialed notes a new connection.
func (b *breaker) dialed(c *conn) {
	b.dials++
	c.number = b.dials
}

// failed notes a dial that failed. Several that go together are one failure.
func (b *breaker) failed(err error) {
	if b.wait() > 0 {
		return
	}
	if isPermanent(err) {
		b.reason, b.until = err, time.Now().Add(refusalMemory)
		return
	}
	b.until = time.Now().Add(b.backoff.NextBackOff())
	b.reason = fmt.Errorf("%w: not dialed again yet after %s", storage.ErrUnavailable, printable(err))
}

// lost notes the end of a connection that nobody wanted. Several that go
// together are one loss.
func (b *breaker) lost(c *conn, err error) {
	early := time.Since(c.since) < calm
	switch {
	case c.number <= b.counted:
		return
	case !early:
		b.flapping = false
		b.backoff.Reset()
	case b.flapping:
		b.failed(err)
	default:
		b.flapping = true
	}
	b.counted = b.dials
}
