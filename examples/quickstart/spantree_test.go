// This file tests package spantree: it is here because each test binary more takes its time to link.

package main

import (
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/oktaretry/oktaretry/examples/internal/spantree"
)

// began is when the trace of the tests began.
var began = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// span is a span of the one trace; parent 0 is a root.
func span(id, parent byte, name string, kind trace.SpanKind, from, to time.Duration, more tracetest.SpanStub) tracetest.SpanStub {
	context := func(id byte) trace.SpanContext {
		if id == 0 {
			return trace.SpanContext{}
		}
		return trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{15: 7}, SpanID: trace.SpanID{7: id}})
	}
	more.Name, more.SpanKind = name, kind
	more.SpanContext, more.Parent = context(id), context(parent)
	more.StartTime, more.EndTime = began.Add(from), began.Add(to)
	return more
}

func TestTreeHasWaitsAndChangesInTheirPlace(t *testing.T) {
	const template = "/api/v1/users/{userId}/factors/{factorId}/transactions/{transactionId}/and/whatever/else"
	spans := tracetest.SpanStubs{
		// In the order in which spans end: children before parents.
		span(3, 2, "GET /api/v1/users", trace.SpanKindClient, 0, 300*time.Microsecond, tracetest.SpanStub{Attributes: []attribute.KeyValue{
			attribute.Int("http.response.status_code", 429), attribute.String("oktaretry.code", "E0000047"),
			attribute.String("oktaretry.request_id", "req12345678901234567890"), attribute.Int("oktaretry.limit", 600)}}),
		span(4, 2, "GET /api/v1/users", trace.SpanKindClient, 2100*time.Millisecond, 2101*time.Millisecond, tracetest.SpanStub{Attributes: []attribute.KeyValue{
			attribute.Int("http.request.resend_count", 1), attribute.Int("http.response.status_code", 200)}}),
		span(2, 1, "oktaretry GET /api/v1/users", trace.SpanKindInternal, 0, 2101*time.Millisecond, tracetest.SpanStub{
			Attributes: []attribute.KeyValue{
				attribute.String("oktaretry.class", "success"), attribute.String("oktaretry.stop", "success"),
				attribute.Int("oktaretry.attempts", 2), attribute.Float64("oktaretry.waited", 2.0994)},
			Events: []sdktrace.Event{
				{Name: "oktaretry.wait", Time: began.Add(time.Millisecond), Attributes: []attribute.KeyValue{
					attribute.String("oktaretry.wait.reason", "rate-limit"), attribute.Float64("oktaretry.wait", 2.0994)}},
				{Name: "oktaretry.circuit", Time: began.Add(2101 * time.Millisecond), Attributes: []attribute.KeyValue{
					attribute.String("oktaretry.circuit.scope", "host"), attribute.String("oktaretry.circuit.from", "half-open"),
					attribute.String("oktaretry.circuit.to", "closed")}},
				{Name: "something else", Time: began.Add(2101 * time.Millisecond)}}}),
		span(6, 5, "GET "+template, trace.SpanKindClient, 3*time.Second, 3*time.Second, tracetest.SpanStub{
			Attributes: []attribute.KeyValue{attribute.String("error.type", "timeout")}}),
		span(5, 1, "oktaretry GET "+template, trace.SpanKindInternal, 3*time.Second, 3*time.Second+100*time.Microsecond, tracetest.SpanStub{
			Attributes: []attribute.KeyValue{attribute.Float64("oktaretry.waited", 0)}}),
		span(1, 0, "a job", trace.SpanKindInternal, 0, 4*time.Second, tracetest.SpanStub{}),
	}
	const want = `
trace 00000000000000000000000000000007
 0.000 s  4.00 s   a job
 0.000 s  2.10 s   ├─ oktaretry GET /api/v1/users  class=success stop=success attempts=2 waited=2.10
 0.000 s   0.3 ms  │  ├─ GET /api/v1/users  status_code=429 code=E0000047
                   │  │     request_id=req12345678901234567890
 0.001 s  2.10 s   │  ├─ wait: rate-limit
 2.100 s   1.0 ms  │  ├─ GET /api/v1/users  resend_count=1 status_code=200
 2.101 s           │  ├─ circuit of the host: half-open → closed
 2.101 s           │  └─ something else
 3.000 s   0.1 ms  └─ oktaretry GET …/factors/{factorId}/transactions/{transactionId}/and/whatever/else
 3.000 s   0.0 ms     └─ GET …/factors/{factorId}/transactions/{transactionId}/and/whatever/else
                            error.type=timeout
`
	var b strings.Builder
	spantree.Print(&b, spans.Snapshots())
	if b.String() != want {
		t.Errorf("printed\n%s\nwant\n%s", b.String(), want)
	}
}

func TestTakeTakesAway(t *testing.T) {
	c := new(spantree.Collector)
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(c)).Tracer("")
	_, s := tracer.Start(t.Context(), "one")
	s.End()
	if n := len(c.Take()); n != 1 {
		t.Errorf("%d spans, want 1", n)
	}
	if n := len(c.Take()); n != 0 {
		t.Errorf("then %d spans, want none", n)
	}
}
