// This file holds what answers teach of the server's clock.

package pace

import (
	"math"
	"sync"
	"time"
)

// Clock relates a server's clock to the local one. Each answer's Date, a whole
// second, bounds how far the server is ahead; several answers together bound it
// far better than one. The zero Clock knows nothing. It is safe for concurrent
// use.
type Clock struct {
	mu     sync.Mutex
	lo, hi time.Duration // the server is ahead by more than lo and less than hi
	at     time.Time     // when that was learned; zero: nothing is known
}

const (
	// A reset further ahead than this is nonsense (milliseconds, the year
	// 3000). Okta's windows last 5 minutes at most; an hour leaves room. When
	// nothing but the local clock speaks, which may be wrong by minutes, the
	// longest window is the bound.
	farthest          = time.Hour
	farthestByOwnTime = 5*time.Minute + time.Second

	// Two clocks drift apart, so the bounds widen by this share of the time.
	drift = 0.0005
	// Within this the server's clock counts as known.
	sharp = 300 * time.Millisecond
)

// Observe takes note of the Date, in Unix seconds, of an answer to a request
// that was sent and whose answer arrived at these local times.
func (c *Clock) Observe(sent, arrived time.Time, date int64) {
	if date <= 0 {
		return
	}
	d := time.Unix(date, 0)
	lo, hi := d.Sub(arrived), d.Add(time.Second).Sub(sent)
	if hi < lo {
		return // the local clock was set meanwhile
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.at.IsZero() {
		widen := time.Duration(float64(max(arrived.Sub(c.at), 0)) * drift)
		if l, h := max(lo, c.lo-widen), min(hi, c.hi+widen); l <= h {
			lo, hi = l, h
		} // else a clock was set: only the newest answer counts
	}
	c.lo, c.hi, c.at = lo, hi, arrived
}

// Until returns how long after now the server's clock will have passed reset
// for certain; less than 0 when it has. It is false when reset is not
// plausible: too far ahead or, where nothing but the local clock speaks, in the
// past. isSharp tells that the server's clock is known well.
func (c *Clock) Until(reset int64, now time.Time) (wait time.Duration, isSharp, ok bool) {
	if reset <= 0 || reset > math.MaxInt32*16 {
		return 0, false, false
	}
	c.mu.Lock()
	lo, hi, known := c.lo, c.hi, !c.at.IsZero()
	c.mu.Unlock()
	from, to := -farthest, farthest
	if !known {
		lo, from, to = 0, 0, farthestByOwnTime
	}
	wait = time.Unix(reset, 0).Sub(now.Add(lo))
	if wait < from || wait > to {
		return 0, false, false
	}
	return wait, known && hi-lo <= sharp, true
}
