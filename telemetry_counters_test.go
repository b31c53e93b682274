package oktaretry_test

// The metrics that calls write as they go count what happened under labels
// that nobody can multiply.

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/oktaretry/oktaretry"
)

// telCounts returns how many values each series of a histogram has, by the
// values of its labels in the order of their names; those that begin with a
// word of without are left out.
func (r *telRig) telCounts(t testing.TB, name string, without ...string) map[string]uint64 {
	t.Helper()
	counts := map[string]uint64{}
	h, ok := r.metrics(t)[name].Data.(metricdata.Histogram[float64])
	if !ok {
		return counts
	}
	for _, p := range h.DataPoints {
		var words []string
		for _, kv := range p.Attributes.ToSlice() {
			hidden := slices.ContainsFunc(without, func(prefix string) bool { return strings.HasPrefix(string(kv.Key), prefix) })
			if !hidden {
				words = append(words, kv.Value.String())
			}
		}
		counts[strings.Join(words, " ")] += p.Count
	}
	return counts
}

func TestRefusalsAreCountedByTheLimitThatRefused(t *testing.T) {
	zero := []string{"X-Rate-Limit-Limit", "0", "X-Rate-Limit-Remaining", "0"}
	for _, tt := range []struct {
		name, want string
		step       telStep
	}{
		{"a bucket", "GET /api/v1/users/{id} E0000047 bucket", telCode(429, "E0000047", "Retry-After", "1")},
		{"a bucket without a code", "GET /api/v1/users/{id}  bucket", telAnswer(429, "", "Retry-After", "1")},
		{"calls in flight", "GET /api/v1/users/{id} E0000047 concurrency", telCode(429, "E0000047", zero...)},
		{"a resource", "GET /api/v1/users/{id} E0000109 resource", telCode(429, "E0000109")},
		// What is the resource's own is not the bucket's, whatever the headers say.
		{"a resource, at 0/0", "GET /api/v1/users/{id} E0000109 resource", telCode(429, "E0000109", zero...)},
		{"a code under another status", "GET /api/v1/users/{id} E0000047 bucket", telCode(503, "E0000047", "Retry-After", "1")},
		// There are ten million codes that look like one of Okta's.
		{"a code that nobody knows", "GET /api/v1/users/{id} _OTHER bucket", telCode(429, "E7654321", "Retry-After", "1")},
		{"a word that is no code", "GET /api/v1/users/{id} _OTHER bucket", telAnswer(429, `{"error":"ann"}`, "Retry-After", "1")},
		{"an OAuth code", "GET /api/v1/users/{id} slow_down bucket", telAnswer(429, `{"error":"slow_down"}`, "Retry-After", "1")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := telNew(t, nil, tt.step, tt.step, telOK)
				if err := r.do(t.Context(), "GET", telURL); err != nil {
					t.Fatal(err)
				}
				bucket, rest, _ := strings.Cut(tt.want, "} ")
				code, kind, _ := strings.Cut(rest, " ")
				r.wantGauge(t, "oktaretry.rate_limit.refusals",
					map[string]float64{strings.Join([]string{bucket + "}", code, kind, "acme.okta.com", "443"}, " "): 2})
			})
		})
	}
}

// A 429 that the caller's own mistake explains is no refusal of a limit's.
func TestOnlyRateLimitsRefuse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := telNew(t, nil, telCode(429, "E0000007"), telDown, telRefused, telPending, telOK)
		r.do(t.Context(), "GET", telURL)
		r.do(t.Context(), "GET", telURL)
		r.wantGauge(t, "oktaretry.rate_limit.refusals", map[string]float64{})
	})
}

// A poll that is resent asks again.
func TestEveryRequestForAPendingAnswersResultIsAPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := telNew(t, nil, telDown, telPending, telPending, telRateLimited, telOK)
		if err := r.do(t.Context(), "GET", telURL); err != nil {
			t.Fatal(err)
		}
		r.wantGauge(t, "oktaretry.polls", map[string]float64{
			"GET acme.okta.com 443 /api/v1/users/{userId}/factors/{factorId}/transactions/{transactionId}": 3})
		telEqual(t, "poll waits", r.telCounts(t, "oktaretry.wait.duration", "http.request.method", "server.", "url.template", "oktaretry.bucket"),
			map[string]uint64{"backoff": 1, "poll": 2, "rate-limit": 1})
	})
}

func TestCircuitChangesAreCountedByScopeAndDirection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := telNew(t, func(p *oktaretry.Policy) { p.Breaker.MinCalls, p.Breaker.FailureRatio = 1, 0.5 },
			telDown, telDown, telOK, telAnswer(502, ""), telOK)
		ctx := oktaretry.WithNoRetry(t.Context())
		for range 5 {
			r.do(ctx, "GET", telURL)
			time.Sleep(6 * time.Second)
		}
		const at = " acme.okta.com 443"
		const of = at + " /api/v1/users/{id}"
		r.wantGauge(t, "oktaretry.circuit.changes", map[string]float64{
			"GET closed endpoint open" + of: 1, "GET open endpoint half-open" + of: 2, "GET half-open endpoint open" + of: 1,
			"GET half-open endpoint closed" + of: 1,
			"closed host open" + at:              1, "open host half-open" + at: 1, "half-open host closed" + at: 1,
		})
	})
}

func TestAttemptDurationsHaveStatusErrorAndProtocol(t *testing.T) {
	proto := func(major, minor int) telStep {
		return func(req *http.Request) (*http.Response, error) {
			resp, err := telDown(req)
			resp.ProtoMajor, resp.ProtoMinor = major, minor
			return resp, err
		}
	}
	for _, tt := range []struct {
		name string
		step telStep
		want string // error.type, method, status, protocol
	}{
		{"success", telOK, "GET 200"},
		{"redirect", telAnswer(302, ""), "GET 302"},
		{"client error", telCode(404, "E0000007"), "404 GET 404"},
		{"server error", telDown, "503 GET 503"},
		{"HTTP/1.0", proto(1, 0), "503 GET 503 1.0"},
		{"HTTP/1.1", proto(1, 1), "503 GET 503 1.1"},
		{"HTTP/2", proto(2, 0), "503 GET 503 2"},
		{"HTTP/3", proto(3, 0), "503 GET 503 3"},
		{"HTTP/9", proto(9, 0), "503 GET 503"}, // no such thing
		{"pending", telPending, "GET 202"},     // no error of the attempt's
		{"refused", telRefused, "connect GET"},
		{"lost", telFailure(errors.New("reset")), "_OTHER GET"},
		{"timed out", telHang, "timeout GET"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := telNew(t, nil, func(req *http.Request) (*http.Response, error) { time.Sleep(time.Second / 4); return tt.step(req) })
				r.do(oktaretry.WithNoRetry(t.Context()), "GET", telURL)
				telEqual(t, "points", r.telCounts(t, "http.client.request.duration", "server.", "url.template"), map[string]uint64{tt.want: 1})
				h := r.metrics(t)["http.client.request.duration"].Data.(metricdata.Histogram[float64]).DataPoints[0]
				if tt.name == "timed out" {
					telEqual(t, "seconds", h.Sum, 60.0)
				} else {
					telEqual(t, "seconds", h.Sum, 0.25)
				}
				telEqual(t, "bounds", h.Bounds, []float64{0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10})
			})
		})
	}
}

// What the caller gave up has no answer, and is no error of anybody's. A
// deadline that passed is one.
func TestAnAttemptThatTheCallerCancelledHasNeitherStatusNorError(t *testing.T) {
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
					r := telNew(t, nil, telHang)
					r.with(t, oktaretry.WithAttemptSpans(spans))
					ctx, cancel := tt.ctx(t.Context())
					defer cancel()
					if err := r.do(ctx, "GET", telURL); err == nil {
						t.Error("no error")
					}
					telEqual(t, "points", r.telCounts(t, "http.client.request.duration", "server.", "url.template"), map[string]uint64{tt.want: 1})
					calls, attempts := r.split(t)
					for _, s := range append(calls, attempts...) {
						_, failed := telMap(s.Attributes())["error.type"]
						telEqual(t, s.Name()+" has an error.type", failed, tt.name == "deadline")
					}
					for _, e := range telEvents(calls[0], "oktaretry.attempt") {
						_, failed := e["error.type"]
						telEqual(t, "the event has an error.type", failed, tt.name == "deadline")
					}
				})
			})
		}
	}
}

// The labels of an attempt that was given up are remembered apart from those of
// one that failed in the same way.
func TestACancelledAttemptIsNotTakenForAFailedOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := telNew(t, nil, telHang, telFailure(errors.New("reset")))
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		r.do(ctx, "GET", telURL)
		r.do(oktaretry.WithNoRetry(t.Context()), "GET", telURL)
		telEqual(t, "points", r.telCounts(t, "http.client.request.duration", "server.", "url.template"), map[string]uint64{"GET": 1, "_OTHER GET": 1})
	})
}

func TestCallsAreCountedByHowTheyEndedAndHowOftenTheyWereSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := telNew(t, nil, telDown, telRateLimited, telOK, telCode(404, "E0000007"), telOK)
		for range 3 {
			r.do(t.Context(), "GET", telURL)
		}
		telEqual(t, "calls", r.telCounts(t, "oktaretry.call.duration", "server.", "url.template"),
			map[string]uint64{"GET success success": 2, "GET client-error fail-fast": 1})
		sent := map[string][2]int64{}
		for _, p := range r.metrics(t)["oktaretry.call.attempts"].Data.(metricdata.Histogram[int64]).DataPoints {
			stop, _ := p.Attributes.Value("oktaretry.stop")
			sent[stop.AsString()] = [2]int64{int64(p.Count), p.Sum}
			telEqual(t, "largest bound", p.Bounds[len(p.Bounds)-1], 50.0)
		}
		telEqual(t, "attempts", sent, map[string][2]int64{"success": {2, 4}, "fail-fast": {1, 1}})
	})
}

// A server can answer with any number for a status. What is beyond the sets
// that an endpoint remembers is counted like the rest.
func TestManyStatusesAreAllCounted(t *testing.T) {
	n := 300 // more than an endpoint remembers
	status := 0
	r := telNew(t, nil, func(req *http.Request) (*http.Response, error) {
		status++
		return telAnswer(200+status%n, "")(req)
	})
	for range 2 * n {
		if err := r.do(oktaretry.WithNoRetry(t.Context()), "GET", telURL); err != nil {
			var limited *oktaretry.RateLimitError
			if !errors.As(err, &limited) {
				t.Fatal(err)
			}
		}
	}
	counts := r.telCounts(t, "http.client.request.duration", "server.", "url.template", "http.request.method", "error.type")
	telEqual(t, "series", len(counts), n)
	for status, count := range counts {
		if count != 2 {
			t.Errorf("%s was counted %d times, want 2", status, count)
		}
	}
}
