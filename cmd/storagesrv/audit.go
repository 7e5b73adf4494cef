package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"storagesrv/cmd/storagesrv/internal/audit"
	"storagesrv/cmd/storagesrv/internal/config"
)

// openAudit opens the audit that c asks for; nil, which audits nothing, if it
// asks for none.
func (s *service) openAudit(c *config.Audit, stdout io.Writer) (*audit.Log, error) {
	if c == nil {
		return nil, nil
	}
	settings := audit.Config{
		File:     c.File,
		Stdout:   stdout,
		Quiet:    time.Duration(*c.Quiet),
		Required: c.Required,
		Log:      s.log,
	}
	s.metrics.watchAudit(&settings)
	log, err := audit.Open(settings)
	if err != nil {
		return nil, fmt.Errorf("audit.file: %w", err)
	}
	s.closers = append(s.closers, func() { log.Close() }) // what it could not write is logged
	return log, nil
}

// reopenAudit opens the audit's file again whenever a signal says that it was
// moved away, until ctx ends.
func (s *service) reopenAudit(ctx context.Context, moved <-chan os.Signal) {
	for {
		select {
		case <-moved:
			s.audit.Reopen() // an error is logged
		case <-ctx.Done():
			return
		}
	}
}

// watchAudit counts what an audit does.
func (m *metrics) watchAudit(c *audit.Config) {
	with := promauto.With(m.registry)
	lines := with.NewCounterVec(prometheus.CounterOpts{
		Name: "storagesrv_audit_lines_total", Help: "Lines of the audit that were written.",
	}, []string{"event"})
	dropped := with.NewCounterVec(prometheus.CounterOpts{
		Name: "storagesrv_audit_dropped_total", Help: "Lines of the audit that were given up.",
	}, []string{"event"})
	failures := with.NewCounter(prometheus.CounterOpts{
		Name: "storagesrv_audit_failures_total", Help: "Times that the audit could not be written.",
	})
	for _, event := range audit.Events {
		lines.WithLabelValues(event)
		dropped.WithLabelValues(event)
	}
	c.Wrote = func(event string, n int) { lines.WithLabelValues(event).Add(float64(n)) }
	c.Dropped = func(event string, n int) { dropped.WithLabelValues(event).Add(float64(n)) }
	c.Failed = failures.Inc
}
