package cost_test

// This file runs the cases and holds this library to its targets; with -update
// it writes down how its peers do.

import (
	"flag"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/benchmarks/internal/race"
)

var update = flag.Bool("update", false, "measure the peers too, and write it into README.md, docs/performance.md and cost.svg")

const command = "go test ./benchmarks/cost -run TestCost -update -v"

// How long is measured: turns of slices.
const (
	turns       = 3
	sliceLength = 15 * time.Millisecond
)

// Without -update nothing is written, and the best of a few short slices is
// compared: enough to see a regression, and soon done. Who misses a target gets
// more turns before it counts.
const (
	quickTurns  = 5
	quickLength = 10 * time.Millisecond
	quickTries  = 4
)

// TestCost fails where this library misses a target.
func TestCost(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector costs more than anybody else")
	}
	if *update {
		measureAll(t)
		return
	}
	for _, c := range cases {
		if c.targets == nil {
			continue
		}
		s := c.series(c.concerned)
		var missed []string
		for range quickTries {
			s.run(t, quickTurns, quickLength)
			if missed = c.misses(s, s.leastRatio); missed == nil {
				break
			}
		}
		for _, miss := range missed {
			t.Errorf("%s: %s", c.name, miss)
		}
		t.Log(c.summary(s, s.leastRatio))
	}
}

// series are the case's contenders that are wanted.
func (c costCase) series(wanted func(string) bool) *series {
	s := &series{base: c.base}
	for _, b := range c.benches() {
		if wanted == nil || wanted(b.name) {
			s.benches = append(s.benches, b)
		}
	}
	return s
}

// concerned tells whether a target speaks of that contender.
func (c costCase) concerned(name string) bool {
	return name == c.base || slices.ContainsFunc(c.targets, func(want target) bool { return name == want.name || name == want.peer })
}

// misses are the targets that were missed.
func (c costCase) misses(s *series, ratio func(name, peer string) float64) (misses []string) {
	miss := func(format string, args ...any) { misses = append(misses, fmt.Sprintf(format, args...)) }
	for _, want := range c.targets {
		if want.peer != "" {
			if got := ratio(want.name, want.peer); !(got <= want.ratio) {
				miss("%s costs %.2f × %s, want %.2f at most", want.name, got, want.peer, want.ratio)
			}
		}
		got := s.over(want.name)
		if want.allocs >= 0 && got.allocs > want.allocs {
			miss("%s makes %.0f allocations, want %.0f at most", want.name, got.allocs, want.allocs)
		}
		if want.bytes > 0 && got.bytes > want.bytes {
			miss("%s allocates %.0f bytes, want %.0f at most", want.name, got.bytes, want.bytes)
		}
	}
	return misses
}

// summary says how the targets were met.
func (c costCase) summary(s *series, ratio func(name, peer string) float64) (text string) {
	for i, want := range c.targets {
		if i > 0 {
			text += "\n"
		}
		got := s.over(want.name)
		text += fmt.Sprintf("%-30s %-32s %8.0f ns %4.0f allocs %6.0f B", c.name, want.name, got.ns, got.allocs, got.bytes)
		if want.peer != "" {
			peer := s.over(want.peer)
			text += fmt.Sprintf("; %.2f × %s (%.0f ns %.0f allocs %.0f B), want %.2f", ratio(want.name, want.peer), want.peer, peer.ns, peer.allocs, peer.bytes, want.ratio)
		}
	}
	return text
}
