// Package chart draws the plots of the documents, alike.
package chart

import (
	"bytes"
	"image/color"
	"strings"
	"testing"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Colours are told apart by the colour-blind as well (Okabe and Ito). This
// library has the first.
var Colours = []color.Color{
	color.RGBA{0x00, 0x72, 0xb2, 255}, color.RGBA{0xe6, 0x9f, 0x00, 255}, color.RGBA{0x00, 0x9e, 0x73, 255},
	color.RGBA{0xcc, 0x79, 0xa7, 255}, color.RGBA{0x56, 0xb4, 0xe9, 255}, color.RGBA{0xd5, 0x5e, 0x00, 255},
}

// Grey is for who is only there to be compared with.
var Grey = color.RGBA{0x55, 0x55, 0x55, 255}

// New returns an empty panel.
func New(title string) *plot.Plot {
	p := empty(10)
	p.Title.Text = title
	p.Title.Padding = vg.Points(4)
	return p
}

// OverTime returns an empty panel of something over time, with its legend on the
// left of the top and a tick each so many seconds; label is what stands at one,
// or "".
func OverTime(what string, each float64, label func(seconds float64) string) *plot.Plot {
	p := empty(11)
	p.Y.Label.Text = what
	p.Title.Padding = vg.Points(8)
	p.Legend.Top, p.Legend.Left = true, true
	p.Legend.TextStyle.Font.Size = vg.Points(9)
	p.Legend.ThumbnailWidth = vg.Points(28)
	p.Legend.Padding = vg.Points(2)
	p.X.Tick.Marker = plot.TickerFunc(func(_, most float64) (ticks []plot.Tick) {
		for at := 0.0; at <= most; at += each {
			ticks = append(ticks, plot.Tick{Value: at, Label: label(at)})
		}
		return ticks
	})
	p.Add(plotter.NewGrid())
	return p
}

// empty returns a panel whose texts have a size; its title is somewhat larger.
func empty(size float64) *plot.Plot {
	p := plot.New()
	for _, f := range []*font.Font{&p.Title.TextStyle.Font, &p.X.Label.TextStyle.Font, &p.Y.Label.TextStyle.Font, &p.X.Tick.Label.Font, &p.Y.Tick.Label.Font, &p.Legend.TextStyle.Font} {
		f.Typeface, f.Variant = "Liberation", "Sans"
		f.Size = vg.Points(size)
	}
	p.Title.TextStyle.Font.Size = vg.Points(size + 2)
	return p
}

// Note writes beside a point.
func Note(t *testing.T, p *plot.Plot, x, y float64, text string) {
	label(t, p, plotter.XY{X: x, Y: y}, text, color.Black, draw.XLeft, vg.Point{X: vg.Points(4), Y: vg.Points(-4)})
}

// SVG puts panels above each other.
func SVG(width, height vg.Length, panels ...*plot.Plot) string {
	var rows [][]*plot.Plot
	for _, p := range panels {
		rows = append(rows, []*plot.Plot{p})
	}
	return drawn(width, height, rows)
}

// Beside puts panels beside each other.
func Beside(width, height vg.Length, panels ...*plot.Plot) string {
	return drawn(width, height, [][]*plot.Plot{panels})
}

// drawn has rows of panels, all of the same length, on a ground of their own.
func drawn(width, height vg.Length, rows [][]*plot.Plot) string {
	canvas := vgsvg.New(width, height)
	dc := draw.New(canvas)
	dc.SetColor(color.White) // readable on a dark page, too
	dc.Fill(dc.Rectangle.Path())
	tiles := draw.Tiles{Rows: len(rows), Cols: len(rows[0]), PadX: vg.Points(8), PadY: vg.Points(12), PadTop: vg.Points(8), PadBottom: vg.Points(8), PadLeft: vg.Points(8), PadRight: vg.Points(16)}
	for i, row := range plot.Align(rows, tiles, dc) {
		for j, at := range row {
			rows[i][j].Draw(at)
		}
	}
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		panic(err)
	}
	// Not everybody has the font, and a browser's own choice has serifs.
	return strings.ReplaceAll(b.String(), "font-family:Liberation Sans", "font-family:Liberation Sans,Arial,Helvetica,sans-serif")
}
