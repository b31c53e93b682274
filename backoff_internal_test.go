// This file tests the computed waits at the ends of their range, which no clock
// reaches.

package oktaretry

import (
	"math"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/internal/wire"
)

// Jitter on top of the longest Duration once came out negative, and so as no
// wait at all.
func TestComputedWaitNeverOverflows(t *testing.T) {
	for _, multiplier := range []float64{1, 2, 10, math.MaxFloat64} {
		for _, initial := range []time.Duration{time.Second, 1 << 61, math.MaxInt64} {
			r := Rule{InitialWait: initial, MaxWait: math.MaxInt64, Multiplier: multiplier, Jitter: 0.5}
			var waits tally
			var longest time.Duration
			for n := range 200 {
				wait := waits.computed(r)
				if wait < min(initial, 1<<61)/2 {
					t.Fatalf("×%g from %s: wait %d is %s", multiplier, initial, n+1, wait)
				}
				longest = max(longest, wait)
			}
			if multiplier > 1 && longest < 50*365*24*time.Hour {
				t.Errorf("×%g from %s: the longest of 200 waits is %s", multiplier, initial, longest)
			}
		}
	}
}

func TestComputedWaitIsNeverNothing(t *testing.T) {
	r := Rule{InitialWait: 1, MaxWait: time.Second, Multiplier: 1, Jitter: 1}
	var waits tally
	for range 100 {
		if wait := waits.computed(r); wait < time.Millisecond {
			t.Fatalf("a wait of %s", wait)
		}
	}
}

func TestSlotWaitKeepsToTheRulesCap(t *testing.T) {
	r := Rule{InitialWait: 20 * time.Millisecond, MaxWait: 50 * time.Millisecond, Multiplier: 2, Jitter: 0.5}
	var waits tally
	for range 100 {
		wait, _ := waits.wait(r, Classification{Class: ClassRateLimited}, wire.Limits{}, 0) // 0 of 0
		if wait < 10*time.Millisecond || wait > 50*time.Millisecond {
			t.Fatalf("a wait of %s, want 10ms to 50ms", wait)
		}
	}
}

func TestServerErrorWaitsTheLongerOfBackoffAndRetryAfter(t *testing.T) {
	r := DefaultPolicy().ServerError
	for _, tt := range []struct{ named, from, to time.Duration }{
		{0, 250 * time.Millisecond, 750 * time.Millisecond},
		{100 * time.Millisecond, 250 * time.Millisecond, 750 * time.Millisecond},
		{time.Hour, time.Hour, time.Hour},
	} {
		var waits tally
		wait, varies := waits.wait(r, Classification{Class: ClassServerError}, wire.Limits{Limit: -1, Remaining: -1}, tt.named)
		if wait < tt.from || wait > tt.to || varies == (wait == tt.named) {
			t.Errorf("named %s: %s, %t; want %s to %s", tt.named, wait, varies, tt.from, tt.to)
		}
	}
}

func TestSpreadIsAShareOfTheShorterOfBackoffAndWait(t *testing.T) {
	for _, tt := range []struct {
		rule       Rule
		wait, most time.Duration
	}{
		{Rule{InitialWait: time.Second, Jitter: 0.5}, time.Minute, 500 * time.Millisecond},
		{Rule{InitialWait: time.Hour, Jitter: 1}, time.Minute, time.Minute},
		{Rule{InitialWait: time.Second}, time.Minute, 0},
		{Rule{Jitter: 1}, time.Minute, 0},
		{Rule{InitialWait: math.MaxInt64, Jitter: 1}, math.MaxInt64, longestMean},
	} {
		var longest time.Duration
		for range 1000 {
			d := spread(&tt.rule, tt.wait)
			if d < 0 || d > tt.most {
				t.Fatalf("%+v: %s, want %s at most", tt.rule, d, tt.most)
			}
			longest = max(longest, d)
		}
		if longest < tt.most/2 {
			t.Errorf("%+v: %s was the longest of a thousand, want up to %s", tt.rule, longest, tt.most)
		}
	}
}

func TestWaitBeyondTheCapIsRefusedWhateverHasElapsed(t *testing.T) {
	for _, elapsed := range []time.Duration{0, 1, time.Minute, 24 * time.Hour} {
		stop := fits(math.MaxInt64, &Rule{MaxElapsed: time.Minute}, elapsed, time.Time{}, time.Now())
		if stop != StopMaxElapsed {
			t.Errorf("after %s: %s, want %s", elapsed, stop, StopMaxElapsed)
		}
	}
}
