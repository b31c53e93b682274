// This file holds how a bucket in use finds out that a lost store is back without a
// call of its own: all of its calls may wait for the next window, which they would
// else begin without the store.

package pace

import "time"

// lossForgotten is how long a bucket without calls has a lost store probed; then its
// next call does.
const lossForgotten = 10 * time.Second

// WatchLoss reports whether to call [StoreRequest.Probe] after a while, for r has
// failed: nobody does yet.
func (r *StoreRequest) WatchLoss() (after time.Duration, ok bool) {
	b := r.bucket
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.lease.lossWatched {
		return 0, false
	}
	b.lease.lossWatched = true
	return firstRetry, true
}

// Probe returns the request that finds out whether the store is back for r's bucket;
// nil when it is not yet time, or another request does. again is when to call it
// again; 0: no more, for the store is back, or the bucket is in use no longer.
func (r *StoreRequest) Probe(now time.Time) (probe *StoreRequest, again time.Duration) {
	b := r.bucket
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.lease
	inUse := b.inFlight > 0 || b.line.len() > 0 || now.Sub(b.usedAt) < lossForgotten
	if l.health.Works() || !inUse || !b.retain() {
		l.lossWatched = false
		return nil, 0
	}
	defer b.release()
	if l.pending || b.window.unbound {
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
