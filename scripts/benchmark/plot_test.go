package main

import (
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

func TestPlotIsWellFormedAndShowsEveryBar(t *testing.T) {
	var b strings.Builder
	err := writePlot(&b, "a < b & c", sftpPeers, []group{
		{"0 ms", map[string]spread{ours: {300, 250, 320, 5}, sftp: {150, 140, 151, 5}, rclone: {140, 140, 140, 1}, sshfs: {120, 1, 121, 5}}},
		{"50 ms", map[string]spread{ours: {127, 120, 130, 5}, sshfs: {5, 4, 6, 5}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	elements, text := parse(t, b.String())
	if bars := elements["rect"] - len(sftpPeers); bars != 6 { // without the legend
		t.Errorf("%d bars, want 6", bars)
	}
	for _, want := range []string{"a < b & c", "0 ms", "50 ms", "300", "5.00", "400", ours, sftp, rclone, sshfs} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("%q is not in it", want)
		}
	}
	if elements["script"] > 0 || strings.Contains(b.String(), "NaN") {
		t.Errorf("got %s", &b)
	}
}

// Six peers in six groups leave a bar 12 pixels.
func TestPlotWritesNumbersOfThinBarsUpwards(t *testing.T) {
	bars := make(map[string]spread)
	for _, peer := range mountPeers {
		bars[peer] = spread{1, 1, 1, 2}
	}
	for groups, want := range map[int]int{1: 0, 6: 6 * len(mountPeers)} {
		var b strings.Builder
		if err := writePlot(&b, "title", mountPeers, slices.Repeat([]group{{"label", bars}}, groups)); err != nil {
			t.Fatal(err)
		}
		if elements, _ := parse(t, b.String()); elements["g"] != want {
			t.Errorf("%d groups: %d numbers upwards, want %d", groups, elements["g"], want)
		}
	}
}

func TestEveryPeerHasAColor(t *testing.T) {
	for _, peers := range [][]string{sftpPeers, mountPeers} {
		seen := make(map[string]bool)
		for _, peer := range peers {
			if color := plotColors[peer]; color == "" || seen[color] {
				t.Errorf("%s: color %q, which is none or another's in the same plot", peer, color)
			}
			seen[plotColors[peer]] = true
		}
	}
}

func TestPlotOfNothingIsWellFormed(t *testing.T) {
	for _, groups := range [][]group{nil, {{Label: "0 ms"}}} {
		var b strings.Builder
		if err := writePlot(&b, "nothing", sftpPeers, groups); err != nil {
			t.Fatal(err)
		}
		parse(t, b.String())
	}
}

// parse counts elements, and returns their text, a line each.
func parse(t *testing.T, document string) (elements map[string]int, text string) {
	t.Helper()
	elements = make(map[string]int)
	for decoder := xml.NewDecoder(strings.NewReader(document)); ; {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return elements, text
		}
		if err != nil {
			t.Fatal(err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			elements[token.Name.Local]++
		case xml.CharData:
			text += string(token) + "\n"
		}
	}
}

func TestScaleEndsAboveTheHighest(t *testing.T) {
	for x, want := range map[float64]float64{1: 1, 1.1: 2, 37: 40, 80: 80, 81: 100, 305: 400} {
		if got := niceAbove(x); got != want {
			t.Errorf("%g: got %g, want %g", x, got, want)
		}
	}
}
