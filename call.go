// This file holds a call's state and how it ends.

package oktaretry

import (
	"context"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/oktaretry/oktaretry/internal/circuit"
	"github.com/oktaretry/oktaretry/internal/pace"
	"github.com/oktaretry/oktaretry/internal/replay"
	"github.com/oktaretry/oktaretry/internal/route"
	"github.com/oktaretry/oktaretry/internal/telemetry"
	"github.com/oktaretry/oktaretry/internal/wire"
)

// call is one RoundTrip. It is for one goroutine.
type call struct {
	t        *Transport
	settings *settings
	req      *http.Request // the caller's; never changed
	opts     *callOptions
	ctx      context.Context // the caller's, with the call's span
	told     telemetry.Call
	start    time.Time
	now      time.Time // the last look at the clock; good for what takes no time
	hasBody  bool
	body     replay.Body

	// Where the next attempt goes. Polling moves it.
	method     string
	target     *url.URL
	route      route.Route
	endpoint   *endpoint
	origin     *endpoint // where it went first
	nextTarget *url.URL  // where to ask for a pending answer's result; nil: by the same request

	// What the attempt in flight holds.
	ticket  pace.Ticket
	permits [2]circuit.Permit // the host's and the endpoint's
	attempt attempt

	answer    answer // the last one, until another takes its place
	tallies   []*tally
	resends   int // of the present request
	polls     int
	withdrawn bool // from the budget, for a resend that was not sent yet

	waits     []Wait // since the last attempt
	needed    time.Duration
	refusedBy Scope
	failure   error // of what had to be done before a resend
	done      bool
	telling   bool // of its end; for good, if that panicked
	outcome   Outcome
}

// answer is what an attempt brought: a response or an error.
type answer struct {
	Classification
	resp     *http.Response
	exchange *exchange // that brought it
	err      error
	canceled bool // the caller's context ended it
	sent     time.Time
	arrived  time.Time
	limits   wire.Limits
	rule     Rule
	tally    *tally
	wait     time.Duration // before the next attempt, by the rule
	held     bool          // the bucket holds all its calls that long
}

func (a *answer) any() bool { return a.resp != nil || a.err != nil }

// tally returns the call's tally of a rule, begun now if it is new.
func (c *call) tally(rule string, now time.Time) *tally {
	for _, t := range c.tallies {
		if t.rule == rule {
			return t
		}
	}
	t := &tally{rule: rule, since: now}
	c.tallies = append(c.tallies, t)
	return t
}

// sleep waits and reports whether it was to the end.
func (c *call) sleep(w Wait) bool {
	began := time.Now()
	c.told.Waiting(c.where(), w.Reason.String(), w.Duration)
	whole := pauseFor(c.ctx, w.Duration, nil)
	c.now = time.Now()
	c.waitedFor(Wait{w.Reason, c.now.Sub(began)}, began)
	return whole
}

// waitedFor notes a wait that has ended.
func (c *call) waitedFor(w Wait, began time.Time) {
	if w.Duration > 0 {
		c.waits = append(c.waits, w)
		c.told.Waited(c.where(), w.Reason.String(), w.Duration, began)
	}
}

// pauseFor waits for d, a value on wake or the end of ctx. It is false when
// ctx has ended.
func pauseFor(ctx context.Context, d time.Duration, wake <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-wake:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}

// refuse ends a call that was never begun.
func (c *call) refuse(err error) (*http.Response, error) {
	if c.req.Body != nil {
		c.req.Body.Close()
	}
	c.done = true
	if c.opts.recorder != nil {
		c.opts.recorder.add(Outcome{
			Classification: Classification{Class: ClassNetwork},
			Method:         telemetry.ShownMethod(c.method), Stop: StopInvalid, Start: c.start, Err: err,
		})
	}
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
	if resp != nil {
		resp.Request = c.answer.exchange.conclude(&c.outcome, c.origin, c.req)
	}
	return resp, err
}

// verdict turns the last answer and the reason for stopping into what RoundTrip
// returns.
func (c *call) verdict(stop StopReason) (*http.Response, error) {
	a := &c.answer
	switch {
	case c.failure != nil:
		return nil, c.failure
	case !a.any():
		return nil, c.refusal(stop)
	case a.Class == ClassRateLimited && a.resp != nil && !c.keepsRateLimited():
		return nil, c.rateLimitError(stop)
	case a.Class == ClassPending && stop != StopNoPollTarget && stop != StopNotReplayable && stop != StopFailFast && stop != StopNoRetry:
		return nil, c.pendingError(stop)
	case a.canceled:
		return nil, matching(clean(a.err), c.ended())
	case stop == StopCanceled:
		return nil, c.interrupted()
	case a.err != nil:
		return nil, clean(a.err)
	}
	return a.resp, nil
}

// ended says why the caller's context has ended, if it has. That its deadline
// has passed, it notices a moment later itself.
func (c *call) ended() error {
	err := c.ctx.Err()
	if deadline, ok := c.ctx.Deadline(); err == nil && ok && !c.now.Before(deadline) {
		return context.DeadlineExceeded
	}
	return err
}

// keepsRateLimited reports whether a final 429 is handed back as a response.
func (c *call) keepsRateLimited() bool {
	return c.settings.policy.ReturnRateLimited || c.signed()
}

// release gives back what the call holds. It does no harm twice.
func (c *call) release() {
	c.ticket.Leave(c.now)
	c.reportCircuits(TripsNothing, circuit.Neutral)
	if c.withdrawn {
		c.withdrawn = false
		c.endpoint.host.budget.refund(time.Now())
	}
	c.body.Close()
}

// conclude writes the outcome and tells whoever wants to know.
func (c *call) conclude(stop StopReason, err error) {
	c.done = true
	c.outcome.Classification = c.answer.Classification
	if !c.answer.any() {
		// Nothing was answered: that is no success.
		c.outcome.Class = ClassNetwork
		if _, limited := err.(*RateLimitError); limited {
			c.outcome.Class = ClassRateLimited
		}
	}
	c.outcome.Stop, c.outcome.Needed = stop, c.needed
	c.outcome.Elapsed = c.now.Sub(c.start)
	c.outcome.Waits, c.outcome.Err = c.waits, err
	if c.opts.recorder != nil {
		c.opts.recorder.add(c.outcome.clone())
	}
	c.telling = true
	c.told.End(c.originally(), c.where(), func() telemetry.CallEnd { return callEnd(&c.outcome, c.left(), c.refusedBy) })
	c.telling = false
}

// cleanUp runs when RoundTrip leaves. After a panic of the base, or of a hook,
// it is what keeps circuits, counters and spans right.
func (c *call) cleanUp() {
	if c.telling {
		closeResponse(c.answer.resp) // nobody will get it
		return
	}
	if c.done {
		c.recycle()
		return
	}
	c.now = time.Now()
	defer c.giveUp() // also where telling of the attempt panics, too
	if c.attempt.exchange != nil {
		c.abandonAttempt()
	}
}

// giveUp gives back what a call holds that a panic has ended, and concludes it.
func (c *call) giveUp() {
	if c.target == nil { // it never got past its check
		if c.req.Body != nil {
			c.req.Body.Close()
		}
		return
	}
	c.release()
	closeResponse(c.answer.resp)
	if c.told.Started() {
		c.conclude(StopNone, errPanicked)
	}
}

// calls are those that have ended, for others to come. Nobody refers to a call
// but its RoundTrip, so it can be used again once that has left; after a panic
// it is left alone.
var calls = sync.Pool{New: func() any { return new(call) }}

// recycle forgets all that the call was about.
func (c *call) recycle() {
	attempts, tallies, told := c.outcome.Attempts, c.tallies, c.told.Reset()
	clear(attempts)
	clear(tallies)
	*c = call{}
	c.tallies, c.told = tallies[:0], told
	if cap(attempts) <= maxRecycled {
		c.outcome.Attempts = attempts[:0]
	}
	calls.Put(c)
}

// maxRecycled bounds what one long call leaves to others.
const maxRecycled = 8
