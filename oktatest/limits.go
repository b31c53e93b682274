// This file makes the counters that the options ask for, and decides which of them a
// request takes a place of, and whether it gets one.

package oktatest

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// limiter holds the counters of all buckets and limits. Its time is an argument.
type limiter struct {
	table *bucketTable

	mu      sync.Mutex
	limits  []*scopedCounter
	shares  []*counter // of each bucket, for one credential; nil without WithCredentialShare
	buckets []*counter // as in the table
}

// org is what an option of a whole org brings.
type org struct {
	overrides   []override
	buckets     []Bucket
	limits      []Limit
	concurrency int
}

// override changes the counter of a bucket.
type override struct {
	option string // that asks for it
	bucket string // a name, or a request that falls into it
	apply  func(*counter)
}

func limitOf(bucket string, limit int) override {
	return override{"WithLimit", bucket, func(c *counter) { c.max = limit }}
}

func burstOf(bucket string, times int) override {
	return override{"WithBurst", bucket, func(c *counter) { c.burst = times }}
}

// newLimiter makes the counters that cfg asks for.
func newLimiter(cfg config) (*limiter, error) {
	table, err := newBucketTable(cfg.buckets, cfg.org.buckets)
	if err != nil {
		return nil, fmt.Errorf("WithBucket: %w", err)
	}
	l := &limiter{table: table}
	for _, b := range table.buckets {
		c := b.counter(cfg.windows)
		if cfg.perCredential {
			c.key = byCredential
		}
		l.buckets = append(l.buckets, c)
		if cfg.share > 0 {
			l.shares = append(l.shares, &counter{
				name: b.Name + ", share of a credential", key: byCredential, headers: HeadersOfBucket,
				within: c, share: cfg.share,
			})
		}
	}
	if err := l.applyOverrides(cfg); err != nil {
		return nil, err
	}
	return l, l.addLimits(cfg)
}

func (l *limiter) applyOverrides(cfg config) error {
	overrides := cfg.overrides
	if cfg.noLimits {
		for _, c := range l.buckets {
			c.max = -1
		}
	} else {
		overrides = slices.Concat(cfg.org.overrides, overrides)
	}
	for _, o := range overrides {
		i, err := l.table.named(o.bucket)
		if err != nil {
			return fmt.Errorf("%s: %w", o.option, err)
		}
		o.apply(l.buckets[i])
	}
	return nil
}

// addLimits adds the limits beside the buckets, the org's own first: a later
// one of the same name takes the place of an earlier one.
func (l *limiter) addLimits(cfg config) error {
	all := cfg.limits
	concurrency := cfg.concurrency
	if !cfg.noLimits {
		all = slices.Concat(cfg.org.limits, all)
		if concurrency == 0 {
			concurrency = cfg.org.concurrency
		}
	}
	if concurrency > 0 {
		all = slices.Insert(slices.Clone(all), 0, Limit{Name: Concurrency, Patterns: []string{"*"}, InFlight: concurrency})
	}
	at := map[string]int{}
	for _, limit := range all {
		c := limit.counter(cfg.windows, cfg.limitHeaders)
		if i, known := at[limit.Name]; known {
			l.limits[i] = c
			continue
		}
		at[limit.Name] = len(l.limits)
		l.limits = append(l.limits, c)
	}
	return l.table.checkNames(at)
}

// place is one counter that a request takes a place of, and under which key.
type place struct {
	*counter
	key string
}

// places are the counters for a call: the limits', the share's, and last its
// bucket's. It calls the limits' Key functions and holds no lock meanwhile.
func (l *limiter) places(c *call) []place {
	if l.table.unlimited(c.bucket) {
		return nil
	}
	var all []place
	for _, s := range l.limits {
		if s.match(c.r.Method, c.segs) {
			all = c.addPlace(all, &s.counter)
		}
	}
	if c.bucket >= 0 {
		if l.shares != nil {
			all = c.addPlace(all, l.shares[c.bucket])
		}
		all = c.addPlace(all, l.buckets[c.bucket])
	}
	return all
}

// addPlace adds a counter's place, unless the counter's key leaves the call out.
func (c *call) addPlace(all []place, n *counter) []place {
	p := place{counter: n}
	if n.keyed() {
		if p.key = n.key(c.view()); p.key == everybody {
			return all
		}
	}
	return append(all, p)
}

// enter counts a call as in flight. If one of its limits has too many, it
// counts for none, and enter returns that limit's name.
func (l *limiter) enter(places []place) (refusedBy string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range places {
		if p.crowded(p.key) {
			return p.name
		}
	}
	for _, p := range places {
		p.fly(p.key, 1)
	}
	return ""
}

// leave ends what enter began.
func (l *limiter) leave(places []place) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range places {
		p.fly(p.key, -1)
	}
}

// verdict is what the limits make of a call.
type verdict struct {
	refusedBy string // the limit's or bucket's name; empty: accepted
	reported  bool   // there is a rate to report in the headers
	rate      rate
}

// admit takes a place of each counter, or of none if one has none left. A
// forced call takes them in any case.
func (l *limiter) admit(places []place, now time.Time, force bool) verdict {
	l.mu.Lock()
	defer l.mu.Unlock()
	var refusing *place
	for i := range places {
		if p := &places[i]; !force && !p.free(p.key, now) {
			refusing = p
			break
		}
	}
	var v verdict
	if refusing != nil {
		v.refusedBy = refusing.name
	} else {
		for _, p := range places {
			p.take(p.key, now, 1)
		}
	}
	v.rate, v.reported = report(places, refusing, now)
	return v
}

// look is what admit would report of a call; no place is taken.
func (l *limiter) look(places []place, now time.Time) (r rate, reported bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return report(places, nil, now)
}

// report selects the counter that the headers report, and returns its rate: the
// first that is to be reported always, or whenever it refuses. A bucket is
// reported always, and is the last.
func report(places []place, refusing *place, now time.Time) (r rate, reported bool) {
	for i := range places {
		p := &places[i]
		if p.limited() && (p.headers == HeadersOfLimit || p.headers == HeadersOfRefusal && p == refusing) {
			return p.rate(p.key, now), true
		}
	}
	if refusing != nil { // no bucket has a limit
		return refusing.rate(refusing.key, now), true
	}
	return rate{}, false
}

// ByCredential is for Limit.Key: it counts each Authorization header by itself.
// Okta limits calls in flight by token, too.
func ByCredential(r Request) string { return r.Header.Get("Authorization") }

// byCredential gives those without one a key of their own.
func byCredential(r Request) string { return "Authorization: " + ByCredential(r) }

// limitNamed returns the Limit of a name; nil if there is none.
func (l *limiter) limitNamed(name string) *scopedCounter {
	for _, s := range l.limits {
		if s.name == name {
			return s
		}
	}
	return nil
}
