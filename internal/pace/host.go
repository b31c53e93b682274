// This file holds what the buckets of a host share, and the line in which they
// wait for a slot.

package pace

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// host is what the buckets of a host share.
type host struct {
	clock   Clock
	buckets int // how many there are of it; by the register, under Governor.mu

	mu       sync.Mutex // guards all below
	inFlight int        // by take and release
	slots    slots
	refused  [2]slotRefusal // the last ones of two endpoints, the later first; by isToBlame
	ceilings ceilings
	waiting  []*bucket // whose first call waits for a slot; by queue and next
	pruneAt  int       // the length of waiting at which unused buckets are removed; by queue

	refusedOnce atomic.Bool // a 429 was met; by Ticket.FirstRefusal

	crowded atomic.Bool // waiting is not empty; by queue and next, under mu
}

// minPrune is how many buckets may have left the line for slots unseen.
const minPrune = 64

// slotRefusal is when a call to an endpoint was refused for want of a slot.
type slotRefusal struct {
	bucket string
	at     time.Time
}

const (
	// together is how close to each other refusals of two endpoints are taken for
	// the host's.
	together = 2 * time.Second
	// believed is how long the host's limit is kept after that. It is a guess, and a
	// wrong one delays calls that the server would accept; without it each bucket
	// keeps to its own.
	believed = 10 * time.Second
)

// take takes a slot for t, and counts it under the ceilings. If that cannot be
// yet, it returns how long to wait; t's bucket is woken when a slot is free
// earlier.
func (h *host) take(now time.Time, t *Ticket, cfg *Config) (wait time.Duration, why Reason) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.slots.limit != nil && now.Sub(h.refused[1].at) > believed {
		h.slots.limit = nil
	}
	if h.full(cfg.MaxInFlight) {
		h.queue(t.bucket)
		return patience, Slot
	}
	if wait := h.ceilings.take(now, t.bucket.name(), cfg); wait > 0 {
		return wait, Ceiling
	}
	h.count(now, t)
	return 0, NoReason
}

// force counts a call that is sent whatever the slots and ceilings are.
func (h *host) force(now time.Time, t *Ticket) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.count(now, t)
}

// count counts t as in flight.
func (h *host) count(now time.Time, t *Ticket) {
	h.inFlight++
	t.hostEpoch = h.slots.enter(now, h.inFlight)
}

// full reports whether no slot is free. maxInFlight is the user's limit; 0: none.
func (h *host) full(maxInFlight int) bool {
	return maxInFlight > 0 && h.inFlight >= maxInFlight || h.slots.full(h.inFlight)
}

// release gives the slot of t back.
func (h *host) release(now time.Time, t *Ticket) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch t.end {
	case slotUsed:
		h.slots.raise(now, h.inFlight)
	case slotExplained:
		h.slots.uncount(t.hostEpoch)
	case slotRefused:
		h.slots.uncount(t.hostEpoch)
		if h.isToBlame(now, t.bucket.name()) {
			h.slots.lower(now, t.hostEpoch)
		}
	}
	h.inFlight--
}

// isToBlame records that a call to an endpoint was refused and reports whether the
// host is to blame. The server also limits what one client has in flight at one
// endpoint, and refuses nobody else then; a limit of the host meets all.
func (h *host) isToBlame(now time.Time, bucket string) bool {
	r := &h.refused
	if r[0].bucket != bucket {
		r[1] = r[0]
	}
	r[0] = slotRefusal{bucket, now}
	return now.Sub(r[1].at) < together
}

// untilCeilings returns how long the ceilings need for n calls of b, at least.
func (h *host) untilCeilings(now time.Time, b *bucket, n int, cfg *Config) time.Duration {
	if !cfg.hasCeilings() { // known without the lock
		return 0
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ceilings.until(now, b.name(), n, cfg)
}

// queue puts b into the line for a slot.
func (h *host) queue(b *bucket) {
	if b.wantsSlot {
		return
	}
	if len(h.waiting) >= max(h.pruneAt, minPrune) {
		h.waiting = slices.DeleteFunc(h.waiting, func(b *bucket) bool {
			gone := b.refs.Load() <= 0
			if gone {
				b.wantsSlot = false
			}
			return gone
		})
		h.pruneAt = 2 * len(h.waiting)
	}
	b.wantsSlot = true
	h.waiting = append(h.waiting, b)
	h.crowded.Store(true)
}

// next takes the next bucket out of the line for slots if there is a slot for
// it; else it returns nil.
func (h *host) next(maxInFlight int) *bucket {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.waiting) == 0 || h.full(maxInFlight) {
		return nil
	}
	b := h.waiting[0]
	h.waiting[0] = nil
	h.waiting = h.waiting[1:]
	b.wantsSlot = false
	if len(h.waiting) == 0 {
		h.waiting = nil
		h.crowded.Store(false)
	}
	return b
}

// passOn wakes the first call of the next bucket in line for a slot, if one is
// free. That call asks or leaves, and either passes on what is left. The caller
// holds no bucket's lock.
func (h *host) passOn(maxInFlight int) {
	for h.crowded.Load() {
		b := h.next(maxInFlight)
		if b == nil {
			return
		}
		b.mu.Lock()
		found := b.line.wakeFirst()
		b.mu.Unlock()
		if found {
			return
		}
	}
}
