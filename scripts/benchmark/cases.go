//go:build linux

package main

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"time"
)

// A benchCase is measured by one function, which returns a value for each of
// its figures, in their order.
type benchCase struct {
	part    *part
	name    string
	peers   []string
	figures []*figure
	measure func(ctx context.Context, r *rig, peer string) ([]float64, error)
}

// cases returns those that were asked for, each with the peers asked for.
func (o *options) cases() []*benchCase {
	var selected []*benchCase
	for _, p := range []*part{o.sftpPart(), o.mountPart()} {
		for _, c := range p.cases {
			c.part = p
			c.peers = slices.DeleteFunc(c.peers, func(peer string) bool {
				return !o.only.MatchString(c.name+"/"+peer) || !installed(peer)
			})
			if len(c.peers) > 0 {
				selected = append(selected, c)
			}
		}
	}
	return selected
}

// installed reports whether a peer is there that can be done without.
func installed(peer string) bool {
	_, err := exec.LookPath("caddy")
	return peer != caddy || err == nil
}

// sftpPart is over SFTP, with the round trips of a network.
func (o *options) sftpPart() *part {
	note := fmt.Sprintf("A stream is %d MiB, or what comes in %s; listeners: %d, and %d of rclone at most.",
		o.stream>>20, o.streamCap, o.listeners, o.listenersRclone)
	return &part{
		section: section{
			Heading: "From an SFTP server", Note: note, Peers: sftpPeers,
			Plot: "bench.svg", PlotTitle: "One stream, MB/s by round trip to the SFTP server",
		},
		setUp: (*rig).setUpSFTP, delays: true,
		cases: []*benchCase{
			o.streamCase(0, 1.6), o.streamCase(time.Millisecond, 1.4),
			o.streamCase(10*time.Millisecond, 1.5), o.streamCase(50*time.Millisecond, 3),
			firstByteCase(), o.manyCase(), o.listenersCase(), wasteCase(), cpuCase(),
		},
	}
}

func (o *options) streamCase(roundTrip time.Duration, times float64) *benchCase {
	ms := roundTrip.Milliseconds()
	return &benchCase{
		name:  fmt.Sprintf("stream-%dms", ms),
		peers: slices.Clone(sftpPeers),
		figures: []*figure{{
			Name: fmt.Sprintf("one stream, round trip %d ms", ms), Unit: "MB/s",
			Against: sftp, Goal: atLeastTimes(times), Plotted: fmt.Sprintf("%d ms", ms),
		}},
		measure: func(ctx context.Context, r *rig, peer string) ([]float64, error) {
			return r.stream(ctx, peer, roundTrip)
		},
	}
}

func firstByteCase() *benchCase {
	return &benchCase{
		name:  "first",
		peers: []string{ours, rclone, sshfs},
		figures: []*figure{
			{Name: "first byte, 10 ms: cold range", Unit: "round trips", Against: rclone, Goal: atMost(2.5)},
			{Name: "first byte, 10 ms: next range", Unit: "round trips", Against: rclone, Goal: atMost(1.3)},
			{Name: "first byte, 10 ms: that range again", Unit: "round trips", Against: rclone, Goal: atMost(0.1)},
		},
		measure: func(ctx context.Context, r *rig, peer string) ([]float64, error) { return r.firstByte(ctx, peer) },
	}
}

func (o *options) manyCase() *benchCase {
	name := fmt.Sprintf("%d streams of %d MB, 1 ms", o.streams, o.streamsEach/1e6)
	return &benchCase{
		name:  "many",
		peers: []string{ours, rclone},
		figures: []*figure{
			{Name: name, Unit: "MB/s", Against: rclone, Goal: atLeastTimes(1.6)},
			{Name: name + ": memory", Unit: "MiB", Against: rclone, Goal: atMost(256 + cacheMemory>>20)},
		},
		measure: func(ctx context.Context, r *rig, peer string) ([]float64, error) { return r.many(ctx, peer) },
	}
}

func (o *options) listenersCase() *benchCase {
	name := "listeners at 16 kB/s, 1 ms: "
	return &benchCase{
		name:  "listeners",
		peers: []string{ours, rclone},
		figures: []*figure{
			{Name: name + "heard without a pause", Unit: "%", Goal: atLeast(100)},
			{Name: name + "memory each", Unit: "KiB", Against: rclone, Goal: atMost(float64(256 + cacheMemory>>10/o.listeners))},
			{Name: name + "first byte, median", Unit: "ms", Against: rclone},
			{Name: name + "first byte, 99 of 100", Unit: "ms", Against: rclone, Goal: atMost(500)},
		},
		measure: func(ctx context.Context, r *rig, peer string) ([]float64, error) { return r.listeners(ctx, peer) },
	}
}

func wasteCase() *benchCase {
	return &benchCase{
		name:  "waste",
		peers: []string{ours, rclone},
		figures: []*figure{
			{Name: "pulled for a probe of 2 bytes, 10 ms", Unit: "KiB", Against: rclone, Goal: atMost(64)},
			{Name: "pulled for 100 kB of a whole file, 10 ms", Unit: "KiB", Against: rclone, Goal: atMost(512)},
		},
		measure: func(ctx context.Context, r *rig, peer string) ([]float64, error) { return r.waste(ctx, peer) },
	}
}

func cpuCase() *benchCase {
	return &benchCase{
		name:    "cpu",
		peers:   []string{ours, rclone},
		figures: []*figure{{Name: "CPU of one stream, 0 ms", Unit: "s/GB", Against: rclone, Goal: atMostTimes(0.5)}},
		measure: func(ctx context.Context, r *rig, peer string) ([]float64, error) { return r.cpu(ctx, peer) },
	}
}
