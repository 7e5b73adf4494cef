package metadata

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// ClientConfig says where the recorder is and how to ask it.
type ClientConfig struct {
	URL                string         // http or https, may have a path; /api/v2/calls/{id}.json is added
	Username, Password string         // HTTP Basic; both "": none
	RootCAs            *x509.CertPool // who may vouch for the recorder; nil: the system's
	Timeout            time.Duration  // for one look-up: waiting, answer and retries; 0: 5 s
	MaxConcurrent      int            // look-ups at a time, the recorder has few threads; 0: 8
	MaxDownloads       int            // files on their way at a time, apart from look-ups; 0: 8
	StallTimeout       time.Duration  // a file that does not get on for this long is given up; 0: 30 s
	EncryptedField     string         // the member of a file that marks ciphertext; "": "encrypted"
	Logger             *slog.Logger   // for retries, at debug; nil: none
}

// A Client is a [Source] that asks the recorder's REST API, each time anew. It
// asks for recordings as well: for a link to one ([Client.SignedURL]), and for
// one itself ([Client.OpenFile]).
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

	lookups   chan struct{} // holds one element for each look-up under way
	downloads chan struct{} // and for each file on its way

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
	if config.MaxDownloads == 0 {
		config.MaxDownloads = 8
	}
	if config.StallTimeout == 0 {
		config.StallTimeout = 30 * time.Second
	}
	if config.EncryptedField == "" {
		config.EncryptedField = "encrypted"
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	if config.Timeout < 0 || config.MaxConcurrent < 0 || config.MaxDownloads < 0 || config.StallTimeout < 0 {
		return nil, errors.New("metadata client: time-outs and bounds must not be negative")
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
		lookups:   make(chan struct{}, config.MaxConcurrent),
		downloads: make(chan struct{}, config.MaxDownloads),
		health:    Health{Up: true, Since: time.Now()},
	}, nil
}

func newTransport(config ClientConfig) *http.Transport {
	// net/http goes on dialing after the request has given up: bound that too.
	dialer := &net.Dialer{Timeout: config.Timeout, KeepAlive: 15 * time.Second}
	return &http.Transport{
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{RootCAs: config.RootCAs},
		TLSHandshakeTimeout:    config.Timeout,
		MaxIdleConnsPerHost:    config.MaxConcurrent + config.MaxDownloads,
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
	call, err := ask(ctx, c, id, func(ctx context.Context) (*Call, error) { return c.fetchCall(ctx, id) })
	if left := ctx.Err(); left == nil || !errors.Is(err, left) { // that says nothing about the recorder
		c.note(err)
	}
	if err != nil {
		return nil, fmt.Errorf("look up call %s: %w", id, err)
	}
	return call, nil
}

// fetchCall makes one attempt.
func (c *Client) fetchCall(ctx context.Context, id string) (*Call, error) {
	body, err := c.lookUp(ctx, c.base.JoinPath("api/v2/calls", id+".json"), maxAnswer)
	if err != nil {
		return nil, err
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
