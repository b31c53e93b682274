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
func telGlobal(t *testing.T, more ...oktaretry.Option) *telRig {
	r := telNew(t, nil, telOK)
	r.options = nil
	r.with(t, more...)
	return r
}

// spanSeen returns what kind of span the base saw in the context of the last
// request: whose it is shows who was asked to start one.
func (r *telRig) spanSeen() string {
	return fmt.Sprintf("%T", trace.SpanFromContext(r.sent[len(r.sent)-1].Context()))
}

const telNobodys, telGlobals = "trace.noopSpan", "global.nonRecordingSpan"

func TestWithoutAProviderNoSpanIsAskedForAfterTheFirstCall(t *testing.T) {
	if !telAlone(t) {
		return
	}
	r := telGlobal(t)
	for i := range 5 {
		if err := r.do(t.Context(), "GET", telURL); err != nil {
			t.Fatal(err)
		}
		want := telNobodys
		if i == 0 {
			want = telGlobals
		}
		telEqual(t, fmt.Sprint("span in call ", i), r.spanSeen(), want)
	}
	// A span of somebody else's goes on being the parent of what comes below.
	ctx, span := r.traces.Tracer("caller").Start(t.Context(), "sync")
	r.do(ctx, "GET", telURL)
	telEqual(t, "span", trace.SpanFromContext(r.sent[len(r.sent)-1].Context()), span)
}

func TestGlobalProvidersMayComeLater(t *testing.T) {
	if !telAlone(t) {
		return
	}
	r := telGlobal(t)
	for range 3 {
		r.do(t.Context(), "GET", telURL)
	}
	otel.SetTracerProvider(r.traces)
	otel.SetMeterProvider(r.meters)
	otel.SetTextMapPropagator(propagation.TraceContext{})
	for range 2 {
		r.do(t.Context(), "GET", telURL)
	}
	calls, attempts := r.split(t)
	telEqual(t, "spans", [2]int{len(calls), len(attempts)}, [2]int{2, 2})
	telEqual(t, "calls counted", r.telCounts(t, "oktaretry.call.duration", "server.", "url."), map[string]uint64{"GET success success": 2})
	r.wantGauge(t, "oktaretry.bucket.in_flight", map[string]float64{telBucket: 0})
	if got := r.sent[4].Header.Get("Traceparent"); !strings.Contains(got, attempts[1].SpanContext().SpanID().String()) {
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
	r.do(t.Context(), "GET", telURL)
	otel.SetTracerProvider(r.traces)
	r.do(t.Context(), "GET", telURL)
	later := tracetest.NewSpanRecorder()
	otel.SetTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(later)))
	r.do(t.Context(), "GET", telURL)
	telEqual(t, "spans of the first", len(r.spans.Ended()), 4)
	telEqual(t, "spans of the second", len(later.Ended()), 0)
	r.with(t)
	r.do(t.Context(), "GET", telURL)
	telEqual(t, "spans of the first", len(r.spans.Ended()), 4)
	telEqual(t, "spans of the second", len(later.Ended()), 2)
}

func TestANoopProviderIsAskedForNothing(t *testing.T) {
	if !telAlone(t) {
		return
	}
	explicit := telGlobal(t, oktaretry.WithTracerProvider(tracenoop.NewTracerProvider()))
	explicit.do(t.Context(), "GET", telURL)
	telEqual(t, "span of the first call", explicit.spanSeen(), telNobodys)

	otel.SetTracerProvider(tracenoop.NewTracerProvider())
	r := telGlobal(t)
	for range 2 {
		r.do(t.Context(), "GET", telURL)
	}
	telEqual(t, "span of the second call", r.spanSeen(), telNobodys)
}

// Who wants the eBPF auto-instrumentation to see the calls says so.
func TestAGlobalProviderThatIsGivenIsAlwaysAsked(t *testing.T) {
	if !telAlone(t) {
		return
	}
	r := telGlobal(t, oktaretry.WithTracerProvider(otel.GetTracerProvider()))
	for i := range 3 {
		r.do(t.Context(), "GET", telURL)
		telEqual(t, fmt.Sprint("span in call ", i), r.spanSeen(), telGlobals)
	}
	otel.SetTracerProvider(r.traces)
	r.do(t.Context(), "GET", telURL)
	telEqual(t, "spans", len(r.spans.Ended()), 2)
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
	r := telNew(t, nil, telOK)
	otel.SetTracerProvider(&telSuppressing{r.traces})
	r.options = nil
	r.with(t)
	for i := range 4 {
		ctx := t.Context()
		if i%2 == 0 {
			ctx = context.WithValue(ctx, telSuppressKey{}, true)
		}
		r.do(ctx, "GET", telURL)
	}
	calls, attempts := r.split(t)
	telEqual(t, "spans", [2]int{len(calls), len(attempts)}, [2]int{2, 2})
}

// The conventions have operators choose which methods are known.
func TestKnownMethodsAreTheOperators(t *testing.T) {
	if !telAlone(t, "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS=GET, PURGE,,") {
		return
	}
	r := telNew(t, nil, telOK)
	for method, want := range map[string]string{"GET": "GET", "PURGE": "PURGE", "POST": "_OTHER", "": "GET"} {
		r.do(t.Context(), method, telURL)
		_, attempts := r.split(t)
		last := attempts[len(attempts)-1]
		telEqual(t, method, telMap(last.Attributes())["http.request.method"], any(want))
		telEqual(t, method, last.Name(), strings.Replace(want, "_OTHER", "HTTP", 1)+" /api/v1/users/{id}")
	}
}
