// This file holds what the buckets of a host share: its clock, its limit of
// calls in flight, and the user's ceilings.

package pace

import (
	"slices"
	"sync"
	"sync/atomic"
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
	tides    tides
	waiting  []*bucket // whose first call waits for a slot
	pruneAt  int       // the length of waiting at which those that left are looked for
	ceiling  *rate.Limiter
	ceilings map[string]*rate.Limiter // by bucket; no more than the user has set

	crowded atomic.Bool // waiting is not empty
}

// Beyond the level that was refused last, slots grow once a second, by steps
// that double: back at work within seconds when others let go of theirs, and
// seldom refused when they don't.
const (
	growEvery = time.Second
	shrinkTo  = 0.95
	regrow    = 4 // slots a round trip, up to the level refused last
)

// take takes a slot and a place under the ceilings for a call of b. Else it says
// how long to wait for them; b is told when a slot comes free earlier.
func (h *host) take(now time.Time, b *bucket, cfg *Config) (wait time.Duration, why Reason) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.full(cfg.MaxInFlight) {
		h.queue(b)
		return patience, Slot
	}
	if h.limited(cfg) {
		ceilings := h.limiters(b, cfg)
		for _, c := range ceilings {
			wait = max(wait, untilTokens(c, now, 1))
		}
		if wait > 0 {
			return wait, Ceiling
		}
		for _, c := range ceilings {
			if c != nil {
				c.AllowN(now, 1)
			}
		}
	}
	h.inFlight++
	h.tides.rise(now, h.inFlight)
	return 0, NoReason
}

func (h *host) full(most int) bool {
	return most > 0 && h.inFlight >= most || h.slots > 0 && h.inFlight >= int(h.slots)
}

// limited reports whether the user has set ceilings, or had.
func (h *host) limited(cfg *Config) bool {
	return cfg.MaxRate > 0 || len(cfg.BucketRates) > 0 || h.ceiling != nil || len(h.ceilings) > 0
}

// limiters returns the user's ceilings for the calls of b; nil where there is
// none. They are made anew when the user has changed them.
func (h *host) limiters(b *bucket, cfg *Config) [2]*rate.Limiter {
	name := b.key.Bucket
	h.ceiling = ceiling(h.ceiling, cfg.MaxRate, cfg.Burst)
	own := ceiling(h.ceilings[name], cfg.BucketRates[name], cfg.Burst)
	switch {
	case own == nil:
		delete(h.ceilings, name)
	case h.ceilings == nil:
		h.ceilings = map[string]*rate.Limiter{name: own}
	default:
		h.ceilings[name] = own
	}
	return [2]*rate.Limiter{h.ceiling, own}
}

// ceiling returns l if it is what is wanted, else a new limiter.
func ceiling(l *rate.Limiter, most float64, burst int) *rate.Limiter {
	burst = max(burst, 1)
	switch {
	case !(most > 0):
		return nil
	case l != nil && l.Limit() == rate.Limit(most) && l.Burst() == burst:
		return l
	}
	return rate.NewLimiter(rate.Limit(most), burst)
}

// turn returns how long the user's ceilings need for n calls of b, at least.
func (h *host) turn(now time.Time, b *bucket, n int, cfg *Config) time.Duration {
	if cfg.MaxRate <= 0 && len(cfg.BucketRates) == 0 { // known without the lock
		return 0
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	var wait time.Duration
	for _, c := range h.limiters(b, cfg) {
		wait = max(wait, untilTokens(c, now, n))
	}
	return wait
}

// putBack gives a slot back.
func (h *host) putBack(now time.Time, v slotVerdict) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tides.turn(now, h.inFlight)
	switch {
	case v == slotRefused:
		level := h.tides.refuse(h.inFlight)
		h.slots = max(min(h.slotsOr(level), shrinkTo*float64(level)), 1)
		if h.refused == 0 || level < h.refused || now.Sub(h.grown) > growEvery {
			h.refused = level
		}
		h.step, h.grown = 1, now
	case v == slotUsed && h.slots > 0 && float64(h.inFlight) >= h.slots-1:
		if h.slots < float64(h.refused-1) {
			h.slots += regrow / h.slots
		} else if now.Sub(h.grown) >= growEvery {
			h.slots += h.step
			h.step, h.grown = 2*h.step, now
		}
	}
	h.inFlight--
}

// queue lets b stand in line for a slot.
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

// minPrune is how many buckets may have left the line for slots unseen.
const minPrune = 64

// next takes the next bucket out of the line for slots if there is a slot for
// it; else it returns nil.
func (h *host) next(most int) *bucket {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.waiting) == 0 || h.full(most) {
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

// passOn tells the first call of the next bucket in line for a slot, if there
// is a free one. A call that is told asks or leaves, and either passes on what
// is left. The caller holds no bucket's lock.
func (h *host) passOn(most int) {
	for h.crowded.Load() {
		b := h.next(most)
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
