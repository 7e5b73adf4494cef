package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// A section is what was compared over one kind of storage: a table, and a plot
// of those of its figures that have a label for it.
type section struct {
	Heading   string
	Note      string // how much was measured
	Peers     []string
	Plot      string // its file
	PlotTitle string
	Relative  string // the peer whose multiples are plotted; "" = the figures themselves
	Figures   []*figure
}

// markdown writes the heading and the table.
func (s *section) markdown(w io.Writer) error {
	fmt.Fprintf(w, "### %s\n\n%s\n\n", s.Heading, s.Note)
	return writeTable(w, s.Peers, s.Figures)
}

// plot writes no file that would show nothing, and leaves none of an earlier run.
func (s *section) plot(dir string) error {
	name, groups := filepath.Join(dir, s.Plot), s.groups()
	if len(groups) == 0 {
		if err := os.Remove(name); !errors.Is(err, os.ErrNotExist) {
			return err
		}
		return nil
	}
	return writeFile(name, func(w io.Writer) error { return writePlot(w, s.PlotTitle, s.Peers, groups) })
}

// groups leaves out a figure of which there is nothing to show.
func (s *section) groups() []group {
	var groups []group
	for _, f := range s.Figures {
		g := group{Label: f.Plotted, Bars: make(map[string]spread)}
		for peer, samples := range f.Samples {
			if s.Relative != "" {
				samples = ratios(samples, f.Samples[s.Relative])
			}
			if bar := spreadOf(samples); bar.Count > 0 {
				g.Bars[peer] = bar
			}
		}
		if f.Plotted != "" && len(g.Bars) > 0 {
			groups = append(groups, g)
		}
	}
	return groups
}
