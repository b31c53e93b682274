// This file tests the log: which lines there are, and from which wait on.

package telemetry_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/internal/rig/script"
)

func TestHistogramsReachFiveMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rig.Observe(t, nil, script.Code(503, "E0000010"))
		r.Do(t.Context(), "GET", rig.UserURL)
		for name, seconds := range map[string]float64{"oktaretry.call.duration": 3.5, "oktaretry.wait.duration": 3.5} {
			h := r.Metrics(t)[name].Data.(metricdata.Histogram[float64]).DataPoints[0]
			rig.Equal(t, "seconds", h.Sum, seconds)
			rig.Equal(t, "largest bound", h.Bounds[len(h.Bounds)-1], 300.0)
		}
	})
}

// A call that was polled for was counted under the endpoint of the poll.
func TestPolledCallIsCountedUnderItsOwnEndpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rig.Observe(t, nil, pending, script.OK())
		r.Do(t.Context(), "POST", rig.UserURL)
		for _, name := range []string{"oktaretry.call.duration", "oktaretry.call.attempts"} {
			got := rig.Labels(r.Metrics(t)[name])[0]
			rig.Equal(t, "method", got["http.request.method"], "POST")
			rig.Equal(t, "template", got["url.template"], "/api/v1/users/{id}")
		}
	})
}

func TestLogHasOneLineForEachLongWaitAndEachCallGivenUp(t *testing.T) {
	for _, tt := range []struct {
		name   string
		method string
		policy func(*oktaretry.Policy)
		script []script.Step
		limit  time.Duration // negative: cancel by hand after that time
		want   []string
	}{
		{"short waits", "GET", nil, []script.Step{script.Down(), script.OK()}, 0, nil},
		{"a long wait", "GET", nil, []script.Step{limitedFor7s, script.OK()}, 0, []string{"INFO waiting rate-limit"}},
		{"a long poll", "GET", nil, []script.Step{pending, script.OK()}, 0, []string{"INFO waiting poll"}},
		{"rate limit given up", "GET", nil, []script.Step{script.Code(429, "E0000146")}, 0, []string{"WARN call given up max-elapsed"}},
		{"network given up", "POST", nil, []script.Step{script.Fail(errors.New("reset"))}, 0, []string{"WARN call given up not-idempotent"}},
		{"server error given up", "GET", nil, []script.Step{script.Code(503, "E0000010")}, 0,
			[]string{"INFO waiting backoff", "INFO waiting backoff", "WARN call given up max-attempts"}},
		{"the caller's own mistake", "GET", nil, []script.Step{script.Code(404, "E0000007")}, 0, nil},
		{"canceled", "GET", nil, []script.Step{script.Hang()}, -time.Second, nil},
		{"deadline", "GET", nil, []script.Step{script.Hang()}, time.Second, []string{"WARN call given up canceled"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := rig.Observe(t, tt.policy, tt.script...)
				ctx := endsAfter(t, tt.limit)
				r.Do(ctx, tt.method, rig.UserURL)
				calls, _ := r.Ended(t)
				var got []string
				for _, l := range r.Lines(t) {
					detail, _ := l["reason"].(string)
					if stop, ok := l["stop"].(string); ok {
						detail = stop
					}
					got = append(got, fmt.Sprint(l["level"], strings.TrimPrefix(l["msg"].(string), "oktaretry:"), " ", detail))
					rig.Equal(t, "trace id", l["trace_id"], any(calls[0].SpanContext().TraceID().String()))
					rig.Equal(t, "host", l["host"], any("example.okta.com"))
				}
				rig.Equal(t, "lines", got, tt.want)
			})
		})
	}
}

// The second call waits 400 ms for the bucket, then another 7 s because the
// first one met the limit again. Only the first look at a wait was logged.
func TestLogRecordsAWaitThatGrowsLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rig.Observe(t, func(p *oktaretry.Policy) { p.RateLimited.InitialWait, p.RateLimited.Jitter = 500*time.Millisecond, 0 },
			script.Limited(), limitedFor7s, script.OK())
		var calls sync.WaitGroup
		calls.Go(func() { r.Do(t.Context(), "GET", rig.UserURL) })
		time.Sleep(100 * time.Millisecond)
		calls.Go(func() { r.Do(t.Context(), "GET", rig.UserURL) })
		calls.Wait()
		waits := 0
		for _, l := range r.Lines(t) {
			if l["msg"] == "oktaretry: waiting" {
				waits++
			}
		}
		rig.Equal(t, "lines", waits, 2)
	})
}

func TestLogThreshold(t *testing.T) {
	for _, tt := range []struct {
		from time.Duration
		want int
	}{{0, 2}, {time.Second, 1}, {time.Minute, 0}} {
		synctest.Test(t, func(t *testing.T) {
			r := rig.Observe(t, nil, script.Down(), limitedFor7s, script.OK()) // waits of 0.5 s and 7 s
			r.With(t, oktaretry.WithLogThreshold(tt.from))
			r.Do(t.Context(), "GET", rig.UserURL)
			rig.Equal(t, fmt.Sprint("lines from ", tt.from), len(r.Lines(t)), tt.want)
		})
	}
	if _, err := oktaretry.NewTransport(nil, oktaretry.WithLogThreshold(-1)); err == nil {
		t.Error("a negative threshold is accepted")
	}
}

// A handler that is not enabled costs no line, and none of its parts.
func TestDisabledLogGetsNoRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rig.Observe(t, nil, limitedFor7s, script.OK())
		r.With(t, oktaretry.WithLogger(slog.New(disabledHandler{t})))
		r.Do(t.Context(), "GET", rig.UserURL)
	})
}

type disabledHandler struct{ t *testing.T }

func (h disabledHandler) Enabled(context.Context, slog.Level) bool { return false }
func (h disabledHandler) Handle(_ context.Context, r slog.Record) error {
	b, _ := json.Marshal(r.Message)
	h.t.Errorf("a line for nobody: %s", b)
	return nil
}
func (h disabledHandler) WithAttrs([]slog.Attr) slog.Handler { return h }
func (h disabledHandler) WithGroup(string) slog.Handler      { return h }
