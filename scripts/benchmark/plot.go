package main

import (
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"strings"
)

// What the plot looks like. Grey and these colours can be read on white and on
// black; the background is the page's.
const (
	plotWidth, plotHeight = 860, 400
	plotLeft, plotRight   = 56, 16
	plotTop, plotBottom   = 64, 56
	plotInk               = "#7d8590"
)

var plotColors = map[string]string{
	ours: "#2f81f7", sftp: "#3fa34d", rclone: "#d98324", sshfs: "#b35fd0",
	nginx: "#3fa34d", cached: "#7fbf3f", xaccel: "#b35fd0", caddy: "#d0567f",
}

// upright is the width of a bar below which its number is written upwards.
const upright = 28

// A group is the bars that stand together.
type group struct {
	Label string
	Bars  map[string]spread // by peer
}

// writePlot draws groups of bars, in the order of peers, whiskers from the
// least to the most, as SVG.
func writePlot(w io.Writer, title string, peers []string, groups []group) error {
	top := niceAbove(highest(groups))
	p := plot{peers: peers, scale: (plotHeight - plotTop - plotBottom) / top}
	p.add(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="system-ui, sans-serif" font-size="13">`, plotWidth, plotHeight)
	p.add(`<title>%s</title>`, escape(title))
	p.text(plotLeft, 22, "start", 15, title)
	p.legend(p.peersOf(groups))
	p.grid(top)
	pitch := float64(plotWidth-plotLeft-plotRight) / float64(max(1, len(groups)))
	for i, g := range groups {
		p.group(g, plotLeft+pitch*float64(i), pitch)
	}
	p.add(`</svg>`)
	_, err := io.WriteString(w, p.String())
	return err
}

type plot struct {
	strings.Builder
	peers []string
	scale float64 // pixels a unit
}

func (p *plot) add(format string, args ...any) { fmt.Fprintf(p, format+"\n", args...) }

func (p *plot) text(x, y float64, anchor string, size int, text string) {
	p.add(`<text x="%.1f" y="%.1f" text-anchor="%s" font-size="%d" fill="%s">%s</text>`, x, y, anchor, size, plotInk, escape(text))
}

func (p *plot) line(x1, y1, x2, y2, opacity float64) {
	p.add(`<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s" stroke-opacity="%g"/>`, x1, y1, x2, y2, plotInk, opacity)
}

// y is where a value is.
func (p *plot) y(value float64) float64 { return plotHeight - plotBottom - value*p.scale }

func (p *plot) legend(peers []string) {
	x := float64(plotLeft)
	for _, peer := range peers {
		p.add(`<rect x="%.1f" y="34" width="12" height="12" rx="2" fill="%s"/>`, x, plotColors[peer])
		p.text(x+18, 45, "start", 13, peer)
		x += 50 + 7.5*float64(len(peer))
	}
}

func (p *plot) grid(top float64) {
	const steps = 4
	for i := range steps + 1 {
		value := top * float64(i) / steps
		p.line(plotLeft, p.y(value), plotWidth-plotRight, p.y(value), 0.35)
		p.text(plotLeft-8, p.y(value)+4, "end", 12, fmt.Sprintf("%g", value))
	}
}

func (p *plot) group(g group, left, pitch float64) {
	peers := p.peersOf([]group{g})
	const gap = 6.0
	width := math.Min(44, (pitch-24)/float64(max(1, len(peers)))-gap)
	x := left + (pitch-float64(len(peers))*(width+gap)+gap)/2
	for _, peer := range peers {
		s := g.Bars[peer]
		p.add(`<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="2" fill="%s"/>`,
			x, p.y(s.Median), width, s.Median*p.scale, plotColors[peer])
		middle := x + width/2
		p.line(middle, p.y(s.Min), middle, p.y(s.Max), 1)
		p.number(middle, p.y(s.Max)-5, width, short(s.Median))
		x += width + gap
	}
	p.text(left+pitch/2, plotHeight-plotBottom+22, "middle", 13, g.Label)
}

// number writes one above a bar.
func (p *plot) number(x, y, width float64, number string) {
	if width >= upright {
		p.text(x, y, "middle", 12, number)
		return
	}
	p.add(`<g transform="translate(%.1f %.1f) rotate(-90)">`, x+4, y)
	p.text(0, 0, "start", 12, number)
	p.add(`</g>`)
}

// peersOf returns those that have a bar somewhere.
func (p *plot) peersOf(groups []group) []string {
	var peers []string
	for _, peer := range p.peers {
		for _, g := range groups {
			if g.Bars[peer].Count > 0 {
				peers = append(peers, peer)
				break
			}
		}
	}
	return peers
}

func highest(groups []group) float64 {
	most := 1.0
	for _, g := range groups {
		for _, s := range g.Bars {
			most = math.Max(most, s.Max)
		}
	}
	return most
}

// niceAbove returns 1, 2, 4 or 8 times a power of ten, not below x.
func niceAbove(x float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(x)))
	for _, step := range []float64{1, 2, 4, 8} {
		if step*power >= x {
			return step * power
		}
	}
	return 10 * power
}

func escape(text string) string {
	var b strings.Builder
	xml.EscapeText(&b, []byte(text)) // a strings.Builder does not fail
	return b.String()
}
