// Package telemetry reports calls to OpenTelemetry and to slog: spans, metrics, log
// lines. It takes words and numbers, and depends on neither a policy nor a
// transport. Its arguments must not contain a path, a query, a body, an error
// summary or a credential; docs/telemetry.md lists all that it reports.
//
// This file holds the providers, and what costs nothing without them. call.go holds
// a call's spans; metrics.go, gauges.go and log.go its metrics, a Transport's gauges
// and the log lines; store.go the reports on a shared store; endpoint.go the
// attributes of an endpoint; names.go the bounded words.
package telemetry

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

// ScopeName is the instrumentation scope.
const ScopeName = "github.com/oktaretry/oktaretry"

// Config holds the destinations of reports. A nil provider is the global one.
type Config struct {
	Tracers     trace.TracerProvider
	Meters      metric.MeterProvider
	Propagators propagation.TextMapPropagator
	Version     string        // of the instrumentation scope
	Logger      *slog.Logger  // nil: nothing is logged
	LogFrom     time.Duration // the shortest wait, and the shortest call, that is logged

	NoAttemptSpans, NoAttemptMetrics bool
}

// Telemetry reports for one Transport. It is safe for concurrent use.
type Telemetry struct {
	tracer       trace.Tracer
	global       bool                                 // the tracer is the global provider's
	untraced     bool                                 // the provider is OpenTelemetry's noop
	placeholder  atomic.Pointer[trace.TracerProvider] // the global provider, if it makes no spans
	attemptSpans bool

	propagators  propagation.TextMapPropagator // nil: the global ones
	noPropagator propagation.TextMapPropagator // the global ones at construction, if they write nothing
	metrics      metrics

	log          *slog.Logger // nil: nothing is logged
	logFrom      time.Duration
	hookPanicked atomic.Bool // and that was reported
}

// New returns a Telemetry, or the error of a provider that refuses an instrument.
func New(c Config) (*Telemetry, error) {
	t := &Telemetry{
		global:       c.Tracers == nil,
		attemptSpans: !c.NoAttemptSpans,
		propagators:  c.Propagators,
		log:          c.Logger,
		logFrom:      c.LogFrom,
	}
	if t.global {
		c.Tracers = otel.GetTracerProvider()
	} else {
		_, t.untraced = c.Tracers.(noop.TracerProvider)
	}
	if p := otel.GetTextMapPropagator(); t.propagators == nil && p != nil && reflect.TypeOf(p).Kind() == reflect.Pointer && len(p.Fields()) == 0 {
		t.noPropagator = p
	}
	t.tracer = c.Tracers.Tracer(ScopeName, trace.WithInstrumentationVersion(c.Version), trace.WithSchemaURL(semconv.SchemaURL))
	var err error
	t.metrics, err = newMetrics(c.meter(), !c.NoAttemptMetrics)
	return t, err
}

func (c *Config) meter() metric.Meter {
	m := c.Meters
	if m == nil {
		m = otel.GetMeterProvider()
	}
	return m.Meter(ScopeName, metric.WithInstrumentationVersion(c.Version), metric.WithSchemaURL(semconv.SchemaURL))
}

// tracing reports whether to start spans. The global provider, as long as none is
// installed, makes spans that record nothing, at a cost: it is used once and then
// left out until another takes its place.
func (t *Telemetry) tracing() bool {
	if !t.global {
		return !t.untraced
	}
	p := t.placeholder.Load()
	return p == nil || *p != otel.GetTracerProvider()
}

// detectPlaceholder records p, the global provider, if it is a placeholder. span is
// one that it made.
func (t *Telemetry) detectPlaceholder(p trace.TracerProvider, span trace.Span, parent trace.SpanContext) {
	if !span.IsRecording() && span.SpanContext().Equal(parent) && isPlaceholder(p) {
		t.placeholder.Store(&p)
	}
}

// isPlaceholder reports whether p is OpenTelemetry's stand-in for a provider that
// is not installed, or its noop. Any other provider that makes no span for one call
// may make one for the next.
func isPlaceholder(p trace.TracerProvider) bool {
	if _, ok := p.(noop.TracerProvider); ok {
		return true
	}
	t := reflect.TypeOf(p)
	return t.Kind() == reflect.Pointer && t.Elem().PkgPath() == "go.opentelemetry.io/otel/internal/global"
}

// propagator returns the propagator of the trace context; nil if it writes nothing.
func (t *Telemetry) propagator() propagation.TextMapPropagator {
	if t.propagators != nil {
		return t.propagators
	}
	p := otel.GetTextMapPropagator()
	if t.noPropagator != nil && p == t.noPropagator { // until others take its place
		return nil
	}
	return p
}

// headerCarrier takes the propagated fields. Headers that are the caller's it copies
// first, once there is a field to set.
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
