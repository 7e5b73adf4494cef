//go:build linux

package main

import (
	"context"
	"fmt"
)

// mountPart is on a directory of this machine, in its page cache.
func (o *options) mountPart() *part {
	m := o.mount
	note := fmt.Sprintf("All files are in the page cache. A stream reads a file of %d MiB, again and again, for %s; "+
		"requests are of %d files, on %d connections, for %s after %s; listeners: %d, and %d of rclone at most.",
		m.stream>>20, m.streams, m.files, loadConnections, m.load, m.warm, m.listeners, o.listenersRclone)
	return &part{
		section: section{
			Heading: "From a directory", Note: note, Peers: mountPeers,
			Plot: "mount.svg", PlotTitle: "From a directory: rate as a multiple of nginx's in the same run", Relative: nginx,
		},
		setUp: (*rig).setUpMount,
		cases: []*benchCase{mountStreamCase(), mountRangesCase(), mountSmallCase(), mountTLSCase(), mountListenersCase(), mountStartCase()},
	}
}

func mountStreamCase() *benchCase {
	many := fmt.Sprintf("%d streams", mountStreams)
	return &benchCase{
		name:  "mount-stream",
		peers: []string{ours, nginx, caddy, rclone},
		figures: []*figure{
			{Name: "one stream", Unit: "MB/s", Against: nginx, Goal: atLeastTimes(0.95), Plotted: "1 stream"},
			{Name: "one stream: CPU", Unit: "s/GB", Against: nginx, Goal: atMostTimes(1.2)},
			{Name: many, Unit: "MB/s", Against: nginx, Goal: atLeastTimes(0.95), Plotted: many},
			{Name: many + ": CPU", Unit: "s/GB", Against: nginx, Goal: atMostTimes(1.2)},
		},
		measure: func(ctx context.Context, r *rig, peer string) ([]float64, error) {
			return r.mountStream(ctx, peer, false, 1, mountStreams)
		},
	}
}

func mountRangesCase() *benchCase {
	const name = "ranges of 64 KiB"
	return &benchCase{
		name:  "mount-ranges",
		peers: []string{ours, nginx, cached, xaccel, caddy, rclone},
		figures: []*figure{
			{Name: name, Unit: "1/s", Against: nginx, Goal: atLeastTimes(0.7), Plotted: "64 KiB ranges"},
			{Name: name + ", of calls", Unit: "1/s", Against: xaccel, Goal: atLeastTimes(1.5)},
			{Name: name + ": 99 of 100", Unit: "ms", Against: xaccel, Goal: atMostTimes(1)},
			{Name: name + ": CPU", Unit: "µs", Against: nginx},
		},
		measure: func(ctx context.Context, r *rig, peer string) ([]float64, error) {
			return r.mountRequests(ctx, peer, "mount-ranges")
		},
	}
}

func mountSmallCase() *benchCase {
	const name = "files of 200 kB"
	return &benchCase{
		name:  "mount-small",
		peers: []string{ours, nginx, cached, xaccel, caddy, rclone},
		figures: []*figure{
			{Name: name, Unit: "1/s", Against: nginx, Goal: atLeastTimes(1), Plotted: "200 kB files"},
			{Name: name + ", of calls", Unit: "1/s", Against: xaccel, Goal: atLeastTimes(1.4)},
			{Name: name + ": 99 of 100", Unit: "ms", Against: xaccel},
			{Name: name + ": CPU", Unit: "µs", Against: nginx},
		},
		measure: func(ctx context.Context, r *rig, peer string) ([]float64, error) {
			return r.mountRequests(ctx, peer, "mount-small")
		},
	}
}

func mountTLSCase() *benchCase {
	return &benchCase{
		name:  "mount-tls",
		peers: []string{ours, nginx, caddy, rclone},
		figures: []*figure{
			{Name: "HTTPS, one stream", Unit: "MB/s", Against: nginx, Goal: atLeastTimes(1), Plotted: "HTTPS stream"},
			{Name: "HTTPS, one stream: CPU", Unit: "s/GB", Against: nginx},
			{Name: "HTTPS, ranges of 64 KiB", Unit: "1/s", Against: nginx, Goal: atLeastTimes(0.95), Plotted: "HTTPS ranges"},
			{Name: "HTTPS, ranges of 64 KiB: 99 of 100", Unit: "ms", Against: nginx},
			{Name: "HTTPS, ranges of 64 KiB: CPU", Unit: "µs", Against: nginx},
		},
		measure: func(ctx context.Context, r *rig, peer string) ([]float64, error) { return r.mountTLS(ctx, peer) },
	}
}

func mountListenersCase() *benchCase {
	const name = "listeners at 16 kB/s: "
	return &benchCase{
		name:  "mount-listeners",
		peers: []string{ours, nginx, caddy, rclone},
		figures: []*figure{
			{Name: name + "heard without a pause", Unit: "%", Goal: atLeast(100)},
			{Name: name + "memory each, beyond the idle process", Unit: "KiB", Against: nginx, Goal: atMost(32)},
			{Name: name + "CPU of 1,000", Unit: "ms/s", Against: nginx, Goal: atMostTimes(2)},
		},
		measure: func(ctx context.Context, r *rig, peer string) ([]float64, error) { return r.mountListeners(ctx, peer) },
	}
}

// mountStartCase is with the catalog of all cases: some thousand calls.
func mountStartCase() *benchCase {
	return &benchCase{
		name:    "mount-start",
		peers:   []string{ours, nginx, caddy, rclone},
		figures: []*figure{{Name: "start to first byte", Unit: "ms", Against: nginx, Goal: atMost(100)}},
		measure: func(ctx context.Context, r *rig, peer string) ([]float64, error) { return r.mountStart(ctx, peer) },
	}
}
