package cost_test

// This file runs the cases and holds this library to its targets; with -update
// it writes down how its peers do.

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/benchmarks/internal/meter"
	"github.com/oktaretry/oktaretry/benchmarks/internal/race"
)

var (
	timed  = flag.Bool("timed", false, "hold times to their targets and bounds too: on a machine that does little else")
	update = flag.Bool("update", false, "measure the peers and every step of growth too, and write it into docs/cost.md, cost.svg and growth.svg")
)

const command = "go test ./benchmarks/cost -run TestCost -update -v"

// How long is measured: turns of slices.
const (
	turns       = 21
	sliceLength = 15 * time.Millisecond
)

// Without -update nothing is written, and the best of a few short slices is
// compared: enough to see a regression, and soon done. Who misses a target gets
// more turns before it counts.
const (
	quickTurns  = 5
	quickLength = 10 * time.Millisecond
	quickTries  = 4
	quickSlack  = 1.1 // a tenth more than a target is noise
)

// TestCost fails where this library misses a target: in allocations, which are the
// same on every machine, and with -timed in times, as ratios of one run.
func TestCost(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector costs more than anybody else")
	}
	if *update {
		measureAll(t)
		return
	}
	for _, c := range cases {
		if c.targets == nil && (c.also == nil || !*timed) {
			continue
		}
		s := c.series(c.concerned)
		var missed []string
		for range quickTries {
			c.run(t, s, quickTurns, quickLength)
			if missed = c.misses(s, s.LeastRatio, quickSlack); missed == nil {
				break
			}
		}
		for _, miss := range missed {
			t.Errorf("%s: %s", c.name, miss)
		}
		t.Log(c.summary(s, s.LeastRatio))
	}
}

// run adds turns.
func (c costCase) run(t *testing.T, s *meter.Series, turns int, length time.Duration) {
	s.Run(t, turns, length)
}

// TestDocumentIsOfTheseCasesAndContenders fails when what is written down is not
// of what is measured. It does not compare figures: no two runs are equal.
func TestDocumentIsOfTheseCasesAndContenders(t *testing.T) {
	written := read(t, docFile)
	for _, c := range cases {
		if c.also == nil && !strings.Contains(written, "| "+c.name) {
			t.Errorf("%s says nothing of %q: run %s", docFile, c.name, command)
		}
	}
	for _, who := range contenders {
		if who.name != bare && !strings.Contains(written, "| "+strong(who.name)+" |") {
			t.Errorf("%s says nothing of %s: run %s", docFile, title(who.name), command)
		}
	}
}

// series are the case's contenders that are wanted.
func (c costCase) series(wanted func(string) bool) *meter.Series {
	s := &meter.Series{Base: c.base}
	for _, b := range c.benches() {
		if wanted == nil || wanted(b.Name) {
			s.Benches = append(s.Benches, b)
		}
	}
	return s
}

// concerned tells whether a target speaks of that contender.
func (c costCase) concerned(name string) bool {
	if c.also != nil && slices.Contains(c.also.needs, name) {
		return true
	}
	return name == c.base || slices.ContainsFunc(c.targets, func(want target) bool { return name == want.name || name == want.peer })
}

// misses are the targets that were missed, or what guards them where they are;
// those in time with -timed only.
func (c costCase) misses(s *meter.Series, ratio func(name, peer string) float64, slack float64) (misses []string) {
	miss := func(format string, args ...any) { misses = append(misses, fmt.Sprintf(format, args...)) }
	for _, want := range c.targets {
		most := want.limit
		if want.guard != nil {
			most = *want.guard
		}
		if want.peer != "" && *timed {
			if got := ratio(want.name, want.peer); !(got <= slack*most.ratio) {
				miss("%s costs %.2f × %s, want %.2f at most", want.name, got, want.peer, most.ratio)
			}
		}
		got := s.Over(want.name)
		if most.allocs >= 0 && got.Allocs > most.allocs {
			miss("%s makes %.0f allocations, want %.0f at most", want.name, got.Allocs, most.allocs)
		}
		if most.bytes > 0 && got.Bytes > most.bytes {
			miss("%s allocates %.0f bytes, want %.0f at most", want.name, got.Bytes, most.bytes)
		}
	}
	if c.also != nil && *timed {
		if text := c.also.miss(s); text != "" {
			miss("%s", text)
		}
	}
	return misses
}

// summary says how the targets were met.
func (c costCase) summary(s *meter.Series, ratio func(name, peer string) float64) (text string) {
	for i, want := range c.targets {
		if i > 0 {
			text += "\n"
		}
		got := s.Over(want.name)
		text += fmt.Sprintf("%-30s %-32s %8.0f ns %4.0f allocs %6.0f B", c.name, want.name, got.NS, got.Allocs, got.Bytes)
		if want.peer != "" {
			peer := s.Over(want.peer)
			text += fmt.Sprintf("; %.2f × %s (%.0f ns %.0f allocs %.0f B), want %.2f", ratio(want.name, want.peer), want.peer, peer.NS, peer.Allocs, peer.Bytes, want.ratio)
		}
	}
	return text
}
