// This file holds what a bucket tells the store that processes share, what it
// asks, and what it makes of the answers. The asking itself is done by others.

package pace

import (
	"math"
	"time"

	"github.com/oktaretry/oktaretry/shared"
)

// StoreRequest is a question to the store, to be answered once with [StoreRequest.Answered]
// or [StoreRequest.Failed]. The bucket stays meanwhile.
type StoreRequest struct {
	Request shared.LeaseRequest
	Permit  Permit
	bucket  *bucket
	at      time.Time
}

// StoreRequest returns the question that t asks in the name of its bucket, after
// Ready has said Ask; nil when another has asked it meanwhile.
func (t *Ticket) StoreRequest(now time.Time) *StoreRequest {
	b := t.bucket
	if b == nil || b.lease == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.lease
	used := b.window.id != 0 && b.window.left <= reserve(b.window.limit, b.cfg.Load().utilization()) && l.spent != b.window.id
	if l.asking || !l.fleet.Works() || !used && (l.usable(now) > 0 || l.retry.After(now)) {
		return nil
	}
	return b.errand(now, Permit{})
}

// StoreProbe returns a question for a store that was lost, to see whether it is
// back; nil when it is not yet time, or another does. t is in flight: it goes
// whatever comes of it, and nobody waits for it.
func (t *Ticket) StoreProbe(now time.Time) *StoreRequest {
	b := t.bucket
	if b == nil || b.lease == nil || b.lease.fleet.Works() {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.lease.asking || b.window.unspoken {
		return nil
	}
	a, ok := b.lease.fleet.Try(now)
	if !ok || a.of == nil { // or it has come back this moment
		return nil
	}
	return b.errand(now, a)
}

// errand writes down what the store is told and asked. The caller holds mu.
func (b *bucket) errand(now time.Time, a Permit) *StoreRequest {
	l, w, cfg := b.lease, &b.window, b.cfg.Load()
	l.asking = true
	b.refs.Add(1)
	r := shared.LeaseRequest{
		Holder: l.holder, Late: w.late, Unbound: w.unspoken, LastWindowID: l.told, Refused: max(b.held.Sub(now), 0), ScoutsEnded: l.back,
		Unused: l.usable(now), InFlight: b.inFlight + l.lost, MaxUtilization: cfg.utilization(),
	}
	if l.heard.ID != 0 && abs(l.heard.ID-w.id) <= sameWindow {
		r.Seen, r.Age = l.heard, now.Sub(l.heardOf)
		r.Seen.Ends = w.reset.Sub(now)
		if w.late {
			r.Seen.Ends -= time.Second
		}
	}
	r.Interactive = b.line.lanes[0].live + b.line.lanes[1].live
	r.Background = b.line.lanes[2].live + b.line.lanes[3].live
	// Calls in flight are followed by as many more, as a rule; and who came
	// back soon last time will come back soon.
	if now.Sub(l.granted) < oftenAsked {
		l.batch = min(max(2*l.batch, 1), mostAhead)
	} else {
		l.batch /= 2
	}
	r.Prefetch = max(min(b.inFlight, mostAhead), l.batch)
	b.atMost(&r, now, cfg)
	l.back = 0
	if abs(l.takenOf-w.id) <= sameWindow {
		r.Taken = l.taken
	}
	l.taken = 0
	if l.places > 0 && r.Unused == 0 { // their time is over, or nobody needs them
		l.given, l.places = l.given+l.places, 0
	}
	r.Returned, l.given = l.given, 0
	if w.left <= reserve(w.limit, cfg.utilization()) {
		l.spent = w.id
	}
	return &StoreRequest{Request: r, Permit: a, bucket: b, at: now}
}

// atMost trims what is asked for to what can go within the life of a lease.
func (b *bucket) atMost(r *shared.LeaseRequest, now time.Time, cfg *Config) {
	if b.line.len() == 0 && b.inFlight == 0 {
		r.Prefetch = 0 // nobody is there who would use it
	}
	most := math.MaxInt32
	trim := func(perSecond float64) {
		if perSecond > 0 && perSecond < 1e6 {
			most = min(most, int(2*perSecond)+1)
		}
	}
	trim(cfg.MaxRate)
	trim(cfg.BucketRates[b.key.Bucket])
	if even := b.evenly(now, cfg); even != nil {
		trim(float64(even.Limit()))
	}
	if cfg.MaxInFlight > 0 {
		most = min(most, 4*cfg.MaxInFlight)
	}
	r.Interactive = min(r.Interactive, most)
	r.Background = min(r.Background, most-r.Interactive)
	r.Prefetch = min(r.Prefetch, most-r.Interactive-r.Background)
}

// Inconsistent reports whether no honest store gives that answer.
func (e *StoreRequest) Inconsistent(now time.Time, a *shared.Lease) bool {
	return absurd(a, &e.Request) || a.Window.ID != 0 && a.Window.Ends > 0 && e.bucket.host.clock.denies(a.Window.ID, now)
}

// Answered takes the store's answer, which is not absurd.
func (e *StoreRequest) Answered(now time.Time, a shared.Lease) {
	b := e.bucket
	l, w := b.lease, &b.window
	b.mu.Lock()
	l.asking = false
	known := w.id
	if a.Window.ID != 0 && a.Window.Ends > 0 {
		w.hear(a.Window, now.Add(a.Window.Ends), now)
	}
	if w.id != known {
		b.open(now)
		l.retry = time.Time{}
	}
	if a.Unbound && w.id == 0 {
		w.unspoken = true
	}
	l.told, l.sharers, l.wanted = a.Window.ID, a.Sharers, a.ReturnUnused
	l.full = time.Time{}
	switch {
	case a.Places > 0:
		// Those that were left are part of what the store knows of: they stay.
		l.places, l.until = l.usable(now)+a.Places, e.at.Add(a.Lasts)
		l.found = !a.Unbound && (a.Window.ID == 0 || a.Window.Ends <= 0)
		l.granted, l.retry, l.crowd = now, time.Time{}, 0
		if !now.Before(l.until) { // they came too late, and so may the next
			l.retry, l.why = now.Add(soonest), Answers
		}
	case e.Request.Wants() == 0:
	default:
		if !now.Before(l.until) {
			l.places = 0
		}
		l.retry = now.Add(min(max(a.Retry, soonest), latest))
		switch {
		case a.Held:
			l.why, l.full = Held, now.Add(a.Retry)
		case a.Window.ID != 0 && a.Window.Ends > 0:
			l.why, l.full = Exhausted, now.Add(a.Retry)
		default:
			l.why = Answers
		}
	}
	b.line.wakeFirst()
	b.mu.Unlock()
	b.release()
}

// Failed says that the store gave no answer. From now on, and until it is
// found to be back, the bucket goes by what it knows itself.
func (e *StoreRequest) Failed() {
	b := e.bucket
	b.mu.Lock()
	b.lease.asking = false
	// What the store may not have heard is told again. Of places that were given
	// up it must not hear twice.
	b.lease.taken += e.Request.Taken
	b.lease.back += e.Request.ScoutsEnded
	b.line.wakeFirst()
	b.mu.Unlock()
	b.release()
}

func (b *bucket) release() { b.refs.Add(-1) }
