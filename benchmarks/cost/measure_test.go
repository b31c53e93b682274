package cost_test

// This file measures: contenders take turns in short slices, so that what
// disturbs the machine disturbs them alike, and are compared turn by turn.

import (
	"math"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// bench is one contender in one case.
type bench struct {
	name    string
	make    func(*testing.T) (calls func(n int)) // sets up what makes n calls
	virtual bool                                 // its waits take no time: it runs in a bubble, made anew for each slice

	calls func(n int)
	n     int // calls of a slice
}

// sample is the cost of one call, on average of a slice.
type sample struct{ ns, allocs, bytes float64 }

// slice makes n calls and returns what one cost.
func (b *bench) slice(t *testing.T, n int) (s sample) {
	if b.virtual {
		synctest.Test(t, func(t *testing.T) {
			calls := b.make(t)
			calls(1)
			s = measured(realNow, calls, n)
		})
		return s
	}
	if b.calls == nil {
		b.calls = b.make(t)
		b.calls(100)
	}
	return measured(time.Now, b.calls, n)
}

// measured leaves out what was thrown away before, and has the garbage of the
// slice collected within it, as far as it is more than a heap's worth.
func measured(now func() time.Time, calls func(int), n int) sample {
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := now()
	calls(n)
	took := now().Sub(start)
	runtime.ReadMemStats(&after)
	each := func(total uint64) float64 { return float64(total) / float64(n) }
	return sample{float64(took.Nanoseconds()) / float64(n), each(after.Mallocs - before.Mallocs), each(after.TotalAlloc - before.TotalAlloc)}
}

// realNow tells the time to those for whom it is virtual. Its goroutine belongs
// to no bubble.
func realNow() time.Time {
	asked <- struct{}{}
	return <-told
}

var asked, told = make(chan struct{}), make(chan time.Time)

func init() {
	go func() {
		for range asked {
			told <- time.Now()
		}
	}()
}

// series are the samples of a case's contenders, turn by turn.
type series struct {
	benches []*bench
	base    string // what is subtracted; "": nothing
	turns   []map[string]sample
}

// run adds turns of slices of about that length.
func (s *series) run(t *testing.T, turns int, length time.Duration) {
	for _, b := range s.benches {
		for b.n == 0 {
			b.calibrate(t, length)
		}
	}
	for range turns {
		turn := make(map[string]sample, len(s.benches))
		// Whoever comes first finds other caches than who comes last.
		for i := range s.benches {
			b := s.benches[(i+len(s.turns))%len(s.benches)]
			turn[b.name] = b.slice(t, b.n)
		}
		s.turns = append(s.turns, turn)
	}
}

// calibrate finds how many calls fill a slice.
func (b *bench) calibrate(t *testing.T, length time.Duration) {
	for n := 1; ; n *= 4 {
		s := b.slice(t, n)
		if took := s.ns * float64(n); took*4 >= float64(length) {
			b.n = max(int(float64(length)/s.ns), 1)
			return
		}
	}
}

// over is what a call costs above the base, by the median of the turns; of a
// turn's allocations those of the base of that turn.
func (s *series) over(name string) sample {
	figure := func(of func(sample) float64) float64 {
		var values []float64
		for _, turn := range s.turns {
			values = append(values, of(turn[name])-of(turn[s.base]))
		}
		return median(values)
	}
	return sample{
		figure(func(s sample) float64 { return s.ns }),
		math.Round(figure(func(s sample) float64 { return s.allocs })),
		math.Round(figure(func(s sample) float64 { return s.bytes })),
	}
}

// ratio compares what two cost above the base, turn by turn: the median.
func (s *series) ratio(name, peer string) float64 {
	var values []float64
	for _, turn := range s.turns {
		base := turn[s.base].ns
		values = append(values, (turn[name].ns-base)/(turn[peer].ns-base))
	}
	return median(values)
}

// leastRatio compares what two cost above the base when nothing disturbed them:
// each in its best turn. It is what can be held to a target on a machine that
// others use.
func (s *series) leastRatio(name, peer string) float64 {
	base := 0.0
	if s.base != "" {
		base = s.least(s.base)
	}
	return (s.least(name) - base) / (s.least(peer) - base)
}

func (s *series) least(name string) float64 {
	least := math.Inf(1)
	for _, turn := range s.turns {
		least = min(least, turn[name].ns)
	}
	return least
}

func median(v []float64) float64 {
	slices.Sort(v)
	return (v[len(v)/2] + v[(len(v)-1)/2]) / 2
}
