// This file tests what a circuit keeps of the attempts that it let through.

package circuit

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry/shared"
)

// newTestCircuit opens at its first failure, and lets two probes out.
func newTestCircuit() *Breaker {
	return New(shared.CircuitID{}, &Config{
		Window: 10 * time.Second, MinCalls: 1, FailureRatio: 1, OpenFor: time.Second, Probes: 2, ProbeTimeout: time.Minute,
	}, nil)
}

func pass(t *testing.T, c *Breaker) Permit {
	t.Helper()
	s, _, ok := c.Allow(Party{}, time.Now())
	if !ok {
		t.Fatal("the circuit refuses")
	}
	return s
}

func TestPermitReportsOnce(t *testing.T) {
	c := newTestCircuit()
	s := pass(t, c)
	s.Report(Healthy, time.Now())
	s.Report(Failed, time.Now())
	if successes, failures := c.Counts(time.Now()); successes != 1 || failures != 0 {
		t.Errorf("%d successes, %d failures", successes, failures)
	}
}

// The answer of a slow attempt counts now, and its request no longer counts
// when it was made.
func TestSlowAttemptIsCountedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTestCircuit()
		s := pass(t, c)
		time.Sleep(5 * time.Second)
		s.Report(Healthy, time.Now())
		if successes, failures := c.Counts(time.Now()); successes != 1 || failures != 0 {
			t.Errorf("%d successes, %d failures, want one success", successes, failures)
		}
	})
}

// Probes that never come back would gather, one for each time that another one
// failed.
func TestProbesOfAnEarlierStateAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTestCircuit()
		s := pass(t, c)
		s.Report(Failed, time.Now())
		for range 3 {
			time.Sleep(time.Second)
			pass(t, c) // hangs
			probe := pass(t, c)
			probe.Report(Failed, time.Now())
			if n := len(c.probes); n != 0 {
				t.Errorf("%d probes are kept by an open circuit", n)
			}
		}
	})
}

// How long a circuit refuses is computed from a stored time: it must not become
// an hour because the clock went back by one.
func TestOpenCircuitRefusesNoLongerThanOpenForWhateverTheClockDoes(t *testing.T) {
	cfg := Config{Window: 30 * time.Second, MinCalls: 1, FailureRatio: 0.8, OpenFor: 5 * time.Second, Probes: 1, ProbeTimeout: 10 * time.Second}
	c := New(shared.CircuitID{}, &cfg, nil)
	now := time.Now()
	s, _, ok := c.Allow(Party{}, now)
	if !ok {
		t.Fatal("a new circuit refused")
	}
	s.Report(Failed, time.Now())
	for _, shift := range []time.Duration{0, -time.Hour, time.Hour} {
		then := now.Add(shift)
		if until := c.RefusesFor(Party{}, then); until > cfg.OpenFor {
			t.Errorf("clock shifted by %s: refuses for %s, want %s at most", shift, until, cfg.OpenFor)
		}
		_, after, ok := c.Allow(Party{}, then)
		if ok || after <= 0 || after > cfg.OpenFor {
			t.Errorf("clock shifted by %s: allowed %t, retry after %s; want false, %s at most", shift, ok, after, cfg.OpenFor)
		}
	}
}
