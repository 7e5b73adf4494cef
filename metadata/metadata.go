// Package metadata asks the recorder what it knows about a call: above all
// where the recordings of the call are.
//
// A [Source] answers for one call id. [Client] asks the recorder's REST API,
// [Cache] remembers what any Source said and outlives its outages, and
// [Catalog] answers from a file instead:
//
//	client, err := metadata.NewClient(metadata.ClientConfig{URL: "http://recorder:8080", Username: "playback", Password: secret})
//	calls := metadata.NewCache(client, metadata.CacheConfig{})
//	call, err := calls.Call(ctx, "e03f497d-bdff-1019-102d-68be3896f081")
//
// Package metadatatest is a recorder to test against.
package metadata

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Why a [Source] has no call to return; tested with errors.Is. The text around
// them is meant for a log: it may quote up to 80 bytes of what the recorder
// answered, never a password.
var (
	// ErrNotFound: the recorder does not know the call.
	ErrNotFound = errors.New("no such call")
	// ErrDenied: the recorder refuses our account (401, 403).
	ErrDenied = errors.New("the recorder refuses our account")
	// ErrMalformed: the answer makes no sense, and asking again would not help.
	ErrMalformed = errors.New("what is said of the call makes no sense")
	// ErrUnavailable: the recorder cannot be reached, or says that it cannot
	// answer now.
	ErrUnavailable = errors.New("the recorder is unavailable")
	// ErrTimeout: no answer within our own time limit. It is not a
	// context.DeadlineExceeded: that is the caller's.
	ErrTimeout = errors.New("the recorder did not answer in time")
	// ErrWrongRange, of files only: the recorder answered with another part than
	// it was asked for. It is an ErrMalformed.
	ErrWrongRange = fmt.Errorf("%w: a wrong range", ErrMalformed)
	// ErrChanged, of files only: there is another version now than that of which
	// more was asked for. It is an ErrUnavailable: from the start on it is there.
	ErrChanged = fmt.Errorf("%w: the file changed", ErrUnavailable)
)

// A Source knows calls. Sources are safe for concurrent use.
type Source interface {
	// Call returns the call with the given id. The result is shared: whoever
	// gets it must not change it. It returns soon after ctx ends.
	//
	// Errors are one of those above or, when ctx ended first, ctx's own.
	Call(ctx context.Context, id string) (*Call, error)
	// Health says how the last look-up went. It waits for nothing.
	Health() Health
}

// A Call is what the recorder says about one call.
type Call struct {
	ID          string
	From, To    string        // numbers as dialed, or names; "" if not known
	Start, Stop time.Time     // zero if not known, as Stop is during the call
	Duration    time.Duration // 0 if not known
	State       int           // call_state; 0 if absent or not a whole number
	Files       []File        // in order of Start, then ID; a file without Start comes first

	Raw     json.RawMessage // the answer as it came, {"call": {...}}, at most 1 MiB
	Fetched time.Time       // when the recorder said so
	Stale   bool            // the recorder could not be asked again; see [CacheConfig.StaleIfError]
}

// A File is one recording of a call. A call has several where the recorder
// splits it at periods of silence.
type File struct {
	ID          string    // unique in the call; may be "" where it is the only file
	Start, Stop time.Time // zero if not known; no Stop means that it is being written
	Size        int64     // as the recorder says; 0 if not known
	Path        string    // on the recorder, untrusted; "" if not known
	Encrypted   bool      // the recorder says that the file is ciphertext
}

// InProgress reports whether more may be recorded. The recorder numbers its
// states 4 connected, 5 disconnecting, 6 disconnected, 7 hold, 8 transferred;
// below 4 a call is not connected yet. From 6 on, or without a state, a file
// that has no stop time says so.
func (c *Call) InProgress() bool {
	if 1 <= c.State && c.State <= 5 {
		return true
	}
	return slices.ContainsFunc(c.Files, func(f File) bool { return f.Stop.IsZero() })
}

// Health is what a source says of itself to operators.
type Health struct {
	Up     bool      // whether the last look-up was answered; true before the first
	Since  time.Time // when Up last changed
	Reason string    // why it is down, for an operator's eyes only; "" when up
}

// ValidID reports whether id can be a call's: 1 to 64 of 0-9, A-Z, a-z and "-".
// Sources answer any other with ErrNotFound and ask nobody.
func ValidID(id string) bool {
	return validName(id, "-")
}

// ValidFileID is ValidID for files, whose ids may have "_" as well.
func ValidFileID(id string) bool {
	return validName(id, "-_")
}

func validName(s, punctuation string) bool {
	if len(s) < 1 || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		alphanumeric := '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
		if !alphanumeric && strings.IndexByte(punctuation, c) < 0 {
			return false
		}
	}
	return true
}

// excerpt quotes the beginning of what others wrote, for a log.
func excerpt[T []byte | string](s T) string {
	return strconv.QuoteToASCII(string(s[:min(len(s), 80)]))
}
