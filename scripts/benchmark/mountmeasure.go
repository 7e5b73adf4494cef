//go:build linux

package main

import (
	"context"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// mountStreams is how many streams there are at a time.
const mountStreams = 8

// mountStream returns for each number of streams their rate together, in MB/s,
// and the CPU seconds that the peer took for 1 GB.
func (r *rig) mountStream(ctx context.Context, peer string, secure bool, streams ...int) (values []float64, err error) {
	err = r.withMount(ctx, peer, "mount-stream", secure, func(s *server) error {
		for _, n := range streams {
			rate, cpu, err := r.streamTogether(ctx, s, r.sets["mount-stream"][:n])
			if err != nil {
				return err
			}
			values = append(values, rate, cpu)
		}
		return nil
	})
	return values, err
}

// streamTogether reads recordings at the same time, each again and again: once
// takes a third of a second, in which CPU time has too few steps.
func (r *rig) streamTogether(ctx context.Context, s *server, recordings []recording) (rate, cpu float64, err error) {
	before, err := s.cpuTime()
	if err != nil {
		return 0, 0, err
	}
	start := time.Now()
	var total atomic.Int64
	streams, ctx := errgroup.WithContext(ctx)
	for _, c := range recordings {
		streams.Go(func() error {
			q := wholeOf(s, c)
			q.check = recording.spotCheck
			for left := r.mount.streams; left > 0; left = r.mount.streams - time.Since(start) {
				n, err := readFor(ctx, s, q, left)
				if err != nil {
					return err
				}
				total.Add(n)
			}
			return nil
		})
	}
	if err := streams.Wait(); err != nil {
		return 0, 0, err
	}
	took := time.Since(start)
	after, err := s.cpuTime()
	return float64(total.Load()) / 1e6 / took.Seconds(), (after - before).Seconds() / float64(total.Load()) * 1e9, err
}

// mountRequests returns answers a second, the 99th percentile of their times in
// ms, and the peer's CPU time for one, in µs. The first is there twice: it is
// compared with two peers.
func (r *rig) mountRequests(ctx context.Context, peer, set string) (values []float64, err error) {
	err = r.withMount(ctx, peer, set, false, func(s *server) error {
		l, cpu, err := r.load(ctx, s, r.sets[set], set == "mount-ranges")
		values = []float64{l.rate(), l.rate(), milliseconds(l.late), microseconds(cpu)}
		return err
	})
	return values, err
}

// mountTLS returns what mountStream does, and the rate, the 99th percentile and
// the CPU time of ranges.
func (r *rig) mountTLS(ctx context.Context, peer string) (values []float64, err error) {
	if values, err = r.mountStream(ctx, peer, true, 1); err != nil {
		return nil, err
	}
	err = r.withMount(ctx, peer, "mount-ranges", true, func(s *server) error {
		l, cpu, err := r.load(ctx, s, r.sets["mount-ranges"], true)
		values = append(values, l.rate(), milliseconds(l.late), microseconds(cpu))
		return err
	})
	return values, err
}

// mountListeners returns how many of 100 heard all without a pause; by how much
// the peer's memory grew for each, in KiB; and the CPU time that 1,000 take, in
// ms a second.
func (r *rig) mountListeners(ctx context.Context, peer string) (values []float64, err error) {
	recordings := r.sets["mount-listeners"]
	if peer == rclone {
		n, err := r.roomForRclone()
		if err != nil {
			return nil, err
		}
		recordings = recordings[:n]
	}
	err = r.withMount(ctx, peer, "mount-listeners", false, func(s *server) error {
		idle, _, err := s.memory()
		if err != nil {
			return err
		}
		before, err := s.cpuTime()
		if err != nil {
			return err
		}
		all := listenAll(ctx, s, recordings, r.mount.arrive, r.mount.listen)
		after, err := s.cpuTime()
		if err != nil {
			return err
		}
		_, peak, err := s.memory()
		if err != nil {
			return err
		}
		heard, err := r.sumUp(all, peak-idle)
		if err != nil {
			return err
		}
		listened := (r.mount.listen - r.mount.arrive/2).Seconds() * float64(len(recordings))
		values = []float64{heard[0], heard[1], milliseconds(after-before) / listened * 1000}
		return nil
	})
	return values, err
}

// mountStart returns the time from the execution of the peer to the first byte
// of a recording, in ms.
func (r *rig) mountStart(ctx context.Context, peer string) ([]float64, error) {
	if err := r.verifyMountOnce(ctx, peer, false); err != nil {
		return nil, err
	}
	s, err := mountStarters[peer](r, false)
	if s != nil {
		defer s.stop()
	}
	if err != nil {
		return nil, err
	}
	first := wholeOf(s, r.warm["mount-stream"])
	first.to = 1
	if err := s.await(ctx, first, time.Millisecond); err != nil {
		return nil, err
	}
	return []float64{milliseconds(time.Since(s.processes[0].start))}, nil
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
