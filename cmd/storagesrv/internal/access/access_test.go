package access_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"storagesrv/cmd/storagesrv/internal/access"
)

const secret = "2b1f0d1c9a7e4f55"

func tokens(basic bool) access.Tokens {
	return access.Tokens{List: []access.Token{
		{Name: "other", Hash: sha256.Sum256([]byte("another"))},
		{Name: "crm", Hash: sha256.Sum256([]byte(secret))},
	}, OfferBasic: basic}
}

func request(set func(*http.Request)) access.Request {
	r := httptest.NewRequest(http.MethodGet, "/recordings/1", nil)
	if set != nil {
		set(r)
	}
	return access.Request{HTTP: r, Client: "192.0.2.1", CallID: "1"}
}

func bearer(token string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
}

func TestTokens(t *testing.T) {
	basic := func(name, password string) func(*http.Request) {
		return func(r *http.Request) { r.SetBasicAuth(name, password) }
	}
	for name, c := range map[string]struct {
		set           func(*http.Request)
		in, isInvalid bool
	}{
		"bearer":                  {bearer(secret), true, false},
		"a scheme in small":       {func(r *http.Request) { r.Header.Set("Authorization", "bearer "+secret) }, true, false},
		"basic":                   {basic("crm", secret), true, false},
		"nothing":                 {nil, false, false},
		"another scheme":          {func(r *http.Request) { r.Header.Set("Authorization", "Digest "+secret) }, false, false},
		"no token":                {func(r *http.Request) { r.Header.Set("Authorization", "Bearer ") }, false, false},
		"the wrong token":         {bearer(secret + "x"), false, true},
		"its hash":                {bearer(fmt.Sprintf("%x", sha256.Sum256([]byte(secret)))), false, true},
		"a huge one":              {bearer(strings.Repeat("x", 1<<20)), false, true},
		"basic of another name":   {basic("other", secret), false, true},
		"basic, name as password": {basic("crm", "crm"), false, true},
		"basic without a name":    {basic("", secret), false, true},
	} {
		t.Run(name, func(t *testing.T) {
			caller, err := tokens(false).Admit(request(c.set))
			if c.in {
				if err != nil || caller != (access.Caller{Name: "crm", Via: access.ByToken}) {
					t.Errorf("%+v, %v", caller, err)
				}
				return
			}
			e, ok := errors.AsType[*access.Unauthenticated](err)
			if !ok || e.Invalid != c.isInvalid || len(e.Challenges) != 1 || strings.Contains(e.Error(), secret) {
				t.Errorf("%#v", err)
			}
		})
	}
	_, err := tokens(true).Admit(request(nil))
	if e, ok := errors.AsType[*access.Unauthenticated](err); !ok || len(e.Challenges) != 2 || !strings.HasPrefix(e.Challenges[1], "Basic ") {
		t.Errorf("%#v", err)
	}
}

// No token would do where there is none, so none is asked for. Whoever sends one
// is guessing all the same.
func TestWithoutTokensNoneIsAskedFor(t *testing.T) {
	for _, offerBasic := range []bool{false, true} {
		for name, set := range map[string]func(*http.Request){"nothing": nil, "a token": bearer(secret)} {
			_, err := access.Tokens{OfferBasic: offerBasic}.Admit(request(set))
			if e, ok := errors.AsType[*access.Unauthenticated](err); !ok || len(e.Challenges) != 0 || e.Invalid != (set != nil) {
				t.Errorf("%s: %#v", name, err)
			}
		}
	}
}

// A says is a Scheme that gives the same answer to all.
type says struct {
	caller access.Caller
	err    error
}

func (s says) Admit(access.Request) (access.Caller, error) { return s.caller, s.err }

func TestAnySchemeLetsIn(t *testing.T) {
	anna := says{caller: access.Caller{Name: "anna", Via: access.ByForward}}
	bert := access.Caller{Name: "bert", Via: access.ByJWT}
	forbidden := says{bert, fmt.Errorf("not his: %w", access.ErrForbidden)}
	down := says{err: fmt.Errorf("refused: %w", access.ErrUnavailable)}
	stranger := says{err: &access.Unauthenticated{Challenges: []string{"Cookie", "Bearer"}, Reason: errors.New("who?")}}
	nobody := says{err: &access.Unauthenticated{Challenges: []string{"Bearer"}}}
	for name, c := range map[string]struct {
		schemes []access.Scheme
		want    error // nil: let in
		caller  access.Caller
	}{
		"the last of them":                         {[]access.Scheme{forbidden, down, stranger, anna}, nil, anna.caller},
		"who does not answer might let in":         {[]access.Scheme{forbidden, down, nobody}, access.ErrUnavailable, access.Caller{}},
		"who knows the caller, before who do not":  {[]access.Scheme{nobody, forbidden, stranger}, access.ErrForbidden, bert},
		"an error that says nothing of the caller": {[]access.Scheme{nobody, says{err: context.Canceled}}, context.Canceled, access.Caller{}},
	} {
		caller, err := access.NewPolicy(access.NewFailures(), false, c.schemes...).Admit(request(nil))
		if !errors.Is(err, c.want) || caller != c.caller {
			t.Errorf("%s: %+v, %v", name, caller, err)
		}
	}
	_, err := access.NewPolicy(access.NewFailures(), false, nobody, stranger).Admit(request(nil))
	e, ok := errors.AsType[*access.Unauthenticated](err)
	if !ok || !slices.Equal(e.Challenges, []string{"Bearer", "Cookie"}) || e.Error() != "who?" {
		t.Errorf("%#v", err)
	}
	if caller, err := access.NewPolicy(access.NewFailures(), true, stranger).Admit(request(nil)); err != nil || caller.Via != access.Anonymous {
		t.Errorf("%+v, %v", caller, err)
	}
}

func TestWhoGuessesIsSlowedDownAndOthersAreNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		policy := access.NewPolicy(access.NewFailures(), false, tokens(false))
		guesses := 0
		for ; guesses < 10_000; guesses++ {
			if _, err := policy.Admit(request(bearer("guess"))); errors.Is(err, access.ErrTooManyFailures) {
				break
			}
		}
		if guesses < 10 || guesses > 1000 {
			t.Errorf("slowed down after %d guesses", guesses)
		}
		if _, err := policy.Admit(request(bearer(secret))); err != nil {
			t.Errorf("a valid token from the same address: %v", err)
		}
		if _, err := policy.Admit(request(nil)); errors.Is(err, access.ErrTooManyFailures) {
			t.Errorf("no credential is no guess: %v", err)
		}
		elsewhere := request(bearer("guess"))
		elsewhere.Client = "192.0.2.2"
		if _, err := policy.Admit(elsewhere); errors.Is(err, access.ErrTooManyFailures) {
			t.Error("another address is slowed down as well")
		}
		time.Sleep(10 * time.Minute)
		if _, err := policy.Admit(request(bearer("guess"))); errors.Is(err, access.ErrTooManyFailures) {
			t.Error("slowed down for ever")
		}
	})
}

// What another scheme says of the request makes a wrong token no less wrong, and
// a request without one no guess.
func TestWhoGuessesIsSlowedDownWhateverOthersSay(t *testing.T) {
	for name, other := range map[string]error{
		"forward does not answer": fmt.Errorf("refused: %w", access.ErrUnavailable),
		"forward forbids it":      &access.Forbidden{Reason: errors.New("not his")},
		"forward knows nobody":    &access.Unauthenticated{Reason: errors.New("who?")},
	} {
		t.Run(name, func(t *testing.T) {
			policy := access.NewPolicy(access.NewFailures(), false, tokens(false), says{err: other})
			for range 1000 {
				if _, err := policy.Admit(request(nil)); errors.Is(err, access.ErrTooManyFailures) || err == nil {
					t.Fatalf("without a credential: %v", err)
				}
			}
			if _, err := policy.Admit(request(bearer("guess"))); errors.Is(err, access.ErrTooManyFailures) || err == nil {
				t.Errorf("the first guess: %v", err)
			}
			slowed := 0
			for range 1000 {
				if _, err := policy.Admit(request(bearer("guess"))); errors.Is(err, access.ErrTooManyFailures) {
					slowed++
				}
			}
			if slowed < 900 {
				t.Errorf("%d of 1000 guesses are slowed down", slowed)
			}
			if _, err := policy.Admit(request(bearer(secret))); err != nil {
				t.Errorf("a valid token from the same address: %v", err)
			}
			if _, err := policy.Admit(request(nil)); errors.Is(err, access.ErrTooManyFailures) || err == nil {
				t.Errorf("without a credential, from the same address: %v", err)
			}
		})
	}
}

func TestAnIPv6NetworkCountsAsOneAddress(t *testing.T) {
	failures := access.NewFailures()
	allowed := 0
	for i := range 1000 {
		if failures.Allow(fmt.Sprintf("2001:db8::%x", i)) {
			allowed++
		}
	}
	if allowed > 200 {
		t.Errorf("%d failures from one network", allowed)
	}
	if !failures.Allow("2001:db8:0:1::1") {
		t.Error("another network is slowed down as well")
	}
}
