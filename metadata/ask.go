package metadata

import (
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// A temporaryError is worth another attempt.
type temporaryError struct {
	err   error
	after time.Duration // what Retry-After asks for
}

func (e *temporaryError) Error() string { return e.err.Error() }

// ask retries attempt as long as that fits into the timeout. An error because
// ctx has ended is ctx's own.
func ask[T any](ctx context.Context, c *Client, id string, attempt func(context.Context) (T, error)) (T, error) {
	budget, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	answer, err := retry(budget, c, id, attempt)
	if ctx.Err() != nil && (errors.Is(err, ErrTimeout) || errors.Is(err, ErrUnavailable)) {
		return answer, ctx.Err()
	}
	if err != nil {
		err = c.scrub(err)
	}
	return answer, err
}

// retry attempts until the answer is final, or another attempt does not fit
// into ctx. The underlying error is told as text only, so that what ended the
// budget does not pass for the caller's context.
func retry[T any](ctx context.Context, c *Client, id string, attempt func(context.Context) (T, error)) (none T, _ error) {
	pause := &backoff.ExponentialBackOff{
		InitialInterval:     firstPause,
		RandomizationFactor: 0.5,
		Multiplier:          2.5,
		MaxInterval:         c.config.Timeout,
	}
	pause.Reset()
	deadline, _ := ctx.Deadline()
	var failure *temporaryError // of the attempt before
	for n := 1; ; n++ {
		answer, err := attempt(ctx)
		temporary, ok := errors.AsType[*temporaryError](err)
		if !ok {
			return answer, err
		}
		if ctx.Err() != nil {
			if failure != nil {
				return none, fmt.Errorf("%w: %v", ErrUnavailable, failure)
			}
			return none, fmt.Errorf("%w: %v", ErrTimeout, temporary)
		}
		failure = temporary
		wait := max(pause.NextBackOff(), failure.after)
		if n == maxAttempts || time.Until(deadline) <= wait {
			return none, fmt.Errorf("%w: %v", ErrUnavailable, failure)
		}
		c.config.Logger.Debug("the recorder failed, trying again", "call_id", id, "attempt", n, "pause", wait, "error", failure)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return none, fmt.Errorf("%w: %v", ErrUnavailable, failure)
		}
	}
}

// lookUp makes one request for an answer of at most so many bytes, and one
// more, by which too many can be told. Its error is a *temporaryError or final.
func (c *Client) lookUp(ctx context.Context, u *url.URL, most int64) ([]byte, error) {
	if err := acquire(ctx, c.lookups); err != nil {
		return nil, err
	}
	defer release(c.lookups)
	response, err := c.get(ctx, u, http.Header{"Accept": {"application/json"}})
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, c.statusError(response)
	}
	// net/http may have decompressed the body: it is bounded after that.
	body, err := io.ReadAll(io.LimitReader(response.Body, most+1))
	if errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if err != nil {
		return nil, &temporaryError{err: fmt.Errorf("read the answer: %w", err)}
	}
	return body, nil
}

// acquire waits for a slot, which is to be released.
func acquire(ctx context.Context, slots chan struct{}) error {
	select {
	case slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return &temporaryError{err: fmt.Errorf("%d requests are under way already", cap(slots))}
	}
}

func release(slots chan struct{}) { <-slots }

// get sends one request, with our account. Its error is a *temporaryError or
// final.
func (c *Client) get(ctx context.Context, u *url.URL, header http.Header) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	request.Header = header
	if c.config.Username != "" || c.config.Password != "" {
		request.SetBasicAuth(c.config.Username, c.config.Password)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, transportError(err)
	}
	return response, nil
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
