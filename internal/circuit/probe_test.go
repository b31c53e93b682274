// This file tests a circuit that is half-open: which probes it lets out, and
// whose reports count. It needs no Transport.

package circuit_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry/internal/circuit"
	"github.com/oktaretry/oktaretry/internal/rig"
)

// halfOpen returns a circuit that has just become half-open.
func halfOpen(t *testing.T, edit func(*circuit.Config)) *circuit.Breaker {
	t.Helper()
	c := opensAfter4(edit)
	for range 4 {
		attempt(c, circuit.Failed)
	}
	wantState(t, c, circuit.Open)
	time.Sleep(5 * time.Second)
	wantState(t, c, circuit.HalfOpen)
	return c
}

// probe takes a permit of a half-open circuit.
func probe(t *testing.T, c *circuit.Breaker) circuit.Permit {
	t.Helper()
	p, after, ok := c.Allow(circuit.Party{}, time.Now())
	if !ok {
		t.Fatalf("refused for %s, want a permit", after)
	}
	return p
}

// wantRefused checks that the circuit refuses an attempt, and when to come back.
func wantRefused(t *testing.T, c *circuit.Breaker, want time.Duration) {
	t.Helper()
	if _, after, ok := c.Allow(circuit.Party{}, time.Now()); ok || after != want {
		t.Errorf("allowed %t, retry after %s; want a refusal, and %s", ok, after, want)
	}
}

func TestOpenCircuitRefusesUntilOpenForIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := opensAfter4(nil)
		for range 4 {
			attempt(c, circuit.Failed)
		}
		wantRefused(t, c, 5*time.Second)
		time.Sleep(5*time.Second - time.Millisecond)
		wantRefused(t, c, time.Millisecond)
		time.Sleep(time.Millisecond)
		p := probe(t, c)
		if !p.Probing() {
			t.Error("the first attempt after OpenFor is no probe")
		}
	})
}

// The probe's answer decides soon, so a refused caller is to come back soon.
func TestHalfOpenCircuitLetsOneProbeOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := halfOpen(t, nil)
		p := probe(t, c)
		wantRefused(t, c, time.Second)
		p.Report(circuit.Healthy, time.Now())
		wantState(t, c, circuit.Closed)
	})
}

func TestHalfOpenCircuitClosesAfterAsManySuccessesAsProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := halfOpen(t, func(c *circuit.Config) { c.Probes = 2 })
		first, second := probe(t, c), probe(t, c)
		wantRefused(t, c, time.Second)
		first.Report(circuit.Healthy, time.Now())
		wantState(t, c, circuit.HalfOpen)
		second.Report(circuit.Healthy, time.Now())
		wantState(t, c, circuit.Closed)
	})
}

// A program that only asks for what may be missing never gets a 2xx. Were a 404
// neutral to a half-open circuit too, it would stay half-open for ever and
// refuse all calls but one at a time.
func TestProbesVerdictDecides(t *testing.T) {
	for _, tt := range []struct {
		name    string
		verdict circuit.Verdict
		want    circuit.State
	}{
		{"healthy", circuit.Healthy, circuit.Closed},
		{"alive", circuit.Alive, circuit.Closed},
		{"failed", circuit.Failed, circuit.Open},
		{"neutral", circuit.Neutral, circuit.HalfOpen},
	} {
		rig.Virtual(t, tt.name, func(t *testing.T) {
			c := halfOpen(t, nil)
			p := probe(t, c)
			p.Report(tt.verdict, time.Now())
			wantState(t, c, tt.want)
			switch tt.want {
			case circuit.Open:
				wantRefused(t, c, 5*time.Second)
			case circuit.HalfOpen:
				probe(t, c) // the slot was returned
			}
		})
	}
}

// A slot is held for OpenFor, 5 s. The late verdict of the first probe comes
// while another is out: a failure is outdated, but a success shows that the
// server answers. It once counted for nothing, so a server that took longer for
// each answer was refused for ever.
func TestProbeThatHangsLosesItsSlotAndItsLateSuccessCounts(t *testing.T) {
	for _, tt := range []struct {
		name string
		late circuit.Verdict
		want circuit.State
	}{{"failure", circuit.Failed, circuit.HalfOpen}, {"success", circuit.Healthy, circuit.Closed}} {
		rig.Virtual(t, "late "+tt.name, func(t *testing.T) {
			c := halfOpen(t, nil)
			hung := probe(t, c)
			time.Sleep(5*time.Second - 1)
			wantRefused(t, c, time.Second)
			time.Sleep(time.Nanosecond)
			second := probe(t, c)
			time.Sleep(3 * time.Second)
			hung.Report(tt.late, time.Now())
			wantState(t, c, tt.want)
			second.Report(circuit.Healthy, time.Now())
			wantState(t, c, circuit.Closed)
		})
	}
}

func TestProbesSlotIsHeldForProbeTimeoutWhereThatIsShorter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := halfOpen(t, func(c *circuit.Config) { c.ProbeTimeout = 2 * time.Second })
		hung := probe(t, c)
		time.Sleep(2*time.Second - 1)
		wantRefused(t, c, time.Second)
		time.Sleep(time.Nanosecond)
		p := probe(t, c)
		p.Report(circuit.Healthy, time.Now())
		wantState(t, c, circuit.Closed)
		hung.Report(circuit.Failed, time.Now())
		wantState(t, c, circuit.Closed)
	})
}

func TestVerdictFromBeforeAStateChangeIsIgnored(t *testing.T) {
	for _, tt := range []struct {
		name  string
		late  circuit.Verdict
		after time.Duration
		want  circuit.State
	}{
		{"a success while open", circuit.Healthy, 2 * time.Second, circuit.Open},
		{"a failure while open", circuit.Failed, 2 * time.Second, circuit.Open},
		{"a success while half-open", circuit.Healthy, 6 * time.Second, circuit.HalfOpen},
		{"a failure while half-open", circuit.Failed, 6 * time.Second, circuit.HalfOpen},
		{"failures while closed again", circuit.Failed, 9 * time.Second, circuit.Closed},
	} {
		rig.Virtual(t, tt.name, func(t *testing.T) {
			c := opensAfter4(nil)
			var slow [4]circuit.Permit
			for i := range slow {
				slow[i], _, _ = c.Allow(circuit.Party{}, time.Now())
			}
			for range 4 {
				attempt(c, circuit.Failed)
			}
			time.AfterFunc(5*time.Second, func() {
				p := probe(t, c)
				time.Sleep(3 * time.Second)
				p.Report(circuit.Healthy, time.Now())
			})
			time.Sleep(tt.after)
			for i := range slow {
				slow[i].Report(tt.late, time.Now())
			}
			wantState(t, c, tt.want)
			if successes, failures := c.Counts(time.Now()); successes != 0 || failures != 0 {
				t.Errorf("%d successes and %d failures, want none", successes, failures)
			}
			if got, want := c.RefusesFor(circuit.Party{}, time.Now()), max(5*time.Second-tt.after, 0); got != want {
				t.Errorf("refuses for %s, want %s", got, want)
			}
			time.Sleep(10 * time.Second)
		})
	}
}
