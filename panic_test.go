package oktaretry_test

// A panic goes on up to whoever called, and leaves the Transport as it was.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
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

func TestAPanicOfTheBaseGoesOnUpAndLeavesAllConsistent(t *testing.T) {
	for name, test := range map[string]struct {
		steps    []script.Step
		attempts int
		failures int
	}{
		"at once":            {[]script.Step{script.Panic("boom")}, 1, 0},
		"after a rate limit": {[]script.Step{script.LimitedFor(time.Second), script.Panic("boom")}, 2, 0},
		"after a 503":        {[]script.Step{script.Reply(503, "x"), script.Panic("boom")}, 2, 1},
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
					if name != "while polling" { // a pending answer is good news of the host
						wantNoVerdict(t, tr, test.failures)
					}
					wantSpansEnded(t, spans, test.attempts)
					base.WantClosed()
					if n := body.Closes(); n != 1 {
						t.Errorf("the caller's body was closed %d times, want once", n)
					}
					out := rig.WantStop(t, rec, oktaretry.StopNone)
					if len(out.Attempts) != test.attempts || out.Err == nil || out.Class != oktaretry.ClassNetwork {
						t.Errorf("the outcome says %v after %d attempts, %v", out.Class, len(out.Attempts), out.Err)
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

// A base that panics before it has read or closed the body leaves that to us.
func TestAPanicOfTheBaseLeavesNoBodyOpen(t *testing.T) {
	for _, sends := range []int64{1, 2} {
		for _, kind := range []string{"stream", "GetBody"} {
			t.Run(fmt.Sprint(kind, ", send ", sends), func(t *testing.T) {
				var sent, again, closed atomic.Int64
				tr := rig.Over(t, script.Func(func(r *http.Request) (*http.Response, error) {
					if sent.Add(1) == sends {
						panic("boom")
					}
					r.Body.Close()
					return script.Limited().Respond(r)
				}), rig.QuickWaits)
				body := script.Text("content")
				req := rig.Request(t, t.Context(), "PUT", "/api/v1/users/1", body)
				if kind == "GetBody" {
					req.GetBody = func() (io.ReadCloser, error) {
						again.Add(1)
						return &closeCounter{strings.NewReader("content"), &closed}, nil
					}
				}
				if v := rig.Panicked(func() { tr.RoundTrip(req) }); v != "boom" {
					t.Errorf("panicked with %v", v)
				}
				if n := body.Closes(); n != 1 || again.Load() != closed.Load() {
					t.Errorf("the body was closed %d times, want once; %d of GetBody's %d", n, closed.Load(), again.Load())
				}
			})
		}
	}
}

func TestAPanicOfTheHookGoesOnUpAndLeavesAllConsistent(t *testing.T) {
	// The last one is still held when the hook runs: not all of it is in memory.
	for _, step := range []script.Step{script.LimitedFor(time.Second), script.Reply(503, "x"), script.Fail(script.Reset), script.Reply(503, strings.Repeat("x", 70<<10))} {
		synctest.Test(t, func(t *testing.T) {
			spans := tracetest.NewSpanRecorder()
			base := script.Repeat(t, step)
			tr := rig.Over(t, base, nil, oktaretry.WithPrepareRetry(func(*http.Request) error { panic("boom") }),
				oktaretry.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))))
			body := script.Text("content")
			var again, closed atomic.Int64
			for i, getBody := range []func() (io.ReadCloser, error){
				nil, func() (io.ReadCloser, error) {
					again.Add(1)
					return &closeCounter{strings.NewReader("content"), &closed}, nil
				},
			} {
				spans.Reset()
				req := rig.Request(t, t.Context(), "PUT", "/api/v1/users/1", body)
				req.GetBody = getBody
				if v := rig.Panicked(func() { tr.RoundTrip(req) }); v != "boom" {
					t.Fatalf("panicked with %v, want the hook's value", v)
				}
				rig.WantIdle(t, tr)
				wantSpansEnded(t, spans, 1)
				base.WantClosed()
				if n := body.Closes(); n != 1 || again.Load() != closed.Load() {
					t.Errorf("call %d: body closed %d times, want once; %d of GetBody's %d", i, n, closed.Load(), again.Load())
				}
				base.WantSent(i + 1)
				body = script.Text("content")
			}
		})
	}
}

// A probe that panics must not block a half-open circuit.
func TestAPanickingProbeGivesItsPlaceBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := script.Repeat(t, script.Bare(503), script.Panic("boom"), script.OK())
		tr := rig.Over(t, base, func(p *oktaretry.Policy) {
			p.Breaker.MinCalls, p.Breaker.ProbeTimeout = 1, time.Hour
		})
		call := func() (*http.Response, error) {
			return tr.RoundTrip(rig.Request(t, oktaretry.WithNoRetry(t.Context()), "GET", "/api/v1/users/1", nil))
		}
		resp, err := call()
		rig.Text(t, resp, err)
		var open *oktaretry.CircuitOpenError
		if _, err := call(); !errors.As(err, &open) {
			t.Fatalf("got %v, want an open circuit", err)
		}
		time.Sleep(open.RetryAfter)
		if v := rig.Panicked(func() { call() }); v != "boom" {
			t.Fatalf("the probe panicked with %v", v)
		}
		resp, err = call()
		rig.Text(t, resp, err)
	})
}

// A test's FailNow in a base ends its goroutine without a panic.
func TestAGoexitInTheBaseLeavesAllConsistent(t *testing.T) {
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
		if n := body.Closes(); n != 1 {
			t.Errorf("the body was closed %d times, want once", n)
		}
	})
}

// panicky panics on its second Read.
type panicky struct{ closes, reads atomic.Int64 }

func (p *panicky) Read(b []byte) (int, error) {
	if p.reads.Add(1) == 2 {
		panic("boom")
	}
	return copy(b, "{"), nil
}
func (p *panicky) Close() error { p.closes.Add(1); return nil }

// The classification reads an error body in a goroutine of its own, where a
// panic would end the program. It is the reader's, wherever it reads.
func TestAPanicInReadingAnAnswerIsTheReaders(t *testing.T) {
	for _, status := range []int{200, 404, 503} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
			synctest.Test(t, func(t *testing.T) {
				body := new(panicky)
				tr := rig.Over(t, script.Repeat(t, script.Stream(status, body)), nil)
				resp, err := tr.RoundTrip(rig.Request(t, oktaretry.WithNoRetry(t.Context()), "GET", "/api/v1/users/1", nil))
				if err != nil {
					t.Fatal(err)
				}
				if v := rig.Panicked(func() { io.ReadAll(resp.Body) }); v != "boom" {
					t.Errorf("the reader got %v, want the panic", v)
				}
				resp.Body.Close()
				if n := body.closes.Load(); n != 1 {
					t.Errorf("the body was closed %d times, want once", n)
				}
				rig.WantIdle(t, tr)
			})
		})
	}
}

// Nobody reads an answer that is dropped for a resend, so its panic is nobody's.
func TestAPanicInAnAnswerThatIsDroppedStopsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		body := new(panicky)
		tr := rig.Over(t, script.Repeat(t, script.Stream(503, body), script.OK()), nil)
		resp, err := tr.RoundTrip(rig.Request(t, t.Context(), "GET", "/api/v1/users/1", nil))
		rig.Text(t, resp, err)
		if n := body.closes.Load(); n != 1 {
			t.Errorf("the body was closed %d times, want once", n)
		}
	})
}

// The base reads the caller's body in its own goroutine; one in memory does so
// in the caller's.
func TestAPanicOfTheCallersBodyGoesOnUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		body := new(panicky)
		base := script.Repeat(t, script.OK())
		tr := rig.Over(t, base, nil)
		req := rig.Request(t, t.Context(), "PUT", "/api/v1/users/1", body)
		if v := rig.Panicked(func() { tr.RoundTrip(req) }); v != "boom" {
			t.Errorf("panicked with %v, want the body's value", v)
		}
		rig.WantIdle(t, tr)
		if n := body.closes.Load(); n != 1 {
			t.Errorf("the body was closed %d times, want once", n)
		}
	})
}

// brokenMeters panic whenever they are told of an attempt.
type brokenMeters struct{ metricnoop.MeterProvider }

func (brokenMeters) Meter(string, ...metric.MeterOption) metric.Meter { return brokenMeter{} }

type brokenMeter struct{ metricnoop.Meter }

func (brokenMeter) Float64Histogram(name string, _ ...metric.Float64HistogramOption) (metric.Float64Histogram, error) {
	return brokenHistogram{broken: name == "http.client.request.duration"}, nil
}

type brokenHistogram struct {
	metricnoop.Float64Histogram
	broken bool
}

func (h brokenHistogram) Enabled(context.Context) bool                            { return h.broken }
func (h brokenHistogram) Record(context.Context, float64, ...metric.RecordOption) { panic("boom") }

// Also not when the panic is told of, and that panics again.
func TestAMeterThatPanicsEachTimeLeavesNothingOpen(t *testing.T) {
	base := script.Repeat(t, script.Reply(200, "x"))
	tr := rig.Over(t, base, func(p *oktaretry.Policy) { p.Pace.MaxInFlight = 1 }, oktaretry.WithMeterProvider(brokenMeters{}))
	if v := rig.Panicked(func() { tr.RoundTrip(rig.Request(t, t.Context(), "GET", "/api/v1/users", nil)) }); v != "boom" {
		t.Fatalf("panicked with %v", v)
	}
	rig.WantIdle(t, tr)
	base.WantClosed()
}
