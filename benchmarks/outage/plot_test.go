package outage_test

// This file draws the plot.

import (
	"bytes"
	"fmt"
	"image/color"
	"slices"
	"strings"
	"testing"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	gonum "gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

const (
	plotWidth  = 9 * vg.Inch
	plotHeight = 8 * vg.Inch
	margin     = 10 * time.Second // shown before the outage; three times that after it
)

// colours by library, told apart by the colour-blind as well (Okabe and Ito).
var colours = []color.Color{
	color.RGBA{0x00, 0x72, 0xb2, 255}, color.RGBA{0x55, 0x55, 0x55, 255}, color.RGBA{0xe6, 0x9f, 0x00, 255},
	color.RGBA{0x00, 0x9e, 0x73, 255}, color.RGBA{0xcc, 0x79, 0xa7, 255}, color.RGBA{0x56, 0xb4, 0xe9, 255},
}

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
	return render(requests, successes)
}

func newPanel(y string) *plot.Plot {
	p := plot.New()
	p.Y.Label.Text = y
	for _, f := range []*font.Font{&p.Title.TextStyle.Font, &p.X.Label.TextStyle.Font, &p.Y.Label.TextStyle.Font, &p.X.Tick.Label.Font, &p.Y.Tick.Label.Font, &p.Legend.TextStyle.Font} {
		f.Typeface, f.Variant = "Liberation", "Sans"
		f.Size = vg.Points(11)
	}
	p.Title.TextStyle.Font.Size = vg.Points(13)
	p.Title.Padding = vg.Points(8)
	p.Legend.Top, p.Legend.Left = true, true
	p.Legend.TextStyle.Font.Size = vg.Points(9)
	p.Legend.ThumbnailWidth = vg.Points(28)
	p.Legend.Padding = vg.Points(2)
	p.Legend.YOffs, p.Legend.XOffs = vg.Points(-2), vg.Points(50)
	p.X.Tick.Marker = plot.TickerFunc(func(least, most float64) (ticks []plot.Tick) {
		for at := 0.0; at <= most; at += 10 {
			tick := plot.Tick{Value: at}
			if int(at)%30 == 0 {
				tick.Label = fmt.Sprintf("%.0f", at)
			}
			ticks = append(ticks, tick)
		}
		return ticks
	})
	p.Add(plotter.NewGrid())
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

// render puts panels above each other, with the same scale of time.
func render(panels ...*plot.Plot) string {
	var rows [][]*plot.Plot
	for _, p := range panels {
		p.Y.Min = 0
		rows = append(rows, []*plot.Plot{p})
	}
	canvas := vgsvg.New(plotWidth, plotHeight)
	dc := gonum.New(canvas)
	dc.SetColor(color.White) // readable on a dark page, too
	dc.Fill(dc.Rectangle.Path())
	tiles := gonum.Tiles{Rows: len(rows), Cols: 1, PadX: vg.Points(8), PadY: vg.Points(12), PadTop: vg.Points(8), PadBottom: vg.Points(8), PadLeft: vg.Points(8), PadRight: vg.Points(16)}
	for i, row := range plot.Align(rows, tiles, dc) {
		rows[i][0].Draw(row[0])
	}
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		panic(err)
	}
	// Not everybody has the font, and a browser's own choice has serifs.
	return strings.NewReplacer("font-family:Liberation Sans", "font-family:Liberation Sans,Arial,Helvetica,sans-serif").Replace(b.String())
}
