// Package access decides who may play what.
//
// A [Scheme] is one way to show that a request may be answered: a token, a JSON
// web token, the word of the web app. A [Policy] holds the schemes that a
// configuration names; any of them may let a request in. Signed links ([Keys])
// stand for themselves: whoever holds one may play what it names.
package access

import (
	"errors"
	"net/http"
	"slices"
)

// Via is how a caller was let in, as the audit says it.
type Via string

// The ways in.
const (
	ByToken   Via = "token"
	ByLink    Via = "link"
	ByJWT     Via = "jwt"
	ByForward Via = "forward"
	Anonymous Via = "anonymous"
)

// A Caller is somebody who was let in.
type Caller struct {
	// Name is a token's name, the subject of a link or of a JSON web token, or
	// the user that the web app named: at most 256 printable bytes, "" if
	// nobody said.
	Name string
	Via  Via
}

// A Request asks to play a recording.
type Request struct {
	HTTP   *http.Request // its context bounds the decision
	Client string        // the listener's address, as far as proxies are believed
	CallID string
	FileID string // "" if none is named
	// Proto and Host are those of the URL that the listener asked for, as far
	// as proxies are believed; "": as the request says.
	Proto, Host string
}

func (r Request) proto() string {
	if r.Proto != "" {
		return r.Proto
	}
	if r.HTTP.TLS != nil {
		return "https"
	}
	return "http"
}

func (r Request) host() string {
	if r.Host != "" {
		return r.Host
	}
	return r.HTTP.Host
}

// A Scheme lets requests in or not. Schemes are safe for concurrent use.
type Scheme interface {
	// Admit returns who asks. The error is or wraps an *Unauthenticated,
	// ErrForbidden or ErrUnavailable, or is that of the request's context. With
	// ErrForbidden comes who it is that may not.
	Admit(Request) (Caller, error)
}

// Why a request is not let in; tested with errors.Is. What stands around them
// is for a log and never holds a credential.
var (
	// ErrForbidden: a known caller, who may not play this call.
	ErrForbidden = errors.New("not allowed to play this call")
	// ErrUnavailable: whom we have to ask about the caller does not answer.
	ErrUnavailable = errors.New("cannot decide who may play now")
	// ErrTooManyFailures: too many invalid credentials came from this address.
	ErrTooManyFailures = errors.New("too many invalid credentials from this address")
)

// Unauthenticated is the error of a request without a valid credential.
type Unauthenticated struct {
	// Challenges are values of WWW-Authenticate: what would do instead.
	Challenges []string
	// Invalid says that there was a credential, and that it was never valid:
	// somebody may be guessing. One that has expired is none of these.
	Invalid bool
	// Reason says for a log what is wrong; nil if there was no credential.
	Reason error
}

func (e *Unauthenticated) Error() string {
	if e.Reason == nil {
		return "no credential"
	}
	return e.Reason.Error()
}

func (e *Unauthenticated) Unwrap() error { return e.Reason }

// Forbidden is ErrForbidden of somebody who decides and says more.
type Forbidden struct {
	// Challenges are values of WWW-Authenticate: what might change that.
	Challenges []string
	Reason     error // for a log
}

func (e *Forbidden) Error() string { return e.Reason.Error() }

// Is makes it ErrForbidden.
func (e *Forbidden) Is(target error) bool { return target == ErrForbidden }

// Challenges returns the values of WWW-Authenticate that belong to the answer
// to a request which was refused with err.
func Challenges(err error) []string {
	if e, ok := errors.AsType[*Unauthenticated](err); ok {
		return e.Challenges
	}
	if e, ok := errors.AsType[*Forbidden](err); ok {
		return e.Challenges
	}
	return nil
}

// A Policy is who may play by the schemes of a configuration. It is safe for
// concurrent use.
type Policy struct {
	schemes   []Scheme
	anonymous bool
	failures  *Failures
}

// NewPolicy returns a policy of schemes, which are asked in this order. If
// anonymous, who is not known is let in as well. Failures may be shared with
// other policies.
func NewPolicy(failures *Failures, anonymous bool, schemes ...Scheme) *Policy {
	return &Policy{schemes: schemes, anonymous: anonymous, failures: failures}
}

// Admit returns who asks, by the first scheme that lets the request in. If
// none does, what a client can do about it decides which error is returned:
// ErrUnavailable (try again), then ErrForbidden with whom it is about, then
// *Unauthenticated with the challenges of all schemes. Invalid credentials count
// against the client's address, whatever else is wrong; beyond its share they are
// ErrTooManyFailures. Valid ones never are, so that one who guesses does not lock
// out others at the same address.
func (p *Policy) Admit(r Request) (Caller, error) {
	var refused refusals
	var forbidden Caller
	for _, scheme := range p.schemes {
		caller, err := scheme.Admit(r)
		if err == nil {
			return caller, nil
		}
		if errors.Is(err, ErrForbidden) && forbidden.Name == "" {
			forbidden = caller
		}
		refused = append(refused, err)
	}
	if err := r.HTTP.Context().Err(); err != nil {
		return Caller{}, err
	}
	if p.anonymous {
		return Caller{Via: Anonymous}, nil
	}
	if refused.anyInvalid() && !p.failures.Allow(r.Client) {
		return Caller{}, ErrTooManyFailures
	}
	err := refused.worst()
	if errors.Is(err, ErrForbidden) {
		return forbidden, err
	}
	return Caller{}, err
}

// refusals are the errors of all schemes.
type refusals []error

// anyInvalid reports whether there was a credential that was never valid.
func (all refusals) anyInvalid() bool {
	return slices.ContainsFunc(all, func(err error) bool {
		e, ok := errors.AsType[*Unauthenticated](err)
		return ok && e.Invalid
	})
}

func (all refusals) worst() error {
	for _, kind := range []error{ErrUnavailable, ErrForbidden} {
		if i := slices.IndexFunc(all, func(err error) bool { return errors.Is(err, kind) }); i >= 0 {
			return all[i]
		}
	}
	sum := &Unauthenticated{}
	var reasons []error
	for _, err := range all {
		e, ok := errors.AsType[*Unauthenticated](err)
		if !ok {
			return err
		}
		for _, challenge := range e.Challenges {
			if !slices.Contains(sum.Challenges, challenge) {
				sum.Challenges = append(sum.Challenges, challenge)
			}
		}
		sum.Invalid = sum.Invalid || e.Invalid
		if e.Reason != nil {
			reasons = append(reasons, e.Reason)
		}
	}
	sum.Reason = errors.Join(reasons...)
	return sum
}
