package oktaretry_test

// Requests that are not like others: signed ones, token requests, bodies that
// were not kept, and answers that never come.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
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

// A proof that never reached Okta is as good as new.
func TestDPoPRequestThatWasNeverSentIsResent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, base := rig.New(t, nil, script.Fail(&net.OpError{Op: "dial", Err: errors.New("refused")}), script.OK())
		rig.Do(t, t.Context(), tr, "POST", "/api/v1/users", "user", "DPoP", "proof").Is(200)
		base.WantSent(2)
	})
}

func TestTheHandshakesOwnAnswersPassUntouched(t *testing.T) {
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

func TestTheHookSignsEachResendsOwnRequest(t *testing.T) {
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
		resp, err := tr.RoundTrip(req)
		rig.Text(t, resp, err)
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

// With a hook a request with a proof is like any other, to its end.
func TestAFinal429OfASignedCallIsAnError(t *testing.T) {
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

func TestAnErrorOfTheHookEndsTheCall(t *testing.T) {
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
func TestTheTimeThatAHookTakesIsNotTheAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := script.Repeat(t, script.Bare(503), script.OK())
		tr := rig.Over(t, base, func(p *oktaretry.Policy) { p.AttemptTimeout = time.Second },
			oktaretry.WithPrepareRetry(func(r *http.Request) error {
				time.Sleep(2 * time.Second)
				return r.Context().Err()
			}))
		resp, err := tr.RoundTrip(rig.Request(t, t.Context(), "GET", "/api/v1/users", nil))
		rig.Text(t, resp, err)
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
func TestABaseSeesItsAttemptsSpanWhateverTheHookAsked(t *testing.T) {
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
		resp, err := tr.RoundTrip(rig.Request(t, t.Context(), "GET", "/api/v1/users", nil))
		rig.Text(t, resp, err)
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
func TestAHookThatFailsLeavesNothingBehind(t *testing.T) {
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

// A grant may be valid once: what Okta may have used up is sent again only where the
// caller allows it, or a hook makes it anew.
func TestTokenRequestIsResentIfOktaDidNotProcessIt(t *testing.T) {
	refused := script.Fail(&net.OpError{Op: "dial", Err: errors.New("refused")})
	anyMethod := func(p *oktaretry.Policy) { p.ServerError.AnyMethod, p.Network.AnyMethod = true, true }
	for name, tt := range map[string]struct {
		step    script.Step
		allowed bool
		sends   int
	}{
		"rate limit": {script.LimitedFor(time.Second), false, 2}, "0 of 0": {script.Concurrency(), false, 2},
		"never sent": {refused, false, 2}, "503": {script.Bare(503), false, 1}, "lost": {script.Fail(script.Reset), false, 1},
		"503, allowed": {script.Bare(503), true, 2}, "lost, allowed": {script.Fail(script.Reset), true, 2},
	} {
		for _, path := range []string{"/oauth2/v1/token", "/oauth2/default/v1/token"} {
			for _, hook := range []bool{false, true} {
				t.Run(fmt.Sprint(name, path, " hook=", hook), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						ctx, opts := t.Context(), []oktaretry.Option(nil)
						if tt.allowed && hook {
							opts = append(opts, oktaretry.WithPrepareRetry(func(*http.Request) error { return nil }))
						} else if tt.allowed {
							ctx = oktaretry.WithIdempotent(ctx)
						}
						base := script.New(t, append([]script.Step{tt.step}, []script.Step{script.OK()}[:tt.sends-1]...)...)
						req := rig.Request(t, ctx, "POST", path, strings.NewReader("grant_type=client_credentials"))
						// SDK v6 replaces Body on its DPoP path and leaves the GetBody of the old one.
						req.GetBody = func() (io.ReadCloser, error) {
							t.Error("a GetBody was called that may be stale")
							return http.NoBody, nil
						}
						c := rig.Send(t, rig.Over(t, base, anyMethod, opts...), req)
						if tt.sends == 1 {
							c.Stopped(oktaretry.StopNotIdempotent)
						} else {
							c.Is(200)
						}
						for _, sent := range base.WantSent(tt.sends) {
							if sent.Body != "grant_type=client_credentials" {
								t.Errorf("sent %q", sent.Body)
							}
						}
					})
				})
			}
		}
	}
}

func TestATokenRequestWithoutABodyIsSentAgainAfterARateLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, body := range []io.Reader{nil, http.NoBody} {
			base := script.Repeat(t, script.LimitedFor(time.Second), script.OK())
			resp, err := rig.Over(t, base, nil).RoundTrip(rig.Request(t, t.Context(), "POST", "/oauth2/v1/token?client_assertion=x", body))
			rig.Text(t, resp, err)
			base.WantSent(2)

			base = script.Repeat(t, script.Bare(503))
			resp, err = rig.Over(t, base, nil).RoundTrip(rig.Request(t, t.Context(), "POST", "/oauth2/v1/token?client_assertion=x", body))
			rig.Text(t, resp, err)
			base.WantSent(1)
		}
	})
}

func TestABodyBeyondTheCaptureIsSentOnce(t *testing.T) {
	for size, sends := range map[int]int{9: 2, 10: 2, 11: 1} {
		for _, step := range []script.Step{script.LimitedFor(time.Second), script.Reply(503, "x"), script.Fail(script.Reset)} {
			t.Run(fmt.Sprint(size), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					base := script.Repeat(t, step, script.OK())
					tr := rig.Over(t, base, func(p *oktaretry.Policy) { p.MaxCapture = 10 })
					ctx, rec := oktaretry.WithRecorder(t.Context())
					start := time.Now()
					resp, err := tr.RoundTrip(rig.Request(t, ctx, "PUT", "/api/v1/users/1", script.Text(strings.Repeat("x", size))))
					if err == nil {
						resp.Body.Close()
					}
					base.WantSent(sends)
					if sends == 1 {
						rig.WantStop(t, rec, oktaretry.StopNotReplayable)
						if d := time.Since(start); d != 0 {
							t.Errorf("the call waited %s for nothing", d)
						}
					}
				})
			})
		}
	}
}

// That a body can't be had again shows only when the resend is due.
func TestABodyThatGetBodyDoesNotRenewIsSentOnce(t *testing.T) {
	lost := errors.New("the file is gone")
	send := func(t *testing.T, step script.Step) (*http.Response, error) {
		base := script.Repeat(t, step)
		ctx, rec := oktaretry.WithRecorder(t.Context())
		req := rig.Request(t, ctx, "PUT", "/api/v1/users/1", script.Text("x"))
		req.GetBody = func() (io.ReadCloser, error) { return nil, lost }
		resp, err := rig.Over(t, base, nil).RoundTrip(req)
		base.WantSent(1)
		rig.WantStop(t, rec, oktaretry.StopNotReplayable)
		return resp, err
	}
	synctest.Test(t, func(t *testing.T) {
		resp, err := send(t, script.Reply(503, "down"))
		if got := rig.Text(t, resp, err); resp.StatusCode != 503 || got != "down" {
			t.Errorf("got %d %q, want the answer in hand", resp.StatusCode, got)
		}
		if _, err := send(t, script.Fail(script.Reset)); !errors.Is(err, lost) {
			t.Errorf("got %v, want the error of GetBody", err)
		}
	})
}

func TestAnAttemptWithoutHeadersEndsAsANetworkError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := script.Repeat(t, script.Hang())
		start := time.Now()
		ctx, rec := oktaretry.WithRecorder(t.Context())
		tr := rig.Over(t, base, nil)
		_, err := tr.RoundTrip(rig.Request(t, ctx, "POST", "/api/v1/users/jane?q=1", strings.NewReader("x")))
		if d := time.Since(start); d != time.Minute {
			t.Errorf("the attempt ended after %s, want a minute", d)
		}
		var timeout net.Error
		if !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("%v is no timeout", err)
		}
		if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
			t.Errorf("%v claims that the caller's context ended", err)
		}
		wantText(t, err, "1m0s", "example.okta.com/api/v1/users/{id}")
		rig.WantNoSecrets(t, err)
		if out := rig.WantStop(t, rec, oktaretry.StopNotIdempotent); out.Class != oktaretry.ClassNetwork || out.Terminal || out.NotSent {
			t.Errorf("classified %+v", out.Classification)
		}
		wantNoVerdict(t, tr, 1)

		// One that may be sent again is.
		base = script.Repeat(t, script.Hang(), script.OK())
		resp, err := rig.Over(t, base, nil).RoundTrip(rig.Request(t, t.Context(), "GET", "/api/v1/users", nil))
		rig.Text(t, resp, err)
		base.WantSent(2)
	})
}

// gobreaker counts an answer at the time of its request. Attempts that hang for
// a minute were older than the window of half a minute when they ended, and a
// host that hung every call never opened its circuit.
func TestAHostThatOnlyHangsOpensItsCircuit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := script.Repeat(t, script.Hang())
		tr := rig.Over(t, base, nil)
		ctx := oktaretry.WithNoRetry(t.Context())
		var calls sync.WaitGroup
		for range oktaretry.DefaultPolicy().Breaker.MinCalls {
			calls.Go(func() { tr.RoundTrip(rig.Request(t, ctx, "GET", "/api/v1/users", nil)) })
		}
		calls.Wait()
		_, err := tr.RoundTrip(rig.Request(t, ctx, "GET", "/api/v1/users", nil))
		if open, ok := errors.AsType[*oktaretry.CircuitOpenError](err); !ok || open.Scope != oktaretry.TripsHost {
			t.Errorf("got %v, want the host's circuit open", err)
		}
	})
}

// An answer in the very moment of the timeout is either taken, and its body
// readable, or dropped as a timeout. It must not be taken and then cut.
func TestAnAnswerInTheMomentOfTheTimeoutIsWholeOrDropped(t *testing.T) {
	for range 300 {
		synctest.Test(t, func(t *testing.T) {
			base := script.Repeat(t, script.Do(func(r *http.Request) (*http.Response, error) {
				time.Sleep(time.Minute)
				body, w := io.Pipe()
				ctx := r.Context()
				go func() {
					select {
					case <-ctx.Done():
						w.CloseWithError(context.Cause(ctx))
					case <-time.After(time.Hour):
						io.WriteString(w, "late")
						w.Close()
					}
				}()
				return script.Stream(200, body).Respond(r)
			}))
			resp, err := rig.Over(t, base, nil).RoundTrip(rig.Request(t, t.Context(), "POST", "/api/v1/users", nil))
			if err != nil {
				return
			}
			if got := rig.Text(t, resp, nil); got != "late" {
				t.Errorf("the body was %q", got)
			}
		})
	}
}

// Some bases don't look at the context before they have an answer.
func TestAnAnswerThatComesAfterItsTimeoutIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := script.Repeat(t, script.Do(func(r *http.Request) (*http.Response, error) {
			time.Sleep(2 * time.Minute)
			return script.Reply(200, "late").Respond(r)
		}))
		_, err := rig.Over(t, base, nil).RoundTrip(rig.Request(t, t.Context(), "POST", "/api/v1/users", nil))
		var timeout net.Error
		if !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("%v is no timeout", err)
		}
		base.WantSent(1)
		base.WantClosed()
	})
}

func TestABodyAfterItsHeadersMayTakeItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, status := range []int{200, 404} {
			r, w := io.Pipe()
			go func() {
				time.Sleep(time.Hour)
				io.WriteString(w, "late")
				w.Close()
			}()
			base := script.Repeat(t, script.Stream(status, r))
			resp, err := rig.Over(t, base, func(p *oktaretry.Policy) { p.BodyTimeout = 0 }).RoundTrip(rig.Request(t, t.Context(), "GET", "/api/v1/logs", nil))
			if got := rig.Text(t, resp, err); got != "late" {
				t.Errorf("read %q", got)
			}
		}
	})
}

func TestTheCallersContextStillEndsTheBody(t *testing.T) {
	enough := errors.New("enough")
	for _, timeout := range []time.Duration{0, time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			tr := rig.Over(t, script.Repeat(t, script.Stalled(200, "")), func(p *oktaretry.Policy) {
				p.AttemptTimeout, p.BodyTimeout = timeout, 0
			})
			resp, err := tr.RoundTrip(rig.Request(t, ctx, "GET", "/api/v1/logs", nil))
			if err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			time.AfterFunc(time.Hour, func() { cancel(enough) })
			if _, err := io.ReadAll(resp.Body); !errors.Is(err, enough) {
				t.Errorf("the body ended with %v, want the cause", err)
			}
			if d := time.Since(start); d != time.Hour {
				t.Errorf("it ended after %s, want an hour", d)
			}
			resp.Body.Close()
		})
	}
}
