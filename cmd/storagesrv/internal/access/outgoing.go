package access

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// A Dial makes a connection, as net.Dialer does.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

const (
	// maxAnswerHeader bounds the header of an answer, in bytes.
	maxAnswerHeader = 32 << 10
	// idleTimeout is how long a connection is kept for another question.
	idleTimeout = 90 * time.Second
)

// newTransport returns what we ask another server with. Proxies of the
// environment are not used: the servers that know our callers are neighbours.
// A transport, unlike a client, follows no redirects.
func newTransport(roots *x509.CertPool, timeout time.Duration, connections int, dial Dial) *http.Transport {
	if dial == nil {
		// net/http goes on dialing after a question was given up: bound that too.
		dial = (&net.Dialer{Timeout: timeout, KeepAlive: 15 * time.Second}).DialContext
	}
	return &http.Transport{
		DialContext:            dial,
		TLSClientConfig:        &tls.Config{RootCAs: roots},
		TLSHandshakeTimeout:    timeout,
		MaxIdleConnsPerHost:    connections,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxAnswerHeader,
		DisableCompression:     true,
	}
}

// checkURL reports whether an address can be asked. Its error does not quote
// the address, in which a password may stand.
func checkURL(address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return errors.New("no http or https URL")
	case u.User != nil || u.Fragment != "":
		return errors.New("a URL with a user or a fragment")
	}
	return nil
}

// failure tells why there is no answer, in words of ours: those of net/http
// can quote what the other server wrote, which may repeat a credential.
func failure(err error) string {
	_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
	network, broken := errors.AsType[*net.OpError](err)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	case errors.Is(err, context.Canceled):
		return "nobody waits for the answer any more"
	case untrusted:
		return "its certificate is not trusted: " + bounded(err.Error())
	case broken:
		return bounded(network.Error())
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return "it closed the connection"
	}
	return "its answer is not HTTP, or has a header over 32 KiB"
}

// bounded keeps what others wrote from filling the log.
func bounded(text string) string { return strings.ToValidUTF8(text[:min(len(text), 200)], "") }
