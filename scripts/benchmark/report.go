package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
)

// A report is what the runs came to.
type report struct {
	Environment []string // a line each: machine, versions
	Options     string   // what was asked for
	Sections    []*section
	Failures    []failure // in their order
}

// A failure is a run of a case that a peer did not end well.
type failure struct {
	Case, Peer string
	Run        int // from 1
	Reason     string
}

// write writes bench.md, bench.json and the plots to the directory dir, which
// is made, and bench.md to w too.
func (r *report) write(w io.Writer, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	errs := []error{
		writeFile(filepath.Join(dir, "bench.md"), func(file io.Writer) error { return r.markdown(io.MultiWriter(file, w)) }),
		writeFile(filepath.Join(dir, "bench.json"), r.json),
	}
	for _, s := range r.Sections {
		errs = append(errs, s.plot(dir))
	}
	return errors.Join(errs...)
}

func writeFile(name string, write func(io.Writer) error) error {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(write(file), file.Close())
}

func (r *report) markdown(w io.Writer) error {
	fmt.Fprintf(w, "Medians of all runs (least–most); a ratio is ours to the peer's in the same run. %s\n\n", r.Options)
	for i, s := range r.Sections {
		if i > 0 {
			fmt.Fprintln(w)
		}
		if err := s.markdown(w); err != nil {
			return err
		}
	}
	for _, f := range r.Failures {
		fmt.Fprintf(w, "\nFailed: %s, %s, run %d: %s\n", f.Case, f.Peer, f.Run, f.Reason)
	}
	_, err := fmt.Fprintf(w, "\n%s\n", strings.Join(r.Environment, "  \n"))
	return err
}

// json writes all samples; one that is missing is null.
func (r *report) json(w io.Writer) error {
	type row struct {
		Section string                `json:"section"`
		Name    string                `json:"name"`
		Unit    string                `json:"unit"`
		Goal    string                `json:"goal,omitempty"`
		Against string                `json:"against,omitempty"`
		Met     string                `json:"met,omitempty"`
		Samples map[string][]*float64 `json:"samples"`
	}
	rows := []row{}
	for _, s := range r.Sections {
		for _, f := range s.Figures {
			samples := make(map[string][]*float64)
			for peer, values := range f.Samples {
				samples[peer] = nullable(values)
			}
			rows = append(rows, row{s.Heading, f.Name, f.Unit, f.goalText(), f.Against, f.verdict(), samples})
		}
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(map[string]any{
		"environment": r.Environment, "options": r.Options, "figures": rows, "failures": r.Failures,
	})
}

func nullable(values []float64) []*float64 {
	out := make([]*float64, len(values))
	for i, v := range values {
		if !math.IsNaN(v) {
			out[i] = &v
		}
	}
	return out
}
