package main

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"storagesrv/cmd/storagesrv/internal/access"
	"storagesrv/metadata"
	"storagesrv/storage"
)

// metrics are those of the pieces below the server, which know nothing of
// Prometheus.
type metrics struct {
	registry prometheus.Registerer
	lookups  *prometheus.CounterVec // by result
	dials    *prometheus.CounterVec // by store, result
	resumes  *prometheus.CounterVec // by store
	reads    *prometheus.CounterVec // by result
}

func newMetrics(registry prometheus.Registerer) *metrics {
	with := promauto.With(registry)
	m := &metrics{
		registry: registry,
		lookups: with.NewCounterVec(prometheus.CounterOpts{
			Name: "storagesrv_metadata_lookups_total", Help: "Calls looked up, by what came of it.",
		}, []string{"result"}),
		dials: with.NewCounterVec(prometheus.CounterOpts{
			Name: "storagesrv_sftp_dials_total", Help: "SSH connections dialed, by what came of it.",
		}, []string{"store", "result"}),
		resumes: with.NewCounterVec(prometheus.CounterOpts{
			Name: "storagesrv_stream_resumes_total", Help: "Files that went on over another connection, or in this store after another one failed.",
		}, []string{"store"}),
		reads: with.NewCounterVec(prometheus.CounterOpts{
			Name: "storagesrv_cache_reads_total", Help: "Chunks of SFTP files read, by where they came from.",
		}, []string{"result"}),
	}
	for _, result := range []string{storage.CacheHit, storage.CacheMiss, storage.CacheShared, storage.CacheDirect} {
		m.reads.WithLabelValues(result)
	}
	for _, result := range []string{metadata.ResultHit, metadata.ResultMiss, metadata.ResultStale, metadata.ResultNegative, metadata.ResultError} {
		m.lookups.WithLabelValues(result)
	}
	version, commit, goVersion := build()
	with.NewGauge(prometheus.GaugeOpts{
		Name: "storagesrv_build_info", Help: "What this program was built from.",
		ConstLabels: prometheus.Labels{"version": version, "commit": commit, "go_version": goVersion},
	}).Set(1)
	return m
}

// lookedUp is a metadata cache's Observe.
func (m *metrics) lookedUp(result string) { m.lookups.WithLabelValues(result).Inc() }

// read is a storage.Cache's Observe.
func (m *metrics) read(result string) { m.reads.WithLabelValues(result).Inc() }

// resumed is told of a stream that goes on.
func (m *metrics) resumed(store string) { m.resumes.WithLabelValues(store).Inc() }

// watchCache makes a gauge of what a storage.Cache holds.
func (m *metrics) watchCache(bytes func() int64) {
	promauto.With(m.registry).NewGaugeFunc(prometheus.GaugeOpts{
		Name: "storagesrv_cache_bytes", Help: "Bytes of SFTP files that are kept in memory.",
	}, func() float64 { return float64(bytes()) })
}

// questions returns a Forward's Observe.
func (m *metrics) questions() func(result string) {
	return m.counter("storagesrv_forward_auth_total", "Decisions of the web app about requests, asked for or known.",
		access.ResultHit, access.ResultAllowed, access.ResultUnauthenticated, access.ResultForbidden, access.ResultError)
}

// fetches returns a JWT's Observe.
func (m *metrics) fetches() func(result string) {
	return m.counter("storagesrv_jwks_fetches_total", "Fetches of the keys of JSON web tokens, by what came of it.",
		access.FetchedKeys, access.FetchedNothing)
}

// counter makes a counter of results, which are there from the start.
func (m *metrics) counter(name, help string, results ...string) func(result string) {
	counter := promauto.With(m.registry).NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{"result"})
	for _, result := range results {
		counter.WithLabelValues(result)
	}
	return func(result string) { counter.WithLabelValues(result).Inc() }
}

// dialed returns an SFTP store's OnDial.
func (m *metrics) dialed(label string) func(result string) {
	m.dials.WithLabelValues(label, "ok") // there from the start, with 0 in it
	return func(result string) { m.dials.WithLabelValues(label, result).Inc() }
}

// watchConnections makes a gauge of what an SFTP store tells.
func (m *metrics) watchConnections(label string, connections func() int) {
	promauto.With(m.registry).NewGaugeFunc(prometheus.GaugeOpts{
		Name: "storagesrv_sftp_connections", Help: "SSH connections that are alive.", ConstLabels: prometheus.Labels{"store": label},
	}, func() float64 { return float64(connections()) })
}

// watchStuck makes a gauge of what a mount tells.
func (m *metrics) watchStuck(label string, stuck func() int) {
	promauto.With(m.registry).NewGaugeFunc(prometheus.GaugeOpts{
		Name: "storagesrv_store_stuck_calls", Help: "System calls that hang on the mount.", ConstLabels: prometheus.Labels{"store": label},
	}, func() float64 { return float64(stuck()) })
}
