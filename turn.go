// This file holds how a call acquires its turn: its own pause after an answer,
// and its place in the rate-limit bucket.

package oktaretry

import (
	"context"
	"slices"
	"time"

	"github.com/oktaretry/oktaretry/internal/pace"
	"github.com/oktaretry/oktaretry/internal/telemetry"
	"github.com/oktaretry/oktaretry/shared"
)

// pause waits as an answer asked and reports whether it did to the end.
func (c *call) pause(w Wait) bool {
	began := time.Now()
	end := began.Add(w.Duration)
	logWait(c, w.Reason, w.Duration, began)
	tellWaitStart(c, w.Reason, w.Duration)
	whole := nap(c, time.Until(end), nil)
	for whole && time.Until(end) > 0 {
		c.report.LogProgress(time.Now())
		whole = nap(c, time.Until(end), nil)
	}
	c.now = time.Now()
	c.answer.tally.spent += c.now.Sub(began)
	before := len(c.waits)
	c.recordWait(Wait{w.Reason, c.now.Sub(began)}, began)
	endWait(c, began, before)
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
	enterLine(c)
	wait, why := ready(c, c.now)
	if wait > 0 {
		if stop := c.waitInLine(wait, why); stop != StopNone {
			return stop
		}
	} else {
		tellReopened(c)
	}
	if s := c.t.sharing; s != nil && !s.questions.Saturated() {
		c.askStore(c.ticket.StoreProbe(c.now))
	}
	return StopNone
}

// enterLine puts the call into the line of its bucket.
func enterLine(c *call) {
	var kind pace.Kind
	if !c.to.named { // what the user counts together is not split
		kind = &c.to
	}
	c.t.governor.Enter(&c.ticket, c.now, pace.Key{
		Host:       c.to.endpoint.host.org,
		Credential: c.t.keys.Of(first(c.req.Header["Authorization"]), c.t.callerOf(c.req, &c.to)),
		Bucket:     c.to.route.Bucket,
	}, pace.Call{
		Priority: pace.Priority(c.opts.priority), Returning: c.answer.any(), Kind: kind, URL: c.to.url,
		Traits: pace.Traits{Narrow: c.to.route.Login, Bursts: c.to.route.Bursts},
	}, &c.to.endpoint.bucket)
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
	longest := c.settings.policy.Pace.MaxWait
	if longest > 0 && c.answer.held {
		longest += min(c.answer.wait, longestMean) // what its own refusal ordered is not the line's
	}
	var waited lineWaits
	stop, logged, told := StopNone, false, false
	for now := began; wait > 0 && stop == StopNone; {
		if why == pace.Ask && c.ctx.Err() == nil && c.askStore(c.ticket.StoreRequest(time.Now())) {
			before := now
			now = c.now
			waited.add(why, now.Sub(before))
			wait, why = ready(c, now)
			continue
		}
		reason := waitReason(why)
		if rule.Action == FailFast && why.NamesAWait() {
			stop, c.end.needed = StopFailFast, wait
			break
		}
		if stop = fitsLine(wait, now.Sub(began), longest, deadline, now); stop != StopNone {
			c.end.needed = wait
			break
		}
		if !told {
			if told = true; tellWaitStartOutOfLine(c, reason, wait) {
				before := now
				now = time.Now()
				c.now = now
				waited.add(why, now.Sub(before))
				if c.ctx.Err() != nil {
					stop, c.end.needed = StopCanceled, max(wait-now.Sub(before), 0)
					break
				}
				enterLine(c)
				wait, why = ready(c, now)
				continue
			}
		}
		watchLoss(c)
		mark := c.ticket.Mark(now, why)
		if !logged { // the wait can grow while it lasts
			logged = logWait(c, reason, now.Sub(began)+wait, began)
		}
		c.report.WaitIsNow(reason.String(), now.Add(wait))
		c.report.LogProgress(now)
		most := c.ticket.Nap(wait)
		if longest > 0 {
			most = min(most, max(wait, longest-now.Sub(began)))
		}
		if !nap(c, most-time.Since(now), c.ticket.Wake()) {
			stop = StopCanceled
			c.end.needed = max(wait-time.Since(now), 0)
		}
		now = time.Now()
		c.now = now
		for why, d := range mark.Until(now) {
			waited.add(pace.Reason(why), d)
		}
		if stop == StopNone {
			wait, why = ready(c, now)
		}
	}
	if c.answer.held { // of the line, what the call's own refusal ordered
		c.answer.tally.spent += min(c.now.Sub(began), c.answer.wait)
	}
	c.waits = slices.Grow(c.waits, waited.n)
	at, before := began, len(c.waits)
	for _, w := range waited.list[:waited.n] {
		c.recordWait(w, at)
		at = at.Add(w.Duration)
	}
	if told {
		endWait(c, began, before)
	}
	tellReopened(c)
	return stop
}

// logWait logs a wait that begins, if it is long enough, and what made the call wait.
func logWait(c *call, reason WaitReason, atMost time.Duration, began time.Time) bool {
	if !c.report.LogsWait(atMost) {
		return false
	}
	s := telemetry.WaitStart{Reason: reason.String(), AtMost: atMost, Attempts: len(c.outcome.Attempts)}
	if c.answer.any() {
		s.Result = resultOf(c.answer.Classification, c.answer.err)
	}
	c.report.LogWait(c.to.where(), began, s)
	return true
}

// lineWaits are the waits of one call in line, one for each reason, in the order in
// which the reasons came up.
type lineWaits struct {
	list [waitReasons]Wait
	n    int
}

func (l *lineWaits) add(why pace.Reason, d time.Duration) {
	if d <= 0 {
		return
	}
	reason := waitReason(why)
	for i := range l.list[:l.n] {
		if l.list[i].Reason == reason {
			l.list[i].Duration += d
			return
		}
	}
	l.list[l.n] = Wait{reason, d}
	l.n++
}

// waitReason is what a call in line waits for, in the words of an Outcome.
func waitReason(r pace.Reason) WaitReason {
	switch r {
	case pace.Held, pace.Exhausted:
		return WaitRateLimit
	case pace.Turn, pace.Leased:
		return WaitTurn
	case pace.Ceiling, pace.Reserved:
		return WaitCeiling
	case pace.Slot:
		return WaitConcurrency
	}
	return WaitLearning
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
			e.Withdraw()
		}
	}()
	b := storeBucket(c, e.Bucket())
	asked = true
	e.Name(b)
	s.lease(c.ctx, b, e)
	c.now = time.Now()
	return true
}

// storeBucket returns what identifies a bucket of the call's to the store.
func storeBucket(c *call, name string) shared.Bucket {
	return shared.Bucket{
		Host: c.to.endpoint.host.org, Bucket: name, Credential: c.t.sharing.credential(c.req, c.t.callerOf(c.req, &c.to)),
	}
}

// watchLoss has a lost store probed while the call waits, unless it is already.
func watchLoss(c *call) {
	s := c.t.sharing
	if s == nil || !c.ticket.LossUnwatched() {
		return
	}
	if w, after, ok := c.ticket.WatchLoss(storeBucket(c, c.ticket.Bucket())); ok {
		s.probeLost(w, after)
	}
}

// nap sleeps no longer than until the next log line about the wait is due.
func nap(c *call, d time.Duration, wake <-chan struct{}) bool {
	if p := c.report.UntilProgress(time.Now()); p > 0 {
		d = min(d, p)
	}
	return sleep(c.ctx, d, wake)
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
