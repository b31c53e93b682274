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

	mu      sync.Mutex
	limit   time.Duration // from Began on, until the attempt is settled; 0: none
	ended   cause         // why it ended, unless with its parent
	watched context.Context
	cancel  context.CancelCauseFunc // of watched
	timer   *time.Timer             // runs expire; nil when nothing limits the attempt
}

// cause is why a context ended, other than with its parent.
type cause uint8

const (
	noCause cause = iota
	released
	timedOut // by its own limit
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

var causes = [...]error{released: context.Canceled, timedOut: ErrTimeout}

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
			c.timer = time.AfterFunc(remaining, c.expire)
		}
	}
	return c.watched.Done()
}

// expire ends the context, unless it has more time.
func (c *Context) expire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended != noCause || c.limit == 0 {
		return
	}
	if remaining := c.remaining(); remaining > 0 {
		c.timer.Reset(remaining)
		return
	}
	c.ended = timedOut
	c.cancel(ErrTimeout)
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

// Settle lifts the time limit, for the attempt has ended, and returns the limit if
// it passed before, else 0.
func (c *Context) Settle(arrived time.Time) (passed time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.limit > 0 && (c.left(arrived.Sub(c.Began)) <= 0 || c.ended == timedOut) {
		passed = c.limit
	}
	c.lift()
	return passed
}

// lift lifts the time limit. The caller holds mu.
func (c *Context) lift() {
	if c.timer != nil {
		c.timer.Stop()
	}
	c.limit, c.Overtime = 0, nil
}

// Release ends the context and frees its timer. Releasing again does nothing.
func (c *Context) Release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lift()
	if c.err(0) == nil {
		c.ended = released
	}
	if c.cancel != nil {
		c.cancel(nil)
	}
}
