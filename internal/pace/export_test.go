// This file holds what the tests see of the governor's memory.

package pace

import "time"

// Buckets returns how many buckets and hosts are remembered.
func (g *Governor) Buckets() (buckets, hosts int) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return len(g.buckets), len(g.hosts)
}

// Kinds returns how many kinds of calls are remembered of a bucket.
func (g *Governor) Kinds(k Key) int {
	b := g.bucket(k, Traits{}, time.Time{})
	defer b.release()
	s := b.split.Load()
	if s == nil {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.kinds)
}

// GrantWhole records that a credential may use the whole limit of a bucket, as
// accepted calls would show.
func (g *Governor) GrantWhole(k Key) {
	b := g.bucket(k, Traits{}, time.Time{})
	defer b.release()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.window.pastHalf = true
}

// LineForSlots returns how many buckets stand in the line for a slot of a host.
func (g *Governor) LineForSlots(name string) int {
	g.mu.RLock()
	h := g.hosts[name]
	g.mu.RUnlock()
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.waiting)
}

// LockBucket holds up the calls of a bucket until unlock.
func (g *Governor) LockBucket(k Key, now time.Time) (unlock func()) {
	b := g.bucket(k, Traits{}, now)
	b.mu.Lock()
	return func() {
		b.mu.Unlock()
		b.release()
	}
}

// LostParts returns how many parts are known to be lost.
func (h *StoreHealth) LostParts() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.lost)
}
