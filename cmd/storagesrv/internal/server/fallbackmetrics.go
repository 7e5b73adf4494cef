package server

import (
	"context"
	"io"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"storagesrv/metadata"
)

// recorderLabel stands in metrics and the log for the recorder where a store
// usually does.
const recorderLabel = "recorder"

// fallbackMetrics are what is counted of recordings that the recorder is asked
// for.
type fallbackMetrics struct {
	asked *prometheus.CounterVec // by way, result
	bytes prometheus.Counter
}

func newFallbackMetrics(registry prometheus.Registerer, f Fallback, m *metrics) *fallbackMetrics {
	with := promauto.With(registry)
	fm := &fallbackMetrics{
		asked: with.NewCounterVec(prometheus.CounterOpts{
			Name: "storagesrv_fallbacks_total", Help: "Requests for which the recorder was asked to play, by way and what came of it: ok, client_gone or a problem.",
		}, []string{"way", "result"}),
		bytes: with.NewCounter(prometheus.CounterOpts{
			Name: "storagesrv_recorder_bytes_total", Help: "Bytes of recordings that the recorder sent.",
		}),
	}
	for _, way := range []Way{Redirect, Proxy} {
		if f.uses(way) {
			fm.asked.WithLabelValues(string(way), "ok") // there from the start, with 0 in it
		}
	}
	if f.uses(Proxy) {
		m.bytes.WithLabelValues(recorderLabel)
		m.truncated.WithLabelValues(recorderLabel)
		with.NewGaugeFunc(prometheus.GaugeOpts{Name: "storagesrv_spool_bytes", Help: "Bytes of the spool that are in use or promised."},
			func() float64 { return float64(f.Spool.Bytes()) })
	}
	return fm
}

// count counts an attempt that came to err.
func (m *fallbackMetrics) count(way Way, ctx context.Context, err error) {
	result := "ok"
	switch {
	case err == nil:
	case ctx.Err() != nil:
		result = "client_gone"
	default:
		p, _ := problemOf(err)
		result = p.name
	}
	m.asked.WithLabelValues(string(way), result).Inc()
}

// counting makes what is read of a download count.
func (m *fallbackMetrics) counting(d *metadata.Download) {
	d.Body = countedBody{d.Body, m.bytes}
}

type countedBody struct {
	io.ReadCloser
	bytes prometheus.Counter
}

func (b countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.bytes.Add(float64(n))
	return n, err
}
