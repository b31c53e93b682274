// This file holds the context of an attempt, which costs next to nothing over a
// base that never looks at it.

package exchange

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Context is the context of one attempt. It ends with its parent, with the
// attempt's own time limit, or when it is released. The channel and the timer
// are made when Done is first called. It is safe for concurrent use.
type Context struct {
	context.Context           // the parent
	Began           time.Time // when the attempt was sent
	Overtime        Overtime  // asked when the limit passes; nil: none

	mu       sync.Mutex
	exchange *Exchange     // whose context it is
	limit    time.Duration // from Began on, until the attempt is settled; 0: none
	stall    time.Duration // for each Read of the body; 0: none
	watched  context.Context
	cancel   context.CancelCauseFunc // of watched

	timer *time.Timer // goes off when the alarm is due; nil until there was one
	alarm cause       // by which the timer ends the context; noCause: it is not set
	stray uint8       // goroutines of the timer that came too late, and must do nothing

	ended   cause // why it ended, unless with its parent
	reading bool  // the body
	begun   bool  // to read it
	ahead   bool  // it is read before anybody asks for it
	closing bool  // it, or it is closed
}

// cause is why a context ended, other than with its parent.
type cause uint8

const (
	noCause cause = iota
	released
	timedOut    // by its own limit
	stalled     // with the body, which delivered nothing
	slowToClose // with the body, whose Close takes too long
	sentAgain   // because the base began to send the request again
)

// Overtime is what an attempt may have beyond its limit.
type Overtime interface {
	// Grant returns the limit that takes the place of one that has passed; the
	// attempt ends if it is no longer than elapsed, the time since Began. Grant
	// is called under the context's lock, by any goroutine, and never once the
	// attempt is settled or released.
	Grant(limit, elapsed time.Duration) time.Duration
}

// ErrTimeout is the cause of an attempt's end by its own limit.
var ErrTimeout = errors.New("attempt timeout")

var causes = [...]error{
	released: context.Canceled, timedOut: ErrTimeout, stalled: errors.New("the response's body stalled"),
	slowToClose: errors.New("the response's body was being closed for too long"), sentAgain: errors.New("the base began to send the request again"),
}

// Done returns the channel that is closed when the context ends.
func (c *Context) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.watched == nil {
		remaining := c.remaining()
		over, parent := c.err(remaining) != nil, c.Context
		if c.ended != noCause {
			parent = context.WithoutCancel(parent) // its later end changes nothing
		}
		c.watched, c.cancel = context.WithCancelCause(parent)
		switch {
		case over:
			c.cancel(causes[c.ended])
		case c.limit > 0:
			c.setAlarm(remaining, timedOut)
		case c.reading && !c.ahead && c.stall > 0 && c.alarm == noCause:
			c.setAlarm(c.stall, stalled)
		}
	}
	return c.watched.Done()
}

// Err returns nil until the context ends, and the same error from then on.
func (c *Context) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.watched != nil {
		return c.watched.Err()
	}
	return c.err(c.remaining())
}

// remaining returns what is left of the limit; 0 without one. The caller holds
// mu.
func (c *Context) remaining() time.Duration {
	if c.limit == 0 {
		return 0
	}
	return c.left(time.Since(c.Began))
}

// left is remaining at a time, with a limit.
func (c *Context) left(elapsed time.Duration) time.Duration {
	if elapsed >= c.limit && c.ended == noCause && c.Overtime != nil {
		c.limit = max(c.limit, c.Overtime.Grant(c.limit, elapsed))
	}
	return c.limit - elapsed
}

// err is Err before Done is called. The caller holds mu.
func (c *Context) err(remaining time.Duration) error {
	if c.ended == noCause {
		if err := c.Context.Err(); err != nil {
			return err
		}
		if c.limit == 0 || remaining > 0 {
			return nil
		}
		c.ended = timedOut
	}
	return context.Canceled
}

// Value asks the standard context behind this one, once there is one: contexts
// derived from this one then need no goroutine.
func (c *Context) Value(key any) any {
	c.mu.Lock()
	from := c.watched
	c.mu.Unlock()
	if from == nil {
		from = c.Context
	}
	return from.Value(key)
}

// setAlarm ends the context for a cause after d, unless stopAlarm comes first. The
// caller holds mu.
func (c *Context) setAlarm(d time.Duration, why cause) {
	c.alarm = why
	if c.timer == nil {
		c.timer = time.AfterFunc(d, c.goOff)
	} else {
		c.timer.Reset(d)
	}
}

// stopAlarm unsets the alarm, if it is set. The caller holds mu.
func (c *Context) stopAlarm() {
	if c.alarm != noCause && !c.timer.Stop() {
		c.stray++
	}
	c.alarm = noCause
}

// goOff ends the context, unless it has more time.
func (c *Context) goOff() {
	if c.dueCause() == stalled {
		c.exchange.close(false) // a body in memory may not look at the context
	}
}

// dueCause ends the context for the cause of an alarm that is due, and returns it.
func (c *Context) dueCause() cause {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stray > 0 {
		c.stray--
		return noCause
	}
	why := c.alarm
	c.alarm = noCause
	if why == timedOut && c.limit > 0 {
		if remaining := c.remaining(); remaining > 0 {
			c.setAlarm(remaining, timedOut)
			return noCause
		}
	}
	if why != noCause {
		c.end(why)
	}
	return why
}

// Settle lifts the time limit, for the attempt has ended, and returns the limit if
// it passed before, else 0.
func (c *Context) Settle(arrived time.Time) (passed time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.limit > 0 && (c.left(arrived.Sub(c.Began)) <= 0 || c.ended == timedOut) {
		passed = c.limit
	}
	c.stopAlarm()
	c.lift()
	return passed
}

// lift lifts the time limit. The caller holds mu.
func (c *Context) lift() { c.limit, c.Overtime = 0, nil }

// Release ends the context and frees its timer. Releasing again does nothing.
func (c *Context) Release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lift()
	c.end(released)
}

// end ends the context for a cause, unless it has ended. The caller holds mu.
func (c *Context) end(why cause) {
	if c.err(c.remaining()) == nil {
		c.ended = why
	}
	c.stopAlarm()
	if c.cancel != nil {
		c.cancel(causes[why])
	}
}
