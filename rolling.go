// This file counts successes over a rolling window. There is one for nearly
// every call, so it must cost next to nothing.

package oktaretry

import (
	"sync"
	"time"
)

// rolling counts what happened within a window, in steps of a part of it. It is
// safe for concurrent use.
type rolling struct {
	step time.Duration // the length of one
	born time.Time     // the clock may be set, and times measured from here don't see it

	mu     sync.Mutex
	newest int64 // the number of the step that runs
	counts [circuitBuckets]uint32
	sum    int
	all    uint64 // also those that the window has left behind
}

// add counts one.
func (r *rolling) add(now time.Time) {
	r.mu.Lock()
	r.turn(now)
	r.counts[r.newest%circuitBuckets]++
	r.sum++
	r.all++
	r.mu.Unlock()
}

// total returns how many there are in the window that ends now.
func (r *rolling) total(now time.Time) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turn(now)
	return r.sum
}

// ever returns how many there have been in all.
func (r *rolling) ever() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.all
}

// reset empties the window.
func (r *rolling) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.counts[:])
	r.sum = 0
}

// turn forgets the steps that the window has left behind. The caller holds mu.
func (r *rolling) turn(now time.Time) {
	n := int64(now.Sub(r.born) / r.step)
	if n-r.newest >= circuitBuckets {
		clear(r.counts[:])
		r.sum, r.newest = 0, n
	}
	for ; r.newest < n; r.newest++ {
		left := &r.counts[(r.newest+1)%circuitBuckets]
		r.sum -= int(*left)
		*left = 0
	}
}
