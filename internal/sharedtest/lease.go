// This file holds the rules by which places of a window are leased.

package sharedtest

import (
	"context"
	"time"

	"github.com/oktaretry/oktaretry/shared"
)

// bucket is what the store knows of a bucket and its window. Memory.mu guards it.
type bucket struct {
	id        int64 // of the window; 0: unknown
	limit     int
	remaining int // the least in any header
	left      int // places that no holder has
	ends      time.Time
	late      bool // the next window opens only within the second after ends

	held    time.Time // no call is sent before, after a 429
	unbound time.Time // the bucket counts as without limits until then
	stray   int       // holders in a row that reported another window

	scouts  int       // in flight
	scouted time.Time // when the first of them was sent
	overdue time.Time // when they are waited for no longer
	tried   time.Time // until when the answer of a call is waited for that finds out what became of lapsed places
	at      time.Time // of the last request

	holders map[string]*holder
}

// holder is what the store knows of a holder.
type holder struct {
	out         int       // places that it has, used or not, which no header counts for certain
	spent       time.Time // when they are used or will not be
	interactive int       // calls of it that wait
	dry         int       // requests in a row that got no place
	until       time.Time // when it counts as gone, if it makes no request
	utilization float64   // the share of the window that it may use
}

// The store's settings, the same as those of module fleet.
const (
	Lasts    = 2 * time.Second  // how long a lease lasts
	Grace    = time.Second      // how long after a lease its calls may arrive
	Patience = time.Second      // how long scouts are waited for
	unbound  = time.Minute      // how long a bucket counts as without limits
	firstFew = 3                // how many scouts are sent while a limit is unknown
	astray   = 3                // how many reports of another window correct a wrong one
	longest  = 61 * time.Second // how long a refusal or a window is believed before a scout is sent, as in internal/pace
	back     = time.Second      // how far the clock may be set back unnoticed
)

// Lease implements [shared.Store].
func (m *Memory) Lease(_ context.Context, key shared.Bucket, r shared.LeaseRequest) (shared.Lease, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked["lease"]++
	now := m.Now()
	b := m.buckets[key]
	if b == nil || now.Before(b.at.Add(-back)) { // after the clock was set back, all is learned anew
		b = &bucket{holders: make(map[string]*holder)}
		m.buckets[key] = b
	}
	b.at = now
	if !now.Before(b.over()) {
		b.account(now, now)
	}
	h := b.holders[r.Holder]
	if h == nil {
		h = new(holder)
		b.holders[r.Holder] = h
	}
	h.until, h.spent, h.utilization = now.Add(1), now.Add(1), r.MaxUtilization
	for _, o := range b.holders {
		if !o.gone(now) {
			r.MaxUtilization = min(r.MaxUtilization, o.utilization) // the lowest counts for all
		}
	}
	if r.LastWindowID == b.id && now.Before(b.over()) {
		b.left += min(max(r.Returned, 0), h.out)
	}
	h.out = r.Unused + r.InFlight
	b.scouts = max(b.scouts-r.ScoutsEnded, 0)
	if b.scouts == 0 {
		b.overdue = now
	}
	b.learn(now, &r)
	a := b.answer(now, &r, h)
	h.out += a.Places
	h.interactive = max(r.Interactive-a.Places, 0)
	a.Sharers = b.sharers(now)
	a.ReturnUnused = b.scarce(&r)
	if a.Places > 0 {
		h.until, h.dry = now.Add(a.Lasts+Grace), 0
		h.spent = h.until
	} else {
		h.until = now.Add(min(a.Retry, longest) + Lasts + Grace)
		h.spent = now.Add(Lasts + Grace) // of those that it may still have
	}
	return a, nil
}

// gone reports whether a holder has made no request for so long that it may have
// died.
func (h *holder) gone(now time.Time) bool { return !now.Before(h.until) }

// account takes from their holders the places that were spent by a time: the header
// of a later call counts those that were used, or a later window counts none. Until
// then all count as used.
func (b *bucket) account(at, now time.Time) {
	for name, h := range b.holders {
		if !at.Before(h.spent) {
			h.out = 0
		}
		if h.out == 0 && h.gone(now) {
			delete(b.holders, name)
		}
	}
}

// sharers returns how many holders use the bucket.
func (b *bucket) sharers(now time.Time) (n int) {
	for _, h := range b.holders {
		if !h.gone(now) {
			n++
		}
	}
	return n
}

// out returns how many places all holders have.
func (b *bucket) out() (n int) {
	for _, h := range b.holders {
		n += h.out
	}
	return n
}

// learn records what a holder reports.
func (b *bucket) learn(now time.Time, r *shared.LeaseRequest) {
	b.late = b.late || r.Late
	if r.Refused > 0 {
		if until := now.Add(min(r.Refused, longest)); until.After(b.held) {
			b.held = until
		}
	}
	if r.Unbound {
		b.unbound = now.Add(unbound)
	}
	s := r.Seen
	if s.ID <= 0 || s.Limit <= 0 || s.Remaining < 0 {
		return
	}
	b.unbound = now
	ends := now.Add(min(s.Ends, longest))
	newer := b.id == 0 || s.ID > b.id+1
	if s.ID < b.id-1 && r.LastWindowID == b.id && now.Before(b.ends) {
		// The holder knows the present window, and its headers name another.
		b.stray++
		newer = b.stray >= astray
	}
	// An open window counts for more than one that is over.
	newer = newer || s.ID < b.id-1 && !now.Before(b.over()) && s.Ends > 0
	switch {
	case newer:
		b.account(now, now)
		b.id, b.limit, b.remaining, b.ends = s.ID, s.Limit, s.Remaining, ends
		b.left, b.stray, b.scouts, b.overdue = min(s.Limit, s.Remaining-b.out()), 0, 0, now
	case s.ID < b.id-1:
		return
	default:
		b.update(now, r, ends)
	}
	b.account(now.Add(-max(r.Age, 0)), now)
	// The holders use no more places than they have: the others are free.
	b.left = max(b.left, b.remaining-b.out())
}

// update records what a holder reports of the present window.
func (b *bucket) update(now time.Time, r *shared.LeaseRequest, ends time.Time) {
	b.stray = 0
	b.limit = r.Seen.Limit
	b.remaining = min(b.remaining, r.Seen.Remaining)
	if b.left -= r.Taken; b.left > r.Seen.Remaining-r.Unused {
		// Others than the holders took places, and may take more.
		b.left = b.remaining - b.out()
	}
	// The holder that knows Okta's clock best reports the earliest end. Only a scout
	// that met the window after that can show that it lasts longer.
	if now.Before(b.ends) && ends.Before(b.ends) || !now.Before(b.ends) && r.ScoutsEnded > 0 {
		b.ends = ends
	}
}

// over returns when the window is over.
func (b *bucket) over() time.Time {
	if b.late {
		return b.ends.Add(time.Second)
	}
	return b.ends
}

// answer returns the lease for a request.
func (b *bucket) answer(now time.Time, r *shared.LeaseRequest, h *holder) shared.Lease {
	var a shared.Lease
	known := b.id != 0 && now.Before(b.over())
	if known {
		a.Window = shared.Window{ID: b.id, Limit: b.limit, Remaining: min(b.remaining, b.limit), Ends: b.over().Sub(now)}
	}
	switch {
	case now.Before(b.held):
		a.Held, a.Retry = true, b.held.Sub(now)
	case now.Before(b.unbound):
		a.Unbound, a.Places, a.Lasts = true, r.Wants(), Lasts
	case !known:
		a.Places, a.Retry = b.scout(now, r.Wants(), r.MaxUtilization)
		a.Lasts = Patience
	default:
		a.Places = b.grant(now, r, h)
		a.Lasts = min(Lasts, a.Window.Ends)
		if a.Places == 0 {
			a.Retry = a.Window.Ends
			if b.out() > h.out && b.remaining > reserve(b.limit, r.MaxUtilization) { // others may return some
				a.Retry = min(a.Retry, 100*time.Millisecond<<min(h.dry, 2))
				h.dry++
				b.findLapsed(now, r, h, &a)
			}
		}
	}
	return a
}

// findLapsed grants one place where other holders' time is over and none of them
// returned its places: the header of a call that is sent now says what they used.
func (b *bucket) findLapsed(now time.Time, r *shared.LeaseRequest, h *holder, a *shared.Lease) {
	lapsed := 0
	for _, o := range b.holders {
		switch {
		case o == h || o.out == 0:
		case !now.Before(o.spent):
			lapsed += o.out
		default:
			a.Retry = min(a.Retry, max(o.spent.Sub(now), time.Millisecond))
		}
	}
	if lapsed == 0 || r.InFlight > 0 || r.Interactive+r.Background == 0 {
		return
	}
	if now.Before(b.tried) {
		a.Retry = min(a.Retry, max(b.tried.Sub(now), time.Millisecond))
		return
	}
	b.tried = now.Add(Patience)
	b.left--
	a.Places, a.Lasts = 1, min(Patience, a.Window.Ends)
}

// scout grants the few places of calls that find out an unknown window: one where
// the last window was used up.
func (b *bucket) scout(now time.Time, wants int, utilization float64) (places int, retry time.Duration) {
	few := firstFew
	if b.id != 0 {
		few = max(few, b.limit/10)
		if b.left-reserve(b.limit, utilization) <= b.limit/4 {
			few = 1
		}
	}
	if !now.Before(b.overdue) {
		b.scouts, b.scouted = 0, now
	}
	if places = min(wants, few-b.scouts); places > 0 {
		b.scouts += places
		b.overdue = now.Add(Patience)
		return places, 0
	}
	retry = min(max(now.Sub(b.scouted)/2, 15*time.Millisecond), 250*time.Millisecond)
	return 0, min(retry, max(b.overdue.Sub(now), time.Millisecond))
}

// grant grants a holder its part of the places that are left: for calls that wait
// before those that may come, and for background calls only places that no
// interactive call of another holder waits for.
func (b *bucket) grant(now time.Time, r *shared.LeaseRequest, h *holder) int {
	free := b.left - reserve(b.limit, r.MaxUtilization)
	if free <= 0 {
		return 0
	}
	others, n := 0, 1
	for _, o := range b.holders {
		if o != h && !o.gone(now) {
			others += o.interactive
			n++
		}
	}
	share := (free + n - 1) / n
	least := min(max(share, b.limit/64), free) // for calls that wait: the last places are not worth many requests
	places := min(r.Interactive, least)
	back := min(r.Background, least-places, max(free-places-others, 0))
	ahead := share - places - back
	if r.Background > 0 {
		ahead = min(ahead, free-places-others-back)
	}
	ahead = max(ahead, 0)
	if b.scarce(r) { // no holder is to have places that it may not need
		ahead = min(ahead, r.InFlight)
	}
	places += back + min(ahead, r.Prefetch)
	b.left -= places
	return places
}

// scarce reports whether the window is running out.
func (b *bucket) scarce(r *shared.LeaseRequest) bool {
	return b.left-reserve(b.limit, r.MaxUtilization) < b.limit/4
}

// reserve returns how many places of a window are left to others: never all.
func reserve(limit int, utilization float64) int {
	return limit - max(int(float64(limit)*utilization+1e-9), 1)
}
