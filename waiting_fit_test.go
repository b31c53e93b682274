package oktaretry_test

// This file tests the waits that are not begun, because they would be in vain,
// and those that the caller ends.

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
)

func TestWaitThatDoesNotFitTheDeadlineIsNotBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := newScript(t, nil, then(limited(dated(0), resets(0, 59*time.Second))))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // the wait's very end
		defer cancel()
		c := do(ctx, rt, http.MethodGet, usersURL, "").stopped(t, oktaretry.StopDeadline).took(t, 0, 0)
		e := failure[*oktaretry.RateLimitError](t, c)
		if !errors.Is(c.err, context.DeadlineExceeded) {
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
		if c.outcome.Needed != time.Minute {
			t.Errorf("the outcome says that %s were needed, want 1m", c.outcome.Needed)
		}
		base.sends(1)
	})
}

func TestWaitThatFitsTheDeadlineIsWaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := newScript(t, nil,
			then(limited(dated(0), resets(0, 59*time.Second))), at(time.Minute, gap, ok()))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute+2*gap)
		defer cancel()
		do(ctx, rt, http.MethodGet, usersURL, "").is(t, 200)
		base.sends(2)
	})
}

func TestWaitThatDoesNotFitMaxElapsedIsNotBegun(t *testing.T) {
	for _, tt := range []struct {
		name  string
		reset time.Duration
		sends int
		took  time.Duration
	}{
		{"at first", 10 * time.Minute, 1, 0},
		{"after others", 4 * time.Minute, 3, 2 * (4*time.Minute + time.Second)},
	} {
		virtually(t, tt.name, func(t *testing.T) {
			rt, base := newScript(t, nil)
			base.answers = func(*http.Request) step { return then(limited(dated(0), resets(0, tt.reset))) }
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			c := do(ctx, rt, http.MethodGet, usersURL, "").stopped(t, oktaretry.StopMaxElapsed).took(t, tt.took, tt.took+2*gap)
			failure[*oktaretry.RateLimitError](t, c)
			if errors.Is(c.err, context.DeadlineExceeded) {
				t.Error("the error matches context.DeadlineExceeded, which was not the reason")
			}
			base.sends(tt.sends)
		})
	}
}

func TestWaitOfADayIsNotBegun(t *testing.T) {
	for _, tt := range []struct {
		code string
		wait time.Duration
	}{{"E0000146", 24 * time.Hour}, {"E0000147", 24 * time.Hour}, {"E0000186", 30 * 24 * time.Hour}} {
		virtually(t, tt.code, func(t *testing.T) {
			rt, base := newScript(t, nil, then(code(429, tt.code)))
			c := do(t.Context(), rt, http.MethodPost, usersURL+"/factors", "{}").took(t, 0, 0)
			if e := failure[*oktaretry.RateLimitError](t, c); e.RetryAfter != tt.wait || e.Code != tt.code {
				t.Errorf("code %s, RetryAfter %s; want %s, %s", e.Code, e.RetryAfter, tt.code, tt.wait)
			}
			base.sends(1)
		})
	}
}

func TestWaitRefusedByMaxElapsedForAServerErrorHandsItBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := newScript(t, nil, then(code(503, "E0000010", set("Retry-After", "31"))))
		c := get(t, rt, usersURL).is(t, 503).stopped(t, oktaretry.StopMaxElapsed).took(t, 0, 0)
		c.reads(t, code(503, "E0000010").body)
		if c.outcome.Needed != 31*time.Second {
			t.Errorf("needed %s, want 31s", c.outcome.Needed)
		}
		base.sends(1)
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
		virtually(t, tt.name, func(t *testing.T) {
			rt, base := newScript(t, tt.edit,
				then(limited(dated(0), resets(0, 15*time.Minute))), at(15*time.Minute+time.Second, gap, ok()))
			ctx := t.Context()
			if tt.ctx != nil {
				ctx = tt.ctx(ctx)
			}
			do(ctx, rt, http.MethodGet, usersURL, "").is(t, 200)
			base.sends(2)
		})
	}
}

// The rule's time counts from its first answer, not from the present wait.
func TestWaitInLineThatGrowsCountsFromTheRulesFirstAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		patient := oktaretry.DefaultPolicy().RateLimited
		patient.MaxElapsed = 150 * time.Minute
		rt, base := newScript(t, func(p *oktaretry.Policy) {
			p.Codes = map[string]oktaretry.Rule{"E0000047": patient}
			p.AttemptTimeout = 0
		},
			then(limited(set("Retry-After", "7200"))),                           // too long to hold the bucket: the call waits by itself
			slowly(2*time.Minute, limited(dated(0), resets(0, 40*time.Minute))), // another's, while the first waits in line
			then(limited(dated(0), resets(0, 20*time.Minute))),                  // would fit
			then(ok()))
		first := start(t, rt, usersURL)
		time.Sleep(119 * time.Minute)
		second := start(t, rt, usersURL)
		failure[*oktaretry.RateLimitError](t, (<-first).stopped(t, oktaretry.StopMaxElapsed).took(t, 121*time.Minute, 121*time.Minute))
		(<-second).is(t, 200)
		base.sends(4)
	})
}

// cancelAfter is a context that ends after d because of cause.
func cancelAfter(t *testing.T, d time.Duration, cause error) context.Context {
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(d, func() { cancel(cause) })
	return ctx
}

var errShutdown = errors.New("shutting down")

func TestCancellationEndsAnyWaitAtOnceWithItsCause(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer answer
		as     func(error) bool
	}{
		{"rate limit", limited(dated(0), resets(0, time.Minute)), isA[*oktaretry.RateLimitError]},
		{"local rate limit", code(429, "E0000109"), isA[*oktaretry.RateLimitError]},
		{"concurrency limit", concurrency(set("Retry-After", "20")), isA[*oktaretry.RateLimitError]},
		{"server error", bare(503, set("Retry-After", "20")), nil},
		{"network error", fails(refused), nil},
		{"poll", says(202, `{"errorCode":"E0000070"}`, set("Retry-After", "20")), isA[*oktaretry.PendingError]},
	} {
		for cause, matches := range map[error]bool{errShutdown: true, io.EOF: false, nil: true} {
			name := tt.name
			if cause != nil {
				name += ", " + cause.Error()
			}
			virtually(t, name, func(t *testing.T) {
				rt, base := newScript(t, func(p *oktaretry.Policy) {
					p.Network.InitialWait, p.Network.MaxWait = 20*time.Second, 20*time.Second
				}, then(tt.answer))
				c := do(cancelAfter(t, 3*time.Second, cause), rt, http.MethodGet, usersURL, "")
				c.stopped(t, oktaretry.StopCanceled).took(t, 3*time.Second, 3*time.Second)
				if c.resp != nil || !errors.Is(c.err, context.Canceled) {
					t.Errorf("response %v, error %v; want context.Canceled", c.resp, c.err)
				}
				if errors.Is(c.err, io.EOF) {
					t.Error("the error matches io.EOF")
				}
				if cause != nil && (errors.Is(c.err, cause) != matches || !strings.Contains(c.err.Error(), cause.Error())) {
					t.Errorf("error %q, want one that tells of %q and matches it: %t", c.err, cause, matches)
				}
				if tt.as != nil && !tt.as(c.err) {
					t.Errorf("error %T %v", c.err, c.err)
				}
				base.sends(1)
				// A goroutine left behind would fail the bubble; a timer could only
				// send again.
				time.Sleep(time.Hour)
				base.sends(1)
			})
		}
	}
}

func isA[E error](err error) bool {
	var e E
	return errors.As(err, &e)
}

func TestCancellationOfAWaiterThatSentNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := newScript(t, nil, then(limited(dated(0), resets(0, 59*time.Second))), at(time.Minute, gap, ok()))
		go get(t, rt, usersURL)
		synctest.Wait()
		c := do(cancelAfter(t, 3*time.Second, errShutdown), rt, http.MethodGet, usersURL, "")
		c.stopped(t, oktaretry.StopCanceled).took(t, 3*time.Second, 3*time.Second)
		e := failure[*oktaretry.RateLimitError](t, c)
		if !e.ClientSide || e.Attempts != 0 || !errors.Is(c.err, errShutdown) {
			t.Errorf("client-side %t, %d attempts, error %v", e.ClientSide, e.Attempts, c.err)
		}
		if e.RetryAfter < 57*time.Second || e.RetryAfter > 57*time.Second+2*gap {
			t.Errorf("RetryAfter %s, want what is left of the minute, 57s", e.RetryAfter)
		}
		base.sends(1)
		for _, b := range rt.Snapshot().Buckets {
			if b.Waiting != 1 {
				t.Errorf("%d calls wait, want 1", b.Waiting)
			}
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		base.sends(2)
	})
}

func TestCanceledBeforeItBeganSendsNothing(t *testing.T) {
	rt, base := newScript(t, nil)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errShutdown)
	c := do(ctx, rt, http.MethodGet, usersURL, "").stopped(t, oktaretry.StopCanceled)
	if !errors.Is(c.err, errShutdown) || !errors.Is(c.err, context.Canceled) {
		t.Errorf("error %v", c.err)
	}
	base.sends(0)
}

// A deadline that passes is not one that a wait would not fit: the call sat in
// the base.
func TestDeadlineThatPassesDuringAnAttemptMatchesOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := newScript(t, nil, then(hangs()))
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		c := do(ctx, rt, http.MethodGet, usersURL, "").stopped(t, oktaretry.StopCanceled).took(t, 2*time.Second, 2*time.Second)
		if !errors.Is(c.err, context.DeadlineExceeded) {
			t.Errorf("error %v", c.err)
		}
		base.sends(1)
	})
}

// The error of an attempt that its caller ended is the base's own, and says
// nothing of a wait.
func TestCancellationDuringAnAttemptKeepsTheErrorOfTheBase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("stream broke off")
		rt := newTransport(t, roundTrip(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, broken
		}), nil)
		c := do(cancelAfter(t, time.Second, nil), rt, http.MethodGet, usersURL, "").stopped(t, oktaretry.StopCanceled)
		if !errors.Is(c.err, broken) || !errors.Is(c.err, context.Canceled) || c.err.Error() != broken.Error() {
			t.Errorf("error %v, want the base's, which also matches the end of the context", c.err)
		}
	})
}

// When another call's 429 holds the bucket for longer, the error tells of the
// new wait, counted from when it was known: it once counted from the old 429.
func TestGivingUpInLineTellsWhenTheBucketOpens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		rt, base := newScript(t, nil,
			slowly(time.Second, limited(dated(0), resets(0, 59*time.Second))),
			slowly(30*time.Second, limited(dated(0), resets(0, 9*time.Minute+58*time.Second))),
			then(ok()))
		first, second := start(t, rt, usersURL), start(t, rt, usersURL)
		e := failure[*oktaretry.RateLimitError](t, (<-first).stopped(t, oktaretry.StopMaxElapsed).took(t, 30*time.Second, 30*time.Second))
		wait := 9*time.Minute + 59*time.Second
		if e.RetryAfter < wait || e.RetryAfter > wait+2*gap {
			t.Errorf("RetryAfter %s, want %s", e.RetryAfter, wait)
		}
		if opens := began.Add(30*time.Second + wait); e.Reset.Before(opens) || e.Reset.After(opens.Add(2*gap)) {
			t.Errorf("reset at %s, want %s", e.Reset.Sub(began), opens.Sub(began))
		}
		(<-second).is(t, 200)
		base.sends(3)
	})
}

func TestGivingUpDuringAWaitThatGrewTellsWhatIsLeftOfTheNewOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := newScript(t, nil,
			slowly(time.Second, limited(dated(0), resets(0, 9*time.Second))),
			slowly(5*time.Second, limited(dated(0), resets(0, 34*time.Second))),
			then(ok()))
		canceled := make(chan call, 1)
		go func() { canceled <- do(cancelAfter(t, 20*time.Second, nil), rt, http.MethodGet, usersURL, "") }()
		synctest.Wait()
		second := start(t, rt, usersURL)
		first := (<-canceled).stopped(t, oktaretry.StopCanceled).took(t, 20*time.Second, 20*time.Second)
		if left := first.outcome.Needed; left < 20*time.Second || left > 20*time.Second+2*gap {
			t.Errorf("%s are left, want 20s", left)
		}
		(<-second).is(t, 200)
		base.sends(3)
	})
}

func TestGivingUpDuringAWaitTellsWhatIsLeftOfIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, _ := newScript(t, nil, then(limited(dated(0), resets(0, 59*time.Second))))
		opens := time.Now().Add(time.Minute)
		e := failure[*oktaretry.RateLimitError](t, do(cancelAfter(t, 40*time.Second, errShutdown), rt, http.MethodGet, usersURL, ""))
		if late := e.Reset.Sub(opens); e.RetryAfter != 20*time.Second+late || late < 0 || late > gap {
			t.Errorf("RetryAfter %s, reset %s after it opens; want 20s, 0s", e.RetryAfter, e.Reset.Sub(opens))
		}
	})
}
