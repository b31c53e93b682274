// This file tests the metrics that calls write as they go, and that nobody can
// multiply their series.

package telemetry_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/internal/rig/recorders"
	"github.com/oktaretry/oktaretry/internal/rig/script"
)

func TestRefusalsAreCountedByTheLimitThatRefused(t *testing.T) {
	zero := []string{"X-Rate-Limit-Limit", "0", "X-Rate-Limit-Remaining", "0"}
	for _, tt := range []struct {
		name, want string
		step       script.Step
	}{
		{"a bucket", "GET /api/v1/users/{id} E0000047 bucket", script.Limited(script.Set("Retry-After", "1"))},
		{"a bucket without a code", "GET /api/v1/users/{id}  bucket", script.Bare(429, script.Set("Retry-After", "1"))},
		{"calls in flight", "GET /api/v1/users/{id} E0000047 concurrency", script.Limited(script.Headers(zero...))},
		{"a resource", "GET /api/v1/users/{id} E0000109 resource", script.Code(429, "E0000109")},
		// A resource's own limit is not the bucket's, whatever the headers.
		{"a resource, at 0/0", "GET /api/v1/users/{id} E0000109 resource", script.Code(429, "E0000109", script.Headers(zero...))},
		{"a code under another status", "GET /api/v1/users/{id} E0000047 bucket", script.Code(503, "E0000047", script.Set("Retry-After", "1"))},
		// There are ten million codes that look like one of Okta's.
		{"a code that nobody knows", "GET /api/v1/users/{id} _OTHER bucket", script.Code(429, "E7654321", script.Set("Retry-After", "1"))},
		{"a word that is no code", "GET /api/v1/users/{id} _OTHER bucket", script.Reply(429, `{"error":"ann"}`, script.Set("Retry-After", "1"))},
		{"an OAuth code", "GET /api/v1/users/{id} slow_down bucket", script.Reply(429, `{"error":"slow_down"}`, script.Set("Retry-After", "1"))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := recorders.Observe(t, nil, tt.step, tt.step, script.OK())
				if err := r.Do(t.Context(), "GET", rig.UserURL); err != nil {
					t.Fatal(err)
				}
				bucket, rest, _ := strings.Cut(tt.want, "} ")
				code, kind, _ := strings.Cut(rest, " ")
				r.WantValues(t, "oktaretry.rate_limit.refusals",
					map[string]float64{strings.Join([]string{bucket + "}", code, kind, "example.okta.com", "443"}, " "): 2})
			})
		})
	}
}

// A 429 that the caller's own mistake explains is no refusal of a limit's.
func TestOnlyRateLimitsCountAsRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := recorders.Observe(t, nil, script.Code(429, "E0000007"), script.Down(), script.Fail(script.Refused), pending, script.OK())
		r.Do(t.Context(), "GET", rig.UserURL)
		r.Do(t.Context(), "GET", rig.UserURL)
		r.WantValues(t, "oktaretry.rate_limit.refusals", map[string]float64{})
	})
}

// A poll that is resent asks again.
func TestEveryPollIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := recorders.Observe(t, nil, script.Down(), pending, pending, limitedFor7s, script.OK())
		if err := r.Do(t.Context(), "GET", rig.UserURL); err != nil {
			t.Fatal(err)
		}
		r.WantValues(t, "oktaretry.polls", map[string]float64{
			"GET example.okta.com 443 /api/v1/users/{userId}/factors/{factorId}/transactions/{transactionId}": 3})
		rig.Equal(t, "poll waits", r.Counts(t, "oktaretry.wait.duration", "http.request.method", "server.", "url.template", "oktaretry.bucket"),
			map[string]uint64{"backoff": 1, "poll": 2, "rate-limit": 1})
	})
}

func TestCircuitChangesAreCountedByScopeAndDirection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := recorders.Observe(t, func(p *oktaretry.Policy) { p.Breaker.MinCalls, p.Breaker.FailureRatio = 1, 0.5 },
			script.Down(), script.Down(), script.OK(), script.Fail(script.Refused), script.OK())
		ctx := oktaretry.WithNoRetry(t.Context())
		for range 5 {
			r.Do(ctx, "GET", rig.UserURL)
			time.Sleep(6 * time.Second)
		}
		const at = " example.okta.com 443"
		const of = at + " /api/v1/users/{id}"
		r.WantValues(t, "oktaretry.circuit.changes", map[string]float64{
			"GET closed endpoint open" + of: 1, "GET open endpoint half-open" + of: 2, "GET half-open endpoint open" + of: 1,
			"GET half-open endpoint closed" + of: 1,
			"closed host open" + at:              1, "open host half-open" + at: 1, "half-open host closed" + at: 1,
		})
	})
}

func TestAttemptDurationsHaveStatusErrorAndProtocol(t *testing.T) {
	proto := func(major, minor int) script.Step {
		return script.Do(func(req *http.Request) (*http.Response, error) {
			resp, err := script.Down().Respond(req)
			resp.ProtoMajor, resp.ProtoMinor = major, minor
			return resp, err
		})
	}
	for _, tt := range []struct {
		name string
		step script.Step
		want string // error.type, method, status, protocol
	}{
		{"success", script.OK(), "GET 200 1.1"},
		{"redirect", script.Bare(302), "GET 302 1.1"},
		{"client error", script.Code(404, "E0000007"), "404 GET 404 1.1"},
		{"server error", script.Down(), "503 GET 503 1.1"},
		{"no protocol", proto(0, 0), "503 GET 503"},
		{"HTTP/1.0", proto(1, 0), "503 GET 503 1.0"},
		{"HTTP/1.1", proto(1, 1), "503 GET 503 1.1"},
		{"HTTP/2", proto(2, 0), "503 GET 503 2"},
		{"HTTP/3", proto(3, 0), "503 GET 503 3"},
		{"HTTP/9", proto(9, 0), "503 GET 503"}, // no such thing
		{"pending", pending, "GET 202 1.1"},    // no error of the attempt's
		{"refused", script.Fail(script.Refused), "connect GET"},
		{"lost", script.Fail(script.Reset), "connection GET"},
		{"timed out", script.Hang(), "timeout GET"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := recorders.Observe(t, nil, tt.step.Takes(time.Second/4))
				r.Do(oktaretry.WithNoRetry(t.Context()), "GET", rig.UserURL)
				rig.Equal(t, "points", r.Counts(t, "http.client.request.duration", "server.", "url.template"), map[string]uint64{tt.want: 1})
				h := r.Metrics(t)["http.client.request.duration"].Data.(metricdata.Histogram[float64]).DataPoints[0]
				if tt.name == "timed out" {
					rig.Equal(t, "seconds", h.Sum, 180.0) // thrice AttemptTimeout, for it is not sent again
				} else {
					rig.Equal(t, "seconds", h.Sum, 0.25)
				}
				rig.Equal(t, "bounds", h.Bounds, []float64{0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10})
			})
		})
	}
}

// What the caller gave up has no answer, and is no error of anybody's. A
// deadline that passed is one.
func TestCanceledAttemptHasNeitherStatusNorError(t *testing.T) {
	for _, spans := range []bool{true, false} {
		for _, tt := range []struct {
			name, want string
			ctx        func(context.Context) (context.Context, context.CancelFunc)
		}{
			{"canceled", "GET", func(ctx context.Context) (context.Context, context.CancelFunc) {
				ctx, cancel := context.WithCancelCause(ctx)
				time.AfterFunc(time.Second, func() { cancel(errors.New("the user went home")) })
				return ctx, func() { cancel(nil) }
			}},
			{"deadline", "timeout GET", func(ctx context.Context) (context.Context, context.CancelFunc) {
				return context.WithTimeout(ctx, time.Second)
			}},
		} {
			t.Run(fmt.Sprint(tt.name, " with spans ", spans), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := recorders.Observe(t, nil, script.Hang())
					r.With(t, oktaretry.WithAttemptSpans(spans))
					ctx, cancel := tt.ctx(t.Context())
					defer cancel()
					if err := r.Do(ctx, "GET", rig.UserURL); err == nil {
						t.Error("no error")
					}
					rig.Equal(t, "points", r.Counts(t, "http.client.request.duration", "server.", "url.template"), map[string]uint64{tt.want: 1})
					calls, attempts := r.Ended(t)
					for _, s := range append(calls, attempts...) {
						_, failed := recorders.Attributes(s.Attributes())["error.type"]
						rig.Equal(t, s.Name()+" has an error.type", failed, tt.name == "deadline")
					}
					for _, e := range recorders.Events(calls[0], "oktaretry.attempt") {
						_, failed := e["error.type"]
						rig.Equal(t, "the event has an error.type", failed, tt.name == "deadline")
					}
				})
			})
		}
	}
}

// The labels of an attempt that was given up are remembered apart from those of
// one that failed in the same way.
func TestCanceledAndFailedAttemptsAreSeparateSeries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := recorders.Observe(t, nil, script.Hang(), script.Fail(script.Reset))
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		r.Do(ctx, "GET", rig.UserURL)
		r.Do(oktaretry.WithNoRetry(t.Context()), "GET", rig.UserURL)
		rig.Equal(t, "points", r.Counts(t, "http.client.request.duration", "server.", "url.template"), map[string]uint64{"GET": 1, "connection GET": 1})
	})
}

func TestCallsAreCountedByStopReasonAndAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := recorders.Observe(t, nil, script.Down(), limitedFor7s, script.OK(), script.Code(404, "E0000007"), script.OK())
		for range 3 {
			r.Do(t.Context(), "GET", rig.UserURL)
		}
		rig.Equal(t, "calls", r.Counts(t, "oktaretry.call.duration", "server.", "url.template"),
			map[string]uint64{"GET success success": 2, "GET client-error fail-fast": 1})
		sent := map[string][2]int64{}
		for _, p := range r.Metrics(t)["oktaretry.call.attempts"].Data.(metricdata.Histogram[int64]).DataPoints {
			stop, _ := p.Attributes.Value("oktaretry.stop")
			sent[stop.AsString()] = [2]int64{int64(p.Count), p.Sum}
			rig.Equal(t, "largest bound", p.Bounds[len(p.Bounds)-1], 50.0)
		}
		rig.Equal(t, "attempts", sent, map[string][2]int64{"success": {2, 4}, "fail-fast": {1, 1}})
	})
}

// A server can answer with any number for a status. What is beyond the sets
// that an endpoint remembers is counted like the rest.
func TestManyStatusesAreAllCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 300 // more than an endpoint remembers
		status := 0
		r := recorders.Observe(t, nil, script.Do(func(req *http.Request) (*http.Response, error) {
			status++
			return script.Bare(200 + status%n).Respond(req)
		}))
		for range 2 * n {
			if err := r.Do(oktaretry.WithNoRetry(t.Context()), "GET", rig.UserURL); err != nil {
				var limited *oktaretry.RateLimitError
				if !errors.As(err, &limited) {
					t.Fatal(err)
				}
			}
		}
		counts := r.Counts(t, "http.client.request.duration", "server.", "url.template", "http.request.method", "error.type")
		rig.Equal(t, "series", len(counts), n)
		for status, count := range counts {
			if count != 2 {
				t.Errorf("%s was counted %d times, want 2", status, count)
			}
		}
	})
}
