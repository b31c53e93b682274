package pace_test

// This file runs the scenarios, holds this library to its targets and, with
// -update, writes down how its peers do.

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/benchmarks/internal/race"
)

var (
	thorough = flag.Bool("full", false, "run each scenario in full at each offset, not a small one at one offset")
	update   = flag.Bool("update", false, "do as -full, with three seeds for each offset, run the peers too, and write what was measured into docs/pace.md, RESULTS.md, pace.svg and docs/img/429s.svg")
)

const command = "go test ./benchmarks/pace -run TestScenarios -update"

// TestScenarios fails where this library misses a target. Without a flag, each scenario
// runs once, the next one with the next offset.
func TestScenarios(t *testing.T) {
	var all []summary
	for i, s := range scenarios {
		var own []setting
		switch {
		case *update:
			own = s.settings(3)
		case *thorough:
			own = s.settings(1)
		default:
			s, own = s.small(), s.settings(1)
			own = own[i%len(own):][:1]
		}
		m := measure(t, s, compared[0], own)
		t.Log(m)
		for _, miss := range m.misses() {
			t.Errorf("%s: %s", s.words, miss)
		}
		all = append(all, m)
		if *update {
			for _, p := range compared[1:] {
				m := measure(t, s, p, s.settings(1))
				t.Log(m)
				all = append(all, m)
			}
		}
	}
	if *update {
		write(t, all, throttleSection(measureThrottle(t)))
	}
}

// TestTunedPeersMakeAllCalls holds the peers' set-up to be what it says.
func TestTunedPeersMakeAllCalls(t *testing.T) {
	if race.Enabled {
		t.Skip("some peers race with their caller's request")
	}
	s := scenarios[0]
	s.calls = 2*s.limit + s.limit/2
	for _, p := range compared {
		if !p.best {
			continue
		}
		m := measure(t, s, p, s.settings(1)[:1])
		t.Log(m)
		if r := m.runs[0]; r.failed > 0 || r.notDone {
			t.Errorf("%s: %d calls failed: %v", p.title(), r.failed, r.err)
		}
	}
}

// TestResultsAreOfTheseScenariosAndPeers fails when what is written down is not
// of what is measured. It does not compare figures: no two runs are equal.
func TestResultsAreOfTheseScenariosAndPeers(t *testing.T) {
	written := read(t, resultsFile)
	for _, s := range scenarios {
		if !strings.Contains(written, s.words) {
			t.Errorf("%s says nothing of %q: run %s", resultsFile, s.words, command)
		}
	}
	for _, p := range compared {
		if !strings.Contains(written, "| "+p.title()+", "+p.form()) {
			t.Errorf("%s says nothing of %s, %s: run %s", resultsFile, p.title(), p.form(), command)
		}
	}
}

// settings are so many runs with each offset, all with different seeds. Where
// there are no windows, offsets mean nothing, and one will do.
func (s scenario) settings(each int) []setting {
	of := offsets
	if s.limit == 0 {
		of = offsets[:1]
	}
	var sets []setting
	for range each {
		for _, offset := range of {
			sets = append(sets, setting{offset, uint64(len(sets))})
		}
	}
	return sets
}

// small is the scenario with as many calls as show what it is about: of a rate limit,
// what two windows and a half take, so that one begins in the middle, one is used
// whole, and another follows; of calls in flight, the time to settle and as much again.
// A limit that drops in the second window takes all calls, and so do windows that open
// within a second, of which each may lose a part of one.
func (s scenario) small() scenario {
	switch {
	case s.limit == 0:
		s.calls = min(s.calls, int(2*settling/latency)*s.concurrency)
	case s.dropTo == 0 && !s.opens:
		s.calls = min(s.calls, 2*s.limit+s.limit/2)
	}
	return s
}

// summary is what came of a scenario's runs with one library.
type summary struct {
	scenario scenario
	peer     peer
	settings []setting
	runs     []result
}

func measure(t *testing.T, s scenario, p peer, sets []setting) summary {
	m := summary{s, p, sets, nil}
	for _, set := range sets {
		m.runs = append(m.runs, s.run(t, set, p))
	}
	return m
}

// with is the part of the runs that had that offset.
func (m summary) with(offset time.Duration) summary {
	part := summary{m.scenario, m.peer, nil, nil}
	for i, set := range m.settings {
		if set.offset == offset {
			part.settings, part.runs = append(part.settings, set), append(part.runs, m.runs[i])
		}
	}
	return part
}

// of are a figure's values, sorted.
func (m summary) of(figure func(result) float64) []float64 {
	var values []float64
	for _, r := range m.runs {
		values = append(values, figure(r))
	}
	slices.Sort(values)
	return values
}

func (m summary) median(figure func(result) float64) float64 {
	v := m.of(figure)
	return (v[len(v)/2] + v[(len(v)-1)/2]) / 2
}

func (m summary) least(figure func(result) float64) float64 { return m.of(figure)[0] }
func (m summary) most(figure func(result) float64) float64  { return m.of(figure)[len(m.runs)-1] }

// The figures of a run.
func overSeconds(r result) float64   { return r.over().Seconds() }
func optimal(r result) float64       { return r.optimum.Seconds() }
func ofBest(r result) float64        { return r.ofBest() }
func failed(r result) float64        { return float64(r.failed) }
func refused(r result) float64       { return float64(r.refused) }
func refusedShare(r result) float64  { return r.refusedShare() }
func settledShare(r result) float64  { return r.settledShare() }
func othersRefused(r result) float64 { return r.othersShare() }

func (m summary) String() string {
	s := fmt.Sprintf("%-11s %s, %s: %.2f s over %.1f s (%.2f to %.2f), %.0f 429s (%.0f to %.0f)", m.scenario.name, m.peer.title(), m.peer.form(),
		m.median(overSeconds), m.median(optimal), m.least(overSeconds), m.most(overSeconds),
		m.median(refused), m.least(refused), m.most(refused))
	if m.scenario.concurrency > 0 {
		s += fmt.Sprintf(", %.1f %% of the best throughput (%.1f at least), %.2f %% 429s once settled",
			100*m.median(ofBest), 100*m.least(ofBest), 100*m.median(settledShare))
	}
	if m.scenario.others > 0 {
		s += fmt.Sprintf(", the other app refused %.2f %%", 100*m.median(othersRefused))
	}
	if n := m.most(failed); n > 0 {
		s += fmt.Sprintf(", %.0f failed", n)
	}
	return s
}

// misses are the targets that were missed: by the median of the runs with some
// offset, and by any run in which calls failed.
func (m summary) misses() (misses []string) {
	miss := func(format string, args ...any) { misses = append(misses, fmt.Sprintf(format, args...)) }
	want := m.scenario.target
	for i, r := range m.runs {
		at := m.settings[i]
		if r.failed > 0 || r.notDone {
			miss("offset %s, seed %d: %d calls failed, or were not done within %s: %v", at.offset, at.seed, r.failed, longest, r.err)
		}
		if want.known >= 0 && r.late > want.known {
			miss("offset %s, seed %d: %d 429s after the limit was known, want %d", at.offset, at.seed, r.late, want.known)
		}
	}
	for _, offset := range offsets {
		m := m.with(offset)
		if len(m.runs) == 0 {
			continue
		}
		bound := func(what string, got, most float64, unit string) {
			if got > most {
				miss("offset %s: %s: %.3f%s, want %.3f%s at most", offset, what, got, unit, most, unit)
			}
		}
		if want.best > 0 {
			if got := m.median(ofBest); got < want.best {
				miss("%.1f %% of the best throughput, want %.1f %%", 100*got, 100*want.best)
			}
		} else {
			bound("time over the optimum", m.median(overSeconds), want.over.Seconds(), " s")
		}
		if want.settled > 0 {
			bound("429s once settled", 100*m.median(settledShare), 100*want.settled, " %")
		} else {
			bound("429s", 100*m.median(refusedShare), 100*want.refused, " %")
		}
		if want.refusals > 0 {
			bound("429s in all", m.median(refused), float64(want.refusals), "")
		}
		if m.scenario.others > 0 {
			bound("calls of the other app refused", 100*m.median(othersRefused), 100*want.others, " %")
		}
	}
	return misses
}
