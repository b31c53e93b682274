// This file holds what answers teach of the server's clock.

package pace

import (
	"math"
	"sync/atomic"
	"time"
)

// Clock relates a server's clock to the local one. The zero Clock knows
// nothing. It is safe for concurrent use.
type Clock struct {
	ahead atomic.Int64 // how far the server is ahead, in nanoseconds; 0: unknown, see known
	known atomic.Bool
}

// A reset further ahead than this is nonsense (milliseconds, the year 3000).
// Okta's windows last 5 minutes at most and the reset of its concurrency limit
// is seen 2 minutes ahead; an hour leaves room. When nothing but the local
// clock speaks, which may be wrong by minutes, the longest window is the bound.
const (
	farthest          = time.Hour
	farthestByOwnTime = 5*time.Minute + time.Second
)

// Observe takes note of an answer's Date, in Unix seconds, at its arrival.
func (c *Clock) Observe(arrived time.Time, date int64) {
	if date <= 0 {
		return
	}
	c.ahead.Store(int64(time.Unix(date, 0).Sub(arrived)))
	c.known.Store(true)
}

// Until returns how long after arrived the server's clock will have passed
// reset for certain, by the answer's own date, else by what earlier answers
// taught, else by the local clock; false when that is not plausible: in the
// past or too far ahead. One second is added because date and reset are both
// whole seconds.
func (c *Clock) Until(reset, date int64, arrived time.Time) (time.Duration, bool) {
	if reset <= 0 || reset > math.MaxInt32*16 {
		return 0, false
	}
	bound := farthest
	var now time.Time
	switch {
	case date > 0:
		now = time.Unix(date, 0)
	case c.known.Load():
		now = arrived.Add(time.Duration(c.ahead.Load()))
	default:
		now, bound = arrived, farthestByOwnTime
	}
	wait := time.Unix(reset, 0).Sub(now)
	if wait < 0 || wait > bound {
		return 0, false
	}
	return wait + time.Second, true
}
