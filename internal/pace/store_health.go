// This file holds whether a store that processes share can be asked: how its
// loss is noticed, and how it is found to be back.

package pace

import (
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// StoreHealth says whether the shared store can be asked. One is for all buckets of a
// Governor. It is safe for concurrent use.
type StoreHealth struct {
	out  atomic.Pointer[outage] // nil: the store works, as far as is known
	last atomic.Pointer[outage] // the one that ended last
}

// outage is a time in which the store is not asked but by one call now and
// then, so that no other pays for its loss.
type outage struct {
	next  time.Time
	wait  time.Duration
	tried atomic.Bool // somebody asks now; his answer begins a new outage or ends it
}

const (
	firstRetry   = 50 * time.Millisecond
	longestRetry = 2 * time.Second
)

// Permit is the permission to ask the store.
type Permit struct{ of *outage } // nil: the store works

// Works reports whether the store rules.
func (f *StoreHealth) Works() bool { return f.out.Load() == nil }

// Due reports whether the store is lost and it is time to see whether it is back.
func (f *StoreHealth) Due(now time.Time) bool {
	o := f.out.Load()
	return o != nil && !now.Before(o.next) && !o.tried.Load()
}

// Try asks for permission to ask the store. While it works everybody may; while
// it is lost one at a time, after a pause that doubles up to two seconds, also
// over losses that follow each other. Whoever
// may must say how it went with [StoreHealth.Failed] or [StoreHealth.Succeeded].
func (f *StoreHealth) Try(now time.Time) (Permit, bool) {
	o := f.out.Load()
	if o == nil {
		return Permit{}, true
	}
	if now.Before(o.next) || o.tried.Swap(true) {
		return Permit{}, false
	}
	return Permit{o}, true
}

// Failed takes note of a failure and reports whether the store is lost by it.
func (f *StoreHealth) Failed(a Permit, now time.Time) (lost bool) {
	if a.of == nil {
		// A store that serves some questions only comes and goes with each.
		wait := firstRetry
		if last := f.last.Load(); last != nil && now.Sub(last.next) < longestRetry {
			wait = min(2*last.wait, longestRetry)
		}
		return f.out.CompareAndSwap(nil, newOutage(now, wait))
	}
	f.out.CompareAndSwap(a.of, newOutage(now, min(2*a.of.wait, longestRetry)))
	return false
}

// Succeeded takes note of an answer and reports whether the store is back by
// it. The answer to a question from before the loss proves nothing.
func (f *StoreHealth) Succeeded(a Permit) (back bool) {
	if a.of == nil {
		return false
	}
	f.last.Store(a.of)
	return f.out.CompareAndSwap(a.of, nil)
}

func newOutage(now time.Time, wait time.Duration) *outage {
	// Processes that lost the store together don't come back together.
	return &outage{next: now.Add(time.Duration(float64(wait) * (0.75 + rand.Float64()/2))), wait: wait}
}
