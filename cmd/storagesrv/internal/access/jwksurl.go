package access

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// keys are what tokens can be signed with.
type keys interface {
	// current returns the keys. The error is or wraps ErrUnavailable, or is
	// that of ctx.
	current(ctx context.Context) (*keySet, error)
	// newer returns the keys again, after a look whether they changed. They
	// are those that were seen if they did not.
	newer(ctx context.Context, seen *keySet) (*keySet, error)
}

// fileKeys never change.
type fileKeys struct{ set *keySet }

func (f fileKeys) current(context.Context) (*keySet, error)        { return f.set, nil }
func (f fileKeys) newer(context.Context, *keySet) (*keySet, error) { return f.set, nil }

// urlKeys are fetched, for the first time before anyone asks. They are fetched
// again when they are old, which nobody waits for, and when a token does not
// fit them. While that fails, those that there are stay good.
type urlKeys struct {
	url       string
	timeout   time.Duration
	transport *http.Transport
	log       *slog.Logger
	observe   func(result string)

	// ctx ends a fetch when the keys are closed.
	ctx     context.Context
	stop    context.CancelFunc
	running sync.WaitGroup

	// mu guards what follows.
	mu     sync.Mutex
	set    *keySet       // what was fetched last; nil before
	failed error         // why the last fetch brought nothing; nil if it did
	over   time.Time     // when the last fetch ended
	flight chan struct{} // closed at the end of the fetch under way; nil if there is none
}

const (
	// fetchEvery is how old keys become: a key that the issuer takes away is
	// not accepted for longer.
	fetchEvery = 15 * time.Minute
	// fetchPause is between fetches, however many tokens do not fit.
	fetchPause = 5 * time.Second
	// keepFor is how long keys stay good that cannot be fetched again.
	keepFor = 24 * time.Hour
)

// What a fetch of keys came to, for [JWTConfig.Observe].
const (
	FetchedKeys    = "ok"
	FetchedNothing = "error"
)

// start fetches the keys for the first time.
func (u *urlKeys) start() {
	u.ctx, u.stop = context.WithCancel(context.Background())
	u.mu.Lock()
	defer u.mu.Unlock()
	u.fetch()
}

// close ends a fetch and waits for it. There is none after that.
func (u *urlKeys) close() {
	u.mu.Lock()
	u.stop()
	u.mu.Unlock()
	u.running.Wait()
	u.transport.CloseIdleConnections()
}

func (u *urlKeys) current(ctx context.Context) (*keySet, error) {
	u.mu.Lock()
	set, done := u.usable(), landedFetch
	if set == nil || time.Since(set.at) >= fetchEvery {
		done = u.fetch()
	}
	u.mu.Unlock()
	if set != nil {
		return set, nil
	}
	set, err := u.wait(ctx, done)
	if set != nil {
		err = nil
	}
	return set, err
}

func (u *urlKeys) newer(ctx context.Context, seen *keySet) (*keySet, error) {
	u.mu.Lock()
	set, done := u.usable(), landedFetch
	if set == seen {
		done = u.fetch()
	}
	u.mu.Unlock()
	if set != seen && set != nil {
		return set, nil
	}
	return u.wait(ctx, done)
}

// usable returns the keys that may still be used; mu is held.
func (u *urlKeys) usable() *keySet {
	if u.set != nil && time.Since(u.set.at) >= keepFor {
		return nil
	}
	return u.set
}

// landedFetch is closed: there is nothing to wait for.
var landedFetch = func() chan struct{} {
	done := make(chan struct{})
	close(done)
	return done
}()

// fetch returns a channel that is closed at the end of the fetch under way. It
// begins one if there is none and the last was not just now; mu is held.
func (u *urlKeys) fetch() chan struct{} {
	if u.flight != nil {
		return u.flight
	}
	if u.ctx.Err() != nil || !u.over.IsZero() && time.Since(u.over) < fetchPause {
		return landedFetch
	}
	u.flight = make(chan struct{})
	u.running.Go(u.fly) // until the timeout, or close
	return u.flight
}

func (u *urlKeys) fly() {
	set, err := u.get()
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.over, u.failed = time.Now(), err; err == nil {
		u.set = set
	}
	close(u.flight)
	u.flight = nil
}

// wait returns the keys when done is closed, and why the last fetch failed.
func (u *urlKeys) wait(ctx context.Context, done chan struct{}) (*keySet, error) {
	select {
	case <-done:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	set, err := u.usable(), u.failed
	if set == nil && err == nil {
		err = errors.New("they are not fetched any more")
	}
	if err != nil {
		err = fmt.Errorf("%w: the keys of JSON web tokens: %w", ErrUnavailable, err)
	}
	return set, err
}

// get asks for the keys once, and tells how that went.
func (u *urlKeys) get() (*keySet, error) {
	ctx, cancel := context.WithTimeout(u.ctx, u.timeout)
	defer cancel()
	set, err := u.request(ctx)
	switch {
	case err != nil && u.ctx.Err() != nil:
	case err != nil:
		u.observe(FetchedNothing)
		u.log.Warn("cannot fetch the keys of JSON web tokens", "error", err)
	default:
		u.observe(FetchedKeys)
		if len(set.keys) == 0 {
			u.log.Warn("no key of the issuer is for RS256, ES256 or EdDSA: every JSON web token is refused")
		}
	}
	return set, err
}

func (u *urlKeys) request(ctx context.Context) (*keySet, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.url, nil)
	if err != nil { // NewJWT has parsed the URL
		panic(err)
	}
	request.Header.Set("Accept", "application/jwk-set+json, application/json")
	request.Header.Set("User-Agent", "storagesrv")
	response, err := u.transport.RoundTrip(request)
	if err != nil {
		return nil, errors.New(failure(err))
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", response.StatusCode)
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, maxJWKS+1))
	if err != nil {
		return nil, errors.New(failure(err))
	}
	set, err := parseJWKS(text)
	if err != nil {
		return nil, err
	}
	set.at = time.Now()
	return set, nil
}
