// This file tests the options of a Transport and of a call.

package oktaretry_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/internal/rig/script"
	"github.com/oktaretry/oktaretry/internal/sharedtest"
)

func TestNewTransportRefusesNilArguments(t *testing.T) {
	for name, o := range map[string]oktaretry.Option{
		"option 1":           nil,
		"WithTracerProvider": oktaretry.WithTracerProvider(nil),
		"WithMeterProvider":  oktaretry.WithMeterProvider(nil),
		"WithPropagators":    oktaretry.WithPropagators(nil),
		"WithLogger":         oktaretry.WithLogger(nil),
		"WithPrepareRetry":   oktaretry.WithPrepareRetry(nil),
	} {
		transport, err := oktaretry.NewTransport(nil, o)
		if err == nil || transport != nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "nil") {
			t.Errorf("%s: %v, %v; want an error that names it", name, transport, err)
		}
	}
}

func TestNewTransportReportsEveryFault(t *testing.T) {
	bad := oktaretry.DefaultPolicy()
	bad.RateLimited.Jitter, bad.AttemptTimeout = 2, -1
	transport, err := oktaretry.NewTransport(nil,
		oktaretry.WithLogger(nil), nil, oktaretry.WithPolicy(bad), oktaretry.WithTracerProvider(nil), nil)
	if err == nil || transport != nil {
		t.Fatalf("%v, %v; want an error and no transport", transport, err)
	}
	for _, want := range []string{"WithLogger", "option 2 ", "RateLimited.Jitter", "AttemptTimeout", "WithTracerProvider", "option 5 "} {
		if strings.Count(err.Error(), want) != 1 {
			t.Errorf("%q is not named once in\n%v", want, err)
		}
	}
	if p, ok := errors.AsType[*oktaretry.PolicyError](err); !ok || p.Field != "RateLimited.Jitter" {
		t.Errorf("errors.As finds %v", p)
	}
}

func TestNewTransportNeedsNoOptions(t *testing.T) {
	if transport := rig.Over(t, nil, nil); transport.Client().Transport != http.RoundTripper(transport) {
		t.Error("the client doesn't send through the transport")
	}
}

func TestZeroAndNilTransportReportHowToMakeOne(t *testing.T) {
	for name, transport := range map[string]*oktaretry.Transport{"zero": new(oktaretry.Transport), "nil": nil} {
		body := script.Text("{}")
		req := rig.Request(t, t.Context(), "POST", rig.UserURL, nil)
		req.Body = body
		resp, err := transport.RoundTrip(req)
		if resp != nil || err == nil || !strings.Contains(err.Error(), "NewTransport") {
			t.Errorf("%s: RoundTrip returned %v, %v", name, resp, err)
		}
		body.WantClosed(t)
		if _, err := transport.Client().Get(rig.UserURL); err == nil || !strings.Contains(err.Error(), "NewTransport") {
			t.Errorf("%s: the client returned %v", name, err)
		}
		if err := transport.SetPolicy(oktaretry.DefaultPolicy()); err == nil || !strings.Contains(err.Error(), "NewTransport") {
			t.Errorf("%s: SetPolicy returned %v", name, err)
		}
		if s, p := transport.Snapshot(), transport.Policy(); len(s.Buckets)+len(s.Circuits)+len(p.Codes) > 0 {
			t.Errorf("%s: it has a state or a policy: %v, %v", name, s, p)
		}
		transport.CloseIdleConnections()

		if transport == nil {
			continue // refused as a base
		}
		above := rig.Over(t, transport, nil)
		if _, err := above.RoundTrip(rig.Request(t, t.Context(), "GET", rig.UserURL, nil)); err == nil || !strings.Contains(err.Error(), "NewTransport") {
			t.Errorf("%s: a Transport above returned %v", name, err)
		}
	}
}

func TestNilsAreReported(t *testing.T) {
	var noStore *sharedtest.Memory
	_, err := oktaretry.NewTransport((*http.Transport)(nil), oktaretry.WithShared(noStore))
	for _, part := range []string{"the base is a nil *http.Transport", "WithShared: is nil"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("NewTransport returned %v, want %q", err, part)
		}
	}
	if _, err := rig.Over(t, nil, nil).RoundTrip(nil); err == nil || !strings.Contains(err.Error(), "request: it is nil") {
		t.Errorf("RoundTrip(nil) returned %v", err)
	}
	var policy *oktaretry.Policy
	if err := policy.Edit("408", func(*oktaretry.Rule) {}); err == nil {
		t.Error("a nil policy was edited")
	}
	if err := policy.UnmarshalJSON([]byte("{}")); err == nil {
		t.Error("a nil policy was read")
	}
	for _, rec := range []*oktaretry.Recorder{nil, {}} {
		if out, ok := rec.Outcome(); ok || len(rec.Outcomes()) > 0 || rec.String() != "oktaretry.Recorder of 0 outcomes" {
			t.Errorf("an empty recorder has %v", out)
		}
	}
	if c := oktaretry.Classify(nil); c.Class != oktaretry.ClassNetwork {
		t.Errorf("no response is %s", c.Class)
	}
}

func TestBadCallOptionFailsTheCallUnsent(t *testing.T) {
	good := oktaretry.DefaultPolicy().ServerError
	negative := good
	negative.MaxElapsed = -1
	polls := good
	polls.Action = oktaretry.Poll
	twice := oktaretry.Rule{Action: oktaretry.Backoff, MaxAttempts: -1}
	rule := func(key string, r oktaretry.Rule) func(context.Context) context.Context {
		return func(ctx context.Context) context.Context { return oktaretry.WithRule(ctx, key, r) }
	}
	for _, tt := range []struct {
		name   string
		option func(context.Context) context.Context
		names  []string
	}{
		{"an empty key", rule("", good), []string{"WithRule[]"}},
		{"a class in capitals", rule("Server-Error", good), []string{"WithRule[Server-Error]"}},
		{"a class that has no rule", rule("success", good), []string{"WithRule[success]"}},
		{"a success's status", rule("302", good), []string{"WithRule[302]"}},
		{"a status that is none", rule("600", good), []string{"WithRule[600]"}},
		{"a padded status", rule("0503", good), []string{"WithRule[0503]"}},
		{"a status's bad rule", rule("503", negative), []string{"WithRule[503].MaxElapsed"}},
		{"a rule that can never wait", rule("E0000146", good), []string{"WithRule[E0000146].MaxElapsed", "30s", "24h0m0s"}},
		{"a negative number of attempts", func(ctx context.Context) context.Context { return oktaretry.WithMaxAttempts(ctx, -1) }, []string{"WithMaxAttempts", "-1"}},
		{"a negative time to wait", func(ctx context.Context) context.Context { return oktaretry.WithMaxElapsed(ctx, -time.Second) }, []string{"WithMaxElapsed", "-1s"}},
		{"a negative attempt timeout", func(ctx context.Context) context.Context { return oktaretry.WithAttemptTimeout(ctx, -1) }, []string{"WithAttemptTimeout", "-1ns"}},
		{"a malformed code", rule("E000009", good), []string{"WithRule[E000009]"}},
		{"a class's bad rule", rule("network", negative), []string{"WithRule[network].MaxElapsed"}},
		{"a code's bad rule", rule("E0000009", negative), []string{"WithRule[E0000009].MaxElapsed"}},
		{"poll for a class that isn't pending", rule("server-error", polls), []string{"WithRule[server-error].Action"}},
		{"backoff for the one that is", rule("pending", good), []string{"WithRule[pending].Action"}},
		{"several faults of a rule", rule("E0000009", twice), []string{
			"WithRule[E0000009].MaxAttempts", "WithRule[E0000009].InitialWait", "WithRule[E0000009].Multiplier",
		}},
		{"a priority that doesn't exist", func(ctx context.Context) context.Context {
			return oktaretry.WithPriority(ctx, 2)
		}, []string{"WithPriority", "2"}},
		{"several bad options", func(ctx context.Context) context.Context {
			ctx = oktaretry.WithRule(oktaretry.WithPriority(ctx, 99), "x-y", good)
			return oktaretry.WithRule(ctx, "E0000009", negative)
		}, []string{"99", "WithRule[x-y]", "WithRule[E0000009].MaxElapsed"}},
		{"a bad rule that a good one follows", func(ctx context.Context) context.Context {
			return oktaretry.WithRule(oktaretry.WithRule(ctx, "E0000009", negative), "E0000009", good)
		}, []string{"WithRule[E0000009].MaxElapsed"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			base := script.Repeat(t, script.Bare(200))
			ctx, rec := oktaretry.WithRecorder(t.Context())
			body := script.Text("{}")
			resp, err := rig.Over(t, base, nil).RoundTrip(rig.Request(t, tt.option(ctx), "POST", "/api/v1/users", body))
			if err == nil || resp != nil {
				t.Fatalf("%v, %v; want an error alone", resp, err)
			}
			for _, want := range tt.names {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not named in %v", want, err)
				}
			}
			base.WantSent(0)
			body.WantClosed(t)
			if n := body.Reads(); n != 0 {
				t.Errorf("the body was read %d times, want never", n)
			}
			if o, ok := rec.Outcome(); !ok || o.Stop != oktaretry.StopInvalid || o.Err != err || len(o.Attempts) != 0 {
				t.Errorf("recorded %v, %+v", ok, o)
			}
		})
	}
}

func TestCallOptionsCompose(t *testing.T) {
	add := map[string]func(context.Context) context.Context{
		"idempotent": oktaretry.WithIdempotent,
		"rule":       func(ctx context.Context) context.Context { return oktaretry.WithRule(ctx, "server-error", tries(3)) },
		"other rule": func(ctx context.Context) context.Context { return oktaretry.WithRule(ctx, "E0000010", tries(9)) },
		"priority": func(ctx context.Context) context.Context {
			return oktaretry.WithPriority(ctx, oktaretry.PriorityBackground)
		},
	}
	for _, order := range [][]string{
		{"recorder", "idempotent", "rule", "other rule", "priority"},
		{"priority", "other rule", "rule", "idempotent", "recorder"},
		{"rule", "recorder", "priority", "idempotent", "other rule"},
	} {
		synctest.Test(t, func(t *testing.T) {
			base := script.Repeat(t, script.Code(500, "E0000009"))
			ctx, rec := t.Context(), (*oktaretry.Recorder)(nil)
			for _, option := range order {
				if option == "recorder" {
					ctx, rec = oktaretry.WithRecorder(ctx)
				} else {
					ctx = add[option](ctx)
				}
			}
			resp, err := rig.Over(t, base, nil).RoundTrip(rig.Request(t, ctx, "POST", "/api/v1/users", strings.NewReader("{}")))
			rig.Text(t, resp, err)
			o, ok := rec.Outcome()
			if len(base.Sent()) != 3 || !ok || o.Stop != oktaretry.StopMaxAttempts || len(o.Attempts) != 3 {
				t.Errorf("%v: %d requests, outcome %v, %v; want 3 of a POST", order, len(base.Sent()), ok, o.Stop)
			}
		})
	}
}

// What is added to a context is not seen through the one that it came from,
// nor through another that came from that.
func TestCallOptionsDontReachTheParentsCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := script.Repeat(t, script.Code(500, "E0000009"))
		transport := rig.Over(t, base, nil)
		sent := func(ctx context.Context) int {
			before := len(base.Sent())
			rig.Do(t, ctx, transport, "GET", rig.UserURL, "")
			return len(base.Sent()) - before
		}
		parent := oktaretry.WithRule(t.Context(), "E0000009", tries(2))
		child := oktaretry.WithRule(parent, "E0000009", tries(3))
		sibling := oktaretry.WithNoRetry(oktaretry.WithRule(parent, "E0000009", oktaretry.Rule{Trips: 9}))
		rig.Do(t, sibling, transport, "GET", rig.UserURL, "").Stopped(oktaretry.StopInvalid)
		other := oktaretry.WithMaxAttempts(parent, 5)
		got := []int{sent(oktaretry.WithMaxAttempts(t.Context(), 4)), sent(parent), sent(child), sent(other), sent(parent)}
		if !slices.Equal(got, []int{4, 2, 3, 5, 2}) {
			t.Errorf("%v requests by another's, parent's, child's, other's and parent's rule; want [4 2 3 5 2]", got)
		}
	})
}

func TestNoRetrySendsOnce(t *testing.T) {
	limit := script.Limited(script.Set("Retry-After", "5"))
	pending := script.Pending("/api/v1/users/00u1/factors/opf1/transactions/t1")
	for _, tt := range []struct {
		name   string
		method string
		answer script.Step
		status int // 0: a *RateLimitError
		stop   oktaretry.StopReason
	}{
		{"server error", "GET", script.Code(500, "E0000009"), 500, oktaretry.StopNoRetry},
		{"bare 503", "GET", script.Bare(503), 503, oktaretry.StopNoRetry},
		{"rate limit", "GET", limit, 0, oktaretry.StopNoRetry},
		{"pending", "GET", pending, 202, oktaretry.StopNoRetry},
		{"pending challenge", "POST", pending, 202, oktaretry.StopNoRetry},
		{"client error", "GET", script.Code(404, "E0000007"), 404, oktaretry.StopFailFast},
		{"success", "GET", script.Bare(200), 200, oktaretry.StopSuccess},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				base := script.Repeat(t, tt.answer)
				// A rule of the call's own changes nothing about it.
				ctx := oktaretry.WithRule(oktaretry.WithNoRetry(oktaretry.WithIdempotent(t.Context())), "server-error", tries(5))
				c := rig.Do(t, ctx, rig.Over(t, base, func(p *oktaretry.Policy) { p.PollFactors = true }), tt.method, rig.UserURL, "").
					Stopped(tt.stop).TookBetween(0, 0)
				base.WantSent(1)
				if n := len(c.Outcome.Attempts); n != 1 {
					t.Errorf("%d attempts, want 1", n)
				}
				if tt.status > 0 {
					c.Is(tt.status).Reads(tt.answer.Body)
				} else if e := rig.Failure[*oktaretry.RateLimitError](c); e.RetryAfter < 5*time.Second || e.Code != "E0000047" || e.Attempts != 1 {
					t.Errorf("the error is %+v", e)
				}
			})
		})
	}
}

func TestNoRetryReturnsA429ThatThePolicyReturns(t *testing.T) {
	tr, base := rig.Repeat(t, func(p *oktaretry.Policy) { p.ReturnRateLimited = true }, script.Limited())
	rig.GetOnce(t, tr, rig.UserURL).Is(429)
	base.WantSent(1)
}

func TestOneNumberOfACallOverridesTheRulesInForce(t *testing.T) {
	type edit = func(context.Context) context.Context
	attempts := func(n int) edit {
		return func(ctx context.Context) context.Context { return oktaretry.WithMaxAttempts(ctx, n) }
	}
	elapsed := func(d time.Duration) edit {
		return func(ctx context.Context) context.Context { return oktaretry.WithMaxElapsed(ctx, d) }
	}
	for _, tt := range []struct {
		name   string
		edits  []edit
		answer script.Step // the third one is a 200 where more are sent
		sent   int
		stop   oktaretry.StopReason
	}{
		{"two attempts at a 503", []edit{attempts(2)}, script.Bare(503), 2, oktaretry.StopMaxAttempts},
		{"at a code without a cap", []edit{attempts(2)}, script.Code(500, "E0000009"), 2, oktaretry.StopMaxAttempts},
		{"at a rate limit", []edit{attempts(1)}, script.LimitedFor(time.Second), 1, oktaretry.StopMaxAttempts},
		{"at a network error", []edit{attempts(2)}, script.Fail(script.Refused), 2, oktaretry.StopMaxAttempts},
		{"at a rule of the call's own", []edit{attempts(2), func(ctx context.Context) context.Context {
			return oktaretry.WithRule(ctx, "503", tries(9))
		}}, script.Bare(503), 2, oktaretry.StopMaxAttempts},
		{"at what fails fast", []edit{attempts(9)}, script.Code(404, "E0000007"), 1, oktaretry.StopFailFast},
		{"no time to wait for 10 s", []edit{elapsed(9 * time.Second)}, script.LimitedFor(10 * time.Second), 1, oktaretry.StopMaxElapsed},
		{"the last of two counts", []edit{elapsed(9 * time.Second), elapsed(time.Minute)}, script.LimitedFor(10 * time.Second), 3, oktaretry.StopSuccess},
		{"time to wait for 40 minutes", []edit{elapsed(time.Hour)}, script.Limited(script.Date(0), script.ResetIn(0, 20*time.Minute)), 3, oktaretry.StopSuccess},
		{"any time", []edit{elapsed(0)}, script.Code(429, "E0000146"), 3, oktaretry.StopSuccess},
	} {
		rig.Virtual(t, tt.name, func(t *testing.T) {
			rt, base := rig.Repeat(t, nil, tt.answer, tt.answer, script.OK())
			ctx := t.Context()
			for _, edit := range tt.edits {
				ctx = edit(ctx)
			}
			rig.Do(t, ctx, rt, http.MethodGet, rig.UserURL, "").Stopped(tt.stop)
			base.WantSent(tt.sent)
		})
	}
}

func ExampleWithMaxAttempts() {
	transport, err := oktaretry.NewTransport(nil)
	if err != nil {
		panic(err)
	}
	// A page that a person waits for: one resend, within a few seconds.
	ctx := oktaretry.WithMaxAttempts(context.Background(), 2)
	ctx = oktaretry.WithMaxElapsed(ctx, 3*time.Second)
	ctx = oktaretry.WithAttemptTimeout(ctx, 5*time.Second)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://example.okta.com/api/v1/users/me", nil)
	if err != nil {
		panic(err)
	}
	resp, err := transport.Client().Do(req)
	if err != nil {
		return
	}
	resp.Body.Close()
}
