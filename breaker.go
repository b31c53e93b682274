// This file holds how a call goes through its two circuits, the host's and the
// endpoint's, and what an answer says to either. What a circuit is stands in
// internal/circuit.

package oktaretry

import (
	"time"

	"github.com/oktaretry/oktaretry/internal/circuit"
	"github.com/oktaretry/oktaretry/shared"
)

// CircuitID says which circuit it is.
type CircuitID struct {
	Scope    Scope // TripsEndpoint or TripsHost
	Host     string
	Method   string // "" for a host's circuit
	Template string // "" for a host's circuit
}

func (id CircuitID) shared() shared.CircuitID {
	return shared.CircuitID{Host: id.Host, Method: id.Method, Template: id.Template}
}

// guard is a circuit and its name. Its Breaker is nil when circuits are off.
type guard struct {
	id CircuitID
	*circuit.Breaker
}

func newGuard(id CircuitID, cfg *Breaker) guard {
	if cfg.Disabled {
		return guard{id: id}
	}
	return guard{id, circuit.New((*circuit.Config)(cfg))}
}

// guards are the two that a call goes through, the host's first.
func (e *endpoint) guards() [2]*guard { return [2]*guard{&e.host.guard, &e.guard} }

// passCircuits asks the host's circuit and the endpoint's. If the second
// refuses, the call's end gives back what the first gave.
func (c *call) passCircuits() StopReason {
	for i, g := range c.endpoint.guards() {
		if c.t.shared == nil && g.Enter(&c.permits[i]) {
			continue // as nearly always
		}
		p, retryAfter, ok := c.allow(g, c.now)
		c.permits[i] = p // before a log handler may panic, or a probe's place is lost
		c.tellChanges(g)
		if !ok {
			c.refusedBy, c.needed = g.id.Scope, retryAfter
			return StopCircuitOpen
		}
	}
	return StopNone
}

// reportCircuits gives the permits back. A failure counts against the one
// circuit that scope names and is neutral to the other; anything else is said
// to both.
func (c *call) reportCircuits(scope Scope, v circuit.Verdict) {
	if c.endpoint == nil {
		return
	}
	for i, g := range c.endpoint.guards() {
		p := &c.permits[i]
		if !p.Active() {
			continue
		}
		if v == circuit.Failed && g.id.Scope != scope {
			p.Report(circuit.Neutral, c.now)
		} else {
			p.Report(v, c.now)
		}
		c.tellChanges(g)
		if c.t.shared != nil {
			c.reportShared(g, p, v, scope)
		}
	}
}

// refusedUntil returns how long a circuit will certainly refuse the next
// attempt, and which.
func (c *call) refusedUntil(now time.Time) (time.Duration, Scope) {
	byHost, byEndpoint := c.endpoint.host.guard.RefusesUntil(now), c.endpoint.guard.RefusesUntil(now)
	if byHost >= byEndpoint {
		return byHost, TripsHost
	}
	return byEndpoint, TripsEndpoint
}

func (c *call) tellChanges(g *guard) {
	if g.Breaker != nil && g.Changed() {
		c.changed(g.id, g.Changes())
	}
}
