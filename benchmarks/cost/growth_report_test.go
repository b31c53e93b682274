package cost_test

// This file writes down and draws what was measured of growth.

import (
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/oktaretry/oktaretry/benchmarks/internal/chart"
	"github.com/oktaretry/oktaretry/benchmarks/internal/docfile"
)

const growthPlotFile = "growth.svg"

func writeGrowth(t *testing.T, all []measuredAxis) {
	text, err := os.ReadFile(docFile)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := docfile.Between(string(text), "growth", table(all))
	if err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string]string{docFile: doc, growthPlotFile: growthPlotted(t, all)} {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// table has a row for each axis and a column for each step.
func table(all []measuredAxis) string {
	var steps []int
	for _, m := range all {
		if len(m.steps) > len(steps) {
			steps = m.steps
		}
	}
	var b strings.Builder
	b.WriteString("| µs a call, at |")
	for _, n := range steps {
		b.WriteString(" " + count(n) + " |")
	}
	b.WriteString("\n|---|" + strings.Repeat("--:|", len(steps)) + "\n")
	for _, m := range all {
		fmt.Fprintf(&b, "| %s |", m.name)
		for _, n := range steps {
			if n > m.steps[len(m.steps)-1] {
				b.WriteString(" |")
				continue
			}
			fmt.Fprintf(&b, " %.1f |", m.median(n)/1000)
		}
		b.WriteString("\n")
	}
	b.WriteString("\n")
	for _, m := range all {
		last := m.steps[len(m.steps)-1]
		fmt.Fprintf(&b, "- **%s**, %s: at %s a call costs %.1f times as much as at %s, of the %.0f times that a logarithm allows. %s\n",
			strings.ToUpper(m.name[:1])+m.name[1:], m.words, count(last), m.median(last)/m.median(m.steps[0]), count(m.steps[0]), most(last), m.why)
	}
	return b.String()
}

// growthPlotted shows all axes with the same scale: a line that grew with n would
// leave the page.
func growthPlotted(t *testing.T, all []measuredAxis) string {
	var curves []chart.Curve
	for _, m := range all {
		c := chart.Curve{Label: m.name}
		for _, n := range m.steps {
			c.Points = append(c.Points, plotter.XY{X: float64(n), Y: m.median(n) / 1000})
		}
		curves = append(curves, c)
	}
	return drawn(t, curves)
}

// drawn has each curve with its label above its end.
func drawn(t *testing.T, curves []chart.Curve) string {
	p := chart.New("what a call costs as work grows")
	p.X.Label.Text, p.Y.Label.Text = "how many", "µs a call"
	p.X.Scale, p.X.Tick.Marker, p.Y.Tick.Marker = plot.LogScale{}, plot.TickerFunc(powersOfTen), plot.TickerFunc(fives)
	p.Add(plotter.NewGrid())
	highest := 0.0
	for i, c := range curves {
		for _, at := range c.Points {
			highest = max(highest, at.Y)
		}
		points, err := plotter.NewScatter(c.Points)
		if err != nil {
			t.Fatal(err)
		}
		points.GlyphStyle = draw.GlyphStyle{Color: chart.Colours[i], Radius: vg.Points(3), Shape: draw.CircleGlyph{}}
		p.Add(points)
		last := c.Points[len(c.Points)-1]
		curves[i].At, curves[i].Right, curves[i].Colour = last, true, chart.Colours[i]
		curves[i].Label = fmt.Sprintf("%s %s: %.1f µs", count(int(last.X)), c.Label, last.Y)
	}
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 1, 100_000, 0, 1.2*highest
	chart.Lines(t, p, curves...)
	return chart.SVG(9*vg.Inch, 4*vg.Inch, p)
}

// fives has a labelled tick each 5 µs.
func fives(_, most float64) (ticks []plot.Tick) {
	for at := 0.0; at <= most; at += 5 {
		ticks = append(ticks, plot.Tick{Value: at, Label: fmt.Sprintf("%.0f", at)})
	}
	return ticks
}

func powersOfTen(least, most float64) (ticks []plot.Tick) {
	for at := least; at <= most*1.001; at *= 10 {
		ticks = append(ticks, plot.Tick{Value: at, Label: count(int(math.Round(at)))})
	}
	return ticks
}

func count(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
