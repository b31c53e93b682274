// This file holds what the buckets of a host share: its clock, its limit of
// calls in flight, and the user's ceiling.

package pace

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// host is what the buckets of a host share.
type host struct {
	clock Clock

	mu       sync.Mutex
	inFlight int
	slots    float64 // how many may be in flight, as far as refusals tell; 0: no refusal was met
	refused  int     // one less than that many in flight were refused last
	step     float64 // by which slots grow beyond what was refused
	grown    time.Time
	waiting  []*bucket     // whose first call waits for a slot
	ceiling  *rate.Limiter // nil: none
}

// Beyond the level that was refused last, slots grow once a second, by steps
// that double: back at work within seconds when others let go of theirs, and
// seldom refused when they don't.
const (
	growEvery = time.Second
	shrinkTo  = 0.95
	regrow    = 4 // slots a round trip, up to the level refused last
)

// take takes a slot and a place under the ceiling for a call of b. Else it says
// how long to wait for them; b is told when a slot comes free earlier. level is
// how many are in flight with the call.
func (h *host) take(now time.Time, b *bucket, most int) (level int, wait time.Duration, why Reason) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if most > 0 && h.inFlight >= most || h.slots > 0 && h.inFlight >= int(h.slots) {
		if !b.wantsSlot {
			b.wantsSlot = true
			h.waiting = append(h.waiting, b)
		}
		return 0, patience, Slot
	}
	if c := h.ceiling; c != nil && !c.AllowN(now, 1) {
		return 0, shortOf(c, now), Ceiling
	}
	h.inFlight++
	return h.inFlight, 0, NoReason
}

// putBack gives a slot back and returns the bucket whose turn it is, if one
// waits. The caller holds no bucket's lock.
func (h *host) putBack(now time.Time, level int, v slotVerdict) *bucket {
	h.mu.Lock()
	defer h.mu.Unlock()
	// Calls overtake each other on their way, so the one that is refused need
	// not be the one that was too many.
	level = max(level, h.inFlight)
	h.inFlight--
	switch {
	case v == slotRefused:
		h.slots = max(min(h.slotsOr(level), shrinkTo*float64(level)), 1)
		if h.refused == 0 || level < h.refused || now.Sub(h.grown) > growEvery {
			h.refused = level
		}
		h.step, h.grown = 1, now
	case v == slotUsed && h.slots > 0 && float64(h.inFlight+1) >= h.slots-1:
		if h.slots < float64(h.refused-1) {
			h.slots += regrow / h.slots
		} else if now.Sub(h.grown) >= growEvery {
			h.slots += h.step
			h.step, h.grown = 2*h.step, now
		}
	}
	return h.popWaiting()
}

// nextWaiting returns the next bucket that waits for a slot, or nil.
func (h *host) nextWaiting() *bucket {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.popWaiting()
}

func (h *host) popWaiting() *bucket {
	if len(h.waiting) == 0 {
		h.waiting = nil
		return nil
	}
	b := h.waiting[0]
	h.waiting = h.waiting[1:]
	b.wantsSlot = false
	return b
}

// wake tells b's first call that there is a slot; if nobody is there any more,
// the next bucket's. The caller holds no bucket's lock.
func (h *host) wake(b *bucket) {
	for ; b != nil; b = h.nextWaiting() {
		b.mu.Lock()
		found := b.line.wakeFirst()
		b.mu.Unlock()
		if found {
			return
		}
	}
}

// interval is the distance of calls under the user's ceiling; 0 without one.
func (h *host) interval() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ceiling == nil {
		return 0
	}
	return time.Duration(float64(time.Second) / float64(h.ceiling.Limit()))
}

func (h *host) slotsOr(level int) float64 {
	if h.slots > 0 {
		return h.slots
	}
	return float64(level)
}

// slotVerdict is what a call's end says of the host's limit of calls in flight.
type slotVerdict uint8

const (
	slotUnused  slotVerdict = iota // it was not sent, or not answered
	slotUsed                       // it was answered
	slotRefused                    // 0/0: it was one too many
)
