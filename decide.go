// This file decides what follows an answer: it is the caller's, or there is
// another attempt, at once or after a wait. decide is a function of what it is
// given; claim takes what the next attempt needs.

package oktaretry

import (
	"net/http"
	"net/url"
	"strings"
	"time"
)

// step is what follows an answer. The zero step is a call's first attempt.
type step struct {
	stop   StopReason    // why the call is over; StopNone: it goes on
	needed time.Duration // what a wait that is not begun would have taken
	by     Scope         // the circuit that refuses, with StopCircuitOpen

	pause  Wait     // before the next attempt
	pollAt *url.URL // where to ask for a pending answer's result; nil: by the same request
	poll   bool
	resend bool // the budget pays for it
}

// facts are what a call knows of itself when it decides.
type facts struct {
	now        time.Time
	deadline   time.Time // of the caller's context; zero: none
	noRetry    bool
	polling    bool
	once       bool     // it holds a proof that is good for once
	idempotent bool     // doing the work twice does no harm
	repeatable bool     // it only reads, or is itself a poll
	replayable bool     // its body can be sent again
	pollAt     *url.URL // where to ask for the result, by this answer or an earlier one

	refused time.Duration // for which a circuit certainly refuses
	by      Scope         // which
}

// decide says what follows an answer.
func decide(a *answer, f facts) step {
	r := &a.rule
	switch {
	case a.Class == ClassSuccess:
		return step{stop: StopSuccess}
	case a.canceled:
		return step{stop: StopCanceled}
	case r.Action == FailFast:
		return step{stop: StopFailFast}
	case f.noRetry:
		return step{stop: StopNoRetry}
	case f.polling && a.Code == codeFactorTimeout:
		return step{stop: StopFailFast}
	case r.MaxAttempts > 0 && a.tally.count >= r.MaxAttempts:
		return step{stop: StopMaxAttempts}
	case f.once:
		return step{stop: StopNotReplayable}
	case r.Action == Poll && f.pollAt == nil && !f.repeatable:
		return step{stop: StopNoPollTarget}
	case r.Action != Poll && !r.AnyMethod && !a.NotSent && !f.idempotent:
		return step{stop: StopNotIdempotent}
	case f.pollAt == nil && !f.replayable:
		return step{stop: StopNotReplayable}
	}
	if stop := fits(a.wait, r, a.tally.since, f.deadline, f.now); stop != StopNone {
		return step{stop: stop, needed: a.wait}
	}
	if f.refused > a.wait {
		return step{stop: StopCircuitOpen, needed: f.refused, by: f.by}
	}
	if r.Action == Poll {
		return step{poll: true, pollAt: f.pollAt, pause: Wait{WaitPoll, a.wait}}
	}
	next := step{pollAt: f.pollAt, resend: a.Class == ClassServerError || a.Class == ClassNetwork}
	switch {
	case a.held: // the bucket's line makes it wait
	case a.Class != ClassRateLimited:
		next.pause = Wait{WaitBackoff, a.wait}
	case a.limits.Concurrency():
		next.pause = Wait{WaitConcurrency, a.wait}
	default:
		next.pause = Wait{WaitRateLimit, a.wait}
	}
	return next
}

// fits says why a wait must not be begun, if it must not. since is when its rule
// first applied.
func fits(wait time.Duration, r *Rule, since, deadline, now time.Time) StopReason {
	if !deadline.IsZero() && deadline.Sub(now) <= wait {
		return StopDeadline
	}
	if r.MaxElapsed > 0 && wait > r.MaxElapsed-now.Sub(since) { // the sum could overflow
		return StopMaxElapsed
	}
	return StopNone
}

// facts are gathered when there is something to decide.
func (c *call) facts(a *answer) facts {
	if a.Class == ClassSuccess || a.rule.Action == FailFast {
		return facts{}
	}
	f := facts{now: time.Now(), noRetry: c.opts.noRetry, polling: c.polls > 0, pollAt: c.nextTarget}
	f.deadline, _ = c.ctx.Deadline()
	f.once = c.signed() || a.rule.Action != Poll && c.route.Token && c.hasBody
	f.idempotent, f.repeatable = c.idempotent(), repeatable(c.method, c.route)
	f.replayable = c.body.CanReplay() == nil
	if a.rule.Action == Poll {
		if target := pollTarget(a.resp, c.target); target != nil {
			f.pollAt = target
		}
	}
	f.refused, f.by = c.refusedUntil(f.now)
	return f
}

// claim takes what the next attempt needs: the body and, after an error, a
// resend from the budget. The answer is kept for the case that there will be no
// better one.
func (c *call) claim(next step) StopReason {
	if next.pollAt == nil && c.body.Hold() != nil {
		return StopNotReplayable
	}
	if next.resend {
		if !c.endpoint.host.budget.withdraw(time.Now()) {
			return StopBudget
		}
		c.withdrawn = true
	}
	switch c.nextTarget = next.pollAt; {
	case !next.poll:
		c.resends++
	default:
		if c.nextTarget != nil {
			c.aim(http.MethodGet, c.nextTarget)
		}
		c.polls++
		c.resends = 0
	}
	free(c.answer.resp)
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
