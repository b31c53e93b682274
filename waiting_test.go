// This file tests how long a call waits after a 429: by Okta's headers, however
// odd, or by the backoff where they hold nothing plausible.

package oktaretry_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/internal/rig/script"
)

// The first computed wait of a rate limit: 1 s ± 50 %.
const (
	backoffFrom  = 500 * time.Millisecond
	backoffSlack = time.Second + rig.Spread
)

func TestWaitFollowsTheHeadersOfA429(t *testing.T) {
	const skew = 10 * time.Minute
	garbage := func(name string, values ...string) script.Step {
		return script.Limited(script.Date(0), script.Set(name, values...))
	}
	for _, tt := range []struct {
		name   string
		answer script.Step
		wait   time.Duration // 0: the computed backoff
	}{
		{"nothing said", script.Limited(), 0},
		{"only a Date", script.Limited(script.Date(0)), 0},

		{"Retry-After in seconds", script.Limited(script.Set("Retry-After", "7")), 7 * time.Second},
		{"Retry-After in seconds and a half", script.Limited(script.Set("Retry-After", "2.5")), 3 * time.Second},
		{"Retry-After as a date", script.Limited(script.Date(0), script.RetryAt(9*time.Second, 0)), 9 * time.Second},
		{"Retry-After as a date, no Date", script.Limited(script.RetryAt(9*time.Second, 0)), 9 * time.Second},
		{"Retry-After as a date, server ahead", script.Limited(script.Date(skew), script.RetryAt(9*time.Second, skew)), 9 * time.Second},
		{"Retry-After as a date, server behind", script.Limited(script.Date(-skew), script.RetryAt(9*time.Second, -skew)), 9 * time.Second},
		{"Retry-After zero", garbage("Retry-After", "0"), 0},
		{"Retry-After negative", garbage("Retry-After", "-5"), 0},
		{"Retry-After in the past", script.Limited(script.Date(0), script.RetryAt(-time.Minute, 0)), 0},
		{"Retry-After garbage", garbage("Retry-After", "soon"), 0},
		{"Retry-After empty", garbage("Retry-After", ""), 0},
		{"Retry-After twice", garbage("Retry-After", "3", "8"), 8 * time.Second},
		{"Retry-After twice in one field", garbage("Retry-After", "8, 3"), 8 * time.Second},
		{"Retry-After garbage and good", garbage("Retry-After", "soon", "8"), 8 * time.Second},

		{"Retry-After of hours", script.Limited(script.Set("Retry-After", "7200")), 2 * time.Hour},

		{"reset", script.Limited(script.Date(0), script.ResetIn(0, 30*time.Second)), 30 * time.Second},
		{"reset now", script.Limited(script.Date(0), script.ResetIn(0, 0)), time.Second},
		{"reset, server ahead", script.Limited(script.Date(skew), script.ResetIn(skew, 30*time.Second)), 30 * time.Second},
		{"reset, server behind", script.Limited(script.Date(-skew), script.ResetIn(-skew, 30*time.Second)), 30 * time.Second},
		{"reset with calls remaining", script.Limited(script.Date(0), script.ResetIn(0, 30*time.Second), script.Set("X-Rate-Limit-Remaining", "7")), 30 * time.Second},
		{"reset twice", script.Limited(script.Date(0), script.ResetIn(0, 60*time.Second, 30*time.Second)), 30 * time.Second},
		{"reset twice, in order", script.Limited(script.Date(0), script.ResetIn(0, 30*time.Second, 60*time.Second)), 30 * time.Second},
		{"reset garbage and good", script.Limited(script.Date(0), script.Set("X-Rate-Limit-Reset", "x"), script.ResetIn(0, 30*time.Second)), 30 * time.Second},
		{"reset missing", garbage("X-Rate-Limit-Limit", "600"), 0},
		{"reset zero", garbage("X-Rate-Limit-Reset", "0"), 0},
		{"reset negative", garbage("X-Rate-Limit-Reset", "-30"), 0},
		{"reset garbage", garbage("X-Rate-Limit-Reset", "soon"), 0},
		{"reset overflowing", garbage("X-Rate-Limit-Reset", "99999999999999999999"), 0},
		{"reset in the year 3000", garbage("X-Rate-Limit-Reset", "32503680000"), 0},
		{"reset in milliseconds", garbage("X-Rate-Limit-Reset", "946684830000"), 0},
		{"reset in the past", script.Limited(script.Date(0), script.ResetIn(0, -5*time.Second)), 0},
		{"reset more than an hour ahead", script.Limited(script.Date(0), script.ResetIn(0, time.Hour+time.Second)), 0},
		{"reset an hour ahead", script.Limited(script.Date(0), script.ResetIn(0, time.Hour)), time.Hour},

		{"no Date, clocks agree", script.Limited(script.ResetIn(0, 30*time.Second)), 30 * time.Second},
		{"no Date, server ahead", script.Limited(script.ResetIn(skew, 30*time.Second)), 0},
		{"no Date, server behind", script.Limited(script.ResetIn(-skew, 30*time.Second)), 0},
		{"Date garbage", script.Limited(script.Set("Date", "yesterday"), script.ResetIn(0, 30*time.Second)), 30 * time.Second},
		{"Date twice", script.Limited(script.Date(0), script.ResetIn(0, 30*time.Second), func(h http.Header, now time.Time) {
			h.Add("Date", now.Add(-20*time.Second).UTC().Format(http.TimeFormat))
		}), 30 * time.Second},

		{"Retry-After longer than the reset", script.Limited(script.Date(0), script.ResetIn(0, 30*time.Second), script.Set("Retry-After", "45")), 45 * time.Second},
		{"Retry-After shorter than the reset", script.Limited(script.Date(0), script.ResetIn(0, 30*time.Second), script.Set("Retry-After", "5")), 30 * time.Second},
		{"Retry-After and a reset in the past", script.Limited(script.Date(0), script.ResetIn(0, -30*time.Second), script.Set("Retry-After", "5")), 5 * time.Second},
		{"the code under a 503", script.Code(503, "E0000047", script.Date(0), script.ResetIn(0, 30*time.Second)), 30 * time.Second},
		{"a 429 without a code", script.Bare(429, script.Date(0), script.ResetIn(0, 30*time.Second)), 30 * time.Second},
	} {
		rig.Virtual(t, tt.name, func(t *testing.T) {
			next := script.OK().After(tt.wait, rig.Spread)
			switch {
			case tt.wait == 0:
				next = script.OK().After(backoffFrom, backoffSlack)
			case tt.wait > time.Minute: // no answer closes a bucket for longer
				next = script.OK().After(tt.wait, rig.OwnSpread)
			}
			rt, base := rig.New(t, func(p *oktaretry.Policy) { p.RateLimited.MaxElapsed = 3 * time.Hour }, tt.answer, next)
			rig.Get(t, rt, rig.UserURL).Is(200)
			base.WantSent(2)
		})
	}
}

// Date and reset are whole seconds, cut off: at the end of a second the window
// seems nearly a second closer than it is.
func TestWaitIsNeverEarlyByARoundedDate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var window time.Time
		rt, base := rig.New(t, nil,
			script.Limited(script.Date(0), func(h http.Header, now time.Time) {
				window = now.Add(30 * time.Second) // at .99 of its second
				script.ResetIn(0, 30*time.Second)(h, now)
			}).Takes(990*time.Millisecond),
			script.OK())
		rig.Get(t, rt, rig.UserURL).Is(200)
		if again := base.Sent()[1].At; again.Before(window) {
			t.Errorf("came back %s before the window's end", window.Sub(again))
		}
	})
}

func TestWaitWithoutADateUsesTheLearnedClock(t *testing.T) {
	for _, skew := range []time.Duration{10 * time.Minute, -10 * time.Minute} {
		rig.Virtual(t, skew.String(), func(t *testing.T) {
			rt, base := rig.New(t, nil,
				script.Bare(200, script.Date(skew)),
				script.Limited(script.ResetIn(skew, 30*time.Second)),
				script.OK().After(30*time.Second, rig.Spread))
			rig.Get(t, rt, rig.UserURL).Is(200)
			rig.Get(t, rt, rig.UserURL).Is(200)
			base.WantSent(3)
		})
	}
}

func TestWaitFollowsTheCodesOwnText(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer script.Step
		wait   time.Duration
	}{
		{"E0000109", script.Code(429, "E0000109"), 30 * time.Second},
		{"E0000133", script.Code(429, "E0000133"), 30 * time.Second},
		{"E0000118", script.Code(429, "E0000118"), 5 * time.Second},
		{"E0000150 under its 403", script.Code(403, "E0000150"), time.Minute},
		{"E0000151", script.Code(429, "E0000151"), time.Minute},
		{"E0000204", script.Code(429, "E0000204"), time.Minute},
		{"E0000205", script.Code(429, "E0000205"), time.Minute},
		{"E0000109 with a shorter Retry-After", script.Code(429, "E0000109", script.Set("Retry-After", "1")), 30 * time.Second},
		{"E0000109 with a longer Retry-After", script.Code(429, "E0000109", script.Set("Retry-After", "40")), 40 * time.Second},
		{"E0000118 with a later reset", script.Code(429, "E0000118", script.Date(0), script.ResetIn(0, 20*time.Second)), 20 * time.Second},
	} {
		rig.Virtual(t, tt.name, func(t *testing.T) {
			rt, base := rig.New(t, nil, tt.answer, script.OK().After(tt.wait, rig.OwnSpread))
			rig.Do(t, t.Context(), rt, http.MethodPost, rig.UserURL+"/factors", `{"factorType":"sms"}`).Is(200)
			base.WantSent(2)
		})
	}
}

func TestWaitForAConcurrencySlotBeginsShortAndDoubles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Its reset is a suggestion only, minutes ahead.
		full := script.Concurrency(script.Date(0), script.ResetIn(0, 2*time.Minute))
		steps := []script.Step{full}
		mean := 50 * time.Millisecond
		for range 8 {
			least := min(mean/2, time.Second)
			most := min(mean*3/2, 2*time.Second)
			steps = append(steps, full.After(least, most-least))
			mean *= 2
		}
		rt, base := rig.New(t, nil, append(steps, script.OK().After(time.Second, time.Second))...)
		rig.Get(t, rt, rig.UserURL).Is(200)
		base.WantSent(10)
	})
}

func TestWaitForAConcurrencySlotHonoursRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := rig.New(t, nil,
			script.Concurrency(script.Date(0), script.ResetIn(0, 2*time.Minute), script.Set("Retry-After", "4")),
			script.OK().After(4*time.Second, rig.OwnSpread))
		rig.Get(t, rt, rig.UserURL).Is(200)
		base.WantSent(2)
	})
}

func TestEach429HasItsOwnWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := rig.New(t, nil,
			script.Limited(script.Date(0), script.ResetIn(0, time.Minute)),
			script.Limited(script.Set("Retry-After", "3")).After(60*time.Second, rig.Spread),
			script.Limited(script.Date(0), script.ResetIn(0, 9*time.Second)).After(3*time.Second, rig.Spread),
			script.OK().After(10*time.Second, rig.Spread))
		c := rig.Get(t, rt, rig.UserURL).Is(200).TookBetween(73*time.Second, 73*time.Second+3*rig.Spread)
		base.WantSent(4)
		if w := c.Outcome.Waited(); w != c.Took {
			t.Errorf("the outcome has %s of waits, want %s", w, c.Took)
		}
	})
}

func TestWaitOfAServerErrorHonoursRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := rig.New(t, nil,
			script.Bare(503, script.Set("Retry-After", "12")),
			script.Bare(503, script.Set("Retry-After", "0")).After(12*time.Second, rig.OwnSpread/2),
			script.OK().After(backoffFrom, 1500*time.Millisecond))
		rig.Get(t, rt, rig.UserURL).Is(200)
		base.WantSent(3)
	})
}

// What one answer names to all that met it is the same moment for all of them.
func TestCallersOfOneNamedMomentComeBackSpread(t *testing.T) {
	const callers = 60
	for _, tt := range []struct {
		name   string
		answer script.Step
		wait   time.Duration
	}{
		{"503 with Retry-After", script.Bare(503, script.Set("Retry-After", "3")), 3 * time.Second},
		{"429 of one user", script.Code(429, "E0000109"), 30 * time.Second},
		{"lock with Retry-After", script.Code(423, "E0000239", script.Set("Retry-After", "7")), 7 * time.Second},
	} {
		rig.Virtual(t, tt.name, func(t *testing.T) {
			base := script.Repeat(t, script.OK())
			rt := rig.Over(t, base, func(p *oktaretry.Policy) { p.Budget.Disabled, p.Breaker.Disabled = true, true })
			rig.Get(t, rt, rig.UserURL).Is(200)
			var refused atomic.Int64
			base.Choose(func(*http.Request) script.Step {
				if refused.Add(1) <= callers {
					return tt.answer
				}
				return script.OK()
			})
			began := time.Now()
			var calls sync.WaitGroup
			for range callers {
				calls.Go(func() { rig.Get(t, rt, rig.UserURL).Is(200) })
			}
			calls.Wait()
			var waits []time.Duration
			for _, sent := range base.WantSent(1 + 2*callers)[1+callers:] {
				waits = append(waits, sent.At.Sub(began))
			}
			slices.Sort(waits)
			if waits[0] < tt.wait {
				t.Errorf("the first came back after %s, want %s at least", waits[0], tt.wait)
			}
			if took := waits[callers-1] - waits[0]; took < 100*time.Millisecond || took > time.Second {
				t.Errorf("all came back within %s", took)
			}
		})
	}
}

// The wait alone fits, so it is begun, and what is added fits, too.
func TestSpreadOfANamedWaitFits(t *testing.T) {
	const wait = 3 * time.Second
	answer := script.Bare(503, script.Set("Retry-After", "3"))
	for range 50 {
		synctest.Test(t, func(t *testing.T) {
			rt, _ := rig.New(t, func(p *oktaretry.Policy) { p.ServerError.MaxElapsed = wait }, answer, script.OK())
			rig.Get(t, rt, rig.UserURL).Is(200).TookBetween(wait, wait)
		})
		synctest.Test(t, func(t *testing.T) {
			rt, _ := rig.New(t, nil, answer, script.OK().Takes(50*time.Millisecond))
			ctx, cancel := context.WithTimeout(t.Context(), wait+100*time.Millisecond+1)
			defer cancel()
			rig.Do(t, ctx, rt, http.MethodGet, rig.UserURL, "").Is(200)
		})
	}
}

// The first 429 is where the rule's time begins; later ones come with time
// already spent, which once made the sum overflow and the call sleep for
// centuries.
func TestWaitThatOverflowsIsNotBegun(t *testing.T) {
	for _, value := range []string{"9223372036", "9223372037", "99999999999999999999"} {
		rig.Virtual(t, value, func(t *testing.T) {
			rt, base := rig.New(t, nil,
				script.Limited(script.Set("Retry-After", "2")),
				script.Limited(script.Set("Retry-After", value)).After(2*time.Second, rig.Spread))
			c := rig.Get(t, rt, rig.UserURL).Stopped(oktaretry.StopMaxElapsed).TookBetween(2*time.Second, 2*time.Second+rig.Spread)
			if e := rig.Failure[*oktaretry.RateLimitError](c); e.RetryAfter < 290*365*24*time.Hour {
				t.Errorf("RetryAfter is %s", e.RetryAfter)
			}
			base.WantSent(2)
		})
	}
}

// A Retry-After beyond reason holds its call; the bucket it closes for a minute.
func TestWaitThatOverflowsDoesNotCloseTheBucketForever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := rig.New(t, nil, script.Limited(script.Set("Retry-After", "99999999999999999999")), script.OK())
		rig.Failure[*oktaretry.RateLimitError](rig.Get(t, rt, rig.UserURL).TookBetween(0, 0))
		rig.Get(t, rt, rig.UserURL).Is(200).TookBetween(time.Second, time.Minute+time.Second+2*rig.Spread)
		base.WantSent(2)
	})
}

// What Okta names is waited, and a second more at most: the first 429 of 2 s that a
// process met once took 4.0 s. Whatever the moment of the second, and the local clock,
// nothing is sent before the reset.
func TestFirst429AddsASecondAtMost(t *testing.T) {
	const named = 2 * time.Second
	up := func(at time.Time) int64 { return at.Add(time.Second - 1).Unix() }
	for _, skew := range []time.Duration{0, 10 * time.Minute, -10 * time.Minute, 300 * time.Millisecond, -700 * time.Millisecond, 90 * time.Second} {
		for _, tt := range []struct {
			name       string
			date       bool
			reset      bool
			retryAfter bool
			remaining  string // more than 0: the refusal is not the bucket's
		}{
			{"Date and Reset", true, true, false, "0"},
			{"Date, Reset and Retry-After", true, true, true, "0"},
			{"Date and Retry-After", true, false, true, "0"},
			{"Retry-After", false, false, true, "0"},
			{"Reset", false, true, false, "0"},
			{"Reset and Retry-After", false, true, true, "0"},
			{"Date and Reset, of one user", true, true, false, "7"},
			{"Retry-After, of one user", false, false, true, "7"},
		} {
			if tt.reset && !tt.date && skew != 0 {
				continue // nothing shows that the local clock is wrong
			}
			rig.Virtual(t, fmt.Sprintf("%s, server %s ahead", tt.name, skew), func(t *testing.T) {
				for i := range 50 {
					time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second + time.Duration(i)*20*time.Millisecond)))
					var refused, reset time.Time // on the local clock
					refuse := script.Limited(script.Set("X-Rate-Limit-Remaining", tt.remaining), script.Set("X-Rate-Limit-Limit", "600"), func(h http.Header, now time.Time) {
						refused, reset = now, now.Add(named)
						if tt.reset {
							at := up(now.Add(skew + named))
							reset = time.Unix(at, 0).Add(-skew)
							h.Set("X-Rate-Limit-Reset", strconv.FormatInt(at, 10))
						}
						if tt.date {
							script.Date(skew)(h, now)
						}
						if tt.retryAfter {
							h.Set("Retry-After", "2")
						}
					})
					rt, base := rig.New(t, nil, refuse, script.OK())
					rig.Get(t, rt, rig.UserURL).Is(200)
					again := base.Sent()[1].At
					if took := again.Sub(refused); took > named+time.Second || took < named {
						phase := time.Duration(refused.Add(skew).Nanosecond())
						t.Errorf("at %s of a second: waited %s, want 2s to 3s", phase, took)
					}
					if again.Before(reset) {
						t.Errorf("sent %s before the reset", reset.Sub(again))
					}
				}
			})
		}
	}
}
