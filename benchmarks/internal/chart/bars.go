package chart

// This file draws bars, and lines that are labelled at their ends.

import (
	"image/color"
	"strings"
	"testing"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Failure is the colour of what did not end well.
var Failure = color.RGBA{0xb4, 0x46, 0x00, 255}

// pale is the colour of bars that are only there to be compared with.
var pale = color.RGBA{0xb8, 0xbe, 0xc6, 255}

// Row is a horizontal bar, and what stands at its end.
type Row struct {
	Value float64
	Label string
	Ours  bool // drawn in this library's colour
	Fails bool // the label is about a failure
}

// Bars is a panel of horizontal bars, the first row on top. names stand at its
// left; without them the panel goes beside one that has them. room is the part
// of the width that is left to the labels beside the longest bar.
func Bars(t *testing.T, title string, names []string, rows []Row, room float64) *plot.Plot {
	p := New(title)
	longest := 0.0
	for _, row := range rows {
		longest = max(longest, row.Value)
	}
	most := longest / (1 - room)
	for n, row := range rows {
		at := float64(len(rows) - 1 - n)
		bar, err := plotter.NewBarChart(plotter.Values{row.Value}, vg.Points(12))
		if err != nil {
			t.Fatal(err)
		}
		bar.Horizontal, bar.XMin, bar.LineStyle.Width, bar.Color = true, at, 0, pale
		ink := color.Color(color.Black)
		if row.Fails {
			ink = Failure
		}
		if row.Ours {
			bar.Color, ink = Colours[0], Colours[0]
		}
		p.Add(bar)
		label(t, p, plotter.XY{X: row.Value, Y: at}, row.Label, ink, draw.XLeft, vg.Point{X: vg.Points(4), Y: vg.Points(-4)})
	}
	if names == nil {
		names = make([]string, len(rows))
	}
	var upwards []string
	for _, name := range names {
		// The space is for fonts that are wider than the one it is laid out for.
		upwards = append([]string{name + strings.Repeat(" ", 3)}, upwards...)
	}
	p.NominalY(upwards...)
	p.HideX()
	p.X.Min, p.X.Max = 0, most
	p.Y.Min, p.Y.Max = -0.6, float64(len(rows))-0.4
	p.Y.LineStyle.Width = vg.Points(0.5)
	return p
}

// Curve is a line, and what stands above its end or beside some other point.
type Curve struct {
	Points plotter.XYs
	Label  string
	At     plotter.XY // where the label is: the middle of its lower edge
	Right  bool       // At is the right end of the lower edge
	Colour color.Color
}

// Lines adds curves to a panel, the last one on top, each with its label.
func Lines(t *testing.T, p *plot.Plot, curves ...Curve) {
	for _, c := range curves {
		line, err := plotter.NewLine(c.Points)
		if err != nil {
			t.Fatal(err)
		}
		line.LineStyle = draw.LineStyle{Color: c.Colour, Width: vg.Points(2)}
		p.Add(line)
		align := draw.XAlignment(draw.XCenter)
		if c.Right {
			align = draw.XRight
		}
		label(t, p, c.At, c.Label, c.Colour, align, vg.Point{Y: vg.Points(5)})
	}
}

// label writes at a point.
func label(t *testing.T, p *plot.Plot, at plotter.XY, text string, ink color.Color, align draw.XAlignment, offset vg.Point) {
	labels, err := plotter.NewLabels(plotter.XYLabels{XYs: plotter.XYs{at}, Labels: []string{text}})
	if err != nil {
		t.Fatal(err)
	}
	labels.TextStyle[0].Font = p.X.Tick.Label.Font
	labels.TextStyle[0].Color = ink
	labels.TextStyle[0].XAlign = align
	labels.Offset = offset
	p.Add(labels)
}
