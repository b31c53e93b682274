// This file holds the rolling count of successes. There is one for nearly every
// call, so it must cost next to nothing.

package circuit

import (
	"sync"
	"sync/atomic"
	"time"
)

// rolling counts what happened within a window, in steps of a part of it. It is
// safe for concurrent use. Counting within a step is one addition, for every
// core counts here.
type window struct {
	step time.Duration // the length of one
	born time.Time     // the clock may be set, and times measured from here don't see it

	all  atomic.Uint32 // ever; it may wrap, for only differences matter
	over atomic.Int64  // when the present step is, counted from born

	mu     sync.Mutex
	newest int64         // the number of the present step
	start  [steps]uint32 // of the last steps: all, as it was when they began
}

// add counts one.
func (r *window) add(now time.Time) {
	if now.Sub(r.born) >= time.Duration(r.over.Load()) {
		r.mu.Lock()
		r.turn(r.number(now))
		r.mu.Unlock()
	}
	r.all.Add(1)
}

// total returns how many there are in the window that ends now.
func (r *window) total(now time.Time) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turn(r.number(now))
	return int(r.all.Load() - r.start[(r.newest+1)%steps])
}

// due returns how many successes would have come in a time, at the pace of those
// that the window holds.
func (r *window) due(d time.Duration, inWindow int) float64 {
	return float64(inWindow) * float64(d) / float64(r.step*steps)
}

// ever returns how many there have been in all, more or less 2^32.
func (r *window) ever() uint32 { return r.all.Load() }

// reset empties the window.
func (r *window) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.start {
		r.start[i] = r.all.Load()
	}
}

func (r *window) number(now time.Time) int64 { return int64(now.Sub(r.born) / r.step) }

// turn begins the steps up to n. The caller holds mu.
func (r *window) turn(n int64) {
	for i := max(r.newest, n-steps) + 1; i <= n; i++ {
		r.start[i%steps] = r.all.Load()
	}
	r.newest = max(r.newest, n)
	r.over.Store((r.newest + 1) * int64(r.step))
}
