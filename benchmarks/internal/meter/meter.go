// Package meter measures what calls cost. Contenders take turns in short
// slices, so that what disturbs the machine disturbs them alike, and are
// compared turn by turn: figures of different runs, or machines, say little.
package meter

import (
	"math"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// Bench is one contender in one case.
type Bench struct {
	Name    string
	Make    func(*testing.T) (calls func(n int)) // sets up what makes n calls
	Virtual bool                                 // its waits take no time: it runs in a bubble, made anew for each slice
	Wall    bool                                 // the time that passes is what counts, waits for locks included
	Least   int                                  // calls of a slice; 0 counts as 1

	calls func(n int)
	n     int // calls of a slice
}

// Sample is the cost of one call, on average of a slice. Unless a Bench says
// otherwise its time is the processor's, on all cores: collecting the garbage is
// part of it, what other programs do meanwhile is not.
type Sample struct{ NS, Allocs, Bytes float64 }

// slice makes n calls and returns what one cost.
func (b *Bench) slice(t *testing.T, n int) (s Sample) {
	if b.Virtual {
		synctest.Test(t, func(t *testing.T) {
			calls := b.Make(t)
			calls(1)
			s = measured(cpuTime, calls, n)
		})
		return s
	}
	if b.calls == nil {
		b.calls = b.Make(t)
		b.calls(100)
	}
	if b.Wall {
		return measured(wallTime, b.calls, n)
	}
	return measured(cpuTime, b.calls, n)
}

// measured leaves out what was thrown away before, and has the garbage of the
// slice collected within it, as far as it is more than a heap's worth.
func measured(now func() time.Duration, calls func(int), n int) Sample {
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := now()
	calls(n)
	took := now() - start
	runtime.ReadMemStats(&after)
	each := func(total uint64) float64 { return float64(total) / float64(n) }
	return Sample{float64(took) / float64(n), each(after.Mallocs - before.Mallocs), each(after.TotalAlloc - before.TotalAlloc)}
}

// wallTime is the time that has passed since the program began. It may not be
// asked for where time is virtual.
func wallTime() time.Duration { return time.Since(began) }

var began = time.Now()

// Series are the samples of a case's contenders, turn by turn.
type Series struct {
	Benches []*Bench
	Base    string // what is subtracted; "": nothing
	Turns   []map[string]Sample
}

// Run adds turns of slices of about that length.
func (s *Series) Run(t *testing.T, turns int, length time.Duration) {
	for _, b := range s.Benches {
		for b.n == 0 {
			b.calibrate(t, length)
		}
	}
	for range turns {
		turn := make(map[string]Sample, len(s.Benches))
		// Whoever comes first finds other caches than who comes last.
		for i := range s.Benches {
			b := s.Benches[(i+len(s.Turns))%len(s.Benches)]
			turn[b.Name] = b.slice(t, b.n)
		}
		s.Turns = append(s.Turns, turn)
	}
}

// calibrate finds how many calls fill a slice.
func (b *Bench) calibrate(t *testing.T, length time.Duration) {
	for n := max(b.Least, 1); ; n *= 4 {
		ns := b.slice(t, n).NS
		if 4*ns*float64(n) < float64(length) {
			continue
		}
		for range 2 { // lest a single pause makes slices too short for ever
			ns = min(ns, b.slice(t, n).NS)
		}
		if 4*ns*float64(n) >= float64(length) {
			b.n = max(int(float64(length)/max(ns, 1)), b.Least, 1)
			return
		}
	}
}

// Over is what a call costs above the base, by the median of the turns; of a
// turn's allocations those of the base of that turn.
func (s *Series) Over(name string) Sample {
	figure := func(of func(Sample) float64) float64 {
		var values []float64
		for _, turn := range s.Turns {
			values = append(values, of(turn[name])-of(turn[s.Base]))
		}
		return Median(values)
	}
	return Sample{
		figure(func(s Sample) float64 { return s.NS }),
		math.Round(figure(func(s Sample) float64 { return s.Allocs })),
		math.Round(figure(func(s Sample) float64 { return s.Bytes })),
	}
}

// Ratio compares what two cost above the base, turn by turn: the median.
func (s *Series) Ratio(name, peer string) float64 {
	var values []float64
	for _, turn := range s.Turns {
		base := turn[s.Base].NS
		values = append(values, (turn[name].NS-base)/(turn[peer].NS-base))
	}
	return Median(values)
}

// LeastRatio compares what two cost above the base when nothing disturbed them:
// each in its best turn. It is what can be held to a target on a machine that
// others use.
func (s *Series) LeastRatio(name, peer string) float64 {
	base := 0.0
	if s.Base != "" {
		base = s.Least(s.Base)
	}
	return (s.Least(name) - base) / (s.Least(peer) - base)
}

// Least is what a call cost in the best turn, the base included; in ns.
func (s *Series) Least(name string) float64 {
	least := math.Inf(1)
	for _, turn := range s.Turns {
		least = min(least, turn[name].NS)
	}
	return least
}

// Quartile is what a call cost at most in the better quarter of the turns, the
// base included; in ns. A single turn can be lucky: in a short one there may be
// no garbage collected.
func (s *Series) Quartile(name string) float64 {
	var values []float64
	for _, turn := range s.Turns {
		values = append(values, turn[name].NS)
	}
	slices.Sort(values)
	return values[len(values)/4]
}

// Median sorts v.
func Median(v []float64) float64 {
	slices.Sort(v)
	return (v[len(v)/2] + v[(len(v)-1)/2]) / 2
}
