package pace_test

// This file tests what comes of it when many workers call a simulated server:
// how many of its places are used, and how many calls are refused.

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/internal/pace"
)

// Alone, a process never sends one call too many once the limit is known, and
// yet leaves no place of a window unused, whatever the order of the answers.
func TestAloneNoCallIsRefusedAndNoPlaceLeftUnused(t *testing.T) {
	for seed := range uint64(60) {
		random := rand.New(rand.NewPCG(seed, 7))
		limit := []int{4, 10, 50, 100, 600}[seed%5]
		length := []time.Duration{5 * time.Second, 10 * time.Second, time.Minute}[seed%3]
		o := limited(limit, length, time.Duration(random.Int64N(int64(length/time.Second)))*time.Second)
		o.ahead = time.Duration(random.IntN(1201)-600) * time.Second
		if seed%2 == 0 { // answers overtake each other wildly
			o.takes = func(r *rand.Rand) time.Duration {
				return time.Duration(r.Int64N(int64(time.Second)) * r.Int64N(2) / 2)
			}
		}
		workers := 25 + random.IntN(60)
		calls := 4*limit + limit/2
		name := fmt.Sprintf("seed %d, %d per %s, %d workers", seed, limit, length, workers)
		f := simulate(t, seed, o, pace.Config{}, 1, workers, calls, nil)
		if f.refused > 0 {
			t.Errorf("%s: %d refusals, want none", name, f.refused)
		}
		// Each window but the first, which is begun in the middle, and the last
		// must be used to the last place.
		for w, n := range o.accepted {
			if w.After(epoch) && w.Add(length).Before(f.finished) && n != limit {
				t.Errorf("%s: %d places used in the window at %s", name, n, w.Sub(epoch))
			}
		}
		if over := f.finished.Sub(epoch) - f.optimum(calls, limit); over > 5*time.Second {
			t.Errorf("%s: %s over the optimum", name, over)
		}
	}
}

func TestServersOfAllKindsAreServed(t *testing.T) {
	drop := func(at time.Time) int {
		if at.Sub(epoch) > 100*time.Second {
			return 300
		}
		return 600
	}
	for _, tt := range []struct {
		name    string
		edit    func(*org)
		cfg     pace.Config
		over    time.Duration // over the optimum, at most
		refused int           // at most
	}{
		{"aligned windows", func(*org) {}, pace.Config{}, 2 * time.Second, 0},
		{"windows from the middle of a second on, reset rounded up", func(o *org) { o.offset, o.roundUp = 20*time.Second+500*time.Millisecond, true }, pace.Config{}, 5 * time.Second, 0},
		{"reset cut off", func(o *org) { o.offset = 20*time.Second + 500*time.Millisecond }, pace.Config{}, 7 * time.Second, 1},
		{"clock 10 minutes ahead", func(o *org) { o.ahead = 10 * time.Minute }, pace.Config{}, 2 * time.Second, 0},
		{"clock 10 minutes and a bit behind", func(o *org) { o.ahead = -10*time.Minute - 300*time.Millisecond }, pace.Config{}, 5 * time.Second, 1},
		{"limit drops", func(o *org) { o.limit = drop }, pace.Config{}, 7 * time.Minute, 60},
	} {
		for seed := range uint64(5) {
			o := limited(600, time.Minute, 0)
			tt.edit(o)
			f := simulate(t, seed, o, tt.cfg, 1, 50, 3000, nil)
			if f.refused > tt.refused {
				t.Errorf("%s: %d refusals, want %d at most", tt.name, f.refused, tt.refused)
			}
			if over := f.finished.Sub(epoch) - f.optimum(3000, 600); over > tt.over {
				t.Errorf("%s: %s over the optimum, want %s at most", tt.name, over, tt.over)
			}
		}
	}
}

// Processes that know nothing of each other share a bucket by its headers.
func TestProcessesShareABucket(t *testing.T) {
	for seed := range uint64(3) {
		f := simulate(t, seed, limited(600, time.Minute, 0), pace.Config{}, 4, 25, 3000, nil)
		if f.refused > 60 { // 2 %
			t.Errorf("seed %d: %d refusals", seed, f.refused)
		}
		if over := f.finished.Sub(epoch) - f.optimum(3000, 600); over > 10*time.Second {
			t.Errorf("seed %d: %s over the optimum", seed, over)
		}
	}
}

// Another program takes 150 places of each window at random times. 30 % of the
// window are left to it.
func TestOthersGetTheirPlaces(t *testing.T) {
	for seed := range uint64(3) {
		o := limited(600, time.Minute, 0)
		asked, refused := 0, 0
		f := simulate(t, seed, o, pace.Config{MaxUtilization: 0.7}, 1, 50, 2000, func(f *fleet) {
			var other func()
			other = func() {
				asked++
				if !o.take(f.now) {
					refused++
				}
				f.after(time.Duration(f.random.ExpFloat64()*float64(400*time.Millisecond)), other)
			}
			f.after(0, other)
		})
		if refused*100 > asked {
			t.Errorf("seed %d: the other's calls were refused %d times of %d", seed, refused, asked)
		}
		if f.refused > 20 {
			t.Errorf("seed %d: %d refusals", seed, f.refused)
		}
		for w, n := range o.accepted {
			if n > 421 {
				t.Errorf("seed %d: %d places used in the window at %s, want 420 at most", seed, n, w.Sub(epoch))
			}
		}
	}
}

func TestConcurrencyLimitIsFoundAndUsed(t *testing.T) {
	for seed := range uint64(2) {
		o := limited(1<<29, time.Hour, 0)
		o.slots = 75
		settled, late := 0, 0
		f := simulate(t, seed, o, pace.Config{}, 1, 200, 25_000, func(f *fleet) {
			f.each = func(at time.Time, s pace.Seen) {
				if at.Sub(epoch) > 5*time.Second {
					settled++
					if s.Slots {
						late++
					}
				}
			}
		})
		if late*50 > settled {
			t.Errorf("seed %d: %d of %d calls were refused once settled, want 2%% at most", seed, late, settled)
		}
		// 75 at a time, 50 ms each
		if took, best := f.finished.Sub(epoch), 25_000/75*50*time.Millisecond; took > best*10/9 {
			t.Errorf("seed %d: it took %s, want %s or a little more", seed, took, best)
		}
	}
}

// Others take most of the slots for a while, then let go of them.
func TestSlotsRecoverWithinSeconds(t *testing.T) {
	o := limited(1<<29, time.Hour, 0)
	o.slots = 10
	perSecond := map[int]int{}
	simulate(t, 1, o, pace.Config{}, 1, 100, 30_000, func(f *fleet) {
		f.after(10*time.Second, func() { o.slots = 75 })
		f.each = func(at time.Time, s pace.Seen) {
			if !s.Slots {
				perSecond[int(at.Sub(epoch)/time.Second)]++
			}
		}
	})
	if n := perSecond[8]; n < 150 || n > 260 { // 10 at a time, 50 ms each
		t.Errorf("%d calls a second with 10 slots, want about 200", n)
	}
	if n := perSecond[17]; n < 1200 { // 75 at a time, 50 ms each
		t.Errorf("7 seconds later, %d calls a second with 75 slots; want about 1500", n)
	}
}

func TestMaxInFlightIsKeptAndUsed(t *testing.T) {
	o := limited(1<<29, time.Hour, 0)
	f := simulate(t, 1, o, pace.Config{MaxInFlight: 35}, 1, 100, 10_000, nil)
	if f.mostOut > 35 || f.crowded > 0 {
		t.Errorf("%d in flight, %d refused", f.mostOut, f.crowded)
	}
	if took, best := f.finished.Sub(epoch), 10_000/35*50*time.Millisecond; took > best*11/10 {
		t.Errorf("it took %s, want about %s", took, best)
	}
}
