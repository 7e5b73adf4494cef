package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// writeTable writes figures as a Markdown table, a row each, with a column for
// each peer.
func writeTable(w io.Writer, peers []string, figures []*figure) error {
	rows := [][]string{
		slices.Concat([]string{"measure", "unit", "goal"}, peers, []string{"ratio", "met"}),
		slices.Concat([]string{"---", "---", "---"}, slices.Repeat([]string{"--:"}, len(peers)+1), []string{"---"}),
	}
	for _, f := range figures {
		row := []string{f.Name, f.Unit, f.goalText()}
		for _, peer := range peers {
			row = append(row, f.cell(peer))
		}
		rows = append(rows, append(row, f.ratioText(), f.verdict()))
	}
	for _, row := range rows {
		if _, err := fmt.Fprintf(w, "| %s |\n", strings.Join(row, " | ")); err != nil {
			return err
		}
	}
	return nil
}

// cell is empty for a peer that was not asked for the figure.
func (f *figure) cell(peer string) string {
	samples := f.Samples[peer]
	s := spreadOf(samples)
	switch failed := len(samples) - s.Count; {
	case len(samples) == 0:
		return ""
	case s.Count == 0:
		return "failed"
	case failed > 0:
		return fmt.Sprintf("%s, %d of %d failed", s, failed, len(samples))
	default:
		return s.String()
	}
}

func (f *figure) ratioText() string {
	if s := f.ratio(); s.Count > 0 {
		return s.String() + " × " + f.Against
	}
	return ""
}
