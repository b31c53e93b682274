package oktaretry_test

// This file tests the computed waits, and how often and how long a rule goes on.

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry"
)

func TestBackoffGrowsWithinItsBounds(t *testing.T) {
	for name, a := range map[string]answer{
		"503":        bare(503),
		"E0000009":   code(500, "E0000009"),
		"refused":    fails(refused),
		"bare 429":   bare(429),
		"OAuth code": says(400, `{"error":"server_error"}`),
	} {
		virtually(t, name, func(t *testing.T) {
			rule := oktaretry.Rule{
				Action: oktaretry.Backoff, MaxAttempts: 9, InitialWait: 500 * time.Millisecond, MaxWait: 8 * time.Second,
				Multiplier: 2, Jitter: 0.5, AnyMethod: true,
			}
			rt, base := newScript(t, func(p *oktaretry.Policy) {
				p.ServerError, p.Network, p.RateLimited = rule, rule, rule
			})
			base.answers = func(*http.Request) step { return then(a) }
			get(t, rt, usersURL)
			base.sends(9)
			sent := base.requests()
			mean := rule.InitialWait
			for i := 1; i < len(sent); i++ {
				wait := sent[i].at.Sub(sent[i-1].answered)
				if from, to := mean/2, min(mean*3/2, rule.MaxWait)+gap; wait < from || wait > to {
					t.Errorf("wait %d was %s, want %s to %s", i, wait, from, to)
				}
				mean = min(2*mean, rule.MaxWait)
			}
		})
	}
}

// A call's backoff begins anew, whatever calls before it have grown to.
func TestBackoffOfEachCallIsItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := newScript(t, nil)
		base.answers = func(*http.Request) step { return then(bare(503)) }
		for range 3 {
			before := len(base.requests())
			get(t, rt, usersURL).is(t, 503)
			sent := base.requests()[before:]
			if wait := sent[1].at.Sub(sent[0].answered); wait > 750*time.Millisecond {
				t.Errorf("the first wait was %s, want 750ms at most", wait)
			}
		}
	})
}

func TestBackoffAfterAHundredAttemptsIsStillBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := newScript(t, func(p *oktaretry.Policy) {
			p.ServerError.MaxAttempts, p.ServerError.MaxElapsed, p.ServerError.Multiplier = 100, 0, 1e300
			p.Budget.Disabled, p.Breaker.Disabled = true, true
		})
		base.answers = func(*http.Request) step { return then(bare(503)) }
		get(t, rt, usersURL).is(t, 503).stopped(t, oktaretry.StopMaxAttempts)
		base.sends(100)
		sent := base.requests()
		for i := 2; i < len(sent); i++ {
			if wait := sent[i].at.Sub(sent[i-1].answered); wait < 4*time.Second || wait > 8*time.Second {
				t.Fatalf("wait %d was %s, want 4s to 8s", i, wait)
			}
		}
	})
}

func TestMaxAttemptsCountsTheAnswersThatARuleJudged(t *testing.T) {
	other := oktaretry.DefaultPolicy().ServerError
	other.MaxAttempts = 2
	for _, tt := range []struct {
		name  string
		codes map[string]oktaretry.Rule
		steps []step
		last  int
	}{
		{"of one kind", nil, []step{then(bare(503)), then(bare(502)), then(code(500, "E0000009")), then(bare(504))}, 504},
		{"rate limits between", nil, []step{
			then(bare(503)), then(limited()), then(bare(503)), then(limited()), then(bare(503)), then(limited()), then(bare(503))}, 503},
		{"network errors between", nil, []step{
			then(bare(503)), then(fails(refused)), then(bare(503)), then(fails(refused)), then(bare(503)), then(bare(503))}, 503},
		{"a code with a rule of its own", map[string]oktaretry.Rule{"E0000009": other}, []step{
			then(bare(503)), then(code(500, "E0000009")), then(bare(503)), then(code(500, "E0000009"))}, 500},
	} {
		virtually(t, tt.name, func(t *testing.T) {
			rt, base := newScript(t, func(p *oktaretry.Policy) { p.Codes = tt.codes }, tt.steps...)
			get(t, rt, usersURL).is(t, tt.last).stopped(t, oktaretry.StopMaxAttempts)
			base.sends(len(tt.steps))
		})
	}
}

func TestMaxElapsedCountsFromWhenItsRuleFirstApplied(t *testing.T) {
	t.Run("not from the call's beginning", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			rt, base := newScript(t, nil,
				then(limited(dated(0), resets(0, 59*time.Second))), then(bare(503)), then(bare(503)), then(ok()))
			get(t, rt, usersURL).is(t, 200)
			base.sends(4)
		})
	})
	t.Run("time at the base included", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			rt, base := newScript(t, nil, then(bare(503)), slowly(29500*time.Millisecond, bare(503)))
			get(t, rt, usersURL).is(t, 503).stopped(t, oktaretry.StopMaxElapsed)
			base.sends(2)
		})
	})
	t.Run("never past it", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			rt, base := newScript(t, func(p *oktaretry.Policy) { p.ServerError.MaxAttempts = 0 })
			base.answers = func(*http.Request) step { return then(bare(503)) }
			c := get(t, rt, usersURL).is(t, 503).stopped(t, oktaretry.StopMaxElapsed)
			if c.elapsed > 30*time.Second || c.elapsed+c.outcome.Needed <= 30*time.Second {
				t.Errorf("ended after %s, %s more needed; want the end of 30s between", c.elapsed, c.outcome.Needed)
			}
		})
	})
}

func TestDeadlineEndsTheBackoffWithTheAnswerInHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := newScript(t, nil)
		const text = `{"errorCode":"E0000009"}`
		base.answers = func(*http.Request) step { return then(says(500, text)) }
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		c := do(ctx, rt, http.MethodGet, usersURL, "").is(t, 500).stopped(t, oktaretry.StopDeadline).reads(t, text)
		if c.elapsed >= time.Second || ctx.Err() != nil {
			t.Errorf("ended after %s: the deadline was waited for", c.elapsed)
		}
	})
}

func TestOutcomeTellsOfEveryWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, _ := newScript(t, nil,
			then(limited(dated(0), resets(0, 9*time.Second))), then(bare(503)), then(code(429, "E0000118")), then(ok()))
		c := get(t, rt, usersURL).is(t, 200)
		want := []oktaretry.WaitReason{oktaretry.WaitRateLimit, oktaretry.WaitBackoff, oktaretry.WaitRateLimit}
		var got []oktaretry.WaitReason
		for _, a := range c.outcome.Attempts {
			for _, w := range a.Waits {
				got = append(got, w.Reason)
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("it waited for %v, want %v", got, want)
		}
		if w := c.outcome.Waited(); w != c.elapsed {
			t.Errorf("%s of waits in a call of %s", w, c.elapsed)
		}
	})
}
