package oktaretry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/oktaretry/oktaretry"
)

const telURL = "https://acme.okta.com/api/v1/users/00u1"

// telStep is one answer of a base; the last one of a script repeats.
type telStep func(*http.Request) (*http.Response, error)

// telRig is a Transport over a script, with everything it reports.
type telRig struct {
	*oktaretry.Transport
	script []telStep
	mu     sync.Mutex
	sent   []*http.Request
	spans  *tracetest.SpanRecorder
	traces *sdktrace.TracerProvider
	reader *sdkmetric.ManualReader
	meters *sdkmetric.MeterProvider
	logs   bytes.Buffer // slog's handlers lock

	options []oktaretry.Option
}

func (r *telRig) RoundTrip(req *http.Request) (*http.Response, error) {
	r.mu.Lock()
	step := r.script[min(len(r.sent), len(r.script)-1)]
	r.sent = append(r.sent, req)
	r.mu.Unlock()
	if req.Body != nil {
		io.Copy(io.Discard, req.Body)
		req.Body.Close()
	}
	return step(req)
}

// telNew returns a rig whose Transport has default settings but for change.
func telNew(t testing.TB, change func(*oktaretry.Policy), script ...telStep) *telRig {
	t.Helper()
	r := &telRig{script: script, spans: tracetest.NewSpanRecorder(), reader: sdkmetric.NewManualReader()}
	r.traces = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(r.spans))
	r.meters = sdkmetric.NewMeterProvider(sdkmetric.WithReader(r.reader))
	p := oktaretry.DefaultPolicy()
	p.ServerError.Jitter, p.Network.Jitter = 0, 0
	if change != nil {
		change(&p)
	}
	r.options = []oktaretry.Option{
		oktaretry.WithPolicy(p), oktaretry.WithTracerProvider(r.traces), oktaretry.WithMeterProvider(r.meters),
		oktaretry.WithPropagators(propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})),
		oktaretry.WithLogger(slog.New(slog.NewJSONHandler(&r.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))),
	}
	r.with(t)
	return r
}

// with gives the rig another Transport, with more options.
func (r *telRig) with(t testing.TB, more ...oktaretry.Option) {
	t.Helper()
	var err error
	if r.Transport, err = oktaretry.NewTransport(r, slices.Concat(r.options, more)...); err != nil {
		t.Fatal(err)
	}
}

func (r *telRig) do(ctx context.Context, method, url string) error {
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return err
	}
	resp, err := r.Transport.RoundTrip(req)
	if err == nil {
		resp.Body.Close()
	}
	return err
}

// split returns the ended spans, the calls' and the attempts', and fails if
// any has not ended.
func (r *telRig) split(t testing.TB) (calls, attempts []sdktrace.ReadOnlySpan) {
	t.Helper()
	if begun, ended := len(r.spans.Started()), len(r.spans.Ended()); begun != ended {
		t.Errorf("%d spans begun, %d ended", begun, ended)
	}
	for _, s := range r.spans.Ended() {
		if s.SpanKind() == trace.SpanKindClient {
			attempts = append(attempts, s)
		} else if s.InstrumentationScope().Name == "github.com/oktaretry/oktaretry" {
			calls = append(calls, s)
		}
	}
	return calls, attempts
}

func (r *telRig) lines(t testing.TB) (lines []map[string]any) {
	t.Helper()
	for _, line := range strings.FieldsFunc(r.logs.String(), func(c rune) bool { return c == '\n' }) {
		m := map[string]any{}
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, m)
	}
	return lines
}

func (r *telRig) metrics(t testing.TB) map[string]metricdata.Metrics {
	t.Helper()
	var rm metricdata.ResourceMetrics
	if err := r.reader.Collect(context.Background(), &rm); err != nil {
		t.Fatal(err)
	}
	byName := map[string]metricdata.Metrics{}
	for _, scope := range rm.ScopeMetrics {
		for _, m := range scope.Metrics {
			byName[m.Name] = m
		}
	}
	return byName
}

// telLabels returns the label sets of a metric.
func telLabels(m metricdata.Metrics) (sets []map[string]any) {
	switch d := m.Data.(type) {
	case metricdata.Histogram[float64]:
		for _, p := range d.DataPoints {
			sets = append(sets, telMap(p.Attributes.ToSlice()))
		}
	case metricdata.Histogram[int64]:
		for _, p := range d.DataPoints {
			sets = append(sets, telMap(p.Attributes.ToSlice()))
		}
	case metricdata.Sum[int64]:
		sets = telPoints(d.DataPoints)
	case metricdata.Gauge[int64]:
		sets = telPoints(d.DataPoints)
	case metricdata.Gauge[float64]:
		sets = telPoints(d.DataPoints)
	}
	return sets
}

func telPoints[N int64 | float64](points []metricdata.DataPoint[N]) (sets []map[string]any) {
	for _, p := range points {
		sets = append(sets, telMap(p.Attributes.ToSlice()))
	}
	return sets
}

func telMap(list []attribute.KeyValue) map[string]any {
	m := make(map[string]any, len(list))
	for _, kv := range list {
		m[string(kv.Key)] = kv.Value.AsInterface()
	}
	return m
}

// telRound takes away what spreads the calls that wait for one moment.
func telRound(seconds any) float64 {
	return time.Duration(seconds.(float64) * float64(time.Second)).Round(50 * time.Millisecond).Seconds()
}

func telEvents(s sdktrace.ReadOnlySpan, name string) (events []map[string]any) {
	for _, e := range s.Events() {
		if e.Name == name {
			events = append(events, telMap(e.Attributes))
		}
	}
	return events
}

func telEqual(t testing.TB, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n got %v\nwant %v", what, got, want)
	}
}

// telAnswer returns a response; the headers are name, value, name, value.
func telAnswer(status int, body string, headers ...string) telStep {
	return func(req *http.Request) (*http.Response, error) {
		h := http.Header{"Content-Type": {"application/json"}, "X-Okta-Request-Id": {"reqA-1_b"}}
		for i := 0; i+1 < len(headers); i += 2 {
			h.Set(headers[i], headers[i+1])
		}
		return &http.Response{
			StatusCode: status, Status: fmt.Sprint(status), Header: h, Request: req,
			Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
		}, nil
	}
}

func telCode(status int, code string, headers ...string) telStep {
	return telAnswer(status, `{"errorCode":"`+code+`","errorSummary":"s","errorId":"oae1"}`, headers...)
}

func telFailure(err error) telStep {
	return func(*http.Request) (*http.Response, error) { return nil, err }
}

// telHang answers when the request's context ends.
func telHang(req *http.Request) (*http.Response, error) {
	<-req.Context().Done()
	return nil, context.Cause(req.Context())
}

var (
	telOK          = telAnswer(200, `{}`)
	telDown        = telCode(503, "E0000009")
	telRateLimited = telCode(429, "E0000047", "Retry-After", "7")
	telPending     = telCode(202, "E0000070", "Location", "/api/v1/users/00u1/factors/f1/transactions/t1")
	telRefused     = telFailure(&net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")})
)
