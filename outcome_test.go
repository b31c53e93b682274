// This file tests what a caller learns of a call: by its response, by a
// recorder, by its error.

package oktaretry_test

import (
	"bytes"
	"context"
	"encoding"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"syscall"
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
	for _, looks := range [][]int{{0, 1, 999, 1000, 1001, 1999, 2000, 2001, 3456}, {999}, {2001}} {
		ctx, rec := oktaretry.WithRecorder(t.Context())
		made := 0
		for _, calls := range looks {
			for ; made < calls; made++ {
				resp, err := tr.RoundTrip(rig.Request(t, ctx, "GET", fmt.Sprintf("https://h%d.example/", made), nil))
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

// What a value holds of people is in its fields: no verb, encoder or log shows it, of
// the value, a pointer to it, or a struct that it stands in.
func TestNoFormShowsWhatIsPrivate(t *testing.T) {
	const login = "alice@example.com"
	private := errors.New("no mailbox for " + login)
	api := &oktaretry.APIError{
		Code: "E0000007", ID: "oae1", Link: login, Summary: "Not found: Resource not found: " + login,
		Causes: []string{"login: " + login}, Description: login,
	}
	class := oktaretry.Classification{Class: oktaretry.ClassClientError, Code: "E0000007", Status: 404, RequestID: "req1", Error: api}
	wait := oktaretry.Wait{Reason: oktaretry.WaitRateLimit, Duration: 2 * time.Second}
	attempt := oktaretry.Attempt{Classification: class, Waits: []oktaretry.Wait{wait}, Err: private}
	attempt.Error = &oktaretry.APIError{Code: login, ID: login, Summary: login}
	outcome := oktaretry.Outcome{
		Classification: class, Method: "GET", Host: "acme.okta.com", Template: "/api/v1/users/{id}", Bucket: "GET /api/v1/users/{id}",
		Attempts: []oktaretry.Attempt{attempt, attempt}, Waits: []oktaretry.Wait{wait}, Stop: oktaretry.StopMaxElapsed, Err: private,
		Elapsed: 41200 * time.Millisecond, Needed: 90 * time.Second,
	}
	snapshot := oktaretry.Snapshot{Buckets: []oktaretry.BucketState{{Host: "acme.okta.com", Limit: 600, Remaining: -1}},
		Circuits: []oktaretry.CircuitState{{CircuitID: oktaretry.CircuitID{Scope: oktaretry.TripsHost, Host: "acme.okta.com"}, State: "open", RetryAfter: time.Second}}}
	limited := oktaretry.RateLimitError{Code: login, RequestID: login + "/", Method: login, Host: "acme.okta.com", Stop: oktaretry.StopDeadline, RetryAfter: time.Minute}
	open := oktaretry.CircuitOpenError{Scope: oktaretry.TripsHost, Method: "GET", Host: "acme.okta.com", Class: oktaretry.ClassNetwork, RetryAfter: time.Minute}
	pending := oktaretry.PendingError{Code: "E0000070", Method: "GET", Host: "acme.okta.com", RetryAfter: time.Minute}
	previous := oktaretry.Previous{Classification: class, Err: private, Header: http.Header{"X": {login}}}
	for _, v := range []any{
		*api, api, class, &class, wait, &wait, attempt, &attempt, outcome, &outcome, snapshot, &snapshot, snapshot.Buckets[0], &snapshot.Circuits[0],
		limited, &limited, open, &open, pending, &pending, previous, &previous,
		struct{ Nested any }{outcome}, struct{ Nested oktaretry.Outcome }{outcome}, []oktaretry.Attempt{attempt},
		map[string]any{"api": api, "error": *api}, struct{ E *oktaretry.APIError }{api}, struct{ Attempt oktaretry.Attempt }{attempt},
		struct{ oktaretry.Outcome }{outcome},
	} {
		var forms strings.Builder
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%t", "%20v"} {
			fmt.Fprintf(&forms, "%s: "+verb+"\n", verb, v)
		}
		text, err := json.Marshal(v)
		if err != nil {
			t.Errorf("%T: %v", v, err)
		}
		fmt.Fprintf(&forms, "json: %s\n", text)
		if m, ok := v.(encoding.TextMarshaler); ok {
			text, err := m.MarshalText()
			fmt.Fprintf(&forms, "text: %s %v\n", text, err)
		}
		slog.New(slog.NewTextHandler(&forms, nil)).Info("text", "v", v, slog.Group("g", "nested", []any{v}))
		slog.New(slog.NewJSONHandler(&forms, nil)).Info("json", "v", v, slog.Group("g", "nested", []any{v}))
		for _, bad := range []string{login, hex.EncodeToString([]byte("alice")), "mailbox", "!PANIC", "PANIC="} {
			if strings.Contains(strings.ToLower(forms.String()), strings.ToLower(bad)) {
				t.Errorf("%T shows %q:\n%s", v, bad, forms.String())
			}
		}
	}
	var timeline strings.Builder
	if err := outcome.WriteTimeline(&timeline); err != nil || strings.Contains(timeline.String(), "alice") {
		t.Errorf("%v\n%s", err, timeline.String())
	}
}

// The names are documented, and programs read them.
func TestOutcomeHasNamesAndSeconds(t *testing.T) {
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	limited := oktaretry.Classification{Class: oktaretry.ClassRateLimited, Code: "E0000047", Status: 429, RequestID: "r1"}
	o := oktaretry.Outcome{
		Classification: oktaretry.Classification{Status: 200, RequestID: "r2"}, Method: "GET", Host: "acme.okta.com", Template: "/api/v1/users",
		Bucket: "/api/v1/users", Stop: oktaretry.StopSuccess, Start: began, Elapsed: 41200 * time.Millisecond,
		Attempts: []oktaretry.Attempt{
			{Classification: limited, Start: began, Duration: 100 * time.Millisecond},
			{Classification: oktaretry.Classification{Class: oktaretry.ClassNetwork}, Err: syscall.ECONNRESET,
				Start: began.Add(36100 * time.Millisecond), Waits: []oktaretry.Wait{{Reason: oktaretry.WaitRateLimit, Duration: 36 * time.Second}}},
			{Classification: oktaretry.Classification{Status: 200, RequestID: "r2"}, Start: began.Add(38600 * time.Millisecond), Duration: 2600 * time.Millisecond,
				Waits: []oktaretry.Wait{{Reason: oktaretry.WaitBackoff, Duration: 2 * time.Second}, {Reason: oktaretry.WaitTurn, Duration: 500 * time.Millisecond}}},
		},
	}
	for form, want := range map[string]string{
		o.String(): "GET acme.okta.com/api/v1/users: 200 (success), stop success, 3 attempts in 41.2s, " +
			"waited 38.5s (rate-limit 36s, backoff 2s, turn 500ms), request id r2",
		asJSON(t, o): `{"method":"GET","host":"acme.okta.com","template":"/api/v1/users","bucket":"/api/v1/users","class":"success","status":200,` +
			`"request_id":"r2","stop":"success","start":"2026-01-02T03:04:05Z","elapsed_seconds":41.2,"waited_seconds":38.5,"attempts":[` +
			`{"class":"rate-limited","status":429,"code":"E0000047","request_id":"r1","start":"2026-01-02T03:04:05Z","duration_seconds":0.1},` +
			`{"class":"network","start":"2026-01-02T03:04:41.1Z","duration_seconds":0,"error_type":"connection","error":"connection reset by peer",` +
			`"waits":[{"reason":"rate-limit","duration_seconds":36}]},` +
			`{"class":"success","status":200,"request_id":"r2","start":"2026-01-02T03:04:43.6Z","duration_seconds":2.6,` +
			`"waits":[{"reason":"backoff","duration_seconds":2},{"reason":"turn","duration_seconds":0.5}]}]}`,
		asJSON(t, oktaretry.Snapshot{}): `{"buckets":[],"circuits":[],"budgets":[],"store":{"shared":false},"given_up":[]}`,
		asJSON(t, map[string]any{"class": oktaretry.ClassPending, "stop": oktaretry.StopBudget, "reason": oktaretry.WaitLearning}): `{"class":"pending","reason":"learning","stop":"budget"}`,
	} {
		if form != want {
			t.Errorf("got  %s\nwant %s", form, want)
		}
	}
	var b strings.Builder
	slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && (a.Key == "time" || a.Key == "level") || a.Key == "start" {
			return slog.Attr{}
		}
		return a
	}})).Info("done", "call", o)
	rig.Equal(t, "log", b.String(), `msg=done call.method=GET call.host=acme.okta.com call.template=/api/v1/users call.bucket=/api/v1/users call.class=success `+
		`call.status=200 call.request_id=r2 call.stop=success call.elapsed_seconds=41.2 call.waited_seconds=38.5 call.attempts=3 `+
		`call.waits="rate-limit 36s, backoff 2s, turn 500ms"`+"\n")
	b.Reset()
	if err := o.WriteTimeline(&b); err != nil {
		t.Fatal(err)
	}
	rig.Equal(t, "timeline", b.String(), `   0.10 s   Okta       429 E0000047 Too many requests exception        (rate-limited)
   0.10 s   oktaretry  waits 36.00 s, until Okta's window is over
  36.10 s   network    connection reset by peer                        (network)
  36.10 s   oktaretry  waits 2.00 s and sends it again
  38.10 s   oktaretry  waits 0.50 s in line
  41.20 s   Okta       200                                             (success)
`)
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
