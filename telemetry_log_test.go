package oktaretry_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/oktaretry/oktaretry"
)

func TestHistogramsReachFiveMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := telNew(t, nil, telDown)
		r.do(t.Context(), "GET", telURL)
		for name, seconds := range map[string]float64{"oktaretry.call.duration": 3.5, "oktaretry.wait.duration": 3.5} {
			h := r.metrics(t)[name].Data.(metricdata.Histogram[float64]).DataPoints[0]
			telEqual(t, "seconds", h.Sum, seconds)
			telEqual(t, "largest bound", h.Bounds[len(h.Bounds)-1], 300.0)
		}
	})
}

// A call that was polled for was counted under the endpoint of the poll.
func TestMetricsCountACallUnderItsOwnEndpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := telNew(t, nil, telPending, telOK)
		r.do(t.Context(), "POST", telURL)
		for _, name := range []string{"oktaretry.call.duration", "oktaretry.call.attempts"} {
			got := telLabels(r.metrics(t)[name])[0]
			telEqual(t, "method", got["http.request.method"], "POST")
			telEqual(t, "template", got["url.template"], "/api/v1/users/{id}")
		}
	})
}

func TestLogHasOneLineForEachLongWaitAndEachCallGivenUp(t *testing.T) {
	for _, tt := range []struct {
		name   string
		method string
		policy func(*oktaretry.Policy)
		script []telStep
		limit  time.Duration // negative: cancel by hand after that time
		want   []string
	}{
		{"nothing to tell", "GET", nil, []telStep{telDown, telOK}, 0, nil},
		{"a long wait", "GET", nil, []telStep{telRateLimited, telOK}, 0, []string{"INFO waiting rate-limit"}},
		{"a long poll", "GET", nil, []telStep{telPending, telOK}, 0, []string{"INFO waiting poll"}},
		{"rate limit given up", "GET", nil, []telStep{telCode(429, "E0000146")}, 0, []string{"WARN call given up max-elapsed"}},
		{"network given up", "POST", nil, []telStep{telFailure(errors.New("reset"))}, 0, []string{"WARN call given up not-idempotent"}},
		{"server error given up", "GET", nil, []telStep{telDown}, 0,
			[]string{"INFO waiting backoff", "INFO waiting backoff", "WARN call given up max-attempts"}},
		{"the caller's own mistake", "GET", nil, []telStep{telCode(404, "E0000007")}, 0, nil},
		{"canceled", "GET", nil, []telStep{telHang}, -time.Second, nil},
		{"deadline", "GET", nil, []telStep{telHang}, time.Second, []string{"WARN call given up canceled"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := telNew(t, tt.policy, tt.script...)
				ctx, cancel := context.WithCancel(t.Context())
				if tt.limit > 0 {
					ctx, cancel = context.WithTimeout(ctx, tt.limit)
				} else if tt.limit < 0 {
					time.AfterFunc(-tt.limit, cancel)
				}
				defer cancel()
				r.do(ctx, tt.method, telURL)
				calls, _ := r.split(t)
				var got []string
				for _, l := range r.lines(t) {
					detail, _ := l["reason"].(string)
					if stop, ok := l["stop"].(string); ok {
						detail = stop
					}
					got = append(got, fmt.Sprint(l["level"], strings.TrimPrefix(l["msg"].(string), "oktaretry:"), " ", detail))
					telEqual(t, "trace id", l["trace_id"], any(calls[0].SpanContext().TraceID().String()))
					telEqual(t, "host", l["host"], any("acme.okta.com"))
				}
				telEqual(t, "lines", got, tt.want)
			})
		})
	}
}

// The second call waits 400 ms for the bucket, then another 7 s because the
// first one met the limit again. Only the first look at a wait was logged.
func TestLogTellsOfAWaitThatGrowsLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := telNew(t, func(p *oktaretry.Policy) { p.RateLimited.InitialWait, p.RateLimited.Jitter = 500*time.Millisecond, 0 },
			telCode(429, "E0000047"), telRateLimited, telOK)
		var calls sync.WaitGroup
		calls.Go(func() { r.do(t.Context(), "GET", telURL) })
		time.Sleep(100 * time.Millisecond)
		calls.Go(func() { r.do(t.Context(), "GET", telURL) })
		calls.Wait()
		waits := 0
		for _, l := range r.lines(t) {
			if l["msg"] == "oktaretry: waiting" {
				waits++
			}
		}
		telEqual(t, "lines", waits, 2)
	})
}
