package server

import (
	"net/http"
	"slices"
)

const (
	// corsHeaders are what a page may read of an answer.
	corsHeaders = "Accept-Ranges, Content-Range, Content-Length, ETag, Content-Disposition"
	// corsMaxAge is how long a browser need not ask again, in seconds: the
	// most that Chromium takes.
	corsMaxAge = "7200"
)

// cors lets pages of the configured origins read what next answers, refusals
// too, and answers their preflights. One origin is sent whoever asks, so that
// answers do not depend on who does: Chrome does not revalidate what it keeps
// of a recording if that varies by Origin.
func (s *Server) cors(next http.Handler) http.Handler {
	if len(s.config.CORSOrigins) == 0 {
		return next
	}
	preflight := s.handle("preflight", s.preflight, http.MethodOptions)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		allowed := s.allowOrigin(w.Header(), r.Header.Get("Origin"))
		if allowed && r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
			preflight.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// allowOrigin says which origin may read an answer, and reports whether that is
// the one that asks.
func (s *Server) allowOrigin(h http.Header, asks string) bool {
	origins := s.config.CORSOrigins
	allowed := slices.Contains(origins, asks)
	name := asks
	if len(origins) == 1 {
		name = origins[0]
	} else if h.Add("Vary", "Origin"); !allowed {
		return false
	}
	h.Set("Access-Control-Allow-Origin", name)
	h.Set("Access-Control-Allow-Credentials", "true")
	h.Set("Access-Control-Expose-Headers", corsHeaders)
	return allowed
}

// preflight tells a browser what a page may send (https://fetch.spec.whatwg.org,
// 4.8). Nothing is asked of the page's user: that is for the request after it.
func (s *Server) preflight(w *response, r *http.Request) error {
	h := w.Header()
	methods, headers := "GET, HEAD", "Authorization, If-Range, Range"
	if r.URL.Path == fileURLsPath {
		methods, headers = "POST", "Authorization, Content-Type"
	}
	h.Set("Access-Control-Allow-Methods", methods)
	h.Set("Access-Control-Allow-Headers", headers)
	h.Set("Access-Control-Max-Age", corsMaxAge)
	if r.Header.Get("Access-Control-Request-Private-Network") == "true" {
		h.Set("Access-Control-Allow-Private-Network", "true")
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
