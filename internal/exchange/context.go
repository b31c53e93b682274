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
	return c.limit - time.Since(c.Began)
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

// stopAlarm reports whether the alarm had not gone off. The caller holds mu.
func (c *Context) stopAlarm() bool {
	if c.alarm == noCause {
		return true
	}
	c.alarm = noCause
	if c.timer.Stop() {
		return true
	}
	c.stray++
	return false
}

func (c *Context) goOff() {
	c.mu.Lock()
	if c.stray > 0 {
		c.stray--
		c.mu.Unlock()
		return
	}
	why := c.alarm
	c.alarm = noCause
	c.mu.Unlock()
	if why == noCause {
		return
	}
	c.end(why)
	if why == stalled {
		c.exchange.close(false) // a body in memory may not look at the context
	}
}

// Settle lifts the time limit, for the attempt has ended, and reports whether
// the limit passed before.
func (c *Context) Settle(arrived time.Time) (late bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	late = c.limit > 0 && arrived.Sub(c.Began) >= c.limit || c.ended == timedOut
	if !c.stopAlarm() {
		late = true
	}
	c.limit = 0
	return late
}

// Release ends the context and frees its timer. Releasing again does nothing.
func (c *Context) Release() { c.end(released) }

// end ends the context for a cause, unless it has ended.
func (c *Context) end(why cause) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err(c.remaining()) == nil {
		c.ended = why
	}
	c.stopAlarm()
	if c.cancel != nil {
		c.cancel(causes[why])
	}
}
