// This file holds which buckets and hosts there are: how one is found or made,
// and how idle ones are dropped, so that memory is bounded.

package pace

import (
	"math"
	"strconv"
	"time"
)

// Buckets are looked through once there are more than minSweep of them. Idle ones
// are dropped; while more than maxBuckets are left, so are others, by tier.
const (
	minSweep   = 1 << 10
	maxBuckets = 1 << 14
)

// tier is the order in which buckets are dropped.
type tier int

const (
	tierIdle   tier = iota // unused for idle
	tierOld                // unused for idleSoon
	tierRecent             // the others that are not held
	tierHeld
	tiers

	idle     = 15 * time.Minute
	idleSoon = time.Minute
)

// bucket finds or makes a bucket, and retains it.
func (g *Governor) bucket(k Key, traits Traits, now time.Time) *bucket {
	g.mu.RLock()
	b := g.buckets[k]
	retained := b != nil && b.retain()
	g.mu.RUnlock()
	if retained {
		return b
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if b = g.buckets[k]; b == nil {
		if len(g.buckets) >= g.sweepAt {
			g.sweep(now)
		}
		b = g.newBucket(k, traits, now)
		g.buckets[k] = b
	}
	b.retain() // succeeds: only the holder of mu drops a bucket that is in the register
	return b
}

// newBucket is called under mu.
func (g *Governor) newBucket(k Key, traits Traits, now time.Time) *bucket {
	h := g.hosts[k.Host]
	if h == nil {
		h = new(host)
		g.hosts[k.Host] = h
	}
	h.buckets++
	b := &bucket{
		cfg: &g.cfg, key: k, host: h, usedAt: now,
		window: window{limit: -1, left: -1, unbound: k.Bucket == "", mayBurst: traits.Bursts, narrow: traits.Narrow},
	}
	if g.store != nil {
		b.lease = g.newLease()
	}
	return b
}

// newLease returns the lease of a new bucket, which has nothing yet. Buckets of
// one key can follow each other, and each is a holder of its own.
func (g *Governor) newLease() *lease {
	return &lease{health: g.store.Part(), holder: g.holder + strconv.FormatUint(g.holders.Add(1), 36)}
}

// sweep drops idle buckets that nothing refers to and, while there are too many,
// those of higher tiers. The next sweep comes when the number of buckets has
// doubled, so that its cost for each new bucket is constant. Under mu.
func (g *Governor) sweep(now time.Time) {
	var count [tiers]int // of those that could be dropped
	for _, b := range g.buckets {
		switch t := b.tier(now); {
		case t == tierIdle && b.drop():
			g.forget(b)
		case b.refs.Load() == 0:
			count[t]++
		}
	}
	upTo, left := tierIdle, len(g.buckets)
	for left >= maxBuckets && upTo < tierHeld {
		upTo++
		left -= count[upTo]
	}
	if upTo > tierIdle {
		for _, b := range g.buckets {
			if b.tier(now) <= upTo && b.drop() {
				g.forget(b)
			}
		}
	}
	g.sweepAt = max(minSweep, 2*len(g.buckets))
}

// forget takes b out of the register, and its host with its last bucket. Under
// mu.
func (g *Governor) forget(b *bucket) {
	delete(g.buckets, b.key)
	if b.host.buckets--; b.host.buckets == 0 {
		delete(g.hosts, b.key.Host)
	}
}

// retain counts a reference to the bucket, unless the bucket was dropped.
func (b *bucket) retain() bool {
	if b.refs.Add(1) > 0 {
		return true
	}
	b.refs.Add(-1)
	return false
}

// release gives up a reference to the bucket.
func (b *bucket) release() { b.refs.Add(-1) }

// drop takes the bucket out of use, unless it is referred to.
func (b *bucket) drop() bool { return b.refs.CompareAndSwap(0, dropped) }

// dropped, as the number of references, stays negative whatever is added.
const dropped = math.MinInt64 / 2

// tier returns when the bucket is dropped, compared with others.
func (b *bucket) tier(now time.Time) tier {
	b.mu.Lock()
	defer b.mu.Unlock()
	unused := now.Sub(b.usedAt)
	switch {
	case b.heldUntil.After(now):
		return tierHeld
	case unused >= idle:
		return tierIdle
	case unused >= idleSoon:
		return tierOld
	}
	return tierRecent
}
