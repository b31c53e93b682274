// This file tests for whom a host's circuit is open that opened by what endpoints
// answered. It needs no Transport.

package circuit_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry/internal/circuit"
	"github.com/oktaretry/oktaretry/internal/rig"
)

// openHost returns a host's circuit that opened by the failures of the first sick of n
// endpoints.
func openHost(t *testing.T, n, sick int) (host *circuit.Breaker, endpoints []*circuit.Breaker) {
	t.Helper()
	host, endpoints = newHost(n)
	for i := range 20 {
		of(endpoints[i%sick], host, circuit.EndpointFailed)
	}
	wantState(t, host, circuit.Open)
	return host, endpoints
}

// Two bad searches that are reloaded all the time are nearly all of a host's probes,
// and once kept its circuit open for what is seldom called.
func TestOpenHostRefusesThoseThatFailedAndNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host, all := openHost(t, 4, 2)
		for i := range 1200 { // a minute
			of(all[i%2], host, circuit.EndpointFailed)
			if i%100 == 0 {
				if wait := host.RefusesFor(circuit.Of(all[2], nil), time.Now()); wait > 0 || !of(all[2], host, circuit.Healthy) {
					t.Fatalf("%s on, an endpoint that is well is refused, for %s", time.Duration(i)*50*time.Millisecond, wait)
				}
			}
			time.Sleep(50 * time.Millisecond)
		}
	})
}

func TestEndpointIsWellUntilItFails(t *testing.T) {
	for _, tt := range []struct {
		name     string
		verdicts []circuit.Verdict
		refused  bool
	}{
		{"no answer yet", nil, false},
		{"well", []circuit.Verdict{circuit.Healthy}, false},
		{"neither", []circuit.Verdict{circuit.Neutral, circuit.Alive}, false},
		{"failed", []circuit.Verdict{circuit.EndpointFailed}, true},
		{"a blip after a success", []circuit.Verdict{circuit.Healthy, circuit.EndpointFailed}, false},
		{"went down after a success", []circuit.Verdict{
			circuit.Healthy, circuit.EndpointFailed, circuit.EndpointFailed, circuit.EndpointFailed, circuit.EndpointFailed, circuit.EndpointFailed,
		}, true},
		{"cannot be reached", []circuit.Verdict{circuit.Healthy, circuit.Failed}, true},
	} {
		rig.Virtual(t, tt.name, func(t *testing.T) {
			host, all := openHost(t, 3, 2)
			for _, v := range tt.verdicts {
				if !of(all[2], host, v) {
					t.Fatal("refused too early")
				}
			}
			if sent := of(all[2], host, circuit.Neutral); sent == tt.refused {
				t.Errorf("let through %t, want %t", sent, !tt.refused)
			}
		})
	}
}

// Where all fail, little is sent to find that out.
func TestDeadHostGetsFewTrials(t *testing.T) {
	for _, tt := range []struct {
		name string
		sick int  // of 100 endpoints: those that failed when it opened
		well bool // the others succeeded before
		most int
	}{
		{"two had failed", 2, false, 5},
		{"six had failed", 6, false, 0},
		{"six had failed, others were well just before", 6, true, 5},
	} {
		open := func(t *testing.T) (host *circuit.Breaker, all []*circuit.Breaker) {
			host, all = openHost(t, 100, tt.sick)
			for _, e := range all[tt.sick:] {
				if tt.well {
					of(e, e, circuit.Healthy)
				}
			}
			return host, all
		}
		rig.Virtual(t, tt.name, func(t *testing.T) {
			host, all := open(t)
			trials := 0
			for _, e := range all {
				if of(e, host, circuit.EndpointFailed) {
					trials++
				}
			}
			if trials != tt.most {
				t.Errorf("%d trials that failed one by one, want %d", trials, tt.most)
			}
		})
		rig.Virtual(t, tt.name+", and all hang", func(t *testing.T) {
			host, all := open(t)
			trials := 0
			for _, e := range all {
				if p, _, ok := host.Allow(circuit.Of(e, nil), time.Now()); ok {
					if trials++; !p.Probing() {
						t.Error("a trial has more time than a probe")
					}
				}
			}
			if trials != tt.most {
				t.Errorf("%d trials at once, want %d", trials, tt.most)
			}
		})
	}
}

// A trial's place is free again once it is answered, whatever with.
func TestTrialsMakeRoomForOthersWhenTheyEnd(t *testing.T) {
	for _, v := range []circuit.Verdict{circuit.Healthy, circuit.Alive, circuit.Neutral, circuit.EndpointFailed} {
		rig.Virtual(t, fmt.Sprint("verdict ", v), func(t *testing.T) {
			host, all := openHost(t, 100, 2)
			var out []circuit.Permit
			for _, e := range all[2:] {
				if p, _, ok := host.Allow(circuit.Of(e, nil), time.Now()); ok {
					out = append(out, p)
				}
			}
			if len(out) != 5 {
				t.Fatalf("%d trials at once, want 5", len(out))
			}
			out[0].Report(v, time.Now())
			if !of(all[50], host, circuit.Neutral) {
				t.Error("refused, though a trial has ended")
			}
		})
	}
}

// Trials that fail open the circuit for all when none between them was well.
func TestTrialThatSucceedsBeginsTheCountOfFailuresAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host, all := openHost(t, 100, 2)
		for i, e := range all[2:11] {
			v := circuit.EndpointFailed
			if i == 4 {
				v = circuit.Healthy
			}
			if !of(e, host, v) {
				t.Fatalf("trial %d of nine is refused", i+1)
			}
		}
		if !of(all[11], host, circuit.EndpointFailed) || of(all[12], host, circuit.Neutral) {
			t.Error("want the fifth in a row that fails to be the last")
		}
	})
}
