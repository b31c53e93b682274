// This file holds where a Transport reports to: the providers of spans and
// metrics, the log, and what of them is off. telemetry_spans.go, _metrics.go,
// _gauges.go and _log.go hold what is told; telemetry_names.go by which names.
//
// None of them is told a path, a query, a body, a summary or a credential;
// templates and codes instead. TELEMETRY.md lists all that there is.

package oktaretry

import (
	"log/slog"
	"net/http"
	"reflect"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// scopeName is the instrumentation scope.
const scopeName = "github.com/oktaretry/oktaretry"

// telemetry is where a Transport reports to. It is safe for concurrent use.
type telemetry struct {
	tracer       trace.Tracer
	global       bool // the tracer is the global provider's
	untraced     bool // the tracer is known to make no spans
	silent       atomic.Pointer[trace.TracerProvider]
	attemptSpans bool

	propagators propagation.TextMapPropagator // nil: the global ones
	mute        propagation.TextMapPropagator // global ones that write nothing
	metrics     metrics

	log         *slog.Logger // nil: nothing is logged
	logWaitFrom time.Duration
}

func newTelemetry(c config) (*telemetry, error) {
	t := &telemetry{
		global:       c.tracers == nil,
		attemptSpans: !c.noAttemptSpans,
		propagators:  c.propagators,
		log:          c.logger,
		logWaitFrom:  c.logWaitFrom,
	}
	if t.global {
		c.tracers = otel.GetTracerProvider()
	} else {
		_, t.untraced = c.tracers.(noop.TracerProvider)
	}
	if c.meters == nil {
		c.meters = otel.GetMeterProvider()
	}
	if p := otel.GetTextMapPropagator(); t.propagators == nil && p != nil && reflect.TypeOf(p).Kind() == reflect.Pointer && len(p.Fields()) == 0 {
		t.mute = p
	}
	t.tracer = c.tracers.Tracer(scopeName, trace.WithSchemaURL(semconv.SchemaURL))
	var err error
	t.metrics, err = newMetrics(c.meters.Meter(scopeName, metric.WithSchemaURL(semconv.SchemaURL)), !c.noAttemptMetrics)
	return t, err
}

// tracing reports whether a span may come of starting one. The global provider,
// as long as none is installed, makes spans that are none, and at a price: once
// it is seen to, it is not asked again until another is in its place.
func (t *telemetry) tracing() bool {
	if !t.global {
		return !t.untraced
	}
	silent := t.silent.Load()
	return silent == nil || *silent != otel.GetTracerProvider()
}

// heard takes note of a span that came of the global provider.
func (t *telemetry) heard(p trace.TracerProvider, span trace.Span, parent trace.SpanContext) {
	if !span.IsRecording() && span.SpanContext().Equal(parent) && standsForNone(p) {
		t.silent.Store(&p)
	}
}

// standsForNone reports whether p is what is there when no provider is:
// OpenTelemetry's own stand-in, or its noop. Another one that makes no span of
// a call may make one of the next.
func standsForNone(p trace.TracerProvider) bool {
	if _, ok := p.(noop.TracerProvider); ok {
		return true
	}
	t := reflect.TypeOf(p)
	return t.Kind() == reflect.Pointer && t.Elem().PkgPath() == "go.opentelemetry.io/otel/internal/global"
}

// propagator returns what writes the trace context; nil when nothing does.
func (t *telemetry) propagator() propagation.TextMapPropagator {
	if t.propagators != nil {
		return t.propagators
	}
	p := otel.GetTextMapPropagator()
	if t.mute != nil && p == t.mute { // until others are in its place
		return nil
	}
	return p
}

// headerCarrier takes what is to be propagated, into a copy of the headers that
// is made if there is anything: they may be the caller's.
type headerCarrier struct {
	req    *http.Request
	shared bool // the headers are not the request's own
}

func (c *headerCarrier) Get(key string) string { return c.req.Header.Get(key) }

func (c *headerCarrier) Set(key, value string) {
	if c.shared {
		c.req.Header, c.shared = c.req.Header.Clone(), false
	}
	c.req.Header.Set(key, value)
}

func (c *headerCarrier) Keys() []string { return propagation.HeaderCarrier(c.req.Header).Keys() }
