package cost_test

// This file draws the plot.

import (
	"fmt"
	"image/color"
	"strings"
	"testing"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"github.com/oktaretry/oktaretry/benchmarks/internal/chart"
)

// panels are what the plot shows: four calls, and who makes them.
var panels = []struct {
	title, name string
	who         []string
}{
	{"GET 200, no tracing", "GET 200", []string{ours, rehttp, retryable, failsafeBare, failsafe, failsafeFull}},
	{"GET 200, all spans sampled", "GET 200", []string{ours + sampled, twoSpans, otelAlone + sampled, assembled + sampled}},
	{"404 with Okta's body, no tracing", "404 with Okta's body", []string{ours, rehttp, retryable, failsafeBare, failsafe, failsafeFull}},
	{"POST of 2 KB, no tracing", "POST 2 KB, GetBody", []string{ours, rehttp, retryable, failsafeBare, failsafe, failsafeFull}},
}

// plotted is the plot as an SVG: what a call costs above the base.
func plotted(t *testing.T, all map[string]measuredCase) string {
	var plots []*plot.Plot
	for i, p := range panels {
		panel := chart.New(p.title)
		m := all[p.name]
		var names []string
		longest := 0.0
		for n, name := range p.who {
			at := len(p.who) - 1 - n // the first one on top
			o := m.Over(name)
			bar, err := plotter.NewBarChart(plotter.Values{max(o.NS, 0) / 1000}, vg.Points(12))
			if err != nil {
				t.Fatal(err)
			}
			bar.Horizontal, bar.XMin, bar.LineStyle.Width, bar.Color = true, float64(at), 0, color.RGBA{0xb8, 0xbe, 0xc6, 255}
			if strings.HasPrefix(name, ours) {
				bar.Color = chart.Colours[0]
			}
			panel.Add(bar)
			chart.Note(t, panel, o.NS/1000, float64(at), fmt.Sprintf("%s, %.0f allocs", duration(o.NS), o.Allocs))
			// The space is for fonts that are wider than the one it is laid out for.
			names = append([]string{strings.TrimSuffix(title(name), sampled) + strings.Repeat(" ", 8)}, names...)
			longest = max(longest, o.NS/1000)
		}
		panel.NominalY(names...)
		panel.X.Min, panel.X.Max = 0, 1.35*longest // room for the figures
		panel.Y.Min, panel.Y.Max = -0.6, float64(len(names))-0.4
		if i == len(panels)-1 {
			panel.X.Label.Text = "µs above the base"
		}
		plots = append(plots, panel)
	}
	return chart.SVG(9*vg.Inch, 9*vg.Inch, plots...)
}
