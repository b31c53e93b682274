package cost_test

// This file measures how cost grows, and holds it to its bounds.

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/benchmarks/internal/meter"
	"github.com/oktaretry/oktaretry/benchmarks/internal/race"
)

const growthCommand = "go test ./benchmarks/cost -run TestGrowth -update -v"

const (
	growthTurns       = 9
	growthSliceLength = 100 * time.Millisecond
	growthQuickTurns  = 1
	growthQuickLength = 30 * time.Millisecond
	growthQuickTries  = 4
	quickMost         = 10_000 // to meet 100,000 endpoints takes seconds
)

// TestGrowth fails where a call has become dearer with the work than it may: at the ends of
// each line with -timed, at every step with -update, which writes them down.
func TestGrowth(t *testing.T) {
	switch {
	case race.Enabled:
		t.Skip("the race detector costs more than anybody else")
	case !*timed && !*update:
		t.Skip("compares times: run it with -timed, on a machine that does little else")
	}
	var all []measuredAxis
	for _, a := range axes {
		m := measuredAxis{a, new(meter.Series)}
		steps := a.steps
		if !*update { // the ends of the line tell
			steps = []int{a.steps[0], min(a.steps[len(a.steps)-1], quickMost)}
		}
		for _, n := range steps {
			m.Benches = append(m.Benches, a.bench(n))
		}
		var missed []string
		for range growthQuickTries {
			if *update {
				m.Run(t, growthTurns, growthSliceLength)
			} else {
				m.Run(t, growthQuickTurns, growthQuickLength)
			}
			if missed = m.misses(); missed == nil || *update {
				break
			}
		}
		for _, miss := range missed {
			t.Errorf("%s: %s", a.name, miss)
		}
		t.Log(m)
		all = append(all, m)
	}
	if *update {
		writeGrowth(t, all)
	}
}

// TestDocumentIsOfTheseAxes fails when what is written down is not of what is
// measured.
func TestDocumentIsOfTheseAxes(t *testing.T) {
	text, err := os.ReadFile(docFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range axes {
		if !strings.Contains(string(text), "| "+a.name+" |") || !strings.Contains(string(text), a.words) {
			t.Errorf("%s says nothing of %s: run %s", docFile, a.name, growthCommand)
		}
	}
}

// measuredAxis is an axis and what was measured of it.
type measuredAxis struct {
	axis
	*meter.Series
}

// growth is what a call costs at n, in calls at the first step, when nothing
// disturbed them. What the base costs is part of both: it is little, and taken
// off it would leave the difference of two uncertain figures.
func (m measuredAxis) growth(n int) float64 {
	return m.LeastRatio(benchName(n), benchName(m.steps[0]))
}

func (m measuredAxis) median(n int) float64 { return m.Over(benchName(n)).NS }

func (m measuredAxis) misses() (misses []string) {
	for _, n := range m.measuredSteps() {
		if got := m.growth(n); !(got <= most(n)) {
			misses = append(misses, fmt.Sprintf("%d of them make a call %.1f times as dear as %d, want %.1f at most", n, got, m.steps[0], most(n)))
		}
	}
	return misses
}

// measuredSteps are the steps that were measured.
func (m measuredAxis) measuredSteps() (steps []int) {
	for _, n := range m.steps {
		if slices.ContainsFunc(m.Benches, func(b *meter.Bench) bool { return b.Name == benchName(n) }) {
			steps = append(steps, n)
		}
	}
	return steps
}

func (m measuredAxis) String() string {
	s := m.name + ":"
	for _, n := range m.measuredSteps() {
		s += fmt.Sprintf(" %d: %.1f µs (%.2f);", n, m.Least(benchName(n))/1000, m.growth(n))
	}
	return s
}
