package oktaretry_test

// After any number of calls nothing is left of them.

import (
	"context"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.uber.org/goleak"

	"github.com/oktaretry/oktaretry"
)

// spanCount counts spans and keeps none.
type spanCount struct{ started, ended atomic.Int64 }

func (c *spanCount) OnStart(context.Context, sdktrace.ReadWriteSpan) { c.started.Add(1) }
func (c *spanCount) OnEnd(sdktrace.ReadOnlySpan)                     { c.ended.Add(1) }
func (c *spanCount) Shutdown(context.Context) error                  { return nil }
func (c *spanCount) ForceFlush(context.Context) error                { return nil }

// leakOutcome is one way for a call to go.
type leakOutcome struct {
	name    string
	steps   []memStep
	method  string
	context func(context.Context) context.Context
	header  string
}

// leakOutcomes ends with calls that take no time: nothing that they leave
// behind has run out by itself when the count is taken.
func leakOutcomes() []leakOutcome {
	limited := memLimited(20 * time.Second)
	down := memReply(503, "<html>")
	pending := memCode(202, "E0000070", "Location", "/api/v1/poll")
	canceledSoon := func(ctx context.Context) context.Context {
		ctx, cancel := context.WithCancel(ctx)
		time.AfterFunc(time.Millisecond, cancel)
		return ctx
	}
	return []leakOutcome{
		{name: "rate-limited", steps: []memStep{limited, memOK}},
		{name: "recovered", steps: []memStep{down, memReset, memOK}},
		{name: "used up", steps: []memStep{down}},
		{name: "network", steps: []memStep{memReset}},
		{name: "polled", steps: []memStep{pending, pending, memOK}, method: "POST"},
		{name: "pending", steps: []memStep{pending}, method: "POST"},
		{name: "hung", steps: []memStep{memHang}, method: "POST"},
		{name: "stalled", steps: []memStep{stalls(404)}},
		{name: "stalled, dropped", steps: []memStep{stalls(503), memOK}},
		{name: "canceled in the base", steps: []memStep{memHang}, context: canceledSoon},
		{name: "canceled in a wait", steps: []memStep{limited}, context: canceledSoon},
		{name: "canceled in a backoff", steps: []memStep{down}, context: canceledSoon},
		{name: "past the deadline", steps: []memStep{limited}, context: deadline(time.Second)},
		{name: "panic", steps: []memStep{memPanic("boom")}},
		{name: "panic later", steps: []memStep{down, memPanic("boom")}},
		{name: "too long", steps: []memStep{memCode(429, "E0000146")}},
		{name: "not idempotent", steps: []memStep{down}, method: "POST"},
		{name: "canceled before", steps: []memStep{memOK}, context: canceledContext},
		{name: "proof", steps: []memStep{memCode(429, "E0000109")}, header: "Dpop"},
		{name: "terminal", steps: []memStep{memFail(http.ErrNotSupported)}},
		{name: "fail fast", steps: []memStep{memCode(404, "E0000007")}},
		{name: "beyond the peek limit", steps: []memStep{memReply(404, strings.Repeat("x", 70<<10))}},
		{name: "bad option", steps: []memStep{memOK}, context: badRule("?", oktaretry.Rule{})},
		{name: "success", steps: []memStep{memOK}},
	}
}

// stalls answers with a body that never ends by itself.
func stalls(status int) memStep {
	return func(r *http.Request) (*http.Response, error) {
		body, w := io.Pipe()
		context.AfterFunc(r.Context(), func() { w.CloseWithError(context.Cause(r.Context())) })
		return memBodied(status, body)(r)
	}
}

func TestNothingIsLeftAfterThousandsOfCallsOfEveryOutcome(t *testing.T) {
	const calls = 150 // of each of 24 outcomes
	// Each bubble starts from the same state and ends only when its goroutines have.
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	synctest.Test(t, func(t *testing.T) {
		spans := new(spanCount)
		var base *memBase
		tr := newOver(t, roundTrip(func(r *http.Request) (*http.Response, error) { return base.RoundTrip(r) }),
			func(p *oktaretry.Policy) { p.Breaker.Disabled = true },
			oktaretry.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))))

		run := func(o leakOutcome, n int) {
			for range n {
				base = newMemBase(o.steps...)
				ctx, cancel := context.WithCancel(context.Background())
				callCtx := ctx
				if o.context != nil {
					callCtx = o.context(ctx)
				}
				method := o.method
				if method == "" {
					method = "PUT"
				}
				body := watch("content")
				req := newReq(t, callCtx, method, "/api/v1/users/1", body)
				if o.header != "" {
					req.Header.Set(o.header, "x")
				}
				panics(func() {
					if resp, err := tr.RoundTrip(req); err == nil {
						resp.Body.Close()
					}
				})
				if c := body.closes.Load(); c != 1 {
					t.Fatalf("%s: the caller's body was closed %d times, want once", o.name, c)
				}
				if open := base.open.Load(); open != 0 {
					t.Fatalf("%s: %d response bodies were never closed", o.name, open)
				}
				for _, s := range base.all() {
					if s.ctx.Err() == nil {
						t.Fatalf("%s: an attempt's context was never released", o.name)
					}
				}
				base = nil
				cancel()
			}
		}
		outcomes := leakOutcomes()
		for _, o := range slices.Concat(outcomes, outcomes) {
			run(o, 5)
		}
		synctest.Wait()
		goroutines, heap := runtime.NumGoroutine(), heapInUse()
		for _, o := range outcomes {
			run(o, calls)
		}
		synctest.Wait()
		if n := runtime.NumGoroutine(); n > goroutines {
			t.Errorf("%d goroutines, before there were %d", n, goroutines)
		}
		// 150 of the timers that an attempt starts would be 64 KiB and more.
		if grown := int64(heapInUse()) - int64(heap); grown > 32<<10 {
			t.Errorf("the heap has grown by %d bytes over %d calls", grown, calls*len(outcomes))
		}
		if s, e := spans.started.Load(), spans.ended.Load(); s == 0 || s != e {
			t.Errorf("%d spans were begun and %d ended", s, e)
		}
		wantIdle(t, tr)
		runtime.KeepAlive(tr)
	})
}

// heapInUse is what is reachable.
func heapInUse() uint64 {
	var m runtime.MemStats
	for range 3 { // sync.Pools let go in two steps
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// Many read an answer to its end and never close it.
func TestTheAttemptsContextEndsWithItsBody(t *testing.T) {
	for name, step := range map[string]memStep{
		"success":    memReply(200, "x"),
		"error":      memReply(404, "x"),
		"no content": func(r *http.Request) (*http.Response, error) { return bare(204).response(r), nil },
	} {
		base := newMemBase(step)
		resp, err := newOver(t, base, nil).RoundTrip(newReq(t, t.Context(), "GET", "/api/v1/logs", nil))
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		if base.wantSent(t, 1)[0].ctx.Err() == nil {
			t.Errorf("%s: the end of the body did not release the attempt's context", name)
		}
	}
}

// A timer that was not stopped would end a body that takes longer than an
// attempt may.
func TestTheAttemptsTimerEndsWithItsHeaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, status := range []int{200, 404} {
			base := newMemBase(stalls(status))
			resp, err := newOver(t, base, nil).RoundTrip(newReq(t, t.Context(), "GET", "/api/v1/logs", nil))
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Hour)
			if err := base.wantSent(t, 1)[0].ctx.Err(); err != nil {
				t.Errorf("%d: the context of an open body ended: %v", status, err)
			}
			resp.Body.Close()
			if base.all()[0].ctx.Err() == nil {
				t.Errorf("%d: Close did not release the attempt's context", status)
			}
			synctest.Wait()
		}
	})
}
