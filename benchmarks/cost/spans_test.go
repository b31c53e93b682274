package cost_test

// This file holds what no library with two spans for a call can be cheaper
// than: OpenTelemetry's SDK, making the spans that this library has it make.

import (
	"context"
	"io"
	"net/http"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/benchbase"
)

// spansOnly makes the spans of this library and does nothing else.
type spansOnly struct {
	base   http.RoundTripper
	tracer trace.Tracer
	spans  []*madeSpan // the outer one first
}

func (s *spansOnly) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	for _, made := range s.spans {
		var span trace.Span
		ctx, span = s.tracer.Start(ctx, made.name, made.options...)
		defer func() {
			span.SetAttributes(made.later...)
			span.End()
		}()
	}
	return s.base.RoundTrip(req)
}

// madeSpan is a span of this library, as it has the SDK make it.
type madeSpan struct {
	name    string
	options []trace.SpanStartOption
	later   []attribute.KeyValue // set once it has started
}

// spansOfAGet are those of a GET that is answered at once.
var spansOfAGet = sync.OnceValue(func() []*madeSpan {
	var seen spanWatcher
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(&seen))
	t, err := oktaretry.NewTransport(&benchbase.Base{Status: http.StatusOK, Body: benchbase.UserBody}, oktaretry.WithTracerProvider(provider))
	if err != nil {
		panic(err)
	}
	resp, err := t.Client().Get(userURL)
	if err != nil {
		panic(err)
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	return seen.spans
})

// spanWatcher notes how spans are made.
type spanWatcher struct {
	dropSpans
	spans []*madeSpan
	early map[trace.SpanID]int // how many attributes it had at its start
}

func (w *spanWatcher) OnStart(_ context.Context, s sdktrace.ReadWriteSpan) {
	if w.early == nil {
		w.early = map[trace.SpanID]int{}
	}
	w.early[s.SpanContext().SpanID()] = len(s.Attributes())
}

func (w *spanWatcher) OnEnd(s sdktrace.ReadOnlySpan) {
	all := s.Attributes()
	early := w.early[s.SpanContext().SpanID()]
	made := &madeSpan{s.Name(), []trace.SpanStartOption{
		trace.WithSpanKind(s.SpanKind()), trace.WithAttributes(all[:early:early]...),
	}, all[early:]}
	w.spans = append([]*madeSpan{made}, w.spans...) // the outer one ends last
}
