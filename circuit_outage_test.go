package oktaretry_test

// This file tests how soon a circuit notices that its server is down.

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/internal/rig/script"
)

// busy sends a call every 10 ms for so long, none of them retried, and returns
// how many reached the base. Those that fail are answered by failure.
func busy(t *testing.T, rt *oktaretry.Transport, base *script.Base, long time.Duration, answers func(at time.Duration) script.Step) int {
	t.Helper()
	sent, began := 0, time.Now()
	base.Choose(func(*http.Request) script.Step { sent++; return answers(time.Since(began)) })
	for time.Since(began) < long {
		rig.GetOnce(t, rt, rig.UserURL)
		time.Sleep(10 * time.Millisecond)
	}
	return sent
}

func always(a script.Step) func(time.Duration) script.Step {
	return func(time.Duration) script.Step { return a }
}

// With a window of 30 s full of successes the ratio alone took 15 s to open,
// and 1,500 calls of a program that makes a hundred a second.
func TestCircuitOpensHalfASecondAfterItsServerDied(t *testing.T) {
	for _, tt := range []struct {
		name    string
		failure script.Step
		opens   string
	}{
		{"503", script.Bare(503), rig.HostCircuit},
		{"refused", script.Fail(script.Refused), rig.HostCircuit},
		{"E0000009", script.Code(500, "E0000009"), rig.UserCircuit},
	} {
		rig.Virtual(t, tt.name, func(t *testing.T) {
			rt, base := rig.New(t, nil)
			busy(t, rt, base, time.Minute, always(script.OK()))
			if n := busy(t, rt, base, 4*time.Second, always(tt.failure)); n != 51 {
				t.Errorf("%d calls reached the dead server, want 51: those of half a second", n)
			}
			if got := rig.Circuits(rt, "open"); !slices.Equal(got, []string{tt.opens}) {
				t.Errorf("open are %q, want %q", got, tt.opens)
			}
		})
	}
}

func TestCircuitStaysClosedInWhatIsNoOutage(t *testing.T) {
	few := func(p *oktaretry.Policy) { p.Breaker.MinCalls = 100 }
	for _, tt := range []struct {
		name    string
		edit    func(*oktaretry.Policy)
		answers func(at time.Duration) script.Step
	}{
		{"a blip of less than half a second", nil, func(at time.Duration) script.Step {
			if at < 490*time.Millisecond {
				return script.Bare(503)
			}
			return script.OK()
		}},
		{"a success now and then", nil, func(at time.Duration) script.Step {
			if at < 4*time.Second && at%(400*time.Millisecond) != 0 {
				return script.Bare(503)
			}
			return script.OK()
		}},
		{"fewer failures than MinCalls", few, func(at time.Duration) script.Step {
			if at < 900*time.Millisecond {
				return script.Bare(503)
			}
			return script.OK()
		}},
		{"neutral answers between few failures", few, func(at time.Duration) script.Step {
			if at < 4*time.Second && at%(50*time.Millisecond) == 0 {
				return script.Bare(503)
			} else if at < 4*time.Second {
				return script.Bare(404)
			}
			return script.OK()
		}},
	} {
		rig.Virtual(t, tt.name, func(t *testing.T) {
			rt, base := rig.New(t, tt.edit)
			busy(t, rt, base, time.Minute, always(script.OK()))
			if n := busy(t, rt, base, 5*time.Second, tt.answers); n != 500 {
				t.Errorf("%d calls were sent, want all 500", n)
			}
		})
	}
}

// What half a second is counted from is the first failure of the row, not one
// of an earlier row.
func TestCircuitCountsHalfASecondFromTheLastSuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := rig.New(t, nil)
		busy(t, rt, base, time.Minute, always(script.OK()))
		blips := func(at time.Duration) script.Step {
			if at%time.Second < 300*time.Millisecond {
				return script.Bare(503)
			}
			return script.OK()
		}
		if n := busy(t, rt, base, time.Minute, blips); n != 6000 {
			t.Errorf("%d calls were sent, want all 6000", n)
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
			rt, base := rig.New(t, nil)
			if n := busy(t, rt, base, 5*time.Minute, func(time.Duration) script.Step {
				if random.Float64() < share {
					return script.Bare(503)
				}
				return script.OK()
			}); n != 30_000 {
				t.Errorf("%d calls were sent, want all 30000", n)
			}
		})
	}
}

// One endpoint that carries a part of the calls can fail for all of them, in
// words that speak for the host.
func TestCircuitOfTheHostStaysClosedWhileOneOfItsEndpointsFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := rig.New(t, nil)
		base.Choose(func(req *http.Request) script.Step {
			if req.URL.Path == "/api/v1/apps/0oa1" {
				return script.Bare(503)
			}
			return script.OK()
		})
		for range 60 {
			for i := range 10 {
				if i%2 == 0 && i < 8 {
					go rig.Get(t, rt, rig.AppURL)
				} else {
					rig.Get(t, rt, rig.UserURL).Is(200)
				}
				time.Sleep(100 * time.Millisecond)
			}
		}
		time.Sleep(time.Minute)
	})
}
