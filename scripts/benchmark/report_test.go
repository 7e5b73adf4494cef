package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReportWritesItsFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	r := &report{
		Environment: []string{"a machine", "its programs"},
		Options:     "Runs: 2.",
		Sections: []*section{
			{Heading: "Over SFTP", Peers: sftpPeers, Plot: "bench.svg", Figures: []*figure{
				{Name: "rate", Unit: "MB/s", Plotted: "0 ms", Samples: map[string][]float64{ours: {1, missing}}},
			}},
			{Heading: "Mounted", Note: "Little of it.", Peers: mountPeers, Plot: "mount.svg", Relative: nginx, Figures: []*figure{
				{Name: "rate", Unit: "1/s", Plotted: "ranges", Samples: map[string][]float64{ours: {30, 20}, nginx: {40, 40}}},
				{Name: "memory", Unit: "KiB", Samples: map[string][]float64{ours: {9999, 9999}}},
			}},
		},
		Failures: []failure{{"stream", ours, 2, "it ended"}},
	}
	var printed strings.Builder
	if err := r.write(&printed, dir); err != nil {
		t.Fatal(err)
	}
	if got := read(t, dir, "bench.md"); got != printed.String() || !strings.Contains(got, "Failed: stream, storagesrv, run 2: it ended") {
		t.Errorf("got %s, printed %s", got, &printed)
	}
	for _, want := range []string{"### Over SFTP", "### Mounted\n\nLittle of it.\n\n| measure", "| sshfs+nginx |", "| nginx+X-Accel |"} {
		if !strings.Contains(printed.String(), want) {
			t.Errorf("%q is not in %s", want, &printed)
		}
	}
	var got struct {
		Figures []struct {
			Section string
			Samples map[string][]*float64
		}
		Failures []failure
	}
	if err := json.Unmarshal([]byte(read(t, dir, "bench.json")), &got); err != nil {
		t.Fatal(err)
	}
	if samples := got.Figures[0].Samples[ours]; len(samples) != 2 || *samples[0] != 1 || samples[1] != nil || got.Failures[0] != r.Failures[0] {
		t.Errorf("got %+v", got)
	}
	if len(got.Figures) != 3 || got.Figures[2].Section != "Mounted" {
		t.Errorf("got %+v", got.Figures)
	}
	parse(t, read(t, dir, "bench.svg"))
	_, plotted := parse(t, read(t, dir, "mount.svg"))
	if !strings.Contains(plotted, "0.62\n") || strings.Contains(plotted, "9999") {
		t.Errorf("want the ratio to nginx, of what has a label, in\n%s", plotted)
	}
}

func TestReportLeavesNoPlotOfEarlierRuns(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "bench.svg"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := (&report{Sections: []*section{{Plot: "bench.svg"}}}).write(&strings.Builder{}, dir); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(dir, "bench.svg")); !os.IsNotExist(err) {
			t.Errorf("got %v", err)
		}
	}
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
