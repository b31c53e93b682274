// This file holds the places that a bucket has leased from a store which many
// processes share: who gets them, and what calls do while there are none.

package pace

import (
	"strconv"
	"time"

	"github.com/oktaretry/oktaretry/shared"
)

// lease is a bucket's side of the store. bucket.mu guards it.
type lease struct {
	health *StoreHealth // of the store, for all buckets; never changed
	holder string       // names this bucket to the store; never changed

	pending  bool // a request is out, and no other is made; by newRequest and by the request's end
	held     heldPlaces
	answered lastAnswer
	seen     unreported
}

// heldPlaces are the places that calls may take without a request.
type heldPlaces struct {
	places       int       // not taken yet; by grant, deny, takePlace, bucket.left, trim and report
	until        time.Time // when they may be taken no longer; by grant, and by leaseDone to give them up
	forScouts    bool      // the window was unknown when they were granted; by grant
	returned     int       // places given up since the last request; by trim and report
	grantedAt    time.Time // when the last ones were; by grant
	peakInFlight int       // the most calls in flight since then; by takePlace
	prefetch     int       // how many the last request was for beyond the calls that wait; by demand
}

// lastAnswer is what the store answered last. The fields are written by record,
// grant and deny.
type lastAnswer struct {
	windowID     int64
	sharers      int       // how many processes use the bucket
	returnUnused bool      // others need the places that this bucket does not
	retryAt      time.Time // no request is made before; zero: at once
	retryFor     Reason    // what calls wait for until then
	noneBefore   time.Time // no place comes before, as far as the store knows
}

// unreported is what calls have shown and the next request reports.
type unreported struct {
	window       shared.Window // from headers alone, never from the store; Ends is not used; by observe
	sentAt       time.Time     // when the last of the calls was sent that window is from; by observe
	unanswered   int           // calls of window that were sent and not answered; by observe
	scoutsBack   int           // scouts that ended, whatever they found; by leaseDone
	unleased     int           // calls that were sent without a place; by takePlace
	unleasedIn   int64         // the ID of their window; by takePlace
	reportedFull int64         // the ID of the window that the store knows to be used up; by report
}

const (
	// mostAhead bounds the places that are leased for calls still to come.
	mostAhead = 32
	// oftenAsked: places that were used up sooner than this were too few.
	oftenAsked = time.Second
	// The store is asked again after soonest at the earliest, and after latest at
	// the latest: it may have been emptied, or others may have returned places.
	soonest = 5 * time.Millisecond
	latest  = 5 * time.Second
	// moment is what a call expects to wait for an answer of the store.
	moment = time.Millisecond
)

// newLease returns the lease of a new bucket, which has nothing yet. Buckets of
// one key can follow each other, and each is a holder of its own.
func (g *Governor) newLease() *lease {
	return &lease{health: g.store, holder: g.holder + strconv.FormatUint(g.holders.Add(1), 36)}
}

// room returns what the store, or the window where the store has no part, has
// for the next call: see [window.room].
func (b *bucket) room(t *Ticket, now time.Time, cfg *Config) (why Reason, wait, pause time.Duration) {
	t.nap = 0
	l := b.lease
	switch {
	case l == nil || b.window.unbound:
	case l.health.Works():
		why, wait = b.leaseRoom(t, now, cfg)
		return why, wait, 0
	case l.held.usable(now) > 0:
		return NoReason, 0, 0 // a lease outlives the loss of its store
	}
	return b.window.room(now, b.inFlight, cfg.utilization())
}

// leaseRoom is room while the store works.
func (b *bucket) leaseRoom(t *Ticket, now time.Time, cfg *Config) (why Reason, wait time.Duration) {
	l, w := b.lease, &b.window
	if w.isOpen(now) {
		if w.isBursting() && reserve(w.limit, cfg.utilization()) == 0 {
			return NoReason, 0
		}
		if w.isUsedUp(cfg.utilization()) {
			switch { // headers count for more than the store
			case l.seen.reportedFull == w.id:
				return Exhausted, w.reset.Sub(now)
			case !l.pending:
				return Ask, moment // others may hold places that are gone
			}
		}
	}
	if l.held.usable(now) > 0 {
		return NoReason, 0
	}
	if l.pending {
		t.nap = patience // the answer wakes it
		return Answers, moment
	}
	if wait = l.answered.retryAt.Sub(now); wait > 0 {
		t.nap = wait
		return l.answered.retryFor, max(wait, l.answered.noneBefore.Sub(now))
	}
	return Ask, moment
}

// sharers returns how many processes use the bucket, as far as is known; at least 1.
func (b *bucket) sharers() int {
	if l := b.lease; l != nil && l.health.Works() {
		return max(l.answered.sharers, 1)
	}
	return 1
}

// usable returns how many places may be taken now.
func (h *heldPlaces) usable(now time.Time) int {
	if now.Before(h.until) {
		return h.places
	}
	return 0
}

// takePlace gives a place to a call that is sent, and counts a call for which
// there is none.
func (b *bucket) takePlace(t *Ticket, now time.Time) {
	l := b.lease
	if l == nil {
		return
	}
	t.sentAt = now
	switch {
	case l.held.usable(now) > 0:
		l.held.places--
		l.held.peakInFlight = max(l.held.peakInFlight, b.inFlight+1)
		t.leased, t.forOthers = true, l.held.forScouts
	case isSameWindow(l.seen.unleasedIn, b.window.id):
		l.seen.unleased++
	default:
		l.seen.unleased, l.seen.unleasedIn = 1, b.window.id
	}
}

// leaseDone records what a call in flight brought. It returns a request when the
// store must learn something at once, for no later call may report it: a refusal,
// what a scout found, or places that others need.
func (b *bucket) leaseDone(t *Ticket, now time.Time, s Seen) *StoreRequest {
	l := b.lease
	if t.forOthers {
		l.seen.scoutsBack++
	}
	l.seen.observe(t, s, b.window.id)
	b.trim(now)
	if l.pending || !l.health.Works() {
		return nil
	}
	spare := b.hasSpare(now)
	if spare {
		l.held.until, l.held.peakInFlight = now, 0
	}
	if spare || t.forOthers || s.Refused && !s.Slots {
		return b.newRequest(now, Permit{})
	}
	return nil
}

// observe records the headers of t's answer, where they are of the window id.
func (u *unreported) observe(t *Ticket, s Seen, id int64) {
	switch {
	case !s.Answered:
		u.unanswered++ // the server may have counted it or not
		return
	case s.Slots || s.Limit <= 0 || s.Remaining < 0 || !isSameWindow(s.Reset, id):
		return
	}
	w := shared.Window{ID: s.Reset, Limit: min(s.Limit, most), Remaining: min(s.Remaining, most)}
	if isSameWindow(u.window.ID, id) {
		w.Remaining = min(w.Remaining, u.window.Remaining)
		u.sentAt = later(u.sentAt, t.sentAt)
	} else {
		u.sentAt, u.unanswered = t.sentAt, 0
	}
	u.window = w
}

// trim gives up places beyond this process's part of what headers report to be
// left: where that is less than all processes hold, somebody else took places.
func (b *bucket) trim(now time.Time) {
	w, h := &b.window, &b.lease.held
	if !w.isOpen(now) {
		return
	}
	n := b.sharers()
	part := (max(w.left-reserve(w.limit, b.cfg.Load().utilization()), 0) + n - 1) / n
	h.returned += max(h.places-part, 0)
	h.places = min(h.places, part)
}

// hasSpare reports whether places are to be returned because no call waits or is
// in flight that would take them. One worker is idle after each of its calls, so
// its places are returned only if others need them; several seldom are.
func (b *bucket) hasSpare(now time.Time) bool {
	if b.inFlight > 0 || b.line.len() > 0 || b.window.unbound {
		return false
	}
	h, needed := &b.lease.held, b.lease.answered.returnUnused
	several := h.peakInFlight > 1
	return (needed || several) && h.usable(now) > 0 || needed && several
}
