package oktaretry_test

// The global providers can be installed before a Transport is made, after it,
// or never.

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
	"github.com/oktaretry/oktaretry/internal/rig/script"
)

// telAlone runs the rest of a test in a process of its own: what is global is
// installed once, and for good.
func telAlone(t *testing.T, env ...string) (alone bool) {
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

// telGlobal returns a rig whose Transport has no provider of its own.
func telGlobal(t *testing.T, more ...oktaretry.Option) *rig.Observed {
	r := &rig.Observed{Recorder: rig.NewRecorder(), Base: script.Repeat(t, script.OK())}
	r.With(t, more...)
	return r
}

// spanSeen returns what kind of span the base saw in the context of the last
// request: whose it is shows who was asked to start one.
func spanSeen(r *rig.Observed) string {
	sent := r.Base.Sent()
	return fmt.Sprintf("%T", trace.SpanFromContext(sent[len(sent)-1].Context))
}

const telNobodys, telGlobals = "trace.noopSpan", "global.nonRecordingSpan"

func TestWithoutAProviderNoSpanIsAskedForAfterTheFirstCall(t *testing.T) {
	if !telAlone(t) {
		return
	}
	r := telGlobal(t)
	for i := range 5 {
		if err := r.Do(t.Context(), "GET", rig.UserURL); err != nil {
			t.Fatal(err)
		}
		want := telNobodys
		if i == 0 {
			want = telGlobals
		}
		rig.Equal(t, fmt.Sprint("span in call ", i), spanSeen(r), want)
	}
	// A span of somebody else's goes on being the parent of what comes below.
	ctx, span := r.Tracer.Tracer("caller").Start(t.Context(), "sync")
	r.Do(ctx, "GET", rig.UserURL)
	rig.Equal(t, "span", trace.SpanFromContext(r.Base.Sent()[len(r.Base.Sent())-1].Context), span)
}

func TestGlobalProvidersMayComeLater(t *testing.T) {
	if !telAlone(t) {
		return
	}
	r := telGlobal(t)
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
	r.WantValues(t, "oktaretry.bucket.in_flight", map[string]float64{telBucket: 0})
	if got := r.Base.Sent()[4].Header.Get("Traceparent"); !strings.Contains(got, attempts[1].SpanContext().SpanID().String()) {
		t.Errorf("traceparent is %q", got)
	}
}

// OpenTelemetry gives a tracer to the first provider that is installed, and
// leaves it there. A Transport that is made later has the second one.
func TestAProviderThatIsReplacedKeepsItsTransports(t *testing.T) {
	if !telAlone(t) {
		return
	}
	r := telGlobal(t)
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

func TestANoopProviderIsAskedForNothing(t *testing.T) {
	if !telAlone(t) {
		return
	}
	explicit := telGlobal(t, oktaretry.WithTracerProvider(tracenoop.NewTracerProvider()))
	explicit.Do(t.Context(), "GET", rig.UserURL)
	rig.Equal(t, "span of the first call", spanSeen(explicit), telNobodys)

	otel.SetTracerProvider(tracenoop.NewTracerProvider())
	r := telGlobal(t)
	for range 2 {
		r.Do(t.Context(), "GET", rig.UserURL)
	}
	rig.Equal(t, "span of the second call", spanSeen(r), telNobodys)
}

// Who wants the eBPF auto-instrumentation to see the calls says so.
func TestAGlobalProviderThatIsGivenIsAlwaysAsked(t *testing.T) {
	if !telAlone(t) {
		return
	}
	r := telGlobal(t, oktaretry.WithTracerProvider(otel.GetTracerProvider()))
	for i := range 3 {
		r.Do(t.Context(), "GET", rig.UserURL)
		rig.Equal(t, fmt.Sprint("span in call ", i), spanSeen(r), telGlobals)
	}
	otel.SetTracerProvider(r.Tracer)
	r.Do(t.Context(), "GET", rig.UserURL)
	rig.Equal(t, "spans", len(r.Spans.Ended()), 2)
}

type telSuppressKey struct{}

// telSuppressing leaves calls out that their context says so of, as many do.
type telSuppressing struct{ trace.TracerProvider }

type telSuppressingTracer struct{ trace.Tracer }

func (p *telSuppressing) Tracer(name string, o ...trace.TracerOption) trace.Tracer {
	return telSuppressingTracer{p.TracerProvider.Tracer(name, o...)}
}

func (p telSuppressingTracer) Start(ctx context.Context, name string, o ...trace.SpanStartOption) (context.Context, trace.Span) {
	if ctx.Value(telSuppressKey{}) != nil {
		return tracenoop.NewTracerProvider().Tracer("").Start(ctx, name, o...)
	}
	return p.Tracer.Start(ctx, name, o...)
}

// A provider that left one call out was taken for none, and never asked again.
func TestAProviderThatLeavesOneCallOutIsAskedAgain(t *testing.T) {
	if !telAlone(t) {
		return
	}
	r := telGlobal(t)
	otel.SetTracerProvider(&telSuppressing{r.Tracer})
	for i := range 4 {
		ctx := t.Context()
		if i%2 == 0 {
			ctx = context.WithValue(ctx, telSuppressKey{}, true)
		}
		r.Do(ctx, "GET", rig.UserURL)
	}
	calls, attempts := r.Ended(t)
	rig.Equal(t, "spans", [2]int{len(calls), len(attempts)}, [2]int{2, 2})
}

// The conventions have operators choose which methods are known.
func TestKnownMethodsAreTheOperators(t *testing.T) {
	if !telAlone(t, "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS=GET, PURGE,,") {
		return
	}
	r := rig.Observe(t, nil, script.OK())
	for method, want := range map[string]string{"GET": "GET", "PURGE": "PURGE", "POST": "_OTHER", "": "GET"} {
		r.Do(t.Context(), method, rig.UserURL)
		_, attempts := r.Ended(t)
		last := attempts[len(attempts)-1]
		rig.Equal(t, method, rig.Attributes(last.Attributes())["http.request.method"], any(want))
		rig.Equal(t, method, last.Name(), strings.Replace(want, "_OTHER", "HTTP", 1)+" /api/v1/users/{id}")
	}
}
