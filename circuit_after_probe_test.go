package oktaretry_test

// This file tests what becomes of calls that go on after one of their attempts
// was a probe.

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/internal/rig/script"
)

// A call whose first attempt was a probe is, once the circuit has closed, a call
// like others: its further attempts have all the time of AttemptTimeout.
func TestOnceAProbeNotAlwaysAProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := halfOpen(t, func(p *oktaretry.Policy) { p.AttemptTimeout = time.Minute })
		n := 0
		base.Choose(func(*http.Request) script.Step {
			if n++; n == 1 {
				return pending("null")
			}
			return script.OK().Takes(30 * time.Second)
		})
		rig.Get(t, rt, rig.UserURL).Is(200)
		if n != 2 {
			t.Errorf("%d attempts, want 2", n)
		}
	})
}

func TestFailuresOfACallThatWasAProbeCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := halfOpen(t, func(p *oktaretry.Policy) {
			p.Budget.Disabled = true
			p.ServerError.MaxAttempts, p.ServerError.MaxElapsed = 20, 0
			p.ServerError.MaxWait = p.ServerError.InitialWait // or one waits until the circuit lets a probe out
		})
		n := 0
		base.Choose(func(*http.Request) script.Step {
			if n++; n == 1 {
				return pending("null")
			}
			return script.Bare(503)
		})
		rig.Get(t, rt, rig.UserURL).Stopped(oktaretry.StopCircuitOpen)
		if n != 5 {
			t.Errorf("%d requests, want the probe and the 4 that open the circuit again", n)
		}
	})
}

// A half-open circuit that wants two successes is not closed by one probe and a
// poll that went somewhere else.
func TestAPollElsewhereIsNoSecondProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := rig.New(t, func(p *oktaretry.Policy) {
			rig.OpensAfter4(p)
			p.Breaker.Probes = 2
		})
		open(t, rt, base, rig.UserURL, script.Code(500, "E0000009")) // the endpoint's circuit only
		time.Sleep(5 * time.Second)
		n := 0
		base.Choose(func(*http.Request) script.Step {
			if n++; n == 1 {
				return linked("/api/v1/apps")
			}
			return script.OK()
		})
		rig.Get(t, rt, rig.UserURL).Is(200)
		for _, c := range rig.Circuits(rt, "closed") {
			if c == rig.UserCircuit {
				t.Error("one probe has closed a circuit that wants two")
			}
		}
	})
}
