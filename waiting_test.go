package oktaretry_test

// This file tests how long a call waits after a 429: by what Okta's headers
// say, however odd, or by the backoff when they say nothing plausible.

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry"
)

// The first computed wait of a rate limit: 1 s ± 50 %.
const (
	backoffFrom  = 500 * time.Millisecond
	backoffSlack = time.Second + gap
)

func TestWaitFollowsTheHeadersOfA429(t *testing.T) {
	const skew = 10 * time.Minute
	garbage := func(name string, values ...string) answer { return limited(dated(0), set(name, values...)) }
	for _, tt := range []struct {
		name   string
		answer answer
		wait   time.Duration // 0: the computed backoff
	}{
		{"nothing said", limited(), 0},
		{"only a Date", limited(dated(0)), 0},

		{"Retry-After in seconds", limited(set("Retry-After", "7")), 7 * time.Second},
		{"Retry-After in seconds and a half", limited(set("Retry-After", "2.5")), 3 * time.Second},
		{"Retry-After as a date", limited(dated(0), retryAt(9*time.Second, 0)), 9 * time.Second},
		{"Retry-After as a date, no Date", limited(retryAt(9*time.Second, 0)), 9 * time.Second},
		{"Retry-After as a date, server ahead", limited(dated(skew), retryAt(9*time.Second, skew)), 9 * time.Second},
		{"Retry-After as a date, server behind", limited(dated(-skew), retryAt(9*time.Second, -skew)), 9 * time.Second},
		{"Retry-After zero", garbage("Retry-After", "0"), 0},
		{"Retry-After negative", garbage("Retry-After", "-5"), 0},
		{"Retry-After in the past", limited(dated(0), retryAt(-time.Minute, 0)), 0},
		{"Retry-After garbage", garbage("Retry-After", "soon"), 0},
		{"Retry-After empty", garbage("Retry-After", ""), 0},
		{"Retry-After twice", garbage("Retry-After", "3", "8"), 8 * time.Second},
		{"Retry-After twice in one field", garbage("Retry-After", "8, 3"), 8 * time.Second},
		{"Retry-After garbage and good", garbage("Retry-After", "soon", "8"), 8 * time.Second},

		{"Retry-After of hours", limited(set("Retry-After", "7200")), 2 * time.Hour},

		{"reset", limited(dated(0), resets(0, 30*time.Second)), 31 * time.Second},
		{"reset now", limited(dated(0), resets(0, 0)), time.Second},
		{"reset, server ahead", limited(dated(skew), resets(skew, 30*time.Second)), 31 * time.Second},
		{"reset, server behind", limited(dated(-skew), resets(-skew, 30*time.Second)), 31 * time.Second},
		{"reset with calls remaining", limited(dated(0), resets(0, 30*time.Second), set("X-Rate-Limit-Remaining", "7")), 31 * time.Second},
		{"reset twice", limited(dated(0), resets(0, 60*time.Second, 30*time.Second)), 31 * time.Second},
		{"reset twice, in order", limited(dated(0), resets(0, 30*time.Second, 60*time.Second)), 31 * time.Second},
		{"reset garbage and good", limited(dated(0), set("X-Rate-Limit-Reset", "x"), resets(0, 30*time.Second)), 31 * time.Second},
		{"reset missing", garbage("X-Rate-Limit-Limit", "600"), 0},
		{"reset zero", garbage("X-Rate-Limit-Reset", "0"), 0},
		{"reset negative", garbage("X-Rate-Limit-Reset", "-30"), 0},
		{"reset garbage", garbage("X-Rate-Limit-Reset", "soon"), 0},
		{"reset overflowing", garbage("X-Rate-Limit-Reset", "99999999999999999999"), 0},
		{"reset in the year 3000", garbage("X-Rate-Limit-Reset", "32503680000"), 0},
		{"reset in milliseconds", garbage("X-Rate-Limit-Reset", "946684830000"), 0},
		{"reset in the past", limited(dated(0), resets(0, -5*time.Second)), 0},
		{"reset more than an hour ahead", limited(dated(0), resets(0, time.Hour+time.Second)), 0},
		{"reset an hour ahead", limited(dated(0), resets(0, time.Hour)), time.Hour + time.Second},

		{"no Date, clocks agree", limited(resets(0, 30*time.Second)), 31 * time.Second},
		{"no Date, server ahead", limited(resets(skew, 30*time.Second)), 0},
		{"no Date, server behind", limited(resets(-skew, 30*time.Second)), 0},
		{"Date garbage", limited(set("Date", "yesterday"), resets(0, 30*time.Second)), 31 * time.Second},
		{"Date twice", limited(dated(0), resets(0, 30*time.Second), func(h http.Header, now time.Time) {
			h.Add("Date", now.Add(-20*time.Second).UTC().Format(http.TimeFormat))
		}), 31 * time.Second},

		{"Retry-After longer than the reset", limited(dated(0), resets(0, 30*time.Second), set("Retry-After", "45")), 45 * time.Second},
		{"Retry-After shorter than the reset", limited(dated(0), resets(0, 30*time.Second), set("Retry-After", "5")), 31 * time.Second},
		{"Retry-After and a reset in the past", limited(dated(0), resets(0, -30*time.Second), set("Retry-After", "5")), 5 * time.Second},
		{"the code under a 503", code(503, "E0000047", dated(0), resets(0, 30*time.Second)), 31 * time.Second},
		{"a 429 without a code", bare(429, dated(0), resets(0, 30*time.Second)), 31 * time.Second},
	} {
		virtually(t, tt.name, func(t *testing.T) {
			next := at(tt.wait, gap, ok())
			if tt.wait == 0 {
				next = at(backoffFrom, backoffSlack, ok())
			}
			rt, base := newScript(t, func(p *oktaretry.Policy) { p.RateLimited.MaxElapsed = 3 * time.Hour }, then(tt.answer), next)
			get(t, rt, usersURL).is(t, 200)
			base.sends(2)
		})
	}
}

// Date and reset are whole seconds, cut off: at the end of a second the window
// seems nearly a second closer than it is.
func TestWaitIsNeverEarlyByARoundedDate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var window time.Time
		rt, base := newScript(t, nil,
			slowly(990*time.Millisecond, limited(dated(0), func(h http.Header, now time.Time) {
				window = now.Add(30 * time.Second) // at .99 of its second
				resets(0, 30*time.Second)(h, now)
			})),
			then(ok()))
		get(t, rt, usersURL).is(t, 200)
		if again := base.requests()[1].at; again.Before(window) {
			t.Errorf("came back %s before the window's end", window.Sub(again))
		}
	})
}

func TestWaitWithoutADateGoesByTheClockThatEarlierAnswersTaught(t *testing.T) {
	for _, skew := range []time.Duration{10 * time.Minute, -10 * time.Minute} {
		virtually(t, skew.String(), func(t *testing.T) {
			rt, base := newScript(t, nil,
				then(bare(200, dated(skew))),
				then(limited(resets(skew, 30*time.Second))),
				at(31*time.Second, gap, ok()))
			get(t, rt, usersURL).is(t, 200)
			get(t, rt, usersURL).is(t, 200)
			base.sends(3)
		})
	}
}

func TestWaitFollowsTheCodesOwnText(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer answer
		wait   time.Duration
	}{
		{"E0000109", code(429, "E0000109"), 30 * time.Second},
		{"E0000133", code(429, "E0000133"), 30 * time.Second},
		{"E0000118", code(429, "E0000118"), 5 * time.Second},
		{"E0000150 under its 403", code(403, "E0000150"), time.Minute},
		{"E0000151", code(429, "E0000151"), time.Minute},
		{"E0000204", code(429, "E0000204"), time.Minute},
		{"E0000205", code(429, "E0000205"), time.Minute},
		{"E0000109 with a shorter Retry-After", code(429, "E0000109", set("Retry-After", "1")), 30 * time.Second},
		{"E0000109 with a longer Retry-After", code(429, "E0000109", set("Retry-After", "40")), 40 * time.Second},
		{"E0000118 with a later reset", code(429, "E0000118", dated(0), resets(0, 20*time.Second)), 21 * time.Second},
	} {
		virtually(t, tt.name, func(t *testing.T) {
			rt, base := newScript(t, nil, then(tt.answer), at(tt.wait, gap, ok()))
			do(t.Context(), rt, http.MethodPost, usersURL+"/factors", `{"factorType":"sms"}`).is(t, 200)
			base.sends(2)
		})
	}
}

func TestWaitForAConcurrencySlotIsShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Its reset is a suggestion only, minutes ahead.
		full := concurrency(dated(0), resets(0, 2*time.Minute))
		soon := at(125*time.Millisecond, 2*time.Second, full)
		rt, base := newScript(t, nil, then(full), soon, soon, soon, at(125*time.Millisecond, 2*time.Second, ok()))
		get(t, rt, usersURL).is(t, 200).took(t, 500*time.Millisecond, 8*time.Second)
		base.sends(5)
	})
}

func TestWaitForAConcurrencySlotHonoursRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := newScript(t, nil,
			then(concurrency(dated(0), resets(0, 2*time.Minute), set("Retry-After", "4"))),
			at(4*time.Second, gap, ok()))
		get(t, rt, usersURL).is(t, 200)
		base.sends(2)
	})
}

func TestWaitOfEach429IsItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := newScript(t, nil,
			then(limited(dated(0), resets(0, 59*time.Second))),
			at(60*time.Second, gap, limited(set("Retry-After", "3"))),
			at(3*time.Second, gap, limited(dated(0), resets(0, 9*time.Second))),
			at(10*time.Second, gap, ok()))
		c := get(t, rt, usersURL).is(t, 200).took(t, 73*time.Second, 73*time.Second+3*gap)
		base.sends(4)
		if w := c.outcome.Waited(); w != c.elapsed {
			t.Errorf("the outcome tells of %s of waits, want %s", w, c.elapsed)
		}
	})
}

func TestWaitOfAServerErrorHonoursRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := newScript(t, nil,
			then(bare(503, set("Retry-After", "12"))),
			at(12*time.Second, 0, bare(503, set("Retry-After", "0"))),
			at(backoffFrom, 1500*time.Millisecond, ok()))
		get(t, rt, usersURL).is(t, 200)
		base.sends(3)
	})
}

// The first 429 is where the rule's time begins; later ones come with time
// already spent, which once made the sum overflow and the call sleep for
// centuries.
func TestWaitThatOverflowsIsNotBegun(t *testing.T) {
	for _, value := range []string{"9223372036", "9223372037", "99999999999999999999"} {
		virtually(t, value, func(t *testing.T) {
			rt, base := newScript(t, nil,
				then(limited(set("Retry-After", "2"))),
				at(2*time.Second, gap, limited(set("Retry-After", value))))
			c := get(t, rt, usersURL).stopped(t, oktaretry.StopMaxElapsed).took(t, 2*time.Second, 2*time.Second+gap)
			if e := failure[*oktaretry.RateLimitError](t, c); e.RetryAfter < 290*365*24*time.Hour {
				t.Errorf("RetryAfter is %s", e.RetryAfter)
			}
			base.sends(2)
		})
	}
}

// A Retry-After beyond reason must not close its bucket for the life of the
// process: after an hour, somebody asks again.
func TestWaitThatOverflowsDoesNotCloseTheBucketForever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := newScript(t, nil, then(limited(set("Retry-After", "99999999999999999999"))), then(ok()))
		failure[*oktaretry.RateLimitError](t, get(t, rt, usersURL))
		refusal := failure[*oktaretry.RateLimitError](t, get(t, rt, usersURL).took(t, 0, 0))
		if !refusal.ClientSide || refusal.RetryAfter <= 0 || refusal.RetryAfter > time.Hour+time.Second+gap {
			t.Errorf("client-side %t, RetryAfter %s; want true, an hour and a second at most", refusal.ClientSide, refusal.RetryAfter)
		}
		time.Sleep(refusal.RetryAfter + gap)
		get(t, rt, usersURL).is(t, 200)
		base.sends(2)
	})
}
