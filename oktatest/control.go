// This file changes and reads limits while the fake runs.

package oktatest

import "fmt"

// SetLimit changes a limit at once, in the middle of its window; a negative one
// takes it away. It is given by the name of a bucket or of a Limit, or by any
// request that falls into the bucket ("GET /api/v1/users/{id}"). Of a Limit
// with a Max that is changed, of another its InFlight. SetLimit panics if there
// is no such limit.
func (o *Okta) SetLimit(name string, limit int) {
	l := o.limits
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.limitNamed(name); s != nil && !s.windowed {
		s.inFlight = max(0, limit)
		return
	}
	l.mustNamed(name).max = limit
}

// Consume takes n places of the present window, as another consumer of the
// org's quota would; if none is open, it opens one. Where calls are counted
// apart (WithLimitPerCredential, Limit.Key), it takes them from everybody for
// the length of a window. It takes no more than there are and returns how many
// it got. The bucket or Limit is given as for SetLimit.
func (o *Okta) Consume(name string, n int) int {
	l, now := o.limits, o.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.mustNamed(name)
	n = max(0, min(n, c.max-c.taken(everybody, now)))
	if n > 0 {
		c.take(everybody, now, n)
	}
	return n
}

// Used is the number of places taken in the present window, by everybody. The
// bucket or Limit is given as for SetLimit.
func (o *Okta) Used(name string) int {
	l, now := o.limits, o.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mustNamed(name).used(now)
}

// mustNamed returns the counter of the Limit or bucket of a name.
func (l *limiter) mustNamed(name string) *counter {
	if s := l.limitNamed(name); s != nil {
		return &s.counter
	}
	i, err := l.table.named(name)
	if err != nil {
		panic(fmt.Sprintf("oktatest: no bucket or limit is called %q, and no bucket holds such a request", name))
	}
	return l.buckets[i]
}
