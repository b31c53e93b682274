// This file holds what one call knows, who writes it, and how the call ends.

package oktaretry

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/oktaretry/oktaretry/internal/circuit"
	"github.com/oktaretry/oktaretry/internal/pace"
	"github.com/oktaretry/oktaretry/internal/replay"
	"github.com/oktaretry/oktaretry/internal/route"
	"github.com/oktaretry/oktaretry/internal/telemetry"
)

// call is one RoundTrip. It is for one goroutine. The comments name the steps
// that write a field, beside newCall.
type call struct {
	t        *Transport
	settings *settings
	req      *http.Request // the caller's; never changed
	opts     *callOptions
	ctx      context.Context // the caller's, with the call's span: begin
	report   telemetry.Call
	now      time.Time   // the last look at the clock; valid for what takes no time
	phase    phase       // begin, conclude, refuse
	outcome  Outcome     // check, endAttempt, conclude
	body     replay.Body // check

	to     destination // of the next attempt: check, claim
	origin *endpoint   // of the caller's own request: check
	pollAt *url.URL    // where to ask for a pending answer's result; nil: by the same request: claim

	ticket  pace.Ticket       // acquireTurn, learn
	permits [2]circuit.Permit // the host's and the endpoint's: passCircuits, learn
	attempt attempt           // on its way: send, judge
	answer  answer            // the last one, until another takes its place: send, judge, learn

	progress progress // judge, claim, send
	waits    []Wait   // since the last attempt: acquireTurn, pause, send
	end      ending
}

// phase is how far a call has come. It decides what is left to do when a panic of
// the base, or of a hook, ends the call.
type phase uint8

const (
	checking  phase = iota // only the caller's body is held
	begun                  // permits, places and an attempt may be held, and a span is open
	reporting              // the outcome is complete; a call stays here if reporting it panics
	ended                  // nothing is held
)

// destination is where a request goes.
type destination struct {
	method   string
	url      *url.URL
	host     string // that the request is for, in the caller's letters: see hostFor
	route    route.Route
	endpoint *endpoint
	bucket   string // as it is shown: that of the route, or a part of it: aim, acquireTurn
	named    bool   // the user has named the bucket
}

// KindID and KindName make a destination what pace tells apart in a bucket.
func (d *destination) KindID() uint64 {
	return route.KindID(d.method, d.route.Template, d.url.RawQuery)
}

func (d *destination) KindName() string {
	return route.KindName(telemetry.ShownMethod(d.method), d.route.Template, d.url.RawQuery)
}

// where is the destination as telemetry takes it.
func (d *destination) where() telemetry.Where {
	return telemetry.Where{Endpoint: &d.endpoint.labels, URL: d.url, Bucket: d.bucket}
}

// shown is the destination as error texts show it.
func (d *destination) shown() string {
	return telemetry.ShownMethod(d.method) + " " + d.host + d.route.Template
}

// circuitOpenError is the error of a call that a circuit of the destination refuses.
func (d *destination) circuitOpenError(by Scope, retryAfter time.Duration) *CircuitOpenError {
	place := ofEndpoint
	if by == TripsHost {
		place = ofHost
	}
	e := &CircuitOpenError{
		Scope: by, Method: telemetry.ShownMethod(d.method), Host: d.host, Template: d.route.Template,
		RetryAfter: retryAfter,
	}
	e.Class, e.Code, e.Failure, e.Since = openedBy(d.endpoint.circuits()[place])
	return e
}

// progress is how often a call was answered and sent again.
type progress struct {
	tallies   []*tally // by rule
	resends   int      // of the present request
	polls     int
	timedOut  bool // an attempt had all of AttemptTimeout
	hung      bool // the last attempt, until its own time limit
	moved     bool // the last answer was a poll's redirect
	withdrawn bool // from the budget, for a resend that was not sent yet
}

// first reports whether the caller's request goes out for the first time.
func (p *progress) first() bool { return p.resends == 0 && p.polls == 0 }

// tally returns the tally of a rule, begun now if it is new.
func (p *progress) tally(rule string) *tally {
	for _, t := range p.tallies {
		if t.rule == rule {
			return t
		}
	}
	t := &tally{rule: rule}
	p.tallies = append(p.tallies, t)
	return t
}

// ending is what is known of a call's end besides its last answer.
type ending struct {
	needed time.Duration // what a wait that was not begun would have taken, or its rest
	by     Scope         // the circuit that refused
	err    error         // of what had to be done before a resend
	forget func()        // about Request.Cancel; nil where there is none
}

// calls are those that have ended, to be used again: that saves 2 allocations and
// 1.4 KB a call. Nothing refers to a call but its RoundTrip; after a panic it is
// left alone.
var calls = sync.Pool{New: func() any { return new(call) }}

// newCall returns a call that has done nothing yet.
func (t *Transport) newCall(req *http.Request) *call {
	c := calls.Get().(*call)
	c.t, c.settings, c.req, c.ctx = t, t.settings.Load(), req, req.Context()
	c.now = time.Now()
	c.outcome.Start = c.now
	c.opts = callOptionsOf(c.ctx)
	if c.to.method = req.Method; c.to.method == "" {
		c.to.method = http.MethodGet
	}
	return c
}

// begin opens the span of the whole call.
func (c *call) begin() {
	c.phase = begun
	//lint:ignore SA1019 http.Client sets it
	if canceled := c.req.Cancel; canceled != nil {
		c.ctx, c.end.forget = obey(c.ctx, canceled)
	}
	c.ctx = c.report.Start(c.ctx, c.t.telemetry, c.to.where())
	if c.report.Recording() {
		c.now = time.Now() // no wait begins before the span
	}
}

// errRequestCanceled is the cause of a call's end by its Request.Cancel, with
// net/http's text.
var errRequestCanceled = errors.New("net/http: request canceled")

// obey returns a context that also ends when canceled is closed, as a Request.Cancel
// is: by http.Client when its Timeout has passed, over any transport that is not
// net/http's own. forget frees what that takes.
func obey(parent context.Context, canceled <-chan struct{}) (ctx context.Context, forget func()) {
	ctx, cancel := context.WithCancelCause(parent)
	select {
	case <-canceled:
		cancel(errRequestCanceled)
		return ctx, func() {}
	default:
	}
	go func() {
		select {
		case <-ctx.Done():
			return
		case <-canceled:
		}
		// The Timeout is a deadline of the context, too, and that says more.
		if deadline, ok := parent.Deadline(); ok && !time.Now().Before(deadline) {
			<-parent.Done()
		}
		cancel(errRequestCanceled)
	}()
	return ctx, func() { cancel(nil) }
}

// refuse ends a call that was never begun.
func (c *call) refuse(err error) (*http.Response, error) {
	if c.req.Body != nil {
		c.req.Body.Close()
	}
	c.phase = ended
	c.outcome = Outcome{
		Classification: Classification{Class: ClassNetwork},
		Method:         telemetry.ShownMethod(c.to.method), Stop: StopInvalid, Start: c.outcome.Start, Err: err,
	}
	if c.opts.recorder != nil {
		c.opts.recorder.add(c.outcome)
	}
	tellCallEnd(c)
	return nil, err
}

// finish ends the call and returns what is the caller's.
func (c *call) finish(stop StopReason) (*http.Response, error) {
	resp, err := c.verdict(stop)
	c.release()
	if resp == nil {
		closeResponse(c.answer.resp)
	}
	c.conclude(stop, err)
	forget := c.end.forget
	switch {
	case resp != nil:
		resp.Request = c.answer.dispatch.conclude(&c.outcome, c.origin, c.req)
		if forget != nil {
			context.AfterFunc(c.answer.dispatch, forget) // when its body is closed
		}
	case forget != nil:
		forget()
	}
	return resp, err
}

// verdict turns the last answer and the reason for stopping into what RoundTrip
// returns.
func (c *call) verdict(stop StopReason) (*http.Response, error) {
	a := &c.answer
	switch {
	case c.end.err != nil:
		return nil, c.end.err
	case !a.any():
		return nil, c.refusal(stop)
	case a.Class == ClassRateLimited && a.resp != nil && !c.settings.policy.ReturnRateLimited:
		return nil, c.rateLimitError(stop)
	case a.Class == ClassPending && (a.moved || !handsPendingBack(stop)):
		return nil, c.pendingError(stop)
	case a.canceled:
		return nil, matching(cleanBase(c.ctx, a.err), contextErr(c.ctx, c.now))
	case stop == StopCanceled:
		return nil, &interruptedError{
			text:  "oktaretry: gave up waiting to resend " + c.to.shown() + " after " + a.shown(),
			cause: causeOf(c.ctx),
		}
	case a.err != nil:
		return nil, cleanBase(c.ctx, a.err)
	}
	return a.resp, nil
}

// handsPendingBack reports whether a pending answer comes back as Okta sent it:
// where it was never to be polled, or could not be.
func handsPendingBack(stop StopReason) bool {
	return stop == StopNoPollTarget || stop == StopNotReplayable || stop == StopFailFast || stop == StopNoRetry
}

// refusal is the error of a call that sent nothing and has no answer.
func (c *call) refusal(stop StopReason) error {
	switch {
	case stop == StopCircuitOpen:
		return c.to.circuitOpenError(c.end.by, c.end.needed)
	case stop == StopCanceled && len(c.waits) == 0:
		return causeOf(c.ctx)
	}
	return c.rateLimitError(stop)
}

// rateLimitError is the error of a 429 that is given up, or of a bucket that is
// closed for too long.
func (c *call) rateLimitError(stop StopReason) error {
	a := &c.answer
	e := &RateLimitError{
		Code: shownCode(a.Code), RequestID: a.RequestID,
		Method: telemetry.ShownMethod(c.to.method), Host: c.to.host, Template: c.to.route.Template, Bucket: c.to.bucket,
		Limit: a.limits.Limit, ClientSide: a.resp == nil,
		Attempts: len(c.outcome.Attempts), Stop: stop, cause: endOfContext(c.ctx, stop), left: untilDeadline(c.ctx),
	}
	from, left := a.arrived, a.wait
	if e.ClientSide {
		e.Limit = -1
	}
	if e.ClientSide || len(c.waits) > 0 {
		from = time.Now() // a part of the wait is over, or it has become another
		left -= from.Sub(a.arrived)
	}
	e.RetryAfter = max(left, c.end.needed)
	e.Reset = from.Add(e.RetryAfter)
	return e
}

// pendingError is the error of a challenge that nobody has answered in time.
func (c *call) pendingError(stop StopReason) error {
	a := &c.answer
	polls := 0
	for i := range c.outcome.Attempts {
		if c.outcome.Attempts[i].Poll {
			polls++
		}
	}
	return &PendingError{
		Code: shownCode(a.Code), RequestID: a.RequestID,
		Method: telemetry.ShownMethod(c.to.method), Host: c.to.host, Template: c.to.route.Template,
		RetryAfter: max(a.wait, c.end.needed), Polls: polls, Stop: stop, cause: endOfContext(c.ctx, stop), left: untilDeadline(c.ctx),
	}
}

// contextErr returns why a context has ended by now; nil if it has not. A context
// notices a little late that its deadline has passed.
func contextErr(ctx context.Context, now time.Time) error {
	err := ctx.Err()
	if deadline, ok := ctx.Deadline(); err == nil && ok && !now.Before(deadline) {
		return context.DeadlineExceeded
	}
	return err
}

// untilDeadline returns what is left of a context; 0 if it has no deadline.
func untilDeadline(ctx context.Context) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return 0
	}
	return max(time.Until(deadline), 0)
}

// left reports whether the caller canceled the call, which is no error. That its
// deadline passed is one.
func left(ctx context.Context) bool { return errors.Is(ctx.Err(), context.Canceled) }

// release returns what the call holds. A second release does nothing.
func (c *call) release() {
	c.ticket.Leave(c.now)
	c.reportCircuits(both(circuit.Neutral))
	if c.progress.withdrawn {
		c.progress.withdrawn = false
		c.to.endpoint.host.budget.Refund(time.Now())
	}
	c.body.Close()
}

// conclude completes the outcome and reports it.
func (c *call) conclude(stop StopReason, err error) {
	o := &c.outcome
	o.Classification = c.answer.Classification
	if !c.answer.any() { // nothing was answered: that is no success
		o.Class = ClassNetwork
		switch e := err.(type) {
		case *RateLimitError:
			o.Class = ClassRateLimited
		case *CircuitOpenError:
			o.Class, o.Code = e.Class, e.Code
		}
	}
	o.Stop, o.Needed, o.Elapsed, o.Waits, o.Err = stop, c.end.needed, c.now.Sub(o.Start), c.waits, err
	c.phase = reporting
	if c.opts.recorder != nil {
		c.opts.recorder.add(o.clone())
	}
	if stop != StopSuccess {
		c.t.givenUp.add(o, c.origin, left(c.ctx))
	}
	c.report.End(originWhere(c), c.to.where(), func() telemetry.CallEnd { return callEnd(o, left(c.ctx), c.end.by) })
	tellCallEnd(c)
	c.phase = ended
}

// originWhere is where the caller's own request goes.
func originWhere(c *call) telemetry.Where {
	return telemetry.Where{Endpoint: &c.origin.labels, URL: c.req.URL, Bucket: c.outcome.Bucket}
}

// cleanUp runs when RoundTrip returns. After a panic of the base, or of a hook,
// it keeps circuits, counters and spans right.
func (c *call) cleanUp() {
	if c.phase != ended && c.end.forget != nil {
		defer c.end.forget()
	}
	switch c.phase {
	case ended:
		c.recycle()
	case reporting:
		closeResponse(c.answer.resp) // nobody gets it
	case checking:
		if c.req.Body != nil {
			c.req.Body.Close()
		}
	default:
		c.now = time.Now()
		defer func() { // also where reporting the attempt panics, too
			c.release()
			closeResponse(c.answer.resp)
			if c.report.Started() {
				c.conclude(StopNone, errPanicked)
			}
		}()
		if c.attempt.dispatch != nil {
			c.abandonAttempt()
		}
	}
}

// recycle forgets everything about the call.
func (c *call) recycle() {
	attempts, tallies, report := c.outcome.Attempts, c.progress.tallies, c.report.Reset()
	clear(attempts)
	clear(tallies)
	*c = call{}
	c.progress.tallies, c.report = tallies[:0], report
	if cap(attempts) <= maxRecycled {
		c.outcome.Attempts = attempts[:0]
	}
	calls.Put(c)
}

// maxRecycled bounds what one long call leaves to later ones.
const maxRecycled = 8
