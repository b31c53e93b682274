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
	slots    slots
	ceilings ceilings
	waiting  []*bucket // whose first call waits for a slot; by queue and next
	pruneAt  int       // the length of waiting at which unused buckets are removed; by queue

	crowded atomic.Bool // waiting is not empty; by queue and next, under mu
}

// minPrune is how many buckets may have left the line for slots unseen.
const minPrune = 64

// take takes a slot for a call of b, and counts it under the ceilings. If that
// cannot be yet, it returns how long to wait; b is woken when a slot is free
// earlier.
func (h *host) take(now time.Time, b *bucket, cfg *Config) (wait time.Duration, why Reason) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.slots.full(cfg.MaxInFlight) {
		h.queue(b)
		return patience, Slot
	}
	if wait := h.ceilings.take(now, b.key.Bucket, cfg); wait > 0 {
		return wait, Ceiling
	}
	h.slots.take(now)
	return 0, NoReason
}

// force counts a call that is sent whatever the slots and ceilings are.
func (h *host) force(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.slots.take(now)
}

// release gives a slot back.
func (h *host) release(now time.Time, end slotEnd) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.slots.release(now, end)
}

// untilCeilings returns how long the ceilings need for n calls of b, at least.
func (h *host) untilCeilings(now time.Time, b *bucket, n int, cfg *Config) time.Duration {
	if !cfg.hasCeilings() { // known without the lock
		return 0
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ceilings.until(now, b.key.Bucket, n, cfg)
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
	if len(h.waiting) == 0 || h.slots.full(maxInFlight) {
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
