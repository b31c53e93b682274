// This file decides what follows an answer: it is the caller's, or there is
// another attempt, at once or after a wait.

package oktaretry

import (
	"net/http"
	"strings"
	"time"
)

// decide says why the answer is the caller's, or prepares the next attempt.
func (c *call) decide() StopReason {
	a := &c.answer
	switch {
	case a.Class == ClassSuccess:
		return StopSuccess
	case a.canceled:
		return StopCanceled
	case a.rule.Action == FailFast:
		return StopFailFast
	case c.opts.noRetry:
		return StopNoRetry
	case c.polls > 0 && a.Code == codeFactorTimeout:
		return StopFailFast
	case a.rule.MaxAttempts > 0 && a.tally.count >= a.rule.MaxAttempts:
		return StopMaxAttempts
	}
	if a.rule.Action == Poll {
		if stop := c.aimPoll(); stop != StopNone {
			return stop
		}
	} else if stop := c.mayResend(); stop != StopNone {
		return stop
	}
	if stop := c.fits(a.wait, a.rule, a.tally, time.Now()); stop != StopNone {
		c.needed = a.wait
		return stop
	}
	if until, by := c.refusedUntil(time.Now()); until > a.wait {
		c.refusedBy, c.needed = by, until
		return StopCircuitOpen
	}
	if a.Class == ClassServerError || a.Class == ClassNetwork {
		if !c.endpoint.host.budget.withdraw(time.Now()) {
			return StopBudget
		}
		c.withdrawn = true
	}
	c.prepareNext()
	return StopNone
}

// refusedUntil returns how long a circuit will certainly refuse the next
// attempt, and which.
func (c *call) refusedUntil(now time.Time) (time.Duration, *circuit) {
	byHost, byEndpoint := c.endpoint.host.circuit.refusesUntil(now), c.endpoint.circuit.refusesUntil(now)
	if byHost >= byEndpoint {
		return byHost, c.endpoint.host.circuit
	}
	return byEndpoint, c.endpoint.circuit
}

// mayResend says why the request must not be sent again, if it must not.
func (c *call) mayResend() StopReason {
	if c.signed() || c.route.Token && c.hasBody {
		return StopNotReplayable
	}
	if !c.answer.rule.AnyMethod && !c.answer.NotSent && !c.idempotent() {
		return StopNotIdempotent
	}
	if c.nextTarget == nil && c.body.Hold() != nil {
		return StopNotReplayable
	}
	return StopNone
}

// idempotent reports whether doing the work twice does no harm.
func (c *call) idempotent() bool {
	switch c.method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return true
	}
	h := c.req.Header
	return c.opts.idempotent || c.route.Poll || len(h["Idempotency-Key"]) > 0 || len(h["X-Idempotency-Key"]) > 0
}

// signed reports whether the request holds a DPoP proof, which is good for once,
// and nobody signs it anew.
func (c *call) signed() bool { return c.t.prepareRetry == nil && hasDPoP(c.req.Header) }

// hasDPoP looks past the canonical form of the name: some write it into the map
// as its RFC does.
func hasDPoP(h http.Header) bool {
	for name := range h {
		if len(name) == len("DPoP") && strings.EqualFold(name, "DPoP") {
			return true
		}
	}
	return false
}

// aimPoll points the call at where its pending answer's result can be asked
// for.
func (c *call) aimPoll() StopReason {
	if c.signed() {
		return StopNotReplayable
	}
	if target := pollTarget(c.answer.resp, c.target); target != nil {
		c.nextTarget = target
		return StopNone
	}
	if c.nextTarget != nil {
		return StopNone // as before
	}
	if !repeatable(c.method, c.route) {
		return StopNoPollTarget
	}
	if c.body.Hold() != nil {
		return StopNotReplayable
	}
	return StopNone
}

// fits says why a wait must not be begun, if it must not.
func (c *call) fits(wait time.Duration, r Rule, t *tally, now time.Time) StopReason {
	if deadline, ok := c.ctx.Deadline(); ok && deadline.Sub(now) <= wait {
		return StopDeadline
	}
	if r.MaxElapsed > 0 && wait > r.MaxElapsed-now.Sub(t.since) { // the sum could overflow
		return StopMaxElapsed
	}
	return StopNone
}

// prepareNext keeps the answer for the case that there will be no better one,
// and says what the next attempt waits for.
func (c *call) prepareNext() {
	a := &c.answer
	switch {
	case a.rule.Action == Poll:
		if c.nextTarget != nil {
			c.aim(http.MethodGet, c.nextTarget)
		}
		c.polls++
		c.resends = 0
		c.pause = Wait{WaitPoll, a.wait}
	default:
		c.resends++
		if !a.held { // else the bucket's line makes it wait
			c.pause = Wait{WaitBackoff, a.wait}
			switch {
			case a.Class == ClassRateLimited && a.limits.Concurrency():
				c.pause.Reason = WaitConcurrency
			case a.Class == ClassRateLimited:
				c.pause.Reason = WaitRateLimit
			}
		}
	}
	free(a.resp)
}
