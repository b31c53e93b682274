package pace_test

// This file draws the plot.

import (
	"fmt"
	"image/color"
	"math"
	"slices"
	"testing"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/oktaretry/oktaretry/benchmarks/internal/chart"
)

const (
	plottedScenario = "tight" // where the libraries differ most
	plotWidth       = 9 * vg.Inch
	plotHeight      = 8 * vg.Inch
)

// widths let those show that lie under others.
var widths = []vg.Length{vg.Points(2), vg.Points(1.8), vg.Points(3.8), vg.Points(5.8), vg.Points(7.8), vg.Points(2)}

// plotted is the plot as an SVG: calls done and 429s over time. Libraries that
// do the same lie upon each other, the narrow lines on top.
func plotted(t *testing.T, all []summary) string {
	done, refusals := newPanel("calls done"), newPanel("429s")
	some := of(all, plottedScenario)
	slices.Reverse(some) // this library on top
	end := 0.0
	for _, m := range some {
		end = max(end, m.runs[0].took.Seconds())
	}
	var legend []func() // from the last entry on
	var titles []string
	for _, m := range compared {
		if !slices.Contains(titles, m.title()) {
			titles = append(titles, m.title())
		}
	}
	for _, m := range some {
		r, nth := m.runs[0], slices.Index(titles, m.peer.title())
		style := draw.LineStyle{Color: chart.Colours[nth], Width: widths[nth]}
		label := m.peer.title()
		if !m.ours() {
			label += ", " + m.peer.form()
			if !m.peer.best {
				style.Width, style.Dashes = vg.Points(1.4), []vg.Length{vg.Points(4), vg.Points(2)}
			}
		}
		line := add(t, done, style, r.doneAt, r.took, end)
		legend = append(legend, func() { done.Legend.Add(label, line) })
		line = add(t, refusals, style, r.refusedAt, r.took, end)
		if r.failed > 0 {
			note(t, refusals, line.XYs[len(line.XYs)-1], style.Color, count(float64(r.failed))+" calls failed")
		}
	}
	for _, entry := range slices.Backward(legend) {
		entry()
	}
	s := some[0].scenario
	done.Title.Text = fmt.Sprintf("%s calls by %d workers, %d calls a minute allowed", count(float64(s.calls)), s.workers, s.limit)
	refusals.X.Label.Text = "minutes since the start"
	return render(done, refusals)
}

func newPanel(what string) *plot.Plot {
	p := chart.OverTime(what, 60, func(seconds float64) string {
		if math.Mod(seconds, 300) != 0 {
			return ""
		}
		return fmt.Sprintf("%.0f", seconds/60)
	})
	p.Legend.YOffs, p.Legend.XOffs = vg.Points(-4), vg.Points(8)
	p.Y.Tick.Marker = plot.TickerFunc(func(least, most float64) []plot.Tick {
		ticks := plot.DefaultTicks{}.Ticks(least, most)
		for i, tick := range ticks {
			if tick.Label != "" {
				ticks[i].Label = count(tick.Value)
			}
		}
		return ticks
	})
	return p
}

// add draws how many of the moments have passed, until the job was over.
func add(t *testing.T, p *plot.Plot, style draw.LineStyle, moments []time.Duration, took time.Duration, end float64) *plotter.Line {
	line, err := plotter.NewLine(steps(moments, took, end/1500))
	if err != nil {
		t.Fatal(err)
	}
	line.LineStyle = style
	p.Add(line)
	last := line.XYs[len(line.XYs)-1]
	over, err := plotter.NewScatter(plotter.XYs{last})
	if err != nil {
		t.Fatal(err)
	}
	over.GlyphStyle = draw.GlyphStyle{Color: style.Color, Radius: vg.Points(3), Shape: draw.CircleGlyph{}}
	p.Add(over)
	return line
}

// note writes beside a point.
func note(t *testing.T, p *plot.Plot, at plotter.XY, of color.Color, text string) {
	labels, err := plotter.NewLabels(plotter.XYLabels{XYs: plotter.XYs{at}, Labels: []string{text}})
	if err != nil {
		t.Fatal(err)
	}
	labels.TextStyle[0].Font, labels.TextStyle[0].Color = p.Legend.TextStyle.Font, of
	labels.Offset = vg.Point{X: vg.Points(5), Y: vg.Points(6)}
	p.Add(labels)
}

// steps is the curve of a count, with no two corners nearer to each other than
// a dot.
func steps(moments []time.Duration, took time.Duration, dot float64) plotter.XYs {
	slices.Sort(moments)
	curve := plotter.XYs{{}}
	for i, at := range moments {
		x, n := at.Seconds(), float64(i+1)
		last := &curve[len(curve)-1]
		switch {
		case x-last.X < dot:
			last.Y = n
		default:
			curve = append(curve, plotter.XY{X: x - dot/2, Y: last.Y}, plotter.XY{X: x, Y: n})
		}
	}
	return append(curve, plotter.XY{X: took.Seconds(), Y: float64(len(moments))})
}

// render puts panels above each other, with the same scale of time.
func render(panels ...*plot.Plot) string {
	most := 0.0
	for _, p := range panels {
		most = max(most, p.X.Max)
	}
	for _, p := range panels {
		p.X.Min, p.X.Max, p.Y.Min = 0, most, 0
	}
	return chart.SVG(plotWidth, plotHeight, panels...)
}
