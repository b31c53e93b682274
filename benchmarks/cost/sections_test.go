package cost_test

// This file holds the cases that are about more than one call over a base in
// memory: a real round trip, two cores, many endpoints.

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/oktaretry/oktaretry/benchmarks/internal/peers"
	"github.com/oktaretry/oktaretry/internal/benchbase"
)

// loopback is a whole round trip: net/http's server on this machine and a
// Transport of its own for each contender. It shows what part the transports
// have in what a call costs at least; a round trip to Okta takes some hundred
// times as long.
var loopback = costCase{"GET 200 over a socket", func() (benches []*bench) {
	for _, who := range named(bare, ours, retryable, failsafe, rehttp, assembled, ours+sampled, assembled+sampled) {
		benches = append(benches, &bench{name: who.name, make: func(t *testing.T) func(int) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				h := w.Header()
				h.Set("Content-Type", "application/json")
				h.Set("X-Rate-Limit-Limit", "600")
				h.Set("X-Rate-Limit-Remaining", "500")
				h.Set("X-Okta-Request-Id", "Y3OJZpwB2Vgu6vPYbkRfcQAAAAE")
				w.Write([]byte(benchbase.UserBody))
			}))
			t.Cleanup(srv.Close)
			base := http.DefaultTransport.(*http.Transport).Clone()
			t.Cleanup(base.CloseIdleConnections)
			call := call{status: 200, url: srv.URL + "/api/v1/users/00u1"}.calls(t, who.name, who.wrap(base))
			return func(n int) {
				for range n {
					call()
				}
			}
		}})
	}
	return benches
}, bare, nil}

// cores compares what one and two cores get done by the same callers of one
// endpoint and bucket, the base included.
var cores = costCase{"GET 200, by cores", func() (benches []*bench) {
	for _, who := range named(bare, ours, retryable, failsafe, assembled, ours+sampled, assembled+sampled) {
		for n := 1; n <= 2; n++ {
			benches = append(benches, &bench{name: onCores(who.name, n), make: func(t *testing.T) func(int) {
				calls := call{status: 200, text: benchbase.UserBody, parallel: true}.caller(t, who)
				return func(count int) {
					defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(n))
					calls(count)
				}
			}})
		}
	}
	return benches
}, "", nil}

func onCores(name string, n int) string { return fmt.Sprint(name, " @", n) }

// twoCores is what the second core should give, and how much of what it gives
// the base alone counts as that on a machine that has other work as well.
const twoCores, ofBare = 1.7, 0.85

// scaling is how much more two cores get done than one.
func scaling(s *series, name string) float64 {
	var values []float64
	for _, turn := range s.turns {
		values = append(values, turn[onCores(name, 1)].ns/turn[onCores(name, 2)].ns)
	}
	return median(values)
}

// leastScaling is the same when nothing disturbed them.
func leastScaling(s *series, name string) float64 {
	return s.least(onCores(name, 1)) / s.least(onCores(name, 2))
}

// manyKnown is how many endpoints and buckets a Transport has met, where it has
// met many: 100 orgs, 50 templates, two methods and as many credentials.
const (
	manyKnown = 10_000
	hosts     = 100
)

// known compares a call of one endpoint when it is the only one with one when
// there are many, and with calls that go round them all. That last one waits for
// memory as well, so the base by itself goes round, too.
var known = costCase{"GET 200, endpoints known", func() (benches []*bench) {
	for _, b := range []struct {
		name   string
		who    string
		meet   bool
		called int
	}{
		{"bare base", bare, false, 1}, {"bare base, all in turn", bare, false, manyKnown},
		{"1 known", ours, false, 1}, {"10,000 known, one called", ours, true, 1}, {"10,000 known, all in turn", ours, true, manyKnown},
	} {
		benches = append(benches, &bench{name: b.name, make: func(t *testing.T) func(int) {
			tr := named(b.who)[0].wrap(&benchbase.Base{Status: 200, Body: benchbase.UserBody})
			if b.meet {
				visit(tr, manyRequests(manyKnown), manyKnown)
			}
			requests := manyRequests(b.called)
			return func(n int) { visit(tr, requests, n) }
		}})
	}
	return benches
}, "", nil}

// sameCost is how much a call may cost more because others are known.
const sameCost = 1.15

// manyRequests are so many requests, each to an endpoint and a bucket of its
// own.
func manyRequests(n int) (all []*http.Request) {
	for i := range n {
		path := templates[i/hosts%len(templates)]
		method := http.MethodGet
		if i/hosts/len(templates)%2 == 1 {
			method = http.MethodPut
		}
		req, err := http.NewRequestWithContext(context.Background(), method,
			fmt.Sprintf("https://org%d.okta.com%s", i%hosts, path), nil)
		if err != nil {
			panic(err)
		}
		req.Header.Set("Authorization", fmt.Sprint("SSWS ", i))
		all = append(all, req)
	}
	return all
}

// visit makes n calls, by the requests in turn.
func visit(tr http.RoundTripper, requests []*http.Request, n int) {
	var buf [4096]byte
	for i := range n {
		resp, err := tr.RoundTrip(requests[i%len(requests)])
		if err != nil {
			panic(err)
		}
		for {
			if _, err := resp.Body.Read(buf[:]); err != nil {
				break
			}
		}
		resp.Body.Close()
	}
}

// templates are paths with 50 different templates.
var templates = strings.Fields(`
/api/v1/users /api/v1/users/1 /api/v1/users/1/groups /api/v1/users/1/factors /api/v1/users/1/factors/2
/api/v1/users/1/appLinks /api/v1/users/1/roles /api/v1/users/1/roles/2 /api/v1/users/1/sessions /api/v1/users/1/clients
/api/v1/groups /api/v1/groups/1 /api/v1/groups/1/users /api/v1/groups/1/users/2 /api/v1/groups/1/apps
/api/v1/groups/1/roles /api/v1/groups/rules /api/v1/groups/rules/1 /api/v1/groups/1/owners /api/v1/groups/1/roles/2
/api/v1/apps /api/v1/apps/1 /api/v1/apps/1/users /api/v1/apps/1/users/2 /api/v1/apps/1/groups
/api/v1/apps/1/groups/2 /api/v1/apps/1/credentials/keys /api/v1/apps/1/credentials/csrs /api/v1/apps/1/grants /api/v1/apps/1/tokens
/api/v1/logs /api/v1/policies /api/v1/policies/1 /api/v1/policies/1/rules /api/v1/policies/1/rules/2
/api/v1/zones /api/v1/zones/1 /api/v1/idps /api/v1/idps/1 /api/v1/idps/1/users
/api/v1/authorizationServers /api/v1/authorizationServers/1 /api/v1/authorizationServers/1/scopes /api/v1/authorizationServers/1/claims /api/v1/authorizationServers/1/policies
/api/v1/eventHooks /api/v1/eventHooks/1 /api/v1/inlineHooks /api/v1/inlineHooks/1 /api/v1/trustedOrigins`)

// title is a contender with its version.
func title(name string) string {
	for _, c := range contenders {
		if c.name == name && c.module != "" {
			head, tail, _ := strings.Cut(name, ",")
			if tail != "" {
				tail = "," + tail
			}
			return peers.Title(head, c.module) + tail
		}
	}
	return name
}
