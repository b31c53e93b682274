// This file tests what an Observer is told, and that nothing it does harms a call.

package telemetry_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/internal/rig/recorders"
	"github.com/oktaretry/oktaretry/internal/rig/script"
)

// events is what an observer was told, in words.
type events struct {
	mu   sync.Mutex
	list []string
}

func (e *events) add(format string, args ...any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, fmt.Sprintf(format, args...))
}

func (e *events) observer() oktaretry.Observer {
	return oktaretry.Observer{
		AttemptStart: func(_ context.Context, a oktaretry.AttemptStart) { e.add("send %d", a.Number) },
		AttemptEnd:   func(_ context.Context, a oktaretry.AttemptEnd) { e.add("sent %d %d", a.Number, a.Status) },
		WaitStart: func(_ context.Context, w oktaretry.WaitStart) {
			e.add("wait %v %v %s", w.Reason, w.AtMost.Truncate(time.Second), w.Last.Code)
		},
		WaitEnd: func(_ context.Context, w oktaretry.WaitEnd) {
			e.add("waited %v of %d", w.Duration.Truncate(time.Second), len(w.Waits))
		},
		CallEnd:       func(_ context.Context, o oktaretry.Outcome) { e.add("end %v", o.Stop) },
		CircuitChange: func(_ context.Context, c oktaretry.CircuitChange) { e.add("circuit %v %s-%s", c.Scope, c.From, c.To) },
		BucketChange:  func(_ context.Context, b oktaretry.BucketChange) { e.add("bucket %v %d", b.Kind, b.Limit) },
	}
}

func (e *events) String() string { return strings.Join(e.list, "; ") }

func TestObserverIsToldEverythingInOrder(t *testing.T) {
	for _, tt := range []struct {
		name   string
		policy func(*oktaretry.Policy)
		script []script.Step
		want   string
	}{
		{"rate limit", nil, []script.Step{limitedFor7s, window(600, 500, time.Minute)},
			"send 1; sent 1 429; bucket closed -1; wait rate-limit 7s E0000047; waited 7s of 1; bucket reopened -1; send 2; sent 2 200; bucket limit 600; end success"},
		{"backoff", func(p *oktaretry.Policy) { p.ServerError.InitialWait = 2 * time.Second }, []script.Step{script.Down(), script.OK()},
			"send 1; sent 1 503; wait backoff 2s E0000009; waited 2s of 1; send 2; sent 2 200; end success"},
		{"poll", nil, []script.Step{pending, script.OK()},
			"send 1; sent 1 202; wait poll 4s E0000070; waited 4s of 1; send 2; sent 2 200; end success"},
		{"circuit", func(p *oktaretry.Policy) { p.Breaker.MinCalls = 1 }, []script.Step{script.Down()},
			"send 1; circuit endpoint closed-open; sent 1 503; end circuit-open"},
	} {
		rig.Virtual(t, tt.name, func(t *testing.T) {
			var first, second events
			r := recorders.Observe(t, tt.policy, tt.script...)
			r.With(t, oktaretry.WithObserver(first.observer()), oktaretry.WithObserver(oktaretry.Observer{}), oktaretry.WithObserver(second.observer()))
			r.Do(t.Context(), "GET", rig.UserURL)
			rig.Equal(t, "events", first.String(), tt.want)
			rig.Equal(t, "the second observer's", second.list, first.list)
		})
	}
}

func TestObserverIsToldTheEndOfARefusedAndOfAPanickedCall(t *testing.T) {
	var e events
	r := recorders.Observe(t, nil, script.Do(func(*http.Request) (*http.Response, error) { panic("boom") }))
	r.With(t, oktaretry.WithObserver(e.observer()))
	r.RoundTrip(&http.Request{})
	rig.Panicked(func() { r.Do(t.Context(), "GET", rig.UserURL) })
	rig.Equal(t, "events", e.String(), "end invalid; send 1; sent 1 0; end none")
}

// each is an observer that does the same at every event.
func each(f func(context.Context, string)) oktaretry.Observer {
	return oktaretry.Observer{
		AttemptStart:  func(ctx context.Context, _ oktaretry.AttemptStart) { f(ctx, "AttemptStart") },
		AttemptEnd:    func(ctx context.Context, _ oktaretry.AttemptEnd) { f(ctx, "AttemptEnd") },
		WaitStart:     func(ctx context.Context, _ oktaretry.WaitStart) { f(ctx, "WaitStart") },
		WaitEnd:       func(ctx context.Context, _ oktaretry.WaitEnd) { f(ctx, "WaitEnd") },
		CallEnd:       func(ctx context.Context, _ oktaretry.Outcome) { f(ctx, "CallEnd") },
		CircuitChange: func(ctx context.Context, _ oktaretry.CircuitChange) { f(ctx, "CircuitChange") },
		BucketChange:  func(ctx context.Context, _ oktaretry.BucketChange) { f(ctx, "BucketChange") },
	}
}

// stormy is a script that meets every event.
func stormy() []script.Step {
	return []script.Step{limitedFor7s, script.Down(), window(600, 500, time.Minute)}
}

func TestPanickingObserverHarmsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := map[string]int{}
		r := recorders.Observe(t, func(p *oktaretry.Policy) { p.Breaker.MinCalls = 3 }, stormy()...)
		r.With(t, oktaretry.WithObserver(each(func(_ context.Context, hook string) { seen[hook]++; panic("ann@b.c") })))
		body := script.Text("content")
		resp, err := r.RoundTrip(rig.Request(t, t.Context(), "PUT", "/api/v1/users/1", body))
		rig.Text(t, resp, err)
		body.WantClosed(t)
		r.Base.WantClosed()
		r.Base.Repeat(script.Down())
		for range 4 {
			r.Do(oktaretry.WithNoRetry(t.Context()), "GET", rig.UserURL) // opens the circuit
		}
		time.Sleep(time.Minute)
		r.Base.Repeat(script.OK())
		for range 4 {
			if err := r.Do(t.Context(), "GET", rig.UserURL); err != nil {
				t.Fatal(err)
			}
		}
		rig.WantIdle(t, r.Transport)
		if len(seen) != 7 {
			t.Errorf("told %v, want all seven", seen)
		}
		if n := strings.Count(r.Log(), "observer panicked"); n != 1 {
			t.Errorf("%d lines about the panics, want one", n)
		}
		if strings.Contains(r.Log(), "ann@b.c") || !strings.Contains(r.Log(), "observer_test.go") && !strings.Contains(r.Log(), "telemetry_test.") {
			t.Errorf("the line tells the text, or not the place: %s", r.Log())
		}
	})
}

func TestObserverMayUseTheTransport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tr *oktaretry.Transport
		nested := 0
		type key struct{}
		r := recorders.Observe(t, nil, stormy()...)
		r.With(t, oktaretry.WithObserver(each(func(ctx context.Context, hook string) {
			if ctx.Value(key{}) != nil {
				return
			}
			tr.Snapshot()
			if err := tr.SetPolicy(tr.Policy()); err != nil {
				t.Error(err)
			}
			target := rig.UserURL
			if hook == "AttemptStart" || hook == "WaitEnd" {
				target = rig.AppURL
			}
			req, _ := http.NewRequestWithContext(context.WithValue(ctx, key{}, true), "GET", target, nil)
			resp, err := tr.RoundTrip(req)
			if err != nil {
				t.Error(hook, err)
				return
			}
			nested++
			resp.Body.Close()
		})))
		tr = r.Transport
		if err := r.Do(t.Context(), "GET", rig.UserURL); err != nil {
			t.Fatal(err)
		}
		if nested < 4 {
			t.Errorf("%d calls from hooks", nested)
		}
		rig.WantIdle(t, tr)
	})
}

// A call whose observer blocks loses its place in line to those behind it, which
// would else wait for the observer.
func TestBlockingObserverDelaysNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		type slow struct{}
		r := recorders.Observe(t, nil, limitedFor7s, window(600, 500, time.Minute))
		r.With(t, oktaretry.WithObserver(oktaretry.Observer{WaitStart: func(ctx context.Context, _ oktaretry.WaitStart) {
			if ctx.Value(slow{}) != nil {
				<-release
			}
		}}))
		began := time.Now()
		var calls sync.WaitGroup
		calls.Go(func() { r.Do(context.WithValue(t.Context(), slow{}, true), "GET", rig.UserURL) })
		time.Sleep(time.Second)
		if err := r.Do(t.Context(), "GET", rig.UserURL); err != nil {
			t.Error(err)
		}
		if d := time.Since(began); d > 9*time.Second {
			t.Errorf("the other call took %v, want some 7 s", d)
		}
		close(release)
		calls.Wait()
		rig.WantIdle(t, r.Transport)
	})
}

func TestCallCanceledByItsObserverEndsAtOnce(t *testing.T) {
	for name, steps := range map[string][]script.Step{"in line": {limitedFor7s}, "pause": {pending}} {
		rig.Virtual(t, name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			var e events
			r := recorders.Observe(t, nil, steps...)
			r.With(t, oktaretry.WithObserver(e.observer()),
				oktaretry.WithObserver(oktaretry.Observer{WaitStart: func(context.Context, oktaretry.WaitStart) { cancel() }}))
			began := time.Now()
			if err := r.Do(ctx, "GET", rig.UserURL); err == nil {
				t.Error("no error")
			}
			rig.Equal(t, "took", time.Since(began), time.Duration(0))
			rig.WantIdle(t, r.Transport)
			rig.Equal(t, "the end", e.list[len(e.list)-2:], []string{"waited 0s of 0", "end canceled"})
		})
	}
}

// What an observer changes of its event, nobody else sees.
func TestObserverGetsValuesOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := recorders.Observe(t, nil, script.Code(404, "E0000007"))
		r.With(t, oktaretry.WithObserver(oktaretry.Observer{
			AttemptEnd: func(_ context.Context, a oktaretry.AttemptEnd) { a.Error.Code = "changed" },
			CallEnd: func(_ context.Context, o oktaretry.Outcome) {
				o.Error.Code, o.Attempts[0].Error.Code, o.Attempts[0].Code = "changed", "changed", "changed"
			},
		}))
		ctx, rec := oktaretry.WithRecorder(t.Context())
		r.Do(ctx, "GET", rig.UserURL)
		o, _ := rec.Outcome()
		rig.Equal(t, "codes", []string{o.Error.Code, o.Attempts[0].Error.Code, o.Attempts[0].Code}, slices.Repeat([]string{"E0000007"}, 3))
	})
}
