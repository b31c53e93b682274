// This file tests for which requests an endpoint's circuit is open. It needs no
// Transport.

package circuit_test

import (
	"fmt"
	"net/url"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/circuit"
	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/shared"
)

// newEndpoint returns an endpoint's circuit as DefaultPolicy has it: it opens after 20
// failures, and several requests are five.
func newEndpoint(fleet *circuit.FleetHost) *circuit.Breaker {
	c := circuit.Config(oktaretry.DefaultPolicy().Breaker)
	return circuit.New(shared.CircuitID{Host: "acme.okta.com", Method: "GET", Template: "/api/v1/users"}, &c, fleet)
}

func search(name string) circuit.Party {
	return circuit.Of(nil, &url.URL{Path: "/api/v1/users", RawQuery: "search=" + name})
}

// ask reports an attempt of a request, if it is let through.
func ask(b *circuit.Breaker, name string, v circuit.Verdict) (sent bool) {
	p, _, ok := b.Allow(search(name), time.Now())
	if ok {
		p.Report(v, time.Now())
	}
	return ok
}

// askInTurn has requests fail in turn until the circuit is not closed, a success of
// "good" now and then.
func askInTurn(t *testing.T, b *circuit.Breaker, goodEach int, names ...string) {
	t.Helper()
	for i := 0; b.Closed(); i++ {
		if i > 500 {
			t.Fatal("never opened")
		}
		ask(b, names[i%len(names)], circuit.Failed)
		if goodEach > 0 && i%goodEach == goodEach-1 && b.Closed() {
			ask(b, "good", circuit.Healthy)
		}
		time.Sleep(40 * time.Millisecond)
	}
}

// wantAsked checks whether a request is let through, by all that say so.
func wantAsked(t *testing.T, b *circuit.Breaker, name string, want bool) {
	t.Helper()
	wait := b.RefusesFor(search(name), time.Now())
	if sent := ask(b, name, circuit.Neutral); sent != want || wait > 0 == want {
		t.Errorf("%s is let through %t, and refused for %s; want %t", name, sent, wait, want)
	}
}

func TestEndpointIsOpenForTheRequestsThatFailed(t *testing.T) {
	for _, tt := range []struct {
		name          string
		bad           []string
		goodEach      int
		refused, well []string
	}{
		{"one, others between", []string{"bad"}, 6, []string{"bad"}, []string{"good", "new"}},
		{"one, nothing known of others", []string{"bad"}, 0, []string{"bad"}, []string{"new"}},
		{"three, others between", []string{"bad1", "bad2", "bad3"}, 6, []string{"bad1", "bad2", "bad3"}, []string{"good", "new"}},
		{"four, nothing known of others", []string{"bad1", "bad2", "bad3", "bad4"}, 0, []string{"bad1", "bad4"}, []string{"new"}},
		{"nine, others between", []string{"1", "2", "3", "4", "5", "6", "7", "8", "9"}, 6, []string{"1", "9"}, []string{"good", "new"}},
		{"five, nothing known of others", []string{"1", "2", "3", "4", "5"}, 0, []string{"1", "5", "new"}, nil},
		{"two, one of them once", append(slices.Repeat([]string{"bad"}, 19), "blip"), 0, []string{"bad"}, []string{"blip", "new"}},
	} {
		rig.Virtual(t, tt.name, func(t *testing.T) {
			b := newEndpoint(nil)
			askInTurn(t, b, tt.goodEach, tt.bad...)
			for _, name := range tt.refused {
				wantAsked(t, b, name, false)
			}
			for _, name := range tt.well {
				wantAsked(t, b, name, true)
			}
			wantState(t, b, circuit.Open)
			if b.RefusesFor(circuit.Party{}, time.Now()) <= 0 {
				t.Error("who is nobody known is not refused")
			}
		})
	}
}

func manyNames(n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprint(i))
	}
	return names
}

// A server whose answers fail at random blames no request: those that fail often are
// unlucky.
func TestBrownOutOpensAnEndpointForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newEndpoint(nil)
		for i := 0; b.Closed() && i < 500; i++ {
			v := circuit.Failed
			if i%8 == 0 {
				v = circuit.Healthy
			}
			ask(b, fmt.Sprint(i), v)
		}
		wantAsked(t, b, "0", false)
		wantAsked(t, b, "new", false)
	})
}

// More requests than are told apart fail each other time, and then all the time.
func TestWhereManyRequestsFailItIsNotThey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newEndpoint(nil)
		for _, name := range manyNames(20) {
			ask(b, name, circuit.Failed)
			ask(b, "good", circuit.Healthy)
		}
		askInTurn(t, b, 0, manyNames(20)...)
		for _, name := range []string{"0", "19", "new", "good"} {
			wantAsked(t, b, name, false)
		}
	})
}

// Of others nothing is known but that they failed long ago.
func TestFailuresOfLongAgoBlameNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newEndpoint(nil)
		for _, name := range manyNames(12) {
			ask(b, name, circuit.Failed)
		}
		time.Sleep(time.Minute)
		askInTurn(t, b, 0, "bad")
		wantAsked(t, b, "bad", false)
		wantAsked(t, b, "0", true)
	})
}

// A failure now and then makes no offender of a request.
func TestRequestThatFailsNowAndThenIsNoOffender(t *testing.T) {
	const ok, failed = circuit.Healthy, circuit.Failed
	for _, tt := range []struct {
		name  string
		other []circuit.Verdict // after each four of the bad request
	}{
		{"once", []circuit.Verdict{ok, ok, failed}},
		{"each other time", []circuit.Verdict{failed, ok}},
	} {
		rig.Virtual(t, tt.name, func(t *testing.T) {
			b := newEndpoint(nil)
			for i := 0; b.Closed() && i < 500; i++ {
				if ask(b, "bad", failed); i%4 == 3 && i/4 < len(tt.other)*2 {
					ask(b, "other", tt.other[i/4%len(tt.other)])
				}
			}
			wantAsked(t, b, "bad", false)
			wantAsked(t, b, "other", true)
		})
	}
}

// One request has failed for a while, and then the server is down: its circuit opens no
// later, and for all.
func TestOutageBesideAnOffenderOpensAnEndpointForAll(t *testing.T) {
	for _, tt := range []struct {
		name  string
		good  int           // successes before
		every time.Duration // the distance of the failures
		also  int           // after so many of them is one more success; 0: none is
		most  int           // failures until it is open for all
	}{
		{"all in a row fail", 100, 40 * time.Millisecond, 0, 22},
		{"the ratio is reached", 1, 0, 0, 20},
		{"the ratio is reached, with successes", 1, 0, 12, 20},
	} {
		rig.Virtual(t, tt.name, func(t *testing.T) {
			b := newEndpoint(nil)
			ask(b, "bad", circuit.Failed)
			for range tt.good {
				ask(b, "good", circuit.Healthy)
			}
			sent := 1
			for i := range 100 {
				if ask(b, []string{"bad", fmt.Sprint(i % 13)}[i%2], circuit.Failed) {
					sent++
				}
				if i > 0 && i == tt.also {
					ask(b, "good", circuit.Healthy)
				}
				time.Sleep(tt.every)
			}
			if sent > tt.most {
				t.Errorf("%d failures until it was open for all, want %d", sent, tt.most)
			}
			wantAsked(t, b, "good", false)
		})
	}
}

// The probes of an endpoint that is open for one request are that request's: the
// success of another says nothing of it.
func TestOffenderIsProbedByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newEndpoint(nil)
		askInTurn(t, b, 6, "bad")
		probes := 0
		for range 600 { // a minute
			if ask(b, "bad", circuit.Failed) {
				probes++
			}
			if !ask(b, "good", circuit.Healthy) {
				t.Fatal("another request is refused")
			}
			time.Sleep(100 * time.Millisecond)
		}
		if probes < 8 || probes > 13 {
			t.Errorf("%d probes in a minute, want one each 5 s", probes)
		}
		time.Sleep(5 * time.Second)
		for range oktaretry.DefaultPolicy().Breaker.Probes {
			if !ask(b, "bad", circuit.Healthy) {
				t.Fatal("its probe is refused")
			}
		}
		wantState(t, b, circuit.Closed)
	})
}

func TestRequestThatTurnsBadLaterIsRefusedByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newEndpoint(nil)
		askInTurn(t, b, 6, "bad")
		for i := range 5 {
			if !ask(b, "worse", circuit.Failed) {
				t.Fatalf("refused after %d failures", i)
			}
			if i == 2 {
				ask(b, "worse", circuit.Alive) // neither
			}
		}
		wantAsked(t, b, "worse", false)
		wantAsked(t, b, "good", true)
		for _, name := range manyNames(4) {
			ask(b, name, circuit.Failed)
		}
		wantAsked(t, b, "good", true) // four others failed, and with "worse" five
	})
}

func TestRequestWithBlipsIsNotRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newEndpoint(nil)
		askInTurn(t, b, 6, "bad")
		for i := range 40 {
			if v := []circuit.Verdict{circuit.Failed, circuit.Healthy}[i%2]; !ask(b, "blips", v) {
				t.Fatalf("refused after %d answers, each other one a success", i)
			}
		}
	})
}

// An outage that begins while one request is refused refuses the others soon.
func TestEndpointIsOpenForAllOnceOthersFailToo(t *testing.T) {
	for _, goodEach := range []int{0, 6} {
		rig.Virtual(t, fmt.Sprint("a success each ", goodEach), func(t *testing.T) {
			b := newEndpoint(nil)
			askInTurn(t, b, goodEach, "bad")
			sent := 0
			for _, name := range manyNames(50) {
				if ask(b, name, circuit.Failed) {
					sent++
				}
			}
			if sent != 5 {
				t.Errorf("%d failures of as many requests until all are refused, want 5", sent)
			}
			wantAsked(t, b, "good", false)
		})
	}
}

func TestSuccessBetweenFailuresOfOthersKeepsAnEndpointOpenForOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newEndpoint(nil)
		askInTurn(t, b, 6, "bad")
		for i, name := range manyNames(50) {
			if !ask(b, name, circuit.Failed) || i%4 == 3 && !ask(b, "good", circuit.Healthy) {
				t.Fatalf("refused after %d failures", i)
			}
		}
	})
}

// Where all hang, few are sent to find that out.
func TestOthersAreOnTrialUntilOneIsWell(t *testing.T) {
	for _, v := range []circuit.Verdict{circuit.Healthy, circuit.Neutral} {
		rig.Virtual(t, fmt.Sprint("verdict ", v), func(t *testing.T) {
			b := newEndpoint(nil)
			askInTurn(t, b, 0, "bad")
			var out []circuit.Permit
			for _, name := range manyNames(50) {
				if p, _, ok := b.Allow(search(name), time.Now()); ok {
					if out = append(out, p); !p.Probing() {
						t.Error("a trial has more time than a probe")
					}
				}
			}
			if len(out) != 5 {
				t.Fatalf("%d trials at once, want 5", len(out))
			}
			out[0].Report(v, time.Now())
			sent := 0
			for _, name := range manyNames(50) {
				if _, _, ok := b.Allow(search(name), time.Now()); ok {
					sent++
				}
			}
			if want := map[bool]int{true: 50, false: 1}[v == circuit.Healthy]; sent != want {
				t.Errorf("%d sent after one has ended, want %d", sent, want)
			}
		})
	}
}

// Other processes hear of what may be their trouble, too: not of one bad request.
func TestFleetHearsOfAnEndpointThatIsOpenForAll(t *testing.T) {
	for _, tt := range []struct {
		name     string
		goodEach int
		then     []string // fail
		want     bool
	}{
		{"one request, others well", 6, nil, false},
		{"one request, nothing known of others", 0, nil, true},
		{"one request, others well until they failed", 6, manyNames(5), true},
	} {
		rig.Virtual(t, tt.name, func(t *testing.T) {
			b := newEndpoint(circuit.NewFleetHost(time.Now()))
			told := false
			report := func(name string, v circuit.Verdict) {
				if p, _, ok := b.Allow(search(name), time.Now()); ok {
					r := p.Report(v, time.Now())
					told = told || r != nil && r.Event == shared.Opened
				}
			}
			for i := 0; b.Closed() && i < 500; i++ {
				report("bad", circuit.Failed)
				if tt.goodEach > 0 && i%tt.goodEach == tt.goodEach-1 && b.Closed() {
					report("good", circuit.Healthy)
				}
				time.Sleep(40 * time.Millisecond)
			}
			for _, name := range tt.then {
				report(name, circuit.Failed)
			}
			if told != tt.want {
				t.Errorf("told %t, want %t", told, tt.want)
			}
		})
	}
}

func TestCutOffAttemptIsItsRequestsOnceOthersAreWell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newEndpoint(nil)
		bad := &url.URL{Path: "/api/v1/users", RawQuery: "search=bad"}
		for range 3 {
			if b.CutOff(bad, time.Now()) {
				t.Fatal("its request's, though nothing is known of others")
			}
		}
		ask(b, "bad", circuit.Healthy)
		if b.CutOff(bad, time.Now()) {
			t.Error("its request's, though only that was well")
		}
		ask(b, "good", circuit.Healthy)
		if !b.CutOff(bad, time.Now()) {
			t.Error("not its request's, though another was well since")
		}
		time.Sleep(time.Minute)
		if b.CutOff(bad, time.Now()) {
			t.Error("its request's, though nothing is known of others for a minute")
		}
	})
}
