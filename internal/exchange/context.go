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

	mu      sync.Mutex
	limit   time.Duration // from Began on, until the attempt is settled; 0: none
	ended   error         // why it ended, unless with its parent or by the timer
	watched context.Context
	cancel  context.CancelCauseFunc // of watched
	timer   *time.Timer             // runs cancel; nil when nothing limits the attempt
}

// ErrTimeout is the cause of an attempt's end by its own limit.
var ErrTimeout = errors.New("attempt timeout")

// Done returns the channel that is closed when the context ends.
func (c *Context) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.watched == nil {
		remaining := c.remaining()
		over, parent := c.err(remaining) != nil, c.Context
		if c.ended != nil {
			parent = context.WithoutCancel(parent) // its later end changes nothing
		}
		c.watched, c.cancel = context.WithCancelCause(parent)
		switch {
		case over:
			c.cancel(c.ended)
		case c.limit > 0:
			cancel := c.cancel
			c.timer = time.AfterFunc(remaining, func() { cancel(ErrTimeout) })
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
	if c.ended == nil {
		if err := c.Context.Err(); err != nil {
			return err
		}
		if c.limit == 0 || remaining > 0 {
			return nil
		}
		c.ended = ErrTimeout
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

// Settle lifts the time limit, for the attempt has ended, and reports whether
// the limit passed before.
func (c *Context) Settle(arrived time.Time) (late bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	late = c.limit > 0 && arrived.Sub(c.Began) >= c.limit
	if c.timer != nil && !c.timer.Stop() {
		late = true // the timer ends the attempt, if it has not yet
	}
	c.limit = 0
	return late
}

// Release ends the context and frees its timer. Releasing again does nothing.
func (c *Context) Release() { c.end(context.Canceled) }

// end ends the context for a cause, unless it has ended.
func (c *Context) end(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err(c.remaining()) == nil {
		c.ended = cause
	}
	if c.timer != nil {
		c.timer.Stop()
		c.timer = nil // Settle takes one that was stopped for one that has fired
	}
	if c.cancel != nil {
		c.cancel(cause)
	}
}
