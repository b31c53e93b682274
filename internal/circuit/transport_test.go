// This file tests circuits through a Transport: what counts against which
// circuit, and what an open circuit does to calls.

package circuit_test

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/internal/rig/script"
)

// openCircuit sends failures to an endpoint until its circuit opens, or by
// script.Fail its host's.
func openCircuit(t *testing.T, rt *oktaretry.Transport, base *script.Base, target string, failure script.Step) {
	t.Helper()
	base.Always(failure)
	for range 4 {
		rig.GetOnce(t, rt, target)
	}
	if len(rig.Circuits(rt, "open")) == 0 {
		t.Fatal("no circuit opened")
	}
}

func TestCircuitCountsByTheRulesScope(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer script.Step
		opens  string // "both": this one endpoint is all that is called
	}{
		{"refused", script.Fail(script.Refused), rig.HostCircuit},
		{"a handshake that fails", script.Fail(errors.New("net/http: TLS handshake timeout")), rig.HostCircuit},
		{"reset", script.Fail(script.Reset), rig.HostCircuit},
		{"another error of the network", script.Fail(&net.OpError{Op: "read", Err: errors.New("lost")}), rig.HostCircuit},

		{"502", script.Bare(502), "both"},
		{"503", script.Bare(503), "both"},
		{"504", script.Bare(504), "both"},
		{"no headers within AttemptTimeout", script.Hang(), "both"},
		{"500", script.Bare(500), rig.UserCircuit},
		{"E0000009", script.Code(500, "E0000009"), rig.UserCircuit},
		{"E0000010", script.Code(503, "E0000010"), rig.UserCircuit},
		{"E0000067", script.Code(504, "E0000067"), rig.UserCircuit},
		{"E0000134, the customer's hook", script.Code(502, "E0000134"), rig.UserCircuit},
		{"E0000138, the telephony provider", script.Code(500, "E0000138"), rig.UserCircuit},

		{"501", script.Bare(501), ""},
		{"E0000060", script.Code(501, "E0000060"), ""},
		{"E0000052", script.Code(501, "E0000052"), ""},
		{"400", script.Bare(400), ""},
		{"401", script.Code(401, "E0000011"), ""},
		{"404", script.Code(404, "E0000007"), ""},
		{"409", script.Code(409, "E0000112"), ""},
		{"429", script.Limited(script.Set("Retry-After", "1")), ""},
		{"429 about less than a bucket", script.Code(429, "E0000109"), ""},
		{"429 of the concurrency limit", script.Concurrency(), ""},
		{"200", script.OK(), ""},
		{"304", script.Bare(304), ""},
		{"pending", script.Reply(202, `{"errorCode":"E0000070"}`), ""},
		{"a bad certificate", script.Fail(x509.UnknownAuthorityError{}), ""},
		{"an unknown host", script.Fail(&net.DNSError{Err: "no such host", IsNotFound: true}), ""},
		{"TLS to a plain server", script.Fail(http.ErrSchemeMismatch), ""},
		{"an unsupported scheme", script.Fail(errors.New("unsupported protocol scheme")), ""},
	} {
		rig.Virtual(t, tt.name, func(t *testing.T) {
			rt, base := rig.New(t, rig.OpensAfter4)
			base.Always(tt.answer)
			for range 10 {
				rig.GetOnce(t, rt, rig.UserURL)
			}
			var want []string
			switch tt.opens {
			case "":
				base.WantSent(10)
			case "both":
				want = []string{rig.HostCircuit, rig.UserCircuit}
				base.WantSent(4)
			default:
				want = []string{tt.opens}
				base.WantSent(4)
			}
			if got := rig.Circuits(rt, "open"); !slices.Equal(got, want) {
				t.Errorf("open are %q, want %q", got, want)
			}
		})
	}
}

func TestCircuitIgnoresTheCallersOwnEnd(t *testing.T) {
	deadline := func(d time.Duration) func(context.Context) (context.Context, context.CancelFunc) {
		return func(ctx context.Context) (context.Context, context.CancelFunc) { return context.WithTimeout(ctx, d) }
	}
	cancellation := func(d time.Duration) func(context.Context) (context.Context, context.CancelFunc) {
		return func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(d, cancel)
			return ctx, cancel
		}
	}
	for name, tt := range map[string]struct {
		ctx  func(context.Context) (context.Context, context.CancelFunc)
		stop oktaretry.StopReason
	}{
		"deadline before SlowAfter":    {deadline(5*time.Second - 1), oktaretry.StopDeadline},
		"cancellation":                 {cancellation(time.Second), oktaretry.StopCanceled},
		"cancellation after SlowAfter": {cancellation(50 * time.Second), oktaretry.StopCanceled},
	} {
		rig.Virtual(t, name, func(t *testing.T) {
			rt, base := rig.New(t, func(p *oktaretry.Policy) {
				rig.OpensAfter4(p)
				p.AttemptTimeout = time.Minute
			})
			base.Always(script.Hang())
			for range 10 {
				ctx, cancel := tt.ctx(t.Context())
				rig.Do(t, ctx, rt, http.MethodGet, rig.UserURL, "").Stopped(tt.stop)
				cancel()
			}
			base.WantSent(10)
			for _, c := range rt.Snapshot().Circuits {
				if c.State != "closed" || c.Failures != 0 || c.Successes != 0 {
					t.Errorf("circuit %+v", c)
				}
			}
		})
	}
}

// 300 calls of a hung host, each given up after 10 s by its caller's own deadline,
// once opened no circuit and were reported as canceled.
func TestDeadlinesThatPassAtAHungHostOpenItsCircuit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := rig.New(t, nil)
		base.Always(script.Hang())
		var all sync.WaitGroup
		var refused, expired atomic.Int64
		for i := range 300 {
			all.Go(func() {
				time.Sleep(time.Duration(i) * 200 * time.Millisecond)
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				path := []string{"/api/v1/users/00u1", "/api/v1/groups/00g1"}[i%2]
				switch c := rig.Do(t, ctx, rt, http.MethodGet, path, ""); c.Outcome.Stop {
				case oktaretry.StopCircuitOpen:
					refused.Add(1)
				case oktaretry.StopDeadline:
					expired.Add(1)
				default:
					t.Errorf("stopped because of %s", c.Outcome.Stop)
				}
			})
		}
		all.Wait()
		t.Logf("%d refused, %d met their deadline", refused.Load(), expired.Load())
		if refused.Load() < 200 || expired.Load() < 20 {
			t.Errorf("%d calls were refused and %d met their deadline, want nearly all refused", refused.Load(), expired.Load())
		}
		c := rig.Get(t, rt, rig.UserURL)
		if e := rig.Failure[*oktaretry.CircuitOpenError](c); e.Failure != "timeout" {
			t.Errorf("opened by %q, want the timeout", e.Failure)
		}
	})
}

func TestCircuitFollowsTheUsersRule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := rig.New(t, func(p *oktaretry.Policy) {
			rig.OpensAfter4(p)
			p.ServerError.Trips = oktaretry.TripsNothing
			p.ClientError.Trips = oktaretry.TripsEndpoint
		})
		base.Always(script.Bare(503))
		for range 10 {
			rig.GetOnce(t, rt, rig.UserURL)
		}
		if got := rig.Circuits(rt, "open"); got != nil {
			t.Errorf("open are %q, want none", got)
		}
		openCircuit(t, rt, base, rig.UserURL, script.Bare(404))
		if got := rig.Circuits(rt, "open"); !slices.Equal(got, []string{rig.UserCircuit}) {
			t.Errorf("open are %q, want %q", got, rig.UserCircuit)
		}
	})
}

func TestOpenEndpointCircuitLeavesTheOthersClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := rig.New(t, rig.OpensAfter4)
		openCircuit(t, rt, base, rig.UserURL, script.Code(500, "E0000009"))
		base.Always(script.OK())
		rig.Failure[*oktaretry.CircuitOpenError](rig.Get(t, rt, rig.Org+"/api/v1/users/00u2").TookBetween(0, 0))
		rig.Get(t, rt, rig.AppURL).Is(200)
		rig.Get(t, rt, rig.Org+"/api/v1/users/00u1/groups").Is(200)
		rig.Get(t, rt, "https://other.okta.com/api/v1/users/00u1").Is(200)
		rig.Do(t, t.Context(), rt, http.MethodDelete, rig.UserURL, "").Is(200)
	})
}

func TestOpenHostCircuitLeavesOtherHostsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := rig.New(t, rig.OpensAfter4)
		openCircuit(t, rt, base, rig.UserURL, script.Fail(script.Reset))
		base.Always(script.OK())
		for _, target := range []string{rig.UserURL, rig.AppURL, "https://EXAMPLE.okta.com/api/v1/groups"} {
			rig.Failure[*oktaretry.CircuitOpenError](rig.Get(t, rt, target).TookBetween(0, 0))
		}
		rig.Get(t, rt, "https://other.okta.com/api/v1/users/00u1").Is(200)
	})
}

func TestOpenCircuitRefusesAtOnceWithRetryAfter(t *testing.T) {
	for _, tt := range []struct {
		failure script.Step
		want    oktaretry.CircuitOpenError
	}{
		{script.Fail(script.Reset), oktaretry.CircuitOpenError{
			Scope: oktaretry.TripsHost, Class: oktaretry.ClassNetwork, Failure: "connection reset by peer"}},
		{script.Code(500, "E0000009"), oktaretry.CircuitOpenError{
			Scope: oktaretry.TripsEndpoint, Class: oktaretry.ClassServerError, Code: "E0000009", Failure: "500"}},
	} {
		rig.Virtual(t, tt.want.Scope.String(), func(t *testing.T) {
			rt, base := rig.New(t, rig.OpensAfter4)
			openCircuit(t, rt, base, rig.UserURL, tt.failure)
			tt.want.Since = time.Now()
			time.Sleep(2 * time.Second)
			base.Always(script.OK())
			c := rig.Get(t, rt, rig.UserURL).Stopped(oktaretry.StopCircuitOpen).TookBetween(0, 0)
			e := rig.Failure[*oktaretry.CircuitOpenError](c)
			want := tt.want
			want.Method, want.Host, want.Template, want.RetryAfter = "GET", "example.okta.com", "/api/v1/users/{id}", 3*time.Second
			if *e != want {
				t.Errorf("got %+v, want %+v", *e, want)
			}
			if c.Outcome.Needed != e.RetryAfter || len(c.Outcome.Attempts) != 0 {
				t.Errorf("the outcome tells of %s needed and %d attempts", c.Outcome.Needed, len(c.Outcome.Attempts))
			}
			base.WantSent(4)

			time.Sleep(e.RetryAfter - 1)
			rig.Failure[*oktaretry.CircuitOpenError](rig.Get(t, rt, rig.UserURL))
			time.Sleep(time.Nanosecond)
			rig.Get(t, rt, rig.UserURL).Is(200)
			if got := rig.Circuits(rt, "open"); got != nil {
				t.Errorf("still open: %q", got)
			}
		})
	}
}

func TestDisabledBreakerRefusesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := rig.New(t, func(p *oktaretry.Policy) { p.Breaker.Disabled = true })
		base.Always(script.Bare(503))
		for range 100 {
			rig.GetOnce(t, rt, rig.UserURL).Is(503)
		}
		base.WantSent(100)
		if n := len(rt.Snapshot().Circuits); n != 0 {
			t.Errorf("there are %d circuits", n)
		}
	})
}

func TestSetPolicyWithAnotherBreakerStartsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := rig.New(t, rig.OpensAfter4)
		openCircuit(t, rt, base, rig.UserURL, script.Bare(503))
		base.Always(script.OK())
		p := oktaretry.DefaultPolicy()
		rig.OpensAfter4(&p)
		p.RateLimited.MaxElapsed = time.Minute
		if err := rt.SetPolicy(p); err != nil {
			t.Fatal(err)
		}
		rig.Failure[*oktaretry.CircuitOpenError](rig.Get(t, rt, rig.UserURL)) // nothing of the breaker changed
		p.Breaker.MinCalls = 5
		if err := rt.SetPolicy(p); err != nil {
			t.Fatal(err)
		}
		rig.Get(t, rt, rig.UserURL).Is(200)
	})
}

// gobreaker counts an answer at the time of its request. Attempts that hang for
// a minute were older than the window of half a minute when they ended, and a
// host that hung every call never opened its circuit.
func TestHangingHostOpensItsCircuit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := script.Repeat(t, script.Hang())
		tr := rig.Over(t, base, nil)
		var calls sync.WaitGroup
		for range oktaretry.DefaultPolicy().Breaker.MinCalls {
			calls.Go(func() { rig.GetOnce(t, tr, rig.UserURL) })
		}
		calls.Wait()
		if e := rig.Failure[*oktaretry.CircuitOpenError](rig.GetOnce(t, tr, rig.UserURL)); e.Scope != oktaretry.TripsHost {
			t.Errorf("refused by the %s's circuit, want the host's", e.Scope)
		}
	})
}
