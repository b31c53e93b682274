// This file tests telemetry by itself, without a Transport: what one call makes
// of the values that it is given.

package telemetry_test

import (
	"errors"
	"net/http"
	"net/url"
	"testing"
	"time"

	"go.opentelemetry.io/otel/codes"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/internal/rig/recorders"
	"github.com/oktaretry/oktaretry/internal/telemetry"
)

// newTelemetry returns a Telemetry that reports to the recorder.
func newTelemetry(t *testing.T, edit func(*telemetry.Config)) (*telemetry.Telemetry, *recorders.Recorder) {
	t.Helper()
	r := recorders.New()
	c := telemetry.Config{Tracers: r.Tracer, Meters: r.Meter, Propagators: propagation.TraceContext{}, Logger: r.Logger, LogFrom: time.Second}
	if edit != nil {
		edit(&c)
	}
	tel, err := telemetry.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return tel, r
}

// user is where a request for a user goes.
func user() telemetry.Where {
	return telemetry.Where{
		Endpoint: &telemetry.Endpoint{Host: "example.okta.com", Method: "GET", Template: "/api/v1/users/{id}"},
		URL:      &url.URL{Scheme: "https", Host: "example.okta.com", Path: "/api/v1/users/00u1"},
		Bucket:   "GET /api/v1/users/{id}",
	}
}

var (
	failed    = telemetry.AttemptEnd{Result: telemetry.Result{Class: "server-error", Code: "E0000009", Status: 503}, Limit: -1, Remaining: -1}
	succeeded = telemetry.AttemptEnd{Result: telemetry.Result{Class: "success", Status: 200}, Protocol: "2", Limit: 600, Remaining: 599, Reset: 60}
)

// report reports a call of two attempts with a wait between them.
func report(t *testing.T, tel *telemetry.Telemetry) {
	var c telemetry.Call
	w := user()
	c.Start(t.Context(), tel, w)
	ctx, span := c.StartAttempt(w, 0, false)
	c.EndAttempt(ctx, span, w, func() telemetry.AttemptEnd { return failed })
	c.Changed(w, telemetry.CircuitChange{Scope: "host", Host: w.Host, From: "closed", To: "open"})
	if !c.LogsWait(2 * time.Second) {
		t.Error("a wait of 2 s is not logged, of 1 s on it is")
	}
	c.LogWait(w, time.Now(), telemetry.WaitStart{Reason: "backoff", AtMost: 2 * time.Second, Attempts: 1, Result: failed.Result})
	c.Waited(w, "backoff", 2*time.Second, time.Now())
	ctx, span = c.StartAttempt(w, 1, false)
	c.EndAttempt(ctx, span, w, func() telemetry.AttemptEnd { return succeeded })
	c.End(w, w, func() telemetry.CallEnd {
		return telemetry.CallEnd{Result: succeeded.Result, Stop: "success", Bucket: w.Bucket, Attempts: 2, Elapsed: 3 * time.Second, Waited: 2 * time.Second}
	})
}

func TestCallReportsSpansEventsMetricsAndLogs(t *testing.T) {
	tel, r := newTelemetry(t, nil)
	report(t, tel)
	calls, attempts := r.Ended(t)
	if len(calls) != 1 || len(attempts) != 2 {
		t.Fatalf("%d call spans and %d attempt spans, want 1 and 2", len(calls), len(attempts))
	}
	call := recorders.Attributes(calls[0].Attributes())
	rig.Equal(t, "the call", []any{call["oktaretry.stop"], call["oktaretry.attempts"], call["oktaretry.waited"]}, []any{"success", int64(2), 2.0})
	rig.Equal(t, "waits", recorders.Events(calls[0], "oktaretry.wait"), []map[string]any{{"oktaretry.wait.reason": "backoff", "oktaretry.wait": 2.0}})
	rig.Equal(t, "changes", len(recorders.Events(calls[0], "oktaretry.circuit")), 1)
	first, second := recorders.Attributes(attempts[0].Attributes()), recorders.Attributes(attempts[1].Attributes())
	rig.Equal(t, "the first attempt's status", attempts[0].Status().Code, codes.Error)
	rig.Equal(t, "the first attempt", []any{first["error.type"], first["oktaretry.limit"], first["http.request.resend_count"]}, []any{"503", nil, nil})
	rig.Equal(t, "the second attempt", []any{second["error.type"], second["oktaretry.limit"], second["http.request.resend_count"]}, []any{nil, int64(600), int64(1)})
	rig.Equal(t, "calls", r.Counts(t, "oktaretry.call.duration", "server.", "url."), map[string]uint64{"GET success success": 1})
	rig.Equal(t, "attempts", r.Counts(t, "http.client.request.duration", "server.", "url."), map[string]uint64{"503 GET 503": 1, "GET 200 2": 1})
	r.WantValues(t, "oktaretry.circuit.changes", map[string]float64{"closed host open example.okta.com 443": 1})
	var lines []any
	for _, l := range r.Lines(t) {
		lines = append(lines, l["msg"])
	}
	rig.Equal(t, "lines", lines, []any{"oktaretry: circuit", "oktaretry: waiting", "oktaretry: call done"})
}

func TestCallWithoutAttemptSpansHasAttemptEvents(t *testing.T) {
	tel, r := newTelemetry(t, func(c *telemetry.Config) { c.NoAttemptSpans, c.NoAttemptMetrics = true, true })
	report(t, tel)
	calls, attempts := r.Ended(t)
	rig.Equal(t, "attempt spans", len(attempts), 0)
	rig.Equal(t, "attempt events", len(recorders.Events(calls[0], "oktaretry.attempt")), 2)
	if _, on := r.Metrics(t)["http.client.request.duration"]; on {
		t.Error("attempts are measured")
	}
}

// Who is given up on, and why, is for the log; what its caller asked for is not.
func TestGivenUpCallIsAnErrorAndALogLine(t *testing.T) {
	for _, tt := range []struct {
		name  string
		end   telemetry.CallEnd
		kind  any // error.type
		lines int
	}{
		{"given up", telemetry.CallEnd{Result: failed.Result, Stop: "max-attempts", Failed: true, GivenUp: true}, "503", 1},
		{"a bad request", telemetry.CallEnd{Result: telemetry.Result{Class: "client-error", Status: 404}, Stop: "fail-fast", Failed: true}, "404", 0},
		{"a timeout", telemetry.CallEnd{Result: telemetry.Result{Class: "network", Err: &url.Error{Err: timeoutError{}}}, Stop: "max-attempts", Failed: true}, "timeout", 0},
		{"an error with a type of its own", telemetry.CallEnd{Result: telemetry.Result{Class: "network", Err: typedError{}}, Stop: "circuit-open", Failed: true}, "circuit_open", 0},
		{"never sent", telemetry.CallEnd{Result: telemetry.Result{Class: "network", Err: errors.New("x"), NotSent: true}, Stop: "max-attempts", Failed: true}, "connect", 0},
		{"the caller has left", telemetry.CallEnd{Result: telemetry.Result{Class: "network", Err: errors.New("x")}, Stop: "canceled"}, nil, 0},
	} {
		tel, r := newTelemetry(t, nil)
		var c telemetry.Call
		c.Start(t.Context(), tel, user())
		c.End(user(), user(), func() telemetry.CallEnd { return tt.end })
		calls, _ := r.Ended(t)
		rig.Equal(t, tt.name+": error.type", recorders.Attributes(calls[0].Attributes())["error.type"], tt.kind)
		rig.Equal(t, tt.name+": status", calls[0].Status().Code == codes.Error, tt.kind != nil)
		rig.Equal(t, tt.name+": log lines", len(r.Lines(t)), tt.lines)
	}
}

type timeoutError struct{}

func (timeoutError) Error() string { return "timeout" }
func (timeoutError) Timeout() bool { return true }

type typedError struct{}

func (typedError) Error() string     { return "open" }
func (typedError) ErrorType() string { return "circuit_open" }

// An end is described only to someone: describing it costs a refused call a
// fifth of its time.
func TestUnobservedEndsAreNotDescribed(t *testing.T) {
	tel, _ := newTelemetry(t, func(c *telemetry.Config) {
		*c = telemetry.Config{Tracers: tracenoop.NewTracerProvider(), Meters: metricnoop.NewMeterProvider()}
	})
	var c telemetry.Call
	w := user()
	c.Start(t.Context(), tel, w)
	ctx, span := c.StartAttempt(w, 0, false)
	c.EndAttempt(ctx, span, w, func() telemetry.AttemptEnd { t.Error("the attempt's end was described"); return failed })
	c.End(w, w, func() telemetry.CallEnd { t.Error("the call's end was described"); return telemetry.CallEnd{} })
}

func TestPropagateLeavesSharedHeadersAlone(t *testing.T) {
	tel, _ := newTelemetry(t, nil)
	for _, callersOwn := range []bool{true, false} {
		var c telemetry.Call
		w := user()
		c.Start(t.Context(), tel, w)
		ctx, span := c.StartAttempt(w, 0, false)
		header := http.Header{"X-A": {"1"}}
		out := &http.Request{Header: header}
		c.Propagate(ctx, out, callersOwn)
		c.EndAttempt(ctx, span, w, func() telemetry.AttemptEnd { return succeeded })
		c.End(w, w, func() telemetry.CallEnd { return telemetry.CallEnd{} })
		want := "00-" + span.SpanContext().TraceID().String() + "-" + span.SpanContext().SpanID().String() + "-01"
		rig.Equal(t, "traceparent", out.Header.Get("Traceparent"), want)
		rig.Equal(t, "the given headers were changed", header.Get("Traceparent") != "", !callersOwn)
		rig.Equal(t, "the others", out.Header.Get("X-A"), "1")
	}
}

func TestGaugesReadUntilUnregistered(t *testing.T) {
	tel, r := newTelemetry(t, nil)
	server := telemetry.Server{Host: "example.okta.com", Port: 443}
	gone := false
	registration, err := tel.Observe(func() (telemetry.Readings, bool) {
		return telemetry.Readings{
			Buckets: []telemetry.Bucket{
				{Server: server, Name: "b", Limit: 600, Remaining: 300, Utilization: 0.5, InFlight: 1},
				{Server: server, Name: "b", Limit: 100, Remaining: 20, Utilization: 0.8, InFlight: 2},
			},
			Circuits: []telemetry.Circuit{{CircuitChange: telemetry.CircuitChange{Scope: "host", Host: server.Host}, Port: 443, State: 2}},
			Budgets:  []telemetry.Budget{{Server: server, Left: 7}},
		}, !gone
	})
	if err != nil {
		t.Fatal(err)
	}
	r.WantValues(t, "oktaretry.bucket.limit", map[string]float64{"b example.okta.com 443": 100})
	r.WantValues(t, "oktaretry.bucket.remaining", map[string]float64{"b example.okta.com 443": 20})
	r.WantValues(t, "oktaretry.bucket.in_flight", map[string]float64{"b example.okta.com 443": 3})
	r.WantValues(t, "oktaretry.circuit.state", map[string]float64{"host example.okta.com 443": 2})
	r.WantValues(t, "oktaretry.retry_budget.remaining", map[string]float64{"example.okta.com 443": 7})
	gone = true
	r.WantValues(t, "oktaretry.circuit.state", map[string]float64{})
	gone = false
	if err := registration.Unregister(); err != nil {
		t.Fatal(err)
	}
	r.WantValues(t, "oktaretry.circuit.state", map[string]float64{})
}

// A call that was started twice, as a recycled one is, reports each by itself.
func TestResetCallReportsTheNextOneAlone(t *testing.T) {
	tel, r := newTelemetry(t, nil)
	var c telemetry.Call
	for range 2 {
		if c.Started() {
			t.Error("a call is started before its Start")
		}
		c.Start(t.Context(), tel, user())
		if !c.Started() || !c.Recording() {
			t.Error("a call that was started is not recorded")
		}
		c.End(user(), user(), func() telemetry.CallEnd { return telemetry.CallEnd{Result: succeeded.Result, Stop: "success"} })
		c = c.Reset()
	}
	calls, _ := r.Ended(t)
	rig.Equal(t, "calls", len(calls), 2)
	if a, b := calls[0].SpanContext(), calls[1].SpanContext(); a.TraceID() == b.TraceID() || a.TraceFlags()&trace.FlagsSampled == 0 {
		t.Errorf("spans %v and %v, want two sampled traces", a, b)
	}
}
