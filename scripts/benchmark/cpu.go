//go:build linux

package main

import "context"

// cpu returns the CPU seconds that the peer takes for 1 GB of one stream.
func (r *rig) cpu(ctx context.Context, peer string) (values []float64, err error) {
	c := r.sets["cpu"][0]
	err = r.withServer(ctx, peer, "cpu", 0, func(s *server) error {
		before, err := cpuTime(s.pid())
		if err != nil {
			return err
		}
		client := newClient(clientOptions{})
		defer client.CloseIdleConnections()
		if _, err := fetch(ctx, client, request{url: s.url(c), recording: c, check: recording.verify}); err != nil {
			return err
		}
		after, err := cpuTime(s.pid())
		values = []float64{(after - before).Seconds() / float64(len(c.data)) * 1e9}
		return err
	})
	return values, err
}
