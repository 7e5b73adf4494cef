package server

import (
	"crypto/rand"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// client returns the address that a request comes from, and whether the peer
// is a trusted proxy. A proxy's word counts as far as each next hop is trusted
// too: the address is the last in X-Forwarded-For that is not a trusted proxy.
func (s *Server) client(r *http.Request) (address string, proxied bool) {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr, false
	}
	addr := peer.Addr().Unmap().WithZone("")
	if !s.trusts(addr) {
		return addr.String(), false
	}
	hops := strings.Split(strings.Join(r.Header["X-Forwarded-For"], ","), ",")
	for _, hop := range slices.Backward(hops) {
		next, err := netip.ParseAddr(strings.TrimSpace(hop))
		if err != nil {
			break // not an address: what stands before it proves nothing
		}
		if addr = next.Unmap().WithZone(""); !s.trusts(addr) {
			break
		}
	}
	return addr.String(), true
}

func (s *Server) trusts(addr netip.Addr) bool {
	return slices.ContainsFunc(s.config.Proxies, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// requestID returns the id that a trusted proxy gave the request, or a new one.
func requestID(r *http.Request, trusted bool) string {
	id := r.Header.Get("X-Request-Id")
	if trusted && 0 < len(id) && len(id) <= 128 && !strings.ContainsFunc(id, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return id
	}
	return rand.Text()
}
