// This file holds how a call passes its two circuits, the host's and the
// endpoint's, and what an answer counts for. A circuit itself is in
// internal/circuit.

package oktaretry

import (
	"time"

	"github.com/oktaretry/oktaretry/internal/circuit"
	"github.com/oktaretry/oktaretry/internal/telemetry"
	"github.com/oktaretry/oktaretry/shared"
)

// CircuitID identifies a circuit.
type CircuitID struct {
	Scope    Scope // TripsEndpoint or TripsHost
	Host     string
	Name     string // see WithCircuits; "" without it
	Method   string // "" for a host's circuit
	Template string // "" for a host's circuit
}

func circuitID(id shared.CircuitID) CircuitID {
	host, name := hostAndName(id.Host)
	return CircuitID{scopeOf(id), host, name, id.Method, id.Template}
}

func scopeOf(id shared.CircuitID) Scope {
	if id.OfHost() {
		return TripsHost
	}
	return TripsEndpoint
}

// openedBy returns what opened a circuit that is not closed, and when.
func openedBy(b *circuit.Breaker) (class Class, code, failure string, since time.Time) {
	o := b.Opening()
	if o.Failure == "" {
		return ClassNetwork, "", "", o.Since // another process's word
	}
	return Class(o.Class), o.Code, o.Failure, o.Since
}

// passCircuits asks the host's circuit and then the endpoint's. If the second
// refuses, the call's end returns the permit of the first.
func (c *call) passCircuits() StopReason {
	s := c.t.sharing
	if s != nil {
		s.refreshCircuits(c.ctx, c.to.endpoint, c.settings.endpoints, &c.now)
	}
	of := c.to.party()
	for i, b := range c.to.endpoint.circuits() {
		if s == nil && b.Enter(&c.permits[i], of) {
			continue // as nearly always
		}
		p, retryAfter, ok := s.allow(c.ctx, c.to.endpoint.ofHost.part, b, of, &c.now)
		c.permits[i] = p // first, or a log handler that panics loses a probe's place
		c.reportTransitions(b)
		if !ok {
			c.end.by, c.end.needed = scopeOf(b.ID()), retryAfter
			return StopCircuitOpen
		}
	}
	return StopNone
}

// party is whose an attempt is to the circuits.
func (d *destination) party() circuit.Party { return circuit.Of(d.endpoint.circuit, d.url) }

// othersWell reports, of an attempt that was cut off, whether others of its host succeeded
// lately: other endpoints, or other requests of its own.
func (d *destination) othersWell(now time.Time) bool {
	circuits := d.endpoint.circuits()
	return circuits[ofHost].OthersWell(circuits[ofEndpoint], now) || circuits[ofEndpoint].CutOff(d.url, now)
}

// refusesFor returns how long from now a circuit certainly refuses calls, and which of
// the two.
func (d *destination) refusesFor(now time.Time) (time.Duration, Scope) {
	circuits, of := d.endpoint.circuits(), d.party()
	byHost, byEndpoint := circuits[ofHost].RefusesFor(of, now), circuits[ofEndpoint].RefusesFor(of, now)
	if byHost >= byEndpoint {
		return byHost, TripsHost
	}
	return byEndpoint, TripsEndpoint
}

// reportCircuits reports what came of an attempt with the permits of both
// circuits.
func (c *call) reportCircuits(v verdicts) {
	if c.to.endpoint == nil {
		return
	}
	for i, b := range c.to.endpoint.circuits() {
		p := &c.permits[i]
		if !p.Active() {
			continue
		}
		if v[i].IsFailure() {
			p.Because(causeOfFailure(&c.answer))
		}
		report := p.Report(v[i], c.now)
		c.reportTransitions(b)
		if report != nil {
			c.t.sharing.report(c.ctx, c.to.endpoint.ofHost.part, b, report, &c.now)
			c.reportTransitions(b)
		}
	}
}

// reportTransitions logs and counts the changes of a circuit that nobody has
// reported yet.
func (c *call) reportTransitions(b *circuit.Breaker) {
	for _, ch := range b.Transitions() {
		id := circuitID(b.ID())
		c.report.Changed(c.to.where(), telemetry.CircuitChange{
			Scope: id.Scope.String(), Host: id.Host, Name: id.Name, Method: id.Method, Template: id.Template,
			From: ch.From.String(), To: ch.To.String(),
		})
		tellCircuitChange(c, id, ch)
	}
}
