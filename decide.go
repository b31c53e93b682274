// This file decides what follows an answer: it is the caller's, or there is
// another attempt, at once or after a wait. Everything here is a function of its
// arguments.

package oktaretry

import (
	"math"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/oktaretry/oktaretry/internal/route"
)

// step is what follows an answer. The zero step is a call's first attempt.
type step struct {
	stop   StopReason    // why the call is over; StopNone: it goes on
	needed time.Duration // what a wait that is not begun would have taken
	by     Scope         // the circuit that refuses, with StopCircuitOpen

	pause  Wait     // before the next attempt
	pollAt *url.URL // where to ask for a pending answer's result; nil: by the same request
	poll   bool
	resend bool // to be paid for from the budget
}

// facts are what a call knows of itself when it decides.
type facts struct {
	now        time.Time
	deadline   time.Time // of the caller's context; zero: none
	noRetry    bool
	polling    bool
	once       bool     // the request holds a proof that is valid once
	token      bool     // it asks for a token: its grant may be valid once
	idempotent bool     // doing the work twice does no harm
	repeatable bool     // the request only reads, or is itself a poll
	replayable bool     // the body can be sent again
	pollAt     *url.URL // where to ask for the result, by this answer or an earlier one

	refused time.Duration // how long a circuit certainly refuses
	by      Scope         // which
}

// decide returns what follows an answer.
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
	case f.once && !a.NotSent:
		return step{stop: StopNotReplayable}
	case r.Action == Poll && f.pollAt == nil && !f.repeatable:
		return step{stop: StopNoPollTarget}
	case r.Action != Poll && !f.idempotent && !a.NotSent && (!r.AnyMethod || f.token && failed(a.Class)):
		return step{stop: StopNotIdempotent}
	case f.pollAt == nil && !f.replayable:
		return step{stop: StopNotReplayable}
	}
	if stop := fits(a.wait, r, a.tally.spent, f.deadline, f.now); stop != StopNone {
		return step{stop: stop, needed: a.wait}
	}
	if f.refused > a.wait {
		return step{stop: StopCircuitOpen, needed: f.refused, by: f.by}
	}
	wait := a.wait + min(a.spread, room(a.wait, r, a.tally.spent, f.deadline, f.now))
	if r.Action == Poll {
		return step{poll: true, pollAt: f.pollAt, pause: Wait{WaitPoll, wait}}
	}
	next := step{pollAt: f.pollAt, resend: failed(a.Class)}
	switch {
	case a.held: // the bucket's line makes the call wait
	case a.Class != ClassRateLimited:
		next.pause = Wait{WaitBackoff, wait}
	case a.limits.Concurrency():
		next.pause = Wait{WaitConcurrency, wait}
	default:
		next.pause = Wait{WaitRateLimit, wait}
	}
	return next
}

// failed reports whether the work may have been done though the answer is an error.
// Resends after such an error are paid for.
func failed(c Class) bool { return c == ClassServerError || c == ClassNetwork }

// fits returns why a wait that a rule orders must not be begun; StopNone if it
// may. spent is how long the call has waited for that rule.
func fits(wait time.Duration, r *Rule, spent time.Duration, deadline, now time.Time) StopReason {
	switch {
	case !deadline.IsZero() && deadline.Sub(now) <= wait:
		return StopDeadline
	case r.MaxElapsed > 0 && wait > r.MaxElapsed-spent: // the sum could overflow
		return StopMaxElapsed
	}
	return StopNone
}

// room returns how much longer than a wait that fits the call may wait. Of the time
// until the deadline it is half, for the next attempt needs some, too.
func room(wait time.Duration, r *Rule, spent time.Duration, deadline, now time.Time) time.Duration {
	most := math.MaxInt64 - wait
	if r.MaxElapsed > 0 {
		most = min(most, r.MaxElapsed-spent-wait)
	}
	if !deadline.IsZero() {
		most = min(most, (deadline.Sub(now)-wait)/2)
	}
	return most
}

// fitsLine returns why a call must not go on waiting in line; StopNone if it may.
// spent is how long it has waited there, and longest is Pace.MaxWait.
func fitsLine(wait, spent, longest time.Duration, deadline, now time.Time) StopReason {
	switch {
	case !deadline.IsZero() && deadline.Sub(now) <= wait:
		return StopDeadline
	case longest > 0 && wait > longest-spent:
		return StopMaxWait
	}
	return StopNone
}

// idempotent reports whether doing the work of a request twice does no harm.
func idempotent(method string, h http.Header, to *route.Route, o *callOptions) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return true
	}
	return o.idempotent || to.Poll || len(h["Idempotency-Key"]) > 0 || len(h["X-Idempotency-Key"]) > 0
}

// repeatable reports whether the same request can be made again to ask for a
// pending answer's result: it only reads, or is itself a poll.
func repeatable(method string, to *route.Route) bool {
	return method == http.MethodGet || method == http.MethodHead || to.Poll
}

// hasDPoP reports whether a request holds a DPoP proof, which is valid once. The
// field's name may be in the map as its RFC writes it, which is not canonical.
func hasDPoP(h http.Header) bool {
	for name := range h {
		if len(name) == len("DPoP") && strings.EqualFold(name, "DPoP") {
			return true
		}
	}
	return false
}
