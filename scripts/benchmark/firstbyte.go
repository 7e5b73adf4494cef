//go:build linux

package main

import (
	"context"
	"slices"
	"time"
)

// firstByte returns how many round trips of 10 ms it takes to the first byte
// of a range of 64 KiB: in the middle of a file nobody asked for before, at
// another place of it, and there again. Medians over several files.
func (r *rig) firstByte(ctx context.Context, peer string) ([]float64, error) {
	const (
		roundTrip = 10 * time.Millisecond
		length    = 64 << 10
		pause     = 5 * roundTrip // what follows an answer, such as CLOSE, is not the next one's
	)
	offsets := []int64{30e6, 45e6, 45e6}
	samples := make([][]float64, len(offsets))
	err := r.withServer(ctx, peer, "first", roundTrip, func(s *server) error {
		client := newClient(clientOptions{})
		defer client.CloseIdleConnections()
		for _, c := range r.sets["first"] {
			for i, offset := range offsets {
				time.Sleep(pause)
				first, err := fetch(ctx, client, request{url: s.url(c), recording: c, from: offset, to: offset + length, check: recording.verify})
				if err != nil {
					return err
				}
				samples[i] = append(samples[i], float64(first)/float64(roundTrip))
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var medians []float64
	for _, s := range samples {
		medians = append(medians, quantile(slices.Sorted(slices.Values(s)), 0.5))
	}
	return medians, nil
}
