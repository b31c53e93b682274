// Package recorders has a recorder of spans, metrics and log lines for the tests
// of this module, and a Transport that reports to it. It is apart from package
// rig because whoever imports it links OpenTelemetry's SDK.
package recorders

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/internal/rig/script"
)

// Scope is the instrumentation scope of this module's spans and metrics.
const Scope = "github.com/oktaretry/oktaretry"

// Recorder keeps spans, metrics and log lines in memory, by OpenTelemetry's
// SDK. Its providers and its logger are for the test to hand out; Options
// hands out all of them.
type Recorder struct {
	Spans  *tracetest.SpanRecorder
	Tracer *sdktrace.TracerProvider
	Meter  *sdkmetric.MeterProvider
	Reader *sdkmetric.ManualReader // of Meter
	Logger *slog.Logger

	log bytes.Buffer // slog's handlers lock
}

// New returns a Recorder. The options are the tracer provider's, of
// which a sampler is one; without any, every span is sampled.
func New(opts ...sdktrace.TracerProviderOption) *Recorder {
	r := &Recorder{Spans: tracetest.NewSpanRecorder(), Reader: sdkmetric.NewManualReader()}
	r.Tracer = sdktrace.NewTracerProvider(append(opts, sdktrace.WithSpanProcessor(r.Spans))...)
	r.Meter = sdkmetric.NewMeterProvider(sdkmetric.WithReader(r.Reader))
	r.Logger = slog.New(slog.NewJSONHandler(&r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	return r
}

// Options makes a Transport report to the recorder.
func (r *Recorder) Options() []oktaretry.Option {
	return []oktaretry.Option{
		oktaretry.WithTracerProvider(r.Tracer), oktaretry.WithMeterProvider(r.Meter), oktaretry.WithLogger(r.Logger),
		oktaretry.WithPropagators(propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})),
	}
}

// Observed is a Transport over a script that reports to a Recorder.
type Observed struct {
	*oktaretry.Transport
	*Recorder
	Base *script.Base

	options []oktaretry.Option
}

// Observe returns a Transport over a script whose last step repeats. edit
// changes DefaultPolicy without jitter; nil changes nothing.
func Observe(t testing.TB, edit func(*oktaretry.Policy), steps ...script.Step) *Observed {
	t.Helper()
	p := oktaretry.DefaultPolicy()
	p.ServerError.Jitter, p.Network.Jitter = 0, 0
	if edit != nil {
		edit(&p)
	}
	o := &Observed{Recorder: New(), Base: script.Repeat(t, steps...)}
	o.options = append(o.Recorder.Options(), oktaretry.WithPolicy(p))
	o.With(t)
	return o
}

// With replaces the Transport by one with further options.
func (o *Observed) With(t testing.TB, more ...oktaretry.Option) {
	t.Helper()
	var err error
	if o.Transport, err = oktaretry.NewTransport(o.Base, slices.Concat(o.options, more)...); err != nil {
		t.Fatal(err)
	}
}

// Do makes a round trip without a body and closes the response.
func (o *Observed) Do(ctx context.Context, method, url string) error {
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return err
	}
	resp, err := o.RoundTrip(req)
	if err == nil {
		resp.Body.Close()
	}
	return err
}

// Traced makes a Transport's spans by a sampler, and drops them: what an
// exporter costs is not the call's cost.
func Traced(s sdktrace.Sampler) oktaretry.Option {
	return oktaretry.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSampler(s), sdktrace.WithSpanProcessor(dropped{})))
}

type dropped struct{}

func (dropped) OnStart(context.Context, sdktrace.ReadWriteSpan) {}
func (dropped) OnEnd(sdktrace.ReadOnlySpan)                     {}
func (dropped) Shutdown(context.Context) error                  { return nil }
func (dropped) ForceFlush(context.Context) error                { return nil }

// Ended returns this module's spans, the calls' and the attempts', in the order
// of their ends. A span that has not ended fails the test.
func (r *Recorder) Ended(t testing.TB) (calls, attempts []sdktrace.ReadOnlySpan) {
	t.Helper()
	if begun, ended := len(r.Spans.Started()), len(r.Spans.Ended()); begun != ended {
		t.Errorf("%d spans begun, %d ended", begun, ended)
	}
	for _, s := range r.Spans.Ended() {
		switch {
		case s.SpanKind() == trace.SpanKindClient:
			attempts = append(attempts, s)
		case s.InstrumentationScope().Name == Scope:
			calls = append(calls, s)
		}
	}
	return calls, attempts
}

// Lines returns the log, decoded.
func (r *Recorder) Lines(t testing.TB) (lines []map[string]any) {
	t.Helper()
	for line := range strings.Lines(r.log.String()) {
		m := map[string]any{}
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, m)
	}
	return lines
}

// Log returns the log as it was written.
func (r *Recorder) Log() string { return r.log.String() }

// Collect collects the metrics.
func (r *Recorder) Collect(t testing.TB) (collected metricdata.ResourceMetrics) {
	t.Helper()
	if err := r.Reader.Collect(context.Background(), &collected); err != nil {
		t.Fatal(err)
	}
	return collected
}

// Metrics collects the metrics and returns them by name.
func (r *Recorder) Metrics(t testing.TB) map[string]metricdata.Metrics {
	t.Helper()
	byName := map[string]metricdata.Metrics{}
	for _, scope := range r.Collect(t).ScopeMetrics {
		for _, m := range scope.Metrics {
			byName[m.Name] = m
		}
	}
	return byName
}

// Values returns the value of each series of a counter or a gauge, by the
// values of its attributes in the order of their keys.
func (r *Recorder) Values(t testing.TB, name string) map[string]float64 {
	t.Helper()
	values := map[string]float64{}
	add := func(set attribute.Set, v float64) {
		key := words(set)
		if _, twice := values[key]; twice {
			t.Errorf("%s has two points for %s", name, key)
		}
		values[key] = v
	}
	switch d := r.Metrics(t)[name].Data.(type) {
	case metricdata.Sum[int64]:
		for _, p := range d.DataPoints {
			add(p.Attributes, float64(p.Value))
		}
	case metricdata.Gauge[int64]:
		for _, p := range d.DataPoints {
			add(p.Attributes, float64(p.Value))
		}
	case metricdata.Gauge[float64]:
		for _, p := range d.DataPoints {
			add(p.Attributes, p.Value)
		}
	}
	return values
}

// WantValues checks all series of a counter or a gauge.
func (r *Recorder) WantValues(t testing.TB, name string, want map[string]float64) {
	t.Helper()
	rig.Equal(t, name, r.Values(t, name), want)
}

// Counts returns how many values each series of a histogram has, by the values
// of its attributes in the order of their keys. Keys that begin with one of
// without are left out.
func (r *Recorder) Counts(t testing.TB, name string, without ...string) map[string]uint64 {
	t.Helper()
	counts := map[string]uint64{}
	if h, ok := r.Metrics(t)[name].Data.(metricdata.Histogram[float64]); ok {
		for _, p := range h.DataPoints {
			counts[words(p.Attributes, without...)] += p.Count
		}
	}
	return counts
}

func words(set attribute.Set, without ...string) string {
	var words []string
	for _, kv := range set.ToSlice() {
		if !slices.ContainsFunc(without, func(prefix string) bool { return strings.HasPrefix(string(kv.Key), prefix) }) {
			words = append(words, kv.Value.String())
		}
	}
	return strings.Join(words, " ")
}

// Labels returns the attributes of each series of a metric.
func Labels(m metricdata.Metrics) (sets []map[string]any) {
	switch d := m.Data.(type) {
	case metricdata.Histogram[float64]:
		for _, p := range d.DataPoints {
			sets = append(sets, Attributes(p.Attributes.ToSlice()))
		}
	case metricdata.Histogram[int64]:
		for _, p := range d.DataPoints {
			sets = append(sets, Attributes(p.Attributes.ToSlice()))
		}
	case metricdata.Sum[int64]:
		sets = labels(d.DataPoints)
	case metricdata.Sum[float64]:
		sets = labels(d.DataPoints)
	case metricdata.Gauge[int64]:
		sets = labels(d.DataPoints)
	case metricdata.Gauge[float64]:
		sets = labels(d.DataPoints)
	}
	return sets
}

func labels[N int64 | float64](points []metricdata.DataPoint[N]) (sets []map[string]any) {
	for _, p := range points {
		sets = append(sets, Attributes(p.Attributes.ToSlice()))
	}
	return sets
}

// Attributes returns attributes as a map.
func Attributes(list []attribute.KeyValue) map[string]any {
	m := make(map[string]any, len(list))
	for _, kv := range list {
		m[string(kv.Key)] = kv.Value.AsInterface()
	}
	return m
}

// Events returns the attributes of a span's events of that name.
func Events(s sdktrace.ReadOnlySpan, name string) (events []map[string]any) {
	for _, e := range s.Events() {
		if e.Name == name {
			events = append(events, Attributes(e.Attributes))
		}
	}
	return events
}
