// This file holds how a bucket in use finds out that a lost store is back without a
// call of its own: all of its calls may wait for the next window, which they would
// else begin without the store.

package pace

import (
	"time"

	"github.com/oktaretry/oktaretry/shared"
)

// lossForgotten is how long a bucket without calls has a lost store probed; then its
// next call does.
const lossForgotten = 10 * time.Second

// LossWatch is a bucket's watch over the store while that is lost.
type LossWatch struct{ bucket *bucket }

// LossUnwatched reports whether the call, which is in line, is to begin a watch: the store
// is lost, and nobody watches for the bucket yet.
func (t *Ticket) LossUnwatched() bool {
	b := t.bucket
	if b == nil || b.lease == nil || b.lease.health.Works() {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.lease.lossWatched && !b.window.unbound
}

// WatchLoss returns the watch that the call is to begin, and what names the bucket in its
// probes; see [StoreRequest.WatchLoss].
func (t *Ticket) WatchLoss(name shared.Bucket) (w LossWatch, after time.Duration, ok bool) {
	b := t.bucket
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lease.name = name
	return b.watchLoss()
}

// WatchLoss returns the watch that is to begin since r has failed. [LossWatch.Probe] is to
// be called after a while. ok is false if somebody watches already.
func (r *StoreRequest) WatchLoss() (w LossWatch, after time.Duration, ok bool) {
	r.bucket.mu.Lock()
	defer r.bucket.mu.Unlock()
	return r.bucket.watchLoss()
}

// watchLoss is called under mu. A bucket without limits asks no store.
func (b *bucket) watchLoss() (w LossWatch, after time.Duration, ok bool) {
	if b.lease.lossWatched || b.window.unbound {
		return LossWatch{}, 0, false
	}
	b.lease.lossWatched = true
	return LossWatch{b}, firstRetry, true
}

// Probe returns the request that finds out whether the store is back for the bucket; nil
// when it is not yet time, another request does, or mayAsk is false. again is when to
// call it again; 0: no more, for the store is back, or the bucket is in use no longer.
func (w LossWatch) Probe(now time.Time, mayAsk bool) (probe *StoreRequest, again time.Duration) {
	b := w.bucket
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.lease
	if l.health.Works() || b.window.unbound || !b.usesStore(now) || !b.retain() {
		l.lossWatched = false
		return nil, 0
	}
	defer b.release()
	if l.pending || !mayAsk {
		return nil, longestRetry
	}
	p, ok := l.health.Try(now)
	switch {
	case !ok:
		return nil, max(l.health.untilProbe(now), firstRetry)
	case !p.Probes(): // it has come back this moment
		l.lossWatched = false
		return nil, 0
	}
	return b.newRequest(now, p), firstRetry
}

// usesStore reports whether there are calls, or were until shortly before, and none of
// those has been the last before a Close. It is called under mu.
func (b *bucket) usesStore(now time.Time) bool {
	return b.inFlight > 0 || b.line.len() > 0 ||
		now.Sub(b.usedAt) < lossForgotten && b.usedAt.After(b.lease.closedAt)
}
