// This file tests when a circuit opens: the ratio over its window, and how soon
// it notices that its server is down. It needs no Transport.

package circuit_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/circuit"
	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/shared"
)

// opensAfter4 returns a circuit that opens for 5 s after four verdicts, half of
// them failed.
func opensAfter4(edit func(*circuit.Config)) *circuit.Breaker {
	c := circuit.Config{Window: 30 * time.Second, MinCalls: 4, FailureRatio: 0.5, OpenFor: 5 * time.Second, Probes: 1, ProbeTimeout: 10 * time.Second}
	if edit != nil {
		edit(&c)
	}
	return circuit.New(shared.CircuitID{}, &c, nil)
}

// byDefault returns a circuit as DefaultPolicy has it.
func byDefault(edit func(*circuit.Config)) *circuit.Breaker {
	c := circuit.Config(oktaretry.DefaultPolicy().Breaker)
	if edit != nil {
		edit(&c)
	}
	return circuit.New(shared.CircuitID{}, &c, nil)
}

// attempt reports an attempt that takes no time, if it is let through.
func attempt(c *circuit.Breaker, v circuit.Verdict) (sent bool) {
	p, _, ok := c.Allow(circuit.Party{}, time.Now())
	if ok {
		p.Report(v, time.Now())
	}
	return ok
}

// sendFor makes an attempt every 10 ms for so long, and returns how many were
// let through.
func sendFor(c *circuit.Breaker, long time.Duration, verdict func(at time.Duration) circuit.Verdict) (sent int) {
	for began := time.Now(); time.Since(began) < long; time.Sleep(10 * time.Millisecond) {
		if attempt(c, verdict(time.Since(began))) {
			sent++
		}
	}
	return sent
}

func always(v circuit.Verdict) func(time.Duration) circuit.Verdict {
	return func(time.Duration) circuit.Verdict { return v }
}

func wantState(t *testing.T, c *circuit.Breaker, want circuit.State) {
	t.Helper()
	if got := c.State(); got != want {
		t.Fatalf("the circuit is %s, want %s", got, want)
	}
}

func TestCircuitOpensAtItsRatioOnly(t *testing.T) {
	const ok, neutral, alive, failed = circuit.Healthy, circuit.Neutral, circuit.Alive, circuit.Failed
	for _, tt := range []struct {
		name     string
		verdicts []circuit.Verdict // over and over, 100 attempts
		want     circuit.State
	}{
		{"all fail", []circuit.Verdict{failed}, circuit.Open},
		{"half fail", []circuit.Verdict{ok, failed}, circuit.Open},
		{"a third fails", []circuit.Verdict{ok, ok, failed}, circuit.Closed},
		{"half fail, and others are neutral", []circuit.Verdict{ok, neutral, failed, alive, neutral}, circuit.Open},
		{"neutral ones count for no success", []circuit.Verdict{neutral, alive, neutral, failed}, circuit.Open},
		{"none succeeds or fails", []circuit.Verdict{neutral, alive}, circuit.Closed},
	} {
		rig.Virtual(t, tt.name, func(t *testing.T) {
			c := opensAfter4(nil)
			for i := range 100 {
				attempt(c, tt.verdicts[i%len(tt.verdicts)])
			}
			wantState(t, c, tt.want)
		})
	}
}

func TestCircuitForgetsWhatIsOlderThanItsWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := opensAfter4(nil)
		for range 10 {
			attempt(c, circuit.Failed)
			wantState(t, c, circuit.Closed) // three failures in 30 s
			time.Sleep(11 * time.Second)
		}
	})
}

// The window rolls: it does not begin anew every 30 s, forgetting a second's
// failures.
func TestCircuitRemembersWhatIsYoungerThanItsWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := opensAfter4(nil)
		attempt(c, circuit.Neutral) // the first window begins
		time.Sleep(28 * time.Second)
		for range 3 {
			attempt(c, circuit.Failed)
		}
		time.Sleep(4 * time.Second)
		attempt(c, circuit.Failed)
		wantState(t, c, circuit.Open)
	})
}

// By default an attempt may hang for twice as long as the window. It counts when
// its end is reported, not when it was sent.
func TestCircuitCountsAttemptsLongerThanItsWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := byDefault(func(c *circuit.Config) { c.MinCalls = 4 })
		var hung [4]circuit.Permit
		for i := range hung {
			hung[i], _, _ = c.Allow(circuit.Party{}, time.Now())
		}
		time.Sleep(time.Minute)
		for i := range hung {
			hung[i].Report(circuit.Failed, time.Now())
		}
		wantState(t, c, circuit.Open)
	})
}

// With a window of 30 s full of successes the ratio alone took 15 s to open,
// and 1,500 calls of a program that makes a hundred a second.
func TestCircuitOpensHalfASecondAfterItsServerDied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := byDefault(nil)
		sendFor(c, time.Minute, always(circuit.Healthy))
		if n := sendFor(c, 4*time.Second, always(circuit.Failed)); n != 51 {
			t.Errorf("%d attempts reached the dead server, want 51: those of half a second", n)
		}
		wantState(t, c, circuit.Open)
	})
}

func TestCircuitStaysClosedWithoutAnOutage(t *testing.T) {
	minCalls100 := func(c *circuit.Config) { c.MinCalls = 100 }
	for _, tt := range []struct {
		name    string
		edit    func(*circuit.Config)
		verdict func(at time.Duration) circuit.Verdict
	}{
		{"failures for less than half a second", nil, func(at time.Duration) circuit.Verdict {
			if at < 490*time.Millisecond {
				return circuit.Failed
			}
			return circuit.Healthy
		}},
		{"a success now and then", nil, func(at time.Duration) circuit.Verdict {
			if at < 4*time.Second && at%(400*time.Millisecond) != 0 {
				return circuit.Failed
			}
			return circuit.Healthy
		}},
		{"fewer failures than MinCalls", minCalls100, func(at time.Duration) circuit.Verdict {
			if at < 900*time.Millisecond {
				return circuit.Failed
			}
			return circuit.Healthy
		}},
		{"neutral answers between few failures", minCalls100, func(at time.Duration) circuit.Verdict {
			if at < 4*time.Second && at%(50*time.Millisecond) == 0 {
				return circuit.Failed
			} else if at < 4*time.Second {
				return circuit.Alive
			}
			return circuit.Healthy
		}},
	} {
		rig.Virtual(t, tt.name, func(t *testing.T) {
			c := byDefault(tt.edit)
			sendFor(c, time.Minute, always(circuit.Healthy))
			if n := sendFor(c, 5*time.Second, tt.verdict); n != 500 {
				t.Errorf("%d attempts were let through, want all 500", n)
			}
		})
	}
}

// The half second counts from the first failure since the last success, not from
// an earlier one.
func TestCircuitCountsHalfASecondFromTheLastSuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := byDefault(nil)
		sendFor(c, time.Minute, always(circuit.Healthy))
		if n := sendFor(c, time.Minute, func(at time.Duration) circuit.Verdict {
			if at%time.Second < 300*time.Millisecond {
				return circuit.Failed
			}
			return circuit.Healthy
		}); n != 6000 {
			t.Errorf("%d attempts were let through, want all 6000", n)
		}
	})
}

// A host that fails for a part of the calls still serves the others. At half of
// them the circuit once opened over and over: a bare client got half of its
// answers, one behind this library a fifteenth.
func TestCircuitStaysClosedInABrownOut(t *testing.T) {
	for _, share := range []float64{0.3, 0.5, 0.65} {
		rig.Virtual(t, fmt.Sprintf("%.0f %%", 100*share), func(t *testing.T) {
			random := rand.New(rand.NewPCG(1, 2))
			if n := sendFor(byDefault(nil), 5*time.Minute, func(time.Duration) circuit.Verdict {
				if random.Float64() < share {
					return circuit.Failed
				}
				return circuit.Healthy
			}); n != 30_000 {
				t.Errorf("%d attempts were let through, want all 30000", n)
			}
		})
	}
}
