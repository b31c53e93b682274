package outage_test

// This file draws the plot.

import (
	"fmt"
	"image/color"
	"slices"
	"testing"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	gonum "gonum.org/v1/plot/vg/draw"

	"github.com/oktaretry/oktaretry/benchmarks/internal/chart"
)

const (
	plotWidth  = 9 * vg.Inch
	plotHeight = 8 * vg.Inch
	margin     = 10 * time.Second // shown before the outage; three times that after it
)

// colours by library; the bare client has none.
var colours = slices.Insert(slices.Clone(chart.Colours), 1, color.Color(chart.Grey))

// draw is the plot as an SVG: requests and successes in each second. Clients
// that do the same lie upon each other, the narrow lines on top.
func draw(t *testing.T, some []result) string {
	requests, successes := newPanel("requests a second"), newPanel("successes a second")
	s := some[0].scenario
	var names []string
	for _, r := range some {
		if name := r.contender.name + r.contender.module; !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	var legend []func()
	for _, r := range slices.Backward(some) { // this library on top
		nth := slices.Index(names, r.contender.name+r.contender.module)
		style := gonum.LineStyle{Color: colours[nth], Width: vg.Points(1.6)}
		switch {
		case r.contender.name == ours.name:
			style.Width = vg.Points(2.4)
		case r.contender.form == asItComes:
			style.Dashes = []vg.Length{vg.Points(4), vg.Points(2)}
		case r.contender.form == "": // wide: they do the same
			style.Width = vg.Points(float64(2 + nth))
		}
		var done []time.Duration
		for _, c := range r.run.calls {
			if c.ok {
				done = append(done, c.ended)
			}
		}
		slices.Sort(done)
		line := add(t, requests, style, r.run.hits, s)
		add(t, successes, style, done, s)
		legend = append(legend, func() { requests.Legend.Add(r.contender.title(), line) })
	}
	for _, entry := range slices.Backward(legend) {
		entry()
	}
	requests.Title.Text = fmt.Sprintf("%s, %d workers of one call a second each", s.words, s.workers)
	successes.X.Label.Text = "seconds since the beginning of the outage"
	requests.Y.Max, successes.Y.Max = 240, 130 // room for the legend
	requests.Y.Min, successes.Y.Min = 0, 0
	return chart.SVG(plotWidth, plotHeight, requests, successes)
}

func newPanel(what string) *plot.Plot {
	p := chart.OverTime(what, 10, func(seconds float64) string {
		if int(seconds)%30 != 0 {
			return ""
		}
		return fmt.Sprintf("%.0f", seconds)
	})
	p.Legend.YOffs, p.Legend.XOffs = vg.Points(-2), vg.Points(50)
	return p
}

// add draws how many of the moments, which are sorted, fall into each second.
func add(t *testing.T, p *plot.Plot, style gonum.LineStyle, moments []time.Duration, s scenario) *plotter.Line {
	var curve plotter.XYs
	for at := s.before - margin; at < s.before+s.trouble+3*margin; at += time.Second {
		x, n := (at - s.before).Seconds(), float64(within(moments, at, at+time.Second))
		curve = append(curve, plotter.XY{X: x, Y: n}, plotter.XY{X: x + 1, Y: n})
	}
	line, err := plotter.NewLine(curve)
	if err != nil {
		t.Fatal(err)
	}
	line.LineStyle = style
	p.Add(line)
	return line
}
