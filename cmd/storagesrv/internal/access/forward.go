package access

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/textproto"
	"slices"
	"sync"
	"time"

	"github.com/maypok86/otter/v2"
)

// ForwardConfig says which web app is asked, and how.
type ForwardConfig struct {
	URL           string         // http or https, asked by GET
	Headers       []string       // of the listener's request, that go with the question
	Timeout       time.Duration  // for one question, waiting for its turn included; 0: 2 s
	MaxConcurrent int            // questions at a time; 0: 32
	CacheTTL      time.Duration  // how long a yes holds at most; 0: for those alone who are waiting for it
	UserHeader    string         // of the answer, where the app names the caller; "": it does not
	RootCAs       *x509.CertPool // who may vouch for the app; nil: the system's

	Observe func(result string) // told of each question, and of each that the cache answers; nil: nobody
	Dial    Dial                // nil: as usual
}

// What a question came to, for [ForwardConfig.Observe].
const (
	ResultHit             = "hit" // a yes that still holds
	ResultAllowed         = "allowed"
	ResultUnauthenticated = "unauthenticated"
	ResultForbidden       = "forbidden"
	ResultError           = "error" // there was no answer, or one that is none
)

// Forward is a Scheme that asks the web app, as auth_request of nginx and
// ForwardAuth of Traefik do: 2xx lets a request in.
//
// Requests that would put the same question at the same time share one. It
// belongs to the Forward: a listener who leaves harms no other. A yes is kept
// for CacheTTL, or less where its Cache-Control says so; nothing else is kept.
type Forward struct {
	config    ForwardConfig
	transport *http.Transport
	slots     chan struct{} // holds one element for each question under way
	answers   *otter.Cache[question, answer]

	// ctx ends the questions when the Forward is closed: they outlive the
	// context of whoever came with them.
	ctx     context.Context
	stop    context.CancelFunc
	running sync.WaitGroup

	// mu guards flights.
	mu      sync.Mutex
	flights map[question]*flight
}

var _ Scheme = (*Forward)(nil)

const (
	// rememberedAnswers bounds the memory; one takes about 400 bytes.
	rememberedAnswers = 20_000
	// maxFlights bounds the questions that wait for their turn.
	maxFlights = 1024
	// maxAnswerBody is how much of a body is read, in bytes, so that its
	// connection can be used again.
	maxAnswerBody = 64 << 10
)

// A question is the hash of all that the app is told. The headers themselves
// hold credentials, and are not kept.
type question [sha256.Size]byte

// An answer is a yes.
type answer struct {
	caller Caller
	until  time.Time
}

// A flight is a question under way that any number of requests wait for.
type flight struct {
	done   chan struct{} // closed when caller and err are set
	caller Caller
	err    error
}

// NewForward returns a Forward. It connects to nothing yet.
func NewForward(config ForwardConfig) (*Forward, error) {
	if err := checkURL(config.URL); err != nil {
		return nil, fmt.Errorf("forward auth: %w", err)
	}
	if config.Timeout == 0 {
		config.Timeout = 2 * time.Second
	}
	if config.MaxConcurrent == 0 {
		config.MaxConcurrent = 32
	}
	if config.Observe == nil {
		config.Observe = func(string) {}
	}
	config.Headers = slices.Clone(config.Headers)
	for i, name := range config.Headers {
		config.Headers[i] = textproto.CanonicalMIMEHeaderKey(name)
		if err := CheckForwardHeader(name); err != nil {
			return nil, fmt.Errorf("forward auth: header %d: %w", i+1, err)
		}
	}
	f := &Forward{
		config:    config,
		transport: newTransport(config.RootCAs, config.Timeout, config.MaxConcurrent, config.Dial),
		slots:     make(chan struct{}, config.MaxConcurrent),
		answers:   otter.Must(&otter.Options[question, answer]{MaximumSize: rememberedAnswers}),
		flights:   make(map[question]*flight),
	}
	f.ctx, f.stop = context.WithCancel(context.Background())
	return f, nil
}

// Close ends the questions under way and waits for them. Later ones find the
// app unavailable.
func (f *Forward) Close() {
	f.mu.Lock()
	f.stop()
	f.mu.Unlock()
	f.running.Wait()
	f.transport.CloseIdleConnections()
}

// Admit implements Scheme. A request without any of the chosen headers is
// asked about as well: the app may know its callers by their addresses.
func (f *Forward) Admit(r Request) (Caller, error) {
	header := f.ask(r)
	q := hashed(header)
	if known, ok := f.answers.GetIfPresent(q); ok && time.Now().Before(known.until) {
		f.config.Observe(ResultHit)
		return known.caller, nil
	}
	flight, err := f.join(q, header)
	if err != nil {
		return Caller{}, err
	}
	select {
	case <-flight.done:
		return flight.caller, flight.err
	case <-r.HTTP.Context().Done():
		return Caller{}, r.HTTP.Context().Err()
	}
}

// hashed tells questions apart by all names and values, and where each ends.
func hashed(header http.Header) question {
	var text []byte
	for _, name := range slices.Sorted(maps.Keys(header)) {
		for _, value := range header[name] {
			for _, part := range []string{name, value} {
				text = append(binary.BigEndian.AppendUint32(text, uint32(len(part))), part...)
			}
		}
	}
	return sha256.Sum256(text)
}

// join returns the flight of a question, which it begins if there is none.
func (f *Forward) join(q question, header http.Header) (*flight, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if flight := f.flights[q]; flight != nil {
		return flight, nil
	}
	if f.ctx.Err() != nil {
		return nil, fmt.Errorf("%w: the web app is not asked any more", ErrUnavailable)
	}
	if len(f.flights) >= maxFlights {
		return nil, fmt.Errorf("%w: %d questions wait for the web app already", ErrUnavailable, maxFlights)
	}
	flight := &flight{done: make(chan struct{})}
	f.flights[q] = flight
	f.running.Go(func() { f.fly(q, header, flight) }) // until the timeout, or Close
	return flight, nil
}

// fly asks the app. Whoever waits for it has the answer before its body is read.
func (f *Forward) fly(q question, header http.Header, flight *flight) {
	ctx, cancel := context.WithTimeout(f.ctx, f.config.Timeout)
	defer cancel()
	select {
	case f.slots <- struct{}{}:
		defer func() { <-f.slots }()
	case <-ctx.Done():
		flight.err = fmt.Errorf("%w: %d questions to the web app are under way already", ErrUnavailable, cap(f.slots))
		f.land(q, flight)
		return
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, f.config.URL, nil)
	if err != nil { // NewForward has parsed the URL
		panic(err)
	}
	request.Header = header
	asked := time.Now()
	response, err := f.transport.RoundTrip(request)
	if err != nil {
		flight.err = fmt.Errorf("%w: the web app: %s", ErrUnavailable, failure(err))
		f.land(q, flight)
		return
	}
	defer response.Body.Close()
	flight.caller, flight.err = f.judge(response)
	if ttl := freshness(response.Header, f.config.CacheTTL); flight.err == nil && ttl > 0 {
		f.answers.Set(q, answer{flight.caller, asked.Add(ttl)})
	}
	f.land(q, flight)
	if response.StatusCode != http.StatusSwitchingProtocols { // whose body has no end
		io.CopyN(io.Discard, response.Body, maxAnswerBody)
	}
}

// land gives the answer to all who wait.
func (f *Forward) land(q question, flight *flight) {
	f.mu.Lock()
	delete(f.flights, q)
	f.mu.Unlock()
	close(flight.done)
	result := ResultAllowed
	if _, unknown := errors.AsType[*Unauthenticated](flight.err); unknown {
		result = ResultUnauthenticated
	} else if errors.Is(flight.err, ErrForbidden) {
		result = ResultForbidden
	} else if flight.err != nil {
		result = ResultError
	}
	f.config.Observe(result)
}
