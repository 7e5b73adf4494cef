//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// stream returns the rate of one stream in MB/s. The connection to the SFTP
// server is there already, sftp's too.
func (r *rig) stream(ctx context.Context, peer string, roundTrip time.Duration) ([]float64, error) {
	if err := r.verifyOnce(ctx, peer); err != nil {
		return nil, err
	}
	if peer == sftp {
		return r.streamSFTP(ctx, roundTrip)
	}
	c := r.sets["stream"][0]
	var rate float64
	err := r.withServer(ctx, peer, "stream", roundTrip, func(s *server) error {
		q := wholeOf(s, c)
		q.check = recording.spotCheck
		start := time.Now()
		n, err := readFor(ctx, s, q, r.streamCap)
		rate = float64(n) / 1e6 / time.Since(start).Seconds()
		return err
	})
	return []float64{rate}, err
}

// readFor reads until the end, or for as long as limit, and returns how much.
func readFor(ctx context.Context, s *server, q request, limit time.Duration) (int64, error) {
	client := s.newClient()
	defer client.CloseIdleConnections()
	start := time.Now()
	a, err := ask(ctx, client, q)
	if err != nil {
		return 0, err
	}
	defer a.Close()
	buffer := make([]byte, 256<<10)
	for err == nil && time.Since(start) < limit {
		_, err = a.Read(buffer)
	}
	if err != nil && err != io.EOF {
		return 0, err
	}
	return a.at - q.from, nil
}

// streamSFTP cuts nothing: there is no half of a get.
func (r *rig) streamSFTP(ctx context.Context, roundTrip time.Duration) ([]float64, error) {
	r.delay(sftp, 0)
	client, err := r.startSFTP(r.address(sftp, roundTrip))
	if err != nil {
		return nil, err
	}
	defer client.close()
	r.delay(sftp, roundTrip)
	defer r.delay(sftp, 0)
	c := r.sets["stream"][0]
	start := time.Now()
	if err := client.get(ctx, c, "/dev/null"); err != nil {
		return nil, err
	}
	return []float64{float64(len(c.data)) / 1e6 / time.Since(start).Seconds()}, nil
}

// verifyOnce compares every byte of a stream that is not measured, because
// that takes time, once for each peer.
func (r *rig) verifyOnce(ctx context.Context, peer string) error {
	err, done := r.verified[peer]
	if done {
		return err
	}
	if peer == sftp {
		err = r.verifySFTP(ctx)
	} else {
		c := r.sets["stream"][0]
		err = r.withServer(ctx, peer, "stream", 0, func(s *server) error {
			client := newClient(clientOptions{})
			defer client.CloseIdleConnections()
			_, err := fetch(ctx, client, request{url: s.url(c), recording: c, check: recording.verify})
			return err
		})
	}
	if err != nil {
		err = fmt.Errorf("not measured: it does not give the right bytes: %w", err)
	}
	if ctx.Err() == nil {
		r.verified[peer] = err
	}
	return err
}

func (r *rig) verifySFTP(ctx context.Context) error {
	client, err := r.startSFTP(r.address(sftp, 0))
	if err != nil {
		return err
	}
	defer client.close()
	c, to := r.sets["stream"][0], r.file("got.wav")
	defer os.Remove(to)
	if err := client.get(ctx, c, to); err != nil {
		return err
	}
	got, err := os.ReadFile(to)
	if err == nil && !bytes.Equal(got, c.data) {
		err = errors.New("they are others")
	}
	return err
}
