// This file holds which buckets and hosts there are: how one is found or made,
// and how idle ones are dropped, so that memory is bounded.

package pace

import (
	"math"
	"strconv"
	"time"
)

// An idle bucket is dropped once there are more than minSweep of them. Beyond
// maxBuckets those used longest ago are dropped first, and held ones last.
const (
	minSweep   = 1 << 10
	maxBuckets = 1 << 14
	idle       = 15 * time.Minute
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
		window:   window{limit: -1, left: -1, unbound: k.Bucket == "", mayBurst: traits.Bursts},
		refusals: refusals{narrow: traits.Narrow},
	}
	if g.store != nil {
		b.lease = g.newLease()
	}
	return b
}

// newLease returns the lease of a new bucket, which has nothing yet. Buckets of
// one key can follow each other, and each is a holder of its own.
func (g *Governor) newLease() *lease {
	return &lease{health: g.store, holder: g.holder + strconv.FormatUint(g.holders.Add(1), 36)}
}

// sweep drops idle buckets that no ticket refers to and, while there are too
// many, also those used more recently. The next sweep comes when the number of
// buckets has doubled, so that its cost for each new bucket is constant. Under mu.
func (g *Governor) sweep(now time.Time) {
	for _, which := range []struct {
		unused time.Duration
		held   bool
	}{{idle, false}, {idle / 15, false}, {0, false}, {0, true}} {
		for _, b := range g.buckets {
			if b.isUnused(now, which.unused, which.held) && b.drop() {
				g.forget(b)
			}
		}
		if len(g.buckets) < maxBuckets {
			break
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

// drop takes the bucket out of use, unless somebody refers to it.
func (b *bucket) drop() bool { return b.refs.CompareAndSwap(0, dropped) }

// dropped, as the number of references, stays negative whatever is added.
const dropped = math.MinInt64 / 2

// isUnused reports whether the bucket has been unused for so long, and is not
// held unless held buckets count, too.
func (b *bucket) isUnused(now time.Time, since time.Duration, evenHeld bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return now.Sub(b.usedAt) >= since && (evenHeld || !b.heldUntil.After(now))
}
