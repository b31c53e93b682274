// This file tests the log: which lines there are, and from which wait on.

package telemetry_test

import (
	"context"
	"encoding/json"
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
	"github.com/oktaretry/oktaretry/internal/rig/recorders"
	"github.com/oktaretry/oktaretry/internal/rig/script"
)

func TestHistogramsReachFiveMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := recorders.Observe(t, nil, script.Code(503, "E0000010"))
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
		r := recorders.Observe(t, nil, pending, script.OK())
		r.Do(t.Context(), "POST", rig.UserURL)
		for _, name := range []string{"oktaretry.call.duration", "oktaretry.call.attempts"} {
			got := recorders.Labels(r.Metrics(t)[name])[0]
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
		{"a long wait", "GET", nil, []script.Step{limitedFor7s, script.OK()}, 0, []string{"INFO waiting rate-limit", "INFO call done success"}},
		{"a long poll", "GET", nil, []script.Step{pending, script.OK()}, 0, nil},
		{"rate limit given up", "GET", nil, []script.Step{script.Code(429, "E0000146")}, 0, []string{"WARN call done max-elapsed"}},
		{"network given up", "POST", nil, []script.Step{script.Fail(script.Reset)}, 0, []string{"WARN call done not-idempotent"}},
		{"server error given up", "GET", nil, []script.Step{script.Code(503, "E0000010")}, 0,
			[]string{"WARN call done max-attempts"}},
		{"the caller's own mistake", "GET", nil, []script.Step{script.Code(404, "E0000007")}, 0, nil},
		{"canceled", "GET", nil, []script.Step{script.Hang()}, -time.Second, nil},
		{"deadline", "GET", nil, []script.Step{script.Hang()}, time.Second, []string{"WARN call done deadline"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := recorders.Observe(t, tt.policy, tt.script...)
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
		r := recorders.Observe(t, func(p *oktaretry.Policy) { p.RateLimited.InitialWait, p.RateLimited.Jitter = 500*time.Millisecond, 0 },
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
	}{{0, 3}, {time.Second, 2}, {7600 * time.Millisecond, 0}, {7500 * time.Millisecond, 1}} {
		synctest.Test(t, func(t *testing.T) {
			r := recorders.Observe(t, nil, script.Down(), limitedFor7s, script.OK()) // waits of 0.5 s and 7 s
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
		r := recorders.Observe(t, nil, limitedFor7s, script.OK())
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

// The log and the trace of a call agree to the millisecond, whatever made it slow or
// ended it, and the log says what was, where the line of a wait says what might be.
func TestLogAgreesWithTrace(t *testing.T) {
	slow := func(p *oktaretry.Policy) {
		p.Network.InitialWait, p.ServerError.InitialWait = 7*time.Second, 7*time.Second
	}
	for _, tt := range []struct {
		name    string
		policy  func(*oktaretry.Policy)
		script  []script.Step
		limit   time.Duration // negative: cancel by hand after that time
		reasons string
		stop    string
		code    string
	}{
		{"rate limit", nil, []script.Step{limitedFor7s, script.OK()}, 0, "rate-limit 7s", "success", "E0000047"},
		{"backoff", slow, []script.Step{script.Down(), script.OK()}, 0, "backoff 7s", "success", "E0000009"},
		{"lost connection", slow, []script.Step{script.Fail(script.Refused), script.OK()}, 0, "backoff 7s", "success", ""},
		{"rate limit, then backoff", slow, []script.Step{limitedFor7s, script.Down(), script.OK()}, 0, "rate-limit 7s, backoff 7s", "success", "E0000009"},
		{"two rate limits", nil, []script.Step{limitedFor7s, limitedFor7s, script.OK()}, 0, "rate-limit 14s", "success", "E0000047"},
		{"poll", nil, []script.Step{pending, pending, pending, script.OK()}, 0, "poll 12s", "success", "E0000070"},
		{"slow answer", nil, []script.Step{script.OK().Takes(6 * time.Second)}, 0, "", "success", ""},
		{"slow error body", nil, []script.Step{script.Code(404, "E0000007").Takes(6 * time.Second)}, 0, "", "fail-fast", "E0000007"},
		{"deadline", nil, []script.Step{limitedFor7s}, 3 * time.Second, "", "deadline", "E0000047"},
		{"deadline in an attempt", nil, []script.Step{script.Hang()}, 3 * time.Second, "", "deadline", ""},
		{"left in a wait", nil, []script.Step{limitedFor7s}, -6 * time.Second, "rate-limit 6s", "canceled", "E0000047"},
		{"given up", nil, []script.Step{script.Code(503, "E0000010")}, 0, "backoff 3.5s", "max-attempts", "E0000010"},
		{"circuit", func(p *oktaretry.Policy) { p.Breaker.MinCalls = 1 }, []script.Step{script.Down()}, 0, "", "circuit-open", "E0000009"},
	} {
		rig.Virtual(t, tt.name, func(t *testing.T) {
			id := script.Set("X-Okta-Request-Id", "reqA-1")
			for i := range tt.script {
				tt.script[i] = tt.script[i].With(id)
			}
			r := recorders.Observe(t, tt.policy, tt.script...)
			r.Do(endsAfter(t, tt.limit), "GET", rig.UserURL)
			calls, _ := r.Ended(t)
			span := recorders.Attributes(calls[0].Attributes())
			line := doneLine(t, r)
			seconds := func(key string) time.Duration {
				v, _ := span[key].(float64)
				return time.Duration(v * float64(time.Second)).Round(time.Millisecond)
			}
			rig.Equal(t, "elapsed", line["elapsed"], any(calls[0].EndTime().Sub(calls[0].StartTime()).Round(time.Millisecond).String()))
			rig.Equal(t, "waited", line["waited"], any(seconds("oktaretry.waited").String()))
			if needed := seconds("oktaretry.needed"); needed > 0 {
				rig.Equal(t, "needed", line["needed"], any(needed.String()))
			}
			rig.Equal(t, "attempts", line["attempts"], any(float64(span["oktaretry.attempts"].(int64))))
			rig.Equal(t, "stop", line["stop"], span["oktaretry.stop"])
			rig.Equal(t, "class", line["class"], span["oktaretry.class"])
			rig.Equal(t, "stop", line["stop"], any(tt.stop))
			rig.Equal(t, "code", line["code"], any(tt.code))
			rig.Equal(t, "reasons", roundedReasons(line["reasons"]), tt.reasons)
			var events time.Duration
			for _, e := range recorders.Events(calls[0], "oktaretry.wait") {
				events += time.Duration(e["oktaretry.wait"].(float64) * float64(time.Second))
			}
			rig.Equal(t, "the waits in the trace", events.Round(time.Millisecond), seconds("oktaretry.waited"))
		})
	}
}

func doneLine(t *testing.T, r *recorders.Observed) map[string]any {
	t.Helper()
	var done []map[string]any
	for _, l := range r.Lines(t) {
		if l["msg"] == "oktaretry: call done" {
			done = append(done, l)
		}
	}
	if len(done) != 1 {
		t.Fatalf("%d lines of the end, want one: %s", len(done), r.Log())
	}
	return done[0]
}

// roundedReasons takes away what spreads the calls that wait for one moment.
func roundedReasons(reasons any) string {
	var list []string
	for _, r := range strings.Split(reasons.(string), ", ") {
		name, text, _ := strings.Cut(r, " ")
		if d, err := time.ParseDuration(text); err == nil {
			list = append(list, name+" "+d.Truncate(500*time.Millisecond).String())
		}
	}
	return strings.Join(list, ", ")
}

func TestLogOfAWaitSaysWhatMadeItWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := recorders.Observe(t, nil, script.Limited(script.Set("Retry-After", "7"), script.Set("X-Okta-Request-Id", "reqA-1")), script.OK())
		r.Do(t.Context(), "GET", rig.UserURL)
		l := r.Lines(t)[0]
		rig.Equal(t, "the line", []any{l["msg"], l["reason"], l["status"], l["code"], l["request_id"], l["attempt"], l["host"], l["template"]},
			[]any{"oktaretry: waiting", "rate-limit", 429.0, "E0000047", "reqA-1", 1.0, "example.okta.com", "/api/v1/users/{id}"})
		if d, err := time.ParseDuration(l["at_most"].(string)); err != nil || d < 7*time.Second || d > 8*time.Second {
			t.Errorf("at_most is %v", l["at_most"])
		}
	})
}

func TestLogHasALineForEvery30sOfAWait(t *testing.T) {
	for name, step := range map[string]script.Step{
		"in line": script.Limited(script.Set("Retry-After", "100")), "pause": script.Code(503, "E0000009").With(script.Set("Retry-After", "100")),
	} {
		rig.Virtual(t, name, func(t *testing.T) {
			r := recorders.Observe(t, func(p *oktaretry.Policy) {
				for _, rule := range []*oktaretry.Rule{&p.RateLimited, &p.ServerError} {
					rule.MaxElapsed, rule.MaxWait, rule.InitialWait = time.Hour, 200*time.Second, 100*time.Second
				}
			}, step, script.OK())
			if err := r.Do(t.Context(), "GET", rig.UserURL); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, l := range r.Lines(t) {
				got = append(got, fmt.Sprint(strings.TrimPrefix(l["msg"].(string), "oktaretry: "), " ", l["waited"]))
			}
			if len(got) != 5 || got[0] != "waiting <nil>" || got[1] != "still waiting 30s" || got[3] != "still waiting 1m30s" || !strings.HasPrefix(got[4], "call done 1m4") {
				t.Errorf("lines: %q\n%s", got, r.Log())
			}
		})
	}
}
