// This file tests what is left, once a host's circuit is closed, of what it blamed its
// endpoints' requests for.

package circuit

import (
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry/shared"
)

// Two bad requests of two endpoints open their host's circuit, before either has failed
// often enough to open its endpoint's.
func TestRequestsBlamedByAHostAreAcquittedWithIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := &Config{
			Window: 30 * time.Second, MinCalls: 20, FailureRatio: 0.8, OpenFor: 5 * time.Second, Probes: 1, ProbeTimeout: time.Second,
		}
		fleet := NewFleetHost(time.Now())
		host := New(hostID, cfg, fleet)
		bad, good := &url.URL{Path: "/", RawQuery: "search=bad"}, &url.URL{Path: "/", RawQuery: "search=good"}
		var endpoints []*Breaker
		for _, path := range []string{"/a", "/b"} {
			e := New(shared.CircuitID{Host: hostID.Host, Method: "GET", Template: path}, cfg, fleet)
			host.Serve(e)
			endpoints = append(endpoints, e)
		}
		ask := func(e *Breaker, u *url.URL, ofHost, ofEndpoint Verdict) (sent bool, told *shared.Report) {
			p, _, ok := host.Allow(Of(e, u), time.Now())
			own, _, okToo := e.Allow(Of(e, u), time.Now())
			if !ok || !okToo {
				return false, nil
			}
			p.Report(ofHost, time.Now())
			return true, own.Report(ofEndpoint, time.Now())
		}
		for range 10 {
			for _, e := range endpoints {
				ask(e, bad, EndpointFailed, Failed)
			}
		}
		if host.Closed() || !endpoints[0].Closed() {
			t.Fatalf("the host's circuit is %s and an endpoint's %s, want only the first to be open", host.State(), endpoints[0].State())
		}
		if sent, _ := ask(endpoints[0], bad, Neutral, Neutral); sent {
			t.Error("the bad request is let through")
		}
		if sent, _ := ask(endpoints[0], good, Healthy, Healthy); !sent {
			t.Error("a good request of the same endpoint is refused")
		}
		// All of one endpoint's others fail: its own circuit is closed for all that.
		for i := range 5 {
			if _, told := ask(endpoints[1], &url.URL{Path: "/", RawQuery: string(rune('a' + i))}, EndpointFailed, Failed); told != nil {
				t.Errorf("other processes are told of a closed circuit: %+v", told)
			}
		}
		time.Sleep(cfg.OpenFor)
		if sent, _ := ask(endpoints[0], good, Healthy, Healthy); !sent || !host.Closed() {
			t.Fatalf("sent %t, and the host's circuit is %s; want it closed", sent, host.State())
		}
		for i, e := range endpoints {
			if e.offenders() != nil {
				t.Errorf("endpoint %d still counts its calls by request", i)
			}
		}
	})
}
