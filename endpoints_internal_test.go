// This file tests what bounds the register of endpoints, and what it keeps.

package oktaretry

import (
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/internal/circuit"
	"github.com/oktaretry/oktaretry/internal/route"
	"github.com/oktaretry/oktaretry/internal/telemetry"
)

// open reports failures to a circuit until it opens.
func open(b *circuit.Breaker) {
	for i := range 2 * DefaultPolicy().Breaker.MinCalls {
		var p circuit.Permit
		if b.Enter(&p, circuit.Party{}) {
			p.Report(circuit.Failed, time.Now().Add(time.Duration(i)*time.Second))
		}
	}
}

func find(r *endpoints, method, host, template string, now time.Time) *endpoint {
	k := endpointKey{host: host, method: method, template: template}
	return r.find(k, &url.URL{Host: host}, &route.Route{Template: template, Known: true}, now)
}

func fill(r *endpoints, now time.Time, from, to int) {
	for i := from; i < to; i++ {
		find(r, "GET", "h", "/"+strconv.Itoa(i), now)
	}
}

func TestEndpointsThatAreIdleAreForgotten(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	r := newEndpoints(DefaultPolicy().Breaker, DefaultPolicy().Budget, nil, nil)
	fill(r, now, 0, minSweep)
	used := find(r, "GET", "h", "/7", now.Add(idle-time.Second))
	fill(r, now.Add(idle), minSweep, minSweep+1)
	if len(r.byKey) != 2 || find(r, "GET", "h", "/7", now.Add(idle)) != used {
		t.Errorf("%d endpoints are left, want the one that was used and the new one", len(r.byKey))
	}
}

// Were all of them forgotten, open circuits would close whenever a program
// talks to very many hosts.
func TestEndpointsInUseAreForgottenByHalves(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	r := newEndpoints(DefaultPolicy().Breaker, DefaultPolicy().Budget, nil, nil)
	sick := find(r, "GET", "h", "/sick", now)
	open(sick.circuit)
	down := find(r, "GET", "down", "/", now)
	open(down.ofHost.circuit)
	for i := range 3 * maxEndpoints {
		fill(r, now, i, i+1)
		if len(r.byKey) > 2*maxEndpoints {
			t.Fatalf("%d endpoints are kept, want %d at most", len(r.byKey), 2*maxEndpoints)
		}
	}
	if len(r.byKey) < maxEndpoints/2 {
		t.Errorf("%d endpoints are left of those in use", len(r.byKey))
	}
	if find(r, "GET", "h", "/sick", now) != sick || find(r, "GET", "down", "/", now) != down {
		t.Error("an open circuit was forgotten")
	}
}

// Or else what a circuit saw would be forgotten before its window is over.
func TestEndpointsAreKeptForAsLongAsTheirCircuitsRemember(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	b := DefaultPolicy().Breaker
	b.Window, b.OpenFor = idle, idle
	r := newEndpoints(b, DefaultPolicy().Budget, nil, nil)
	fill(r, now, 0, minSweep)
	fill(r, now.Add(2*idle-time.Second), minSweep, minSweep+1)
	if n := len(r.byKey); n != minSweep+1 {
		t.Errorf("%d endpoints are left, want all", n)
	}
}

// What was found last is found without a lock, but never in the place of another.
func TestRecentEndpointsAreTheRightOnes(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	r := newEndpoints(DefaultPolicy().Breaker, DefaultPolicy().Budget, nil, nil)
	want := map[endpointKey]*endpoint{}
	for range 3 {
		for _, method := range []string{"GET", "POST", "PUT", "HEAD", "FAKE"} {
			for _, host := range []string{"a.example.com", "A.example.com", "b.example.com"} {
				for number := range recentEndpoints { // all of them collide
					to := route.Route{Template: "/" + strconv.Itoa(number%3), Number: number}
					e := r.find(endpointKey{host: host, method: method, template: to.Template}, &url.URL{Host: host}, &to, now)
					k := endpointKey{host: strings.ToLower(host), method: telemetry.ShownMethod(method), template: to.Template}
					if e.key != k {
						t.Fatalf("%s %s%s is taken for %v", method, host, to.Template, e.key)
					}
					if want[k] == nil {
						want[k] = e
					}
					if e != want[k] {
						t.Fatalf("%v is made anew", k)
					}
				}
			}
		}
	}
}

func TestForgottenEndpointsAreNotRecent(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	r := newEndpoints(DefaultPolicy().Breaker, DefaultPolicy().Budget, nil, nil)
	fill(r, now, 0, minSweep)
	old := find(r, "GET", "h", "/7", now)
	fill(r, now.Add(idle), minSweep, minSweep+1)
	if find(r, "GET", "h", "/7", now.Add(idle)) == old {
		t.Error("an endpoint that the register has forgotten is still in use")
	}
}
