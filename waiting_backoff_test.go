// This file tests the computed waits, and how often and how long a rule goes
// on.

package oktaretry_test

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/internal/rig/script"
)

func TestBackoffGrowsWithinItsBounds(t *testing.T) {
	for name, a := range map[string]script.Step{
		"503":        script.Bare(503),
		"E0000009":   script.Code(500, "E0000009"),
		"refused":    script.Fail(script.Refused),
		"bare 429":   script.Bare(429),
		"OAuth code": script.Reply(400, `{"error":"server_error"}`),
	} {
		rig.Virtual(t, name, func(t *testing.T) {
			rule := oktaretry.Rule{
				Action: oktaretry.Backoff, MaxAttempts: 9, InitialWait: 500 * time.Millisecond, MaxWait: 8 * time.Second,
				Multiplier: 2, Jitter: 0.5, AnyMethod: true,
			}
			rt, base := rig.New(t, func(p *oktaretry.Policy) {
				p.ServerError, p.Network, p.RateLimited = rule, rule, rule
			})
			base.Always(a)
			rig.Get(t, rt, rig.UserURL)
			base.WantSent(9)
			sent := base.Sent()
			mean := rule.InitialWait
			for i := 1; i < len(sent); i++ {
				wait := sent[i].At.Sub(sent[i-1].Answered)
				if from, to := mean/2, min(mean*3/2, rule.MaxWait)+rig.Spread; wait < from || wait > to {
					t.Errorf("wait %d was %s, want %s to %s", i, wait, from, to)
				}
				mean = min(2*mean, rule.MaxWait)
			}
		})
	}
}

// A call's backoff begins anew, whatever calls before it have grown to.
func TestEachCallsBackoffStartsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := rig.New(t, nil)
		base.Always(script.Bare(503))
		for range 3 {
			before := len(base.Sent())
			rig.Get(t, rt, rig.UserURL).Is(503)
			sent := base.Sent()[before:]
			if wait := sent[1].At.Sub(sent[0].Answered); wait > 750*time.Millisecond {
				t.Errorf("the first wait was %s, want 750ms at most", wait)
			}
		}
	})
}

func TestBackoffAfter100AttemptsIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := rig.New(t, func(p *oktaretry.Policy) {
			p.ServerError.MaxAttempts, p.ServerError.MaxElapsed, p.ServerError.Multiplier = 100, 0, 1e300
			p.Budget.Disabled, p.Breaker.Disabled = true, true
		})
		base.Always(script.Bare(503))
		rig.Get(t, rt, rig.UserURL).Is(503).Stopped(oktaretry.StopMaxAttempts)
		base.WantSent(100)
		sent := base.Sent()
		for i := 2; i < len(sent); i++ {
			if wait := sent[i].At.Sub(sent[i-1].Answered); wait < 4*time.Second || wait > 8*time.Second {
				t.Fatalf("wait %d was %s, want 4s to 8s", i, wait)
			}
		}
	})
}

func TestMaxAttemptsCountsTheAnswersOfItsRule(t *testing.T) {
	other := oktaretry.DefaultPolicy().ServerError
	other.MaxAttempts = 2
	for _, tt := range []struct {
		name  string
		codes map[string]oktaretry.Rule
		steps []script.Step
		last  int
	}{
		{"of one kind", nil, []script.Step{script.Bare(503), script.Bare(502), script.Code(500, "E0000009"), script.Bare(504)}, 504},
		{"rate limits between", nil, []script.Step{
			script.Bare(503), script.Limited(), script.Bare(503), script.Limited(), script.Bare(503), script.Limited(), script.Bare(503)}, 503},
		{"network errors between", nil, []script.Step{
			script.Bare(503), script.Fail(script.Refused), script.Bare(503), script.Fail(script.Refused), script.Bare(503), script.Bare(503)}, 503},
		{"a code with a rule of its own", map[string]oktaretry.Rule{"E0000009": other}, []script.Step{
			script.Bare(503), script.Code(500, "E0000009"), script.Bare(503), script.Code(500, "E0000009")}, 500},
	} {
		rig.Virtual(t, tt.name, func(t *testing.T) {
			rt, base := rig.New(t, func(p *oktaretry.Policy) { p.Codes = tt.codes }, tt.steps...)
			rig.Get(t, rt, rig.UserURL).Is(tt.last).Stopped(oktaretry.StopMaxAttempts)
			base.WantSent(len(tt.steps))
		})
	}
}

func TestMaxElapsedCountsTheWaitsOfItsRule(t *testing.T) {
	t.Run("not from the call's beginning", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			rt, base := rig.New(t, nil,
				script.Limited(script.Date(0), script.ResetIn(0, 59*time.Second)), script.Bare(503), script.Bare(503), script.OK())
			rig.Get(t, rt, rig.UserURL).Is(200)
			base.WantSent(4)
		})
	})
	t.Run("not the time at the base", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			rt, base := rig.New(t, nil, script.Bare(503), script.Bare(503).Takes(29500*time.Millisecond), script.OK())
			rig.Get(t, rt, rig.UserURL).Is(200)
			base.WantSent(3)
		})
	})
	t.Run("never past it", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			rt, base := rig.New(t, func(p *oktaretry.Policy) { p.ServerError.MaxAttempts = 0 })
			base.Always(script.Bare(503))
			c := rig.Get(t, rt, rig.UserURL).Is(503).Stopped(oktaretry.StopMaxElapsed)
			if c.Took > 30*time.Second || c.Took+c.Outcome.Needed <= 30*time.Second {
				t.Errorf("ended after %s, %s more needed; want the end of 30s between", c.Took, c.Outcome.Needed)
			}
		})
	})
}

func TestDeadlineEndsTheBackoffWithTheLastAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := rig.New(t, nil)
		const text = `{"errorCode":"E0000009"}`
		base.Always(script.Reply(500, text))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		c := rig.Do(t, ctx, rt, http.MethodGet, rig.UserURL, "").Is(500).Stopped(oktaretry.StopDeadline).Reads(text)
		if c.Took >= time.Second || ctx.Err() != nil {
			t.Errorf("ended after %s: the deadline was waited for", c.Took)
		}
	})
}

// Six spells that were recorded on deletes of user types and an app.
func TestDeleteSucceedsAfterEveryRecordedSpellOfE0000009(t *testing.T) {
	for _, spell := range []time.Duration{1, 5, 14, 14, 16, 21} {
		for range 20 { // the waits vary at random
			synctest.Test(t, func(t *testing.T) {
				rt, base := rig.New(t, nil)
				heals := time.Now().Add(spell * time.Second)
				base.Choose(func(*http.Request) script.Step {
					if time.Now().Before(heals) {
						return script.Code(500, "E0000009")
					}
					return script.Bare(204)
				})
				rig.Do(t, t.Context(), rt, http.MethodDelete, "/api/v1/meta/types/user/otyfnjfba4ye7pgjB0g4", "").
					Is(204).TookBetween(spell*time.Second, 30*time.Second)
			})
		}
	}
	t.Run("and one that lasts is handed back within 30 s", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			rt, _ := rig.Repeat(t, nil, script.Code(500, "E0000009"))
			rig.Get(t, rt, rig.UserURL).Is(500).Stopped(oktaretry.StopMaxElapsed).TookBetween(22*time.Second, 30*time.Second)
		})
	})
}

// Okta takes one change of rules at a time and refuses the others unprocessed.
func TestParallelRuleChangesAllSucceedOnceEach(t *testing.T) {
	const changes = 100
	for _, takes := range []time.Duration{300 * time.Millisecond, time.Second} {
		rig.Virtual(t, takes.String(), func(t *testing.T) {
			var locked atomic.Bool
			var made atomic.Int64
			base := script.Repeat(t, script.Do(func(req *http.Request) (*http.Response, error) {
				if !locked.CompareAndSwap(false, true) {
					return script.Code(423, "E0000239").Takes(20 * time.Millisecond).Respond(req)
				}
				defer locked.Store(false)
				made.Add(1)
				return script.OK().Takes(takes).Respond(req)
			}))
			rt := rig.Over(t, base, nil)
			var calls sync.WaitGroup
			for range changes {
				calls.Go(func() { rig.Do(t, t.Context(), rt, http.MethodPost, "/api/v1/groups/rules", `{}`).Is(200) })
			}
			calls.Wait()
			if n := made.Load(); n != changes {
				t.Errorf("%d changes made, want %d", n, changes)
			}
			t.Logf("%d requests in %s", len(base.Sent()), time.Since(base.Sent()[0].At))
		})
	}
}

func TestStatusThatPassesIsSentAgainWhereThatIsSafe(t *testing.T) {
	for _, tt := range []struct {
		name, method string
		answer       script.Step
		sent         int
	}{
		{"408", http.MethodGet, script.Bare(408), 4},
		{"425", http.MethodPut, script.Bare(425), 4},
		{"408 with a code that the catalogue lacks", http.MethodGet, script.Code(408, "E0000999"), 4},
		{"408 of a create", http.MethodPost, script.Bare(408), 1},
		{"408 with a code of the catalogue", http.MethodGet, script.Code(408, "E0000007"), 1},
		{"423 without a code", http.MethodGet, script.Bare(423), 1},
		{"404", http.MethodGet, script.Bare(404), 1},
	} {
		rig.Virtual(t, tt.name, func(t *testing.T) {
			rt, base := rig.Repeat(t, nil, tt.answer)
			rig.Do(t, t.Context(), rt, tt.method, rig.UserURL, "").Is(tt.answer.Status)
			base.WantSent(tt.sent)
		})
	}
	t.Run("and not where client errors have no waits", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			rt, base := rig.Repeat(t, func(p *oktaretry.Policy) { p.ClientError = oktaretry.Rule{} }, script.Bare(408))
			rig.Get(t, rt, rig.UserURL).Is(408)
			base.WantSent(1)
		})
	})
}

// 100 attempts that a server let hang for a minute all ended within a second, and
// were resent within half a second when it was back, beside what was new.
func TestResendsOfAttemptsThatHungAreSpread(t *testing.T) {
	for _, tt := range []struct {
		jitter      float64
		least, most time.Duration
	}{
		{0.5, 1200 * time.Millisecond, 1750 * time.Millisecond}, // up to 750 ms, and 1 s
		{0, 500 * time.Millisecond, 500 * time.Millisecond},
	} {
		synctest.Test(t, func(t *testing.T) {
			rt, base := rig.New(t, func(p *oktaretry.Policy) {
				p.Network.Jitter, p.Breaker.Disabled, p.Budget.Disabled = tt.jitter, true, true
			})
			var longest time.Duration
			for range 100 {
				base.Play(script.Hang(), script.OK())
				c := rig.Get(t, rt, rig.UserURL).Is(200)
				wait := c.Took - time.Minute
				if wait < 250*time.Millisecond || wait > tt.most {
					t.Fatalf("waited %s after an attempt that hung, want %s at most", wait, tt.most)
				}
				longest = max(longest, wait)
			}
			if longest < tt.least {
				t.Errorf("jitter %g: the longest of 100 waits was %s, want %s at least", tt.jitter, longest, tt.least)
			}
		})
	}
}
