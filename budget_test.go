// This file tests what a call does when the retry budget is empty.

package oktaretry_test

import (
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/internal/rig/script"
)

// oneResendPer10s leaves a budget of one resend in ten seconds.
func oneResendPer10s(p *oktaretry.Policy) {
	p.Budget = oktaretry.Budget{Reserve: 0.1, TTL: 10 * time.Second}
	p.Breaker.Disabled = true
}

func TestEmptyBudgetEndsTheCallAtOnceWithItsLastAnswer(t *testing.T) {
	broken := errors.New("broken pipe")
	for _, tt := range []struct {
		name   string
		answer script.Step
	}{
		{"server error", script.Reply(503, "down", script.Set("Retry-After", "1"))},
		{"network error", script.Fail(broken)},
	} {
		rig.Virtual(t, tt.name, func(t *testing.T) {
			rt, base := rig.New(t, oneResendPer10s)
			base.Always(tt.answer)
			first := rig.Get(t, rt, rig.UserURL).Stopped(oktaretry.StopBudget) // has the only resend
			base.WantSent(2)
			second := rig.Get(t, rt, rig.UserURL).Stopped(oktaretry.StopBudget).TookBetween(0, 0)
			base.WantSent(3)
			for _, c := range []rig.Call{first, second} {
				if tt.answer.Err != nil {
					if !errors.Is(c.Err, broken) || c.Resp != nil {
						t.Errorf("response %v, error %v; want the base's error", c.Resp, c.Err)
					}
					continue
				}
				c.Is(503).Reads("down")
			}
			if len(second.Outcome.Attempts) != 1 || second.Outcome.Waited() != 0 {
				t.Errorf("%d attempts, %s waited", len(second.Outcome.Attempts), second.Outcome.Waited())
			}
			time.Sleep(10 * time.Second)
			rig.Get(t, rt, rig.UserURL)
			base.WantSent(5)
		})
	}
}

func TestEachHostHasItsOwnBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := rig.New(t, oneResendPer10s)
		base.Always(script.Bare(503))
		rig.Get(t, rt, rig.UserURL).Is(503).Stopped(oktaretry.StopBudget)
		rig.Get(t, rt, rig.AppURL).Is(503).Stopped(oktaretry.StopBudget).TookBetween(0, 0) // the same host
		base.WantSent(3)
		rig.Get(t, rt, "https://other.okta.com/api/v1/users/00u1").Is(503)
		base.WantSent(5)
	})
}

// Were resends to deposit too, they would pay for each other.
func TestEachCallDepositsOnce(t *testing.T) {
	for _, tt := range []struct {
		ratio         float64
		good, resends int
	}{
		{0.25, 7, 2}, // 8 × ¼ pay for two
		{0.75, 1, 1}, // 2 × ¾ pay for one, 3 × ¾ would for two
	} {
		synctest.Test(t, func(t *testing.T) {
			rt, base := rig.New(t, func(p *oktaretry.Policy) {
				oneResendPer10s(p)
				p.Budget = oktaretry.Budget{Ratio: tt.ratio, TTL: 10 * time.Second}
			})
			base.Always(script.OK())
			for range tt.good {
				rig.Get(t, rt, rig.UserURL).Is(200)
			}
			base.Always(script.Bare(503))
			rig.Get(t, rt, rig.UserURL).Is(503).Stopped(oktaretry.StopBudget)
			base.WantSent(tt.good + 1 + tt.resends)
		})
	}
}

func TestSetPolicyWithAnotherBudgetStartsAfresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := rig.New(t, oneResendPer10s)
		base.Always(script.Bare(503))
		rig.Get(t, rt, rig.UserURL).Stopped(oktaretry.StopBudget) // has the only resend
		p := oktaretry.DefaultPolicy()
		oneResendPer10s(&p)
		p.Budget.Reserve = 0.2
		if err := rt.SetPolicy(p); err != nil {
			t.Fatal(err)
		}
		rig.Get(t, rt, rig.UserURL).Stopped(oktaretry.StopBudget)
		base.WantSent(2 + 3)
	})
}

// Okta ordered these waits itself.
func TestBudgetIsNotDrawnOnByWaitsThatOktaOrdered(t *testing.T) {
	for name, steps := range map[string][]script.Step{
		"rate limit":        {script.Limited(script.Set("Retry-After", "1")), script.Limited(script.Set("Retry-After", "1")), script.OK()},
		"local rate limit":  {script.Code(429, "E0000118"), script.Code(429, "E0000118"), script.OK()},
		"concurrency limit": {script.Concurrency(), script.Concurrency(), script.OK()},
		"poll":              {linked(resultPath), linked(resultPath), script.OK()},
	} {
		rig.Virtual(t, name, func(t *testing.T) {
			rt, base := rig.New(t, func(p *oktaretry.Policy) {
				oneResendPer10s(p)
				p.Budget = oktaretry.Budget{TTL: time.Second} // pays for no resend
			}, steps...)
			rig.Get(t, rt, rig.UserURL).Is(200)
			base.WantSent(len(steps))
		})
	}
}

func TestCallCanceledInItsBackoffRefundsItsResend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := rig.New(t, oneResendPer10s, script.Bare(503, script.Set("Retry-After", "3")), script.Bare(503), script.OK())
		rig.Do(t, rig.CancelAfter(t, time.Second, nil), rt, http.MethodGet, rig.UserURL, "").Stopped(oktaretry.StopCanceled)
		rig.Get(t, rt, rig.UserURL).Is(200)
		base.WantSent(3)
	})
}

func TestUnrepeatableRequestDoesNotDrawOnTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := rig.New(t, oneResendPer10s, script.Bare(503), script.Bare(503), script.Bare(503), script.OK())
		for range 2 {
			rig.Do(t, t.Context(), rt, http.MethodPost, rig.Org+"/api/v1/groups", "{}").Is(503).Stopped(oktaretry.StopNotIdempotent)
		}
		rig.Get(t, rt, rig.UserURL).Is(200)
		base.WantSent(4)
	})
}
