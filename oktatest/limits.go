// This file counts requests in fixed windows, as Okta does.

package oktatest

import (
	"net/http"
	"strconv"
	"sync"
	"time"
)

// rate is what the three headers say.
type rate struct {
	limit, remaining int
	reset            int64 // in seconds since 1970
}

func (r rate) stamp(h http.Header) {
	h.Set("X-Rate-Limit-Limit", strconv.Itoa(r.limit))
	h.Set("X-Rate-Limit-Remaining", strconv.Itoa(r.remaining))
	h.Set("X-Rate-Limit-Reset", strconv.FormatInt(r.reset, 10))
}

// limiter holds the windows of all buckets. Its time is an argument.
type limiter struct {
	table         *bucketTable
	length        time.Duration // of the windows that name no length of their own
	offset        time.Duration
	perCredential bool
	share         float64 // of the limit, for one credential; 0: no such cap

	mu      sync.Mutex
	limits  []int
	windows []window
}

type window struct {
	start    time.Time
	total    int
	consumed int            // the part of total taken by Consume
	used     map[string]int // the rest, by credential
}

func newLimiter(t *bucketTable, length, offset time.Duration) *limiter {
	l := &limiter{table: t, length: length, offset: offset, windows: make([]window, len(t.buckets))}
	for _, b := range t.buckets {
		l.limits = append(l.limits, b.Limit)
	}
	return l
}

// span is when the bucket's window around now begins and ends.
func (l *limiter) span(bucket int, now time.Time) (start, end time.Time) {
	length, offset := l.length, l.offset
	if b := l.table.buckets[bucket]; b.Window > 0 {
		length, offset = b.Window, b.Offset
	}
	into := time.Duration(now.Add(-offset).UnixNano()) % length
	if into < 0 {
		into += length
	}
	start = now.Add(-into)
	return start, start.Add(length)
}

// current returns the bucket's window, a new one if the last is over.
func (l *limiter) current(bucket int, now time.Time) (*window, time.Time) {
	w := &l.windows[bucket]
	start, end := l.span(bucket, now)
	if !start.Equal(w.start) {
		*w = window{start: start, used: map[string]int{}}
	}
	return w, end
}

// take asks for one place. ok is false if there is none; limited is false if
// the bucket knows no limit. A forced request is let through in any case.
func (l *limiter) take(bucket int, credential string, now time.Time, force bool) (r rate, limited, ok bool) {
	if bucket < 0 {
		return rate{}, false, true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	limit := l.limits[bucket]
	if limit < 0 {
		return rate{}, false, true
	}
	w, _ := l.current(bucket, now)
	allowed := limit * max(1, l.table.buckets[bucket].Burst)
	ok = w.left(allowed, credential, l.perCredential) > 0
	if l.share > 0 && float64(w.used[credential]) >= l.share*float64(allowed) {
		ok = false
	}
	if ok || force {
		w.total++
		w.used[credential]++
	}
	return l.rate(bucket, credential, now), true, ok
}

// look is how the bucket stands; limited is false if it knows no limit.
func (l *limiter) look(bucket int, credential string, now time.Time) (r rate, limited bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if bucket < 0 || l.limits[bucket] < 0 {
		return rate{}, false
	}
	return l.rate(bucket, credential, now), true
}

func (l *limiter) rate(bucket int, credential string, now time.Time) rate {
	w, end := l.current(bucket, now)
	limit := l.limits[bucket]
	left := max(0, w.left(limit, credential, l.perCredential))
	return rate{limit, left, wholeSecond(end)}
}

func (w *window) left(limit int, credential string, perCredential bool) int {
	if perCredential {
		return limit - w.consumed - w.used[credential]
	}
	return limit - w.total
}

// wholeSecond is t in seconds, rounded up: a window is never over later than
// its Reset says.
func wholeSecond(t time.Time) int64 {
	s := t.Unix()
	if t.Nanosecond() > 0 {
		s++
	}
	return s
}

// SetLimit changes the limit of a bucket at once, in the middle of its window;
// a negative limit takes it away. The bucket is given by name, or by any
// request that falls into it ("GET /api/v1/users/{id}"). SetLimit panics if
// there is no such bucket.
func (o *Okta) SetLimit(bucket string, limit int) {
	i := o.bucketNamed(bucket)
	o.limits.mu.Lock()
	defer o.limits.mu.Unlock()
	o.limits.limits[i] = limit
}

// Consume takes n places of the bucket's present window, as another consumer
// of the org's quota would: with WithLimitPerCredential, of every
// credential's. It takes no more than there are and returns how many it got.
// The bucket is given as for SetLimit.
func (o *Okta) Consume(bucket string, n int) int {
	i := o.bucketNamed(bucket)
	l := o.limits
	now := o.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	w, _ := l.current(i, now)
	free := l.limits[i] - w.total
	if l.perCredential {
		free = l.limits[i] - w.consumed
	}
	n = max(0, min(n, free))
	w.total += n
	w.consumed += n
	return n
}

// Used is the number of places taken in the bucket's present window, by
// everybody. The bucket is given as for SetLimit.
func (o *Okta) Used(bucket string) int {
	i := o.bucketNamed(bucket)
	now := o.now()
	o.limits.mu.Lock()
	defer o.limits.mu.Unlock()
	w, _ := o.limits.current(i, now)
	return w.total
}

func (o *Okta) bucketNamed(s string) int {
	i, err := o.limits.table.named(s)
	if err != nil {
		panic("oktatest: " + err.Error())
	}
	return i
}
