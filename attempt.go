// This file holds one attempt: the request that goes out, its time limit and its
// span, what it brought, and what the next one needs.

package oktaretry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/oktaretry/oktaretry/internal/exchange"
	"github.com/oktaretry/oktaretry/internal/replay"
	"github.com/oktaretry/oktaretry/internal/telemetry"
)

// attempt is what is known of the request on its way.
type attempt struct {
	*dispatch                 // nil when none is on its way
	waits     []Wait          // before it
	reqBody   io.Closer       // the base closes it, unless something panics
	ctx       context.Context // with the attempt's span
	span      trace.Span      // nil until the request is sent
	canceled  bool            // the caller's context ended it
	record    *Attempt        // in the call's outcome; nil until it is recorded
}

// errPanicked is the error, in its outcome, of a call that a panic ended.
var errPanicked = errors.New("oktaretry: the base transport, or a hook, panicked")

// send sends one attempt and returns what it brought. It stops the call where the
// request cannot be made again.
func (c *call) send() (*answer, StopReason) {
	a := &c.attempt
	d := new(dispatch)
	sent := c.now
	*a = attempt{dispatch: d, waits: c.waits}
	limit, more := attemptLimit(c)
	d.Open(c.ctx, sent, limit)
	d.Overtime = more
	if stop := c.nextRequest(d); stop != StopNone {
		a.dispatch = nil
		return nil, stop
	}
	if d.Request.Body != nil {
		a.reqBody = d.Request.Body // ours to close, should a sampler, a propagator or an observer panic
	}
	if tellAttemptStart(c) || !c.progress.first() {
		d.Began = time.Now() // a hook can take long
		sent = d.Began
	}
	d.SendOnce(int(c.to.endpoint.host.spoken.Load()), c.opts.noRetry || c.t.signedOnce(c.req))
	c.waits = nil
	c.progress.withdrawn = false
	if len(c.outcome.Attempts) == 0 {
		c.to.endpoint.host.budget.Deposit(sent)
	}
	closeResponse(c.answer.resp) // superseded by the attempt about to be sent
	if !c.progress.first() {     // else it is empty
		c.answer = answer{}
	}
	c.answer.dispatch, c.answer.sent = d, sent
	c.answer.limits.Limit, c.answer.limits.Remaining = -1, -1

	a.ctx, a.span = c.report.StartAttempt(c.to.where(), c.progress.resends, c.progress.polls > 0)
	d.Context.Context = a.ctx
	c.report.Propagate(a.ctx, &d.Request, false)
	resp, err := c.t.base.RoundTrip(&d.Request)

	c.now = time.Now()
	c.receive(resp, err)
	return &c.answer, StopNone
}

// receive records what the base returned.
func (c *call) receive(resp *http.Response, err error) {
	d, a := c.attempt.dispatch, &c.answer
	a.arrived = c.now
	passed := d.Settle(c.now)
	if resp, err = checkAnswer(resp, err); resp != nil && d.Connected() { // not with a base in memory
		c.to.endpoint.host.speaks(resp.ProtoMajor)
	}
	switch {
	case passed > 0 && contextErr(c.ctx, c.now) == nil:
		d.Release() // first, for a Close may wait for it
		closeResponse(resp)
		resp, err = nil, &attemptTimeoutError{passed, c.to.host + c.to.route.Template}
	case err != nil:
		ended := contextErr(c.ctx, c.now)
		c.attempt.canceled = ended != nil
		a.expired = errors.Is(ended, context.DeadlineExceeded)
		err = d.Explain(err)
	default:
		resp.Body = d.Wrap(resp.Body, c.settings.policy.BodyTimeout)
	}
	if a.resp, a.err, a.canceled = resp, err, c.attempt.canceled; err != nil {
		a.Classification = Classification{
			Class: ClassNetwork, Terminal: terminal(err), NotSent: d.Unprocessed(err, c.body.Unread()),
		}
		blame(c, a)
		d.Release()
	}
}

// blame finds out whether an answer's error is the host's failure. What ended with
// the caller's context is neutral, unless its deadline has passed and the host had
// long been silent, in this attempt or the one before.
func blame(c *call, a *answer) {
	queued := a.dispatch.Queued()
	if a.canceled {
		silent := c.progress.hung || a.arrived.Sub(a.sent) >= c.settings.policy.Breaker.SlowAfter
		a.neutral = !a.expired || !silent || queued
		return
	}
	switch errorKind(a.err, errorFacts{
		host: c.to.url.Host, queued: queued, hung: a.hung(),
		spoilt: errors.Is(c.body.CanReplay(), replay.ErrSource), classifier: c.t.errorKind,
	}) {
	case ErrorNeutral:
		a.neutral = true
	case ErrorFinal:
		a.neutral, a.Terminal = true, true
	}
}

// attemptLimit is how long the attempt may be without headers, 0: no limit, and what
// more it may get when that is over. See Policy.AttemptTimeout. A probe has less time:
// whoever asks a server that was down a minute ago should not wait another for nothing.
func attemptLimit(c *call) (time.Duration, exchange.Overtime) {
	limit := c.opts.attemptTimeout.or(c.settings.policy.AttemptTimeout)
	switch {
	case c.permits[0].Probing() || c.permits[1].Probing():
		return min(limit, c.settings.policy.Breaker.ProbeTimeout), nil
	case limit == 0 || c.opts.attemptTimeout.set:
		return limit, nil
	}
	if deadline, ok := c.ctx.Deadline(); ok {
		limit = min(limit, halfUntil(deadline, c.now))
	}
	return limit, overtime{c}
}

// leastHalf is the least half of the time left that bounds an attempt: a shorter one
// would end attempts that are merely slow.
const leastHalf = 5 * time.Second

// halfUntil returns half of the time until a deadline, if that bounds an attempt.
func halfUntil(deadline, sent time.Time) time.Duration {
	if half := deadline.Sub(sent) / 2; half >= leastHalf {
		return half
	}
	return math.MaxInt64
}

// overtime decides whether the attempt on its way has more time. That needs what a
// call need not know as long as its attempts are answered in time.
type overtime struct{ c *call }

// Grant returns how long the attempt may take now that limit is over. Beyond
// AttemptTimeout it may as long as nothing is known against its host and endpoint:
// where they fail, waiting is in vain.
func (o overtime) Grant(limit, elapsed time.Duration) time.Duration {
	c, usual := o.c, o.c.settings.policy.AttemptTimeout
	most := mostTime(c, elapsed)
	switch e := c.to.endpoint; {
	case elapsed < usual:
		return min(usual, most)
	case !e.ofHost.circuit.Closed() || !e.circuit.Closed():
		return 0
	}
	step := max(min(time.Second, usual/4), time.Millisecond)
	return min(limit+((elapsed-limit)/step+1)*step, most)
}

// mostTime is how long the attempt on its way may be without headers if nothing is
// known against its host.
func mostTime(c *call, elapsed time.Duration) time.Duration {
	usual, sent := c.settings.policy.AttemptTimeout, c.attempt.Began
	deadline, _ := c.ctx.Deadline()
	f := factsOfRequest(c)
	f.now, f.deadline, f.pollAt = sent.Add(elapsed), deadline, c.pollAt
	left, repeated := leftAfterTimeout(c, f)
	if !repeated {
		return times(usual, 3)
	}
	most := usual
	if c.progress.timedOut {
		most = max(usual, min(times(usual, 2), left))
	}
	if !deadline.IsZero() {
		most = min(most, halfUntil(deadline, sent))
	}
	return most
}

// leftAfterTimeout returns how much longer the rule for network errors lets the call
// take; false if no other attempt would follow one that timed out now.
func leftAfterTimeout(c *call, f facts) (left time.Duration, repeated bool) {
	timeout := answer{Classification: Classification{Class: ClassNetwork}}
	var name string
	timeout.rule, name = c.settings.policy.ruleFor(timeout.Classification, &c.opts.rules)
	var counted tally
	for _, t := range c.progress.tallies {
		if t.rule == name {
			counted = *t
		}
	}
	counted.count++
	timeout.tally = &counted
	left = math.MaxInt64
	if most := timeout.rule.MaxElapsed; most > 0 {
		left = most - counted.spent
	}
	return left, decide(&timeout, f).stop == StopNone
}

// times multiplies a duration, which stays short of an overflow.
func times(d time.Duration, n int64) time.Duration {
	return min(d, math.MaxInt64/time.Duration(n)) * time.Duration(n)
}

// nextRequest makes the request of the next attempt: the caller's, the caller's
// again, or a poll. The caller's own is never changed, and no two attempts share
// anything that a base could change.
func (c *call) nextRequest(d *dispatch) StopReason {
	out := &d.Request
	if c.pollAt != nil {
		d.Copy(d, c.req, c.to.url, pollHeader(c.req.Header))
		out.Method = http.MethodGet
		out.Body, out.GetBody, out.ContentLength, out.TransferEncoding, out.Trailer = nil, nil, 0, nil, nil
	} else {
		body, err := c.body.Next(c.ctx)
		if err != nil {
			// The answer in hand is the caller's, unless it came in the middle of an upload
			// that still goes on.
			if c.answer.resp == nil || errors.Is(err, replay.ErrBusy) {
				c.end.err = clean(err)
			}
			return StopNotReplayable
		}
		d.Copy(d, c.req, c.to.url, c.req.Header)
		out.Body = body
	}
	if c.progress.first() {
		return StopNone
	}
	if c.progress.resends > 0 {
		// Okta's SDKs mark their retries so, for Okta Support to see.
		out.Header.Set("X-Okta-Retry-Count", strconv.Itoa(c.progress.resends))
		out.Header.Del("X-Okta-Retry-For")
		if id := c.answer.RequestID; id != "" {
			out.Header.Set("X-Okta-Retry-For", id)
		}
	}
	if c.t.prepareRetry != nil {
		return c.prepare(out)
	}
	return StopNone
}

// prepare has the user's hook sign a request anew.
func (c *call) prepare(out *http.Request) StopReason {
	// A clone, for the hook may also change the trailer, which is the caller's. It
	// does not get the attempt's context: that begins when the request is sent.
	before := Previous{Classification: c.answer.Classification}
	if c.answer.resp != nil {
		before.Header = c.answer.resp.Header.Clone()
	} else {
		before.Err = cleanBase(c.ctx, c.answer.err)
	}
	own := out.Clone(context.WithValue(c.ctx, previousKey{}, before))
	if own.Body != nil {
		c.attempt.reqBody = own.Body
	}
	if err := c.t.prepareRetry(own); err != nil {
		if own.Body != nil {
			own.Body.Close()
		}
		c.end.err = fmt.Errorf("oktaretry: preparing to resend %s after %s: %w", c.to.shown(), c.answer.shown(), clean(err))
		return StopPrepareFailed
	}
	*out = *own.WithContext(out.Context())
	return StopNone
}

// checkAnswer makes an error of what no RoundTripper may return.
func checkAnswer(resp *http.Response, err error) (*http.Response, error) {
	switch {
	case err != nil:
		closeResponse(resp)
		return nil, err
	case resp == nil:
		return nil, &brokenBaseError{"neither a response nor an error"}
	case resp.Body == nil:
		return nil, &brokenBaseError{"a response without a body"}
	}
	return resp, nil
}

// endAttempt records, counts and traces the attempt, once its answer is
// classified.
func (c *call) endAttempt() {
	a := &c.attempt
	if a.record == nil { // it is not, unless reporting it panicked
		c.outcome.Attempts = append(c.outcome.Attempts, Attempt{})
		a.record = &c.outcome.Attempts[len(c.outcome.Attempts)-1]
	}
	a.record.Classification = c.answer.Classification
	a.record.Start, a.record.Duration = c.answer.sent, c.answer.arrived.Sub(c.answer.sent)
	a.record.Waits, a.record.Poll = a.waits, c.progress.polls > 0
	if c.answer.err != nil {
		a.record.Err = cleanBase(c.ctx, c.answer.err)
	}
	canceled := a.canceled && left(c.ctx)
	c.report.EndAttempt(a.ctx, a.span, c.to.where(), func() telemetry.AttemptEnd { return attemptEnd(a.record, &c.answer, canceled) })
	a.dispatch = nil
}

// abandonAttempt ends an attempt that a panic of the base, of a hook or of
// reporting it has ended.
func (c *call) abandonAttempt() {
	a := &c.attempt
	if a.reqBody != nil {
		defer a.reqBody.Close()
	}
	if a.span == nil { // nothing was sent
		a.dispatch = nil
		return
	}
	a.Release()
	c.answer.Classification, c.answer.err = Classification{Class: ClassNetwork}, errPanicked
	c.answer.arrived = c.now
	c.endAttempt()
	tellAttemptEnd(c)
}

// facts are gathered where there is something to decide.
func (c *call) facts(a *answer) facts {
	if a.Class == ClassSuccess || a.rule.Action == FailFast {
		return facts{}
	}
	f := factsOfRequest(c)
	f.now, f.polling, f.pollAt = time.Now(), c.progress.polls > 0, c.pollAt
	f.deadline, _ = c.ctx.Deadline()
	if a.rule.Action == Poll {
		if target := pollTarget(a.resp, c.to.url); target != nil || a.moved {
			f.pollAt, f.repeatable = target, f.repeatable && !a.moved
		}
	}
	f.refused, f.by = c.to.refusesFor(f.now)
	return f
}

// factsOfRequest are what the request itself says of sending it again.
func factsOfRequest(c *call) facts {
	f := facts{noRetry: c.opts.noRetry, once: c.t.signedOnce(c.req), token: c.to.route.Token}
	if f.token {
		f.idempotent = c.opts.idempotent || c.t.prepareRetry != nil // which signs it anew
	} else {
		f.idempotent = idempotent(c.to.method, c.req.Header, &c.to.route, c.opts)
	}
	f.repeatable = repeatable(c.to.method, &c.to.route)
	f.replayable = c.body.CanReplay() == nil
	return f
}

// claim takes what the next attempt needs: the body and, after an error, a resend
// from the budget. The answer is kept in case no better one comes.
func (c *call) claim(next step) StopReason {
	if next.pollAt == nil && c.body.Hold() != nil {
		return StopNotReplayable
	}
	if next.resend {
		if !c.to.endpoint.host.budget.Withdraw(time.Now()) {
			return StopBudget
		}
		c.progress.withdrawn = true
	}
	c.pollAt = next.pollAt
	if next.poll {
		if c.pollAt != nil {
			c.aim(http.MethodGet, c.pollAt)
		}
		c.progress.polls++
		c.progress.resends = 0
	} else {
		c.progress.resends++
	}
	exchange.Free(c.ctx, c.answer.resp)
	return StopNone
}

// signedOnce reports whether a request holds a proof that is valid once, and no
// hook signs it anew.
func (t *Transport) signedOnce(req *http.Request) bool {
	return t.prepareRetry == nil && hasDPoP(req.Header)
}

// closeResponse drops a response. What is worth reading for the sake of its
// connection was read when it was classified.
func closeResponse(resp *http.Response) {
	if resp != nil && resp.Body != nil {
		resp.Body.Close()
	}
}
