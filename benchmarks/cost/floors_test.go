package cost_test

// This file holds what no library that keeps this one's promises can be cheaper
// than: what each call cannot do without, and its spans.

import (
	"context"
	"hash/maphash"
	"io"
	"net/http"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/rig/script"
	"github.com/oktaretry/oktaretry/internal/route"
	"github.com/oktaretry/oktaretry/internal/wire"
)

// necessities does to a call what comes before and behind every decision, and
// decides nothing: it has no bucket, no circuit, no time limit, no outcome.
type necessities struct {
	base http.RoundTripper
	seed maphash.Seed
	last struct { // so that nothing is optimised away
		sync.Mutex
		route      route.Route
		credential uint64
		limits     wire.Limits
		id         string
		took       time.Duration
	}
}

func (n *necessities) RoundTrip(req *http.Request) (*http.Response, error) {
	began := time.Now()
	to := route.Match(req.Method, req.URL.Path)
	credential := maphash.String(n.seed, req.Header.Get("Authorization"))
	// A request for the base, for the caller's must not change; and one for the
	// response, since the base's ends with its body.
	x := new(struct{ sent, shown http.Request })
	x.sent = *req.WithContext(req.Context())
	resp, err := n.base.RoundTrip(&x.sent)
	if err != nil {
		return nil, err
	}
	took := time.Since(began)
	limits := wire.ParseLimits(resp.Header)
	x.shown = *req.WithContext(req.Context())
	resp.Request = &x.shown

	n.last.Lock()
	n.last.route, n.last.credential, n.last.limits, n.last.took = to, credential, limits, took
	n.last.id = resp.Header.Get("X-Okta-Request-Id")
	n.last.Unlock()
	return resp, nil
}

// spansOnly makes the spans of this library and does nothing else.
type spansOnly struct {
	base          http.RoundTripper
	tracer        trace.Tracer
	call, attempt *madeSpan
}

func (s *spansOnly) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, call := s.tracer.Start(req.Context(), s.call.name, s.call.options...)
	_, attempt := s.tracer.Start(ctx, s.attempt.name, s.attempt.options...)
	resp, err := s.base.RoundTrip(req)
	attempt.SetAttributes(s.attempt.later...)
	attempt.End()
	call.SetAttributes(s.call.later...)
	call.End()
	return resp, err
}

// madeSpan is a span of this library, as it has the SDK make it.
type madeSpan struct {
	name    string
	options []trace.SpanStartOption
	later   []attribute.KeyValue // set once it has started
}

// spansOfAGet are those of a GET that is answered at once: the call's and the
// attempt's.
var spansOfAGet = sync.OnceValues(func() (call, attempt *madeSpan) {
	var seen spanWatcher
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(&seen))
	t, err := oktaretry.NewTransport(&script.Fast{Status: http.StatusOK, Body: script.UserBody}, oktaretry.WithTracerProvider(provider))
	if err != nil {
		panic(err)
	}
	resp, err := t.Client().Get(userURL)
	if err != nil {
		panic(err)
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	return seen.spans[1], seen.spans[0] // in the order of their ends
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
	w.spans = append(w.spans, made)
}
