package server

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"storagesrv/storage"
)

type metrics struct {
	requests  *prometheus.CounterVec // by route, code
	refusals  *prometheus.CounterVec // by problem
	bytes     *prometheus.CounterVec // by store
	truncated *prometheus.CounterVec // by store
	resolve   prometheus.Histogram
	open      *prometheus.HistogramVec // by store
	first     *prometheus.HistogramVec // by store
}

// seconds are the buckets for what is fast on a LAN and bounded by timeouts.
var seconds = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 20}

func newMetrics(registry prometheus.Registerer) *metrics {
	with := promauto.With(registry)
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return with.NewCounterVec(prometheus.CounterOpts{Name: "storagesrv_" + name, Help: help}, labels)
	}
	histogram := func(name, help string, labels ...string) *prometheus.HistogramVec {
		return with.NewHistogramVec(prometheus.HistogramOpts{Name: "storagesrv_" + name, Help: help, Buckets: seconds}, labels)
	}
	return &metrics{
		requests:  counter("requests_total", "Requests answered.", "route", "code"),
		refusals:  counter("refusals_total", "Requests answered with a problem.", "problem"),
		bytes:     counter("response_bytes_total", "Bytes of recordings sent.", "store"),
		truncated: counter("truncated_total", "Bodies cut because the storage failed.", "store"),
		resolve:   with.NewHistogram(prometheus.HistogramOpts{Name: "storagesrv_resolve_seconds", Help: "Time to look up a call, cached or not.", Buckets: seconds}),
		open:      histogram("open_seconds", "Time to open a recording, or to fail to.", "store"),
		first:     histogram("first_byte_seconds", "Time from a request to the first byte of a recording.", "store"),
	}
}

// opened is a storage.Router's Observe.
func (m *metrics) opened(place storage.Place, took time.Duration, _ error) {
	m.open.WithLabelValues(place.Store).Observe(took.Seconds())
}

// firstByte returns a function that notes the time since start.
func (m *metrics) firstByte(store string, start time.Time) func() {
	return func() { m.first.WithLabelValues(store).Observe(time.Since(start).Seconds()) }
}

func (m *metrics) watchStreams(registry prometheus.Registerer, streams func() int) {
	promauto.With(registry).NewGaugeFunc(prometheus.GaugeOpts{Name: "storagesrv_streams", Help: "Recordings being sent."},
		func() float64 { return float64(streams()) })
}

// watchStores makes what stores say of themselves gauges.
func (m *metrics) watchStores(registry prometheus.Registerer, router *storage.Router) {
	with := promauto.With(registry)
	for _, store := range router.Entries() {
		// Every store has its series from the start, with 0 in it.
		m.bytes.WithLabelValues(store.Label)
		m.truncated.WithLabelValues(store.Label)
		with.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "storagesrv_store_up", Help: "Whether the store can serve.", ConstLabels: prometheus.Labels{"store": store.Label},
		}, func() float64 {
			if store.Health().Up {
				return 1
			}
			return 0
		})
	}
}
