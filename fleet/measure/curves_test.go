// This file draws what a measurement of growing fleets found.

package measure

import (
	"fmt"
	"math"
	"strings"
)

// A panel is 320 wide and 200 high, of which its axes span less.
const left, top, across, down = 56, 40, 232, 140

// curves draws commands a call and the time over the optimum over the number of processes.
func curves(steps []step) string {
	var b strings.Builder
	b.WriteString(`<svg xmlns="http://www.w3.org/2000/svg" width="720" height="240" viewBox="0 0 680 226" font-family="Liberation Sans,Arial,Helvetica,sans-serif" font-size="10">
<rect width="680" height="226" fill="#fff"/>
`)
	panel(&b, 0, "Redis commands a call", steps, func(s step) float64 { return s.commands }, "%.1f", 1)
	panel(&b, 340, "Seconds over the optimum", steps, func(s step) float64 { return s.over.Seconds() }, "%.0f", 4)
	b.WriteString("</svg>\n")
	return b.String()
}

// panel draws one value of the steps at x, on an axis that reaches to a multiple of least.
func panel(b *strings.Builder, x int, title string, steps []step, value func(step) float64, format string, least float64) {
	most := least
	for _, s := range steps {
		most = max(most, least*math.Ceil(value(s)/least))
	}
	fmt.Fprintf(b, `<g transform="translate(%d,0)">`+"\n"+`<text x="%d" y="22" font-size="12">%s</text>`+"\n", x, left, title)
	for i := range 5 {
		y := top + down - down*i/4
		fmt.Fprintf(b, `<path d="M%d,%dh%d" stroke="#ddd"/><text x="%d" y="%d" text-anchor="end">`+format+"</text>\n", left, y, across, left-6, y+4, most*float64(i)/4)
	}
	var points []string
	for _, s := range steps {
		px := left + across*math.Log(float64(s.processes))/math.Log(float64(steps[len(steps)-1].processes))
		py := top + down*(1-value(s)/most)
		points = append(points, fmt.Sprintf("%.1f,%.1f", px, py))
		fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="3" fill="#0072b2"/><text x="%.1f" y="%d" text-anchor="middle">%d</text>`+"\n", px, py, px, top+down+16, s.processes)
	}
	fmt.Fprintf(b, `<polyline points="%s" fill="none" stroke="#0072b2" stroke-width="2"/>`+"\n", strings.Join(points, " "))
	fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="middle">processes</text>`+"\n</g>\n", left+across/2, top+down+34)
}
