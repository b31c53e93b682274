package pace_test

// This file tests what comes of it when processes share a store: places used,
// calls refused, questions asked.

import (
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/internal/pace"
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

var _ = pace.Interactive
