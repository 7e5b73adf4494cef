//go:build linux

package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// runTimeout is for one peer in one run of one case.
const runTimeout = 3 * time.Minute

// runAll runs the cases and adds what they came to to result. It fails only if
// ctx ends or there is nothing to run them on: a peer that fails is part of the
// result.
func (r *rig) runAll(ctx context.Context, cases []*benchCase, result *report) error {
	for _, c := range cases {
		if err := r.prepare(c.part, result); err != nil {
			return err
		}
		for _, f := range c.figures {
			f.Samples = make(map[string][]float64)
		}
		for run := range r.runs {
			for _, peer := range rotated(c.peers, run) {
				if err := r.runOne(ctx, c, peer); ctx.Err() != nil {
					return ctx.Err()
				} else if err != nil {
					fmt.Fprintf(r.progress, "%s, %s, run %d failed: %v\n", c.name, peer, run+1, err)
					reason := strings.Join(strings.Fields(err.Error()), " ") // in one line
					result.Failures = append(result.Failures, failure{c.name, peer, run + 1, reason})
				}
			}
			r.say(c, run)
		}
		c.part.Figures = append(c.part.Figures, c.figures...)
	}
	return nil
}

// prepare makes what the cases of p need, before the first of them.
func (r *rig) prepare(p *part, result *report) error {
	if slices.Contains(result.Sections, &p.section) {
		return nil
	}
	result.Sections = append(result.Sections, &p.section)
	if err := p.setUp(r); err != nil {
		return fmt.Errorf("prepare %q: %w", p.Heading, err)
	}
	return nil
}

// runOne adds one sample to each figure of c.
func (r *rig) runOne(ctx context.Context, c *benchCase, peer string) error {
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()
	values, err := c.measure(ctx, r, peer)
	for i, f := range c.figures {
		value := missing
		if err == nil {
			value = values[i]
		}
		f.Samples[peer] = append(f.Samples[peer], value)
	}
	return err
}

// rotated begins with another peer in each run, so that none always follows
// the same one.
func rotated(peers []string, run int) []string {
	first := run % len(peers)
	return slices.Concat(peers[first:], peers[:first])
}

func (r *rig) say(c *benchCase, run int) {
	fmt.Fprintf(r.progress, "%s, run %d of %d:", c.name, run+1, r.runs)
	for _, peer := range c.peers {
		fmt.Fprintf(r.progress, " %s", peer)
		for _, f := range c.figures {
			fmt.Fprintf(r.progress, " %s", short(f.Samples[peer][run]))
		}
		fmt.Fprint(r.progress, ";")
	}
	fmt.Fprintln(r.progress)
}
