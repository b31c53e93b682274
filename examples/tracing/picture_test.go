package main

// This file draws the pictures of docs/img: a trace of the story, and the dashboard as
// near as it can be had without a Grafana.

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"html"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/okta/okta-sdk-golang/v6/okta"
	"github.com/prometheus/prometheus/promql"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/examples/internal/spantree"
)

var updatePictures = flag.Bool("update", false, "write the pictures of docs/img")

const pictures = "../../docs/img"

// TestPicturesAreDrawn draws them; with -update it also writes them.
func TestPicturesAreDrawn(t *testing.T) {
	p, d := thePlay(t), readDashboard(t)
	board, err := drawDashboard(t.Context(), d, p.store)
	if err != nil {
		t.Fatal(err)
	}
	var waterfall string
	synctest.Test(t, func(t *testing.T) {
		if waterfall, err = drawTrace(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	for name, drawing := range map[string]string{"dashboard.svg": board, "trace.svg": waterfall} {
		if strings.Count(drawing, "<text") < 10 || strings.Contains(drawing, "NaN") {
			t.Errorf("%s: %d bytes that show little", name, len(drawing))
		}
		if *updatePictures {
			if err := os.WriteFile(filepath.Join(pictures, name), []byte(drawing), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// drawTrace lives the step in which several things go wrong for one call.
func drawTrace(ctx context.Context) (string, error) {
	around := network{}.surroundings()
	tel, err := newTelemetry(ctx, around.network)
	if err != nil {
		return "", err
	}
	defer tel.shutdown(context.WithoutCancel(ctx))
	transport, err := oktaretry.NewTransport(around.network, oktaretry.WithPolicy(policy()), oktaretry.WithTracerProvider(tel.tracers))
	if err != nil {
		return "", err
	}
	client, err := around.connect(ctx, transport, okta.WithOrgUrl(around.orgURL), okta.WithToken("a-token"))
	if err != nil {
		return "", err
	}
	s := sync{org: around.org, client: client}
	step := s.steps()[0]
	ctx, span := tel.tracers.Tracer("directory-sync").Start(ctx, step.name)
	_, err = step.do(ctx)
	span.End()
	var b bytes.Buffer
	spantree.SVG(&b, tel.spans.Take())
	return b.String(), err
}

// The measures of the dashboard's picture, in pixels.
const (
	unitWidth, unitHeight = 50, 26 // of Grafana's grid
	boardWidth            = 24 * unitWidth
	padding               = 12
	legendLines           = 3
)

// drawDashboard draws each panel with what its queries give over all of the play.
func drawDashboard(ctx context.Context, d dashboard, s *store) (string, error) {
	var b strings.Builder
	bottom := 0
	for _, p := range d.Panels {
		x, y := p.GridPos.X*unitWidth, p.GridPos.Y*unitHeight+40
		w, h := p.GridPos.W*unitWidth, p.GridPos.H*unitHeight
		bottom = max(bottom, y+h)
		if p.Type == "row" {
			fmt.Fprintf(&b, "<text class=\"row\" x=\"%d\" y=\"%d\">%s</text>\n", x+4, y+19, html.EscapeString(p.Title))
			continue
		}
		fmt.Fprintf(&b, "<rect class=\"panel\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"3\"/><text class=\"title\" x=\"%d\" y=\"%d\">%s</text>\n",
			x+2, y+2, w-4, h-4, x+padding, y+20, html.EscapeString(p.Title))
		lines, err := linesOf(ctx, d, s, p)
		if err != nil {
			return "", fmt.Errorf("%s: %w", p.Title, err)
		}
		switch p.Type {
		case "stat":
			drawStat(&b, x, y, h, p, lines)
		case "state-timeline":
			drawStates(&b, x, y, w, h, lines)
		default:
			drawLines(&b, x, y, w, h, p, lines)
		}
	}
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-label="The dashboard's panels over half a minute of the example">
<style>
svg { background: #f4f5f5; color: #24292e; font: 12px system-ui, sans-serif; }
text { fill: currentColor; } .title { font-weight: 600; } .row { font-size: 15px; font-weight: 600; } .quiet { fill: #5a6169; font-size: 10.5px; } .n { text-anchor: end; }
.big { font-size: 30px; font-weight: 600; } .panel { fill: #fff; stroke: #dde1e5; } .grid { stroke: #e9ecef; } polyline { fill: none; stroke-width: 1.4; }
@media (prefers-color-scheme: dark) {
svg { background: #111217; color: #d8dade; } .panel { fill: #181b1f; stroke: #2c3036; } .grid { stroke: #262a30; } .quiet { fill: #a0a6ae; }
}
</style>
<text class="quiet" x="4" y="24">Okta calls (oktaretry): each panel of dashboard.json with what its queries give over half a minute of examples/tracing. Drawn by a test, not by Grafana, which draws it finer.</text>
%s</svg>
`, boardWidth, bottom+8, boardWidth, bottom+8, b.String()), nil
}

// drawnLine is a series with its legend.
type drawnLine struct {
	name   string
	points []promql.FPoint
}

func linesOf(ctx context.Context, d dashboard, s *store, p panel) (lines []drawnLine, err error) {
	for _, target := range p.Targets {
		expr, err := d.substitute(target.Expr)
		if err != nil {
			return nil, err
		}
		result, err := s.query(ctx, expr)
		if err != nil {
			return nil, err
		}
		for _, one := range result {
			name := legendLabel.ReplaceAllStringFunc(target.LegendFormat, func(ref string) string {
				return one.Metric.Get(legendLabel.FindStringSubmatch(ref)[1])
			})
			points := slices.DeleteFunc(one.Floats, func(f promql.FPoint) bool { return math.IsNaN(f.F) || math.IsInf(f.F, 0) })
			if len(points) > 0 {
				lines = append(lines, drawnLine{strings.TrimSpace(name), points})
			}
		}
	}
	// The largest first: a legend has room for a few.
	slices.SortStableFunc(lines, func(a, b drawnLine) int { return int(math.Copysign(1, most(b)-most(a))) })
	return lines, nil
}

func most(l drawnLine) float64 {
	return slices.MaxFunc(l.points, func(a, b promql.FPoint) int { return int(math.Copysign(1, a.F-b.F)) }).F
}

var palette = []string{"#3f83c8", "#d98a00", "#2e9e5b", "#c3423b", "#8a63c0", "#0f9aa5", "#b5651d", "#7a828c"}

func drawStat(b *strings.Builder, x, y, h int, p panel, lines []drawnLine) {
	value := "no data"
	if len(lines) > 0 {
		points := lines[0].points
		value = unit(points[len(points)-1].F, p.FieldConfig.Defaults.Unit)
	}
	fmt.Fprintf(b, "<text class=\"big\" x=\"%d\" y=\"%d\">%s</text>\n", x+padding, y+h-28, value)
}

// frame draws the axes of a panel and returns the places of its points.
func frame(b *strings.Builder, x, y, w, h int, lines []drawnLine, top float64, name func(float64) string) (px func(int64) float64, py func(float64) float64) {
	from, to := int64(math.MaxInt64), int64(0)
	for _, l := range lines {
		from, to = min(from, l.points[0].T), max(to, l.points[len(l.points)-1].T)
	}
	left, right := float64(x+58), float64(x+w-padding-4)
	high, low := float64(y+34), float64(y+h-34-14*legendLines)
	for i := range 3 {
		v := top * float64(i) / 2
		at := low - (low-high)*float64(i)/2
		fmt.Fprintf(b, "<line class=\"grid\" x1=\"%.0f\" y1=\"%.1f\" x2=\"%.0f\" y2=\"%.1f\"/><text class=\"quiet n\" x=\"%.0f\" y=\"%.1f\">%s</text>\n", left, at, right, at, left-5, at+4, name(v))
	}
	for i := range 3 {
		at := left + (right-left)*float64(i)/2
		fmt.Fprintf(b, "<text class=\"quiet n\" x=\"%.0f\" y=\"%.0f\">%.0f s</text>\n", min(at+12, right), low+14, float64(to-from)/1000*float64(i)/2)
	}
	px = func(t int64) float64 { return left + (right-left)*float64(t-from)/float64(max(to-from, 1)) }
	py = func(v float64) float64 { return low - (low-high)*min(max(v/top, 0), 1) }
	return px, py
}

func drawLines(b *strings.Builder, x, y, w, h int, p panel, lines []drawnLine) {
	if len(lines) == 0 {
		return
	}
	top := roundUp(most(lines[0]))
	px, py := frame(b, x, y, w, h, lines, top, func(v float64) string { return unit(v, p.FieldConfig.Defaults.Unit) })
	for i, l := range slices.Backward(lines) {
		var points []string
		last := int64(0)
		for _, f := range l.points {
			if last != 0 && f.T-last > 3*scrapeEvery.Milliseconds() { // a gap
				polyline(b, points, i)
				points = nil
			}
			points = append(points, fmt.Sprintf("%.1f,%.1f", px(f.T), py(f.F)))
			last = f.T
		}
		polyline(b, points, i)
	}
	for i, l := range lines[:min(len(lines), legendLines)] {
		at := y + h - 14*legendLines + 14*i + 4
		text := l.name
		if i == legendLines-1 && len(lines) > legendLines {
			text += fmt.Sprintf(" … and %d more", len(lines)-legendLines)
		}
		if most := (w - 40) / 6; len(text) > most {
			text = text[:most] + "…"
		}
		fmt.Fprintf(b, "<rect x=\"%d\" y=\"%d\" width=\"10\" height=\"3\" fill=\"%s\"/><text class=\"quiet\" x=\"%d\" y=\"%d\">%s</text>\n", x+padding, at-4, palette[i%len(palette)], x+padding+15, at, html.EscapeString(text))
	}
}

// roundUp returns the next number that a scale can end with.
func roundUp(v float64) float64 {
	if v <= 0 {
		return 1
	}
	step := math.Pow(10, math.Floor(math.Log10(v)))
	for _, n := range []float64{1, 1.2, 1.6, 2, 3, 4, 5, 6, 8} {
		if n*step >= v*0.999 {
			return n * step
		}
	}
	return 10 * step
}

func polyline(b *strings.Builder, points []string, i int) {
	if len(points) == 1 {
		points = append(points, points[0])
	}
	if len(points) > 0 {
		fmt.Fprintf(b, "<polyline stroke=\"%s\" points=\"%s\"/>\n", palette[i%len(palette)], strings.Join(points, " "))
	}
}

// drawStates draws a line for each circuit, in the colour of its state.
func drawStates(b *strings.Builder, x, y, w, h int, lines []drawnLine) {
	lines = lines[:min(len(lines), 6)]
	if len(lines) == 0 {
		return
	}
	px, _ := frame(b, x+130, y, w-130, h, lines, 1, func(float64) string { return "" })
	for i, l := range lines {
		at := y + 36 + i*19
		name := l.name
		if len(name) > 30 {
			name = name[:29] + "…"
		}
		fmt.Fprintf(b, "<text class=\"quiet\" x=\"%d\" y=\"%d\">%s</text>\n", x+padding, at+10, html.EscapeString(name))
		for j, f := range l.points[:len(l.points)-1] {
			colour := []string{"#2e9e5b", "#d98a00", "#c3423b"}[min(max(int(f.F), 0), 2)]
			fmt.Fprintf(b, "<rect x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"13\" fill=\"%s\"/>", px(f.T), at, px(l.points[j+1].T)-px(f.T)+0.3, colour)
		}
	}
	fmt.Fprintf(b, "\n<text class=\"quiet\" x=\"%d\" y=\"%d\">green closed, amber half-open, red open</text>\n", x+padding, y+h-14)
}

// unit writes a value as Grafana does.
func unit(v float64, unit string) string {
	short := func(v float64) string {
		if v >= 100 {
			return strconv.FormatFloat(v, 'f', 0, 64)
		}
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
	switch unit {
	case "percentunit":
		return short(100*v) + " %"
	case "reqps", "ops":
		return short(v) + "/s"
	case "s":
		if v < 1 {
			return short(1000*v) + " ms"
		}
		return short(v) + " s"
	}
	return short(v)
}
