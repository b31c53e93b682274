// Command otelhttp shows oktaretry beside OpenTelemetry's instrumentation of
// net/http: underneath it and on top of it, with the options that keep spans and
// metrics from coming twice, and without. One call to a fake Okta on this
// machine is sent twice, as the first answer is a 503. It ends in a second:
//
//	go run ./examples/otelhttp
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/oktatest"
)

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "otelhttp\toptions\toktaretry's spans\totelhttp's spans\thttp.client.request.duration\tOkta gets the span of")
	for _, s := range stacks() {
		r, err := s.call(ctx)
		if err != nil {
			return fmt.Errorf("%s, %s: %w", s.order, s.options, err)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", s.order, s.options,
			kinds(r.of(ours)), kinds(r.of(theirs)), points(r.points), strings.Join(r.onTheWire(), ", "))
	}
	return table.Flush()
}

// The instrumentation scopes, by which spans and metrics say who made them.
const (
	ours   = "github.com/oktaretry/oktaretry"
	theirs = otelhttp.ScopeName
)

// stack is a way to put the two together.
type stack struct {
	order, options string
	build          func(telemetry) (http.RoundTripper, error)
}

// telemetry is what a program has set up of OpenTelemetry.
type telemetry struct {
	ours   []oktaretry.Option
	theirs []otelhttp.Option
}

func stacks() []stack {
	underneath := func(more ...oktaretry.Option) func(telemetry) (http.RoundTripper, error) {
		return func(t telemetry) (http.RoundTripper, error) {
			return oktaretry.NewTransport(otelhttp.NewTransport(http.DefaultTransport, t.theirs...), append(t.ours, more...)...)
		}
	}
	onTop := func(more []oktaretry.Option, theirs ...otelhttp.Option) func(telemetry) (http.RoundTripper, error) {
		return func(t telemetry) (http.RoundTripper, error) {
			transport, err := oktaretry.NewTransport(http.DefaultTransport, append(t.ours, more...)...)
			return otelhttp.NewTransport(transport, append(t.theirs, theirs...)...), err
		}
	}
	spansOff, metricsOff := oktaretry.WithAttemptSpans(false), oktaretry.WithAttemptMetrics(false)
	return []stack{
		{"underneath", "spans and metrics off", underneath(spansOff, metricsOff)},
		{"underneath", "none", underneath()},
		{"on top", "metrics off", onTop([]oktaretry.Option{metricsOff})},
		{"on top", "otelhttp's metrics off", onTop(nil, otelhttp.WithMeterProvider(noop.NewMeterProvider()))},
		{"on top", "none", onTop(nil)},
	}
}

// result is what came of one call.
type result struct {
	spans   []sdktrace.ReadOnlySpan
	points  map[string]uint64   // of http.client.request.duration, by scope
	parents []trace.SpanContext // that the requests carried to Okta
}

// call makes one call through the stack and returns what was told of it.
func (s stack) call(ctx context.Context) (*result, error) {
	org := oktatest.StartServer(oktatest.WithUsers(1))
	defer org.Close()
	org.Script("GET /api/v1/users/{id}", oktatest.Code("E0000009").WithStatus(http.StatusServiceUnavailable))

	spans, reader := tracetest.NewSpanRecorder(), sdkmetric.NewManualReader()
	tracers := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	policy := oktaretry.DefaultPolicy()
	policy.ServerError.InitialWait = 20 * time.Millisecond // 0.5 s by default: nobody wants to watch that
	transport, err := s.build(telemetry{
		[]oktaretry.Option{oktaretry.WithPolicy(policy), oktaretry.WithTracerProvider(tracers),
			oktaretry.WithMeterProvider(meters), oktaretry.WithPropagators(propagation.TraceContext{})},
		[]otelhttp.Option{otelhttp.WithTracerProvider(tracers),
			otelhttp.WithMeterProvider(meters), otelhttp.WithPropagators(propagation.TraceContext{})},
	})
	if err != nil {
		return nil, err
	}

	req, err := http.NewRequestWithContext(ctx, http.MethodGet, org.URL+"/api/v1/users/"+org.UserIDs()[0]+"?search=x", nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "SSWS a-token")
	client := &http.Client{Transport: transport}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close() // otelhttp's span ends here
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the call ended with %s", resp.Status)
	}

	r := &result{spans: spans.Ended(), points: map[string]uint64{}}
	for _, got := range org.Requests() {
		carrier := propagation.HeaderCarrier(got.Header)
		r.parents = append(r.parents, trace.SpanContextFromContext(propagation.TraceContext{}.Extract(ctx, carrier)))
	}
	var all metricdata.ResourceMetrics
	if err := reader.Collect(ctx, &all); err != nil {
		return nil, err
	}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			if h, ok := m.Data.(metricdata.Histogram[float64]); ok && m.Name == "http.client.request.duration" {
				for _, p := range h.DataPoints {
					r.points[scope.Scope.Name] += p.Count
				}
			}
		}
	}
	return r, nil
}

// of returns the spans of a scope.
func (r *result) of(scope string) (spans []sdktrace.ReadOnlySpan) {
	for _, s := range r.spans {
		if s.InstrumentationScope().Name == scope {
			spans = append(spans, s)
		}
	}
	return spans
}

// onTheWire names whose spans Okta got to know, one for each request.
func (r *result) onTheWire() (owners []string) {
	for _, parent := range r.parents {
		owner := "nobody"
		for _, s := range r.spans {
			if s.SpanContext().SpanID() == parent.SpanID() {
				owner = short(s.InstrumentationScope().Name)
			}
		}
		owners = append(owners, owner)
	}
	return owners
}

// kinds counts spans by their kind.
func kinds(spans []sdktrace.ReadOnlySpan) string {
	n := map[trace.SpanKind]int{}
	for _, s := range spans {
		n[s.SpanKind()]++
	}
	var words []string
	for _, kind := range []trace.SpanKind{trace.SpanKindInternal, trace.SpanKindClient} {
		if n[kind] > 0 {
			words = append(words, fmt.Sprint(n[kind], " ", strings.ToUpper(kind.String())))
		}
	}
	return strings.Join(words, ", ")
}

func points(by map[string]uint64) string {
	var words []string
	for _, scope := range []string{ours, theirs} {
		if by[scope] > 0 {
			words = append(words, fmt.Sprint(short(scope), " ", by[scope]))
		}
	}
	return strings.Join(words, ", ")
}

func short(scope string) string { return scope[strings.LastIndex(scope, "/")+1:] }
