//go:build linux

package main

import (
	"context"
	"io"
	"time"
)

// waste returns how much is pulled from the SFTP server, in KiB, for 2 bytes
// of a file, and for somebody who plays 100 kB of one and leaves.
func (r *rig) waste(ctx context.Context, peer string) (values []float64, err error) {
	probed, left := r.sets["waste"][0], r.sets["waste"][1]
	err = r.withServer(ctx, peer, "waste", 10*time.Millisecond, func(s *server) error {
		for _, visit := range []struct {
			request
			read int
		}{
			{request{url: s.url(probed), recording: probed, to: 2, check: recording.verify}, 2},
			{request{url: s.url(left), recording: left, check: recording.verify}, 100_000},
		} {
			before := r.settled(ctx, peer)
			if err := visitAndLeave(ctx, visit.request, visit.read); err != nil {
				return err
			}
			values = append(values, float64(r.settled(ctx, peer)-before)/1024)
		}
		return nil
	})
	return values, err
}

// visitAndLeave reads n bytes and closes the connection.
func visitAndLeave(ctx context.Context, q request, n int) error {
	client := newClient(clientOptions{})
	defer client.CloseIdleConnections()
	a, err := ask(ctx, client, q)
	if err != nil {
		return err
	}
	defer a.Close()
	_, err = io.ReadFull(a, make([]byte, n))
	return err
}

// settled returns what peer has pulled so far, when for half a second no more
// has come, or ctx ends.
func (r *rig) settled(ctx context.Context, peer string) int64 {
	const quiet = 500 * time.Millisecond
	proxy := r.proxies[peer]
	received, since := proxy.Received(), time.Now()
	for time.Since(since) < quiet && ctx.Err() == nil {
		time.Sleep(quiet / 10)
		if now := proxy.Received(); now != received {
			received, since = now, time.Now()
		}
	}
	return received
}
