// This file counts calls, in windows and in flight: the one mechanism behind
// buckets, limits, shares and concurrency.

package oktatest

import (
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/oktaretry/oktaretry/internal/canned"
)

// rate is what the rate-limit headers report.
type rate = canned.Rates

// resetOf is until when a 429 asks to wait, by the program's clock; zero if it
// does not say, has places left, or is 0/0.
func resetOf(status int, h http.Header) (reset time.Time) {
	if status != http.StatusTooManyRequests || h.Get("X-Rate-Limit-Limit") == "0" || h.Get("X-Rate-Limit-Remaining") != "0" {
		return reset
	}
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return reset
	}
	for _, v := range h.Values("X-Rate-Limit-Reset") { // the least one counts
		s, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			continue
		}
		if t := time.Now().Truncate(time.Second).Add(time.Unix(s, 0).Sub(date)); reset.IsZero() || t.Before(reset) {
			reset = t
		}
	}
	return reset
}

// concurrencyRate is what the headers report of too many requests in flight.
func concurrencyRate(now time.Time) rate {
	return rate{Reset: canned.WholeSecond(now.Add(canned.ConcurrencyReset))}
}

// layout places windows in time.
type layout struct {
	length time.Duration
	grid   bool          // windows begin at offset past a multiple of length, whoever calls
	offset time.Duration // of a grid
}

// window is the one that a call at now falls into or, off the grid, opens.
// Windows of whole seconds open with the second of their first call, so that
// their Reset is exact.
func (l layout) window(now time.Time) (start, end time.Time) {
	switch {
	case l.grid:
		into := time.Duration(now.Add(-l.offset).UnixNano()) % l.length
		if into < 0 {
			into += l.length
		}
		start = now.Add(-into)
	case l.length%time.Second == 0:
		start = now.Truncate(time.Second)
	default:
		start = now
	}
	return start, start.Add(l.length)
}

// counter counts the calls of one limit, each key by itself. Its time is an
// argument; the limiter's lock guards it.
type counter struct {
	name    string
	key     func(Request) string // nil: all calls have the key everybody
	headers Headers

	max     int // calls in a window; negative: any number
	burst   int // above 1: so many times max are accepted
	windows layout

	within *counter // the counter whose windows these are, and of whose calls
	share  float64  // a key may have this share; nil: max counts

	inFlight int // calls at a time; 0: any number
	flying   map[string]int

	tallies map[string]tally
	sweepAt int
}

// tally is how many calls a window has had.
type tally struct {
	start, end time.Time
	used       int
}

// everybody is the one key of a counter without keys. In a counter with keys
// it holds what Consume has taken from all of them.
const everybody = ""

// keyed reports whether calls are counted apart.
func (c *counter) keyed() bool { return c.key != nil }

// allowed is how many calls a key may have in a window.
func (c *counter) allowed() int {
	if c.within != nil {
		return int(math.Ceil(c.share * float64(c.within.allowed())))
	}
	return c.max * max(1, c.burst)
}

// at is the tally of a key's present window. A window that has had no call is
// not open yet: off the grid it would begin now.
func (c *counter) at(key string, now time.Time) tally {
	if t, ok := c.tallies[key]; ok && now.Before(t.end) {
		return t
	}
	if w := c.within; w != nil {
		if !w.keyed() {
			key = everybody
		}
		t := w.at(key, now)
		return tally{start: t.start, end: t.end}
	}
	start, end := c.windows.window(now)
	return tally{start: start, end: end}
}

// taken is how many calls count against a key: its own, and what Consume took
// from all.
func (c *counter) taken(key string, now time.Time) int {
	n := c.at(key, now).used
	if key != everybody {
		n += c.at(everybody, now).used
	}
	return n
}

// limited reports whether the counter limits calls in windows.
func (c *counter) limited() bool {
	if c.within != nil {
		return c.within.limited()
	}
	return c.max >= 0
}

// free reports whether a key has a place left.
func (c *counter) free(key string, now time.Time) bool {
	return !c.limited() || c.taken(key, now) < c.allowed()
}

// take counts n calls of a key, and opens its window with them.
func (c *counter) take(key string, now time.Time, n int) {
	if !c.limited() {
		return
	}
	if len(c.tallies) >= c.sweepAt {
		c.sweep(now)
	}
	t := c.at(key, now)
	t.used += n
	c.tallies[key] = t
}

// sweep forgets the keys whose windows are over.
func (c *counter) sweep(now time.Time) {
	if c.tallies == nil {
		c.tallies = map[string]tally{}
	}
	for key, t := range c.tallies {
		if !now.Before(t.end) {
			delete(c.tallies, key)
		}
	}
	c.sweepAt = max(1024, 2*len(c.tallies))
}

// used is how many calls the present windows have had, of all keys.
func (c *counter) used(now time.Time) (n int) {
	for key := range c.tallies {
		n += c.at(key, now).used
	}
	return n
}

// rate is what the headers report to a key.
func (c *counter) rate(key string, now time.Time) rate {
	return rate{Limit: c.max, Remaining: max(0, c.max-c.taken(key, now)), Reset: canned.WholeSecond(c.at(key, now).end)}
}

// crowded reports whether a key has as many calls in flight as it may.
func (c *counter) crowded(key string) bool {
	return c.inFlight > 0 && c.flying[key] >= c.inFlight
}

// fly counts a call of a key that begins (1) or ends (-1).
func (c *counter) fly(key string, n int) {
	if c.flying == nil {
		return
	}
	if c.flying[key] += n; c.flying[key] == 0 {
		delete(c.flying, key)
	}
}
