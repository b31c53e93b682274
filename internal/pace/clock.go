// This file holds what is learned of the server's clock.

package pace

import (
	"sync/atomic"
	"time"
)

// Clock relates a server's clock to the local one. Each answer's Date, a whole
// second, bounds how far the server is ahead; several answers together bound it
// far better than one. The zero Clock knows nothing. It is safe for concurrent
// use.
type Clock struct{ known atomic.Pointer[bounds] }

// bounds are what is known of a clock; they never change.
type bounds struct {
	lo, hi time.Duration // the server is ahead by more than lo and less than hi
	at     time.Time     // when that was learned
}

const (
	// A reset further ahead than this is nonsense (milliseconds, the year 3000).
	// Okta's windows last 5 minutes at most; an hour leaves room. By the local clock
	// alone, which may be wrong by minutes, the longest window is the bound.
	farthest          = time.Hour
	farthestByOwnTime = 5*time.Minute + time.Second

	// What lies beyond, in the year 2200, is nonsense and could overflow.
	endOfTime = 7_258_118_400

	// Two clocks drift apart, so the bounds widen by this share of the time.
	drift = 0.0005
	// Within this the server's clock counts as known.
	sharp = 300 * time.Millisecond
	// Bounds that an answer does not narrow by a grain are kept for so long.
	fresh = time.Second
	grain = 10 * time.Millisecond
)

// Observe records the Date, in Unix seconds, of an answer to a request that was
// sent and answered at these local times.
func (c *Clock) Observe(sent, arrived time.Time, date int64) {
	if date <= 0 || date > endOfTime {
		return
	}
	// In nanoseconds since 1970, which costs less than times.
	at := time.Duration(date) * time.Second
	lo, hi := at-time.Duration(arrived.UnixNano()), at+time.Second-time.Duration(sent.UnixNano())
	if hi < lo {
		return // the local clock was set meanwhile
	}
	for {
		known, l, h := c.known.Load(), lo, hi
		if known != nil {
			age := arrived.Sub(known.at)
			if lo <= known.lo+grain && hi >= known.hi-grain && age >= 0 && age < fresh {
				return
			}
			widen := time.Duration(float64(max(age, 0)) * drift)
			if l, h = max(lo, known.lo-widen), min(hi, known.hi+widen); l > h {
				l, h = lo, hi // a clock was set: only the newest answer counts
			}
		}
		if c.known.CompareAndSwap(known, &bounds{l, h, arrived}) {
			return
		}
	}
}

// Until returns how long after now the server's clock will have passed reset for
// certain; less than 0 when it has. ok is false when reset is not plausible: too
// far ahead or, by the local clock alone, in the past. isSharp reports whether the
// server's clock is known well.
func (c *Clock) Until(reset int64, now time.Time) (wait time.Duration, isSharp, ok bool) {
	if reset <= 0 || reset > endOfTime {
		return 0, false, false
	}
	lo, from, to := time.Duration(0), time.Duration(0), farthestByOwnTime
	known := c.known.Load()
	if known != nil {
		lo, from, to = known.lo, -farthest, farthest
	}
	wait = time.Duration(reset)*time.Second - time.Duration(now.UnixNano()) - lo
	if wait < from || wait > to {
		return 0, false, false
	}
	return wait, c.isSharp(), true
}

// isKnown reports whether the server's clock is known from a Date.
func (c *Clock) isKnown() bool { return c.known.Load() != nil }

// isSharp reports whether the server's clock is known well.
func (c *Clock) isSharp() bool {
	known := c.known.Load()
	return known != nil && known.hi-known.lo <= sharp
}

// rulesOut reports whether, by a clock that is known from answers, reset cannot be
// that of an open window.
func (c *Clock) rulesOut(reset int64, now time.Time) bool {
	if !c.isKnown() {
		return false
	}
	_, _, ok := c.Until(reset, now)
	return !ok
}

// localReset caches one reset on the local clock: most answers of a second name
// the same. bucket.mu guards it.
type localReset struct {
	reset int64
	by    *bounds // what was known of the server's clock
	at    time.Time
}

// of returns when the server's clock will have passed reset, or has, on the local
// clock; zero when reset is not plausible. No second is added as in
// [Ticket.Until]: at most one scout meets the old window, and then window.late
// adds it.
func (l *localReset) of(reset int64, c *Clock, now time.Time) time.Time {
	by := c.known.Load()
	if by != nil && l.by == by && l.reset == reset {
		return l.at
	}
	wait, _, ok := c.Until(reset, now)
	if !ok {
		return time.Time{}
	}
	*l = localReset{reset, by, now.Add(wait)}
	return l.at
}
