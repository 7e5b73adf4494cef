package access

import (
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The headers of a question that tell what is asked for: those of nginx, of
// Traefik, and our own.
const (
	originalMethod  = "X-Original-Method"
	originalURI     = "X-Original-Uri"
	forwardedMethod = "X-Forwarded-Method"
	forwardedProto  = "X-Forwarded-Proto"
	forwardedHost   = "X-Forwarded-Host"
	forwardedURI    = "X-Forwarded-Uri"
	forwardedFor    = "X-Forwarded-For"
	callHeader      = "X-Storagesrv-Call-Id"
	fileHeader      = "X-Storagesrv-File-Id"
)

// notForwarded are headers that no question takes from a listener: those
// above, and those of one connection or one body (RFC 9110, 7.6.1).
var notForwarded = []string{
	originalMethod, originalURI, forwardedMethod, forwardedProto, forwardedHost, forwardedURI, forwardedFor, callHeader, fileHeader,
	"Connection", "Content-Encoding", "Content-Length", "Content-Type", "Expect", "Host", "Keep-Alive", "Proxy-Authenticate",
	"Proxy-Authorization", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
}

// headerName is a token (RFC 9110, 5.6.2).
var headerName = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$")

// CheckForwardHeader reports whether a header can be taken from a listener's
// request into a question.
func CheckForwardHeader(name string) error {
	if !headerName.MatchString(name) {
		return errors.New("not the name of a header")
	}
	if slices.Contains(notForwarded, textproto.CanonicalMIMEHeaderKey(name)) {
		return errors.New("a header that is not taken from clients")
	}
	return nil
}

// ask returns the header of the question about a request. What is asked for is
// told in words of ours alone, whatever the client sent under such names.
func (f *Forward) ask(r Request) http.Header {
	header := make(http.Header)
	for _, name := range f.config.Headers {
		if values := r.HTTP.Header[name]; len(values) > 0 {
			header[name] = values
		}
	}
	if header["User-Agent"] == nil {
		header.Set("User-Agent", "storagesrv")
	}
	uri := r.HTTP.URL.RequestURI()
	for _, fact := range []struct{ name, value string }{
		{originalMethod, r.HTTP.Method}, {forwardedMethod, r.HTTP.Method},
		{originalURI, uri}, {forwardedURI, uri},
		{forwardedProto, r.proto()}, {forwardedHost, r.host()}, {forwardedFor, r.Client},
		{callHeader, r.CallID}, {fileHeader, r.FileID},
	} {
		if fact.value != "" {
			header[fact.name] = []string{fact.value}
		}
	}
	return header
}

// judge says what an answer means. A redirect is for a person, who is to log
// in somewhere: a page that answers 200 there lets nobody in.
func (f *Forward) judge(response *http.Response) (Caller, error) {
	status := response.StatusCode
	caller := Caller{Printable(response.Header.Get(f.config.UserHeader)), ByForward}
	switch {
	case 200 <= status && status <= 299:
		return caller, nil
	case 300 <= status && status <= 399:
		return Caller{}, &Unauthenticated{Reason: fmt.Errorf("the web app redirects, with status %d", status)}
	case status == http.StatusUnauthorized:
		return Caller{}, &Unauthenticated{Challenges: challenges(response.Header), Reason: errors.New("the web app does not know the caller")}
	case status == http.StatusForbidden:
		return caller, &Forbidden{Challenges: challenges(response.Header), Reason: errors.New("the web app forbids it")}
	}
	return Caller{}, fmt.Errorf("%w: the web app answers with status %d", ErrUnavailable, status)
}

const (
	maxChallenges = 8
	maxChallenge  = 512 // bytes of one
)

// challenges returns what an app wants to be shown, as it wrote it. What is
// out of all proportion is left out: a part of it would mean something else.
func challenges(header http.Header) (values []string) {
	for _, value := range header["Www-Authenticate"] {
		odd := strings.ContainsFunc(value, func(c rune) bool { return c < ' ' || c > '~' })
		if 0 < len(value) && len(value) <= maxChallenge && !odd && len(values) < maxChallenges {
			values = append(values, value)
		}
	}
	return values
}

// freshness returns how long an answer may be kept: the TTL, or less if its
// Cache-Control says so (RFC 9111, 5.2.2). Private is what our cache is, which
// tells callers apart by all they sent.
func freshness(header http.Header, ttl time.Duration) time.Duration {
	for _, line := range header["Cache-Control"] {
		for directive := range strings.SplitSeq(line, ",") {
			name, value, _ := strings.Cut(directive, "=")
			switch strings.ToLower(strings.TrimSpace(name)) {
			case "no-store", "no-cache":
				return 0
			case "max-age":
				ttl = min(ttl, maxAge(strings.Trim(value, " \t\"")))
			}
		}
	}
	return ttl
}

// maxAge reads seconds; what is none is stale at once (RFC 9111, 4.2.1).
func maxAge(value string) time.Duration {
	const longest = 1 << 31 // as RFC 9111, 1.2.2, has it
	seconds, err := strconv.ParseUint(value, 10, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0
	}
	return time.Duration(min(seconds, longest)) * time.Second
}
