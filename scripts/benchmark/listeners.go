//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"
)

// A telephone call plays 16,000 bytes a second. Players ask for a bit at a
// time; the kernel's buffer is kept small, or it takes half a minute at once
// and hides how slow they are.
const (
	bitSize       = 4000
	bitTime       = 250 * time.Millisecond
	receiveBuffer = 16 << 10
	patience      = time.Second // a player that waits longer has stuttered
)

// A listener plays one recording.
type listener struct {
	first time.Duration // when the first byte came; 0: never
	late  time.Duration // how late the latest bit was, in what it played since
	err   error
}

// listeners returns how many of 100 heard all without a pause, once it began;
// the memory that the peer took for each that it served, in KiB; and median and
// 99th percentile of the first byte, in ms. Each listener comes from an address
// of its own, as they do.
func (r *rig) listeners(ctx context.Context, peer string) (values []float64, err error) {
	recordings := r.sets["listeners"]
	if peer == rclone {
		n, err := r.roomForRclone()
		if err != nil {
			return nil, err
		}
		recordings = recordings[:n]
	}
	err = r.withServer(ctx, peer, "listeners", time.Millisecond, func(s *server) error {
		all := listenAll(ctx, s, recordings, r.arrive, r.listen)
		memory, err := peakMemory(s.pid())
		if err != nil {
			return err
		}
		values, err = r.sumUp(all, memory)
		return err
	})
	return values, err
}

// roomForRclone returns how many listeners rclone can have here: it has taken
// 13 MB each.
func (r *rig) roomForRclone() (int, error) {
	available, err := availableMemory()
	return max(1, min(r.listenersRclone, int(available/20e6))), err
}

// listenAll lets a listener arrive for each recording, in even steps within the
// time arrive, and all listen until the time listen has passed.
func listenAll(ctx context.Context, s *server, recordings []recording, arrive, listen time.Duration) []listener {
	all := make([]listener, len(recordings))
	var group sync.WaitGroup
	end := time.Now().Add(listen)
	ctx, cancel := context.WithDeadline(ctx, end.Add(10*time.Second))
	defer cancel()
	for i, c := range recordings {
		arrival := arrive * time.Duration(i) / time.Duration(len(recordings))
		group.Go(func() {
			sleep(ctx, arrival)
			all[i].play(ctx, request{url: s.url(c), recording: c, check: recording.verify}, source(i), end)
		})
	}
	group.Wait()
	return all
}

func (l *listener) play(ctx context.Context, q request, from net.IP, end time.Time) {
	client := newClient(clientOptions{from: from, receiveBuffer: receiveBuffer})
	defer client.CloseIdleConnections()
	start := time.Now()
	a, err := ask(ctx, client, q)
	if err != nil {
		l.err = err
		return
	}
	defer a.Close()
	bit := make([]byte, bitSize)
	for due := start; due.Before(end); due = due.Add(bitTime) {
		sleep(ctx, time.Until(due))
		if _, l.err = io.ReadFull(a, bit); l.err != nil {
			return
		}
		if l.first == 0 {
			l.first = time.Since(start)
			due = time.Now() // it plays from here on
			if due.After(end) {
				l.err = errors.New("the first byte came after the end")
			}
		}
		l.late = max(l.late, time.Since(due))
	}
}

// sumUp fails only if nobody was served.
func (r *rig) sumUp(all []listener, memory int64) ([]float64, error) {
	var firsts []float64
	var lastErr error
	content := 0
	for _, l := range all {
		if l.first > 0 {
			firsts = append(firsts, float64(l.first)/float64(time.Millisecond))
		}
		if l.err != nil {
			lastErr = l.err
		} else if l.late <= patience {
			content++
		}
	}
	if len(firsts) == 0 {
		return nil, fmt.Errorf("no listener was served: %w", lastErr)
	}
	if lastErr != nil {
		fmt.Fprintln(r.progress, "a listener failed:", lastErr)
	}
	slices.Sort(firsts)
	return []float64{100 * float64(content) / float64(len(all)), float64(memory) / 1024 / float64(len(firsts)), quantile(firsts, 0.5), quantile(firsts, 0.99)}, nil
}

// source returns an address of loopback, another for each i.
func source(i int) net.IP { return net.IPv4(127, 1, byte(i/250), byte(1+i%250)) }

// sleep is cut short when ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
