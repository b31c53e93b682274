// This file holds the places that a bucket has leased from a store which
// processes share: who gets them, and what calls do while there are none.

package pace

import (
	"time"

	"github.com/oktaretry/oktaretry/shared"
)

// lease is a bucket's side of the store. bucket.mu guards it.
type lease struct {
	health *StorePart    // of the store, for this bucket; never changed
	holder string        // names this bucket to the store; never changed
	name   shared.Bucket // identifies the bucket in requests that no call makes; by Name

	watched     bool      // places are returned when the bucket is idle; by Watch and Spare
	lossWatched bool      // a lost store is probed without a call; by watchLoss and Probe
	closedAt    time.Time // when all places were last returned by Close; by GiveBack
	pending     bool      // a request is out, and no other is made; by newRequest and by the request's end
	held        heldPlaces
	answered    lastAnswer
	seen        unreported
}

// heldPlaces are the places that calls may take without a request.
type heldPlaces struct {
	places       int       // not taken yet; by grant, deny, take, putBack, trim and report
	until        time.Time // when they may be taken no longer; by grant and giveUpSpare
	forScouts    bool      // the window was unknown when they were granted; by grant
	returned     int       // places given up since the last request; by trim and report
	grantedAt    time.Time // when the last ones were; by grant
	peakInFlight int       // the most calls in flight since then; by take
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
	scoutsBack   int           // scouts that ended, whatever they found; by observe
	unleased     int           // calls that were sent without a place; by take
	unleasedIn   int64         // the ID of their window; by take
	any          bool          // a header was seen, and no request was made since; by observe and report
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
	latest  = time.Second
	// Places are returned when the bucket was idle for so long: sooner when others may
	// wait for them.
	idleScarce = 250 * time.Millisecond
	idleAmple  = 500 * time.Millisecond
	// moment is what a call expects to wait for an answer of the store.
	moment = time.Millisecond
)

// room returns what the store has for the next call while it works, see
// [window.room], and how long to sleep before asking again; 0: as long as the wait.
func (l *lease) room(w *window, now time.Time, utilization float64) (why Reason, wait, nap time.Duration) {
	if w.isOpen(now) {
		if w.isBursting() && reserve(w.limit, utilization) == 0 {
			return NoReason, 0, 0
		}
		if w.isUsedUp(utilization) && now.Before(w.closedUntil()) {
			switch { // headers count for more than the store
			case l.seen.reportedFull == w.id:
				return usedUp(w.left), w.closedUntil().Sub(now), 0
			case !l.pending:
				return Ask, moment, 0 // others may hold places that are gone
			}
		}
	}
	if l.held.usable(now) > 0 {
		return NoReason, 0, 0
	}
	if l.pending {
		return Answers, moment, patience // the answer wakes it
	}
	if wait = l.answered.retryAt.Sub(now); wait > 0 {
		return l.answered.retryFor, max(wait, l.answered.noneBefore.Sub(now)), wait
	}
	return Ask, moment, 0
}

// sharers returns how many processes use the bucket, as far as is known; at least 1.
func (l *lease) sharers() int {
	if l.health.Works() {
		return max(l.answered.sharers, 1)
	}
	return 1
}

// idleFor returns how long the bucket keeps places that no call takes.
func (l *lease) idleFor() time.Duration {
	if l.answered.returnUnused {
		return idleScarce
	}
	return idleAmple
}

// usable returns how many places may be taken now.
func (h *heldPlaces) usable(now time.Time) int {
	if now.Before(h.until) {
		return h.places
	}
	return 0
}

// record records the store's answer to a request for so many places.
func (l *lease) record(now, madeAt time.Time, wanted int, a *shared.Lease, utilization float64) {
	known := &l.answered
	known.windowID, known.sharers, known.returnUnused = a.Window.ID, a.Sharers, a.ReturnUnused
	known.noneBefore = time.Time{}
	switch {
	case a.Places > 0:
		l.grant(now, madeAt, a)
	case wanted > 0:
		l.deny(now, a, utilization)
	}
}

// grant records places. Those that were left before are still the bucket's.
func (l *lease) grant(now, madeAt time.Time, a *shared.Lease) {
	h := &l.held
	h.places, h.until = h.usable(now)+a.Places, madeAt.Add(a.Lasts)
	h.forScouts = !a.Unbound && (a.Window.ID == 0 || a.Window.Ends <= 0)
	h.grantedAt, h.peakInFlight = now, 0
	l.answered.retryAt = time.Time{}
	if !now.Before(h.until) { // they came too late, and so may the next
		l.answered.retryAt, l.answered.retryFor = now.Add(soonest), Answers
	}
}

// deny records that there are no places, and when to request some again.
func (l *lease) deny(now time.Time, a *shared.Lease, utilization float64) {
	if !now.Before(l.held.until) {
		l.held.places = 0
	}
	known := &l.answered
	known.retryAt = now.Add(min(max(a.Retry, soonest), latest))
	switch {
	case a.Held:
		known.retryFor, known.noneBefore = Held, now.Add(a.Retry)
	case a.Window.ID != 0 && a.Window.Ends > 0:
		known.retryFor, known.noneBefore = Leased, now.Add(a.Retry)
		if left := a.Window.Remaining; left <= reserve(a.Window.Limit, utilization) {
			known.retryFor = usedUp(left)
		}
	default:
		known.retryFor = Answers
	}
}

// place is what a call that was sent has of the lease.
type place struct {
	leased   bool // it took a place
	forScout bool // which was granted to find out the window: all processes wait for its answer
	sentAt   time.Time
}

// take takes a place for a call that is sent into a window, and counts the call
// where there is none. inFlight includes it.
func (l *lease) take(now time.Time, windowID int64, inFlight int) place {
	switch {
	case l.held.usable(now) > 0:
		l.held.places--
		l.held.peakInFlight = max(l.held.peakInFlight, inFlight)
		return place{leased: true, forScout: l.held.forScouts, sentAt: now}
	case isSameWindow(l.seen.unleasedIn, windowID):
		l.seen.unleased++
	default:
		l.seen.unleased, l.seen.unleasedIn = 1, windowID
	}
	return place{sentAt: now}
}

// putBack gives the place of a call that was not sent to the next one.
func (l *lease) putBack(p place) {
	if p.leased {
		l.held.places++
	}
}

// observe records the end of a call, and its headers where they are of the
// present window.
func (l *lease) observe(p place, s Seen, windowID int64) {
	u := &l.seen
	if p.forScout {
		u.scoutsBack++
	}
	switch {
	case !s.Answered:
		u.unanswered++ // the server may have counted it or not
		return
	case s.Slots || s.Limit <= 0 || s.Remaining < 0 || !isSameWindow(s.Reset, windowID):
		return
	}
	u.any = true
	w := shared.Window{ID: s.Reset, Limit: min(s.Limit, most), Remaining: min(s.Remaining, most)}
	if isSameWindow(u.window.ID, windowID) {
		w.Remaining = min(w.Remaining, u.window.Remaining)
		u.sentAt = later(u.sentAt, p.sentAt)
	} else {
		u.sentAt, u.unanswered = p.sentAt, 0
	}
	u.window = w
}

// trim gives up places beyond this process's part of what headers report to be
// left: where that is less than all processes hold, others took places.
func (l *lease) trim(left int) {
	n := l.sharers()
	part := (max(left, 0) + n - 1) / n
	l.held.returned += max(l.held.places-part, 0)
	l.held.places = min(l.held.places, part)
}

// giveUpSpare gives up the places of an idle bucket for the next request to
// return, and reports whether it did. One worker is idle after each of its calls,
// so its places are kept unless others need them; several workers seldom are.
func (l *lease) giveUpSpare(now time.Time) bool {
	h, needed := &l.held, l.answered.returnUnused
	several := h.peakInFlight > 1
	spare := (needed || several) && h.usable(now) > 0 || needed && several
	if spare {
		h.until, h.peakInFlight = now, 0
	}
	return spare
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
