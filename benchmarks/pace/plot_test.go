package pace_test

// This file draws the plots: bars of all libraries, and the 429s of three over
// time.

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"github.com/oktaretry/oktaretry/benchmarks/internal/chart"
	"github.com/oktaretry/oktaretry/benchmarks/internal/sdks"
)

const (
	barScenario  = "one"   // the plainest
	lineScenario = "tight" // where the libraries differ most
)

// bars shows all libraries, those first that lost no call.
func bars(t *testing.T, all []summary) string {
	some := of(all, barScenario)
	slices.SortStableFunc(some, func(a, b summary) int {
		return cmp.Or(compareBool(!a.ours(), !b.ours()), cmp.Compare(a.median(failed), b.median(failed)),
			cmp.Compare(a.median(refused), b.median(refused)), cmp.Compare(a.median(overSeconds), b.median(overSeconds)))
	})
	var names []string
	var refusals, times []chart.Row
	for _, m := range some {
		names = append(names, m.name())
		refusals = append(refusals, chart.Row{Value: m.median(refused), Label: count(m.median(refused)), Ours: m.ours()})
		over := chart.Row{Value: max(m.median(overSeconds), 0), Label: m.time(), Ours: m.ours()}
		if m.median(failed) > 0 { // it has no time: the job was not done
			over.Value, over.Fails = 0, true
		}
		times = append(times, over)
	}
	s := some[0].scenario
	return chart.Beside(10*vg.Inch, 4*vg.Inch,
		chart.Bars(t, fmt.Sprintf("429s met by %s calls, %s a minute allowed", count(float64(s.calls)), count(float64(s.limit))), names, refusals, 0.15),
		chart.Bars(t, "time over the least possible", nil, times, 0.15))
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// name is what a plot calls a library.
func (m summary) name() string {
	if m.ours() {
		return m.peer.name
	}
	name := strings.Replace(m.peer.title(), "okta-sdk-golang", "Okta's SDK", 1)
	return name + ", " + m.peer.form()
}

// lines shows the 429s of three libraries over time: this one, the best of the
// others that lost no call, and Okta's own SDK, tuned.
func lines(t *testing.T, all []summary) string {
	some := of(all, lineScenario)
	s, own := some[0].scenario, some[0]
	best := bestPeer(some)
	sdk := some[slices.IndexFunc(some, func(m summary) bool { return m.peer.module == sdks.V6Module && m.peer.best })]
	p := panel("429s so far")
	p.Title.Text = fmt.Sprintf("429s met by %s calls of %d workers, %d calls a minute allowed", count(float64(s.calls)), s.workers, s.limit)
	p.X.Label.Text = "minutes since the start"
	end, highest := 0.0, 0.0
	var curves []chart.Curve
	for i, m := range []summary{sdk, best, own} {
		r := m.runs[0]
		no := float64(r.refused)
		end, highest = max(end, r.took.Seconds()), max(highest, no)
		curves = append(curves, chart.Curve{
			Points: steps(r.refusedAt, r.took, 1), Label: m.name() + ": " + count(no),
			At: plotter.XY{X: r.took.Seconds(), Y: no}, Right: true,
			Colour: chart.Colours[[]int{5, 2, 0}[i]],
		})
	}
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0, 1.02*end, 0, 1.1*highest
	chart.Lines(t, p, curves...)
	return chart.SVG(9*vg.Inch, 4*vg.Inch, p)
}

// bestPeer is who met the fewest 429s of the peers that lost no call.
func bestPeer(some []summary) summary {
	whole := slices.DeleteFunc(slices.Clone(some), func(m summary) bool { return m.ours() || m.most(failed) > 0 })
	return slices.MinFunc(whole, func(a, b summary) int {
		return cmp.Or(cmp.Compare(a.median(refused), b.median(refused)), cmp.Compare(a.median(overSeconds), b.median(overSeconds)))
	})
}

func panel(what string) *plot.Plot {
	p := chart.OverTime(what, 60, func(seconds float64) string {
		if math.Mod(seconds, 300) != 0 {
			return ""
		}
		return fmt.Sprintf("%.0f", seconds/60)
	})
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
