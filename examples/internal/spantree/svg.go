// This file draws spans as a waterfall, as trace viewers do.

package spantree

import (
	"fmt"
	"html"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// The measures of a drawing, in pixels.
const (
	drawnWidth = 1200
	barsAt     = 520 // where the bars begin
	barsWidth  = 560
	lineHeight = 24
	notesWidth = 72 // characters of a line's notes: those of a deep span must end before the bars
)

// SVG draws the spans as waterfalls, one below the other. The drawing has colours of
// its own, for light pages and dark ones.
func SVG(w io.Writer, spans []sdktrace.ReadOnlySpan) {
	var b strings.Builder
	y := 16
	for _, root := range trees(spans) {
		end := root.at.Add(max(root.took, time.Millisecond))
		fmt.Fprintf(&b, "<text class=\"quiet\" x=\"16\" y=\"%d\">trace %s</text>\n", y+12, root.trace)
		y = scale(&b, y, end.Sub(root.at))
		y = root.draw(&b, y, 0, root.at, end.Sub(root.at)) + 20
	}
	fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-label="A trace as a waterfall: each line a span or a wait, in its place in time">
<style>
svg { background: #fff; color: #1b222c; font: 13px system-ui, sans-serif; }
text { fill: currentColor; } .quiet { fill: #566170; font-size: 11px; } .n { text-anchor: end; }
.call { fill: #8a94a3; } .ok { fill: #2e9e5b; } .failed { fill: #d5392f; } .wait { fill: #6f8fd8; } .grid { stroke: #e3e7ec; }
@media (prefers-color-scheme: dark) {
svg { background: #1a2027; color: #e5e9ee; } .quiet { fill: #a3aebb; } .grid { stroke: #303945; }
}
</style>
%s</svg>
`, drawnWidth, y, drawnWidth, y, b.String())
}

// scale draws the times over the bars and returns where the lines begin.
func scale(b *strings.Builder, y int, took time.Duration) int {
	for i := range 5 {
		x := barsAt + barsWidth*i/4
		fmt.Fprintf(b, "<text class=\"quiet n\" x=\"%d\" y=\"%d\">%s</text>\n", x+14, y+12, duration(took*time.Duration(i)/4))
	}
	return y + 22
}

// draw draws n and what is below it from y on, and returns where it ends.
func (n node) draw(b *strings.Builder, y, depth int, began time.Time, whole time.Duration) int {
	for i := range 5 {
		x := barsAt + barsWidth*i/4
		fmt.Fprintf(b, "<line class=\"grid\" x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\"/>", x, y, x, y+lineHeight)
	}
	indent := 16 + 18*depth
	name := shorten(n.name, (barsAt-indent-16)/7)
	fmt.Fprintf(b, "\n<text x=\"%d\" y=\"%d\">%s</text>", indent, y+16, html.EscapeString(name))
	part := func(d time.Duration) float64 { return barsWidth * min(max(float64(d)/float64(whole), 0), 1) }
	x := barsAt + part(n.at.Sub(began))
	fmt.Fprintf(b, "<rect class=\"%s\" x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"10\" rx=\"2\"/>", n.kind(depth), min(x, barsAt+barsWidth-2), y+7, max(part(n.took), 2))
	if n.timed {
		fmt.Fprintf(b, "<text class=\"n\" x=\"%d\" y=\"%d\">%s</text>\n", drawnWidth-24, y+16, duration(n.took))
	}
	y += lineHeight
	for _, notes := range wrapped(n.notes, notesWidth) {
		fmt.Fprintf(b, "<text class=\"quiet\" x=\"%d\" y=\"%d\">%s</text>\n", indent, y+8, html.EscapeString(notes))
		y += 16
	}
	for _, child := range n.below {
		y = child.draw(b, y, depth+1, began, whole)
	}
	return y
}

// kind is how a bar looks.
func (n node) kind(depth int) string {
	switch notes := strings.Join(n.notes, " "); {
	case strings.HasPrefix(n.name, "wait: "):
		return "wait"
	case strings.Contains(notes, "status_code=2"):
		return "ok"
	case strings.Contains(notes, "status_code=") || strings.Contains(notes, "error.type="):
		return "failed"
	}
	return "call"
}

// wrapped joins words to lines of at most so many characters.
func wrapped(words []string, most int) (lines []string) {
	for _, word := range words {
		if n := len(lines); n > 0 && utf8.RuneCountInString(lines[n-1])+2+utf8.RuneCountInString(word) <= most {
			lines[n-1] += "  " + word
			continue
		}
		lines = append(lines, word)
	}
	return lines
}
