//go:build linux

package main

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"
)

const (
	loadConnections = 64
	loadRequests    = 20_000 // different ones; then again from the first
	rangeSize       = 64 << 10
	headerSize      = 1 << 10 // bytes that the header of an answer has at most
)

// A load is what many clients together got.
type load struct {
	requests int64
	bytes    int64 // header and body
	took     time.Duration
	median   time.Duration // of an answer, from the request to its last byte
	late     time.Duration // the same, 99 of 100 took no longer
	failed   int64
}

//go:embed load.lua
var loadScript string

// load lets wrk ask s for recordings, in ranges of rangeSize at random places or
// whole, first for the time of warming up. It returns what came after that, and
// the CPU time that the peer took for a request of it.
func (r *rig) load(ctx context.Context, s *server, recordings []recording, ranges bool) (l load, cpu time.Duration, err error) {
	script, targets := r.file("load.lua"), r.file("targets")
	lines, size, err := loadLines(s, recordings, ranges)
	if err != nil {
		return l, 0, err
	}
	if err := errors.Join(os.WriteFile(script, []byte(loadScript), 0o644), os.WriteFile(targets, lines, 0o644)); err != nil {
		return l, 0, err
	}
	base := s.url(recordings[0])
	if _, err = r.wrk(ctx, base, r.mount.warm, script, targets); err != nil {
		return l, 0, err
	}
	before, err := s.cpuTime()
	if err != nil {
		return l, 0, err
	}
	if l, err = r.wrk(ctx, base, r.mount.load, script, targets); err != nil {
		return l, 0, err
	}
	after, err := s.cpuTime()
	if err != nil {
		return l, 0, err
	}
	return l, (after - before) / time.Duration(max(1, l.requests)), l.check(size)
}

// wrk runs for that long.
func (r *rig) wrk(ctx context.Context, url string, d time.Duration, script, targets string) (load, error) {
	threads := strconv.Itoa(min(runtime.NumCPU(), loadConnections))
	cmd := exec.CommandContext(ctx, "wrk", "--threads", threads, "--connections", strconv.Itoa(loadConnections),
		"--duration", "60s", "--timeout", "10s", "--script", script, url, "--", targets, threads)
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Start(); err != nil {
		return load{}, err
	}
	// It takes whole seconds; told to end, it sums up what it has.
	timer := time.AfterFunc(d, func() { cmd.Process.Signal(os.Interrupt) })
	defer timer.Stop()
	if err := cmd.Wait(); err != nil {
		return load{}, fmt.Errorf("wrk: %w: %s", err, strings.TrimSpace(complaint.String()))
	}
	return parseLoad(out.String())
}

// parseLoad reads what load.lua prints.
func parseLoad(text string) (l load, err error) {
	_, line, ok := strings.Cut(text, "RESULT ")
	if !ok {
		return l, fmt.Errorf("wrk says no result: %q", text)
	}
	var took, median, late int64 // µs
	if _, err := fmt.Sscan(line, &l.requests, &took, &l.bytes, &median, &late, &l.failed); err != nil {
		return l, fmt.Errorf("the result of wrk: %w", err)
	}
	l.took, l.median, l.late = time.Duration(took)*time.Microsecond, time.Duration(median)*time.Microsecond, time.Duration(late)*time.Microsecond
	return l, nil
}

// rate is in answers a second.
func (l load) rate() float64 { return float64(l.requests) / l.took.Seconds() }

// check fails if an answer was an error, or if all together have not as many
// bytes as bodies of that size: an answer that is whole and not what was asked
// for, such as a 200 to a range, would look fast or slow.
func (l load) check(size int64) error {
	least := l.requests * size
	most := least + l.requests*headerSize + loadConnections*(size+headerSize) // those under way at the end
	if l.requests == 0 || l.failed > 0 || l.bytes < least || l.bytes > most {
		return fmt.Errorf("%d of %d requests failed; got %d bytes, want %d to %d", l.failed, l.requests, l.bytes, least, most)
	}
	return nil
}

// loadLines returns requests for load.lua, the same to every peer, and the size
// of the body of each answer.
func loadLines(s *server, recordings []recording, ranges bool) (lines []byte, size int64, err error) {
	random := rand.New(rand.NewPCG(1, 2))
	size = rangeSize
	if !ranges {
		size = int64(len(recordings[0].data))
	}
	for range loadRequests {
		c := recordings[random.IntN(len(recordings))]
		target, err := url.Parse(s.url(c))
		if err != nil {
			return nil, 0, err
		}
		lines = append(lines, target.RequestURI()...)
		if ranges {
			from := random.Int64N(int64(len(c.data)) - size + 1)
			lines = fmt.Appendf(lines, " %d %d", from, from+size-1)
		}
		lines = append(lines, '\n')
	}
	return lines, size, nil
}
