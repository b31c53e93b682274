// This file tests panics of foreign code that telemetry runs: samplers,
// propagators, log handlers, the function that names buckets. A panic reaches
// the caller like one of the base, and leaves nothing open.

package telemetry_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/internal/rig/script"
)

// fuse panics when it is asked for the nth time of what matches.
type fuse struct {
	word string
	left atomic.Int64
}

func newFuse(n int64, word string) *fuse {
	f := &fuse{word: word}
	f.left.Store(n)
	return f
}

func (f *fuse) burn(word string) {
	if strings.Contains(word, f.word) && f.left.Add(-1) == 0 {
		panic("boom")
	}
}

type fusePropagator struct {
	propagation.TraceContext
	*fuse
}

func (p fusePropagator) Inject(ctx context.Context, c propagation.TextMapCarrier) {
	p.burn("inject")
	p.TraceContext.Inject(ctx, c)
}

type fuseHandler struct {
	slog.Handler
	*fuse
}

func (h fuseHandler) Handle(_ context.Context, r slog.Record) error {
	text := r.Message
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "to" { // which changes of circuits tell apart
			text += " to " + a.Value.String()
		}
		return true
	})
	h.fuse.burn(text)
	return nil
}

func (h fuseHandler) Enabled(context.Context, slog.Level) bool { return true }

// panicCase is a place for a panic. Its fuse burns once.
type panicCase struct {
	name    string
	steps   []script.Step
	options func(*fuse) []oktaretry.Option
	at      int64 // which time of those that match
	word    string
	began   int  // spans
	unknown bool // the call had not begun, so it has no outcome
}

func panicCases() []panicCase {
	propagator := func(f *fuse) []oktaretry.Option {
		return []oktaretry.Option{oktaretry.WithPropagators(fusePropagator{fuse: f})}
	}
	handler := func(f *fuse) []oktaretry.Option {
		return []oktaretry.Option{oktaretry.WithLogThreshold(0), oktaretry.WithLogger(slog.New(fuseHandler{slog.DiscardHandler, f}))}
	}
	buckets := func(f *fuse) []oktaretry.Option {
		return []oktaretry.Option{oktaretry.WithBuckets(func(*http.Request) string { f.burn("bucket"); return "" })}
	}
	ok, down, long := []script.Step{script.OK()}, []script.Step{script.Reply(503, "x")}, []script.Step{script.Reply(503, strings.Repeat("x", 70<<10))}
	limited, pending := []script.Step{script.LimitedFor(time.Second)}, []script.Step{script.Pending("/poll")}
	return []panicCase{
		{name: "the first request's propagator", steps: ok, options: propagator, at: 1, word: "inject", began: 2},
		{name: "a resend's propagator", steps: long, options: propagator, at: 2, word: "inject", began: 3},
		{name: "a poll's propagator", steps: pending, options: propagator, at: 2, word: "inject", began: 3},
		{name: "the call's sampler", steps: ok, at: 1, word: "PUT", began: 0},
		{name: "an attempt's sampler", steps: ok, at: 2, word: "PUT", began: 1},
		{name: "a resend's sampler", steps: limited, at: 3, word: "PUT", began: 2},
		{name: "the bucket's name", steps: ok, options: buckets, at: 1, word: "bucket", began: 0, unknown: true},
		{name: "the bucket's name of a poll", steps: pending, options: buckets, at: 2, word: "bucket", began: 2},
		{name: "the line of a wait", steps: down, options: handler, at: 1, word: "waiting", began: 2},
		{name: "the line of a wait in line", steps: limited, options: handler, at: 1, word: "waiting", began: 2},
		{name: "the line of the end", steps: down, options: handler, at: 1, word: "call done", began: 5},
		{name: "the line of an end without an answer", steps: []script.Step{script.Fail(script.Reset)}, options: handler, at: 1, word: "call done", began: 5},
	}
}

func TestPanicInTelemetryCallbackLeavesNothingOpen(t *testing.T) {
	for _, tt := range panicCases() {
		for _, kind := range []string{"stream", "GetBody"} {
			t.Run(tt.name+", "+kind, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { runPanicCase(t, tt, kind) })
			})
		}
	}
}

func runPanicCase(t *testing.T, tt panicCase, kind string) {
	spans := tracetest.NewSpanRecorder()
	base := script.Repeat(t, tt.steps...)
	fuse := newFuse(tt.at, tt.word)
	sampler := &sampler{keep: func(p sdktrace.SamplingParameters) bool { fuse.burn(p.Name); return true }}
	var options []oktaretry.Option
	if tt.options != nil {
		options = tt.options(fuse)
	}
	tr := rig.Over(t, base, nil, append(options, oktaretry.WithTracerProvider(
		sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans), sdktrace.WithSampler(sampler))))...)
	ctx, rec := oktaretry.WithRecorder(t.Context())
	body := script.Text("content")
	req := rig.Request(t, ctx, "PUT", "/api/v1/users/1", body)
	again := script.Bodies{Content: "content"}
	if kind == "GetBody" {
		req.GetBody = again.Get
	}
	if v := rig.Panicked(func() { tr.RoundTrip(req) }); v != "boom" {
		t.Fatalf("panicked with %v", v)
	}
	rig.WantIdle(t, tr)
	rig.Equal(t, "spans begun", len(spans.Started()), tt.began)
	rig.Equal(t, "spans ended", len(spans.Ended()), tt.began)
	base.WantClosed()
	body.WantClosed(t)
	again.WantClosed(t)
	for i, s := range base.Sent() {
		if s.Context.Err() == nil {
			t.Errorf("the context of attempt %d was never released", i+1)
		}
	}
	if n := len(tr.Snapshot().Buckets); tt.unknown && n != 0 {
		t.Errorf("%d buckets of a call that had not begun", n)
	}
	if _, ok := rec.Outcome(); ok == tt.unknown {
		t.Errorf("the call has an outcome: %v", ok)
	}
}

// A probe whose call panicked returns its slot, also when the panic came from the
// log line of the circuit's change.
func TestPanicInCircuitLogReturnsTheProbe(t *testing.T) {
	for _, state := range []string{"circuit to half-open", "circuit to closed"} {
		synctest.Test(t, func(t *testing.T) {
			handler := fuseHandler{slog.DiscardHandler, newFuse(1, state)}
			tr := rig.Over(t, script.Repeat(t, script.Bare(503), script.OK()), func(p *oktaretry.Policy) {
				p.Breaker.MinCalls, p.Breaker.ProbeTimeout, p.Breaker.Probes = 1, time.Hour, 1
			}, oktaretry.WithLogger(slog.New(handler)))
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
				t.Fatalf("%s: panicked with %v", state, v)
			}
			rig.WantIdle(t, tr)
			if resp, err = call(); err != nil {
				t.Fatal(fmt.Errorf("after a panic over %q: %w", state, err))
			}
			resp.Body.Close()
		})
	}
}

// brokenMeters panic at each record of an attempt.
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

// Reporting the panic panics again.
func TestPanickingMeterLeavesNothingOpen(t *testing.T) {
	base := script.Repeat(t, script.Reply(200, "x"))
	tr := rig.Over(t, base, func(p *oktaretry.Policy) { p.Pace.MaxInFlight = 1 }, oktaretry.WithMeterProvider(brokenMeters{}))
	if v := rig.Panicked(func() { tr.RoundTrip(rig.Request(t, t.Context(), "GET", "/api/v1/users", nil)) }); v != "boom" {
		t.Fatalf("panicked with %v", v)
	}
	rig.WantIdle(t, tr)
	base.WantClosed()
}
