package oktaretry_test

// This file tests what counts against which circuit, and what an open circuit
// does to calls.

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry"
)

// touchy is a breaker that opens after four answers, half of them failed, for
// five seconds.
func touchy(p *oktaretry.Policy) {
	p.Breaker.MinCalls, p.Breaker.FailureRatio = 4, 0.5
	p.AttemptTimeout = 3 * time.Second
}

// once sends a GET that is not retried.
func once(t testing.TB, rt http.RoundTripper, target string) call {
	return do(oktaretry.WithNoRetry(t.Context()), rt, http.MethodGet, target, "")
}

// open sends failures to an endpoint until its circuit, or its host's, opens.
func open(t *testing.T, rt *oktaretry.Transport, base *script, target string, failure answer) {
	t.Helper()
	base.answers = func(*http.Request) step { return then(failure) }
	for range 4 {
		once(t, rt, target)
	}
	if len(circuits(rt, "open")) == 0 {
		t.Fatal("no circuit opened")
	}
}

// circuits returns those in a state, as "host example.okta.com" and
// "endpoint GET example.okta.com/api/v1/users/{id}".
func circuits(rt *oktaretry.Transport, state string) []string {
	var found []string
	for _, c := range rt.Snapshot().Circuits {
		switch {
		case c.State != state:
		case c.Scope == oktaretry.TripsHost:
			found = append(found, "host "+c.Host)
		default:
			found = append(found, fmt.Sprintf("endpoint %s %s%s", c.Method, c.Host, c.Template))
		}
	}
	return found
}

const (
	hostCircuit  = "host example.okta.com"
	usersCircuit = "endpoint GET example.okta.com/api/v1/users/{id}"
)

func TestCircuitCountsWhatTheRuleSays(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer answer
		opens  string
	}{
		{"502", bare(502), hostCircuit},
		{"503", bare(503), hostCircuit},
		{"504", bare(504), hostCircuit},
		{"refused", fails(refused), hostCircuit},
		{"reset", fails(&net.OpError{Op: "read", Err: errors.New("connection reset by peer")}), hostCircuit},
		{"no headers within AttemptTimeout", hangs(), hostCircuit},

		{"500", bare(500), usersCircuit},
		{"E0000009", code(500, "E0000009"), usersCircuit},
		{"E0000010", code(503, "E0000010"), usersCircuit},
		{"E0000067", code(504, "E0000067"), usersCircuit},
		{"E0000134, the customer's hook", code(502, "E0000134"), usersCircuit},
		{"E0000138, the telephony provider", code(500, "E0000138"), usersCircuit},

		{"501", bare(501), ""},
		{"E0000060", code(501, "E0000060"), ""},
		{"E0000052", code(501, "E0000052"), ""},
		{"400", bare(400), ""},
		{"401", code(401, "E0000011"), ""},
		{"404", code(404, "E0000007"), ""},
		{"409", code(409, "E0000112"), ""},
		{"429", limited(set("Retry-After", "1")), ""},
		{"429 about less than a bucket", code(429, "E0000109"), ""},
		{"429 of the concurrency limit", concurrency(), ""},
		{"200", ok(), ""},
		{"304", bare(304), ""},
		{"pending", says(202, `{"errorCode":"E0000070"}`), ""},
		{"a bad certificate", fails(x509.UnknownAuthorityError{}), ""},
		{"an unknown host", fails(&net.DNSError{Err: "no such host", IsNotFound: true}), ""},
	} {
		virtually(t, tt.name, func(t *testing.T) {
			rt, base := newScript(t, touchy)
			base.answers = func(*http.Request) step { return then(tt.answer) }
			for range 10 {
				once(t, rt, usersURL)
			}
			var want []string
			if tt.opens != "" {
				want = []string{tt.opens}
				base.sends(4)
			}
			if got := circuits(rt, "open"); !slices.Equal(got, want) {
				t.Errorf("open are %q, want %q", got, want)
			}
		})
	}
}

func TestCircuitIgnoresTheCallersOwnEnd(t *testing.T) {
	for name, ctx := range map[string]func(context.Context) (context.Context, context.CancelFunc){
		"deadline": func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, time.Second)
		},
		"cancellation": func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(time.Second, cancel)
			return ctx, cancel
		},
	} {
		virtually(t, name, func(t *testing.T) {
			rt, base := newScript(t, touchy)
			base.answers = func(*http.Request) step { return then(hangs()) }
			for range 10 {
				ctx, cancel := ctx(t.Context())
				do(ctx, rt, http.MethodGet, usersURL, "").stopped(t, oktaretry.StopCanceled)
				cancel()
			}
			base.sends(10)
			for _, c := range rt.Snapshot().Circuits {
				if c.State != "closed" || c.Failures != 0 || c.Successes != 0 {
					t.Errorf("circuit %+v", c)
				}
			}
		})
	}
}

func TestCircuitFollowsTheUsersRule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := newScript(t, func(p *oktaretry.Policy) {
			touchy(p)
			p.ServerError.Trips = oktaretry.TripsNothing
			p.ClientError.Trips = oktaretry.TripsEndpoint
		})
		base.answers = func(*http.Request) step { return then(bare(503)) }
		for range 10 {
			once(t, rt, usersURL)
		}
		if got := circuits(rt, "open"); got != nil {
			t.Errorf("open are %q, want none", got)
		}
		open(t, rt, base, usersURL, bare(404))
		if got := circuits(rt, "open"); !slices.Equal(got, []string{usersCircuit}) {
			t.Errorf("open are %q, want %q", got, usersCircuit)
		}
	})
}

func TestCircuitOpensAtItsRatioOnly(t *testing.T) {
	for _, tt := range []struct {
		name    string
		answers []answer // over and over, 100 calls
		opens   bool
	}{
		{"all fail", []answer{bare(503)}, true},
		{"half fail", []answer{ok(), bare(503)}, true},
		{"a third fails", []answer{ok(), ok(), bare(503)}, false},
		{"half fail, and others are neutral", []answer{ok(), bare(404), bare(503), bare(404), bare(404)}, true},
		{"neutral ones count for no success", []answer{bare(404), bare(404), bare(404), bare(503)}, true},
	} {
		virtually(t, tt.name, func(t *testing.T) {
			rt, base := newScript(t, touchy)
			base.answers = func(*http.Request) step { return then(tt.answers[(len(base.sent))%len(tt.answers)]) }
			for range 100 {
				once(t, rt, usersURL)
			}
			if opened := len(circuits(rt, "open")) > 0; opened != tt.opens {
				t.Errorf("a circuit is open: %t, want %t", opened, tt.opens)
			}
		})
	}
}

func TestCircuitForgetsWhatIsOlderThanItsWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := newScript(t, touchy)
		base.answers = func(*http.Request) step { return then(bare(503)) }
		for range 10 {
			once(t, rt, usersURL)
			if got := circuits(rt, "closed"); len(got) != 2 {
				t.Fatalf("closed are %q, want both: there were three failures in 30 s", got)
			}
			time.Sleep(11 * time.Second)
		}
	})
}

// The window rolls: it does not begin anew every 30 s, forgetting a second's
// failures.
func TestCircuitRemembersWhatIsYoungerThanItsWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := newScript(t, touchy)
		base.answers = func(*http.Request) step { return then(bare(404)) }
		once(t, rt, usersURL) // the first window begins
		base.answers = func(*http.Request) step { return then(bare(503)) }
		time.Sleep(28 * time.Second)
		for range 3 {
			once(t, rt, usersURL)
		}
		time.Sleep(4 * time.Second)
		once(t, rt, usersURL)
		if got := circuits(rt, "open"); !slices.Equal(got, []string{hostCircuit}) {
			t.Errorf("open are %q, want %q", got, hostCircuit)
		}
	})
}

// By default an attempt may hang for twice as long as the window: that counts
// when it is known, not when it was sent.
func TestCircuitCountsAttemptsThatHungForLongerThanItsWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := newScript(t, func(p *oktaretry.Policy) { p.Breaker.MinCalls = 4 })
		base.answers = func(*http.Request) step { return then(hangs()) }
		for range 4 {
			go once(t, rt, usersURL)
		}
		time.Sleep(time.Minute + time.Second + 1) // the bucket is unknown, so the fourth went a second later
		if got := circuits(rt, "open"); !slices.Equal(got, []string{hostCircuit}) {
			t.Errorf("open are %q, want %q", got, hostCircuit)
		}
	})
}

func TestOpenEndpointCircuitLeavesTheOthersClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := newScript(t, touchy)
		open(t, rt, base, usersURL, code(500, "E0000009"))
		base.answers = func(*http.Request) step { return then(ok()) }
		failure[*oktaretry.CircuitOpenError](t, get(t, rt, org+"/api/v1/users/00u2").took(t, 0, 0))
		get(t, rt, appsURL).is(t, 200)
		get(t, rt, org+"/api/v1/users/00u1/groups").is(t, 200)
		get(t, rt, "https://other.okta.com/api/v1/users/00u1").is(t, 200)
		do(t.Context(), rt, http.MethodDelete, usersURL, "").is(t, 200)
	})
}

func TestOpenHostCircuitLeavesOtherHostsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := newScript(t, touchy)
		open(t, rt, base, usersURL, bare(503))
		base.answers = func(*http.Request) step { return then(ok()) }
		for _, target := range []string{usersURL, appsURL, "https://EXAMPLE.okta.com/api/v1/groups"} {
			failure[*oktaretry.CircuitOpenError](t, get(t, rt, target).took(t, 0, 0))
		}
		get(t, rt, "https://other.okta.com/api/v1/users/00u1").is(t, 200)
	})
}

func TestOpenCircuitAnswersAtOnceAndSaysWhenToComeBack(t *testing.T) {
	for _, tt := range []struct {
		failure answer
		want    oktaretry.CircuitOpenError
	}{
		{bare(503), oktaretry.CircuitOpenError{Scope: oktaretry.TripsHost}},
		{code(500, "E0000009"), oktaretry.CircuitOpenError{Scope: oktaretry.TripsEndpoint}},
	} {
		virtually(t, tt.want.Scope.String(), func(t *testing.T) {
			rt, base := newScript(t, touchy)
			open(t, rt, base, usersURL, tt.failure)
			time.Sleep(2 * time.Second)
			base.answers = func(*http.Request) step { return then(ok()) }
			c := get(t, rt, usersURL).stopped(t, oktaretry.StopCircuitOpen).took(t, 0, 0)
			e := failure[*oktaretry.CircuitOpenError](t, c)
			want := tt.want
			want.Method, want.Host, want.Template, want.RetryAfter = "GET", "example.okta.com", "/api/v1/users/{id}", 3*time.Second
			if *e != want {
				t.Errorf("got %+v, want %+v", *e, want)
			}
			if c.outcome.Needed != e.RetryAfter || len(c.outcome.Attempts) != 0 {
				t.Errorf("the outcome tells of %s needed and %d attempts", c.outcome.Needed, len(c.outcome.Attempts))
			}
			base.sends(4)

			time.Sleep(e.RetryAfter - 1)
			failure[*oktaretry.CircuitOpenError](t, get(t, rt, usersURL))
			time.Sleep(time.Nanosecond)
			get(t, rt, usersURL).is(t, 200)
			if got := circuits(rt, "open"); got != nil {
				t.Errorf("still open: %q", got)
			}
		})
	}
}

func TestDisabledBreakerRefusesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := newScript(t, func(p *oktaretry.Policy) { p.Breaker.Disabled = true })
		base.answers = func(*http.Request) step { return then(bare(503)) }
		for range 100 {
			once(t, rt, usersURL).is(t, 503)
		}
		base.sends(100)
		if n := len(rt.Snapshot().Circuits); n != 0 {
			t.Errorf("there are %d circuits", n)
		}
	})
}

func TestSetPolicyWithAnotherBreakerStartsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := newScript(t, touchy)
		open(t, rt, base, usersURL, bare(503))
		base.answers = func(*http.Request) step { return then(ok()) }
		p := oktaretry.DefaultPolicy()
		touchy(&p)
		p.RateLimited.MaxElapsed = time.Minute
		if err := rt.SetPolicy(p); err != nil {
			t.Fatal(err)
		}
		failure[*oktaretry.CircuitOpenError](t, get(t, rt, usersURL)) // nothing of the breaker changed
		p.Breaker.MinCalls = 5
		if err := rt.SetPolicy(p); err != nil {
			t.Fatal(err)
		}
		get(t, rt, usersURL).is(t, 200)
	})
}
