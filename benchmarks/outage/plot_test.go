package outage_test

// This file draws the plots: bars of all clients, and the requests of three over
// time.

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"github.com/oktaretry/oktaretry/benchmarks/internal/chart"
	"github.com/oktaretry/oktaretry/benchmarks/internal/sdks"
)

const margin = 10 * time.Second // shown before the outage; three times that after it

// plotName is what a plot calls a client.
func (c contender) plotName() string {
	return strings.Replace(c.title(), "okta-sdk-golang", "Okta's SDK", 1)
}

// bars shows what all clients do to the server, and how soon they are back.
func bars(t *testing.T, some []result) string {
	var names []string
	var requests, back []chart.Row
	for _, r := range some {
		own := r.contender.name == ours.name
		names = append(names, r.contender.plotName())
		row := chart.Row{Value: float64(r.hits), Label: count(r.hits), Ours: own}
		if r.twice > 0 {
			row.Label, row.Fails = fmt.Sprintf("%s, %d POSTs read twice", count(r.hits), r.twice), true
		}
		requests = append(requests, row)
		back = append(back, chart.Row{Value: r.recovered.Seconds(), Label: seconds(r.recovered), Ours: own})
	}
	return chart.Beside(10*vg.Inch, 3.4*vg.Inch,
		chart.Bars(t, fmt.Sprintf("requests to a server that answers 503 for %.0f s", some[0].scenario.trouble.Seconds()), names, requests, 0.18),
		chart.Bars(t, "until 95 % of calls succeed again", nil, back, 0.18))
}

// lines shows the requests a second of three clients: this one, the best peer,
// and Okta's own SDK.
func lines(t *testing.T, some []result) string {
	s, best := some[0].scenario, bestPeer(some)
	sdk := some[slices.IndexFunc(some, func(r result) bool { return r.contender.module == sdks.V6Module })]
	p := chart.OverTime("requests a second", 10, func(seconds float64) string {
		if int(seconds)%30 != 0 {
			return ""
		}
		return fmt.Sprintf("%.0f", seconds)
	})
	p.Title.Text = fmt.Sprintf("requests before, in and after %s", s.words)
	p.X.Label.Text = "seconds since the beginning of the outage"
	p.Y.Min, p.Y.Max = 0, 140
	middle := s.trouble.Seconds() / 2
	var curves []chart.Curve
	for i, r := range []result{sdk, best, some[0]} {
		curves = append(curves, chart.Curve{
			Points: bySecond(r.run.hits, s), Label: fmt.Sprintf("%s: %s in the outage", r.contender.plotName(), count(r.hits)),
			At:     plotter.XY{X: middle, Y: []float64{104, 14, 4}[i]},
			Colour: chart.Colours[[]int{5, 2, 0}[i]],
		})
	}
	chart.Lines(t, p, curves...)
	return chart.SVG(9*vg.Inch, 4*vg.Inch, p)
}

// bestPeer sent the fewest requests of the peers whose POSTs were read once.
func bestPeer(some []result) result {
	careful := slices.DeleteFunc(slices.Clone(some), func(r result) bool { return r.contender.name == ours.name || r.twice > 0 })
	return slices.MinFunc(careful, func(a, b result) int { return cmp.Compare(a.hits, b.hits) })
}

// bySecond is how many of the moments, which are sorted, fall into each second.
func bySecond(moments []time.Duration, s scenario) (curve plotter.XYs) {
	for at := s.before - margin; at < s.before+s.trouble+3*margin; at += time.Second {
		x, n := (at - s.before).Seconds(), float64(within(moments, at, at+time.Second))
		curve = append(curve, plotter.XY{X: x, Y: n}, plotter.XY{X: x + 1, Y: n})
	}
	return curve
}
