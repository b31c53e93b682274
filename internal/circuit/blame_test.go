// This file tests whose failures open a host's circuit. It needs no Transport.

package circuit_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry/internal/circuit"
	"github.com/oktaretry/oktaretry/internal/rig"
)

// of reports an attempt of an endpoint to its host's circuit, if it is let through.
func of(endpoint, host *circuit.Breaker, v circuit.Verdict) (sent bool) {
	p, _, ok := host.Allow(circuit.Of(endpoint, nil), time.Now())
	if ok {
		p.Report(v, time.Now())
	}
	return ok
}

// newHost returns a host's circuit and those of its endpoints.
func newHost(n int) (host *circuit.Breaker, endpoints []*circuit.Breaker) {
	host = byDefault(nil)
	for range n {
		endpoints = append(endpoints, byDefault(nil))
		host.Serve(endpoints[len(endpoints)-1])
	}
	return host, endpoints
}

func TestHostOpensByTheAnswersOfSeveralEndpoints(t *testing.T) {
	const down = circuit.EndpointFailed
	for _, tt := range []struct {
		name  string
		of    []int // the endpoints of the failures, over and over
		wants int   // failures until it opens; 0: it does not
	}{
		{"one endpoint alone", []int{0}, 0},
		{"two in turn", []int{0, 1}, 20},
		{"five in turn", []int{0, 1, 2, 3, 4}, 20},
		{"one often, one seldom", []int{0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 50},
		{"one often, each of many once", []int{0, 0, 1, 0, 0, 2, 0, 0, 3, 0, 0, 4, 0, 0, 5, 0, 0, 6, 0, 0, 7}, 20},
	} {
		rig.Virtual(t, tt.name, func(t *testing.T) {
			host, all := newHost(8)
			sent := 0
			for i := range 500 {
				if of(all[tt.of[i%len(tt.of)]], host, down) {
					sent++
				}
			}
			if tt.wants == 0 {
				tt.wants = 500
			}
			if sent != tt.wants {
				t.Errorf("%d failures until it opened, want %d", sent, tt.wants)
			}
		})
	}
}

// Of a server that died, the answers of several endpoints show it as soon as
// failures to connect do.
func TestHostOpensHalfASecondAfterAllEndpointsFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host, all := newHost(5)
		send := func(long time.Duration, v circuit.Verdict) (sent int) {
			i := 0
			for began := time.Now(); time.Since(began) < long; time.Sleep(10 * time.Millisecond) {
				if i++; of(all[i%5], host, v) {
					sent++
				}
			}
			return sent
		}
		send(time.Minute, circuit.Healthy)
		if n := send(4*time.Second, circuit.EndpointFailed); n != 51 {
			t.Errorf("%d attempts reached the dead server, want 51: those of half a second", n)
		}
	})
}

// One endpoint fails as fast as it can; the others are called seldom, and well
// but for a blip.
func TestHostStaysClosedWhileOneEndpointFails(t *testing.T) {
	for _, every := range []time.Duration{100 * time.Millisecond, time.Second, 2 * time.Second, 10 * time.Second, time.Minute} {
		rig.Virtual(t, "others every "+every.String(), func(t *testing.T) {
			host, all := newHost(3)
			for i := range int(10 * time.Minute / (50 * time.Millisecond)) {
				at := time.Duration(i) * 50 * time.Millisecond
				if !of(all[0], host, circuit.EndpointFailed) {
					t.Fatalf("it opened after %s", at)
				}
				if at%every == 0 {
					verdict := circuit.Healthy
					if i > 0 && at%(5*every) == 0 { // a blip
						verdict = circuit.EndpointFailed
					}
					of(all[1+i%2], host, verdict)
				}
				time.Sleep(50 * time.Millisecond)
			}
		})
	}
}

// A program that turns from endpoints that are well to one that fails knows nothing new
// of the others: their successes are missing since nobody asks.
func TestHostStaysClosedWhenOnlyAFailingEndpointIsCalledAnyMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host, all := newHost(2)
		for range 50 {
			of(all[1], host, circuit.Healthy)
			time.Sleep(100 * time.Millisecond)
		}
		for range 600 {
			of(all[0], host, circuit.EndpointFailed)
			wantState(t, host, circuit.Closed)
			time.Sleep(50 * time.Millisecond)
		}
	})
}

// Two endpoints that fail often are no outage while a third is well, if seldom
// called: that its success is due for a moment shows nothing.
func TestHostStaysClosedWhileOthersAreWellThatAreSeldomCalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host, all := newHost(3)
		for i := range 2400 {
			if i%40 == 0 {
				of(all[2], host, circuit.Healthy) // every 2 s
			}
			if i > 1200 && i < 1240 { // then their own circuits are open
				of(all[0], host, circuit.EndpointFailed)
				of(all[1], host, circuit.EndpointFailed)
			}
			wantState(t, host, circuit.Closed)
			time.Sleep(50 * time.Millisecond)
		}
	})
}

// A program that calls one endpoint knows no more of its host. Another endpoint
// that it turns to is none the worse for that.
func TestOnlyEndpointOpensItsHostsCircuitForItself(t *testing.T) {
	open := func(t *testing.T) (host, only, other *circuit.Breaker) {
		t.Helper()
		host, all := newHost(1)
		for range 20 {
			of(all[0], host, circuit.EndpointFailed)
		}
		wantState(t, host, circuit.Open)
		if of(all[0], host, circuit.EndpointFailed) {
			t.Error("it lets the endpoint through")
		}
		other = byDefault(nil)
		host.Serve(other)
		return host, all[0], other
	}
	rig.Virtual(t, "others succeed", func(t *testing.T) {
		host, only, other := open(t)
		for range 6000 { // a minute
			var atOnce [3]circuit.Permit
			for i := range atOnce {
				var ok bool
				if atOnce[i], _, ok = host.Allow(circuit.Of(other, nil), time.Now()); !ok || host.RefusesFor(circuit.Of(other, nil), time.Now()) > 0 {
					t.Fatal("another endpoint is refused")
				}
			}
			for i := range atOnce {
				atOnce[i].Report(circuit.Healthy, time.Now())
			}
			of(only, host, circuit.EndpointFailed)
			time.Sleep(10 * time.Millisecond)
		}
		wantState(t, host, circuit.Closed)
	})
	rig.Virtual(t, "others fail, too", func(t *testing.T) {
		host, _, other := open(t)
		of(other, host, circuit.EndpointFailed)
		if of(other, host, circuit.EndpointFailed) {
			t.Error("it lets another endpoint through that has failed, too")
		}
	})
}

// Connections that are refused speak of the host, whatever endpoint met them.
func TestHostOpensByFailuresOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host, all := newHost(1)
		for range 20 {
			of(all[0], host, circuit.Failed)
		}
		wantState(t, host, circuit.Open)
	})
}

// halfOpenHostOf returns a host's circuit that has just become half-open, by the
// failures of all its endpoints.
func halfOpenHostOf(t *testing.T, n int) (host *circuit.Breaker, endpoints []*circuit.Breaker) {
	t.Helper()
	host, endpoints = newHost(n)
	for i := range 20 {
		of(endpoints[i%n], host, circuit.EndpointFailed)
	}
	wantState(t, host, circuit.Open)
	time.Sleep(5 * time.Second)
	return host, endpoints
}

// A bad search may be the probe whenever there is one. It once kept the host's
// circuit open for ever.
func TestFailedProbeOfAnEndpointLeavesAnotherToDecide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host, all := halfOpenHostOf(t, 3)
		of(all[0], host, circuit.EndpointFailed)
		wantState(t, host, circuit.HalfOpen)
		if _, after, ok := host.Allow(circuit.Of(all[0], nil), time.Now()); ok || after != 5*time.Second {
			t.Errorf("the endpoint that failed is let through %t, to come back after %s; want a refusal, and 5s", ok, after)
		}
		if got := host.RefusesFor(circuit.Of(all[0], nil), time.Now()); got != 5*time.Second {
			t.Errorf("refuses the endpoint that failed for %s, want 5s", got)
		}
		if got := host.RefusesFor(circuit.Of(all[1], nil), time.Now()); got > 0 {
			t.Errorf("refuses another for %s", got)
		}
		of(all[1], host, circuit.Healthy)
		wantState(t, host, circuit.Closed)
		if !of(all[0], host, circuit.EndpointFailed) {
			t.Error("the endpoint that failed is refused by a circuit that is closed")
		}
	})
}

func TestFailedProbesOfTwoEndpointsOpenTheCircuitAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host, all := halfOpenHostOf(t, 3)
		of(all[0], host, circuit.EndpointFailed)
		of(all[1], host, circuit.EndpointFailed)
		wantState(t, host, circuit.Open)
		for _, e := range all {
			if _, after, ok := host.Allow(circuit.Of(e, nil), time.Now()); ok || after != 5*time.Second {
				t.Errorf("let through %t, to come back after %s; want a refusal, and 5s", ok, after)
			}
		}
	})
}

// Where only one endpoint is called, it probes as often as any would.
func TestEndpointWhoseProbeFailedProbesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host, all := halfOpenHostOf(t, 2)
		sent := 0
		for range 6000 { // a minute
			if of(all[0], host, circuit.EndpointFailed) {
				sent++
			}
			time.Sleep(10 * time.Millisecond)
		}
		if sent != 12 {
			t.Errorf("%d probes in a minute, want 12", sent)
		}
	})
}

// A burst of one endpoint's failures leaves the window step by step. Were it the
// host's own for a moment, it would open the circuit.
func TestOldFailuresOfAnEndpointAreNotTheHosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host, all := newHost(2)
		of(all[1], host, circuit.EndpointFailed)
		time.Sleep(time.Second)
		of(all[0], host, circuit.EndpointFailed)
		time.Sleep(2500 * time.Millisecond)
		for range 100 {
			of(all[0], host, circuit.EndpointFailed)
		}
		for range 400 {
			time.Sleep(100 * time.Millisecond)
			of(all[0], host, circuit.EndpointFailed)
			wantState(t, host, circuit.Closed)
		}
	})
}
