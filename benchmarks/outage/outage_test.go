package outage_test

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
	full   = flag.Bool("full", false, "run all scenarios that have targets, whole, and outages of more lengths")
	update = flag.Bool("update", false, "do as -full, with three seeds, twice the lengths, the scenarios without targets and the peers in what they are compared in, and write what was measured into RESULTS.md, outage.svg and requests.svg")
)

const command = "go test ./benchmarks/outage -run TestScenarios -update"

const plotted = "503-120"

// shown are the outages that the peers are compared in.
var shown = []string{plotted, "refused-120", "hung-120"}

// TestScenarios fails where this library misses a target.
func TestScenarios(t *testing.T) {
	scenarios, seeds := brief(), 1
	switch {
	case *update:
		scenarios, seeds = append(targeted(), hostile()...), 3
	case *full:
		scenarios = targeted()
	}
	var all []result
	for _, s := range scenarios {
		if race.Enabled && s.name != plotted || testing.Short() && !slices.Contains(shown, s.name) {
			continue
		}
		r := s.measure(t, ours, seeds)
		all = append(all, r)
		for _, miss := range r.misses(s.target) {
			t.Errorf("%s: %s", s.words, miss)
		}
		if !*update {
			continue
		}
		for _, c := range compared[1:] {
			if c.name == bare.name || s.comparesPeers() {
				all = append(all, s.measure(t, c, 1))
			}
		}
	}
	if *update {
		write(t, all, sweep(t))
	}
}

// TestRecoveryWhateverTheLength has outages end at all moments between two
// probes.
func TestRecoveryWhateverTheLength(t *testing.T) {
	if race.Enabled || testing.Short() {
		t.Skip("takes long")
	}
	for _, m := range sweep(t) {
		for _, miss := range m.misses(recovery) {
			t.Error(miss)
		}
	}
}

// sweep has outages of each kind whose lengths differ by two seconds, or one with
// -full, or half of one with -update; longer than AttemptTimeout.
func sweep(t *testing.T) map[string]measure {
	step, after := 2*time.Second, 15*time.Second
	switch {
	case *update:
		step, after = time.Second/2, 20*time.Second
	case *full:
		step, after = time.Second, 20*time.Second
	}
	byKind := make(map[string]measure)
	for _, k := range kinds {
		var all []measure
		for long := shortest; long <= longest; long += step {
			s := outage(k.name, k.words, long, k.fate)
			s.before, s.after = 10*time.Second, after
			m := s.play(t, 1, ours).measure()
			t.Logf("%s of %s: first %s, recovered %s, peak %.2f", long, k.words, seconds(m.first), seconds(m.recovered), m.peak)
			all = append(all, m)
		}
		byKind[k.words] = worst(all)
	}
	return byKind
}

const shortest, longest = 66 * time.Second, 72 * time.Second

func (s scenario) comparesPeers() bool { return slices.Contains(shown, s.name) || s.target.gets > 0 }

// TestPeersMeetTheOutage holds the peers' set-up to be what it says, in a small outage.
func TestPeersMeetTheOutage(t *testing.T) {
	if race.Enabled {
		t.Skip("some peers race with their caller's request")
	}
	s := outage("503-60", "60 s of 503s, for 20 workers", time.Minute, unavailable)
	s.workers, s.before = 20, 10*time.Second
	for _, c := range compared[1:] {
		m := s.measure(t, c, 1).measure
		normal := int(s.normal() * s.trouble.Seconds())
		switch {
		case m.first == never:
			t.Errorf("%s: no call ended well after the outage", c.title())
		case c.form == atItsBest && m.twice > 0:
			t.Errorf("%s: %d POSTs were read twice", c.title(), m.twice)
		case c.form == "" && m.hits != normal:
			t.Errorf("%s: %d requests, want %d: it doesn't retry 503s", c.title(), m.hits, normal)
		}
	}
}

// TestResultsAreOfTheseScenariosAndPeers fails when what is written down is not
// of what is measured. It does not compare figures: no two runs are equal.
func TestResultsAreOfTheseScenariosAndPeers(t *testing.T) {
	written := read(t, resultsFile)
	for _, s := range append(targeted(), hostile()...) {
		if !strings.Contains(written, s.words) {
			t.Errorf("%s says nothing of %q: run %s", resultsFile, s.words, command)
		}
	}
	for _, c := range compared {
		if !strings.Contains(written, "| "+c.title()+" |") || !strings.Contains(written, c.setup) {
			t.Errorf("%s says nothing of %s and its set-up: run %s", resultsFile, c.title(), command)
		}
	}
}

// result is what came of a scenario with one client.
type result struct {
	scenario  scenario
	contender contender
	measure       // the worst figures of all runs
	run       run // the first
}

func (s scenario) measure(t *testing.T, c contender, seeds int) result {
	r := result{scenario: s, contender: c}
	var all []measure
	for seed := range seeds {
		played := s.play(t, uint64(seed), c)
		if seed == 0 {
			r.run = played
		}
		m := played.measure()
		t.Log(fmt.Sprintf("%-15s %s: ", s.name, c.title()), m)
		all = append(all, m)
	}
	r.measure = worst(all)
	return r
}
