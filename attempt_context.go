// This file holds the context of an attempt, which costs next to nothing to a
// base that doesn't look at it.

package oktaretry

import (
	"context"
	"errors"
	"sync"
	"time"
)

// attemptContext is the context of one attempt. It ends with its parent, with
// the attempt's own time limit, or when it is released. What that takes is there
// from when somebody first asks for Done. It is safe for concurrent use.
type attemptContext struct {
	context.Context           // the parent
	began           time.Time // when the attempt was sent

	mu      sync.Mutex
	limit   time.Duration // from began on, until the attempt is settled; 0: none
	ended   error         // why, of one that nobody has asked for Done, unless with its parent
	watched context.Context
	cancel  context.CancelCauseFunc // of watched
	timer   *time.Timer             // runs cancel; nil when nothing limits the attempt
}

// errAttemptTimeout is the cause of an attempt's end by its own limit.
var errAttemptTimeout = errors.New("attempt timeout")

func (c *attemptContext) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.watched == nil {
		remaining := c.remaining()
		over, parent := c.err(remaining) != nil, c.Context
		if c.ended != nil {
			parent = context.WithoutCancel(parent) // whatever became of it since
		}
		c.watched, c.cancel = context.WithCancelCause(parent)
		switch {
		case over:
			c.cancel(c.ended)
		case c.limit > 0:
			cancel := c.cancel
			c.timer = time.AfterFunc(remaining, func() { cancel(errAttemptTimeout) })
		}
	}
	return c.watched.Done()
}

func (c *attemptContext) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.watched != nil {
		return c.watched.Err()
	}
	return c.err(c.remaining())
}

// remaining is how much there is of the limit; without one, 0. The caller holds mu.
func (c *attemptContext) remaining() time.Duration {
	if c.limit == 0 {
		return 0
	}
	return c.limit - time.Since(c.began)
}

// err says whether a context has ended that nobody watches, and of whose limit
// so much remains. The caller holds mu.
func (c *attemptContext) err(remaining time.Duration) error {
	if c.ended == nil {
		if err := c.Context.Err(); err != nil {
			return err
		}
		if c.limit == 0 || remaining > 0 {
			return nil
		}
		c.ended = errAttemptTimeout
	}
	return context.Canceled
}

// Value knows the standard context that is behind this one, once there is one:
// those that are derived from this one then need no goroutine.
func (c *attemptContext) Value(key any) any {
	c.mu.Lock()
	from := c.watched
	c.mu.Unlock()
	if from == nil {
		from = c.Context
	}
	return from.Value(key)
}

// settle lifts the time limit, for the attempt has ended, and reports whether
// that was too late.
func (c *attemptContext) settle(arrived time.Time) (late bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	late = c.limit > 0 && arrived.Sub(c.began) >= c.limit
	if c.timer != nil && !c.timer.Stop() {
		late = true // it cancels the attempt, if it has not yet
	}
	c.limit = 0
	return late
}

// release ends the context and lets go of what it held.
func (c *attemptContext) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err(c.remaining()) == nil {
		c.ended = context.Canceled
	}
	if c.timer != nil {
		c.timer.Stop()
	}
	if c.cancel != nil {
		c.cancel(nil)
	}
}
