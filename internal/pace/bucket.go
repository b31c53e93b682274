// This file holds one bucket: the decision whether the next call of its line may
// be sent, and what the end of a call changes.

package pace

import (
	"cmp"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// bucket is one rate-limit bucket of one host and credential.
type bucket struct {
	cfg  *atomic.Pointer[Config] // the governor's; never changed
	key  Key                     // never changed
	host *host                   // never changed
	refs atomic.Int64            // tickets and requests that refer to this bucket; negative once it was dropped

	split atomic.Pointer[split] // nil until the bucket's answers name several limits; by compare, of a part by findPart

	wantsSlot bool // it stands in host.waiting; by host's line, under host.mu

	mu        sync.Mutex // guards all below
	usedAt    time.Time  // when a call last asked or ended; by ready and done
	line      line       // by ready, left and done
	blockedBy *causes    // nil until a call waits; by ready and spreadLine
	inFlight  int        // by ready, left and done
	sent      uint64     // calls ever; by ready
	slots     slots      // of its own
	window    window
	refusals  *refusals     // nil before the first one
	heldAt    time.Time     // when the last refusal held the bucket; by hold
	heldUntil time.Time     // no call is sent before; by hold, lift and, once it is over, gate
	nextAt    time.Time     // the next call is not sent before; by ready and gate
	smooth    *rate.Limiter // spreads calls over the window; nil until it is needed; by smoothly
	lastReset localReset    // of the last answer
	lease     *lease        // nil: no store is shared with other processes; never changed

	// After a wait of all, the calls in line go one by one, step apart, until
	// stepUntil; by spreadLine.
	step      time.Duration
	stepUntil time.Time
}

// Calls that waited for the same moment are sent in random steps, at most gap
// apart and within about spread in all.
const (
	gap    = 10 * time.Millisecond
	spread = 200 * time.Millisecond
)

// ready answers [Ticket.Ready].
func (b *bucket) ready(t *Ticket, now time.Time, cfg *Config) (time.Duration, Reason) {
	b.usedAt = now
	if t.waiter.isAside {
		b.leaveLine(&t.waiter)
	}
	ahead := b.line.ahead(&t.waiter)
	wait, why := b.refusals.aside(t.call.URL, now)
	if why == Held {
		wait += spread * time.Duration(t.waiter.later) / 256
	}
	if t.behind = ahead > 0; t.behind {
		b.line.push(&t.waiter)
		if ends := b.estimate(now, ahead, cfg); why != Held || ends > wait || cfg.Disabled {
			return ends, cmp.Or(b.blockedBy.why(), Turn)
		}
		return wait, why
	}
	if wait > 0 && !cfg.Disabled {
		return b.stepAside(t, wait, why)
	}
	wait, why = b.gate(t, now, cfg)
	if wait > 0 {
		if why != Ask { // which only t is to do
			b.blockedFor(why, now)
		}
		b.line.push(&t.waiter)
		return wait, why
	}
	if b.line.remove(&t.waiter) {
		if now.Before(b.stepUntil) {
			b.nextAt = later(b.nextAt, now.Add(jitter(b.step)))
		}
		b.line.wakeFirst()
	}
	if b.line.len() == 0 {
		b.blockedFor(NoReason, now)
	}
	t.entry = b.window.enter(now, b.inFlight)
	t.entry.inDoubt = b.refusals.enter(now)
	if b.lease != nil {
		t.place = b.lease.take(now, b.window.id, b.inFlight+1)
	}
	b.inFlight++
	b.sent++
	t.number = b.sent
	t.inFlight, t.epoch = true, b.slots.enter(now, b.inFlight)
	return 0, NoReason
}

// stepAside takes the first call out of the line for a while, and returns how long its
// wait is, as [Ticket.Ready] does.
func (b *bucket) stepAside(t *Ticket, wait time.Duration, why Reason) (time.Duration, Reason) {
	w := &t.waiter
	if b.line.remove(w) {
		b.line.wakeFirst()
		w.lane = laneOf(t.call.Priority, true) // it is not to stand in line for its turn once more
	}
	if w.later == 0 {
		w.later = uint8(1 + rand.N(255))
	}
	r := b.refusals
	if r.asides == nil {
		r.asides = new(line)
	}
	r.asides.push(w)
	w.isAside, t.behind, t.nap = true, false, 0
	if why == Answers { // another's answer may end the wait at any moment
		t.nap, wait = wait, min(wait, moment)
	}
	return wait, why
}

// leaveLine takes a call out of the line, or from beside it, and reports whether it was
// in the line.
func (b *bucket) leaveLine(w *waiter) bool {
	if w.isAside {
		w.isAside = false
		b.refusals.asides.remove(w)
		return false
	}
	return b.line.remove(w)
}

// waiting returns how many calls wait, in line and beside it.
func (b *bucket) waiting() int {
	if b.refusals == nil || b.refusals.asides == nil {
		return b.line.len()
	}
	return b.line.len() + b.refusals.asides.len()
}

// wakeAll has all calls that wait ask again.
func (b *bucket) wakeAll() {
	b.line.wakeAll()
	b.refusals.wakeAsides()
}

// gate returns how long the first of the line has to wait. When that is 0, the
// call has a slot and has been counted under each ceiling.
func (b *bucket) gate(t *Ticket, now time.Time, cfg *Config) (time.Duration, Reason) {
	if cfg.Disabled {
		b.host.force(now, t)
		return 0, NoReason
	}
	if !b.heldUntil.IsZero() {
		if wait := b.heldUntil.Sub(now); wait > 0 {
			return wait, Held
		}
		b.heldUntil, t.reopened = time.Time{}, true
		b.spreadLine(now)
	}
	if b.nextAt.After(now) {
		return b.nextAt.Sub(now), Turn
	}
	if wait, why := b.refusals.room(now); wait > 0 {
		return wait, why
	}
	why, wait, pause := b.room(t, now, cfg)
	if why != NoReason {
		return max(wait, time.Millisecond), why
	}
	smooth := b.smoothly(now, cfg)
	if wait := untilTokens(smooth, now, 1); wait > 0 {
		return wait, Turn
	}
	if b.slots.full(b.inFlight) {
		return patience, Slot
	}
	wait, why = b.host.take(now, t, cfg)
	if wait > 0 {
		return wait, why
	}
	if smooth != nil {
		smooth.AllowN(now, 1)
	}
	if pause > 0 {
		b.nextAt = now.Add(pause)
	}
	return 0, NoReason
}

// room returns what the store, or the window where the store has no part, has
// for the next call: see [window.room].
func (b *bucket) room(t *Ticket, now time.Time, cfg *Config) (why Reason, wait, pause time.Duration) {
	t.nap = 0
	l := b.lease
	switch {
	case cfg.refusalsOnly(b.name()):
		return NoReason, 0, 0
	case l == nil || b.window.unbound:
	case l.health.Works():
		why, wait, t.nap = l.room(&b.window, now, cfg.utilization())
		return why, wait, 0
	case l.held.usable(now) > 0:
		return NoReason, 0, 0 // a lease outlives the loss of its store
	}
	return b.window.room(now, b.inFlight+t.part.inWhole(), cfg.utilization())
}

// spreadLine begins the time in which the calls in line go step by step.
func (b *bucket) spreadLine(now time.Time) {
	if b.line.len() == 0 {
		return // those that join the line later did not wait for this
	}
	b.step = min(gap, spread/time.Duration(b.line.len()))
	b.stepUntil = now.Add(2 * spread)
	if why := b.blockedBy.why(); why.NamesAWait() || why == Answers {
		b.blockedFor(Turn, now)
	}
}

// smoothly returns the limiter that spreads the places left in a window over the
// time left in it; nil where calls are not to be spread.
func (b *bucket) smoothly(now time.Time, cfg *Config) *rate.Limiter {
	w := &b.window
	if !cfg.Smooth || w.unbound || !w.isOpen(now) {
		return nil
	}
	free := max((w.left-b.inFlight-reserve(w.limit, cfg.utilization()))/b.sharers(), 1)
	even := rate.Limit(float64(free) / w.reset.Sub(now).Seconds())
	if b.smooth == nil {
		b.smooth = rate.NewLimiter(even, 1)
	}
	b.smooth.SetLimitAt(now, even)
	return b.smooth
}

// sharers returns how many processes use the bucket, as far as is known; at least 1.
func (b *bucket) sharers() int {
	if b.lease == nil {
		return 1
	}
	return b.lease.sharers()
}

// estimate returns when the turn comes of a call that has others before it. It
// errs on the short side: no call may be refused that could have been sent.
func (b *bucket) estimate(now time.Time, ahead int, cfg *Config) time.Duration {
	wait := max(b.heldUntil.Sub(now), 0)
	w := &b.window
	kept := reserve(w.limit, cfg.utilization())
	left := w.left
	if b.lease != nil && now.Before(b.lease.answered.noneBefore) {
		left, wait = kept, max(wait, b.lease.answered.noneBefore.Sub(now))
	}
	if w.isOpen(now) && !w.unbound && !w.isBursting() {
		if beyond := ahead - max(left-kept, 0); beyond >= 0 {
			windows := min(time.Duration(beyond/(w.limit-kept)), longest/max(w.length(), 1))
			wait = max(wait, w.closedUntil().Sub(now)+w.length()*windows)
		}
	}
	wait = max(wait, b.host.untilCeilings(now, b, ahead+1, cfg))
	return wait + max(min(time.Duration(ahead)*b.step, b.stepUntil.Sub(now)), gap)
}

// done records what a call in flight brought, see [Ticket.Done].
func (b *bucket) done(t *Ticket, now time.Time, seen Seen) (end End) {
	t.end = b.slots.leave(now, b.inFlight, t.epoch, seen.slotEnd())
	b.inFlight--
	b.usedAt = now
	wide := seen.Refused && !seen.Slots && b.refused(t, now, &seen)
	if seen.Answered && !seen.Slots && (wide || !seen.Refused || b.window.describes(&seen)) {
		known := b.window.id
		b.window.learn(seen, b.lastReset.of(seen.Reset, &b.host.clock, now), t.entry, now)
		if b.window.id != known {
			b.spreadLine(now)
		}
	}
	b.window.leave(t.entry)
	if seen.Accepted {
		b.refusals.accepted(t.entry, t.call.URL, now, &seen, &b.window)
		b.lift(t.entry, now)
	}
	b.refusals.leave(t.entry)
	if wide && !seen.Hold.IsZero() {
		end.Held = b.hold(seen.Hold, now)
	}
	b.line.wakeFirst()
	if b.lease != nil {
		end.Request = b.leaseDone(t, now, seen, wide)
	}
	return end
}

// refused records a refusal and reports whether it is the bucket's.
func (b *bucket) refused(t *Ticket, now time.Time, seen *Seen) (wide bool) {
	if b.refusals == nil {
		b.refusals = &refusals{narrow: b.window.narrow}
	}
	return b.refusals.refused(t.entry, t.call.URL, now, seen, &b.window)
}

// hold stops the bucket until a time, for no longer than longestHold, and reports
// whether the bucket is held until then. All calls in line are woken to judge
// whether the longer wait still fits.
func (b *bucket) hold(until, now time.Time) (whole bool) {
	capped := until
	if longest := now.Add(longestHold); until.After(longest) {
		capped = longest
	}
	if capped.After(b.heldUntil) {
		b.heldAt, b.heldUntil = now, capped
		if b.host.clock.isSharp() { // else processes come back as far apart as they were refused
			b.heldUntil = capped.Add(rand.N(gap))
		}
		b.line.wakeAll()
	}
	return !until.After(b.heldUntil)
}

// lift ends a hold when a call was accepted that was sent after it began.
func (b *bucket) lift(e entry, now time.Time) {
	if b.heldUntil.After(now) && e.sentAt.After(b.heldAt) {
		b.heldUntil = now
	}
}

// leaseDone returns a request when the store must learn something at once, for no
// later call may report it: a refusal, what a scout found, or places that others
// need.
func (b *bucket) leaseDone(t *Ticket, now time.Time, seen Seen, wide bool) *StoreRequest {
	l := b.lease
	if wide || !seen.Refused {
		l.observe(t.place, seen, b.window.id)
	}
	if b.window.isOpen(now) {
		l.trim(b.window.left - reserve(b.window.limit, b.cfg.Load().utilization()))
	}
	if l.pending || !l.health.Works() {
		return nil
	}
	isIdle := b.inFlight == 0 && b.line.len() == 0
	spare := isIdle && !b.window.unbound && l.giveUpSpare(now)
	if spare || t.place.forScout || wide {
		return b.newRequest(now, l.health.permit())
	}
	return nil
}

// left takes a call that was not sent out of the line, or out of flight.
func (b *bucket) left(t *Ticket) {
	if t.inFlight {
		b.inFlight--
		b.window.leave(t.entry)
		b.refusals.leave(t.entry)
		if b.lease != nil {
			b.lease.putBack(t.place)
		}
	}
	b.leaveLine(&t.waiter)
	b.line.wakeFirst()
}

// state returns the bucket's part of [Governor.States].
func (b *bucket) state(now time.Time) State {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := State{
		Key: b.key, Limit: b.window.limit, Remaining: b.window.left, Reset: b.window.reset,
		Share: b.window.share(b.inFlight), InFlight: b.inFlight, Waiting: b.waiting(),
	}
	if b.heldUntil.After(now) {
		s.HeldUntil = b.heldUntil
	}
	return s
}

// jitter returns between a half and one and a half of d.
func jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.5 + rand.Float64()))
}

// blockedFor records what the first of the line waits for from now on.
func (b *bucket) blockedFor(why Reason, now time.Time) {
	c := b.blockedBy
	if c.why() == why {
		return
	}
	if c == nil {
		c = new(causes)
		b.blockedBy = c
	}
	c.spent, c.now, c.since = c.until(now), why, now
}
