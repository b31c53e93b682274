// This file tests that calls leave nothing behind.

package oktaretry_test

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
	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/internal/rig/script"
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
	steps   []script.Step
	method  string
	context func(context.Context) context.Context
	header  string
}

// leakOutcomes ends with calls that take no time: nothing that they leave
// behind has run out by itself when the count is taken.
func leakOutcomes() []leakOutcome {
	limited := script.LimitedFor(20 * time.Second)
	down := script.Reply(503, "<html>")
	pending := script.Pending("/api/v1/poll")
	canceledSoon := func(ctx context.Context) context.Context {
		ctx, cancel := context.WithCancel(ctx)
		time.AfterFunc(time.Millisecond, cancel)
		return ctx
	}
	return []leakOutcome{
		{name: "rate-limited", steps: []script.Step{limited, script.OK()}},
		{name: "recovered", steps: []script.Step{down, script.Fail(script.Reset), script.OK()}},
		{name: "used up", steps: []script.Step{down}},
		{name: "network", steps: []script.Step{script.Fail(script.Reset)}},
		{name: "polled", steps: []script.Step{pending, pending, script.OK()}, method: "POST"},
		{name: "pending", steps: []script.Step{pending}, method: "POST"},
		{name: "hung", steps: []script.Step{script.Hang()}, method: "POST"},
		{name: "stalled", steps: []script.Step{script.Stalled(404, "")}},
		{name: "stalled, dropped", steps: []script.Step{script.Stalled(503, ""), script.OK()}},
		{name: "canceled in the base", steps: []script.Step{script.Hang()}, context: canceledSoon},
		{name: "canceled in a wait", steps: []script.Step{limited}, context: canceledSoon},
		{name: "canceled in a backoff", steps: []script.Step{down}, context: canceledSoon},
		{name: "past the deadline", steps: []script.Step{limited}, context: deadline(time.Second)},
		{name: "panic", steps: []script.Step{script.Panic("boom")}},
		{name: "panic later", steps: []script.Step{down, script.Panic("boom")}},
		{name: "too long", steps: []script.Step{script.Code(429, "E0000146")}},
		{name: "not idempotent", steps: []script.Step{down}, method: "POST"},
		{name: "canceled before", steps: []script.Step{script.OK()}, context: canceledContext},
		{name: "proof", steps: []script.Step{script.Code(429, "E0000109")}, header: "Dpop"},
		{name: "terminal", steps: []script.Step{script.Fail(http.ErrNotSupported)}},
		{name: "fail fast", steps: []script.Step{script.Code(404, "E0000007")}},
		{name: "beyond the peek limit", steps: []script.Step{script.Reply(404, strings.Repeat("x", 70<<10))}},
		{name: "bad option", steps: []script.Step{script.OK()}, context: badRule("?", oktaretry.Rule{})},
		{name: "success", steps: []script.Step{script.OK()}},
	}
}

func TestCallsOfEveryOutcomeLeaveNothingBehind(t *testing.T) {
	const calls = 150 // of each of 24 outcomes
	// Each bubble starts from the same state and ends only when its goroutines have.
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	synctest.Test(t, func(t *testing.T) {
		spans := new(spanCount)
		var base *script.Base
		tr := rig.Over(t, script.Func(func(r *http.Request) (*http.Response, error) { return base.RoundTrip(r) }),
			func(p *oktaretry.Policy) { p.Breaker.Disabled = true },
			oktaretry.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))))

		run := func(o leakOutcome, n int) {
			for range n {
				base = script.Repeat(t, o.steps...)
				ctx, cancel := context.WithCancel(context.Background())
				callCtx := ctx
				if o.context != nil {
					callCtx = o.context(ctx)
				}
				method := o.method
				if method == "" {
					method = "PUT"
				}
				body := script.Text("content")
				req := rig.Request(t, callCtx, method, "/api/v1/users/1", body)
				if o.header != "" {
					req.Header.Set(o.header, "x")
				}
				rig.Panicked(func() {
					if resp, err := tr.RoundTrip(req); err == nil {
						resp.Body.Close()
					}
				})
				if c := body.Closes(); c != 1 {
					t.Fatalf("%s: the caller's body was closed %d times, want once", o.name, c)
				}
				if open := base.Open(); open != 0 {
					t.Fatalf("%s: %d response bodies were never closed", o.name, open)
				}
				for _, s := range base.Sent() {
					if s.Context.Err() == nil {
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
		goroutines, heap := runtime.NumGoroutine(), rig.HeapInUse()
		for _, o := range outcomes {
			run(o, calls)
		}
		synctest.Wait()
		if n := runtime.NumGoroutine(); n > goroutines {
			t.Errorf("%d goroutines, before there were %d", n, goroutines)
		}
		// 150 of the timers that an attempt starts would be 64 KiB and more.
		if grown := int64(rig.HeapInUse()) - int64(heap); grown > 32<<10 {
			t.Errorf("the heap has grown by %d bytes over %d calls", grown, calls*len(outcomes))
		}
		if s, e := spans.started.Load(), spans.ended.Load(); s == 0 || s != e {
			t.Errorf("%d spans were begun and %d ended", s, e)
		}
		rig.WantIdle(t, tr)
		runtime.KeepAlive(tr)
	})
}

// Many read an answer to its end and never close it.
func TestAttemptContextEndsWithItsBody(t *testing.T) {
	for name, step := range map[string]script.Step{
		"success":    script.Reply(200, "x"),
		"error":      script.Reply(404, "x"),
		"no content": script.Bare(204),
	} {
		base := script.Repeat(t, step)
		resp, err := rig.Over(t, base, nil).RoundTrip(rig.Request(t, t.Context(), "GET", "/api/v1/logs", nil))
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		if base.WantSent(1)[0].Context.Err() == nil {
			t.Errorf("%s: the end of the body did not release the attempt's context", name)
		}
	}
}
