package metadata

import (
	"net/http"
	"strings"
	"time"
)

// A Validator tells whether two answers are of one version of a file (RFC 9110,
// section 8.8). Only what is strong enough to put ranges together by is in it.
type Validator struct {
	ETag     string    // quoted, never weak; "" if there is none
	Modified time.Time // zero if it is not known, or was too recent to be sure
}

// settled is how much older than an answer a modification time must be to
// stand for one version only (RFC 9110, section 8.8.2.2).
const settled = time.Minute

func validatorOf(h http.Header) Validator {
	var v Validator
	if tag := h.Get("ETag"); isStrong(tag) {
		v.ETag = tag
	}
	modified, err := http.ParseTime(h.Get("Last-Modified"))
	if err != nil {
		return v
	}
	if date, err := http.ParseTime(h.Get("Date")); err == nil && date.Sub(modified) >= settled {
		v.Modified = modified
	}
	return v
}

// isStrong reports whether tag is a strong entity tag of sensible length.
func isStrong(tag string) bool {
	inner, opened := strings.CutPrefix(tag, `"`)
	inner, closed := strings.CutSuffix(inner, `"`)
	odd := func(c rune) bool { return c <= ' ' || c > '~' || c == '"' }
	return opened && closed && len(tag) <= 256 && !strings.ContainsFunc(inner, odd)
}

// IsZero reports whether there is no validator: nothing tells versions apart.
func (v Validator) IsZero() bool { return v.ETag == "" && v.Modified.IsZero() }

// String is the validator as If-Range wants it.
func (v Validator) String() string {
	if v.ETag == "" && !v.Modified.IsZero() {
		return v.Modified.UTC().Format(http.TimeFormat)
	}
	return v.ETag
}

// matches reports whether an answer with the validator other is of the same
// version.
func (v Validator) matches(other Validator) bool {
	if v.ETag != "" {
		return v.ETag == other.ETag
	}
	return v.Modified.Equal(other.Modified)
}
