// This file tests requests with a proof, which only a re-sign hook may send
// again, and the hook itself.

package oktaretry_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/internal/rig/script"
)

func TestDPoPRequestIsNotResentWithoutAHook(t *testing.T) {
	for _, name := range []string{"DPoP", "Dpop"} {
		for status, step := range map[int]script.Step{429: script.LimitedFor(time.Second), 503: script.Bare(503), 0: script.Fail(script.Reset)} {
			t.Run(fmt.Sprint(name, " ", status), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					base := script.Repeat(t, step)
					req := rig.Request(t, t.Context(), "GET", "/api/v1/users", nil)
					req.Header[name] = []string{"proof"}
					c := rig.Send(t, rig.Over(t, base, nil), req).Stopped(oktaretry.StopNotReplayable)
					base.WantSent(1)
					switch status {
					case 0:
						if c.Err == nil {
							t.Error("no error")
						}
					case 429: // an SDK would destroy the response
						if e := rig.Failure[*oktaretry.RateLimitError](c); e.Code != "E0000047" || e.RetryAfter < time.Second || e.Stop != oktaretry.StopNotReplayable {
							t.Errorf("the error is %v", e)
						}
					default:
						c.Is(status)
					}
				})
			})
		}
	}
}

func TestHookSeesTheAnswerBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lost := script.Fail(script.Reset)
		answers := []script.Step{script.LimitedFor(time.Second).With(script.Set("Dpop-Nonce", "n1")), script.Down(), lost}
		var seen []oktaretry.Previous
		hook := func(r *http.Request) error {
			before, ok := oktaretry.PreviousAnswer(r.Context())
			if !ok {
				t.Error("there is no answer before a resend")
			}
			before.Header.Del("X-Okta-Request-Id") // its own copy
			seen = append(seen, before)
			return nil
		}
		tr := rig.Over(t, script.New(t, append(answers, script.OK())...), nil, oktaretry.WithPrepareRetry(hook))
		rig.Do(t, t.Context(), tr, "PUT", "/api/v1/users/1", "content", "DPoP", "proof").Is(200)
		if len(seen) != 3 {
			t.Fatalf("the hook ran %d times, want 3", len(seen))
		}
		if b := seen[0]; b.Status != 429 || b.Code != "E0000047" || b.Class != oktaretry.ClassRateLimited || b.Header.Get("DPoP-Nonce") != "n1" || b.Err != nil {
			t.Errorf("after the 429: %+v", b)
		}
		if b := seen[1]; b.Status != 503 || b.Code != "E0000009" || b.Header == nil {
			t.Errorf("after the 503: %+v", b)
		}
		if b := seen[2]; b.Class != oktaretry.ClassNetwork || b.Header != nil || b.Err == nil {
			t.Errorf("after the lost answer: %+v", b)
		}
	})
	if _, ok := oktaretry.PreviousAnswer(t.Context()); ok {
		t.Error("there is an answer before no call")
	}
}

func TestDPoPHandshakePassesUntouched(t *testing.T) {
	for _, step := range []script.Step{
		script.Reply(400, `{"error":"invalid_dpop_proof","error_description":"d"}`, script.Set("Content-Type", "application/json")),
		script.Reply(400, `{"error":"use_dpop_nonce"}`, script.Set("Content-Type", "application/json"), script.Set("Dpop-Nonce", "n1")),
		script.Bare(400, script.Set("Www-Authenticate", `DPoP error="invalid_dpop_proof"`)),
	} {
		base := script.Repeat(t, step)
		req := rig.Request(t, t.Context(), "POST", "/oauth2/v1/token", strings.NewReader("x"))
		req.Header.Set("DPoP", "proof")
		tr := rig.Over(t, base, nil)
		resp, err := tr.RoundTrip(req)
		if err != nil || resp.StatusCode != 400 {
			t.Fatalf("got %v, %v", resp, err)
		}
		want, _ := step.Respond(req)
		if got := rig.Text(t, resp, nil); got != rig.Text(t, want, nil) || fmt.Sprint(resp.Header) != fmt.Sprint(want.Header) {
			t.Errorf("got %q %v", got, resp.Header)
		}
		base.WantSent(1)
		wantNoVerdict(t, tr, 0)
	}
}

func TestHookSignsEachResend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := script.Repeat(t, script.LimitedFor(time.Second), script.LimitedFor(time.Second), script.Bare(503), script.OK())
		var signed []*http.Request
		tr := rig.Over(t, base, nil, oktaretry.WithPrepareRetry(func(r *http.Request) error {
			for _, s := range signed {
				if r == s || r.URL == s.URL {
					t.Error("two resends share a request or its URL")
				}
			}
			signed = append(signed, r)
			if got := r.Header.Get("X-Okta-Retry-Count"); got != fmt.Sprint(len(signed)) {
				t.Errorf("the hook sees the retry count %q on resend %d", got, len(signed))
			}
			r.Header.Set("DPoP", fmt.Sprint("proof ", len(signed)))
			return nil
		}))
		req := rig.Request(t, t.Context(), "PUT", "/api/v1/users/1", script.Text("content"))
		req.Header.Set("DPoP", "proof 0")
		rig.Send(t, tr, req).Text()
		for i, s := range base.WantSent(4) {
			if got := s.Header["Dpop"]; len(got) != 1 || got[0] != fmt.Sprint("proof ", i) || s.Body != "content" {
				t.Errorf("request %d is signed %q and carries %q", i+1, got, s.Body)
			}
		}
		if got := req.Header["Dpop"]; len(got) != 1 || got[0] != "proof 0" {
			t.Errorf("the caller's header became %q", got)
		}
	})
}

// With a hook a request with a proof is like any other, to its end.
func TestFinal429OfASignedCallIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := rig.Over(t, script.Repeat(t, script.Code(429, "E0000146")), nil, oktaretry.WithPrepareRetry(func(*http.Request) error { return nil }))
		req := rig.Request(t, t.Context(), "GET", "/api/v1/users", nil)
		req.Header.Set("DPoP", "proof")
		resp, err := tr.RoundTrip(req)
		if _, ok := errors.AsType[*oktaretry.RateLimitError](err); !ok || resp != nil {
			t.Errorf("got %v, %v; want a *RateLimitError", resp, err)
		}
	})
}

func TestHookErrorEndsTheCall(t *testing.T) {
	noKey := errors.New("no key")
	for name, step := range map[string]script.Step{"429": script.LimitedFor(time.Second), "503": script.Down(), "reset": script.Fail(script.Reset)} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				base := script.Repeat(t, step)
				calls := 0
				tr := rig.Over(t, base, nil, oktaretry.WithPrepareRetry(func(*http.Request) error { calls++; return noKey }))
				ctx, rec := oktaretry.WithRecorder(t.Context())
				resp, err := tr.RoundTrip(rig.Request(t, ctx, "PUT", "/api/v1/users/jane?q=1", script.Text("x")))
				if resp != nil || !errors.Is(err, noKey) {
					t.Fatalf("got %v, %v; want the hook's error", resp, err)
				}
				rig.WantNoSecrets(t, err)
				rig.WantStop(t, rec, oktaretry.StopPrepareFailed)
				base.WantSent(1)
				base.WantClosed()
				rig.WantIdle(t, tr)
				if calls != 1 {
					t.Errorf("the hook was called %d times", calls)
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		tr := rig.Over(t, script.Repeat(t, script.LimitedFor(time.Second)), nil, oktaretry.WithPrepareRetry(func(*http.Request) error {
			return fmt.Errorf("signer: %w", io.EOF)
		}))
		_, err := tr.RoundTrip(rig.Request(t, t.Context(), "GET", "/api/v1/users", nil))
		if err == nil || errors.Is(err, io.EOF) {
			t.Errorf("%v matches io.EOF", err)
		}
	})
}

// A hook that fetches a token may take longer than an attempt may. An answer
// that came in no time was dropped for it, as a timeout that counted against
// the host.
func TestHooksTimeIsNotTheAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := script.Repeat(t, script.Bare(503), script.OK())
		tr := rig.Over(t, base, func(p *oktaretry.Policy) { p.AttemptTimeout = time.Second },
			oktaretry.WithPrepareRetry(func(r *http.Request) error {
				time.Sleep(2 * time.Second)
				return r.Context().Err()
			}))
		rig.Send(t, tr, rig.Request(t, t.Context(), "GET", "/api/v1/users", nil)).Text()
		base.WantSent(2)
		for _, c := range tr.Snapshot().Circuits {
			if c.Scope == oktaretry.TripsHost && (c.Failures != 1 || c.Successes != 1) {
				t.Errorf("the host's circuit counted %d failures and %d successes, want one of each", c.Failures, c.Successes)
			}
		}
	})
}

// A hook's own requests ask the context for Done. The attempt's context then
// showed its base the span of the call in the place of the attempt's, and so
// hung what the base traces, as otelhttp, into the wrong place.
func TestBaseSeesItsAttemptsSpanAfterAHook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spans := tracetest.NewSpanRecorder()
		var seen []trace.SpanID
		look := func(step script.Step) script.Step {
			return script.Do(func(r *http.Request) (*http.Response, error) {
				seen = append(seen, trace.SpanFromContext(r.Context()).SpanContext().SpanID())
				return step.Respond(r)
			})
		}
		base := script.Repeat(t, look(script.Bare(503)), look(script.OK()))
		tr := rig.Over(t, base, nil,
			oktaretry.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))),
			oktaretry.WithPrepareRetry(func(r *http.Request) error {
				_, cancel := context.WithTimeout(r.Context(), time.Second)
				cancel()
				return nil
			}))
		rig.Send(t, tr, rig.Request(t, t.Context(), "GET", "/api/v1/users", nil)).Text()
		var attempts []trace.SpanID
		for _, s := range spans.Ended() {
			if s.SpanKind() == trace.SpanKindClient {
				attempts = append(attempts, s.SpanContext().SpanID())
			}
		}
		if len(attempts) != 2 || !slices.Equal(seen, attempts) {
			t.Errorf("the base saw the spans %v, the attempts' are %v", seen, attempts)
		}
	})
}

// foreignContext is of a type that package context doesn't know: each context
// that is derived from it has a goroutine, until it ends.
type foreignContext struct {
	context.Context
	done chan struct{}
}

func (c foreignContext) Done() <-chan struct{} { return c.done }

// What a hook asked of its context stayed with the caller's, and so did a timer,
// when the hook then failed: the attempt was never sent, and so never released.
func TestFailingHookLeavesNothingBehind(t *testing.T) {
	for name, fail := range map[string]func() error{
		"error": func() error { return errors.New("no key") },
		"panic": func() error { panic("boom") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // fails if a goroutine is left
				tr := rig.Over(t, script.Repeat(t, script.Bare(503)), nil, oktaretry.WithPrepareRetry(func(r *http.Request) error {
					_, cancel := context.WithCancel(r.Context())
					cancel()
					return fail()
				}))
				ctx := foreignContext{t.Context(), make(chan struct{})}
				rig.Panicked(func() { tr.RoundTrip(rig.Request(t, ctx, "GET", "/api/v1/users", nil)) })
				synctest.Wait()
			})
		})
	}
}
