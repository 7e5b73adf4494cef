package metadata

import (
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// ClientConfig says where the recorder is and how to ask it.
type ClientConfig struct {
	URL                string         // http or https, may have a path; /api/v2/calls/{id}.json is added
	Username, Password string         // HTTP Basic; both "": none
	RootCAs            *x509.CertPool // who may vouch for the recorder; nil: the system's
	Timeout            time.Duration  // for one look-up: waiting, answer and retries; 0: 5 s
	MaxConcurrent      int            // requests at a time, the recorder has few threads; 0: 8
	EncryptedField     string         // the member of a file that marks ciphertext; "": "encrypted"
	Logger             *slog.Logger   // for retries, at debug; nil: none
}

// A Client is a [Source] that asks the recorder's REST API, each time anew.
//
// What is temporary (no connection, a broken answer, 429, 5xx) is tried again,
// up to 4 times in all, as long as that fits into the timeout; a Retry-After
// that does not fit ends the look-up at once. Redirects are not followed: an
// API answers 401 to a wrong account, so whoever redirects is no API, and our
// password is for nobody else. Proxies of the environment are not used: the
// recorder is a neighbour on the LAN.
type Client struct {
	config ClientConfig
	base   *url.URL
	http   *http.Client
	slots  chan struct{} // holds one element for each request under way

	// mu guards health.
	mu     sync.Mutex
	health Health
}

var _ Source = (*Client)(nil)

const (
	maxAttempts    = 4
	firstPause     = 200 * time.Millisecond // then 500 ms and 1.25 s, each ± 50 %
	maxHeaderBytes = 64 << 10
)

// NewClient returns a client. It connects to nothing yet.
func NewClient(config ClientConfig) (*Client, error) {
	if config.Timeout == 0 {
		config.Timeout = 5 * time.Second
	}
	if config.MaxConcurrent == 0 {
		config.MaxConcurrent = 8
	}
	if config.EncryptedField == "" {
		config.EncryptedField = "encrypted"
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	if config.Timeout < 0 || config.MaxConcurrent < 0 {
		return nil, errors.New("metadata client: timeout and max_concurrent must not be negative")
	}
	// The error of url.Parse would quote a password in the URL.
	base, err := url.Parse(config.URL)
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" {
		return nil, errors.New("metadata client: url is no http or https URL")
	}
	if base.User != nil || base.RawQuery != "" || base.Fragment != "" {
		return nil, errors.New("metadata client: url must not have a user, a query or a fragment")
	}
	return &Client{
		config: config,
		base:   base,
		http: &http.Client{
			Transport:     newTransport(config),
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		slots:  make(chan struct{}, config.MaxConcurrent),
		health: Health{Up: true, Since: time.Now()},
	}, nil
}

func newTransport(config ClientConfig) *http.Transport {
	// net/http goes on dialing after the request has given up: bound that too.
	dialer := &net.Dialer{Timeout: config.Timeout, KeepAlive: 15 * time.Second}
	return &http.Transport{
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{RootCAs: config.RootCAs},
		TLSHandshakeTimeout:    config.Timeout,
		MaxIdleConnsPerHost:    config.MaxConcurrent,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: maxHeaderBytes,
	}
}

// Close closes the connections that are idle, and the others after their
// look-ups.
func (c *Client) Close() {
	c.http.CloseIdleConnections()
}

// Health tells how the last look-up went. A call that is not found is an answer.
func (c *Client) Health() Health {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.health
}

// Call asks the recorder. It returns within the timeout.
func (c *Client) Call(ctx context.Context, id string) (*Call, error) {
	if !ValidID(id) {
		return nil, fmt.Errorf("look up call %s: %w", excerpt(id), ErrNotFound)
	}
	budget, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	call, err := c.retry(budget, id)
	if ctx.Err() != nil && (errors.Is(err, ErrTimeout) || errors.Is(err, ErrUnavailable)) {
		return nil, fmt.Errorf("look up call %s: %w", id, ctx.Err()) // says nothing about the recorder
	}
	if err != nil {
		err = c.scrub(err)
	}
	c.note(err)
	if err != nil {
		return nil, fmt.Errorf("look up call %s: %w", id, err)
	}
	return call, nil
}

// A scrubbedError is an error without its text.
type scrubbedError struct{ error }

func (scrubbedError) Error() string   { return "the recorder's answer repeats our password" }
func (e scrubbedError) Unwrap() error { return e.error }

// scrub hides the text of an error that has our password in it: it may quote
// what the recorder wrote, and a recorder may repeat what it was sent.
func (c *Client) scrub(err error) error {
	if c.isSecretIn(err.Error()) {
		return scrubbedError{err}
	}
	return err
}

func (c *Client) isSecretIn(text string) bool {
	secret := c.config.Password
	basic := base64.StdEncoding.EncodeToString([]byte(c.config.Username + ":" + secret))
	return secret != "" && (strings.Contains(text, secret) || strings.Contains(text, basic))
}

// note keeps the outcome of a look-up for Health.
func (c *Client) note(err error) {
	now := Health{Up: err == nil || errors.Is(err, ErrNotFound), Since: time.Now()}
	if !now.Up {
		now.Reason = err.Error()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Up == c.health.Up {
		now.Since = c.health.Since
	}
	c.health = now
}

// A temporaryError is worth another attempt.
type temporaryError struct {
	err   error
	after time.Duration // what Retry-After asks for
}

func (e *temporaryError) Error() string { return e.err.Error() }

// retry attempts until the answer is final, or another attempt does not fit
// into ctx. The underlying error is told as text only, so that what ended the
// budget does not pass for the caller's context.
func (c *Client) retry(ctx context.Context, id string) (*Call, error) {
	pause := &backoff.ExponentialBackOff{
		InitialInterval:     firstPause,
		RandomizationFactor: 0.5,
		Multiplier:          2.5,
		MaxInterval:         c.config.Timeout,
	}
	pause.Reset()
	deadline, _ := ctx.Deadline()
	var failure *temporaryError // of the attempt before
	for attempt := 1; ; attempt++ {
		call, err := c.attempt(ctx, id)
		temporary, ok := errors.AsType[*temporaryError](err)
		if !ok {
			return call, err
		}
		if ctx.Err() != nil {
			if failure != nil {
				return nil, fmt.Errorf("%w: %v", ErrUnavailable, failure)
			}
			return nil, fmt.Errorf("%w: %v", ErrTimeout, temporary)
		}
		failure = temporary
		wait := max(pause.NextBackOff(), failure.after)
		if attempt == maxAttempts || time.Until(deadline) <= wait {
			return nil, fmt.Errorf("%w: %v", ErrUnavailable, failure)
		}
		c.config.Logger.Debug("look-up failed, trying again", "call_id", id, "attempt", attempt, "pause", wait, "error", failure)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %v", ErrUnavailable, failure)
		}
	}
}

// attempt makes one request. Its error is a *temporaryError or final.
func (c *Client) attempt(ctx context.Context, id string) (*Call, error) {
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return nil, &temporaryError{err: fmt.Errorf("%d requests are under way already", cap(c.slots))}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base.JoinPath("api/v2/calls", id+".json").String(), nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	request.Header.Set("Accept", "application/json")
	if c.config.Username != "" || c.config.Password != "" {
		request.SetBasicAuth(c.config.Username, c.config.Password)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, transportError(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, c.statusError(response)
	}
	// net/http may have decompressed the body: it is bounded after that.
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if err != nil {
		return nil, &temporaryError{err: fmt.Errorf("read the answer: %w", err)}
	}
	call, err := decodeCall(body, id, c.config.EncryptedField)
	if err != nil && kind(body) != "an object" {
		return nil, fmt.Errorf("%w: it begins with %s", err, c.excerpt(body))
	}
	if err != nil {
		return nil, err
	}
	call.Fetched = time.Now()
	return call, nil
}

// transportError tells why there was no response, without the URL that
// *url.Error puts before it and without much of what the other side sent. A
// certificate does not get better by asking again.
func transportError(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	text := err.Error()
	text = text[:min(len(text), 200)]
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return fmt.Errorf("%w: %s", ErrUnavailable, text)
	}
	return &temporaryError{err: errors.New(text)}
}

// statusError tells what a status other than 200 means.
func (c *Client) statusError(response *http.Response) error {
	status := response.StatusCode
	switch {
	case status == http.StatusNotFound || status == http.StatusGone:
		c.peek(response) // so that the connection can be used again
		return ErrNotFound
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return fmt.Errorf("%w: status %d", ErrDenied, status)
	case 300 <= status && status <= 399:
		return fmt.Errorf("%w: status %d, a redirect: is the URL right?", ErrMalformed, status)
	case status == http.StatusTooManyRequests || 500 <= status && status <= 599:
		return &temporaryError{
			err:   fmt.Errorf("status %d, %s", status, c.peek(response)),
			after: retryAfter(response.Header.Get("Retry-After"), time.Now()),
		}
	default:
		return fmt.Errorf("%w: status %d, %s", ErrMalformed, status, c.peek(response))
	}
}

// peek reads the body of an error, or its beginning, and quotes from it.
func (c *Client) peek(response *http.Response) string {
	body, _ := io.ReadAll(io.LimitReader(response.Body, 4<<10))
	return c.excerpt(body)
}

// excerpt quotes what the recorder wrote, unless it repeats our password, which
// quoting could cut in two.
func (c *Client) excerpt(body []byte) string {
	if c.isSecretIn(string(body)) {
		return "something that repeats our password"
	}
	return excerpt(body)
}

// retryAfter reads a Retry-After (RFC 9110, 10.2.3): seconds or a date. 0 if
// there is none, or none that can be read.
func retryAfter(value string, now time.Time) time.Duration {
	const longest = 1 << 30 // seconds; longer than any budget, and a Duration holds it
	seconds, err := strconv.ParseUint(value, 10, 64)
	if err == nil || errors.Is(err, strconv.ErrRange) {
		return time.Duration(min(seconds, longest)) * time.Second
	}
	date, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return max(0, date.Sub(now))
}
