package access

import (
	"crypto/hmac"
	"encoding/base64"
	"errors"
	"net/http"
	"time"
)

// Held is a link that is good for whoever sent it.
type Held struct {
	Link
	// Cookie is to be set when playback begins, so that it can go on after the
	// link has expired; nil if that is done, or too late.
	Cookie *http.Cookie
}

// Caller is whom the link was made for.
func (h Held) Caller() Caller { return Caller{h.Subject, ByLink} }

// Admit returns the link of a request at origin. An expired one is good
// together with the cookie that its holder was given before, until MaxExpires
// have passed since. Errors are ErrLinkExpired, ErrLinkInvalid or
// ErrTooManyFailures. Invalid links count against the client's address as other
// invalid credentials do, and valid ones never are refused for that.
func (k *Keys) Admit(r Request, origin Origin) (Held, error) {
	link, key, err := k.verify(origin, r.CallID, r.HTTP.URL.RawQuery)
	if errors.Is(err, ErrLinkInvalid) {
		if !k.config.Failures.Allow(r.Client) {
			err = ErrTooManyFailures
		}
		return Held{}, err
	}
	left := link.Expires.Add(k.config.MaxExpires).Sub(k.config.Now())
	if left > 0 && key.hasCookie(r.HTTP, link) {
		return Held{Link: link}, nil
	}
	if err != nil {
		return Held{}, err
	}
	return Held{link, key.cookie(link, left)}, nil
}

// hasCookie reports whether a request has the cookie of a link.
func (k Key) hasCookie(r *http.Request, l Link) bool {
	want := k.cookieValue(l)
	for _, cookie := range r.CookiesNamed(k.cookieName(l)) {
		if hmac.Equal([]byte(cookie.Value), []byte(want)) {
			return true
		}
	}
	return false
}

// cookie is for this link alone, by its path and by its name. A page of another
// site may play the link: there it takes SameSite=None and Partitioned, which
// want HTTPS.
func (k Key) cookie(l Link, left time.Duration) *http.Cookie {
	c := &http.Cookie{
		Name:     k.cookieName(l),
		Value:    k.cookieValue(l),
		Path:     l.Origin.Path + l.Path(),
		MaxAge:   max(1, int(left/time.Second)),
		HttpOnly: true,
		SameSite: http.SameSiteLaxMode,
	}
	if l.Origin.Scheme == "https" {
		c.Secure, c.SameSite, c.Partitioned = true, http.SameSiteNoneMode, true
	}
	return c
}

// Names and values are short, because browsers keep few kilobytes for each site
// in another: 64 bits to tell the links to one call apart, and 128 that nobody
// guesses.

func (k Key) cookieName(l Link) string {
	return "play-" + base64.RawURLEncoding.EncodeToString(k.mac(forCookieName, l)[:8])
}

func (k Key) cookieValue(l Link) string {
	return base64.RawURLEncoding.EncodeToString(k.mac(forCookie, l)[:16])
}
