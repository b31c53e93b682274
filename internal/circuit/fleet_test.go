// This file tests what a circuit makes of the store's answers, and what it
// reports to the store.

package circuit

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry/shared"
)

var hostID = shared.CircuitID{Host: "acme.okta.com"}

// newFleetCircuit opens at its first failure, for a second.
func newFleetCircuit() (*Breaker, *FleetHost) {
	h := NewFleetHost(time.Now())
	return New(hostID, &Config{
		Window: 10 * time.Second, MinCalls: 1, FailureRatio: 1, OpenFor: time.Second, Probes: 1, ProbeTimeout: time.Minute,
	}, h), h
}

// circuitOf finds the one circuit of a test.
func circuitOf(b *Breaker) func(shared.CircuitID) *Breaker {
	return func(id shared.CircuitID) *Breaker {
		if id == b.ID() {
			return b
		}
		return nil
	}
}

// The fleet once never heard of an opening that another call had logged first.
func TestOpeningIsReportedOnceWhoeverDeliversTheTransition(t *testing.T) {
	b, _ := newFleetCircuit()
	first, second := pass(t, b), pass(t, b)
	r := first.Report(Failed, time.Now())
	if r == nil || r.Event != shared.Opened || r.OpenFor != time.Second || r.Needed != 1 {
		t.Fatalf("the opening is reported as %+v", r)
	}
	if n := len(b.Transitions()); n != 1 {
		t.Errorf("%d transitions, want one", n)
	}
	if again := second.Report(Failed, time.Now()); again != nil {
		t.Errorf("reported again: %+v", again)
	}
}

func TestNothingIsReportedOfAClosedCircuit(t *testing.T) {
	b, _ := newFleetCircuit()
	for _, v := range []Verdict{Healthy, Alive, Neutral} {
		p := pass(t, b)
		if r := p.Report(v, time.Now()); r != nil {
			t.Errorf("verdict %d is reported as %+v", v, r)
		}
	}
}

func TestListedCircuitRefusesUntilItsTimeAndClosesWhenNoLongerListed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, h := newFleetCircuit()
		open := []shared.Circuit{{CircuitID: hostID, State: shared.Open, Wait: 500 * time.Millisecond, Reporters: 2}}
		h.Listed(time.Now(), open, circuitOf(b))
		if wait, known := b.FleetRefusesFor(Party{}, time.Now()); !known || wait != 500*time.Millisecond {
			t.Errorf("refuses for %s, known %t; want half a second", wait, known)
		}
		if got := b.Standing(time.Now()); got != Open {
			t.Errorf("stands %s, want open", got)
		}
		time.Sleep(500 * time.Millisecond)
		if got := b.Standing(time.Now()); got != HalfOpen {
			t.Errorf("stands %s when its time is over, want half-open", got)
		}
		h.Listed(time.Now(), nil, circuitOf(b))
		if _, known := b.FleetRefusesFor(Party{}, time.Now()); known || b.Standing(time.Now()) != Closed {
			t.Error("follows a circuit that the fleet has closed")
		}
		if got := b.Transitions(); len(got) != 2 || got[0].To != Open || got[1].To != Closed {
			t.Errorf("transitions %v, want to open and back", got)
		}
	})
}

// A store may claim any wait; this process refuses no longer than it would by
// itself.
func TestListedCircuitRefusesNoLongerThanOpenFor(t *testing.T) {
	b, h := newFleetCircuit()
	now := time.Now()
	h.Listed(now, []shared.Circuit{{CircuitID: hostID, State: shared.Open, Wait: time.Hour, Reporters: 2}}, circuitOf(b))
	if wait, _ := b.FleetRefusesFor(Party{}, now); wait != time.Second {
		t.Errorf("refuses for %s, want OpenFor", wait)
	}
}

func TestOneCallerAtATimeListsAHostsCircuits(t *testing.T) {
	now := time.Now()
	h := NewFleetHost(now)
	if !h.ListDue(now) || !h.ClaimList(now) {
		t.Fatal("a new host's circuits are not listed")
	}
	if h.ListDue(now) || h.ClaimList(now) {
		t.Error("they are listed twice")
	}
	if later := now.Add(listEvery); !h.ListDue(later) || !h.ClaimList(later) {
		t.Error("they are not listed again")
	}
}

func TestProbeRequestAnswers(t *testing.T) {
	for _, tt := range []struct {
		name    string
		answer  shared.Circuit
		ok      bool
		retry   time.Duration
		verdict Verdict
		event   shared.Event // of the permit's report, where ok
	}{
		{"the probe is ours and succeeds", shared.Circuit{State: shared.HalfOpen, Yours: true}, true, 0, Healthy, shared.ProbeSucceeded},
		{"the probe is ours and meets a 404", shared.Circuit{State: shared.HalfOpen, Yours: true}, true, 0, Alive, shared.ProbeSucceeded},
		{"the probe is ours and fails", shared.Circuit{State: shared.HalfOpen, Yours: true}, true, 0, Failed, shared.Opened},
		{"the probe is ours and is canceled", shared.Circuit{State: shared.HalfOpen, Yours: true}, true, 0, Neutral, shared.ProbeInconclusive},
		{"another has the probe", shared.Circuit{State: shared.HalfOpen, Wait: 5 * time.Second}, false, probeRetry, 0, 0},
		{"open again", shared.Circuit{State: shared.Open, Wait: 300 * time.Millisecond}, false, 300 * time.Millisecond, 0, 0},
		{"open for longer than is believed", shared.Circuit{State: shared.Open, Wait: time.Hour}, false, time.Second, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, h := newFleetCircuit()
				h.Listed(time.Now(), []shared.Circuit{{CircuitID: hostID, State: shared.HalfOpen, Reporters: 2}}, circuitOf(b))
				r, _ := b.RequestProbe(Party{}, "me", time.Now())
				if r == nil {
					t.Fatal("nobody may ask for the probe")
				}
				if other, wait := b.RequestProbe(Party{}, "other", time.Now()); other != nil || wait != probeRetry {
					t.Errorf("two ask at once; the second is to come back after %s", wait)
				}
				p, retry, ok := r.Answered(time.Now(), tt.answer)
				r.Release()
				if ok != tt.ok || retry != tt.retry {
					t.Fatalf("allowed %t, retry after %s; want %t, %s", ok, retry, tt.ok, tt.retry)
				}
				if !ok {
					return
				}
				report := p.Report(tt.verdict, time.Now())
				if report == nil || report.Event != tt.event || report.Holder != "me" {
					t.Errorf("reported as %+v, want event %d of me", report, tt.event)
				}
			})
		})
	}
}

func TestClosedAnswerToAProbeRequestClosesTheCircuit(t *testing.T) {
	b, h := newFleetCircuit()
	h.Listed(time.Now(), []shared.Circuit{{CircuitID: hostID, State: shared.HalfOpen, Reporters: 2}}, circuitOf(b))
	r, _ := b.RequestProbe(Party{}, "me", time.Now())
	p, _, ok := r.Answered(time.Now(), shared.Circuit{State: shared.Closed})
	if !ok || p.Report(Healthy, time.Now()) != nil {
		t.Error("want a plain permit, of which nothing is reported")
	}
	if _, known := b.FleetRefusesFor(Party{}, time.Now()); known {
		t.Error("the fleet's circuit still counts as not closed")
	}
}

// Success of the fleet's probe closes this process's own circuit as well, if the
// store confirms it.
func TestConfirmedProbeClosesTheOwnCircuit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, _ := newFleetCircuit()
		p := pass(t, b)
		opened := p.Report(Failed, time.Now())
		b.Reported(opened, shared.Circuit{State: shared.Open})
		time.Sleep(time.Second)
		r, _ := b.RequestProbe(Party{}, "me", time.Now())
		p, _, ok := r.Answered(time.Now(), shared.Circuit{State: shared.HalfOpen, Yours: true})
		r.Release()
		if !ok || !p.Probing() {
			t.Fatal("the probe is refused")
		}
		b.Reported(p.Report(Healthy, time.Now()), shared.Circuit{State: shared.Closed})
		if got := b.Standing(time.Now()); got != Closed {
			t.Errorf("stands %s, want closed", got)
		}
	})
}

func TestInconsistentAnswers(t *testing.T) {
	for name, list := range map[string][]shared.Circuit{
		"an unknown state":         {{CircuitID: hostID, State: 77}},
		"a negative wait":          {{CircuitID: hostID, State: shared.Open, Wait: -time.Second}},
		"another host":             {{CircuitID: shared.CircuitID{Host: "other.okta.com"}, State: shared.Open}},
		"a method of no endpoint":  {{CircuitID: shared.CircuitID{Host: hostID.Host, Method: "GET"}, State: shared.Open}},
		"a template of no methods": {{CircuitID: shared.CircuitID{Host: hostID.Host, Template: "/"}, State: shared.Open}},
		"fewer than no reporters":  {{CircuitID: hostID, State: shared.Open, Reporters: -1}},
		"too many":                 make([]shared.Circuit, maxListed+1),
	} {
		if ConsistentList(hostID.Host, list) {
			t.Errorf("%s: taken for an honest answer", name)
		}
	}
	if !ConsistentList(hostID.Host, []shared.Circuit{{CircuitID: hostID, State: shared.HalfOpen, Wait: time.Second}}) {
		t.Error("an honest answer is not taken")
	}
}
