package config

import (
	"fmt"
	"net/url"
	"regexp"
	"time"

	"storagesrv/cmd/storagesrv/internal/access"
)

// Forward is the web app that is asked who may play.
type Forward struct {
	URL           string   `yaml:"url"`
	CAFile        string   `yaml:"ca_file"`
	Headers       []string `yaml:"headers"` // of the listener's request, that go with the question
	Timeout       Duration `yaml:"timeout"` // 0 stands for the default, as below
	MaxConcurrent int      `yaml:"max_concurrent"`
	UserHeader    string   `yaml:"user_header"` // of the answer; "" = none

	// CacheTTL is how long a yes holds. 0 is not at all, and nil stands for
	// the default.
	CacheTTL *Duration `yaml:"cache_ttl"`
}

const (
	maxForwardTimeout = 30 * time.Second
	maxForwardTTL     = time.Hour // whoever logs out may play on for so long
	maxQuestions      = 1000      // at a time
)

// header is the name of one (RFC 9110, 5.6.2: a token), and of a cookie.
var header = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$")

func (f *Forward) validate(in source, key string) error {
	f.fill()
	for i, name := range f.Headers {
		if err := access.CheckForwardHeader(name); err != nil {
			return in.fault(fmt.Sprintf("%s.headers[%d]", key, i), "is %v", err)
		}
	}
	switch {
	case !isURL(f.URL):
		return in.fault(key+".url", "must be an address such as http://crm.example.lan/may-play, without a password")
	case f.UserHeader != "" && !header.MatchString(f.UserHeader):
		return in.fault(key+".user_header", "must be the name of a header, such as X-Forwarded-User")
	case time.Duration(f.Timeout) < 100*time.Millisecond || time.Duration(f.Timeout) > maxForwardTimeout:
		return in.fault(key+".timeout", "must be between 100ms and %v", maxForwardTimeout)
	case f.MaxConcurrent < 1 || f.MaxConcurrent > maxQuestions:
		return in.fault(key+".max_concurrent", "must be between 1 and %d", maxQuestions)
	case time.Duration(*f.CacheTTL) > maxForwardTTL:
		return in.fault(key+".cache_ttl", "must be at most %v", maxForwardTTL)
	}
	return nil
}

// fill puts in the defaults.
func (f *Forward) fill() {
	if f.Headers == nil {
		f.Headers = []string{"Cookie", "Authorization"}
	}
	if f.Timeout == 0 {
		f.Timeout = Duration(2 * time.Second)
	}
	if f.MaxConcurrent == 0 {
		f.MaxConcurrent = 32
	}
	if f.CacheTTL == nil {
		ttl := Duration(10 * time.Second)
		f.CacheTTL = &ttl
	}
}

// isURL reports whether text is the address of something to ask by HTTP.
func isURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil && u.Fragment == ""
}
