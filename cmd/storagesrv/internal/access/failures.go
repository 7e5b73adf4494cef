package access

import (
	"net/netip"
	"time"

	"github.com/maypok86/otter/v2"
	"golang.org/x/time/rate"
)

const (
	// failuresAtOnce is how many invalid credentials an address may send at
	// once, as a page of links signed with a key that was taken away does.
	failuresAtOnce = 60
	// failuresEvery is how often another one is allowed after that.
	failuresEvery = 2 * time.Second
	// rememberedAddresses bounds the memory; one takes about 200 bytes.
	rememberedAddresses = 20_000
)

// Failures counts the invalid credentials of each address. It is safe for
// concurrent use.
type Failures struct {
	addresses *otter.Cache[string, *rate.Limiter]
}

// NewFailures returns a count that begins with nothing.
func NewFailures() *Failures {
	return &Failures{otter.Must(&otter.Options[string, *rate.Limiter]{MaximumSize: rememberedAddresses})}
}

// Allow counts a failure of an address, and reports whether it is within what
// an address, or its [Network], may do.
func (f *Failures) Allow(address string) bool {
	limiter, _ := f.addresses.ComputeIfAbsent(Network(address), func() (*rate.Limiter, bool) {
		return rate.NewLimiter(rate.Every(failuresEvery), failuresAtOnce), false
	})
	return limiter.Allow()
}

// Network returns what counts as one client: an IPv4 address, or the /64 of an IPv6
// address, of which one machine can have any.
func Network(address string) string {
	addr, err := netip.ParseAddr(address)
	if err != nil || addr.Is4() {
		return address
	}
	prefix, err := addr.Prefix(64)
	if err != nil {
		return address
	}
	return prefix.String()
}
