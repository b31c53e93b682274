package circuit

// This file holds what the fleet knows of a circuit: until when it refuses, and
// who asks for the fleet's one probe.

import (
	"sync/atomic"
	"time"
)

// elsewhere is a circuit that the fleet knows as not closed.
type elsewhere struct {
	until time.Time // no call goes before; after it one of the fleet's is a probe
	told  bool      // that it is open was told, for here it was closed

	confirmed atomic.Bool // the store knows of it
	asking    atomic.Bool
}

// Fleet says how the circuit stands elsewhere: whether it is known as not
// closed, and how long it refuses.
func (c *Breaker) Fleet(now time.Time) (wait time.Duration, known bool) {
	if e := c.elsewhere.Load(); e != nil {
		return e.until.Sub(now), true
	}
	return 0, false
}

// Ask reserves the question for the fleet's probe; false when it is being asked,
// or when the fleet's circuit is closed.
func (c *Breaker) Ask() (done func(), ok bool) {
	e := c.elsewhere.Load()
	if e == nil || e.asking.Swap(true) {
		return nil, false
	}
	return func() { e.asking.Store(false) }, true
}

// Confirm notes that the store knows of it.
func (c *Breaker) Confirm() {
	if e := c.elsewhere.Load(); e != nil {
		e.confirmed.Store(true)
	}
}

// OpenedHere reports, once, that it opened here since the fleet was told.
func (c *Breaker) OpenedHere() bool { return c.opened.Swap(false) }

// OpenElsewhere has the circuit go by the fleet's, which refuses until a time.
func (c *Breaker) OpenElsewhere(until time.Time, confirmed bool) {
	e := &elsewhere{until: until}
	e.confirmed.Store(confirmed)
	switch before := c.elsewhere.Load(); {
	case before != nil:
		e.told = before.told
	case c.Closed():
		e.told = true
		c.noteElsewhere(Closed, Open)
	}
	c.elsewhere.Store(e)
}

// CloseElsewhere has it go by itself again, and closes it as the fleet's probe
// did. Of a circuit that the store never heard of there was no probe.
func (c *Breaker) CloseElsewhere() {
	e := c.elsewhere.Swap(nil)
	if e == nil {
		return
	}
	for range c.cfg.Probes {
		if !e.confirmed.Load() || c.Closed() {
			break
		}
		done, err := c.machine().Allow()
		if err != nil {
			break // it is open for its own reasons, or a probe of its own is out
		}
		done(nil)
	}
	if e.told {
		c.noteElsewhere(Open, Closed)
	}
}

func (c *Breaker) noteElsewhere(from, to State) {
	c.mu.Lock()
	c.changes = append(c.changes, Change{from, to})
	c.mu.Unlock()
	c.noted.Store(true)
}

func (c *Breaker) refusesElsewhere(now time.Time) time.Duration {
	wait, _ := c.Fleet(now)
	return wait
}

// Config is what shapes it.
func (c *Breaker) Config() *Config { return c.cfg }

// Changed reports whether there are changes to deliver.
func (c *Breaker) Changed() bool { return c.noted.Load() }

// Active reports whether the permit is out.
func (p *Permit) Active() bool { return p.breaker != nil }

// Probing reports whether it is a probe's.
func (p *Permit) Probing() bool { return p.probe != nil }

// Claim is the holder of the fleet's probe.
func (p *Permit) Claim() string         { return p.claim }
func (p *Permit) SetClaim(claim string) { p.claim = claim }
