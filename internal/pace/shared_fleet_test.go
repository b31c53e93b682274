package pace_test

// This file tests what comes of it when processes share a store: places used,
// calls refused, questions asked.

import (
	"testing"
	"time"
)

// apart sets the clocks of processes up to 10 minutes apart.
func apart(process int) time.Duration {
	return time.Duration(process%3-1)*10*time.Minute + time.Duration(process)*137*time.Millisecond
}

func TestFleetUsesTheWholeQuotaAndIsNeverRefused(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(*org)
		skew func(int) time.Duration
		over time.Duration
	}{
		{"aligned windows", func(*org) {}, nil, 1200 * time.Millisecond},
		{"clocks 10 minutes apart", func(*org) {}, apart, 1200 * time.Millisecond},
		{"windows from the middle of a second on", func(o *org) { o.offset, o.roundUp = 2500*time.Millisecond, true }, apart, 1600 * time.Millisecond},
	} {
		for seed := range uint64(4) {
			o := limited(600, 10*time.Second, 0)
			tt.edit(o)
			x := simulateCrew(t, seed, o, crewConfig{processes: 8, workers: 25, calls: 6000, skew: tt.skew})
			over := x.finished.Sub(epoch) - x.optimum(6000, 600)
			t.Logf("%s, seed %d: %d refused, %s over the optimum, %.3f questions a call", tt.name, seed, x.refused, over, float64(x.commands)/6000)
			if x.refused > 0 {
				t.Errorf("%s, seed %d: %d refusals, want none", tt.name, seed, x.refused)
			}
			if over > tt.over {
				t.Errorf("%s, seed %d: %s over the optimum", tt.name, seed, over)
			}
			if n := float64(x.commands) / 6000; n > 0.2 {
				t.Errorf("%s, seed %d: %.2f questions to the store for each call", tt.name, seed, n)
			}
			for w, n := range o.accepted {
				if w.After(epoch) && w.Add(o.length).Before(x.finished) && n != 600 {
					t.Errorf("%s, seed %d: %d places used in the window at %s", tt.name, seed, n, w.Sub(epoch))
				}
			}
		}
	}
}

// Three of eight processes are killed in the middle of things.
func TestFleetUsesTheQuotaOfProcessesThatDied(t *testing.T) {
	for seed := range uint64(6) {
		o := limited(600, 10*time.Second, 0)
		died := 15*time.Second + time.Duration(seed)*100*time.Millisecond
		x := simulateCrew(t, seed, o, crewConfig{processes: 8, workers: 25, calls: 5000, skew: apart, edit: func(x *crew) {
			x.after(died, func() {
				for p := range 3 {
					x.kill(p)
				}
			})
		}})
		if x.refused > 0 {
			t.Errorf("seed %d: %d refusals", seed, x.refused)
		}
		for w, n := range o.accepted {
			if w.After(epoch.Add(died)) && w.Add(o.length).Before(x.finished) && n != 600 {
				t.Errorf("seed %d: %d places used in the window at %s", seed, n, w.Sub(epoch))
			}
		}
	}
}

// The store is gone from the middle of one window to the middle of another, where
// nobody has a place any more: that it is back is found out in the next.
func TestFleetGoesOnWithoutItsStore(t *testing.T) {
	for seed := range uint64(6) {
		o := limited(600, 10*time.Second, 0)
		x := simulateCrew(t, seed, o, crewConfig{processes: 8, workers: 25, calls: 9000, skew: apart, edit: func(x *crew) {
			x.down = func(at time.Time) bool {
				return at.Sub(epoch) > 30200*time.Millisecond && at.Sub(epoch) < 70300*time.Millisecond
			}
			x.after(50*time.Second, x.store.Flush)
		}})
		down, back := 0, 0
		for _, at := range x.refusedAt {
			if in := at.Sub(epoch); in > 30*time.Second && in < 90*time.Second {
				down++
			} else {
				back++
			}
		}
		if back > 0 {
			t.Errorf("seed %d: %d refusals while the store was there", seed, back)
		}
		if down > 6*600/50 {
			t.Errorf("seed %d: %d of 3600 calls were refused while it was not, want 2 %% at most", seed, down)
		}
	}
}
