// Package telemetry reports calls to OpenTelemetry and to slog: spans, metrics,
// log lines. It is told words and numbers, and knows neither a policy nor a
// transport. Nothing that it is told may hold a path, a query, a body, an error
// summary or a credential; TELEMETRY.md lists all that it reports.
//
// This file holds the providers and what of them is off. call.go holds a call's
// spans, and has it counted and logged; metrics.go, gauges.go, log.go and
// store.go hold the rest; names.go the words, endpoint.go what is said of an
// endpoint.
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

// Config says where reports go. A nil provider is the global one.
type Config struct {
	Tracers     trace.TracerProvider
	Meters      metric.MeterProvider
	Propagators propagation.TextMapPropagator
	Logger      *slog.Logger // nil: nothing is logged
	LogWaitFrom time.Duration

	NoAttemptSpans, NoAttemptMetrics bool
}

// Telemetry is where a Transport reports to. It is safe for concurrent use.
type Telemetry struct {
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

// New returns a Telemetry, or the error of a provider that refuses an instrument.
func New(c Config) (*Telemetry, error) {
	t := &Telemetry{
		global:       c.Tracers == nil,
		attemptSpans: !c.NoAttemptSpans,
		propagators:  c.Propagators,
		log:          c.Logger,
		logWaitFrom:  c.LogWaitFrom,
	}
	if t.global {
		c.Tracers = otel.GetTracerProvider()
	} else {
		_, t.untraced = c.Tracers.(noop.TracerProvider)
	}
	if p := otel.GetTextMapPropagator(); t.propagators == nil && p != nil && reflect.TypeOf(p).Kind() == reflect.Pointer && len(p.Fields()) == 0 {
		t.mute = p
	}
	t.tracer = c.Tracers.Tracer(ScopeName, trace.WithSchemaURL(semconv.SchemaURL))
	var err error
	t.metrics, err = newMetrics(c.meter(), !c.NoAttemptMetrics)
	return t, err
}

func (c *Config) meter() metric.Meter {
	m := c.Meters
	if m == nil {
		m = otel.GetMeterProvider()
	}
	return m.Meter(ScopeName, metric.WithSchemaURL(semconv.SchemaURL))
}

// tracing reports whether a span may come of starting one. The global provider,
// as long as none is installed, makes spans that are none, and at a price: once
// it is seen to, it is not asked again until another is in its place.
func (t *Telemetry) tracing() bool {
	if !t.global {
		return !t.untraced
	}
	silent := t.silent.Load()
	return silent == nil || *silent != otel.GetTracerProvider()
}

// heard takes note of a span that came of the global provider.
func (t *Telemetry) heard(p trace.TracerProvider, span trace.Span, parent trace.SpanContext) {
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
func (t *Telemetry) propagator() propagation.TextMapPropagator {
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
