// This file holds whether the store that processes share is to be asked: how its
// loss is noticed, in whole or in part, and how it is found to be back.

package pace

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// StoreHealth is whether a shared store works. While it does, every call may make
// requests. Once a request fails the store is lost: one call at a time may probe
// it, at growing intervals, so that no other pays for the loss; the first answer
// brings it back, but for the parts whose own requests have failed. The zero
// StoreHealth works. It is safe for concurrent use.
type StoreHealth struct {
	whole health

	ill  atomic.Bool // lost is not empty
	mu   sync.Mutex
	lost map[*StorePart]time.Time // the parts that are lost, and when each failed last
}

// StorePart is whether the store works for one bucket, or for the circuits of one host:
// in a cluster of servers one may be lost, and what another answers does not bring it
// back. It is safe for concurrent use.
type StorePart struct {
	store *StoreHealth
	own   health
}

// Part returns a part of the store, which works as far as is known.
func (h *StoreHealth) Part() *StorePart { return &StorePart{store: h} }

// Works reports whether all parts of the store work, as far as is known.
func (h *StoreHealth) Works() bool { return h.whole.works() && !h.ill.Load() }

// Permit is the permission for one request to the store. It must be used, and
// its holder must report the outcome with [Permit.Failed] or [Permit.Succeeded].
type Permit struct {
	part       *StorePart
	whole, own *outage // that the request probes; nil: the store, or the part, worked
	since      *outage // the store's last one when the permit was given
}

// Probes reports whether the request finds out if the store is back.
func (p Permit) Probes() bool { return p.whole != nil || p.own != nil }

// abandon leaves what the request would have probed to another call. It stands for the
// report of an outcome.
func (p Permit) abandon() {
	p.whole.abandon()
	p.own.abandon()
}

// precedes reports whether the request is from before an outage that is over: then it
// proves nothing.
func (p Permit) precedes() bool { return !p.Probes() && p.part.store.whole.last.Load() != p.since }

// permit returns the permit for a request to a part that works.
func (s *StorePart) permit() Permit { return Permit{part: s, since: s.store.whole.last.Load()} }

// Works reports whether the part works, as far as is known.
func (s *StorePart) Works() bool { return s.store.whole.works() && s.own.works() }

// Try returns the permit for one request, if there may be one: always while the part
// works, and to one call at a time while it, or the store, is lost and a probe is due.
func (s *StorePart) Try(now time.Time) (Permit, bool) {
	whole, ok := s.store.whole.try(now)
	if !ok {
		return Permit{}, false
	}
	own, ok := s.own.try(now)
	if !ok {
		whole.abandon()
		return Permit{}, false
	}
	p := s.permit()
	p.whole, p.own = whole, own
	return p, true
}

// untilProbe returns how long it is until the next probe of what is lost may be made.
func (s *StorePart) untilProbe(now time.Time) (d time.Duration) {
	for _, h := range []*health{&s.store.whole, &s.own} {
		if o := h.current.Load(); o != nil {
			d = max(d, o.probeAt.Sub(now))
		}
	}
	return d
}

// Failed reports that the request failed. lost is true if all of the store worked until
// then.
func (p Permit) Failed(now time.Time) (lost bool) {
	if p.precedes() {
		return false
	}
	first := p.part.own.failed(p.own, now)
	switch {
	case p.whole != nil:
		p.part.store.whole.failed(p.whole, now)
	case first:
		p.part.store.whole.failed(nil, now)
	}
	return p.part.store.losePart(p.part, now)
}

// Succeeded reports that the request was answered. back is true if a part was lost
// until then, and none is now. The answer to a request from before a loss proves
// nothing.
func (p Permit) Succeeded(now time.Time) (back bool) {
	h := p.part.store
	h.whole.succeeded(p.whole)
	p.part.own.succeeded(p.own)
	return h.ill.Load() && p.part.Works() && h.regainPart(p, now)
}

// A part that nobody has asked for so long says nothing of the store any more.
const partForgotten = 10 * time.Second

// losePart records that a part failed and reports whether it is the first.
func (h *StoreHealth) losePart(s *StorePart, now time.Time) (first bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.lost == nil {
		h.lost = make(map[*StorePart]time.Time)
	}
	first = len(h.lost) == 0
	h.lost[s] = now
	h.forget(s, now)
	h.ill.Store(true)
	return first
}

// forget drops the parts but s that nobody has asked for long. It is called under mu.
func (h *StoreHealth) forget(s *StorePart, now time.Time) {
	for other, failed := range h.lost {
		if other != s && now.Sub(failed) >= partForgotten {
			delete(h.lost, other)
		}
	}
}

// regainPart records that a part works and reports whether that makes all work.
func (h *StoreHealth) regainPart(p Permit, now time.Time) (all bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.lost) == 0 {
		return false
	}
	if p.Probes() {
		delete(h.lost, p.part)
	}
	h.forget(p.part, now)
	h.ill.Store(len(h.lost) > 0)
	return len(h.lost) == 0
}

// health is whether something works that is probed while it does not. The zero health
// works.
type health struct {
	current atomic.Pointer[outage] // nil: it works, as far as is known
	last    atomic.Pointer[outage] // the one that ended last
}

// outage is a time in which the store is lost, up to the next probe: a probe that
// fails begins a new one.
type outage struct {
	probeAt time.Time     // the next probe; never changed
	wait    time.Duration // until then, less what was random; never changed
	probing atomic.Bool   // a call has the permit for the probe; by try
}

// The interval of probes doubles from firstRetry to longestRetry.
const (
	firstRetry   = 50 * time.Millisecond
	longestRetry = time.Second
)

func (h *health) works() bool { return h.current.Load() == nil }

// try returns the outage that the caller is to probe, nil where there is none; it is
// false where another does, or a probe is not due.
func (h *health) try(now time.Time) (*outage, bool) {
	o := h.current.Load()
	if o == nil {
		return nil, true
	}
	return o, !now.Before(o.probeAt) && !o.probing.Swap(true)
}

// abandon leaves the probe to another call.
func (o *outage) abandon() {
	if o != nil {
		o.probing.Store(false)
	}
}

// failed records a failure; o is what the request probed. lost is true if it worked
// until then.
func (h *health) failed(o *outage, now time.Time) (lost bool) {
	if o != nil {
		h.current.CompareAndSwap(o, newOutage(now, min(2*o.wait, longestRetry)))
		return false
	}
	wait := firstRetry
	// What serves only some requests comes and goes with each: the interval grows over
	// losses that follow each other.
	if last := h.last.Load(); last != nil && now.Sub(last.probeAt) < 2*longestRetry {
		wait = min(2*last.wait, longestRetry)
	}
	return h.current.CompareAndSwap(nil, newOutage(now, wait))
}

// succeeded records an answer; o is what the request probed. back is true if it was
// lost until then.
func (h *health) succeeded(o *outage) (back bool) {
	if o == nil {
		return false
	}
	h.last.Store(o)
	return h.current.CompareAndSwap(o, nil)
}

func newOutage(now time.Time, wait time.Duration) *outage {
	// Processes that lost the store together don't come back together.
	return &outage{probeAt: now.Add(time.Duration(float64(wait) * (0.75 + rand.Float64()/2))), wait: wait}
}
