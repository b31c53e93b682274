// This file holds the requests of a bucket to the store that processes share:
// what is reported, how much is requested, and what follows from the answer. The
// caller puts them to the store.

package pace

import (
	"math"
	"time"

	"github.com/oktaretry/oktaretry/shared"
)

// StoreRequest is a request to the store, made by a call for its bucket. It ends
// with one call of [StoreRequest.Answered], [StoreRequest.Failed] or
// [StoreRequest.Withdraw], by any goroutine; until then the bucket makes no other.
type StoreRequest struct {
	Request shared.LeaseRequest // for [shared.Store].Lease
	Permit  Permit              // to be reported with the answer

	bucket *bucket // retained until the end
	madeAt time.Time
}

// StoreRequest returns the request that t is to make after Ready has returned
// Ask; nil when another call has made it meanwhile.
func (t *Ticket) StoreRequest(now time.Time) *StoreRequest {
	b := t.bucket
	if b == nil || b.lease == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	l, w := b.lease, &b.window
	if l.pending || !l.health.Works() {
		return nil
	}
	fullUnreported := w.isUsedUp(b.cfg.Load().utilization()) && l.seen.reportedFull != w.id
	if !fullUnreported && (l.held.usable(now) > 0 || l.answered.retryAt.After(now)) {
		return nil
	}
	return b.newRequest(now, l.health.permit())
}

// StoreProbe returns a request to a lost store, to find out whether it is back;
// nil when it is not yet time, or another call does. t is in flight: it is sent
// whatever the store answers, and no other call waits for that.
func (t *Ticket) StoreProbe(now time.Time) *StoreRequest {
	b := t.bucket
	if b == nil || b.lease == nil || b.lease.health.Works() {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.lease.pending || b.window.unbound {
		return nil
	}
	p, ok := b.lease.health.Try(now)
	if !ok || !p.Probes() { // or it has come back this moment
		return nil
	}
	return b.newRequest(now, p)
}

// Watch reports whether to call Spare after a while: the answer to r granted places, and
// nobody does yet.
func (r *StoreRequest) Watch() (after time.Duration, ok bool) {
	b := r.bucket
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.lease.watched || b.lease.held.places == 0 {
		return 0, false
	}
	b.lease.watched = true
	return b.lease.idleFor(), true
}

// Spare returns the request that returns the places of r's bucket when no call has
// used it for a while, and reports what the last calls saw where others may wait for
// that; nil: there is nothing to return. again, unless 0, is when to call
// it again, for the bucket is in use.
func (r *StoreRequest) Spare(now time.Time) (give *StoreRequest, again time.Duration) {
	b := r.bucket
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.lease
	idle := l.idleFor()
	switch {
	case b.inFlight > 0 || b.line.len() > 0 || l.pending: // what they see is to be reported
		return nil, idle
	case l.held.places == 0 && !l.owesReport():
	case now.Before(b.usedAt.Add(idle)):
		return nil, b.usedAt.Add(idle).Sub(now)
	case b.retain():
		defer b.release()
		give = b.giveBack(now)
	}
	l.watched = false
	return give, 0
}

// owesReport reports whether other processes may wait for what was seen here.
func (l *lease) owesReport() bool { return l.seen.any }

// giveBack returns the request that returns the bucket's places, if it has any. It is
// called under mu.
func (b *bucket) giveBack(now time.Time) *StoreRequest {
	l := b.lease
	if l.pending || !l.health.Works() || l.held.places+l.held.returned == 0 && !l.owesReport() {
		return nil
	}
	l.held.until = now
	r := b.newRequest(now, l.health.permit())
	r.Request.Prefetch = 0
	return r
}

// GiveBack returns the requests that return all places that calls have leased and
// not used. A lost store is probed for no bucket that is not used again.
func (g *Governor) GiveBack(now time.Time) (all []*StoreRequest) {
	if g.store == nil {
		return nil
	}
	g.mu.RLock()
	defer g.mu.RUnlock()
	for _, b := range g.buckets {
		b.mu.Lock()
		b.lease.closedAt = now
		if r := b.giveBack(now); r != nil {
			all = append(all, r)
		}
		b.mu.Unlock()
	}
	return all
}

// WakeLines has the first call of each line look again: the store was lost, or is back.
func (g *Governor) WakeLines() {
	g.mu.RLock()
	defer g.mu.RUnlock()
	for _, b := range g.buckets {
		b.mu.Lock()
		b.line.wakeFirst()
		b.mu.Unlock()
	}
}

// Named returns what identifies the bucket to the store, as Name kept it.
func (r *StoreRequest) Named() shared.Bucket {
	r.bucket.mu.Lock()
	defer r.bucket.mu.Unlock()
	return r.bucket.lease.name
}

// Name keeps what identifies the bucket to the store.
func (r *StoreRequest) Name(name shared.Bucket) {
	r.bucket.mu.Lock()
	defer r.bucket.mu.Unlock()
	r.bucket.lease.name = name
}

// newRequest is called under mu.
func (b *bucket) newRequest(now time.Time, p Permit) *StoreRequest {
	b.lease.pending = true
	b.refs.Add(1)
	r := &StoreRequest{Permit: p, bucket: b, madeAt: now}
	b.report(&r.Request, now)
	b.demand(&r.Request, now)
	return r
}

// report writes down what the bucket has and has seen. What is reported is not
// reported again.
func (b *bucket) report(r *shared.LeaseRequest, now time.Time) {
	l, w, utilization := b.lease, &b.window, b.cfg.Load().utilization()
	h, seen := &l.held, &l.seen
	r.Holder, r.MaxUtilization = l.holder, utilization
	r.Late, r.Unbound, r.Refused = w.late, w.unbound, max(b.heldUntil.Sub(now), 0)
	r.LastWindowID = l.answered.windowID
	r.InFlight = b.inFlight + seen.unanswered
	r.ScoutsEnded, seen.scoutsBack, seen.any = seen.scoutsBack, 0, false
	if seen.window.ID != 0 && isSameWindow(seen.window.ID, w.id) {
		r.Seen, r.Age = seen.window, now.Sub(seen.sentAt)
		r.Seen.Ends = w.reset.Sub(now)
		if w.late {
			r.Seen.Ends -= time.Second
		}
	}
	if isSameWindow(seen.unleasedIn, w.id) {
		r.Taken = seen.unleased
	}
	seen.unleased = 0
	if r.Unused = h.usable(now); r.Unused == 0 { // their time is over, or none is left
		h.returned, h.places = h.returned+h.places, 0
	}
	r.Returned, h.returned = h.returned, 0
	if w.isUsedUp(utilization) {
		seen.reportedFull = w.id
	}
}

// demand writes down how many places are requested: for the calls that wait, and
// as many ahead as there are calls in flight, which as many others follow as a
// rule. A bucket whose places were used up within a moment requests more ahead
// each time.
func (b *bucket) demand(r *shared.LeaseRequest, now time.Time) {
	h := &b.lease.held
	if now.Sub(h.grantedAt) < oftenAsked {
		h.prefetch = min(max(2*h.prefetch, 1), mostAhead)
	} else {
		h.prefetch /= 2
	}
	if b.line.len() > 0 || b.inFlight > 0 { // else no call would use them
		r.Prefetch = max(min(b.inFlight, mostAhead), h.prefetch)
	}
	most := b.mostUsable(now)
	r.Interactive = min(b.line.waiting(Interactive), most)
	r.Background = min(b.line.waiting(Background), most-r.Interactive)
	r.Prefetch = min(r.Prefetch, most-r.Interactive-r.Background)
}

// mostUsable returns how many calls the user's settings let through within the
// life of a lease.
func (b *bucket) mostUsable(now time.Time) int {
	cfg, most := b.cfg.Load(), math.MaxInt32
	atRate := func(perSecond float64) {
		if perSecond > 0 && perSecond < 1e6 {
			most = min(most, int(2*perSecond)+1)
		}
	}
	atRate(cfg.MaxRate)
	atRate(cfg.BucketRates[b.name()])
	if smooth := b.smoothly(now, cfg); smooth != nil {
		atRate(float64(smooth.Limit()))
	}
	if cfg.MaxInFlight > 0 {
		most = min(most, 4*cfg.MaxInFlight)
	}
	return most
}

// Inconsistent reports whether a is an answer to r that no store should give. A
// window may last for a second more than its reset.
func (r *StoreRequest) Inconsistent(now time.Time, a *shared.Lease) bool {
	w := &a.Window
	return a.Places < 0 || a.Places > max(r.Request.Wants(), 0) ||
		a.Places > 0 && (a.Lasts <= 0 || a.Lasts > time.Minute) ||
		a.Retry < 0 || a.Retry > farthest+time.Second || a.Sharers < 0 || a.Sharers > most ||
		w.ID < 0 || w.ID > 0 && (w.Limit <= 0 || w.Limit > most || w.Remaining < 0 || w.Remaining > w.Limit || w.Ends > farthest+time.Second) ||
		w.ID > 0 && w.Ends > 0 && r.bucket.host.clock.rulesOut(w.ID, now)
}

// Answered records the store's answer, which must not be inconsistent.
func (r *StoreRequest) Answered(now time.Time, a shared.Lease) {
	b := r.bucket
	b.mu.Lock()
	b.lease.pending = false
	known := b.window.id
	if a.Window.ID != 0 && a.Window.Ends > 0 {
		b.window.merge(a.Window, now)
	}
	if a.Unbound && b.window.id == 0 {
		b.window.unbound = true
	}
	if b.window.id != known {
		b.spreadLine(now)
		b.lease.answered.retryAt = time.Time{}
	}
	b.lease.record(now, r.madeAt, r.Request.Wants(), &a, b.cfg.Load().utilization())
	b.line.wakeFirst()
	b.mu.Unlock()
	b.release()
}

// Failed records that the store gave no answer. Until the store is found to be
// back, the bucket goes by what it knows itself.
func (r *StoreRequest) Failed() {
	b := r.bucket
	b.mu.Lock()
	b.lease.pending = false
	// What the store may not have got is reported again. Places that were given up
	// must not reach it twice.
	b.lease.seen.unleased += r.Request.Taken
	b.lease.seen.scoutsBack += r.Request.ScoutsEnded
	b.line.wakeFirst()
	b.mu.Unlock()
	b.release()
}

// Withdraw records that the request was not put to the store, and leaves the probe that
// it was, if it was one, to another call.
func (r *StoreRequest) Withdraw() {
	r.Permit.abandon()
	r.Failed()
}
