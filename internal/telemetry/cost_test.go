// This file tests that what nobody observes costs nothing.

package telemetry_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/internal/rig/recorders"
	"github.com/oktaretry/oktaretry/internal/rig/script"
)

// allocatedBy returns how many objects f allocated, by the line of the
// library's telemetry that asked for them; direct leaves out what is allocated
// for them elsewhere, as in an SDK.
func allocatedBy(f func(), direct bool) map[string]int64 {
	count := func() map[string]int64 {
		runtime.GC() // twice: a profile is a cycle behind
		runtime.GC()
		records := make([]runtime.MemProfileRecord, 1<<16)
		n, ok := runtime.MemProfile(records, true)
		if !ok {
			panic("more records than fit")
		}
		at := map[string]int64{}
		for _, r := range records[:n] {
			frames := runtime.CallersFrames(r.Stack())
			for more := true; more; {
				var frame runtime.Frame
				frame, more = frames.Next()
				name := filepath.Base(frame.File)
				if name == "telemetry.go" || strings.Contains(frame.Function, "/internal/telemetry.") {
					at[fmt.Sprint(name, ":", frame.Line)] += r.AllocObjects
					break
				}
				if direct && !strings.HasPrefix(frame.Function, "runtime.") {
					break
				}
			}
		}
		return at
	}
	before := count()
	f()
	after := count()
	for line, n := range before {
		if after[line] -= n; after[line] == 0 {
			delete(after, line)
		}
	}
	return after
}

// sendCalls sends calls that give telemetry everything to report.
func sendCalls(t *testing.T, tr *oktaretry.Transport, n int) {
	for range n {
		req, _ := http.NewRequestWithContext(t.Context(), "GET", rig.UserURL, nil)
		if resp, err := tr.RoundTrip(req); err == nil {
			resp.Body.Close()
		} else if !errors.Is(err, http.ErrNotSupported) {
			t.Fatal(err)
		}
	}
}

// mixedAnswers answers errors, rate limits and, in the end, what a caller can
// do something with.

func mixedAnswers() http.RoundTripper {
	n := 0
	return script.Func(func(req *http.Request) (*http.Response, error) {
		n++
		return []script.Step{
			script.Down(), script.Fail(script.Refused), script.Code(429, "E0000109"), window(600, 500, time.Minute), script.Code(404, "E0000007"),
			script.Fail(http.ErrNotSupported),
		}[n%6].Respond(req)
	})
}

// With every allocation of a process on record, none comes from a line of the
// telemetry.
func TestUnobservedTelemetryAllocatesNothing(t *testing.T) {
	if rig.Race {
		t.Skip("the race detector allocates")
	}
	if !inOwnProcess(t) {
		return
	}
	runtime.MemProfileRate = 1
	never := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample()))
	for _, tt := range []struct {
		name   string
		direct bool
		opts   []oktaretry.Option
	}{
		{"no provider", false, nil},
		{"no provider, no spans of attempts", false, []oktaretry.Option{oktaretry.WithAttemptSpans(false), oktaretry.WithAttemptMetrics(false)}},
		{"noop providers", false, []oktaretry.Option{
			oktaretry.WithTracerProvider(tracenoop.NewTracerProvider()), oktaretry.WithMeterProvider(metricnoop.NewMeterProvider())}},
		{"a log that hears nothing", false, []oktaretry.Option{
			oktaretry.WithLogger(slog.New(slog.DiscardHandler)), oktaretry.WithLogThreshold(0)}},
		// What an SDK that samples nothing allocates is its own.
		{"no samples", true, []oktaretry.Option{oktaretry.WithTracerProvider(never)}},
		{"no samples, propagated", true, []oktaretry.Option{
			oktaretry.WithTracerProvider(never), oktaretry.WithPropagators(propagation.TraceContext{})}},
	} {
		synctest.Test(t, func(t *testing.T) {
			tr := rig.Over(t, mixedAnswers(), rig.QuickWaits, tt.opts...)
			sendCalls(t, tr, 20) // what is made once is made
			if got := allocatedBy(func() { sendCalls(t, tr, 100) }, tt.direct); len(got) != 0 {
				t.Errorf("%s: objects allocated in 100 calls, by line: %v", tt.name, got)
			}
		})
	}

	// The measure measures: an SDK that samples has its attributes built.
	always := sdktrace.NewTracerProvider()
	synctest.Test(t, func(t *testing.T) {
		tr := rig.Over(t, mixedAnswers(), rig.QuickWaits, oktaretry.WithTracerProvider(always))
		sendCalls(t, tr, 20)
		if got := allocatedBy(func() { sendCalls(t, tr, 100) }, true); len(got) == 0 {
			t.Error("a traced call allocated nothing: the profile was not looked at")
		}
	})
}

func TestNoProviderCostsAsMuchAsNoopProviders(t *testing.T) {
	if rig.Race {
		t.Skip("the race detector allocates")
	}
	if !inOwnProcess(t) {
		return
	}
	allocs := func(opts ...oktaretry.Option) float64 {
		tr := rig.Over(t, script.Func(func(req *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: http.NoBody, Request: req}, nil
		}), nil, opts...)
		req, _ := http.NewRequestWithContext(t.Context(), "GET", rig.UserURL, nil)
		return testing.AllocsPerRun(500, func() {
			if _, err := tr.RoundTrip(req); err != nil {
				t.Fatal(err)
			}
		})
	}
	off := []oktaretry.Option{
		oktaretry.WithTracerProvider(tracenoop.NewTracerProvider()), oktaretry.WithMeterProvider(metricnoop.NewMeterProvider()),
		oktaretry.WithPropagators(propagation.NewCompositeTextMapPropagator()),
	}
	noop, none := allocs(off...), allocs()
	rig.Equal(t, "allocations without a provider", none, noop)
	rig.Equal(t, "allocations with a log that hears of nothing", allocs(append(off, oktaretry.WithLogger(slog.New(slog.DiscardHandler)))...), noop)
	rig.Equal(t, "allocations without spans of attempts", allocs(append(off, oktaretry.WithAttemptSpans(false))...), noop)
	otel.SetTracerProvider(tracenoop.NewTracerProvider())
	otel.SetMeterProvider(metricnoop.NewMeterProvider())
	rig.Equal(t, "allocations with noop's providers installed for all", allocs(), noop)
	if traced := allocs(oktaretry.WithTracerProvider(sdktrace.NewTracerProvider())); traced <= noop {
		t.Errorf("%v allocations with spans, %v without: the measure measures nothing", traced, noop)
	}
}

// Who leaves the attempts' spans to otelhttp does so to pay for less.
func TestOmittedAttemptSpansSaveAllocations(t *testing.T) {
	if rig.Race {
		t.Skip("the race detector allocates")
	}
	allocs := func(spans bool) float64 {
		tr := rig.Over(t, &script.Fast{Status: 200}, nil, recorders.Traced(sdktrace.AlwaysSample()), oktaretry.WithAttemptSpans(spans))
		req, _ := http.NewRequestWithContext(t.Context(), "GET", rig.UserURL, nil)
		return testing.AllocsPerRun(500, func() {
			resp, err := tr.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
		})
	}
	if with, without := allocs(true), allocs(false); without >= with {
		t.Errorf("%v allocations without spans of attempts, %v with them", without, with)
	}
}

// unsampled makes spans that somebody decided not to record. None of what
// would be recorded may be made.
type unsampled struct {
	trace.TracerProvider
	t *testing.T
}

type unsampledTracer struct {
	trace.Tracer
	t *testing.T
}

type unsampledSpan struct {
	trace.Span
	t *testing.T
}

func (p unsampled) Tracer(string, ...trace.TracerOption) trace.Tracer {
	return unsampledTracer{tracenoop.NewTracerProvider().Tracer(""), p.t}
}

func (p unsampledTracer) Start(ctx context.Context, _ string, _ ...trace.SpanStartOption) (context.Context, trace.Span) {
	id := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}})
	s := unsampledSpan{trace.SpanFromContext(trace.ContextWithSpanContext(ctx, id)), p.t}
	return trace.ContextWithSpan(ctx, s), s
}

func (s unsampledSpan) SetAttributes(...attribute.KeyValue)          { s.t.Error("SetAttributes") }
func (s unsampledSpan) AddEvent(name string, _ ...trace.EventOption) { s.t.Error("AddEvent", name) }
func (s unsampledSpan) SetStatus(codes.Code, string)                 { s.t.Error("SetStatus") }
func (s unsampledSpan) RecordError(error, ...trace.EventOption)      { s.t.Error("RecordError") }
func (s unsampledSpan) SetName(string)                               { s.t.Error("SetName") }

// disabledMeters is a meter whose instruments are off, as those of an SDK whose views
// drop them.
type disabledMeters struct {
	metric.MeterProvider
	t *testing.T
}

type disabledMeter struct {
	metric.Meter
	t *testing.T
}

type (
	disabledFloats struct {
		metric.Float64Histogram
		t *testing.T
	}
	disabledInts struct {
		metric.Int64Histogram
		t *testing.T
	}
	disabledCounter struct {
		metric.Int64Counter
		t *testing.T
	}
)

func (p disabledMeters) Meter(string, ...metric.MeterOption) metric.Meter {
	return disabledMeter{metricnoop.NewMeterProvider().Meter(""), p.t}
}
func (m disabledMeter) Float64Histogram(string, ...metric.Float64HistogramOption) (metric.Float64Histogram, error) {
	return disabledFloats{metricnoop.Float64Histogram{}, m.t}, nil
}
func (m disabledMeter) Int64Histogram(string, ...metric.Int64HistogramOption) (metric.Int64Histogram, error) {
	return disabledInts{metricnoop.Int64Histogram{}, m.t}, nil
}
func (m disabledMeter) Int64Counter(string, ...metric.Int64CounterOption) (metric.Int64Counter, error) {
	return disabledCounter{metricnoop.Int64Counter{}, m.t}, nil
}
func (h disabledFloats) Record(context.Context, float64, ...metric.RecordOption) { h.t.Error("Record") }
func (h disabledInts) Record(context.Context, int64, ...metric.RecordOption)     { h.t.Error("Record") }
func (c disabledCounter) Add(context.Context, int64, ...metric.AddOption)        { c.t.Error("Add") }

func TestUnrecordedSpansAndMetricsGetNoAttributes(t *testing.T) {
	for _, spans := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			r := recorders.Observe(t, func(p *oktaretry.Policy) { p.Pace.MaxRate, p.Pace.Burst, p.Breaker.MinCalls = 20, 1, 4 }, script.OK())
			r.With(t, oktaretry.WithTracerProvider(unsampled{tracenoop.NewTracerProvider(), t}),
				oktaretry.WithMeterProvider(disabledMeters{metricnoop.NewMeterProvider(), t}), oktaretry.WithAttemptSpans(spans))
			reportEverything(t, r)
			if r.Base.Sent()[0].Header.Get("Traceparent") == "" {
				t.Error("the trace was not carried on")
			}
		})
	}
}
