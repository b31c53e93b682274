// This file tests global providers, which may be installed before a Transport
// is made, after it, or never.

package telemetry_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/internal/rig/recorders"
	"github.com/oktaretry/oktaretry/internal/rig/script"
)

// inOwnProcess runs the rest of a test in a process of its own: what is global is
// installed once, and for good.
func inOwnProcess(t *testing.T, env ...string) (alone bool) {
	t.Helper()
	const key = "OKTARETRY_TEST_ALONE"
	if os.Getenv(key) == t.Name() {
		return true
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(append(os.Environ(), key+"="+t.Name()), env...)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}

// overGlobals returns a rig whose Transport has no provider of its own.
func overGlobals(t *testing.T, more ...oktaretry.Option) *recorders.Observed {
	r := &recorders.Observed{Recorder: recorders.New(), Base: script.Repeat(t, script.OK())}
	r.With(t, more...)
	return r
}

// spanSeen returns what kind of span the base saw in the context of the last
// request: whose it is shows who was asked to start one.
func spanSeen(r *recorders.Observed) string {
	sent := r.Base.Sent()
	return fmt.Sprintf("%T", trace.SpanFromContext(sent[len(sent)-1].Context))
}

const noopSpan, globalSpan = "trace.noopSpan", "global.nonRecordingSpan"

func TestNoProviderStartsNoSpanAfterTheFirstCall(t *testing.T) {
	if !inOwnProcess(t) {
		return
	}
	r := overGlobals(t)
	for i := range 5 {
		if err := r.Do(t.Context(), "GET", rig.UserURL); err != nil {
			t.Fatal(err)
		}
		want := noopSpan
		if i == 0 {
			want = globalSpan
		}
		rig.Equal(t, fmt.Sprint("span in call ", i), spanSeen(r), want)
	}
	// A span of somebody else's goes on being the parent of what comes below.
	ctx, span := r.Tracer.Tracer("caller").Start(t.Context(), "sync")
	r.Do(ctx, "GET", rig.UserURL)
	rig.Equal(t, "span", trace.SpanFromContext(r.Base.Sent()[len(r.Base.Sent())-1].Context), span)
}

func TestGlobalProvidersMayBeInstalledLater(t *testing.T) {
	if !inOwnProcess(t) {
		return
	}
	r := overGlobals(t)
	for range 3 {
		r.Do(t.Context(), "GET", rig.UserURL)
	}
	otel.SetTracerProvider(r.Tracer)
	otel.SetMeterProvider(r.Meter)
	otel.SetTextMapPropagator(propagation.TraceContext{})
	for range 2 {
		r.Do(t.Context(), "GET", rig.UserURL)
	}
	calls, attempts := r.Ended(t)
	rig.Equal(t, "spans", [2]int{len(calls), len(attempts)}, [2]int{2, 2})
	rig.Equal(t, "calls counted", r.Counts(t, "oktaretry.call.duration", "server.", "url."), map[string]uint64{"GET success success": 2})
	r.WantValues(t, "oktaretry.bucket.in_flight", map[string]float64{userBucket: 0})
	if got := r.Base.Sent()[4].Header.Get("Traceparent"); !strings.Contains(got, attempts[1].SpanContext().SpanID().String()) {
		t.Errorf("traceparent is %q", got)
	}
}

// OpenTelemetry gives a tracer to the first provider that is installed, and
// leaves it there. A Transport that is made later has the second one.
func TestTransportKeepsTheFirstGlobalProvider(t *testing.T) {
	if !inOwnProcess(t) {
		return
	}
	r := overGlobals(t)
	r.Do(t.Context(), "GET", rig.UserURL)
	otel.SetTracerProvider(r.Tracer)
	r.Do(t.Context(), "GET", rig.UserURL)
	later := tracetest.NewSpanRecorder()
	otel.SetTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(later)))
	r.Do(t.Context(), "GET", rig.UserURL)
	rig.Equal(t, "spans of the first", len(r.Spans.Ended()), 4)
	rig.Equal(t, "spans of the second", len(later.Ended()), 0)
	r.With(t)
	r.Do(t.Context(), "GET", rig.UserURL)
	rig.Equal(t, "spans of the first", len(r.Spans.Ended()), 4)
	rig.Equal(t, "spans of the second", len(later.Ended()), 2)
}

func TestNoopProviderStartsNoSpans(t *testing.T) {
	if !inOwnProcess(t) {
		return
	}
	explicit := overGlobals(t, oktaretry.WithTracerProvider(tracenoop.NewTracerProvider()))
	explicit.Do(t.Context(), "GET", rig.UserURL)
	rig.Equal(t, "span of the first call", spanSeen(explicit), noopSpan)

	otel.SetTracerProvider(tracenoop.NewTracerProvider())
	r := overGlobals(t)
	for range 2 {
		r.Do(t.Context(), "GET", rig.UserURL)
	}
	rig.Equal(t, "span of the second call", spanSeen(r), noopSpan)
}

// The eBPF auto-instrumentation sees calls of a provider that was given.
func TestExplicitGlobalProviderStartsEverySpan(t *testing.T) {
	if !inOwnProcess(t) {
		return
	}
	r := overGlobals(t, oktaretry.WithTracerProvider(otel.GetTracerProvider()))
	for i := range 3 {
		r.Do(t.Context(), "GET", rig.UserURL)
		rig.Equal(t, fmt.Sprint("span in call ", i), spanSeen(r), globalSpan)
	}
	otel.SetTracerProvider(r.Tracer)
	r.Do(t.Context(), "GET", rig.UserURL)
	rig.Equal(t, "spans", len(r.Spans.Ended()), 2)
}

type suppressKey struct{}

// suppressing skips calls with a suppressKey in their context, as many providers
// do.
type suppressing struct{ trace.TracerProvider }

type suppressingTracer struct{ trace.Tracer }

func (p *suppressing) Tracer(name string, o ...trace.TracerOption) trace.Tracer {
	return suppressingTracer{p.TracerProvider.Tracer(name, o...)}
}

func (p suppressingTracer) Start(ctx context.Context, name string, o ...trace.SpanStartOption) (context.Context, trace.Span) {
	if ctx.Value(suppressKey{}) != nil {
		return tracenoop.NewTracerProvider().Tracer("").Start(ctx, name, o...)
	}
	return p.Tracer.Start(ctx, name, o...)
}

// A provider that left one call out was taken for none, and never asked again.
func TestProviderThatSkipsOneCallTracesTheNext(t *testing.T) {
	if !inOwnProcess(t) {
		return
	}
	r := overGlobals(t)
	otel.SetTracerProvider(&suppressing{r.Tracer})
	for i := range 4 {
		ctx := t.Context()
		if i%2 == 0 {
			ctx = context.WithValue(ctx, suppressKey{}, true)
		}
		r.Do(ctx, "GET", rig.UserURL)
	}
	calls, attempts := r.Ended(t)
	rig.Equal(t, "spans", [2]int{len(calls), len(attempts)}, [2]int{2, 2})
}

// The conventions have operators choose which methods are known.
func TestKnownMethodsComeFromTheEnvironment(t *testing.T) {
	if !inOwnProcess(t, "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS=GET, PURGE,,") {
		return
	}
	r := recorders.Observe(t, nil, script.OK())
	for method, want := range map[string]string{"GET": "GET", "PURGE": "PURGE", "POST": "_OTHER", "": "GET"} {
		r.Do(t.Context(), method, rig.UserURL)
		_, attempts := r.Ended(t)
		last := attempts[len(attempts)-1]
		rig.Equal(t, method, recorders.Attributes(last.Attributes())["http.request.method"], any(want))
		rig.Equal(t, method, last.Name(), strings.Replace(want, "_OTHER", "HTTP", 1)+" /api/v1/users/{id}")
	}
}
