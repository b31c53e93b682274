// This file tests the waits that are not begun, because they would be in vain,
// and those that the caller ends.

package oktaretry_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/internal/rig/script"
)

func TestWaitThatDoesNotFitTheDeadlineIsNotBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := rig.New(t, nil, script.Limited(script.Date(0), script.ResetIn(0, time.Minute)))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // the wait's very end
		defer cancel()
		c := rig.Do(t, ctx, rt, http.MethodGet, rig.UserURL, "").Stopped(oktaretry.StopDeadline).TookBetween(0, 0)
		e := rig.Failure[*oktaretry.RateLimitError](c)
		if !errors.Is(c.Err, context.DeadlineExceeded) {
			t.Error("the error doesn't match context.DeadlineExceeded, which was the reason")
		}
		if ctx.Err() != nil {
			t.Error("the deadline has passed")
		}
		want := oktaretry.RateLimitError{
			Code: "E0000047", Method: "GET", Host: "example.okta.com", Template: "/api/v1/users/{id}",
			Bucket: "GET /api/v1/users/{id}", Limit: -1, Reset: time.Now().Add(time.Minute), RetryAfter: time.Minute,
			Attempts: 1, Stop: oktaretry.StopDeadline,
		}
		if e.Code != want.Code || e.Method != want.Method || e.Host != want.Host || e.Template != want.Template ||
			e.Bucket != want.Bucket || e.Limit != want.Limit || !e.Reset.Equal(want.Reset) || e.RetryAfter != want.RetryAfter ||
			e.ClientSide || e.Attempts != want.Attempts || e.Stop != want.Stop {
			t.Errorf("got  %+v\nwant %+v", *e, want)
		}
		if c.Outcome.Needed != time.Minute {
			t.Errorf("the outcome needs %s, want 1m", c.Outcome.Needed)
		}
		base.WantSent(1)
	})
}

func TestWaitThatFitsTheDeadlineIsWaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := rig.New(t, nil,
			script.Limited(script.Date(0), script.ResetIn(0, time.Minute)), script.OK().After(time.Minute, rig.Spread))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute+2*rig.Spread)
		defer cancel()
		rig.Do(t, ctx, rt, http.MethodGet, rig.UserURL, "").Is(200)
		base.WantSent(2)
	})
}

func TestWaitThatDoesNotFitMaxElapsedIsNotBegun(t *testing.T) {
	for _, tt := range []struct {
		name  string
		reset time.Duration
		sends int
		took  time.Duration
	}{
		{"at first", 10*time.Minute + time.Second, 1, 0},
		{"after others", 4 * time.Minute, 3, 2*4*time.Minute + time.Second},
	} {
		rig.Virtual(t, tt.name, func(t *testing.T) {
			rt, base := rig.New(t, nil)
			base.Always(script.Limited(script.Date(0), script.ResetIn(0, tt.reset)))
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			c := rig.Do(t, ctx, rt, http.MethodGet, rig.UserURL, "").Stopped(oktaretry.StopMaxElapsed).TookBetween(tt.took, tt.took+2*rig.OwnSpread)
			rig.Failure[*oktaretry.RateLimitError](c)
			if errors.Is(c.Err, context.DeadlineExceeded) {
				t.Error("the error matches context.DeadlineExceeded, which was not the reason")
			}
			base.WantSent(tt.sends)
		})
	}
}

func TestWaitOfADayIsNotBegun(t *testing.T) {
	for _, tt := range []struct {
		code string
		wait time.Duration
	}{{"E0000146", 24 * time.Hour}, {"E0000147", 24 * time.Hour}, {"E0000186", 30 * 24 * time.Hour}} {
		rig.Virtual(t, tt.code, func(t *testing.T) {
			rt, base := rig.New(t, nil, script.Code(429, tt.code))
			c := rig.Do(t, t.Context(), rt, http.MethodPost, rig.UserURL+"/factors", "{}").TookBetween(0, 0)
			if e := rig.Failure[*oktaretry.RateLimitError](c); e.RetryAfter != tt.wait || e.Code != tt.code {
				t.Errorf("code %s, RetryAfter %s; want %s, %s", e.Code, e.RetryAfter, tt.code, tt.wait)
			}
			base.WantSent(1)
		})
	}
}

func TestServerErrorIsReturnedWhenItsWaitDoesNotFit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := rig.New(t, nil, script.Code(503, "E0000010", script.Set("Retry-After", "31")))
		c := rig.Get(t, rt, rig.UserURL).Is(503).Stopped(oktaretry.StopMaxElapsed).TookBetween(0, 0)
		c.Reads(script.Code(503, "E0000010").Body)
		if c.Outcome.Needed != 31*time.Second {
			t.Errorf("needed %s, want 31s", c.Outcome.Needed)
		}
		base.WantSent(1)
	})
}

// A rule for the code reaches the wait in the bucket's line too: it is the
// answer's own wait.
func TestWaitInLineFollowsTheRuleOfTheAnswersCode(t *testing.T) {
	patient := oktaretry.DefaultPolicy().RateLimited
	patient.MaxElapsed = 30 * time.Minute
	for _, tt := range []struct {
		name string
		edit func(*oktaretry.Policy)
		ctx  func(context.Context) context.Context
	}{
		{"policy", func(p *oktaretry.Policy) { p.Codes = map[string]oktaretry.Rule{"E0000047": patient} }, nil},
		{"call", nil, func(ctx context.Context) context.Context { return oktaretry.WithRule(ctx, "E0000047", patient) }},
	} {
		rig.Virtual(t, tt.name, func(t *testing.T) {
			rt, base := rig.New(t, tt.edit,
				script.Limited(script.Date(0), script.ResetIn(0, 15*time.Minute)), script.OK().After(15*time.Minute, rig.OwnSpread))
			ctx := t.Context()
			if tt.ctx != nil {
				ctx = tt.ctx(ctx)
			}
			rig.Do(t, ctx, rt, http.MethodGet, rig.UserURL, "").Is(200)
			base.WantSent(2)
		})
	}
}

var errShutdown = errors.New("shutting down")

func TestCancellationEndsAnyWaitAtOnceWithItsCause(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer script.Step
		as     func(error) bool
	}{
		{"rate limit", script.Limited(script.Date(0), script.ResetIn(0, time.Minute)), isA[*oktaretry.RateLimitError]},
		{"local rate limit", script.Code(429, "E0000109"), isA[*oktaretry.RateLimitError]},
		{"concurrency limit", script.Concurrency(script.Set("Retry-After", "20")), isA[*oktaretry.RateLimitError]},
		{"server error", script.Bare(503, script.Set("Retry-After", "20")), nil},
		{"network error", script.Fail(script.Refused), nil},
		{"poll", script.Reply(202, `{"errorCode":"E0000070"}`, script.Set("Retry-After", "20")), isA[*oktaretry.PendingError]},
	} {
		for cause, matches := range map[error]bool{errShutdown: true, io.EOF: false, nil: true} {
			name := tt.name
			if cause != nil {
				name += ", " + cause.Error()
			}
			rig.Virtual(t, name, func(t *testing.T) {
				rt, base := rig.New(t, func(p *oktaretry.Policy) {
					p.Network.InitialWait, p.Network.MaxWait = 20*time.Second, 20*time.Second
				}, tt.answer)
				c := rig.Do(t, rig.CancelAfter(t, 3*time.Second, cause), rt, http.MethodGet, rig.UserURL, "")
				c.Stopped(oktaretry.StopCanceled).TookBetween(3*time.Second, 3*time.Second)
				if c.Resp != nil || !errors.Is(c.Err, context.Canceled) {
					t.Errorf("response %v, error %v; want context.Canceled", c.Resp, c.Err)
				}
				if errors.Is(c.Err, io.EOF) {
					t.Error("the error matches io.EOF")
				}
				if cause != nil && (errors.Is(c.Err, cause) != matches || !strings.Contains(c.Err.Error(), cause.Error())) {
					t.Errorf("error %q, want one with %q that matches it: %t", c.Err, cause, matches)
				}
				if tt.as != nil && !tt.as(c.Err) {
					t.Errorf("error %T %v", c.Err, c.Err)
				}
				base.WantSent(1)
				// A goroutine left behind would fail the bubble; a timer could only
				// send again.
				time.Sleep(time.Hour)
				base.WantSent(1)
			})
		}
	}
}

func isA[E error](err error) bool {
	var e E
	return errors.As(err, &e)
}

func TestCanceledWaiterThatSentNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := rig.New(t, nil, script.Limited(script.Date(0), script.ResetIn(0, time.Minute)), script.OK().After(time.Minute, rig.Spread))
		go rig.Get(t, rt, rig.UserURL)
		synctest.Wait()
		c := rig.Do(t, rig.CancelAfter(t, 3*time.Second, errShutdown), rt, http.MethodGet, rig.UserURL, "")
		c.Stopped(oktaretry.StopCanceled).TookBetween(3*time.Second, 3*time.Second)
		e := rig.Failure[*oktaretry.RateLimitError](c)
		if !e.ClientSide || e.Attempts != 0 || !errors.Is(c.Err, errShutdown) {
			t.Errorf("client-side %t, %d attempts, error %v", e.ClientSide, e.Attempts, c.Err)
		}
		if e.RetryAfter < 57*time.Second || e.RetryAfter > 57*time.Second+2*rig.Spread {
			t.Errorf("RetryAfter %s, want what is left of the minute, 57s", e.RetryAfter)
		}
		base.WantSent(1)
		for _, b := range rt.Snapshot().Buckets {
			if b.Waiting != 1 {
				t.Errorf("%d calls wait, want 1", b.Waiting)
			}
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		base.WantSent(2)
	})
}

func TestCallCanceledBeforehandSendsNothing(t *testing.T) {
	rt, base := rig.New(t, nil)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errShutdown)
	c := rig.Do(t, ctx, rt, http.MethodGet, rig.UserURL, "").Stopped(oktaretry.StopCanceled)
	if !errors.Is(c.Err, errShutdown) || !errors.Is(c.Err, context.Canceled) {
		t.Errorf("error %v", c.Err)
	}
	base.WantSent(0)
}

// A deadline that passes is not one that a wait would not fit: the call sat in
// the base.
func TestDeadlineThatPassesDuringAnAttemptMatchesOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := rig.New(t, nil, script.Hang())
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		c := rig.Do(t, ctx, rt, http.MethodGet, rig.UserURL, "").Stopped(oktaretry.StopDeadline).TookBetween(2*time.Second, 2*time.Second)
		if !errors.Is(c.Err, context.DeadlineExceeded) {
			t.Errorf("error %v", c.Err)
		}
		base.WantSent(1)
	})
}

// The error of an attempt that its caller ended is the base's own, without a
// word of a wait. What is unknown of its text is not shown.
func TestCancellationDuringAnAttemptKeepsTheErrorOfTheBase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("stream broke off")
		rt := rig.Over(t, script.Func(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, broken
		}), nil)
		c := rig.Do(t, rig.CancelAfter(t, time.Second, nil), rt, http.MethodGet, rig.UserURL, "").Stopped(oktaretry.StopCanceled)
		if !errors.Is(c.Err, broken) || !errors.Is(c.Err, context.Canceled) || c.Err.Error() != "error of type *errors.errorString" {
			t.Errorf("error %v, want the base's, which also matches the end of the context", c.Err)
		}
	})
}

// When another call's 429 holds the bucket for longer, the error reports the new
// wait, counted from when it was known: it once counted from the old 429.
func TestGivingUpInLineReportsWhenTheBucketOpens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		rt, base := rig.New(t, func(p *oktaretry.Policy) { p.Pace.MaxWait = 20 * time.Second },
			script.Limited(script.Date(0), script.ResetIn(0, time.Minute)).Takes(time.Second),
			script.Limited(script.Date(0), script.ResetIn(0, 90*time.Second)).Takes(30*time.Second),
			script.OK())
		first, second := rig.Start(t, rt, rig.UserURL), rig.Start(t, rt, rig.UserURL)
		e := rig.Failure[*oktaretry.RateLimitError]((<-first).Stopped(oktaretry.StopMaxWait).TookBetween(30*time.Second, 30*time.Second))
		wait := time.Minute
		if e.RetryAfter < wait || e.RetryAfter > wait+time.Second+2*rig.Spread {
			t.Errorf("RetryAfter %s, want %s", e.RetryAfter, wait)
		}
		if opens := began.Add(30*time.Second + wait); e.Reset.Before(opens) || e.Reset.After(opens.Add(time.Second+2*rig.Spread)) {
			t.Errorf("reset at %s, want %s", e.Reset.Sub(began), opens.Sub(began))
		}
		(<-second).Is(200)
		base.WantSent(3)
	})
}

func TestGivingUpDuringAGrownWaitReportsWhatIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := rig.New(t, nil,
			script.Limited(script.Date(0), script.ResetIn(0, 10*time.Second)).Takes(time.Second),
			script.Limited(script.Date(0), script.ResetIn(0, 34*time.Second)).Takes(5*time.Second),
			script.OK())
		canceled := make(chan rig.Call, 1)
		go func() {
			canceled <- rig.Do(t, rig.CancelAfter(t, 20*time.Second, nil), rt, http.MethodGet, rig.UserURL, "")
		}()
		synctest.Wait()
		second := rig.Start(t, rt, rig.UserURL)
		first := (<-canceled).Stopped(oktaretry.StopCanceled).TookBetween(20*time.Second, 20*time.Second)
		if left := first.Outcome.Needed; left < 20*time.Second || left > 20*time.Second+2*rig.Spread {
			t.Errorf("%s are left, want 20s", left)
		}
		(<-second).Is(200)
		base.WantSent(3)
	})
}

func TestGivingUpDuringAWaitReportsWhatIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, _ := rig.New(t, nil, script.Limited(script.Date(0), script.ResetIn(0, time.Minute)))
		opens := time.Now().Add(time.Minute)
		e := rig.Failure[*oktaretry.RateLimitError](rig.Do(t, rig.CancelAfter(t, 40*time.Second, errShutdown), rt, http.MethodGet, rig.UserURL, ""))
		if late := e.Reset.Sub(opens); e.RetryAfter != 20*time.Second+late || late < 0 || late > rig.Spread {
			t.Errorf("RetryAfter %s, reset %s after it opens; want 20s, 0s", e.RetryAfter, e.Reset.Sub(opens))
		}
	})
}
