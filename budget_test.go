package oktaretry_test

// This file tests what a call does when the retry budget is empty.

import (
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry"
)

// poor is a policy that can pay for one resend in ten seconds.
func poor(p *oktaretry.Policy) {
	p.Budget = oktaretry.Budget{Reserve: 0.1, TTL: 10 * time.Second}
	p.Breaker.Disabled = true
}

func TestEmptyBudgetEndsTheCallAtOnceWithItsLastAnswer(t *testing.T) {
	broken := errors.New("broken pipe")
	for _, tt := range []struct {
		name   string
		answer answer
	}{
		{"server error", says(503, "down", set("Retry-After", "1"))},
		{"network error", fails(broken)},
	} {
		virtually(t, tt.name, func(t *testing.T) {
			rt, base := newScript(t, poor)
			base.answers = func(*http.Request) step { return then(tt.answer) }
			first := get(t, rt, usersURL).stopped(t, oktaretry.StopBudget) // has the only resend
			base.sends(2)
			second := get(t, rt, usersURL).stopped(t, oktaretry.StopBudget).took(t, 0, 0)
			base.sends(3)
			for _, c := range []call{first, second} {
				if tt.answer.err != nil {
					if !errors.Is(c.err, broken) || c.resp != nil {
						t.Errorf("response %v, error %v; want the base's error", c.resp, c.err)
					}
					continue
				}
				c.is(t, 503).reads(t, "down")
			}
			if len(second.outcome.Attempts) != 1 || second.outcome.Waited() != 0 {
				t.Errorf("%d attempts, %s waited", len(second.outcome.Attempts), second.outcome.Waited())
			}
			time.Sleep(10 * time.Second)
			get(t, rt, usersURL)
			base.sends(5)
		})
	}
}

func TestBudgetIsEachHostsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := newScript(t, poor)
		base.answers = func(*http.Request) step { return then(bare(503)) }
		get(t, rt, usersURL).is(t, 503).stopped(t, oktaretry.StopBudget)
		get(t, rt, appsURL).is(t, 503).stopped(t, oktaretry.StopBudget).took(t, 0, 0) // the same host
		base.sends(3)
		get(t, rt, "https://other.okta.com/api/v1/users/00u1").is(t, 503)
		base.sends(5)
	})
}

// Each call pays once: were its resends to pay too, they would earn each other.
func TestCallsPayForResends(t *testing.T) {
	for _, tt := range []struct {
		ratio         float64
		good, resends int
	}{
		{0.25, 7, 2}, // 8 × ¼ pay for two
		{0.75, 1, 1}, // 2 × ¾ pay for one, 3 × ¾ would for two
	} {
		synctest.Test(t, func(t *testing.T) {
			rt, base := newScript(t, func(p *oktaretry.Policy) {
				poor(p)
				p.Budget = oktaretry.Budget{Ratio: tt.ratio, TTL: 10 * time.Second}
			})
			base.answers = func(*http.Request) step { return then(ok()) }
			for range tt.good {
				get(t, rt, usersURL).is(t, 200)
			}
			base.answers = func(*http.Request) step { return then(bare(503)) }
			get(t, rt, usersURL).is(t, 503).stopped(t, oktaretry.StopBudget)
			base.sends(tt.good + 1 + tt.resends)
		})
	}
}

func TestSetPolicyWithAnotherBudgetStartsAfresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := newScript(t, poor)
		base.answers = func(*http.Request) step { return then(bare(503)) }
		get(t, rt, usersURL).stopped(t, oktaretry.StopBudget) // has the only resend
		p := oktaretry.DefaultPolicy()
		poor(&p)
		p.Budget.Reserve = 0.2
		if err := rt.SetPolicy(p); err != nil {
			t.Fatal(err)
		}
		get(t, rt, usersURL).stopped(t, oktaretry.StopBudget)
		base.sends(2 + 3)
	})
}

// Okta ordered these waits itself, or there was nothing to pay for.
func TestBudgetIsNotDrawnOnByWaitsThatOktaOrdered(t *testing.T) {
	for name, steps := range map[string][]step{
		"rate limit":        {then(limited(set("Retry-After", "1"))), then(limited(set("Retry-After", "1"))), then(ok())},
		"local rate limit":  {then(code(429, "E0000118")), then(code(429, "E0000118")), then(ok())},
		"concurrency limit": {then(concurrency()), then(concurrency()), then(ok())},
		"poll":              {then(linked(resultPath)), then(linked(resultPath)), then(ok())},
	} {
		virtually(t, name, func(t *testing.T) {
			rt, base := newScript(t, func(p *oktaretry.Policy) {
				poor(p)
				p.Budget = oktaretry.Budget{TTL: time.Second} // can pay for nothing
			}, steps...)
			get(t, rt, usersURL).is(t, 200)
			base.sends(len(steps))
		})
	}
}

func TestCallThatIsCanceledInItsBackoffGivesItsResendBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := newScript(t, poor, then(bare(503, set("Retry-After", "3"))), then(bare(503)), then(ok()))
		do(cancelAfter(t, time.Second, nil), rt, http.MethodGet, usersURL, "").stopped(t, oktaretry.StopCanceled)
		get(t, rt, usersURL).is(t, 200)
		base.sends(3)
	})
}

func TestRequestThatMayNotBeResentDoesNotDrawOnTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := newScript(t, poor, then(bare(503)), then(bare(503)), then(bare(503)), then(ok()))
		for range 2 {
			do(t.Context(), rt, http.MethodPost, org+"/api/v1/groups", "{}").is(t, 503).stopped(t, oktaretry.StopNotIdempotent)
		}
		get(t, rt, usersURL).is(t, 200)
		base.sends(4)
	})
}
