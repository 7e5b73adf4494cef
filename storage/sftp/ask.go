package sftp

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"
	"unicode"

	"github.com/pkg/sftp"

	"storagesrv/storage"
)

// A request was sent to the server, or is about to be. It is to be abandoned
// when nobody waits for its answer any more.
type request[T any] struct {
	conn    *conn
	started time.Time
	answers chan answer[T] // gets one, unless conn ends or the request is abandoned
	left    chan struct{}  // closed when it is abandoned
}

type answer[T any] struct {
	value T
	err   error
}

// ask runs send, which asks the server for something, on a goroutine of c. An
// answer that comes when the request was abandoned is given to drop, if that is
// not nil.
func ask[T any](c *conn, send func() (T, error), drop func(T)) *request[T] {
	r := &request[T]{conn: c, started: time.Now(), answers: make(chan answer[T]), left: make(chan struct{})}
	c.spawn(func() { // if it does not, c has ended, which is an answer as well
		var a answer[T]
		a.err = c.exchange(func() (err error) { a.value, err = send(); return err })
		select {
		case r.answers <- a:
			return
		case <-r.left:
		case <-c.dead:
		}
		if a.err == nil && drop != nil {
			drop(a.value)
		}
	})
	return r
}

// abandon is called once.
func (r *request[T]) abandon() { close(r.left) }

// wait returns the answer, unless ctx or the connection ends before.
func (r *request[T]) wait(ctx context.Context) (T, error) { return r.waitUntil(ctx, nil) }

// errLate says that an answer has not come yet.
var errLate = errors.New("no answer yet")

// waitUntil is wait, but for that it returns errLate when late fires.
func (r *request[T]) waitUntil(ctx context.Context, late <-chan time.Time) (T, error) {
	var none T
	select {
	case a := <-r.answers:
		return a.value, a.err
	case <-r.conn.dead:
		return none, r.conn.failure(r.started)
	case <-ctx.Done():
		return none, ctx.Err()
	case <-late:
		return none, errLate
	}
}

// call asks, waits and abandons.
func call[T any](ctx context.Context, c *conn, send func() (T, error), drop func(T)) (T, error) {
	if err := ctx.Err(); err != nil {
		var none T
		return none, err
	}
	r := ask(c, send, drop)
	defer r.abandon()
	return r.wait(ctx)
}

// exchange runs send and severs c if there is no answer in time, or none that
// makes sense. Whoever asked may have left: the bound holds all the same.
func (c *conn) exchange(send func() error) (err error) {
	started := time.Now()
	var overdue *time.Timer
	overdue = time.AfterFunc(time.Hour, func() { // it is set below, when it is known to it
		// Where much is under way over a slow link, an answer waits behind others.
		if since := time.Since(started); c.isDelivering() && since < mostPatient*c.timeout {
			overdue.Reset(c.timeout / 4)
			return
		}
		c.sever(fmt.Errorf("no answer in %v", time.Since(started).Round(time.Millisecond)))
	})
	overdue.Reset(c.timeout)
	defer overdue.Stop()
	defer func() {
		if p := recover(); p != nil { // pkg/sftp trusts what servers send
			c.sever(fmt.Errorf("malformed answer: %v", p))
			err = c.failure(started)
		}
	}()
	err = send()
	var status *sftp.StatusError
	switch {
	case err == nil, errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
	case errors.Is(err, fs.ErrClosed):
		return err
	case errors.As(err, &status) && status.Code != uint32(sftp.ErrSSHFxNoConnection) && status.Code != uint32(sftp.ErrSSHFxConnectionLost):
		err = fmt.Errorf("%w: the server answers %s", storage.ErrUnavailable, printable(err))
	default:
		c.sever(err)
		return c.failure(started)
	}
	c.suspect.Store(false)
	return err
}

// mostPatient is how many time-outs an answer may take while others come.
const mostPatient = 6

// isDelivering reports whether much is under way, and comes.
func (c *conn) isDelivering() bool {
	return c.load.Load() >= smallPacket && c.wire.silence() < c.timeout/8
}

// errLost marks the error of a request whose connection ended before the
// answer. Another connection may bring one.
var errLost = errors.New("connection lost")

// failure is the error of whoever began to wait for an answer at started when
// c was severed. What is asked together is not asked at one instant, and it is the
// oldest that severs c: the others waited in vain as well.
func (c *conn) failure(started time.Time) error {
	c.mu.Lock()
	cause := c.cause
	c.mu.Unlock()
	if time.Since(started) >= c.timeout-c.timeout/8 {
		return fmt.Errorf("%w: %w: %s", context.DeadlineExceeded, errLost, printable(cause))
	}
	return fmt.Errorf("%w: %w: %s", storage.ErrUnavailable, errLost, printable(cause))
}

// printable returns err's text fit for a log line: servers write into it.
func printable(err error) string {
	const limit = 400
	text := strings.Map(func(r rune) rune {
		if r == '\n' {
			return ';'
		}
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, err.Error())
	return strings.ToValidUTF8(text[:min(len(text), limit)], "")
}
