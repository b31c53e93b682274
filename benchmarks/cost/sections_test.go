package cost_test

// This file holds the cases that are about more than one call over a base in
// memory: a real round trip, two cores, many endpoints.

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/oktaretry/oktaretry/benchmarks/internal/meter"
	"github.com/oktaretry/oktaretry/benchmarks/internal/peers"
	"github.com/oktaretry/oktaretry/benchmarks/internal/traffic"
	"github.com/oktaretry/oktaretry/internal/rig/script"
)

// loopback is a whole round trip: net/http's server on this machine and a
// Transport of its own for each contender. It shows what part the transports
// have in what a call costs at least; a round trip to Okta takes some thousand
// times as long.
var loopback = costCase{"GET 200 over a socket", func() (benches []*meter.Bench) {
	for _, who := range named(bare, ours, retryable, failsafe, rehttp, assembled, ours+sampled, assembled+sampled) {
		benches = append(benches, &meter.Bench{Name: who.name, Least: 500, Make: func(t *testing.T) func(int) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				h := w.Header()
				h.Set("Content-Type", "application/json")
				h.Set("X-Rate-Limit-Limit", "600")
				h.Set("X-Rate-Limit-Remaining", "500")
				h.Set("X-Okta-Request-Id", "Y3OJZpwB2Vgu6vPYbkRfcQAAAAE")
				w.Write([]byte(script.UserBody))
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
}, bare, nil, nil}

// cores compares what one and two cores get done by the same callers of one
// endpoint and bucket, the base included.
var cores = costCase{"GET 200, by cores", func() (benches []*meter.Bench) {
	for _, who := range named(bare, ours, retryable, failsafe, assembled, ours+sampled, assembled+sampled) {
		for n := 1; n <= 2; n++ {
			benches = append(benches, &meter.Bench{Name: onCores(who.name, n), Wall: true, Least: callsOnCores, Make: func(t *testing.T) func(int) {
				calls := call{status: 200, text: script.UserBody, parallel: true}.caller(t, who)
				return func(count int) {
					defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(n))
					calls(count)
				}
			}})
		}
	}
	return benches
}, "", nil, &alsoHeld{
	needs: []string{onCores(bare, 1), onCores(bare, 2), onCores(ours, 1), onCores(ours, 2)},
	miss: func(s *meter.Series) string {
		got := scaling(s, ours)
		if want := twoCores / 2 * min(scaling(s, bare), 2); got*quickSlack < want {
			return fmt.Sprintf("two cores get %.2f times as much done as one, want %.2f", got, want)
		}
		return ""
	},
}}

// callsOnCores are so many that garbage is collected several times in every
// slice: else the slices of one core, where it takes longer to make some, would
// go without.
const callsOnCores = 25_000

func onCores(name string, n int) string { return fmt.Sprint(name, " @", n) }

// twoCores is how much more two cores should get done than one, if they get
// twice as much done of the base alone. A machine that has other work as well
// gives less, to both.
const twoCores = 1.7

// scaling is how much more two cores get done than one, each in the better
// quarter of its turns: what else the machine does takes the second core away.
func scaling(s *meter.Series, name string) float64 {
	return s.Quartile(onCores(name, 1)) / s.Quartile(onCores(name, 2))
}

// manyKnown is how many endpoints and buckets a Transport has met, where it has
// met many.
const manyKnown = 10_000

// known compares a call of one endpoint when it is the only one with one when
// there are many, and with calls that go round them all. That last one waits for
// memory as well, so the base by itself goes round, too.
var known = costCase{"GET 200, endpoints known", func() (benches []*meter.Bench) {
	for _, b := range []struct {
		name   string
		who    string
		meet   bool
		called int
	}{
		{bare, bare, false, 1}, {bare + ", all in turn", bare, false, manyKnown},
		{oneKnown, ours, false, 1}, {oneOfMany, ours, true, 1}, {allOfMany, ours, true, manyKnown},
	} {
		benches = append(benches, &meter.Bench{Name: b.name, Make: func(t *testing.T) func(int) {
			tr := named(b.who)[0].wrap(&script.Fast{Status: 200, Body: script.UserBody})
			if b.meet {
				traffic.Visit(tr, traffic.Requests(manyKnown), manyKnown)
			}
			requests := traffic.Requests(b.called)
			return func(n int) { traffic.Visit(tr, requests, n) }
		}})
	}
	return benches
}, "", nil, &alsoHeld{
	needs: []string{oneKnown, oneOfMany},
	miss: func(s *meter.Series) string {
		if got := s.LeastRatio(oneOfMany, oneKnown); got > sameCost {
			return fmt.Sprintf("with %d endpoints known a call costs %.2f times as much as with one, want %.2f at most", manyKnown, got, sameCost)
		}
		return ""
	},
}}

const (
	oneKnown  = "1 known"
	oneOfMany = "10,000 known, one called"
	allOfMany = "10,000 known, all in turn"
)

// sameCost is how much a call may cost more because others are known.
const sameCost = 1.15

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
