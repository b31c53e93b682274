// This file holds whether the store that processes share is to be asked: how its
// loss is noticed, and how it is found to be back.

package pace

import (
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// StoreHealth is whether a shared store works. While it does, every call may make
// requests. Once a request fails the store is lost: one call at a time may probe
// it, at growing intervals, so that no other pays for the loss; the first answer
// brings it back. The zero StoreHealth works. It is safe for concurrent use.
type StoreHealth struct {
	current atomic.Pointer[outage] // nil: the store works, as far as is known
	last    atomic.Pointer[outage] // the one that ended last
}

// outage is a time in which the store is lost, up to the next probe: a probe that
// fails begins a new one.
type outage struct {
	probeAt time.Time     // the next probe; never changed
	wait    time.Duration // until then, less what was random; never changed
	probing atomic.Bool   // a call has the permit for the probe; by Try
}

// The interval of probes doubles from firstRetry to longestRetry.
const (
	firstRetry   = 50 * time.Millisecond
	longestRetry = 2 * time.Second
)

// Permit is the permission for one request to the store. It must be used, and
// its holder must report the outcome with [StoreHealth.Failed] or
// [StoreHealth.Succeeded].
type Permit struct{ outage *outage } // that the request probes; nil: the store worked

// Works reports whether the store works, as far as is known.
func (h *StoreHealth) Works() bool { return h.current.Load() == nil }

// Due reports whether the store is lost and a probe is due.
func (h *StoreHealth) Due(now time.Time) bool {
	o := h.current.Load()
	return o != nil && !now.Before(o.probeAt) && !o.probing.Load()
}

// Try returns the permit for one request, if there may be one: always while the
// store works, and to one call at a time while it is lost and a probe is due.
func (h *StoreHealth) Try(now time.Time) (Permit, bool) {
	o := h.current.Load()
	if o == nil {
		return Permit{}, true
	}
	if now.Before(o.probeAt) || o.probing.Swap(true) {
		return Permit{}, false
	}
	return Permit{o}, true
}

// Failed reports that a request failed. lost is true if the store worked until
// then.
func (h *StoreHealth) Failed(p Permit, now time.Time) (lost bool) {
	if p.outage != nil {
		h.current.CompareAndSwap(p.outage, newOutage(now, min(2*p.outage.wait, longestRetry)))
		return false
	}
	wait := firstRetry
	// A store that serves only some requests comes and goes with each: the interval
	// grows over losses that follow each other.
	if last := h.last.Load(); last != nil && now.Sub(last.probeAt) < longestRetry {
		wait = min(2*last.wait, longestRetry)
	}
	return h.current.CompareAndSwap(nil, newOutage(now, wait))
}

// Succeeded reports that a request was answered. back is true if the store was
// lost until then. The answer to a request from before the loss proves nothing.
func (h *StoreHealth) Succeeded(p Permit) (back bool) {
	if p.outage == nil {
		return false
	}
	h.last.Store(p.outage)
	return h.current.CompareAndSwap(p.outage, nil)
}

func newOutage(now time.Time, wait time.Duration) *outage {
	// Processes that lost the store together don't come back together.
	return &outage{probeAt: now.Add(time.Duration(float64(wait) * (0.75 + rand.Float64()/2))), wait: wait}
}
