// Package sharedtest holds a store in memory and what every store must keep.
//
// This file holds the store: the same rules as those of the scripts in module
// fleet, by which they can be checked.
package sharedtest

import (
	"context"
	"sync"
	"time"

	"github.com/oktaretry/oktaretry/shared"
)

// Memory is a store for the Transports of one process. It is safe for
// concurrent use.
type Memory struct {
	// Now is the store's clock. It must be set before the store is used.
	Now func() time.Time

	mu       sync.Mutex
	asked    map[string]int // by operation
	buckets  map[shared.Bucket]*bucket
	circuits map[shared.CircuitID]*circuit
}

// NewMemory returns an empty store.
func NewMemory() *Memory {
	m := &Memory{Now: time.Now}
	m.Flush()
	return m
}

// Flush empties the store, as its restart would.
func (m *Memory) Flush() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked = make(map[string]int)
	m.buckets = make(map[shared.Bucket]*bucket)
	m.circuits = make(map[shared.CircuitID]*circuit)
}

// Asked returns how often an operation was asked for: "lease", "circuits",
// "probe" or "report"; all of them for "".
func (m *Memory) Asked(operation string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if operation != "" {
		return m.asked[operation]
	}
	n := 0
	for _, k := range m.asked {
		n += k
	}
	return n
}

// bucket is what the store knows of one.
type bucket struct {
	id        int64
	limit     int
	remaining int // the least that a header said
	left      int // places that nobody has
	ends      time.Time
	late      bool

	held    time.Time // after a 429
	unbound time.Time // until then it is taken to have no limits
	stray   int       // holders in a row that hold another window for the true one

	scouts  int
	scouted time.Time // when the first of them went
	overdue time.Time // when they are waited for no longer
	at      time.Time // when it was asked for last

	holders map[string]*holder
}

// holder is what the store knows of one.
type holder struct {
	out         int       // places that it has, used or not, which no header counts for certain
	spent       time.Time // by then they are used, or will not be
	interactive int       // calls of its that wait
	dry         int       // questions in a row that brought no place
	until       time.Time
	utilization float64 // the share of the window that it was told
}

// The store's settings; those of module fleet are the same.
const (
	Lasts    = 2 * time.Second // of a lease
	Grace    = time.Second     // in which calls of a lease that is over may arrive
	Patience = time.Second     // for scouts
	unbound  = time.Minute
	firstFew = 3
	astray   = 3
	most     = time.Hour
	back     = time.Second
)

// Lease implements [shared.Store].
func (m *Memory) Lease(_ context.Context, key shared.Bucket, r shared.LeaseRequest) (shared.Lease, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked["lease"]++
	now := m.Now()
	b := m.buckets[key]
	if b == nil || now.Before(b.at.Add(-back)) { // the clock was set back: all is learned anew
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
	h.until, h.spent, h.utilization = now.Add(1), now.Add(1), r.MaxUtilization // it is there
	for _, o := range b.holders {
		if !o.gone(now) {
			r.MaxUtilization = min(r.MaxUtilization, o.utilization) // the fleet keeps to the lowest
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
		h.until = now.Add(min(a.Retry, most) + Lasts + Grace)
		h.spent = now.Add(Lasts + Grace) // it may have some yet
	}
	return a, nil
}

// gone reports whether nothing was heard of a holder for too long. It may have
// died.
func (h *holder) gone(now time.Time) bool { return !now.Before(h.until) }

// account takes the places that were spent at a time off their holders: whatever
// became of them, a header of a later call counts it, or another window does not.
// Until then they count as used.
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

// sharers is how many holders are there.
func (b *bucket) sharers(now time.Time) (n int) {
	for _, h := range b.holders {
		if !h.gone(now) {
			n++
		}
	}
	return n
}

// out is what all holders have.
func (b *bucket) out() (n int) {
	for _, h := range b.holders {
		n += h.out
	}
	return n
}

// learn takes what a holder's headers said.
func (b *bucket) learn(now time.Time, r *shared.LeaseRequest) {
	b.late = b.late || r.Late
	if r.Refused > 0 {
		if until := now.Add(min(r.Refused, most)); until.After(b.held) {
			b.held = until
		}
	}
	if r.Unbound {
		b.unbound = now.Add(unbound)
	}
	s := r.Seen
	if s.ID <= 0 || s.Limit <= 0 || s.Remaining < 0 || s.Ends > most {
		return
	}
	b.unbound = now
	ends := now.Add(s.Ends)
	newer := b.id == 0 || s.ID > b.id+1
	if s.ID < b.id-1 && r.LastWindowID == b.id && now.Before(b.ends) {
		// It was told of the present window and finds that another runs.
		b.stray++
		newer = b.stray >= astray
	}
	// What is told of a window that runs goes before what is known of one that is over.
	newer = newer || s.ID < b.id-1 && !now.Before(b.over()) && s.Ends > 0
	switch {
	case newer:
		b.account(now, now)
		b.id, b.limit, b.remaining, b.ends = s.ID, s.Limit, s.Remaining, ends
		b.left, b.stray, b.scouts, b.overdue = s.Limit, 0, 0, now
		b.left = min(b.left, s.Remaining-b.out())
	case s.ID < b.id-1:
		return
	default:
		b.stray = 0
		b.limit = s.Limit
		b.remaining = min(b.remaining, s.Remaining)
		if b.left -= r.Taken; b.left > s.Remaining-r.Unused {
			// Somebody who is no part of the fleet took places, and may go on.
			b.left = b.remaining - b.out()
		}
		// Who knows Okta's clock best says the earliest end. That the window goes
		// on longer only a scout can tell, who met it after that.
		if now.Before(b.ends) && ends.Before(b.ends) || !now.Before(b.ends) && r.ScoutsEnded > 0 {
			b.ends = ends
		}
	}
	b.account(now.Add(-max(r.Age, 0)), now)
	// What all that are out may use is used at most: the rest is free.
	b.left = max(b.left, b.remaining-b.out())
}

// over is when the window is over.
func (b *bucket) over() time.Time {
	if b.late {
		return b.ends.Add(time.Second)
	}
	return b.ends
}

func (b *bucket) answer(now time.Time, r *shared.LeaseRequest, h *holder) shared.Lease {
	wants := r.Interactive + r.Background + r.Prefetch
	var a shared.Lease
	known := b.id != 0 && now.Before(b.over())
	if known {
		a.Window = shared.Window{ID: b.id, Limit: b.limit, Remaining: min(b.remaining, b.limit), Ends: b.over().Sub(now)}
	}
	switch {
	case now.Before(b.held):
		a.Held, a.Retry = true, b.held.Sub(now)
	case now.Before(b.unbound):
		a.Unbound, a.Places, a.Lasts = true, wants, Lasts
	case !known:
		a.Places, a.Retry = b.scout(now, wants, r.MaxUtilization)
		a.Lasts = Patience
	default:
		a.Places = b.grant(now, r, h)
		a.Lasts = min(Lasts, a.Window.Ends)
		if a.Places == 0 {
			a.Retry = a.Window.Ends
			if b.out() > h.out && b.remaining > reserve(b.limit, r.MaxUtilization) { // others may give some back
				a.Retry = min(a.Retry, 100*time.Millisecond<<min(h.dry, 5))
				h.dry++
			}
		}
	}
	return a
}

// scout lets few calls go that find out what the window is like: one where the
// last window was used up.
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

// grant hands out places: to each its part of what is left, to calls that wait
// before those that may come, and to background calls only what interactive
// calls of other processes don't wait for.
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
	least := min(max(share, b.limit/64), free) // of calls that wait: the last places are not worth many questions
	places := min(r.Interactive, least)
	back := min(r.Background, least-places, max(free-places-others, 0))
	ahead := share - places - back
	if r.Background > 0 {
		ahead = min(ahead, free-places-others-back)
	}
	ahead = max(ahead, 0)
	if b.scarce(r) { // let nobody hold what it may not need
		ahead = min(ahead, r.InFlight)
	}
	places += back + min(ahead, r.Prefetch)
	b.left -= places
	return places
}

// scarce reports whether the window runs out.
func (b *bucket) scarce(r *shared.LeaseRequest) bool {
	return b.left-reserve(b.limit, r.MaxUtilization) < b.limit/4
}

func reserve(limit int, utilization float64) int {
	return limit - max(int(float64(limit)*utilization+1e-9), 1)
}

// Buckets returns the buckets that the store knows of.
func (m *Memory) Buckets() (list []shared.Bucket) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for b := range m.buckets {
		list = append(list, b)
	}
	return list
}
