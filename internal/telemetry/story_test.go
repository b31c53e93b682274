// This file tests that the trace of a call accounts for all of its time.

package telemetry_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/internal/rig/recorders"
	"github.com/oktaretry/oktaretry/internal/rig/script"
)

// part is a part of a call's time in its trace.
type part struct {
	name       string
	begin, end time.Time
}

// partsOf returns the waits and attempts of a call in the order of time.
func partsOf(call sdktrace.ReadOnlySpan, attempts []sdktrace.ReadOnlySpan) (parts []part) {
	for _, e := range call.Events() {
		m := recorders.Attributes(e.Attributes)
		switch e.Name {
		case "oktaretry.wait":
			d := time.Duration(m["oktaretry.wait"].(float64) * float64(time.Second))
			parts = append(parts, part{"wait " + m["oktaretry.wait.reason"].(string), e.Time, e.Time.Add(d)})
		case "oktaretry.attempt":
			d := time.Duration(m["oktaretry.duration"].(float64) * float64(time.Second))
			parts = append(parts, part{"attempt", e.Time, e.Time.Add(d)})
		}
	}
	for _, a := range attempts {
		if a.Parent().SpanID() == call.SpanContext().SpanID() {
			parts = append(parts, part{"attempt", a.StartTime(), a.EndTime()})
		}
	}
	for i := range parts { // a few
		for j := i; j > 0 && parts[j].begin.Before(parts[j-1].begin); j-- {
			parts[j], parts[j-1] = parts[j-1], parts[j]
		}
	}
	return parts
}

// wantParts checks that the parts of a call follow one another without a gap
// from its beginning to its end.
func wantParts(t *testing.T, call sdktrace.ReadOnlySpan, attempts []sdktrace.ReadOnlySpan, want ...string) {
	t.Helper()
	const rounding = time.Microsecond // of seconds as floating-point numbers
	at := call.StartTime()
	var got []string
	for _, p := range partsOf(call, attempts) {
		if gap := p.begin.Sub(at); gap.Abs() > rounding {
			t.Errorf("%v of the call are missing before %s", gap, p.name)
		}
		at = p.end
		got = append(got, fmt.Sprint(p.name, " ", p.end.Sub(p.begin).Round(50*time.Millisecond).Seconds()))
	}
	if gap := call.EndTime().Sub(at); gap.Abs() > rounding {
		t.Errorf("%v of the call are missing at its end", gap)
	}
	rig.Equal(t, "parts", strings.Join(got, ", "), strings.Join(want, ", "))
}

func TestTraceExplainsWhyACallTook41Seconds(t *testing.T) {
	for _, spans := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			r := recorders.Observe(t, nil,
				script.Limited(script.Set("Retry-After", "20")).Takes(2*time.Second), script.Down().Takes(300*time.Millisecond),
				script.Fail(script.Refused).Takes(time.Second), pending.Takes(100*time.Millisecond),
				pending.Takes(600*time.Millisecond), script.OK().Takes(8*time.Second))
			r.With(t, oktaretry.WithAttemptSpans(spans))
			begun := time.Now()
			if err := r.Do(t.Context(), "GET", rig.UserURL); err != nil {
				t.Fatal(err)
			}
			took := time.Since(begun)
			calls, attempts := r.Ended(t)
			wantParts(t, calls[0], attempts, "attempt 2", "wait rate-limit 20", "attempt 0.3", "wait backoff 0.5", "attempt 1",
				"wait backoff 0.5", "attempt 0.1", "wait poll 4", "attempt 0.6", "wait poll 4", "attempt 8")
			if took.Round(time.Second) != 41*time.Second {
				t.Errorf("took %v", took)
			}
			rig.Equal(t, "the call's span", calls[0].EndTime().Sub(calls[0].StartTime()), took)
			waited := recorders.Attributes(calls[0].Attributes())["oktaretry.waited"].(float64)
			for _, p := range partsOf(calls[0], attempts) {
				if strings.HasPrefix(p.name, "wait") {
					waited -= p.end.Sub(p.begin).Seconds()
				}
			}
			if waited > 1e-6 || waited < -1e-6 {
				t.Errorf("oktaretry.waited has %v s that are in no event", waited)
			}
		})
	}
}

// The wait for another call's 429 is no attempt's of this one.
func TestTraceHasTheWaitForAnotherCalls429(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := recorders.Observe(t, nil, script.Limited(script.Set("Retry-After", "10")), script.OK())
		var calls sync.WaitGroup
		calls.Go(func() { r.Do(t.Context(), "GET", rig.UserURL) })
		time.Sleep(4 * time.Second)
		ctx, caller := r.Tracer.Tracer("caller").Start(t.Context(), "sync")
		calls.Go(func() { r.Do(ctx, "GET", rig.UserURL) })
		calls.Wait()
		caller.End()
		spans, attempts := r.Ended(t)
		for _, s := range spans {
			if s.Parent().SpanID() == caller.SpanContext().SpanID() {
				parts := partsOf(s, attempts)
				var names []string
				for _, p := range parts {
					names = append(names, strings.TrimRight(p.name, " 0123456789."))
				}
				rig.Equal(t, "parts", names, []string{"wait rate-limit", "wait turn", "attempt"}) // the first call goes first
				rig.Equal(t, "it begins with the call", parts[0].begin, s.StartTime())
				if d := parts[0].end.Sub(parts[0].begin); d < 6*time.Second || d > 7*time.Second {
					t.Errorf("waited %v, want 6 s and a little more", d)
				}
			}
		}
	})
}

// A wait that is cut short, and one that is not begun, end the story.
func TestTraceAddsUpHoweverTheCallEnds(t *testing.T) {
	for _, tt := range []struct {
		name   string
		script []script.Step
		limit  time.Duration // negative: cancel by hand after that time
		want   []string
	}{
		{"cut short", []script.Step{limitedFor7s.Takes(time.Second)}, -4 * time.Second, []string{"attempt 1", "wait rate-limit 3"}},
		{"not begun", []script.Step{limitedFor7s.Takes(time.Second)}, 4 * time.Second, []string{"attempt 1"}},
		{"given up", []script.Step{script.Code(503, "E0000010").Takes(time.Second)}, 0, []string{
			"attempt 1", "wait backoff 0.5", "attempt 1", "wait backoff 1", "attempt 1", "wait backoff 2", "attempt 1"}},
		{"canceled", []script.Step{script.Hang()}, -3 * time.Second, []string{"attempt 3"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := recorders.Observe(t, nil, tt.script...)
				ctx := endsAfter(t, tt.limit)
				r.Do(ctx, "GET", rig.UserURL)
				calls, attempts := r.Ended(t)
				wantParts(t, calls[0], attempts, tt.want...)
			})
		})
	}
}

// A circuit's change stands at its moment, between the attempts around it.
func TestCircuitChangesHaveTheirTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := recorders.Observe(t, func(p *oktaretry.Policy) { p.Breaker.MinCalls = 1 }, script.Down().Takes(time.Second), script.OK().Takes(time.Second))
		begun := time.Now()
		ctx := oktaretry.WithNoRetry(t.Context())
		r.Do(ctx, "GET", rig.UserURL)
		time.Sleep(9 * time.Second)
		r.Do(ctx, "GET", rig.UserURL)
		calls, _ := r.Ended(t)
		var got []string
		for _, c := range calls {
			for _, e := range c.Events() {
				got = append(got, fmt.Sprint(e.Time.Sub(begun), " ", recorders.Attributes(e.Attributes)["oktaretry.circuit.to"]))
			}
		}
		rig.Equal(t, "changes", got, []string{"1s open", "10s half-open", "11s closed"})
	})
}
