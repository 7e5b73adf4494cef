package metadata

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"
)

// CacheConfig says how long a [Cache] believes what it was told. A TTL or
// StaleIfError of 0 means the default, a negative one none.
type CacheConfig struct {
	TTL         time.Duration // for calls that are over and have files; default 60 s
	NegativeTTL time.Duration // for all other answers, and for failures beside a known call; default 5 s
	// StaleIfError is the age up to which a known call is still served, marked
	// Stale, while asking again ends with ErrUnavailable, ErrTimeout or
	// ErrMalformed; default 24 h. ErrDenied and ErrNotFound are answers: after
	// them the call is forgotten.
	StaleIfError time.Duration
	Timeout      time.Duration       // for one look-up: more than the source's own limit; 0: 30 s
	MaxBytes     int64               // of memory, roughly; 0: 64 MiB
	Logger       *slog.Logger        // for stale answers, at warn; nil: none
	Observe      func(result string) // called once for each Call or Refresh with a Result; nil: nobody
}

// What a look-up came to, for [CacheConfig.Observe].
const (
	ResultHit      = "hit"      // a call was in the cache
	ResultNegative = "negative" // the cache knew that there is no such call
	ResultMiss     = "miss"     // the source was asked and answered, perhaps that it knows no such call, or the caller left before that
	ResultStale    = "stale"    // the source could not be asked, and an old call was served
	ResultError    = "error"    // the source could not be asked, and nothing was served
)

// A Cache is a [Source] that remembers what another one said.
//
// Callers who want the same call at the same time share one look-up. It belongs
// to the Cache: a caller who leaves returns at once and harms no other.
//
// Failures are not remembered, except beside a known call: while that may be
// served stale, nobody waits for its next look-up until NegativeTTL has passed,
// and then no longer than half a second.
type Cache struct {
	source  Source
	config  CacheConfig
	entries *otter.Cache[string, *entry]

	// ctx ends the look-ups when the Cache is closed: they outlive the context
	// of whoever began them.
	ctx     context.Context
	stop    context.CancelFunc
	running sync.WaitGroup

	// mu guards flights.
	mu      sync.Mutex
	flights map[string]*flight // the look-ups under way
}

var _ Source = (*Cache)(nil)

const (
	// patience is how long a caller waits for a source that failed last time,
	// given that there is an old answer.
	patience = 500 * time.Millisecond
	// maxFlights bounds the goroutines. More callers than that would not get
	// their turn at the recorder in time anyway.
	maxFlights = 1024
)

// An entry is an answer of the source: a call, or that there is none.
type entry struct {
	call   *Call
	err    error // ErrNotFound; nil if there is a call
	at     time.Time
	until  time.Time // when it is to be asked again
	failed atomic.Pointer[failure]
}

// A failure is why the last attempt to renew an entry gave no answer.
type failure struct {
	err error
	at  time.Time
}

// A flight is one look-up that any number of callers wait for.
type flight struct {
	done chan struct{} // closed when call and err are set
	call *Call
	err  error
}

// NewCache returns a cache of source. It takes source's answers for its own and
// needs their Fetched to be set.
func NewCache(source Source, config CacheConfig) *Cache {
	config.TTL = orDefault(config.TTL, 60*time.Second)
	config.NegativeTTL = orDefault(config.NegativeTTL, 5*time.Second)
	config.StaleIfError = orDefault(config.StaleIfError, 24*time.Hour)
	if config.Timeout <= 0 {
		config.Timeout = 30 * time.Second
	}
	if config.MaxBytes <= 0 {
		config.MaxBytes = 64 << 20
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	if config.Observe == nil {
		config.Observe = func(string) {}
	}
	c := &Cache{
		source: source,
		config: config,
		entries: otter.Must(&otter.Options[string, *entry]{
			MaximumWeight: uint64(config.MaxBytes),
			Weigher:       func(id string, e *entry) uint32 { return e.weight() },
		}),
		flights: make(map[string]*flight),
	}
	c.ctx, c.stop = context.WithCancel(context.Background())
	return c
}

func orDefault(d, byDefault time.Duration) time.Duration {
	if d == 0 {
		return byDefault
	}
	return max(d, 0)
}

// Close ends the look-ups under way and waits for them. Later ones find the
// source unavailable.
func (c *Cache) Close() {
	c.mu.Lock()
	c.stop()
	c.mu.Unlock()
	c.running.Wait()
}

// Call returns what the cache knows, if that is fresh, else what the source says.
func (c *Cache) Call(ctx context.Context, id string) (*Call, error) {
	if !ValidID(id) {
		c.config.Observe(ResultNegative)
		return nil, fmt.Errorf("look up call %s: %w", excerpt(id), ErrNotFound)
	}
	known, _ := c.entries.GetIfPresent(id)
	if known != nil && time.Now().Before(known.until) {
		return c.fromCache(known)
	}
	return c.ask(ctx, id, known)
}

// Refresh returns a later answer about the same call than seen. It asks the
// source, unless it has done so since. It is for callers who find that seen no
// longer holds: files move after a call.
func (c *Cache) Refresh(ctx context.Context, seen *Call) (*Call, error) {
	known, _ := c.entries.GetIfPresent(seen.ID)
	if known != nil && known.at.After(seen.Fetched) {
		return c.fromCache(known)
	}
	return c.ask(ctx, seen.ID, known)
}

// Health is that of the source.
func (c *Cache) Health() Health { return c.source.Health() }

func (c *Cache) fromCache(known *entry) (*Call, error) {
	if known.err != nil {
		c.config.Observe(ResultNegative)
	} else {
		c.config.Observe(ResultHit)
	}
	return known.call, known.err
}

// ask waits for the source, or falls back to what is known; known may be nil.
func (c *Cache) ask(ctx context.Context, id string, known *entry) (*Call, error) {
	var before *failure
	var impatient <-chan time.Time
	if known != nil && c.mayServeStale(known) {
		before = known.failed.Load()
	}
	if before != nil {
		if time.Since(before.at) < c.config.NegativeTTL {
			return c.serveStale(known, before.err)
		}
		impatient = time.After(patience)
	}
	f := c.join(id, known)
	var call *Call
	var err error
	select {
	case <-f.done:
		call, err = f.call, f.err
	case <-impatient:
		err = fmt.Errorf("look up call %s: %w", id, ErrTimeout)
		known.failed.CompareAndSwap(before, &failure{err, time.Now()})
	case <-ctx.Done():
		c.config.Observe(ResultMiss)
		return nil, fmt.Errorf("look up call %s: %w", id, ctx.Err())
	}
	switch {
	case err == nil || errors.Is(err, ErrNotFound):
		c.config.Observe(ResultMiss)
	case !errors.Is(err, ErrDenied) && known != nil && c.mayServeStale(known):
		return c.serveStale(known, err)
	default:
		c.config.Observe(ResultError)
	}
	return call, err
}

// mayServeStale reports whether a known call is young enough, and not denied to
// us since.
func (c *Cache) mayServeStale(known *entry) bool {
	failed := known.failed.Load()
	denied := failed != nil && errors.Is(failed.err, ErrDenied)
	return known.call != nil && !denied && time.Since(known.at) < c.config.StaleIfError
}

func (c *Cache) serveStale(known *entry, why error) (*Call, error) {
	c.config.Observe(ResultStale)
	c.config.Logger.Warn("serving what the recorder said before",
		"call_id", known.call.ID, "age", time.Since(known.at).Round(time.Second).String(), "error", why)
	stale := *known.call
	stale.Stale = true
	return &stale, nil
}

// join returns the look-up under way for id, or begins one. Only if the cache
// has come to know something else than known meanwhile, that is the answer.
func (c *Cache) join(id string, known *entry) *flight {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f := c.flights[id]; f != nil {
		return f
	}
	if now, ok := c.entries.GetIfPresent(id); ok && now != known {
		return landed(now.call, now.err)
	}
	if c.ctx.Err() != nil {
		return landed(nil, fmt.Errorf("look up call %s: %w: the cache is closed", id, ErrUnavailable))
	}
	if len(c.flights) >= maxFlights {
		return landed(nil, fmt.Errorf("look up call %s: %w: %d look-ups are under way already", id, ErrUnavailable, maxFlights))
	}
	f := &flight{done: make(chan struct{})}
	c.flights[id] = f
	c.running.Go(func() { c.fly(id, f, known) }) // until the source answers, or Close
	return f
}

// landed returns a look-up that is over.
func landed(call *Call, err error) *flight {
	f := &flight{done: make(chan struct{}), call: call, err: err}
	close(f.done)
	return f
}

// fly asks the source and keeps the answer.
func (c *Cache) fly(id string, f *flight, known *entry) {
	ctx, cancel := context.WithTimeout(c.ctx, c.config.Timeout)
	defer cancel()
	f.call, f.err = c.source.Call(ctx, id)
	switch {
	case errors.Is(f.err, context.DeadlineExceeded):
		f.err = fmt.Errorf("look up call %s: %w", id, ErrTimeout)
	case errors.Is(f.err, context.Canceled):
		f.err = fmt.Errorf("look up call %s: %w: the cache is closed", id, ErrUnavailable)
	}
	c.keep(id, f, known)
	c.mu.Lock()
	delete(c.flights, id)
	c.mu.Unlock()
	close(f.done)
}

// keep puts an answer in the place of what was known, and a failure beside it.
func (c *Cache) keep(id string, f *flight, known *entry) {
	now := time.Now()
	switch {
	case f.err == nil:
		ttl := c.config.TTL
		if len(f.call.Files) == 0 || f.call.InProgress() {
			ttl = min(ttl, c.config.NegativeTTL)
		}
		c.entries.Set(id, &entry{call: f.call, at: f.call.Fetched, until: now.Add(ttl)})
	case errors.Is(f.err, ErrNotFound):
		c.entries.Set(id, &entry{err: f.err, at: now, until: now.Add(c.config.NegativeTTL)})
	case known != nil:
		known.failed.Store(&failure{f.err, now})
		if errors.Is(f.err, ErrDenied) {
			c.entries.Invalidate(id)
		}
	}
}

// weight estimates the bytes that an entry holds.
func (e *entry) weight() uint32 {
	const each = 256 // for the entry itself, and for a file with its id
	n := each
	if e.call != nil {
		n += cap(e.call.Raw)
		for _, f := range e.call.Files {
			n += each + len(f.Path)
		}
	}
	return uint32(min(n, math.MaxUint32))
}
