// This file tests the spans of calls and attempts, and their events.

package telemetry_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/codes"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/internal/rig/recorders"
	"github.com/oktaretry/oktaretry/internal/rig/script"
)

func TestCallHasOneInternalSpanWithOneClientSpanForEachAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		id := script.Set("X-Okta-Request-Id", "reqA-1_b")
		r := recorders.Observe(t, nil, script.Down().With(id), script.Limited(script.Set("Retry-After", "7"), id), script.OK().With(id))
		ctx, caller := r.Tracer.Tracer("caller").Start(t.Context(), "sync")
		if err := r.Do(ctx, "GET", rig.UserURL+"?expand=x"); err != nil {
			t.Fatal(err)
		}
		caller.End()
		calls, attempts := r.Ended(t)
		if len(calls) != 1 || len(attempts) != 3 {
			t.Fatalf("%d call spans and %d attempt spans", len(calls), len(attempts))
		}
		call := calls[0]
		rig.Equal(t, "the version of its scope", call.InstrumentationScope().Version, oktaretry.Version)
		rig.Equal(t, "the version of the metrics' scope", r.Collect(t).ScopeMetrics[0].Scope.Version, oktaretry.Version)
		rig.Equal(t, "call's name", call.Name(), "oktaretry GET /api/v1/users/{id}")
		rig.Equal(t, "call's kind", call.SpanKind(), trace.SpanKindInternal)
		rig.Equal(t, "call's parent", call.Parent().SpanID(), caller.SpanContext().SpanID())
		rig.Equal(t, "call's status", call.Status(), sdktrace.Status{})
		got := recorders.Attributes(call.Attributes())
		got["oktaretry.waited"] = roundedWait(got["oktaretry.waited"])
		rig.Equal(t, "call's attributes", got, map[string]any{
			"http.request.method": "GET", "url.template": "/api/v1/users/{id}",
			"server.address": "example.okta.com", "server.port": int64(443),
			"oktaretry.bucket": "GET /api/v1/users/{id}", "oktaretry.class": "success", "oktaretry.request_id": "reqA-1_b",
			"oktaretry.attempts": int64(3), "oktaretry.stop": "success", "oktaretry.waited": 7.5,
		})
		for i, a := range attempts {
			want := map[string]any{
				"http.request.method": "GET", "url.template": "/api/v1/users/{id}",
				"url.full":       "https://example.okta.com/api/v1/users/{id}",
				"server.address": "example.okta.com", "server.port": int64(443), "oktaretry.request_id": "reqA-1_b",
				"network.protocol.version": "1.1", "oktaretry.bucket": "GET /api/v1/users/{id}",
			}
			maps.Copy(want, []map[string]any{
				{"http.response.status_code": int64(503), "error.type": "503", "oktaretry.class": "server-error", "oktaretry.code": "E0000009"},
				{"http.response.status_code": int64(429), "error.type": "429", "oktaretry.class": "rate-limited", "oktaretry.code": "E0000047",
					"http.request.resend_count": int64(1)},
				{"http.response.status_code": int64(200), "oktaretry.class": "success", "http.request.resend_count": int64(2)},
			}[i])
			rig.Equal(t, "attempt's attributes", recorders.Attributes(a.Attributes()), want)
			rig.Equal(t, "attempt's name", a.Name(), "GET /api/v1/users/{id}")
			rig.Equal(t, "attempt's parent", a.Parent().SpanID(), call.SpanContext().SpanID())
			rig.Equal(t, "attempt's trace", a.SpanContext().TraceID(), caller.SpanContext().TraceID())
			rig.Equal(t, "attempt's status", a.Status().Code, []codes.Code{codes.Error, codes.Error, codes.Unset}[i])
		}
	})
}

func TestSpansDescribeTheEndpointInBoundedTerms(t *testing.T) {
	for _, tt := range []struct {
		method, url, name, method1, full, host string
		port                                   int64
	}{
		{"GET", "http://127.0.0.1/api/v1/users", "GET /api/v1/users", "GET", "http://127.0.0.1/api/v1/users", "127.0.0.1", 80},
		{"PUT", "https://[::1]:8443/api/v1/users/a%40b.c", "PUT /api/v1/users/{id}", "PUT", "https://[::1]:8443/api/v1/users/{id}", "::1", 8443},
		{"", "https://a.b/ann@b.c/token?x=1#y", "GET /*", "GET", "https://a.b/*", "a.b", 443},
		{"PURGE", "https://u:p@a.b/api/v1/users", "HTTP /api/v1/users", "_OTHER", "https://a.b/api/v1/users", "a.b", 443},
		{"get", "https://a.b/api/v1/users", "HTTP /api/v1/users", "_OTHER", "https://a.b/api/v1/users", "a.b", 443},
	} {
		r := recorders.Observe(t, nil, script.OK())
		if err := r.Do(t.Context(), tt.method, tt.url); err != nil {
			t.Fatal(err)
		}
		calls, attempts := r.Ended(t)
		got := recorders.Attributes(attempts[0].Attributes())
		rig.Equal(t, "name", attempts[0].Name(), tt.name)
		rig.Equal(t, "call's name", calls[0].Name(), "oktaretry "+tt.name)
		rig.Equal(t, "url.full", got["url.full"], tt.full)
		rig.Equal(t, "server.address", got["server.address"], tt.host)
		rig.Equal(t, "server.port", got["server.port"], tt.port)
		sets := []map[string]any{got, recorders.Attributes(calls[0].Attributes())}
		for _, m := range r.Metrics(t) {
			sets = append(sets, recorders.Labels(m)...)
		}
		for _, set := range sets {
			if m, ok := set["http.request.method"]; ok { // a host's circuit and a bucket have none
				rig.Equal(t, "method", m, tt.method1)
			}
		}
	}
}

// The status of an attempt goes by its answer, that of a call by how it ended.
func TestSpanStatusFollowsTheClientRules(t *testing.T) {
	noProbe := func(p *oktaretry.Policy) { p.Breaker.MinCalls, p.Breaker.FailureRatio = 1, 1 }
	timeout := func(p *oktaretry.Policy) { p.AttemptTimeout = time.Second }
	type ending struct{ attempt, call, class, stop string } // error.type of the last attempt and of the call; "" is no error
	for _, tt := range []struct {
		name   string
		method string
		policy func(*oktaretry.Policy)
		script []script.Step
		limit  time.Duration // negative: cancel by hand after that time
		want   ending
	}{
		{"success", "GET", nil, []script.Step{script.OK()}, 0, ending{"", "", "success", "success"}},
		{"redirect", "GET", nil, []script.Step{script.Bare(302)}, 0, ending{"", "", "success", "success"}},
		{"success in the end", "GET", nil, []script.Step{script.Down(), script.Fail(script.Refused), script.OK()}, 0, ending{"", "", "success", "success"}},
		{"client error", "GET", nil, []script.Step{script.Code(404, "E0000007")}, 0, ending{"404", "404", "client-error", "fail-fast"}},
		{"server error", "GET", nil, []script.Step{script.Code(503, "E0000010")}, 0, ending{"503", "503", "server-error", "max-attempts"}},
		{"not resent", "POST", nil, []script.Step{script.Down()}, 0, ending{"503", "503", "server-error", "not-idempotent"}},
		{"rate limit", "GET", nil, []script.Step{script.Code(429, "E0000146")}, 0, ending{"429", "429", "rate-limited", "max-elapsed"}},
		{"pending", "GET", nil, []script.Step{pending}, 0, ending{"", "pending", "pending", "max-elapsed"}},
		{"connect", "GET", nil, []script.Step{script.Fail(script.Refused)}, 0, ending{"connect", "connect", "network", "max-attempts"}},
		{"certificate", "GET", nil, []script.Step{script.Fail(x509.HostnameError{Certificate: new(x509.Certificate), Host: "a.b"})}, 0,
			ending{"tls", "tls", "network", "fail-fast"}},
		{"terminal", "GET", nil, []script.Step{script.Fail(http.ErrNotSupported)}, 0, ending{"terminal", "terminal", "network", "fail-fast"}},
		{"no such host", "GET", nil, []script.Step{script.Fail(&net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "a.b", IsNotFound: true}})}, 0,
			ending{"dns", "dns", "network", "fail-fast"}},
		{"reset", "GET", nil, []script.Step{script.Fail(script.Reset)}, 0, ending{"connection", "connection", "network", "max-attempts"}},
		{"closed", "GET", nil, []script.Step{script.Fail(io.EOF)}, 0, ending{"connection", "connection", "network", "max-attempts"}},
		{"a layer above the network", "GET", nil, []script.Step{script.Fail(errors.New("no token for alice"))}, 0, ending{"terminal", "terminal", "network", "fail-fast"}},
		{"attempt timeout", "GET", timeout, []script.Step{script.Hang()}, 0, ending{"timeout", "timeout", "network", "max-attempts"}},
		{"circuit", "GET", noProbe, []script.Step{script.Down()}, 0, ending{"503", "503", "server-error", "circuit-open"}},
		{"deadline before the wait", "GET", nil, []script.Step{limitedFor7s}, time.Second, ending{"429", "429", "rate-limited", "deadline"}},
		{"deadline in the attempt", "GET", nil, []script.Step{script.Hang()}, time.Second, ending{"timeout", "timeout", "network", "deadline"}},
		{"canceled in the attempt", "GET", nil, []script.Step{script.Hang()}, -time.Second, ending{"", "", "network", "canceled"}},
		{"canceled in the wait", "GET", nil, []script.Step{limitedFor7s}, -time.Second, ending{"429", "", "rate-limited", "canceled"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := recorders.Observe(t, tt.policy, tt.script...)
				ctx := endsAfter(t, tt.limit)
				err := r.Do(ctx, tt.method, rig.UserURL)
				calls, attempts := r.Ended(t)
				for what, s := range map[string]sdktrace.ReadOnlySpan{"call": calls[0], "attempt": attempts[len(attempts)-1]} {
					want := map[string]string{"call": tt.want.call, "attempt": tt.want.attempt}[what]
					kind, _ := recorders.Attributes(s.Attributes())["error.type"].(string)
					rig.Equal(t, what+"'s error.type", kind, want)
					rig.Equal(t, what+"'s status", s.Status().Code == codes.Error, want != "")
					if why := s.Status().Description; what == "call" && want != "" {
						rig.Equal(t, "why", why, tt.want.stop)
					} else {
						rig.Equal(t, "why", why, "")
					}
				}
				got := recorders.Attributes(calls[0].Attributes())
				rig.Equal(t, "class", got["oktaretry.class"], tt.want.class)
				rig.Equal(t, "stop", got["oktaretry.stop"], tt.want.stop)
				if t.Failed() {
					t.Logf("the call's error: %v", err)
				}
			})
		})
	}
}

func TestWaitsAreEventsWithReasonAndSeconds(t *testing.T) {
	event := func(reason string, seconds float64) map[string]any {
		return map[string]any{"oktaretry.wait.reason": reason, "oktaretry.wait": seconds}
	}
	ceiling := func(p *oktaretry.Policy) { p.Pace.MaxRate = 0.5 }
	for _, tt := range []struct {
		name   string
		policy func(*oktaretry.Policy)
		script []script.Step
		cancel time.Duration
		want   []map[string]any
	}{
		{"rate limit and backoff", nil, []script.Step{limitedFor7s, script.Down(), script.Down(), script.OK()}, 0,
			[]map[string]any{event("rate-limit", 7), event("backoff", .5), event("backoff", 1)}},
		{"poll", nil, []script.Step{pending, pending, script.OK()}, 0, []map[string]any{event("poll", 4), event("poll", 4)}},
		{"ceiling", ceiling, []script.Step{script.Down(), script.OK()}, 0, []map[string]any{event("backoff", .5), event("ceiling", 1.5)}},
		{"cut short", nil, []script.Step{limitedFor7s}, 3 * time.Second, []map[string]any{event("rate-limit", 3)}},
		{"none", nil, []script.Step{script.OK()}, 0, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := recorders.Observe(t, tt.policy, tt.script...)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if tt.cancel > 0 {
					time.AfterFunc(tt.cancel, cancel)
				}
				r.Do(ctx, "GET", rig.UserURL)
				calls, _ := r.Ended(t)
				got := recorders.Events(calls[0], "oktaretry.wait")
				for _, e := range got {
					e["oktaretry.wait"] = roundedWait(e["oktaretry.wait"])
				}
				rig.Equal(t, "events", got, tt.want)
			})
		})
	}
}

func TestPollsAreMarkedAndCountTheirOwnResends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := recorders.Observe(t, nil, script.Down(), pending, limitedFor7s, pending, script.OK())
		if err := r.Do(t.Context(), "GET", rig.UserURL); err != nil {
			t.Fatal(err)
		}
		_, attempts := r.Ended(t)
		const poll = "GET /api/v1/users/{userId}/factors/{factorId}/transactions/{transactionId}"
		for i, want := range []struct {
			name         string
			poll, resend any
		}{
			{"GET /api/v1/users/{id}", nil, nil}, {"GET /api/v1/users/{id}", nil, int64(1)},
			{poll, true, nil}, {poll, true, int64(1)}, {poll, true, nil},
		} {
			got := recorders.Attributes(attempts[i].Attributes())
			rig.Equal(t, "name", attempts[i].Name(), want.name)
			rig.Equal(t, "poll", got["oktaretry.poll"], want.poll)
			rig.Equal(t, "resend count", got["http.request.resend_count"], want.resend)
		}
	})
}

func TestCircuitChangesAreEventsAndLogLinesOfTheCallThatCausedThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := recorders.Observe(t, func(p *oktaretry.Policy) { p.Breaker.MinCalls = 2 }, script.Down(), script.Down(), script.OK())
		ctx := oktaretry.WithNoRetry(t.Context())
		for range 3 {
			r.Do(ctx, "GET", rig.UserURL) // two failures, one refusal
		}
		time.Sleep(6 * time.Second)
		r.Do(ctx, "GET", rig.UserURL)
		calls, attempts := r.Ended(t)
		if len(calls) != 4 || len(attempts) != 3 {
			t.Fatalf("%d calls, %d attempts", len(calls), len(attempts))
		}
		change := func(from, to string) map[string]any {
			return map[string]any{"oktaretry.circuit.scope": "endpoint", "oktaretry.circuit.from": from, "oktaretry.circuit.to": to}
		}
		for i, want := range [][]map[string]any{
			nil, {change("closed", "open")}, nil, {change("open", "half-open"), change("half-open", "closed")},
		} {
			rig.Equal(t, fmt.Sprint("events of call ", i), recorders.Events(calls[i], "oktaretry.circuit"), want)
		}
		refused := recorders.Attributes(calls[2].Attributes())
		rig.Equal(t, "refusal's error.type", refused["error.type"], "circuit_open")
		rig.Equal(t, "refusal's attempts", refused["oktaretry.attempts"], int64(0))
		rig.Equal(t, "refusal's class", refused["oktaretry.class"], "server-error") // of what opened the circuit
		var changes []string
		for _, l := range r.Lines(t) {
			if l["from"] != nil {
				changes = append(changes, fmt.Sprint(l["level"], " ", l["msg"], " ", l["scope"], ": ", l["from"], " → ", l["to"]))
			}
		}
		rig.Equal(t, "lines", changes, []string{
			"WARN oktaretry: circuit endpoint: closed → open", "DEBUG oktaretry: circuit endpoint: open → half-open",
			"INFO oktaretry: circuit endpoint: half-open → closed"})
	})
}

func TestSpansEndWhenTheBaseNeverReturns(t *testing.T) {
	for name, leave := range map[string]func(){"panic": func() { panic("ann@b.c") }, "Goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			r := recorders.Observe(t, nil, script.Do(func(*http.Request) (*http.Response, error) { leave(); return nil, nil }))
			done := make(chan any)
			go func() {
				defer func() { done <- recover() }()
				r.Do(context.Background(), "GET", rig.UserURL)
			}()
			if p := <-done; name == "panic" && p != "ann@b.c" {
				t.Errorf("the panic came out as %v", p)
			}
			calls, attempts := r.Ended(t)
			for _, s := range append(calls, attempts...) {
				got := recorders.Attributes(s.Attributes())
				rig.Equal(t, s.Name()+" status", s.Status().Code, codes.Error)
				rig.Equal(t, s.Name()+" error.type", got["error.type"], "_OTHER")
				rig.Equal(t, s.Name()+" class", got["oktaretry.class"], "network")
			}
			rig.Equal(t, "attempts", recorders.Attributes(calls[0].Attributes())["oktaretry.attempts"], int64(1))
		})
	}
}

func TestInvalidRequestsReportNothing(t *testing.T) {
	r := recorders.Observe(t, nil, script.OK())
	if _, err := r.Transport.RoundTrip(&http.Request{Header: http.Header{}}); err == nil {
		t.Error("no error")
	}
	if n := len(r.Spans.Started()) + len(r.Metrics(t)) + len(r.Log()); n != 0 {
		t.Errorf("%d things reported", n)
	}
}

func TestEachAttemptPropagatesItsOwnSpan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := recorders.Observe(t, nil, script.Down(), pending, script.OK())
		member, _ := baggage.NewMember("tenant", "t1")
		bag, _ := baggage.New(member)
		req, _ := http.NewRequestWithContext(baggage.ContextWithBaggage(t.Context(), bag), "GET", rig.UserURL, nil)
		req.Header = http.Header{"Traceparent": {"the caller's own"}, "X-A": {"1"}}
		before := req.Header.Clone()
		if _, err := r.Transport.RoundTrip(req); err != nil {
			t.Fatal(err)
		}
		rig.Equal(t, "the caller's headers", req.Header, before)
		_, attempts := r.Ended(t)
		for i, sent := range r.Base.Sent() {
			sc := attempts[i].SpanContext()
			rig.Equal(t, "traceparent", sent.Header["Traceparent"], []string{"00-" + sc.TraceID().String() + "-" + sc.SpanID().String() + "-01"})
			rig.Equal(t, "baggage", sent.Header.Get("Baggage"), "tenant=t1")
			rig.Equal(t, "span in the context", trace.SpanContextFromContext(sent.Context).SpanID(), sc.SpanID())
		}
	})
}

func TestGlobalProvidersAreTheDefault(t *testing.T) {
	defer func(p propagation.TextMapPropagator) {
		otel.SetTracerProvider(tracenoop.NewTracerProvider())
		otel.SetMeterProvider(metricnoop.NewMeterProvider())
		otel.SetTextMapPropagator(p)
	}(propagation.NewCompositeTextMapPropagator())
	r := recorders.Observe(t, nil, script.OK())
	otel.SetTracerProvider(r.Tracer)
	otel.SetMeterProvider(r.Meter)
	otel.SetTextMapPropagator(propagation.TraceContext{})
	var err error
	if r.Transport, err = oktaretry.NewTransport(r.Base); err != nil {
		t.Fatal(err)
	}
	if err := r.Do(t.Context(), "GET", rig.UserURL); err != nil {
		t.Fatal(err)
	}
	if calls, attempts := r.Ended(t); len(calls) != 1 || len(attempts) != 1 {
		t.Errorf("%d call spans, %d attempt spans", len(calls), len(attempts))
	}
	if r.Base.Sent()[0].Header.Get("Traceparent") == "" {
		t.Error("nothing was propagated")
	}
	if len(r.Metrics(t)) == 0 {
		t.Error("no metrics")
	}
	if len(r.Log()) != 0 {
		t.Errorf("logged without WithLogger: %s", r.Log())
	}
}
