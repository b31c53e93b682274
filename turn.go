// This file holds how a call acquires its turn: its own pause after an answer,
// and its place in the rate-limit bucket.

package oktaretry

import (
	"context"
	"time"

	"github.com/oktaretry/oktaretry/internal/pace"
	"github.com/oktaretry/oktaretry/shared"
)

// pause waits as an answer asked and reports whether it did to the end.
func (c *call) pause(w Wait) bool {
	began := time.Now()
	c.report.Waiting(c.to.where(), w.Reason.String(), w.Duration)
	whole := sleep(c.ctx, w.Duration, nil)
	c.now = time.Now()
	c.answer.tally.spent += c.now.Sub(began)
	c.recordWait(Wait{w.Reason, c.now.Sub(began)}, began)
	return whole
}

// acquireTurn waits until the bucket has a place for the call.
func (c *call) acquireTurn() StopReason {
	if c.ctx.Err() != nil {
		return StopCanceled
	}
	if !c.progress.first() {
		c.now = time.Now()
	}
	var kind pace.Kind
	if !c.to.named { // what the user counts together is not split
		kind = &c.to
	}
	c.t.governor.Enter(&c.ticket, c.now, pace.Key{
		Host:       c.to.endpoint.host.org,
		Credential: c.t.keys.Of(first(c.req.Header["Authorization"]), c.t.callerOf(c.req, &c.to)),
		Bucket:     c.to.route.Bucket,
	}, pace.Call{
		Priority: pace.Priority(c.opts.priority), Returning: c.answer.any(), Kind: kind,
		Traits: pace.Traits{Narrow: c.to.route.Login, Bursts: c.to.route.Bursts},
	}, &c.to.endpoint.bucket)
	wait, why := ready(c, c.now)
	if wait > 0 {
		return c.waitInLine(wait, why)
	}
	if s := c.t.sharing; s != nil && !s.questions.Saturated() {
		c.askStore(c.ticket.StoreProbe(c.now))
	}
	return StopNone
}

// ready asks for the call's turn. The call may have moved to a part of its bucket.
func ready(c *call, now time.Time) (time.Duration, pace.Reason) {
	wait, why := c.ticket.Ready(now)
	c.to.bucket = c.ticket.Bucket()
	if c.to.endpoint == c.origin {
		c.outcome.Bucket = c.to.bucket
	}
	return wait, why
}

// waitInLine waits for the call's turn. The line is progress, so no rule bounds
// it but one that never waits for a rate limit: the context and Pace.MaxWait do.
func (c *call) waitInLine(wait time.Duration, why pace.Reason) StopReason {
	began := c.now
	deadline, _ := c.ctx.Deadline()
	rule, _ := c.settings.policy.ruleFor(Classification{Class: ClassRateLimited}, &c.opts.rules)
	most := c.settings.policy.Pace.MaxWait
	if most > 0 && c.answer.held {
		most += min(c.answer.wait, longestMean) // what its own refusal ordered is not the line's
	}
	var waited [waitReasons]time.Duration // the line can come to wait for something else
	stop, logged := StopNone, false
	for now := began; wait > 0 && stop == StopNone; {
		if why == pace.Ask && c.ctx.Err() == nil && c.askStore(c.ticket.StoreRequest(time.Now())) {
			now = time.Now()
			wait, why = ready(c, now)
			continue
		}
		reason := waitReason(why)
		if rule.Action == FailFast && (why == pace.Held || why == pace.Exhausted) {
			stop, c.end.needed = StopFailFast, wait
			break
		}
		if stop = fitsLine(wait, now.Sub(began), most, deadline, now); stop != StopNone {
			c.end.needed = wait
			break
		}
		if !logged { // the wait can grow while it lasts
			logged = c.report.Waiting(c.to.where(), reason.String(), now.Sub(began)+wait)
		}
		nap := c.ticket.Nap(wait)
		if most > 0 {
			nap = min(nap, max(wait, most-now.Sub(began)))
		}
		if !sleep(c.ctx, nap, c.ticket.Wake()) {
			stop = StopCanceled
			c.end.needed = max(wait-time.Since(now), 0)
		}
		before := now
		now = time.Now()
		c.now = now
		waited[reason] += now.Sub(before)
		if stop == StopNone {
			wait, why = ready(c, now)
		}
	}
	if c.answer.held { // of the line, what the call's own refusal ordered
		c.answer.tally.spent += min(c.now.Sub(began), c.answer.wait)
	}
	for reason, d := range waited {
		c.recordWait(Wait{WaitReason(reason), d}, began)
		began = began.Add(d)
	}
	return stop
}

// waitReason is what a call in line waits for, in the words of an Outcome.
func waitReason(r pace.Reason) WaitReason {
	switch r {
	case pace.Ceiling:
		return WaitCeiling
	case pace.Slot:
		return WaitConcurrency
	}
	return WaitRateLimit
}

// recordWait records a wait that has ended.
func (c *call) recordWait(w Wait, began time.Time) {
	if w.Duration > 0 {
		c.waits = append(c.waits, w)
		c.report.Waited(c.to.where(), w.Reason.String(), w.Duration, began)
	}
}

// askStore puts a bucket's question to the store and reports whether there was
// one.
func (c *call) askStore(e *pace.StoreRequest) bool {
	if e == nil {
		return false
	}
	s := c.t.sharing
	asked := false
	defer func() {
		if !asked { // the user's function panicked: the bucket must not wait for an answer
			e.Failed()
		}
	}()
	b := shared.Bucket{
		Host: c.to.endpoint.host.org, Bucket: e.Bucket(), Credential: s.credential(c.req, c.t.callerOf(c.req, &c.to)),
	}
	asked = true
	e.Name(b)
	s.lease(c.ctx, b, e)
	c.now = time.Now()
	return true
}

// sleep waits for d, for a value on wake, or until ctx ends. It is false when ctx
// has ended.
func sleep(ctx context.Context, d time.Duration, wake <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-wake:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}
