// This file tests the start of spans: what samplers see, and what links to
// them.

package telemetry_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/exemplar"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/internal/rig/recorders"
	"github.com/oktaretry/oktaretry/internal/rig/script"
)

// sampler records what it is asked for, and samples what keep keeps.
type sampler struct {
	keep func(sdktrace.SamplingParameters) bool
	mu   sync.Mutex
	seen []string
}

func (s *sampler) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	words := []string{p.Kind.String(), p.Name}
	list := slices.Clone(p.Attributes)
	slices.SortFunc(list, func(a, b attribute.KeyValue) int { return len(a.Key) - len(b.Key) })
	for _, kv := range list {
		words = append(words, string(kv.Key)+"="+kv.Value.String())
	}
	s.mu.Lock()
	s.seen = append(s.seen, fmt.Sprint(words))
	s.mu.Unlock()
	decision := sdktrace.Drop
	if s.keep == nil || s.keep(p) {
		decision = sdktrace.RecordAndSample
	}
	return sdktrace.SamplingResult{Decision: decision, Tracestate: trace.SpanContextFromContext(p.ParentContext).TraceState()}
}

func (s *sampler) Description() string { return "sampler" }

// observeSampled returns a rig whose spans are sampled by s.
func observeSampled(t testing.TB, s sdktrace.Sampler, script ...script.Step) *recorders.Observed {
	r := recorders.Observe(t, nil, script...)
	r.Tracer = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(r.Spans), sdktrace.WithSampler(s))
	r.With(t, oktaretry.WithTracerProvider(r.Tracer))
	return r
}

func TestSamplersSeeTheStartAttributes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sampler{}
		r := observeSampled(t, s, script.Down(), pending, script.OK())
		if err := r.Do(t.Context(), "GET", "http://example.okta.com:8080/api/v1/users/ann@b.c?x=1"); err != nil {
			t.Fatal(err)
		}
		const user = "/api/v1/users/{id}"
		const poll = "/api/v1/users/{userId}/factors/{factorId}/transactions/{transactionId}"
		at := func(template string) string {
			return " server.port=8080 url.template=" + template + " server.address=example.okta.com http.request.method=GET"
		}
		attempt := func(template string) string {
			return "[client GET " + template + " url.full=http://example.okta.com:8080" + template + at(template) + "]"
		}
		rig.Equal(t, "the sampler saw", s.seen, []string{
			"[internal oktaretry GET " + user + at(user) + "]",
			attempt(user), attempt(user), attempt(poll),
		})
	})
}

// The labels of an endpoint are made once for its scheme. A port that another
// scheme means was that of the first.
func TestSpansHaveTheSchemeOfEachCall(t *testing.T) {
	r := recorders.Observe(t, nil, script.OK())
	for _, scheme := range []string{"https", "http", "https", "gopher"} {
		r.Do(t.Context(), "GET", scheme+"://a.b/api/v1/users")
	}
	_, attempts := r.Ended(t)
	for i, want := range []string{"https://a.b/api/v1/users 443", "http://a.b/api/v1/users 80", "https://a.b/api/v1/users 443", "other://a.b/api/v1/users 443"} {
		got := recorders.Attributes(attempts[i].Attributes())
		rig.Equal(t, "where", fmt.Sprint(got["url.full"], " ", got["server.port"]), want)
	}
}

// A set of attributes sorts its list in place. That of an endpoint's polls, and
// of attempts that their caller cancelled, was the one that the endpoint's
// spans start with, in other calls at the same time.
func TestEndpointLabelsAreNeverReordered(t *testing.T) {
	const transaction = rig.UserURL + "/factors/f1/transactions/t1"
	for name, meddle := range map[string]func(context.Context, *recorders.Observed){
		"a poll": func(ctx context.Context, r *recorders.Observed) { r.Do(ctx, "GET", rig.UserURL) },
		"a cancellation": func(ctx context.Context, r *recorders.Observed) {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(time.Second, cancel)
			r.Do(ctx, "GET", transaction+"?hang")
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				seen := map[string]bool{}
				r := observeSampled(t, &sampler{keep: func(p sdktrace.SamplingParameters) bool {
					mu.Lock()
					defer mu.Unlock()
					if strings.HasSuffix(p.Name, "{transactionId}") && p.Kind == trace.SpanKindInternal {
						seen[fmt.Sprint(p.Attributes)] = true
					}
					return true
				}})
				r.Base.Choose(func(req *http.Request) script.Step {
					switch {
					case req.URL.RawQuery == "hang":
						return script.Hang()
					case strings.HasSuffix(req.URL.Path, "00u1"):
						return pending
					}
					return script.OK()
				})
				for range 3 {
					var calls sync.WaitGroup
					for range 5 {
						calls.Go(func() { r.Do(t.Context(), "GET", transaction) })
						calls.Go(func() { meddle(t.Context(), r) })
					}
					calls.Wait()
				}
				if len(seen) != 1 {
					t.Errorf("the spans of one endpoint start with %d lists of attributes: %v", len(seen), seen)
				}
			})
		})
	}
}

// A sampler may drop the call and keep an attempt, or the other way round.
func TestSpansAreSampledIndependently(t *testing.T) {
	for _, kind := range []trace.SpanKind{trace.SpanKindInternal, trace.SpanKindClient} {
		synctest.Test(t, func(t *testing.T) {
			r := observeSampled(t, &sampler{keep: func(p sdktrace.SamplingParameters) bool { return p.Kind == kind }}, script.Down(), script.OK())
			if err := r.Do(t.Context(), "GET", rig.UserURL); err != nil {
				t.Fatal(err)
			}
			calls, attempts := r.Ended(t)
			if kind == trace.SpanKindInternal {
				rig.Equal(t, "spans", [2]int{len(calls), len(attempts)}, [2]int{1, 0})
				rig.Equal(t, "events of attempts", len(recorders.Events(calls[0], "oktaretry.attempt")), 0) // their spans were somebody's choice
				rig.Equal(t, "waits", len(recorders.Events(calls[0], "oktaretry.wait")), 1)
			} else {
				rig.Equal(t, "spans", [2]int{len(calls), len(attempts)}, [2]int{0, 2})
			}
			for _, sent := range r.Base.Sent() {
				flags := sent.Header.Get("Traceparent")[53:]
				rig.Equal(t, "the sampled flag that is sent", flags, map[trace.SpanKind]string{trace.SpanKindInternal: "00", trace.SpanKindClient: "01"}[kind])
			}
		})
	}
}

// Exemplars are how one gets from a bar of a histogram to a trace.
func TestExemplarsLinkToTheirSpans(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := recorders.Observe(t, nil, script.Down(), limitedFor7s, script.OK())
		reader := sdkmetric.NewManualReader()
		r.With(t, oktaretry.WithMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader),
			sdkmetric.WithExemplarFilter(exemplar.TraceBasedFilter))))
		r.Reader = reader
		if err := r.Do(t.Context(), "GET", rig.UserURL); err != nil {
			t.Fatal(err)
		}
		calls, attempts := r.Ended(t)
		ids := func(spans ...sdktrace.ReadOnlySpan) (list []string) {
			for _, s := range spans {
				list = append(list, s.SpanContext().TraceID().String()+" "+s.SpanContext().SpanID().String())
			}
			slices.Sort(list)
			return slices.Compact(list)
		}
		for name, want := range map[string][]string{
			"oktaretry.call.duration": ids(calls...), "oktaretry.call.attempts": ids(calls...), "oktaretry.wait.duration": ids(calls...),
			"oktaretry.rate_limit.refusals": ids(calls...), "http.client.request.duration": ids(attempts...),
		} {
			rig.Equal(t, name, exemplarsOf(r.Metrics(t)[name]), want)
		}
	})
}

// exemplarsOf returns the traces and spans of a metric's exemplars, each once.
func exemplarsOf(m metricdata.Metrics) (ids []string) {
	switch d := m.Data.(type) {
	case metricdata.Histogram[float64]:
		for _, p := range d.DataPoints {
			ids = append(ids, exemplarIDs(p.Exemplars)...)
		}
	case metricdata.Histogram[int64]:
		for _, p := range d.DataPoints {
			ids = append(ids, exemplarIDs(p.Exemplars)...)
		}
	case metricdata.Sum[int64]:
		for _, p := range d.DataPoints {
			ids = append(ids, exemplarIDs(p.Exemplars)...)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

func exemplarIDs[N int64 | float64](list []metricdata.Exemplar[N]) (ids []string) {
	for _, e := range list {
		ids = append(ids, fmt.Sprintf("%x %x", e.TraceID, e.SpanID))
	}
	return ids
}

// A span of the caller's is the exemplar's where this library makes none.
func TestExemplarsWithoutTracingLinkToTheCallersSpan(t *testing.T) {
	r := recorders.Observe(t, nil, script.OK())
	r.With(t, oktaretry.WithTracerProvider(tracenoop.NewTracerProvider()))
	ctx, span := r.Tracer.Tracer("caller").Start(context.Background(), "sync")
	if err := r.Do(ctx, "GET", rig.UserURL); err != nil {
		t.Fatal(err)
	}
	span.End()
	want := []string{span.SpanContext().TraceID().String() + " " + span.SpanContext().SpanID().String()}
	for _, name := range []string{"oktaretry.call.duration", "http.client.request.duration"} {
		rig.Equal(t, name, exemplarsOf(r.Metrics(t)[name]), want)
	}
}
