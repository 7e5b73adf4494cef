//go:build linux

package main

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"
)

// many returns the rate of many streams together, in MB/s, and the memory that
// the peer took for them, in MiB.
func (r *rig) many(ctx context.Context, peer string) (values []float64, err error) {
	err = r.withServer(ctx, peer, "many", time.Millisecond, func(s *server) error {
		start, total := time.Now(), 0
		streams, ctx := errgroup.WithContext(ctx)
		for i, c := range r.sets["many"] {
			total += len(c.data)
			streams.Go(func() error {
				client := newClient(clientOptions{from: source(i)})
				defer client.CloseIdleConnections()
				_, err := fetch(ctx, client, request{url: s.url(c), recording: c, check: recording.spotCheck})
				return err
			})
		}
		if err := streams.Wait(); err != nil {
			return err
		}
		rate := float64(total) / 1e6 / time.Since(start).Seconds()
		memory, err := peakMemory(s.pid())
		values = []float64{rate, float64(memory) / (1 << 20)}
		return err
	})
	return values, err
}
