// This file holds the user's ceilings: calls a second, for a host and for each of
// its buckets.

package pace

import (
	"time"

	"golang.org/x/time/rate"
)

// ceilings are the limiters of a host, made when they are first needed. host.mu
// guards them.
type ceilings struct {
	all      *rate.Limiter            // for all buckets; by limiters
	byBucket map[string]*rate.Limiter // no more than the user has set; by limiters
}

// longest is a wait that no call has the time for, and far from overflow.
const longest = 1000 * time.Hour

// take counts a call of a bucket, or returns how long it has to wait.
func (c *ceilings) take(now time.Time, bucket string, cfg *Config) (wait time.Duration) {
	if !cfg.hasCeilings() && c.all == nil && len(c.byBucket) == 0 {
		return 0
	}
	limiters := c.limiters(bucket, cfg)
	for _, l := range limiters {
		wait = max(wait, untilTokens(l, now, 1))
	}
	if wait > 0 {
		return wait
	}
	for _, l := range limiters {
		if l != nil {
			l.AllowN(now, 1)
		}
	}
	return 0
}

// until returns how long the ceilings need for n calls of a bucket, at least.
func (c *ceilings) until(now time.Time, bucket string, n int, cfg *Config) (wait time.Duration) {
	for _, l := range c.limiters(bucket, cfg) {
		wait = max(wait, untilTokens(l, now, n))
	}
	return wait
}

// limiters returns the ceilings for the calls of a bucket; nil where there is
// none. They are made anew when the user has changed them.
func (c *ceilings) limiters(bucket string, cfg *Config) [2]*rate.Limiter {
	c.all = ceiling(c.all, cfg.MaxRate, cfg.Burst)
	own := ceiling(c.byBucket[bucket], cfg.BucketRates[bucket], cfg.Burst)
	switch {
	case own == nil:
		delete(c.byBucket, bucket)
	case c.byBucket == nil:
		c.byBucket = map[string]*rate.Limiter{bucket: own}
	default:
		c.byBucket[bucket] = own
	}
	return [2]*rate.Limiter{c.all, own}
}

// ceiling returns l if it has that rate and burst, else a new limiter; nil for
// no rate.
func ceiling(l *rate.Limiter, perSecond float64, burst int) *rate.Limiter {
	burst = max(burst, 1)
	switch {
	case !(perSecond > 0):
		return nil
	case l != nil && l.Limit() == rate.Limit(perSecond) && l.Burst() == burst:
		return l
	}
	return rate.NewLimiter(rate.Limit(perSecond), burst)
}

// untilTokens returns how long l needs until it has n tokens, if none is taken
// meanwhile and its burst is no bound.
func untilTokens(l *rate.Limiter, now time.Time, n int) time.Duration {
	if l == nil {
		return 0
	}
	missing := float64(n) - l.TokensAt(now)
	if missing <= 1e-9 { // that is rounding
		return 0
	}
	seconds := missing / float64(l.Limit())
	return time.Duration(min(seconds, longest.Seconds())*float64(time.Second)) + 1
}
