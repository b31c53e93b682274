// This file holds the places that a bucket has leased of a store which many
// processes share: who gets them, and when there are none. errand.go holds what
// the store is told and asked.

package pace

import (
	"strconv"
	"time"

	"github.com/oktaretry/oktaretry/shared"
)

// absurd reports whether no honest store gives that answer to r. A window may
// last for a second more than its reset says.
func absurd(a *shared.Lease, r *shared.LeaseRequest) bool {
	w := &a.Window
	return a.Places < 0 || a.Places > max(r.Wants(), 0) ||
		a.Places > 0 && (a.Lasts <= 0 || a.Lasts > time.Minute) ||
		a.Retry < 0 || a.Retry > farthest+time.Second || a.Sharers < 0 || a.Sharers > most ||
		w.ID < 0 || w.ID > 0 && (w.Limit <= 0 || w.Limit > most || w.Remaining < 0 || w.Remaining > w.Limit || w.Ends > farthest+time.Second)
}

// newLease returns what a new bucket holds: nothing. Buckets of one name follow
// each other when a credential is renewed, and are told apart.
func (g *Governor) newLease() *lease {
	return &lease{fleet: g.fleet, holder: g.holder + strconv.FormatUint(g.holders.Add(1), 36)}
}

// lease is what a bucket holds of the store's.
type lease struct {
	fleet  *StoreHealth
	holder string

	places int // that may still be used
	until  time.Time
	given  int  // places that were given up since the store was told
	found  bool // the places are for finding out what the window is like
	asking bool

	retry   time.Time // when to ask again
	why     Reason    // what is waited for until then
	full    time.Time // no place comes before, as far as the store knows
	told    int64
	sharers int
	wanted  bool

	spent   int64         // the ID of the window that the store was told to be used up
	heard   shared.Window // by headers alone, not by the store; Ends is not used
	heardOf time.Time     // when the last of the calls went that told
	lost    int           // calls of this window that were sent and not answered
	back    int           // calls that found out, or could not, since the store was told

	crowd   int   // the most calls in flight since places were granted
	taken   int   // calls that went without a place
	takenOf int64 // the ID of their window
	batch   int   // how many places are asked for ahead
	granted time.Time
}

const (
	// mostAhead bounds the places that are leased for calls still to come.
	mostAhead = 32
	// oftenAsked: places that were used up sooner than this were too few.
	oftenAsked = time.Second
	// soonest is how soon the store is asked again at the earliest, latest how
	// late: it may have been emptied, or others may have returned places.
	soonest = 5 * time.Millisecond
	latest  = 5 * time.Second
	// moment is what a call expects to wait for an answer of the store.
	moment = time.Millisecond
)

// room is what the window, or the store where there is one, says to the next
// call: see [window.room].
func (b *bucket) room(t *Ticket, now time.Time, cfg *Config) (why Reason, wait, pause time.Duration) {
	w, l := &b.window, b.lease
	t.nap = 0
	if l == nil || w.unspoken {
		return w.room(now, b.inFlight, cfg.utilization())
	}
	if !l.fleet.Works() {
		if l.usable(now) > 0 {
			return NoReason, 0, 0 // the store may be lost, these places are not
		}
		return w.room(now, b.inFlight, cfg.utilization())
	}
	if w.id != 0 && now.Before(w.reset) {
		kept := reserve(w.limit, cfg.utilization())
		if w.bursts > 1 && kept == 0 {
			return NoReason, 0, 0
		}
		if w.left <= kept && l.spent == w.id { // the headers' word goes before the store's
			return Exhausted, w.reset.Sub(now), 0
		}
		if w.left <= kept && !l.asking {
			return Ask, moment, 0 // rather tell: others may wait to hear of it
		}
	}
	if l.usable(now) > 0 {
		return NoReason, 0, 0
	}
	if l.asking {
		t.nap = patience // it will be woken
		return Answers, moment, 0
	}
	if wait = l.retry.Sub(now); wait > 0 {
		t.nap = wait
		return l.why, max(wait, l.full.Sub(now)), 0
	}
	return Ask, moment, 0
}

// sharers is how many processes use the bucket, as far as is known; 1 at least.
func (b *bucket) sharers() int {
	if l := b.lease; l != nil && l.fleet.Works() {
		return max(l.sharers, 1)
	}
	return 1
}

// usable is how many places may be used now.
func (l *lease) usable(now time.Time) int {
	if now.Before(l.until) {
		return l.places
	}
	return 0
}

// use gives a place to a call that goes.
func (b *bucket) use(t *Ticket, now time.Time) {
	l := b.lease
	if l == nil {
		return
	}
	t.went = now
	switch {
	case l.usable(now) > 0:
		l.places--
		l.crowd = max(l.crowd, b.inFlight+1)
		t.leased, t.finds = true, l.found
	case abs(l.takenOf-b.window.id) > sameWindow:
		l.taken, l.takenOf = 1, b.window.id
	default:
		l.taken++
	}
}

// giveBack takes the place of a call that was not sent.
func (b *bucket) giveBack(t *Ticket) {
	if t.leased {
		b.lease.places++
	}
}

// ended takes note of what a call brought. It returns an errand when the store
// must hear of it now, for no other call may come that tells it: of a refusal,
// of what a window is like that others wait to hear of, of places that others
// want.
func (b *bucket) ended(t *Ticket, now time.Time, s Seen) *StoreRequest {
	l, w := b.lease, &b.window
	if t.finds {
		l.back++
	}
	switch {
	case !s.Answered:
		l.lost++ // the server may have counted it or not
	case s.Slots || s.Limit <= 0 || s.Remaining < 0 || abs(s.Reset-w.id) > sameWindow:
	case abs(l.heard.ID-w.id) > sameWindow:
		l.heard = shared.Window{ID: s.Reset, Limit: min(s.Limit, most), Remaining: min(s.Remaining, most)}
		l.heardOf, l.lost = t.went, 0
	default:
		l.heard = shared.Window{ID: s.Reset, Limit: min(s.Limit, most), Remaining: min(s.Remaining, l.heard.Remaining)}
		l.heardOf = later(l.heardOf, t.went)
	}
	// The headers' word goes before the store's. Where they say that less is left
	// than all hold, as far as this process can tell, somebody else took places.
	if n := b.sharers(); w.id != 0 && now.Before(w.reset) {
		part := (max(w.left-reserve(w.limit, b.cfg.Load().utilization()), 0) + n - 1) / n
		l.given += max(l.places-part, 0)
		l.places = min(l.places, part)
	}
	if l.asking || !l.fleet.Works() {
		return nil
	}
	// One worker is idle after each of its calls, several seldom are.
	quiet := b.inFlight == 0 && b.line.len() == 0
	spare := quiet && !w.unspoken && (l.wanted || l.crowd > 1) && (l.usable(now) > 0 || l.wanted && l.crowd > 1)
	if spare {
		l.until, l.crowd = now, 0
	}
	if spare || t.finds || s.Refused && !s.Slots {
		return b.errand(now, Permit{})
	}
	return nil
}

// hear takes what others saw of a window.
func (w *window) hear(s shared.Window, reset, now time.Time) {
	w.unspoken = false
	switch {
	case w.id == 0 || s.ID > w.id+sameWindow:
		w.turn(Seen{Limit: s.Limit, Reset: s.ID}, reset)
	case s.ID < w.id-sameWindow:
		return
	case reset.Before(w.reset):
		w.reset = reset // another knows the server's clock better
	}
	w.limit = s.Limit
	if used := min(w.left, s.Limit) - s.Remaining; used > 0 {
		w.used += float64(used)
	}
	w.left = min(w.left, s.Remaining)
	w.atLeast = max(w.atLeast, reset.Sub(now))
}

func abs(n int64) int64 {
	if n < 0 {
		return -n
	}
	return n
}
