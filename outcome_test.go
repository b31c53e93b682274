// This file tests what a caller learns of a call: by its response, by a
// recorder, by its error.

package oktaretry_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/internal/rig/script"
)

func TestOutcomeHasEachAttemptAndItsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const takes = 300 * time.Millisecond
		base := script.New(t, script.LimitedFor(30*time.Second).Takes(takes),
			script.Down().With(script.Set("Retry-After", "9")).Takes(takes), script.Fail(script.Reset).Takes(takes),
			script.Code(429, "E0000118").Takes(takes), script.Pending("/api/v1/poll").Takes(takes),
			script.OK().With(script.Set("X-Okta-Request-Id", "last")).Takes(takes))
		ctx, rec := oktaretry.WithRecorder(t.Context())
		start := time.Now()
		resp, err := rig.Over(t, base, nil).RoundTrip(rig.Request(t, ctx, "PUT", "/api/v1/users/jane?q=1", strings.NewReader("x")))
		rig.Text(t, resp, err)

		out := rig.WantStop(t, rec, oktaretry.StopSuccess)
		byResponse, ok := oktaretry.OutcomeOf(resp)
		if !ok || fmt.Sprint(byResponse) != fmt.Sprint(out) {
			t.Errorf("OutcomeOf returns %v, the recorder %v", byResponse, out)
		}
		if out.Method != "PUT" || out.Host != "example.okta.com" || out.Template != "/api/v1/users/{id}" || out.Bucket == "" {
			t.Errorf("it was %s %s%s in %q", out.Method, out.Host, out.Template, out.Bucket)
		}
		if out.Class != oktaretry.ClassSuccess || out.Status != 200 || out.Code != "" || out.RequestID != "last" || out.Error != nil || out.Err != nil {
			t.Errorf("classified as %+v, error %v", out.Classification, out.Err)
		}
		if !out.Start.Equal(start) || out.Elapsed != time.Since(start) {
			t.Errorf("started %s and took %s, want %s and %s", out.Start, out.Elapsed, start, time.Since(start))
		}
		var waited, spent time.Duration
		wants := []struct {
			class  oktaretry.Class
			status int
			code   string
			id     string
			reason oktaretry.WaitReason
			least  time.Duration
			poll   bool
		}{
			{class: oktaretry.ClassRateLimited, status: 429, code: "E0000047", id: "req-E0000047"},
			{oktaretry.ClassServerError, 503, "E0000009", "req-E0000009", oktaretry.WaitRateLimit, 30 * time.Second, false},
			{oktaretry.ClassNetwork, 0, "", "", oktaretry.WaitBackoff, 9 * time.Second, false},
			{oktaretry.ClassRateLimited, 429, "E0000118", "req-E0000118", oktaretry.WaitBackoff, 250 * time.Millisecond, false},
			{oktaretry.ClassPending, 202, "E0000070", "req-E0000070", oktaretry.WaitRateLimit, 500 * time.Millisecond, false},
			{oktaretry.ClassSuccess, 200, "", "last", oktaretry.WaitPoll, 4 * time.Second, true},
		}
		if len(out.Attempts) != len(wants) {
			t.Fatalf("%d attempts, want %d", len(out.Attempts), len(wants))
		}
		for i, want := range wants {
			a := out.Attempts[i]
			if a.Class != want.class || a.Status != want.status || a.Code != want.code || a.RequestID != want.id || a.Poll != want.poll {
				t.Errorf("attempt %d: %+v, poll %t; want %+v", i+1, a.Classification, a.Poll, want)
			}
			if (a.Err != nil) != (want.status == 0) || (a.Error != nil) != (want.code != "") {
				t.Errorf("attempt %d: error %v and body %v", i+1, a.Err, a.Error)
			}
			if a.Duration != takes {
				t.Errorf("attempt %d took %s", i+1, a.Duration)
			}
			if want.reason == oktaretry.WaitNone {
				if len(a.Waits) != 0 {
					t.Errorf("attempt %d waited for %v", i+1, a.Waits)
				}
			} else if len(a.Waits) != 1 || a.Waits[0].Reason != want.reason || a.Waits[0].Duration < want.least {
				t.Errorf("attempt %d waited %v, want once for %v, at least %s", i+1, a.Waits, want.reason, want.least)
			}
			for _, w := range a.Waits {
				waited += w.Duration
			}
			if at := base.Sent()[i].At; !a.Start.Equal(at) {
				t.Errorf("attempt %d started at %s, the base saw it at %s", i+1, a.Start, at)
			}
			spent += a.Duration
		}
		if out.Waited() != waited || waited+spent != out.Elapsed {
			t.Errorf("waited %s by Waited, %s by the attempts; with %s under way that is not %s", out.Waited(), waited, spent, out.Elapsed)
		}
		if out.Attempts[0].Error.Summary != "for jane@example.com" || out.Attempts[0].Error.ID != "oae1" {
			t.Errorf("the error body came out as %+v", out.Attempts[0].Error)
		}
	})
}

func TestOutcomeHasTheWaitThatDidNotFit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, rec := oktaretry.WithRecorder(t.Context())
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		tr := rig.Over(t, script.Repeat(t, script.LimitedFor(time.Minute)), nil)
		tr.RoundTrip(rig.Request(t, ctx, "GET", "/api/v1/users", nil))
		if out := rig.WantStop(t, rec, oktaretry.StopDeadline); out.Needed != time.Minute || out.Elapsed != 0 || len(out.Waits) != 0 {
			t.Errorf("needed %s, took %s, waited %v", out.Needed, out.Elapsed, out.Waits)
		}
		// The bucket is known to be closed now: nothing is sent.
		tr.RoundTrip(rig.Request(t, ctx, "GET", "/api/v1/users", nil))
		out := rig.WantStop(t, rec, oktaretry.StopDeadline)
		if len(out.Attempts) != 0 || out.Class != oktaretry.ClassRateLimited || out.Needed < time.Minute {
			t.Errorf("%d attempts, class %v, needed %s", len(out.Attempts), out.Class, out.Needed)
		}
		// A wait that is cut off after the last attempt is the call's own.
		ctx2, cancel2 := context.WithCancel(context.WithoutCancel(ctx))
		time.AfterFunc(7*time.Second, cancel2)
		tr.RoundTrip(rig.Request(t, ctx2, "GET", "/api/v1/users", nil))
		out = rig.WantStop(t, rec, oktaretry.StopCanceled)
		if len(out.Waits) != 1 || out.Waits[0] != (oktaretry.Wait{Reason: oktaretry.WaitRateLimit, Duration: 7 * time.Second}) {
			t.Errorf("waited %v, want 7s for the rate limit", out.Waits)
		}
	})
}

// Nothing was answered, so nothing succeeded.
func TestUnsentCallIsNoSuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, path := range closePaths() {
			if path.prepare == nil && path.stop != oktaretry.StopInvalid && name != "canceled before the call" {
				continue
			}
			tr := rig.Over(t, script.Repeat(t, path.steps...), path.policy)
			if path.prepare != nil {
				path.prepare(t, tr)
			}
			ctx, rec := oktaretry.WithRecorder(t.Context())
			if path.context != nil {
				ctx = path.context(ctx)
			}
			req := rig.Request(t, ctx, "PUT", "/api/v1/users/00u1", nil)
			if path.spoil != nil {
				path.spoil(req)
			}
			_, err := tr.RoundTrip(req)
			out := rig.WantStop(t, rec, path.stop)
			if err == nil || out.Err == nil || out.Class == oktaretry.ClassSuccess || len(out.Attempts) != 0 || len(out.Waits) != 0 {
				t.Errorf("%s: class %v, %d attempts, waits %v, error %v", name, out.Class, len(out.Attempts), out.Waits, out.Err)
			}
		}
	})
}

// An id can hold a slash. Taken for two segments it would be no known endpoint,
// with a bucket and a circuit that are not its own.
func TestEncodedSlashStaysInItsSegment(t *testing.T) {
	ctx, rec := oktaretry.WithRecorder(t.Context())
	resp, err := rig.Over(t, script.Repeat(t, script.OK()), nil).RoundTrip(rig.Request(t, ctx, "GET", "/api/v1/users/jane%2Fdoe", nil))
	rig.Text(t, resp, err)
	if out := rig.WantStop(t, rec, oktaretry.StopSuccess); out.Template != "/api/v1/users/{id}" {
		t.Errorf("the template is %q", out.Template)
	}
}

func TestOutcomeOutlivesClientAndBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := rig.Over(t, script.Repeat(t, script.LimitedFor(time.Second), script.OK()), nil).Client()
		client.Timeout = time.Hour
		resp, err := client.Do(rig.Request(t, t.Context(), "GET", "/api/v1/users", nil))
		rig.Text(t, resp, err)
		resp.Body = io.NopCloser(bytes.NewReader(nil)) // as the SDKs do
		if out, ok := oktaretry.OutcomeOf(resp); !ok || len(out.Attempts) != 2 {
			t.Errorf("OutcomeOf = %v, %t", out, ok)
		}
	})
	for name, resp := range map[string]*http.Response{"nil": nil, "no request": {}, "another's": {Request: &http.Request{}}} {
		if _, ok := oktaretry.OutcomeOf(resp); ok {
			t.Errorf("OutcomeOf(%s) claims to know", name)
		}
	}
}

func TestResponseHasTheRequestThatBroughtIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		req := rig.Request(t, t.Context(), "POST", "/api/v1/users?q=1", strings.NewReader("x"))
		resp, err := rig.Over(t, script.Repeat(t, script.LimitedFor(time.Second), script.OK()), nil).RoundTrip(req)
		rig.Text(t, resp, err)
		if r := resp.Request; r.Method != "POST" || r.URL.String() != req.URL.String() || r.Header.Get("X-Okta-Retry-Count") != "1" {
			t.Errorf("resp.Request is %s %s %v", r.Method, r.URL, r.Header)
		}
		req = rig.Request(t, t.Context(), "POST", "/api/v1/users?q=1", strings.NewReader("x"))
		resp, err = rig.Over(t, script.Repeat(t, script.Pending("/poll"), script.OK()), nil).RoundTrip(req)
		rig.Text(t, resp, err)
		if r := resp.Request; r.Method != "GET" || r.URL.String() != rig.Org+"/poll" || r.Body != nil {
			t.Errorf("resp.Request is %s %s", r.Method, r.URL)
		}
	})
}

// Programs ask for the next page in the context of the last one's request. With
// net/http that is their own; here it had been canceled when the body was read.
func TestResponseRequestCanBeReused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := rig.Over(t, script.Repeat(t, script.OK()), nil)
		ctx, cancel := context.WithCancel(t.Context())
		resp, err := tr.RoundTrip(rig.Request(t, ctx, "GET", "/api/v1/users", nil))
		rig.Text(t, resp, err)
		next, err := tr.RoundTrip(rig.Request(t, resp.Request.Context(), "GET", "/api/v1/users?after=1", nil))
		rig.Text(t, next, err)
		cancel()
		if err := next.Request.Context().Err(); !errors.Is(err, context.Canceled) {
			t.Errorf("the context of the response's request has %v, its caller's was canceled", err)
		}
	})
}

func TestRecorderKeepsTheLast1000CallsInOrder(t *testing.T) {
	tr := rig.Over(t, script.Repeat(t, script.OK()), nil)
	for _, calls := range []int{0, 1, 999, 1000, 1001, 1999, 2000, 2001, 3456} {
		ctx, rec := oktaretry.WithRecorder(t.Context())
		if _, ok := rec.Outcome(); ok {
			t.Error("a new recorder knows an outcome")
		}
		for i := range calls {
			resp, err := tr.RoundTrip(rig.Request(t, ctx, "GET", fmt.Sprintf("https://h%d.example/", i), nil))
			rig.Text(t, resp, err)
		}
		all := rec.Outcomes()
		if len(all) != min(calls, 1000) {
			t.Errorf("after %d calls there are %d outcomes", calls, len(all))
		}
		for i, out := range all {
			if want := fmt.Sprintf("h%d.example", calls-len(all)+i); out.Host != want {
				t.Fatalf("outcome %d of %d calls is of %s, want %s", i, calls, out.Host, want)
			}
		}
		if last, ok := rec.Outcome(); ok != (calls > 0) || ok && last.Host != all[len(all)-1].Host {
			t.Errorf("Outcome = %s, %t", last.Host, ok)
		}
	}
}

// What a caller does to an outcome is not seen by the next one who asks. The
// waits of each attempt once were.
func TestOutcomeIsACopy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, rec := oktaretry.WithRecorder(t.Context())
		resp, err := rig.Over(t, script.Repeat(t, script.Bare(503), script.OK()), nil).RoundTrip(rig.Request(t, ctx, "GET", "/api/v1/users", nil))
		rig.Text(t, resp, err)
		rec.Outcomes()[0].Host = "elsewhere"
		for name, ask := range map[string]func() oktaretry.Outcome{
			"Recorder.Outcome":  func() oktaretry.Outcome { out, _ := rec.Outcome(); return out },
			"Recorder.Outcomes": func() oktaretry.Outcome { return rec.Outcomes()[0] },
			"OutcomeOf":         func() oktaretry.Outcome { out, _ := oktaretry.OutcomeOf(resp); return out },
		} {
			last := ask().Attempts[1]
			ask().Attempts[1].Status, last.Waits[0].Reason = 0, oktaretry.WaitNone
			out := ask()
			if a := out.Attempts[1]; out.Host != "example.okta.com" || a.Status != 200 || a.Waits[0].Reason != oktaretry.WaitBackoff {
				t.Errorf("%s has host %s, status %d and a wait for %s now", name, out.Host, a.Status, a.Waits[0].Reason)
			}
		}
	})
}

func TestWaitedCountsAWaitWithoutAnAttemptAfterIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, rec := oktaretry.WithRecorder(t.Context())
		ctx, cancel := context.WithTimeout(ctx, 90*time.Second)
		defer cancel()
		time.AfterFunc(70*time.Second, cancel)
		base := script.Repeat(t, script.LimitedFor(59*time.Second), script.LimitedFor(20*time.Second))
		rig.Over(t, base, nil).RoundTrip(rig.Request(t, ctx, "GET", "/api/v1/users", nil))
		if out := rig.WantStop(t, rec, oktaretry.StopCanceled); out.Waited() != 70*time.Second {
			t.Errorf("waited %s, want 60s for the second attempt and 10s for a third", out.Waited())
		}
	})
}

func TestRecorderIsSafeForConcurrentUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := rig.Over(t, script.Repeat(t, script.OK()), nil)
		ctx, rec := oktaretry.WithRecorder(t.Context())
		var done sync.WaitGroup
		for i := range 50 {
			done.Go(func() {
				for range 10 {
					resp, err := tr.RoundTrip(rig.Request(t, ctx, "GET", fmt.Sprint("/api/v1/users/", i), nil))
					if err != nil {
						t.Error(err)
						return
					}
					if out, ok := oktaretry.OutcomeOf(resp); !ok || len(out.Attempts) != 1 {
						t.Errorf("OutcomeOf = %v, %t", out, ok)
					}
					resp.Body.Close()
					for range rec.Outcomes() {
						break
					}
					rec.Outcome()
				}
			})
		}
		done.Wait()
		if n := len(rec.Outcomes()); n != 500 {
			t.Errorf("%d outcomes, want 500", n)
		}
	})
}

func TestInnerRecorderHidesTheOuter(t *testing.T) {
	tr := rig.Over(t, script.Repeat(t, script.OK()), nil)
	ctx, outer := oktaretry.WithRecorder(t.Context())
	ctx, inner := oktaretry.WithRecorder(oktaretry.WithNoRetry(ctx))
	resp, err := tr.RoundTrip(rig.Request(t, ctx, "GET", "/", nil))
	rig.Text(t, resp, err)
	if len(outer.Outcomes()) != 0 || len(inner.Outcomes()) != 1 {
		t.Errorf("the outer has %d, the inner %d", len(outer.Outcomes()), len(inner.Outcomes()))
	}
}

func TestRecorderHasWhatAnSDKFlattens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, rec := oktaretry.WithRecorder(t.Context())
		_, err := rig.Over(t, script.Repeat(t, script.Code(429, "E0000146")), nil).Client().Do(rig.Request(t, ctx, "GET", "/api/v1/users", nil))
		flat := errors.New(err.Error()) // all that SDK v5 leaves
		out := rig.WantStop(t, rec, oktaretry.StopMaxElapsed)
		if out.Code != "E0000146" || out.RequestID != "req-E0000146" || out.Needed < 24*time.Hour {
			t.Errorf("the outcome has %s, %s, %s", out.Code, out.RequestID, out.Needed)
		}
		for _, part := range []string{"E0000146", "req-E0000146"} {
			if !strings.Contains(flat.Error(), part) {
				t.Errorf("the text %q lacks %s", flat, part)
			}
		}
	})
}
