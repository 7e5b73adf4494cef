package server

import (
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Admin returns the handler of the private listener: /livez, /readyz, /metrics.
func (s *Server) Admin() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Write([]byte("ok\n")) // touches nothing: it tells only that we run
	})
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.config.Metrics, promhttp.HandlerOpts{}))
	return mux
}

type readiness struct {
	Ready    bool          `json:"ready"`
	Draining bool          `json:"draining,omitempty"`
	Metadata healthInfo    `json:"metadata"`
	Stores   []storeHealth `json:"stores"`
	Audit    *auditHealth  `json:"audit,omitempty"`
}

type auditHealth struct {
	Required bool `json:"required"`
	healthInfo
}

type storeHealth struct {
	Store string `json:"store"`
	healthInfo
}

type healthInfo struct {
	Up     bool       `json:"up"`
	Since  *time.Time `json:"since,omitempty"`
	Reason string     `json:"reason,omitempty"`
}

// readyz answers 503 when no store can serve, when a required audit cannot be
// written, or when this server is ending. A recorder that does not answer is shown
// and not counted: known calls play on.
func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	ready := readiness{Draining: s.draining.Load(), Stores: s.storeHealth()}
	calls := s.config.Calls.Health()
	ready.Metadata = healthInfo{calls.Up, optional(calls.Since), calls.Reason}
	for _, store := range ready.Stores {
		ready.Ready = ready.Ready || store.Up && !ready.Draining
	}
	if s.config.Audit != nil {
		h := s.config.Audit.Health()
		ready.Audit = &auditHealth{h.Required, healthInfo{h.Up, optional(h.Since), h.Reason}}
		ready.Ready = ready.Ready && (h.Up || !h.Required)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if !ready.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	json.NewEncoder(w).Encode(ready) // an error here is the client's
}

// storeHealth asks all stores at once, because one may take its time.
func (s *Server) storeHealth() []storeHealth {
	table := s.config.Recordings.Entries()
	stores := make([]storeHealth, len(table))
	var asked sync.WaitGroup
	for i, entry := range table {
		asked.Go(func() {
			h := entry.Health()
			stores[i] = storeHealth{entry.Label, healthInfo{h.Up, optional(h.Since), h.Reason}}
		})
	}
	asked.Wait()
	return stores
}
