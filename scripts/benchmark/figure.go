package main

import (
	"fmt"
	"math"
	"strconv"
)

// The peers.
const (
	ours   = "storagesrv"
	sftp   = "sftp"
	rclone = "rclone"
	sshfs  = "sshfs+nginx"
	nginx  = "nginx"         // as it serves files by itself
	cached = "nginx+cache"   // with open_file_cache
	xaccel = "nginx+X-Accel" // behind an app that tells it the file of a call
	caddy  = "caddy"
)

// Those of each part, in the order of its table.
var (
	sftpPeers  = []string{ours, sftp, rclone, sshfs}
	mountPeers = []string{ours, nginx, cached, xaccel, caddy, rclone}
)

// A figure is one number of a case, for each peer and run.
type figure struct {
	Name    string // what it is
	Unit    string
	Goal    goal
	Against string // the peer that ours is compared with; "" = none
	Plotted string // the label of its bars in the plot; "" = not there

	Samples map[string][]float64 // by peer; one a run, missing where it failed
}

// A goal is a limit for ours; the zero value is none.
type goal struct {
	Limit   float64
	AtLeast bool // rather than at most
	Ratio   bool // of the ratio to figure.Against, rather than of the figure
}

func atLeast(limit float64) goal      { return goal{Limit: limit, AtLeast: true} }
func atMost(limit float64) goal       { return goal{Limit: limit} }
func atLeastTimes(limit float64) goal { return goal{Limit: limit, AtLeast: true, Ratio: true} }
func atMostTimes(limit float64) goal  { return goal{Limit: limit, Ratio: true} }

// ratio returns that of ours to the peer it is compared with.
func (f *figure) ratio() spread {
	return spreadOf(ratios(f.Samples[ours], f.Samples[f.Against]))
}

// verdict returns "yes" or "no", or "" if there is no goal or nothing to judge.
func (f *figure) verdict() string {
	s := spreadOf(f.Samples[ours])
	if f.Goal.Ratio {
		s = f.ratio()
	}
	switch {
	case f.Goal == goal{} || s.Count == 0:
		return ""
	case f.Goal.AtLeast == (s.Median >= f.Goal.Limit) || s.Median == f.Goal.Limit:
		return "yes"
	default:
		return "no"
	}
}

// goalText is such as "≥ 1.5 × rclone".
func (f *figure) goalText() string {
	if f.Goal == (goal{}) {
		return ""
	}
	text := "≤ "
	if f.Goal.AtLeast {
		text = "≥ "
	}
	text += strconv.FormatFloat(f.Goal.Limit, 'f', -1, 64)
	if f.Goal.Ratio {
		text += " × " + f.Against
	}
	return text
}

// short writes a number with three digits or so.
func short(x float64) string {
	switch abs := math.Abs(x); {
	case abs >= 99.95 || x == 0:
		return strconv.FormatFloat(x, 'f', 0, 64)
	case abs >= 9.995:
		return strconv.FormatFloat(x, 'f', 1, 64)
	default:
		return strconv.FormatFloat(x, 'f', 2, 64)
	}
}

// String is such as "12.3 (11.9–12.8)".
func (s spread) String() string {
	switch s.Count {
	case 0:
		return "–"
	case 1:
		return short(s.Median)
	default:
		return fmt.Sprintf("%s (%s–%s)", short(s.Median), short(s.Min), short(s.Max))
	}
}
