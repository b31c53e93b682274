// This file tests the typed errors: their fields, what they match, what their
// texts hold and what they hide.

package oktaretry_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/internal/rig/script"
)

// errorOf makes a call for …/users/jane?q=1 and returns its error, which must
// be of type E, also behind what http.Client wraps around it.
func errorOf[E error](t *testing.T, ctx context.Context, tr *oktaretry.Transport, path string) E {
	t.Helper()
	resp, err := tr.RoundTrip(rig.Request(t, ctx, "GET", path, nil))
	if err == nil {
		resp.Body.Close()
		t.Fatalf("no error, but a %d", resp.StatusCode)
	}
	target, ok := errors.AsType[E](err)
	if !ok {
		t.Fatalf("%T is no %T: %v", err, target, err)
	}
	rig.WantNoSecrets(t, err)
	return target
}

func wantText(t *testing.T, err error, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the text %q lacks %q", err, part)
		}
	}
}

func TestRateLimitErrorHasOktasValues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
		defer cancel()
		tr := rig.Over(t, script.Repeat(t, script.LimitedFor(time.Minute)), nil)
		start := time.Now()
		e := errorOf[*oktaretry.RateLimitError](t, ctx, tr, "/api/v1/users/jane?q=1")
		if e.Code != "E0000047" || e.RequestID != "req-E0000047" || e.Method != "GET" || e.Host != "example.okta.com" ||
			e.Template != "/api/v1/users/{id}" || e.Bucket == "" || e.Limit != 600 || e.ClientSide || e.Attempts != 2 {
			t.Errorf("%+v", e)
		}
		elapsed := time.Since(start)
		if e.Stop != oktaretry.StopDeadline || e.RetryAfter != 61*time.Second || !e.Reset.Equal(start.Add(elapsed+e.RetryAfter)) {
			t.Errorf("stop %v, retry after %s, reset %s", e.Stop, e.RetryAfter, e.Reset)
		}
		if !errors.Is(e, context.DeadlineExceeded) {
			t.Error("it does not match the deadline, which was the reason")
		}
		wantText(t, e, "rate limited", "E0000047", "req-E0000047", "GET example.okta.com/api/v1/users/{id}", "2 attempts", "deadline",
			"gave up without waiting: needs 1m1s, context has 30s left")
		if u := (&url.Error{Op: "Get", URL: "https://example.okta.com", Err: e}); !e.Timeout() || !u.Timeout() {
			t.Error("it is no timeout")
		}
		if strings.Contains(e.Error(), "exceeded") {
			t.Errorf("the deadline has not passed: %v", e)
		}
	})
}

func TestRateLimitErrorOfAnUnsentCallIsClientSide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := rig.Over(t, script.Repeat(t, script.LimitedFor(time.Minute)), nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		errorOf[*oktaretry.RateLimitError](t, ctx, tr, "/api/v1/users/jane?q=1")
		e := errorOf[*oktaretry.RateLimitError](t, ctx, tr, "/api/v1/users/jane?q=1")
		if !e.ClientSide || e.Code != "" || e.RequestID != "" || e.Limit != -1 || e.Attempts != 0 || e.Template != "/api/v1/users/{id}" {
			t.Errorf("%+v", e)
		}
		if d := time.Until(e.Reset); e.RetryAfter < time.Minute || d != e.RetryAfter {
			t.Errorf("retry after %s, reset in %s", e.RetryAfter, d)
		}
		wantText(t, e, "client-side", "nothing was sent", "GET example.okta.com/api/v1/users/{id}", "deadline")
	})
}

func TestRateLimitErrorMatchesTheEndOfItsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		enough := errors.New("enough of it")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(7*time.Second, func() { cancel(enough) })
		e := errorOf[*oktaretry.RateLimitError](t, ctx, rig.Over(t, script.Repeat(t, script.LimitedFor(time.Minute)), nil), "/api/v1/users/jane?q=1")
		if !errors.Is(e, enough) || !errors.Is(e, context.Canceled) || errors.Is(e, context.DeadlineExceeded) || e.Stop != oktaretry.StopCanceled {
			t.Errorf("%v, stopped by %v, matches the wrong things", e, e.Stop)
		}
		wantText(t, e, "E0000047", "enough of it")
		if strings.Contains(e.Error(), "attempts") {
			t.Errorf("it counts attempts, and there was one: %v", e)
		}

		// And nothing where no context had a part.
		e = errorOf[*oktaretry.RateLimitError](t, t.Context(), rig.Over(t, script.Repeat(t, script.Code(429, "E0000146")), nil), "/api/v1/users/jane?q=1")
		if errors.Unwrap(e) != nil || e.Timeout() || e.Stop != oktaretry.StopMaxElapsed || e.RetryAfter != 24*time.Hour {
			t.Errorf("%v, stopped by %v, wraps %v", e, e.Stop, errors.Unwrap(e))
		}
	})
}

// A refusal once named no cause, and had the class of a network error whatever had
// failed.
func TestCircuitOpenErrorNamesWhatOpenedTheCircuit(t *testing.T) {
	type opened struct {
		scope         oktaretry.Scope
		class         oktaretry.Class
		code, failure string
	}
	synctest.Test(t, func(t *testing.T) {
		for want, step := range map[opened]script.Step{
			{oktaretry.TripsHost, oktaretry.ClassServerError, "", "503"}:                  script.Bare(503),
			{oktaretry.TripsEndpoint, oktaretry.ClassServerError, "E0000009", "500"}:      script.Code(500, "E0000009"),
			{oktaretry.TripsHost, oktaretry.ClassNetwork, "", "connection refused"}:       script.Fail(script.Refused),
			{oktaretry.TripsHost, oktaretry.ClassNetwork, "", "connection closed"}:        script.Fail(io.ErrUnexpectedEOF),
			{oktaretry.TripsHost, oktaretry.ClassNetwork, "", "timeout"}:                  script.Fail(os.ErrDeadlineExceeded),
			{oktaretry.TripsHost, oktaretry.ClassNetwork, "", "oktaretry_test.lostError"}: script.Fail(&net.OpError{Op: "read", Net: "tcp", Err: lostError("by jane@example.com")}),
		} {
			base := script.Repeat(t, step)
			opened := time.Now()
			tr := rig.Over(t, base, tripAfterOne)
			ctx := oktaretry.WithNoRetry(t.Context())
			rig.Send(t, tr, rig.Request(t, ctx, "GET", "/api/v1/users/jane?q=1", nil))
			time.Sleep(time.Second)
			e := errorOf[*oktaretry.CircuitOpenError](t, ctx, tr, "/api/v1/users/jane?q=1")
			whole := oktaretry.CircuitOpenError{
				Scope: want.scope, Method: "GET", Host: "example.okta.com", Template: "/api/v1/users/{id}", RetryAfter: 4 * time.Second,
				Class: want.class, Code: want.code, Failure: want.failure, Since: opened,
			}
			if *e != whole {
				t.Errorf("got %+v, want %+v", *e, whole)
			}
			wantText(t, e, want.scope.String()+" circuit open", "client-side", "GET example.okta.com/api/v1/users/{id}", "4s",
				"open since "+opened.UTC().Format(time.RFC3339), want.class.String(), want.failure, want.code)
			if c := rig.Send(t, tr, rig.Request(t, ctx, "GET", "/api/v1/users/jane?q=1", nil)); c.Outcome.Class != want.class || c.Outcome.Code != want.code {
				t.Errorf("the outcome has class %s and code %q, want %s and %q", c.Outcome.Class, c.Outcome.Code, want.class, want.code)
			}
			base.WantSent(1)
		}
	})
}

// lostError is an error of a base, whose text could hold anything.
type lostError string

func (e lostError) Error() string { return "lost " + string(e) }

// A circuit that opens again has been open since it was closed, and names what
// failed its probe.
func TestCircuitOpenErrorNamesTheFailureOfTheLatestProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := script.Repeat(t, script.Bare(503), script.Fail(script.Refused))
		tr := rig.Over(t, base, tripAfterOne)
		ctx, opened := oktaretry.WithNoRetry(t.Context()), time.Now()
		for range 2 {
			rig.Send(t, tr, rig.Request(t, ctx, "GET", "/api/v1/users/jane?q=1", nil))
			time.Sleep(5 * time.Second)
		}
		rig.Send(t, tr, rig.Request(t, ctx, "GET", "/api/v1/users/jane?q=1", nil))
		e := errorOf[*oktaretry.CircuitOpenError](t, ctx, tr, "/api/v1/users/jane?q=1")
		if e.Class != oktaretry.ClassNetwork || e.Failure != "connection refused" || !e.Since.Equal(opened) {
			t.Errorf("opened by %s %s at %s, want the connection refused and %s", e.Class, e.Failure, e.Since, opened)
		}
	})
}

func TestErrorTextRoundsItsWait(t *testing.T) {
	for wait, text := range map[time.Duration]string{
		12_345_678_901: "12.3s", 1_010_000_000: "1s", 999_600_000: "1s", 256_400_000: "256ms",
	} {
		if e := (&oktaretry.CircuitOpenError{RetryAfter: wait}); !strings.HasSuffix(e.Error(), "retry after "+text) {
			t.Errorf("%s: %v", wait, e)
		}
	}
}

func TestPendingErrorHasWhatIsPending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		step := script.Pending("/api/v1/users/jane/factors?q=1")
		tr := rig.Over(t, script.Repeat(t, step), nil)
		e := errorOf[*oktaretry.PendingError](t, t.Context(), tr, "/api/v1/users/jane?q=1")
		if e.Code != "E0000070" || e.RequestID != "req-E0000070" || e.Method != "GET" || e.Host != "example.okta.com" ||
			e.Template != "/api/v1/users/{userId}/factors" || e.Polls != 75 || e.RetryAfter != 4*time.Second || e.Stop != oktaretry.StopMaxElapsed {
			t.Errorf("%+v", e)
		}
		if errors.Unwrap(e) != nil {
			t.Errorf("it wraps %v", errors.Unwrap(e))
		}
		wantText(t, e, "pending", "E0000070", "req-E0000070", "75 polls", "max-elapsed")

		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if e.Timeout() {
			t.Error("it is a timeout without a deadline")
		}
		e = errorOf[*oktaretry.PendingError](t, ctx, tr, "/api/v1/users/jane?q=1")
		if !errors.Is(e, context.DeadlineExceeded) || !e.Timeout() || e.Polls != 2 {
			t.Errorf("after %d polls: %v", e.Polls, e)
		}
		wantText(t, e, "gave up without waiting: needs 4s, context has 2s left", "2 polls", "deadline")
		once := rig.Over(t, script.Repeat(t, step), func(p *oktaretry.Policy) { p.Pending.MaxAttempts = 1 })
		e = errorOf[*oktaretry.PendingError](t, t.Context(), once, "/api/v1/users/jane?q=1")
		if e.Polls != 0 || e.RetryAfter != 4*time.Second || e.Stop != oktaretry.StopMaxAttempts {
			t.Errorf("after %d polls, retry after %s: %v", e.Polls, e.RetryAfter, e)
		}
		enough := errors.New("enough of it")
		ctx2, cancel2 := context.WithCancelCause(t.Context())
		time.AfterFunc(6*time.Second, func() { cancel2(enough) })
		if e := errorOf[*oktaretry.PendingError](t, ctx2, tr, "/api/v1/users/jane?q=1"); !errors.Is(e, enough) || !errors.Is(e, context.Canceled) {
			t.Errorf("%v matches neither cause nor context", e)
		}
	})
}

// Only what looks like a code or a request id gets into a text.
func TestErrorTextRepeatsNoInventedCode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		step := script.Reply(429, `{"error":"jane"}`, script.Set("Content-Type", "application/json"), script.Set("X-Okta-Request-Id", "jane@example.com"))
		ctx, rec := oktaretry.WithRecorder(oktaretry.WithNoRetry(t.Context()))
		e := errorOf[*oktaretry.RateLimitError](t, ctx, rig.Over(t, script.Repeat(t, step), nil), "/api/v1/users/jane?q=1")
		if e.Code == "jane" || e.RequestID != "" {
			t.Errorf("code %q and request id %q", e.Code, e.RequestID)
		}
		if out, _ := rec.Outcome(); out.Code != "jane" { // the caller may see it
			t.Errorf("the outcome's code is %q", out.Code)
		}
	})
}

func TestCanceledWaitNamesWhatItWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for what, step := range map[string]script.Step{
			"503 E0000009 (request id req-E0000009)": script.Code(503, "E0000009", script.Set("Retry-After", "20")),
			"a network error":                        script.Fail(script.Reset),
		} {
			enough := errors.New("enough of it")
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(time.Millisecond, func() { cancel(enough) })
			base := script.Repeat(t, step)
			resp, err := rig.Over(t, base, nil).RoundTrip(rig.Request(t, ctx, "GET", "/api/v1/users/jane?q=1", nil))
			if resp != nil || !errors.Is(err, enough) || !errors.Is(err, context.Canceled) {
				t.Fatalf("got %v, %v", resp, err)
			}
			rig.WantNoSecrets(t, err)
			wantText(t, err, what, "GET example.okta.com/api/v1/users/{id}", "enough of it")
			base.WantClosed()
		}
	})
}

// A program that logs what it has by a verb of package fmt must not log what users
// typed.
func TestFormattedValuesHideSummaries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, rec := oktaretry.WithRecorder(t.Context())
		tr := rig.Over(t, script.Repeat(t, script.Reply(400, `{"errorCode":"E0000001","errorSummary":"Api validation failed: jane","errorLink":"jane",
			"errorId":"oae1","errorCauses":[{"errorSummary":"login: jane"}]}`, script.Set("Content-Type", "application/json"))), nil)
		resp, err := tr.RoundTrip(rig.Request(t, ctx, "GET", rig.UserURL, nil))
		rig.Text(t, resp, err)
		o, _ := rec.Outcome()
		if o.Error == nil || !strings.Contains(o.Error.Summary, "jane") {
			t.Fatalf("the outcome lacks the error: %v", o.Error)
		}
		for name, value := range map[string]any{
			"*Recorder": rec, "*APIError": o.Error, "APIError": *o.Error, "Classification": o.Classification, "Outcome": o, "*Outcome": &o,
			"Attempt": o.Attempts[0], "Outcomes": rec.Outcomes(), "context": ctx, "struct": struct{ R *oktaretry.Recorder }{rec},
		} {
			for _, verb := range []string{"%s", "%v", "%+v", "%#v", "%q", "%x", "%d", "%t"} {
				text := fmt.Sprintf(verb, value)
				if strings.Contains(text, "jane") || strings.Contains(text, "validation") || strings.Contains(text, "6a616e65") {
					t.Errorf("%s of a %s is %s", verb, name, text)
				}
			}
		}
		if text := fmt.Sprint(o.Error); text != o.Error.Error() {
			t.Errorf("%%v of an *APIError is %q", text)
		}
	})
}
