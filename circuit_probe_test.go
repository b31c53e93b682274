package oktaretry_test

// This file tests circuits in motion: what opens during a call, what a
// half-open circuit lets out, and whose reports count.

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry"
)

func TestCircuitThatOpensDuringACallsRetriesEndsItWithTheAnswerInHand(t *testing.T) {
	const text = `{"errorCode":"E0000010","errorSummary":"read only"}`
	synctest.Test(t, func(t *testing.T) {
		rt, base := newScript(t, func(p *oktaretry.Policy) { p.Breaker.MinCalls = 2 },
			then(bare(503)), then(says(502, "down")), then(ok()))
		c := get(t, rt, usersURL).is(t, 502).stopped(t, oktaretry.StopCircuitOpen).reads(t, "down")
		c.took(t, 250*time.Millisecond, 750*time.Millisecond)
		if c.outcome.Needed != 5*time.Second {
			t.Errorf("needed %s, want 5s", c.outcome.Needed)
		}
		base.sends(2)
	})
	t.Run("opened by others during its backoff", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			rt, base := newScript(t, touchy)
			base.answers = func(*http.Request) step { return then(says(503, text, set("Retry-After", "3"))) }
			waiting := start(t, rt, usersURL)
			time.Sleep(time.Second)
			open(t, rt, base, usersURL, code(500, "E0000009"))
			c := (<-waiting).is(t, 503).stopped(t, oktaretry.StopCircuitOpen).reads(t, text)
			c.took(t, 3*time.Second, 3*time.Second)
			if c.outcome.Needed != 3*time.Second {
				t.Errorf("needed %s, want 3s", c.outcome.Needed)
			}
		})
	})
	t.Run("of a rate limit", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			rt, base := newScript(t, touchy)
			base.answers = func(*http.Request) step { return then(limited(set("Retry-After", "3"))) }
			waiting := start(t, rt, usersURL)
			time.Sleep(time.Second)
			open(t, rt, base, appsURL, bare(503))
			c := (<-waiting).stopped(t, oktaretry.StopCircuitOpen).took(t, 3*time.Second, 3*time.Second+gap)
			e := failure[*oktaretry.RateLimitError](t, c)
			if e.Code != "E0000047" || e.RetryAfter > 3*time.Second || e.RetryAfter < 3*time.Second-gap {
				t.Errorf("code %s, RetryAfter %s; want E0000047, 3s", e.Code, e.RetryAfter)
			}
		})
	})
}

func TestCallWaitsOutACircuitThatOpensForNoLongerThanItsBackoff(t *testing.T) {
	for seconds := 5; seconds <= 6; seconds++ {
		synctest.Test(t, func(t *testing.T) {
			rt, base := newScript(t, func(p *oktaretry.Policy) { p.Breaker.MinCalls, p.Breaker.OpenFor = 2, 5*time.Second },
				then(bare(503)), then(bare(503, set("Retry-After", strconv.Itoa(seconds)))), at(time.Duration(seconds)*time.Second, 0, ok()))
			get(t, rt, usersURL).is(t, 200)
			base.sends(3)
		})
	}
}

func TestRefusalByOneCircuitGivesTheOthersSlotBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := newScript(t, touchy)
		base.answers = func(*http.Request) step { return then(ok()) }
		once(t, rt, usersURL) // so that the bucket is known to have no limit
		// The endpoint's circuit opens three seconds after the host's, by calls
		// that were on their way before that.
		base.answers = func(*http.Request) step { return slowly(2900*time.Millisecond, code(500, "E0000009")) }
		for range 4 {
			go once(t, rt, usersURL)
		}
		synctest.Wait()
		open(t, rt, base, appsURL, bare(503))
		time.Sleep(5 * time.Second)
		base.answers = func(*http.Request) step { return then(ok()) }
		if e := failure[*oktaretry.CircuitOpenError](t, get(t, rt, usersURL)); e.Scope != oktaretry.TripsEndpoint {
			t.Fatalf("refused by the %s's circuit, want the endpoint's", e.Scope)
		}
		get(t, rt, appsURL).is(t, 200) // the host's only probe
	})
}

// halfOpen opens the host's circuit and waits until it lets a probe out.
func halfOpen(t *testing.T, edit func(*oktaretry.Policy)) (*oktaretry.Transport, *script) {
	t.Helper()
	rt, base := newScript(t, func(p *oktaretry.Policy) {
		touchy(p)
		p.AttemptTimeout = 0
		if edit != nil {
			edit(p)
		}
	})
	open(t, rt, base, usersURL, bare(503))
	time.Sleep(5 * time.Second)
	return rt, base
}

// A program that only asks for what may be missing never gets a 2xx. Were a 404
// neutral to a half-open circuit too, it would stay half-open for ever and
// refuse all calls but one at a time.
func TestHalfOpenCircuitIsClosedByA404AndNotByA429(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer answer
		state  string
	}{
		{"404", code(404, "E0000007"), "closed"},
		{"401", code(401, "E0000011"), "closed"},
		{"429", code(429, "E0000109"), "half-open"},
	} {
		virtually(t, tt.name, func(t *testing.T) {
			rt, base := halfOpen(t, nil)
			base.answers = func(*http.Request) step { return then(tt.answer) }
			do(oktaretry.WithNoRetry(t.Context()), rt, http.MethodGet, usersURL, "")
			for _, c := range rt.Snapshot().Circuits {
				if c.Scope == oktaretry.TripsHost && c.State != tt.state {
					t.Errorf("the host's circuit is %s, want %s", c.State, tt.state)
				}
			}
		})
	}
}

func TestHalfOpenCircuitLetsOneProbeOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := halfOpen(t, nil)
		base.answers = func(*http.Request) step { return slowly(4*time.Second, ok()) }
		probe := start(t, rt, usersURL)
		e := failure[*oktaretry.CircuitOpenError](t, get(t, rt, appsURL).took(t, 0, 0))
		if e.RetryAfter != time.Second {
			t.Errorf("RetryAfter %s, want 1s: the probe's answer decides soon", e.RetryAfter)
		}
		(<-probe).is(t, 200)
		get(t, rt, appsURL).is(t, 200)
	})
}

func TestHalfOpenCircuitClosesAfterAsManySuccessesAsProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := halfOpen(t, func(p *oktaretry.Policy) { p.Breaker.Probes = 2 })
		base.answers = func(*http.Request) step { return slowly(time.Second, ok()) }
		first, second := start(t, rt, usersURL), start(t, rt, usersURL)
		failure[*oktaretry.CircuitOpenError](t, get(t, rt, usersURL))
		(<-first).is(t, 200)
		(<-second).is(t, 200)
		if got := circuits(rt, "closed"); len(got) < 1 || got[0] != hostCircuit {
			t.Errorf("closed are %q, want the host's too", got)
		}
	})
}

func TestProbeThatFailsOpensTheCircuitAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := halfOpen(t, nil)
		base.answers = func(*http.Request) step { return then(bare(503)) }
		get(t, rt, usersURL).is(t, 503).stopped(t, oktaretry.StopCircuitOpen)
		if e := failure[*oktaretry.CircuitOpenError](t, get(t, rt, usersURL)); e.RetryAfter != 5*time.Second {
			t.Errorf("RetryAfter %s, want 5s", e.RetryAfter)
		}
		base.sends(5)
	})
}

func TestProbeThatSaysNothingGivesItsPlaceBack(t *testing.T) {
	for name, a := range map[string]answer{
		"404": bare(404), "429": concurrency(), "501": bare(501), "panic": {panic: "broken base"},
	} {
		virtually(t, name, func(t *testing.T) {
			rt, base := halfOpen(t, nil)
			base.answers = func(*http.Request) step { return then(a) }
			for range 3 {
				func() {
					defer func() {
						if r := recover(); r != a.panic {
							t.Errorf("recovered %v, want %v", r, a.panic)
						}
					}()
					once(t, rt, usersURL)
				}()
			}
			base.sends(4 + 3)
			base.answers = func(*http.Request) step { return then(ok()) }
			get(t, rt, usersURL).is(t, 200)
			get(t, rt, usersURL).is(t, 200)
		})
	}
	t.Run("canceled", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			rt, base := halfOpen(t, nil)
			base.answers = func(*http.Request) step { return then(hangs()) }
			do(cancelAfter(t, time.Second, nil), rt, http.MethodGet, usersURL, "").stopped(t, oktaretry.StopCanceled)
			base.answers = func(*http.Request) step { return then(ok()) }
			get(t, rt, usersURL).is(t, 200)
		})
	})
}

// A place is held for OpenFor, 5 s. The late answer of the first probe comes
// while another is out: what went wrong with it is old, but that it went well
// shows that the server answers. It once counted for nothing, so a server that
// took longer for each answer was refused for ever.
func TestProbeThatHangsGivesItsPlaceBackAndItsLateSuccessCounts(t *testing.T) {
	for _, tt := range []struct {
		late  answer
		state string
	}{{bare(503), "half-open"}, {ok(), "closed"}} {
		virtually(t, fmt.Sprint("and answers ", tt.late.status, " later"), func(t *testing.T) {
			rt, base := halfOpen(t, nil)
			base.answers = func(*http.Request) step { return slowly(30*time.Second, tt.late) }
			hung := make(chan call, 1)
			go func() { hung <- once(t, rt, usersURL) }()
			synctest.Wait()
			time.Sleep(5*time.Second - 1)
			failure[*oktaretry.CircuitOpenError](t, get(t, rt, usersURL))
			time.Sleep(time.Nanosecond)

			// Another has its place now, and is out when the late answer comes.
			base.answers = func(*http.Request) step { return slowly(30*time.Second, ok()) }
			second := start(t, rt, usersURL)
			(<-hung).is(t, tt.late.status)
			if got := circuits(rt, tt.state); len(got) == 0 || got[0] != hostCircuit {
				t.Errorf("%s are %q, want the host's too", tt.state, got)
			}
			(<-second).is(t, 200)
			if got := circuits(rt, "closed"); len(got) == 0 || got[0] != hostCircuit {
				t.Errorf("closed are %q, want the host's too", got)
			}
		})
	}
}

func TestProbesPlaceIsHeldForProbeTimeoutWhereThatIsShorter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := halfOpen(t, func(p *oktaretry.Policy) { p.Breaker.ProbeTimeout = 2 * time.Second })
		base.answers = func(*http.Request) step { return slowly(30*time.Second, ok()) }
		hung := start(t, rt, usersURL)
		time.Sleep(2*time.Second - 1)
		failure[*oktaretry.CircuitOpenError](t, get(t, rt, usersURL))
		time.Sleep(time.Nanosecond)
		base.answers = func(*http.Request) step { return then(ok()) }
		get(t, rt, usersURL).is(t, 200)
		(<-hung).is(t, 200)
	})
}

// Each caller whose call is a probe of a server that hangs would else wait for
// the minute of AttemptTimeout, and a dozen of them at a time.
func TestProbesAttemptIsBoundedByProbeTimeout(t *testing.T) {
	for _, tt := range []struct {
		attempt, probe, want time.Duration
	}{
		{time.Minute, 8 * time.Second, 8 * time.Second},
		{3 * time.Second, 8 * time.Second, 3 * time.Second},
		{0, 8 * time.Second, time.Minute}, // no bound at all: the caller leaves
	} {
		synctest.Test(t, func(t *testing.T) {
			rt, base := halfOpen(t, func(p *oktaretry.Policy) { p.AttemptTimeout, p.Breaker.ProbeTimeout = tt.attempt, tt.probe })
			base.answers = func(*http.Request) step { return then(hangs()) }
			ctx := oktaretry.WithNoRetry(cancelAfter(t, time.Minute, nil))
			do(ctx, rt, http.MethodGet, usersURL, "").took(t, tt.want, tt.want)
		})
	}
}

func TestLateAnswerFromBeforeAStateChangeIsIgnored(t *testing.T) {
	for _, tt := range []struct {
		name  string
		late  answer
		takes time.Duration
		state string
	}{
		{"a success while open", ok(), 2 * time.Second, "open"},
		{"a failure while open", bare(503), 2 * time.Second, "open"},
		{"a success while half-open", ok(), 6 * time.Second, "half-open"},
		{"a failure while half-open", bare(503), 6 * time.Second, "half-open"},
		{"failures while closed again", bare(503), 9 * time.Second, "closed"},
	} {
		virtually(t, tt.name, func(t *testing.T) {
			rt, base := newScript(t, func(p *oktaretry.Policy) { touchy(p); p.AttemptTimeout = 0 })
			base.answers = func(*http.Request) step { return slowly(tt.takes, tt.late) }
			for range 4 {
				go once(t, rt, appsURL)
			}
			synctest.Wait()
			open(t, rt, base, usersURL, bare(503))
			base.answers = func(*http.Request) step { return slowly(3*time.Second, ok()) }
			time.AfterFunc(5*time.Second, func() { once(t, rt, usersURL) }) // the probe
			time.Sleep(tt.takes + 1)
			for _, c := range rt.Snapshot().Circuits {
				if c.Scope != oktaretry.TripsHost {
					continue
				}
				if c.State != tt.state || c.Failures != 0 || c.Successes != 0 {
					t.Errorf("the host's circuit is %s with %d failures and %d successes, want %s with none",
						c.State, c.Failures, c.Successes, tt.state)
				}
				if want := 5*time.Second - tt.takes - 1; c.RetryAfter != max(want, 0) {
					t.Errorf("RetryAfter %s, want %s", c.RetryAfter, max(want, 0))
				}
			}
			time.Sleep(10 * time.Second)
		})
	}
}

func TestOpenCircuitDoesNotDrawOnTheBudget(t *testing.T) {
	one := func(p *oktaretry.Policy) {
		touchy(p)
		p.Budget = oktaretry.Budget{Reserve: 0.1, TTL: 10 * time.Second} // one resend in ten seconds
	}
	t.Run("known to be open before the wait", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			rt, base := newScript(t, one)
			base.answers = func(*http.Request) step { return then(code(500, "E0000009")) }
			for range 3 {
				once(t, rt, usersURL)
			}
			get(t, rt, usersURL).is(t, 500).stopped(t, oktaretry.StopCircuitOpen)
			for range 10 {
				failure[*oktaretry.CircuitOpenError](t, get(t, rt, usersURL))
			}
			steps := []answer{bare(500), ok()}
			base.answers = func(*http.Request) step { a := steps[0]; steps = steps[1:]; return then(a) }
			get(t, rt, appsURL).is(t, 200) // by the only resend
		})
	})
	t.Run("found open after the wait", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			rt, base := newScript(t, one)
			base.answers = func(*http.Request) step { return then(bare(503, set("Retry-After", "3"))) }
			waiting := start(t, rt, usersURL) // has the only resend
			time.Sleep(time.Second)
			open(t, rt, base, usersURL, code(500, "E0000009"))
			(<-waiting).stopped(t, oktaretry.StopCircuitOpen)
			steps := []answer{bare(503), ok()}
			base.answers = func(*http.Request) step { a := steps[0]; steps = steps[1:]; return then(a) }
			get(t, rt, appsURL).is(t, 200) // by the resend that was given back
		})
	})
}

// A hung base and a caller without a deadline: the attempt's own limit ends it,
// and the host's circuit hears of it.
func TestAttemptTimeoutCountsAgainstTheHostAndTheCallersDeadlineDoesNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := newScript(t, touchy) // 3 s for an attempt
		base.answers = func(*http.Request) step { return then(hangs()) }
		failures := func() int { return rt.Snapshot().Circuits[0].Failures }
		ctx, cancel := context.WithTimeout(oktaretry.WithNoRetry(t.Context()), 2*time.Second)
		defer cancel()
		do(ctx, rt, http.MethodGet, usersURL, "").stopped(t, oktaretry.StopCanceled)
		if n := failures(); n != 0 {
			t.Errorf("the caller's deadline counted as %d failures", n)
		}
		once(t, rt, usersURL).took(t, 3*time.Second, 3*time.Second)
		if n := failures(); n != 1 {
			t.Errorf("the attempt's timeout counted as %d failures, want 1", n)
		}
	})
}

type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// A base that is slow to notice the caller's end must not make it look like the
// host's fault.
func TestCallersEndBeforeTheAttemptTimeoutIsTheCallersOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := newTransport(t, roundTripFunc(func(*http.Request) (*http.Response, error) {
			time.Sleep(5 * time.Second) // past the attempt's 3 s
			return nil, errors.New("gave up")
		}), touchy)
		c := do(cancelAfter(t, 2*time.Second, errShutdown), rt, http.MethodGet, usersURL, "").stopped(t, oktaretry.StopCanceled)
		if !errors.Is(c.err, context.Canceled) {
			t.Errorf("error %v, want context.Canceled", c.err)
		}
		if n := rt.Snapshot().Circuits[0].Failures; n != 0 {
			t.Errorf("it counted as %d failures", n)
		}
	})
}

// A client's Timeout is often as long as AttemptTimeout. At that moment the
// attempt's limit may be noticed first, of a context that is still to learn that
// its deadline passed: a quarter of the calls that hung counted against the host.
func TestCallersDeadlineAtTheAttemptTimeoutIsTheCallersOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := newScript(t, touchy) // 3 s for an attempt
		base.answers = func(*http.Request) step { return then(hangs()) }
		slow, cancel := context.WithTimeout(t.Context(), 3*time.Second+time.Millisecond)
		defer cancel()
		ctx := earlyDeadline{slow, time.Now().Add(3 * time.Second)}
		c := do(ctx, rt, http.MethodGet, usersURL, "").stopped(t, oktaretry.StopCanceled)
		if !errors.Is(c.err, context.DeadlineExceeded) {
			t.Errorf("error %v, want context.DeadlineExceeded", c.err)
		}
		if n := rt.Snapshot().Circuits[0].Failures; n != 0 {
			t.Errorf("it counted as %d failures", n)
		}
	})
}

// earlyDeadline is a context whose deadline has passed when it ends.
type earlyDeadline struct {
	context.Context
	deadline time.Time
}

func (c earlyDeadline) Deadline() (time.Time, bool) { return c.deadline, true }
