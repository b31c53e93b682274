// This file tests panics: each reaches its caller, and leaves the Transport as
// it was.

package oktaretry_test

import (
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.uber.org/goleak"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/internal/rig/script"
)

// wantNoVerdict checks that the circuits saw so many failures and no success.
func wantNoVerdict(t *testing.T, tr *oktaretry.Transport, failures int) {
	t.Helper()
	n := 0
	for _, c := range tr.Snapshot().Circuits {
		n += c.Failures
		if c.Successes != 0 || c.State != "closed" {
			t.Errorf("%v circuit is %s with %d successes", c.Scope, c.State, c.Successes)
		}
	}
	if n != failures {
		t.Errorf("the circuits counted %d failures, want %d", n, failures)
	}
}

// wantSpansEnded checks that each span that was begun was ended, and that the
// attempts' are n.
func wantSpansEnded(t *testing.T, spans *tracetest.SpanRecorder, n int) {
	t.Helper()
	begun, ended := spans.Started(), spans.Ended()
	if len(begun) != len(ended) {
		t.Errorf("%d of %d spans were never ended", len(begun)-len(ended), len(begun))
	}
	if len(begun) != n+1 {
		t.Errorf("%d spans, want one for the call and %d for its attempts", len(begun), n)
	}
}

func TestPanicOfTheBaseReachesTheCallerAndLeavesNothingOpen(t *testing.T) {
	for name, test := range map[string]struct {
		steps    []script.Step
		attempts int
		failures int
	}{
		"at once":            {[]script.Step{script.Panic("boom")}, 1, 0},
		"after a rate limit": {[]script.Step{script.LimitedFor(time.Second), script.Panic("boom")}, 2, 0},
		"after a 503":        {[]script.Step{script.Reply(503, "x"), script.Panic("boom")}, 2, 2}, // of the endpoint, and of its host
		"while polling":      {[]script.Step{script.Pending("/poll"), script.Panic("boom")}, 2, 0},
	} {
		for _, timeout := range []time.Duration{0, time.Minute} {
			t.Run(fmt.Sprint(name, " with attempt timeout ", timeout), func(t *testing.T) {
				defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
				synctest.Test(t, func(t *testing.T) {
					spans := tracetest.NewSpanRecorder()
					base := script.Repeat(t, test.steps...)
					tr := rig.Over(t, base, func(p *oktaretry.Policy) { p.AttemptTimeout = timeout },
						oktaretry.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))))
					ctx, rec := oktaretry.WithRecorder(t.Context())
					body := script.Text("content")
					req := rig.Request(t, ctx, "PUT", "/api/v1/users/1", body)
					if v := rig.Panicked(func() { tr.RoundTrip(req) }); v != "boom" {
						t.Fatalf("panicked with %v, want the base's value", v)
					}
					rig.WantIdle(t, tr)
					if name != "while polling" { // a pending answer is a success of the host
						wantNoVerdict(t, tr, test.failures)
					}
					wantSpansEnded(t, spans, test.attempts)
					base.WantClosed()
					body.WantClosed(t)
					out := rig.WantStop(t, rec, oktaretry.StopNone)
					if len(out.Attempts) != test.attempts || out.Err == nil || out.Class != oktaretry.ClassNetwork {
						t.Errorf("the outcome has %v after %d attempts, %v", out.Class, len(out.Attempts), out.Err)
					}
					for i, s := range base.Sent() {
						if s.Context.Err() == nil {
							t.Errorf("the context of attempt %d was never released", i+1)
						}
					}
				})
			})
		}
	}
}

// A base that panics before it has read or closed the body leaves that to the
// Transport.
func TestPanicOfTheBaseLeavesNoBodyOpen(t *testing.T) {
	for _, sends := range []int64{1, 2} {
		for _, kind := range []string{"stream", "GetBody"} {
			t.Run(fmt.Sprint(kind, ", send ", sends), func(t *testing.T) {
				var sent int64
				again := script.Bodies{Content: "content"}
				tr := rig.Over(t, script.Func(func(r *http.Request) (*http.Response, error) {
					if sent++; sent == sends {
						panic("boom")
					}
					r.Body.Close()
					return script.Limited().Respond(r)
				}), rig.QuickWaits)
				body := script.Text("content")
				req := rig.Request(t, t.Context(), "PUT", "/api/v1/users/1", body)
				if kind == "GetBody" {
					req.GetBody = again.Get
				}
				if v := rig.Panicked(func() { tr.RoundTrip(req) }); v != "boom" {
					t.Errorf("panicked with %v", v)
				}
				body.WantClosed(t)
				again.WantClosed(t)
			})
		}
	}
}

func TestPanicOfTheHookReachesTheCallerAndLeavesNothingOpen(t *testing.T) {
	// The last one is still held when the hook runs: not all of it is in memory.
	for _, step := range []script.Step{script.LimitedFor(time.Second), script.Reply(503, "x"), script.Fail(script.Reset), script.Reply(503, strings.Repeat("x", 70<<10))} {
		synctest.Test(t, func(t *testing.T) {
			spans := tracetest.NewSpanRecorder()
			base := script.Repeat(t, step)
			tr := rig.Over(t, base, nil, oktaretry.WithPrepareRetry(func(*http.Request) error { panic("boom") }),
				oktaretry.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))))
			body := script.Text("content")
			again := script.Bodies{Content: "content"}
			for i, getBody := range []func() (io.ReadCloser, error){nil, again.Get} {
				spans.Reset()
				req := rig.Request(t, t.Context(), "PUT", "/api/v1/users/1", body)
				req.GetBody = getBody
				if v := rig.Panicked(func() { tr.RoundTrip(req) }); v != "boom" {
					t.Fatalf("panicked with %v, want the hook's value", v)
				}
				rig.WantIdle(t, tr)
				wantSpansEnded(t, spans, 1)
				base.WantClosed()
				body.WantClosed(t)
				again.WantClosed(t)
				base.WantSent(i + 1)
				body = script.Text("content")
			}
		})
	}
}

// A test's FailNow in a base ends its goroutine without a panic.
func TestGoexitOfTheBaseLeavesNothingOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := rig.Over(t, script.Func(func(*http.Request) (*http.Response, error) { runtime.Goexit(); return nil, nil }), nil)
		body := script.Text("content")
		req := rig.Request(t, t.Context(), "PUT", "/api/v1/users/1", body)
		done := make(chan struct{})
		go func() {
			defer close(done)
			tr.RoundTrip(req)
		}()
		<-done
		rig.WantIdle(t, tr)
		wantNoVerdict(t, tr, 0)
		body.WantClosed(t)
	})
}

// panicky panics on its second Read.
type panicky struct{ reads int }

func (p *panicky) Read(b []byte) (int, error) {
	if p.reads++; p.reads == 2 {
		panic("boom")
	}
	return copy(b, "{"), nil
}

// The classification reads an error body in a goroutine of its own, where a
// panic would end the program.
func TestPanicOfAnAnswersBodyReachesItsReader(t *testing.T) {
	for _, status := range []int{200, 404, 503} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
			synctest.Test(t, func(t *testing.T) {
				body := script.NewBody(new(panicky))
				tr := rig.Over(t, script.Repeat(t, script.Stream(status, body)), nil)
				resp, err := tr.RoundTrip(rig.Request(t, oktaretry.WithNoRetry(t.Context()), "GET", "/api/v1/users/1", nil))
				if err != nil {
					t.Fatal(err)
				}
				if v := rig.Panicked(func() { io.ReadAll(resp.Body) }); v != "boom" {
					t.Errorf("the reader got %v, want the panic", v)
				}
				resp.Body.Close()
				body.WantClosed(t)
				rig.WantIdle(t, tr)
			})
		})
	}
}

// Nobody reads an answer that is dropped for a resend, so its panic is nobody's.
func TestPanicOfADroppedAnswersBodyIsIgnored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		body := script.NewBody(new(panicky))
		tr := rig.Over(t, script.Repeat(t, script.Stream(503, body), script.OK()), nil)
		rig.Send(t, tr, rig.Request(t, t.Context(), "GET", "/api/v1/users/1", nil)).Text()
		body.WantClosed(t)
	})
}

// The base reads the caller's body in its own goroutine; one in memory does so
// in the caller's.
func TestPanicOfTheCallersBodyReachesTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		body := script.NewBody(new(panicky))
		base := script.Repeat(t, script.OK())
		tr := rig.Over(t, base, nil)
		req := rig.Request(t, t.Context(), "PUT", "/api/v1/users/1", body)
		if v := rig.Panicked(func() { tr.RoundTrip(req) }); v != "boom" {
			t.Errorf("panicked with %v, want the body's value", v)
		}
		rig.WantIdle(t, tr)
		body.WantClosed(t)
	})
}
