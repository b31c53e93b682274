// This file tests circuits in motion through a Transport: what opens during a
// call, what calls a half-open circuit lets out, and what becomes of calls that
// were a probe.

package circuit_test

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/internal/rig/script"
)

func TestCircuitThatOpensDuringACallEndsItWithItsLastAnswer(t *testing.T) {
	const text = `{"errorCode":"E0000010","errorSummary":"read only"}`
	synctest.Test(t, func(t *testing.T) {
		rt, base := rig.New(t, func(p *oktaretry.Policy) { p.Breaker.MinCalls = 2 },
			script.Bare(503), script.Reply(502, "down"), script.OK())
		c := rig.Get(t, rt, rig.UserURL).Is(502).Stopped(oktaretry.StopCircuitOpen).Reads("down")
		c.TookBetween(250*time.Millisecond, 750*time.Millisecond)
		if c.Outcome.Needed != 5*time.Second {
			t.Errorf("needed %s, want 5s", c.Outcome.Needed)
		}
		base.WantSent(2)
	})
	t.Run("opened by others during its backoff", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			rt, base := rig.New(t, func(p *oktaretry.Policy) { rig.OpensAfter4(p); p.ServerError.Jitter = 0 })
			base.Always(script.Reply(503, text, script.Set("Retry-After", "3")))
			waiting := rig.Start(t, rt, rig.UserURL)
			time.Sleep(time.Second)
			openCircuit(t, rt, base, rig.UserURL, script.Code(500, "E0000009"))
			c := (<-waiting).Is(503).Stopped(oktaretry.StopCircuitOpen).Reads(text)
			c.TookBetween(3*time.Second, 3*time.Second)
			if c.Outcome.Needed != 3*time.Second {
				t.Errorf("needed %s, want 3s", c.Outcome.Needed)
			}
		})
	})
	t.Run("of a rate limit", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			rt, base := rig.New(t, rig.OpensAfter4)
			base.Always(script.Limited(script.Set("Retry-After", "3")))
			waiting := rig.Start(t, rt, rig.UserURL)
			time.Sleep(time.Second)
			openCircuit(t, rt, base, rig.AppURL, script.Fail(script.Reset))
			c := (<-waiting).Stopped(oktaretry.StopCircuitOpen).TookBetween(3*time.Second, 3*time.Second+rig.Spread)
			e := rig.Failure[*oktaretry.RateLimitError](c)
			if e.Code != "E0000047" || e.RetryAfter > 3*time.Second || e.RetryAfter < 3*time.Second-rig.Spread {
				t.Errorf("code %s, RetryAfter %s; want E0000047, 3s", e.Code, e.RetryAfter)
			}
		})
	})
}

func TestCallWaitsOutACircuitThatOpensForNoLongerThanItsBackoff(t *testing.T) {
	for seconds := 5; seconds <= 6; seconds++ {
		synctest.Test(t, func(t *testing.T) {
			rt, base := rig.New(t, func(p *oktaretry.Policy) {
				p.Breaker.MinCalls, p.Breaker.OpenFor, p.ServerError.Jitter = 2, 5*time.Second, 0
			}, script.Bare(503), script.Bare(503, script.Set("Retry-After", strconv.Itoa(seconds))), script.OK().After(time.Duration(seconds)*time.Second, 0))
			rig.Get(t, rt, rig.UserURL).Is(200)
			base.WantSent(3)
		})
	}
}

func TestRefusalByOneCircuitReturnsTheOthersSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := rig.New(t, rig.OpensAfter4)
		base.Always(script.OK())
		rig.GetOnce(t, rt, rig.UserURL) // so that the bucket is known to have no limit
		// The endpoint's circuit opens three seconds after the host's, by calls
		// that were on their way before that.
		base.Always(script.Code(500, "E0000009").Takes(2900 * time.Millisecond))
		for range 4 {
			go rig.GetOnce(t, rt, rig.UserURL)
		}
		synctest.Wait()
		openCircuit(t, rt, base, rig.AppURL, script.Fail(script.Refused))
		time.Sleep(5 * time.Second)
		base.Always(script.OK())
		if e := rig.Failure[*oktaretry.CircuitOpenError](rig.Get(t, rt, rig.UserURL)); e.Scope != oktaretry.TripsEndpoint {
			t.Fatalf("refused by the %s's circuit, want the endpoint's", e.Scope)
		}
		rig.Get(t, rt, rig.AppURL).Is(200) // the host's only probe
	})
}

// halfOpenHost opens the host's circuit and waits until it lets a probe out.
func halfOpenHost(t *testing.T, edit func(*oktaretry.Policy)) (*oktaretry.Transport, *script.Base) {
	t.Helper()
	rt, base := rig.New(t, func(p *oktaretry.Policy) {
		rig.OpensAfter4(p)
		p.AttemptTimeout = 0
		if edit != nil {
			edit(p)
		}
	})
	openCircuit(t, rt, base, rig.UserURL, script.Fail(script.Reset))
	time.Sleep(5 * time.Second)
	return rt, base
}

// A program that only asks for what may be missing never gets a 2xx. Were a 404
// neutral to a half-open circuit too, it would stay half-open for ever and
// refuse all calls but one at a time.
func TestHalfOpenCircuitIsClosedByA404AndNotByA429(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer script.Step
		state  string
	}{
		{"404", script.Code(404, "E0000007"), "closed"},
		{"401", script.Code(401, "E0000011"), "closed"},
		{"429", script.Code(429, "E0000109"), "half-open"},
	} {
		rig.Virtual(t, tt.name, func(t *testing.T) {
			rt, base := halfOpenHost(t, nil)
			base.Always(tt.answer)
			rig.Do(t, oktaretry.WithNoRetry(t.Context()), rt, http.MethodGet, rig.UserURL, "")
			for _, c := range rt.Snapshot().Circuits {
				if c.Scope == oktaretry.TripsHost && c.State != tt.state {
					t.Errorf("the host's circuit is %s, want %s", c.State, tt.state)
				}
			}
		})
	}
}

func TestFailedProbeOpensTheCircuitAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := halfOpenHost(t, nil)
		base.Always(script.Bare(503))
		rig.Get(t, rt, rig.UserURL).Is(503).Stopped(oktaretry.StopCircuitOpen)
		if e := rig.Failure[*oktaretry.CircuitOpenError](rig.Get(t, rt, rig.UserURL)); e.RetryAfter != 5*time.Second {
			t.Errorf("RetryAfter %s, want 5s", e.RetryAfter)
		}
		base.WantSent(5)
	})
}

func TestProbeWithoutAVerdictReturnsItsSlot(t *testing.T) {
	for name, a := range map[string]script.Step{
		"404": script.Bare(404), "429": script.Concurrency(), "501": script.Bare(501), "panic": {Panic: "broken base"},
	} {
		rig.Virtual(t, name, func(t *testing.T) {
			rt, base := halfOpenHost(t, nil)
			base.Always(a)
			for range 3 {
				func() {
					defer func() {
						if r := recover(); r != a.Panic {
							t.Errorf("recovered %v, want %v", r, a.Panic)
						}
					}()
					rig.GetOnce(t, rt, rig.UserURL)
				}()
			}
			base.WantSent(4 + 3)
			base.Always(script.OK())
			rig.Get(t, rt, rig.UserURL).Is(200)
			rig.Get(t, rt, rig.UserURL).Is(200)
		})
	}
	t.Run("canceled", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			rt, base := halfOpenHost(t, nil)
			base.Always(script.Hang())
			rig.Do(t, rig.CancelAfter(t, time.Second, nil), rt, http.MethodGet, rig.UserURL, "").Stopped(oktaretry.StopCanceled)
			base.Always(script.OK())
			rig.Get(t, rt, rig.UserURL).Is(200)
		})
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
		for _, method := range []string{http.MethodGet, http.MethodPost} { // a create that is no probe has longer
			for _, own := range []bool{false, true} {
				synctest.Test(t, func(t *testing.T) {
					rt, base := halfOpenHost(t, func(p *oktaretry.Policy) {
						p.Breaker.ProbeTimeout = tt.probe
						if !own {
							p.AttemptTimeout = tt.attempt
						}
					})
					base.Always(script.Hang())
					ctx := oktaretry.WithNoRetry(rig.CancelAfter(t, time.Minute, nil))
					if own {
						ctx = oktaretry.WithAttemptTimeout(ctx, tt.attempt)
					}
					rig.Do(t, ctx, rt, method, rig.UserURL, "").TookBetween(tt.want, tt.want)
				})
			}
		}
	}
}

// A create may take three times AttemptTimeout, but not of a host that hangs: its
// caller would wait for nothing, and the next calls with it.
func TestAttemptBeyondItsTimeoutEndsWhenACircuitOpens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := rig.New(t, func(p *oktaretry.Policy) { p.Breaker.MinCalls, p.AttemptTimeout = 4, time.Minute })
		base.Always(script.Hang())
		ended := make(chan rig.Call, 1)
		go func() { ended <- rig.Do(t, t.Context(), rt, http.MethodPost, rig.AppURL, "{}") }()
		time.Sleep(100*time.Second + 1)
		openCircuit(t, rt, base, rig.UserURL, script.Fail(script.Refused))
		c := (<-ended).Stopped(oktaretry.StopNotIdempotent).TookBetween(100*time.Second, 101*time.Second)
		if text := "within 1m41s"; !strings.Contains(c.Err.Error(), text) {
			t.Errorf("%q does not contain %q", c.Err, text)
		}
	})
}

func TestOpenCircuitDoesNotDrawOnTheBudget(t *testing.T) {
	one := func(p *oktaretry.Policy) {
		rig.OpensAfter4(p)
		p.Budget = oktaretry.Budget{Reserve: 0.1, TTL: 10 * time.Second} // one resend in ten seconds
	}
	t.Run("known to be open before the wait", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			rt, base := rig.New(t, one)
			base.Always(script.Code(500, "E0000009"))
			for range 3 {
				rig.GetOnce(t, rt, rig.UserURL)
			}
			rig.Get(t, rt, rig.UserURL).Is(500).Stopped(oktaretry.StopCircuitOpen)
			for range 10 {
				rig.Failure[*oktaretry.CircuitOpenError](rig.Get(t, rt, rig.UserURL))
			}
			steps := []script.Step{script.Bare(500), script.OK()}
			base.Choose(func(*http.Request) script.Step { a := steps[0]; steps = steps[1:]; return a })
			rig.Get(t, rt, rig.AppURL).Is(200) // by the only resend
		})
	})
	t.Run("found open after the wait", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			rt, base := rig.New(t, one)
			base.Always(script.Bare(503, script.Set("Retry-After", "3")))
			waiting := rig.Start(t, rt, rig.UserURL) // has the only resend
			time.Sleep(time.Second)
			openCircuit(t, rt, base, rig.UserURL, script.Code(500, "E0000009"))
			(<-waiting).Stopped(oktaretry.StopCircuitOpen)
			steps := []script.Step{script.Bare(503), script.OK()}
			base.Choose(func(*http.Request) script.Step { a := steps[0]; steps = steps[1:]; return a })
			rig.Get(t, rt, rig.AppURL).Is(200) // by the resend that was given back
		})
	})
}

// A hung base and a caller without a deadline: the attempt's own limit ends it,
// and the host's circuit hears of it. A deadline that comes soon says nothing.
func TestAttemptTimeoutCountsAgainstTheHostAndAnEarlyDeadlineDoesNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := rig.New(t, rig.OpensAfter4) // 3 s for an attempt
		base.Always(script.Hang())
		failures := func() int { return rt.Snapshot().Circuits[0].Failures }
		ctx, cancel := context.WithTimeout(oktaretry.WithNoRetry(t.Context()), 2*time.Second)
		defer cancel()
		rig.Do(t, ctx, rt, http.MethodGet, rig.UserURL, "").Stopped(oktaretry.StopDeadline)
		if n := failures(); n != 0 {
			t.Errorf("the caller's deadline counted as %d failures", n)
		}
		ctx = oktaretry.WithAttemptTimeout(oktaretry.WithNoRetry(t.Context()), 3*time.Second)
		rig.Do(t, ctx, rt, http.MethodGet, rig.UserURL, "").TookBetween(3*time.Second, 3*time.Second)
		if n := failures(); n != 1 {
			t.Errorf("the attempt's timeout counted as %d failures, want 1", n)
		}
	})
}

// A base that is slow to notice the caller's end must not make it look like the
// host's fault.
func TestCallersEndBeforeTheAttemptTimeoutIsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := rig.Over(t, script.Func(func(*http.Request) (*http.Response, error) {
			time.Sleep(5 * time.Second) // past the attempt's 3 s
			return nil, errors.New("gave up")
		}), rig.OpensAfter4)
		c := rig.Do(t, rig.CancelAfter(t, 2*time.Second, errors.New("shutting down")), rt, http.MethodGet, rig.UserURL, "").Stopped(oktaretry.StopCanceled)
		if !errors.Is(c.Err, context.Canceled) {
			t.Errorf("error %v, want context.Canceled", c.Err)
		}
		if n := rt.Snapshot().Circuits[0].Failures; n != 0 {
			t.Errorf("it counted as %d failures", n)
		}
	})
}

// A client's Timeout is often as long as AttemptTimeout. At that moment the
// attempt's limit may be noticed first, of a context that is still to learn that
// its deadline passed: a quarter of the calls that hung counted against the host.
func TestCallersDeadlineAtTheAttemptTimeoutIsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := rig.New(t, rig.OpensAfter4) // 3 s for an attempt
		base.Always(script.Hang())
		slow, cancel := context.WithTimeout(t.Context(), 3*time.Second+time.Millisecond)
		defer cancel()
		ctx := earlyDeadline{slow, time.Now().Add(3 * time.Second)}
		c := rig.Do(t, ctx, rt, http.MethodGet, rig.UserURL, "").Stopped(oktaretry.StopDeadline)
		if !errors.Is(c.Err, context.DeadlineExceeded) {
			t.Errorf("error %v, want context.DeadlineExceeded", c.Err)
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

// unlinked is a pending answer without a place of its result: a GET repeats
// itself to poll.
var unlinked = script.Reply(202, `{"errorCode":"E0000070","errorSummary":"Waiting for ACK","_links":null}`)

// A call whose first attempt was a probe is, once the circuit has closed, a call
// like others: its further attempts have all the time of AttemptTimeout.
func TestLaterAttemptsOfAProbingCallHaveTheFullTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := halfOpenHost(t, func(p *oktaretry.Policy) { p.AttemptTimeout = time.Minute })
		n := 0
		base.Choose(func(*http.Request) script.Step {
			if n++; n == 1 {
				return unlinked
			}
			return script.OK().Takes(30 * time.Second)
		})
		rig.Get(t, rt, rig.UserURL).Is(200)
		if n != 2 {
			t.Errorf("%d attempts, want 2", n)
		}
	})
}

func TestLaterFailuresOfAProbingCallCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := halfOpenHost(t, func(p *oktaretry.Policy) {
			p.Budget.Disabled = true
			p.Network.MaxAttempts, p.Network.MaxElapsed = 20, 0
			p.Network.MaxWait = p.Network.InitialWait // or one waits until the circuit lets a probe out
		})
		n := 0
		base.Choose(func(*http.Request) script.Step {
			if n++; n == 1 {
				return unlinked
			}
			return script.Fail(script.Reset)
		})
		rig.Get(t, rt, rig.UserURL).Stopped(oktaretry.StopCircuitOpen)
		if n != 5 {
			t.Errorf("%d requests, want the probe and the 4 that open the circuit again", n)
		}
	})
}

// A half-open circuit that wants two successes is not closed by one probe and a
// poll that went somewhere else.
func TestPollOfAnotherEndpointIsNoSecondProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := rig.New(t, func(p *oktaretry.Policy) {
			rig.OpensAfter4(p)
			p.Breaker.Probes = 2
		})
		openCircuit(t, rt, base, rig.UserURL, script.Code(500, "E0000009")) // the endpoint's circuit only
		time.Sleep(5 * time.Second)
		n := 0
		base.Choose(func(*http.Request) script.Step {
			if n++; n == 1 {
				return script.Reply(202, `{"errorCode":"E0000070","_links":{"poll":{"href":"/api/v1/apps"}}}`)
			}
			return script.OK()
		})
		rig.Get(t, rt, rig.UserURL).Is(200)
		for _, c := range rig.Circuits(rt, "closed") {
			if c == rig.UserCircuit {
				t.Error("one probe has closed a circuit that wants two")
			}
		}
	})
}
