// This file holds circuits that processes share: what this process knows of
// the fleet's, the one probe that goes for all, and what it tells the others.

package oktaretry

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oktaretry/oktaretry/internal/circuit"
	"github.com/oktaretry/oktaretry/shared"
)

const (
	// askCircuits is how old what is known of a host's circuits may be.
	askCircuits = 750 * time.Millisecond
	// askProbe is how often a process asks for the probe while another has it.
	askProbe = 250 * time.Millisecond
	// mostCircuits bounds how many circuits of a host are taken over.
	mostCircuits = 1 << 12
)

// sharedHost is what is known of a host's circuits.
type sharedHost struct {
	next atomic.Int64 // when to ask for them, counted from the beginning of shared
	mu   sync.Mutex
	open map[*guard]bool // those with an elsewhere
}

// allow asks a circuit for a slot: the fleet's, where it is shared and known not
// to be closed, and then always this process's own.
func (c *call) allow(own *guard, now time.Time) (circuit.Permit, time.Duration, bool) {
	s := c.t.shared
	if s == nil || own.Breaker == nil {
		return own.Allow(now)
	}
	if own.id.Scope == TripsHost {
		c.refreshCircuits(now)
	}
	wait, known := own.Fleet(now)
	if !known {
		return own.Allow(now)
	}
	if wait > 0 {
		return circuit.Permit{}, wait, false
	}
	asked, mine := own.Ask()
	if !mine {
		return circuit.Permit{}, askProbe, false
	}
	defer asked()
	a, ok := s.may(now) // last: whoever may must ask
	if !ok {
		return own.Allow(now)
	}

	claim := s.holder + strconv.FormatUint(s.claims.Add(1), 36)
	var got *shared.Circuit
	var mu sync.Mutex // the answer may come when the call has gone
	left := false
	s.ask(c.ctx, opProbe, a, func(ctx context.Context) error {
		answer, err := s.store.Probe(ctx, own.id.shared(), claim, own.ProbeHolds())
		if err != nil {
			return err
		}
		if answer.State > shared.HalfOpen || answer.Wait < 0 {
			return errSharedAbsurd
		}
		mu.Lock()
		defer mu.Unlock()
		if got = &answer; left && answer.Yours {
			go s.drop(own, claim) // nobody is there to send the probe
		}
		return nil
	}, func(error) {})
	mu.Lock()
	answer := got
	left = answer == nil
	mu.Unlock()

	c.now = time.Now()
	now = c.now
	switch {
	case answer == nil:
		return own.Allow(now)
	case answer.State == shared.Closed:
		c.closeElsewhere(own)
		return own.Allow(now)
	case answer.Yours:
		sl, retryAfter, ok := own.Allow(now)
		if !ok {
			c.askReport(own, shared.Report{Holder: claim, Event: shared.ProbeInconclusive})
			return sl, retryAfter, false
		}
		sl.SetClaim(claim)
		return sl, 0, true
	}
	most := own.Config().OpenFor
	if answer.State == shared.HalfOpen {
		most = askProbe
	}
	wait = min(max(answer.Wait, time.Millisecond), most)
	c.openElsewhere(own, now.Add(wait), true)
	return circuit.Permit{}, wait, false
}

// reportShared tells the fleet what a slot's end changed.
func (c *call) reportShared(own *guard, p *circuit.Permit, v circuit.Verdict, scope Scope) {
	claim := p.Claim()
	p.SetClaim("")
	opened := own.OpenedHere()
	r := shared.Report{Holder: claim, OpenFor: own.Config().OpenFor, Needed: own.Config().Probes}
	switch {
	case opened, claim != "" && v == circuit.Failed && own.id.Scope == scope:
		r.Event = shared.Opened
		c.openElsewhere(own, time.Now().Add(own.Config().OpenFor), false)
	case claim == "":
		return
	case v == circuit.Healthy, v == circuit.Alive:
		r.Event = shared.ProbeSucceeded
	default:
		r.Event = shared.ProbeInconclusive
	}
	c.askReport(own, r)
}

// askReport tells the store what became of a circuit. A call that has been
// cancelled does not wait for it.
func (c *call) askReport(own *guard, r shared.Report) {
	s := c.t.shared
	a, ok := s.may(time.Now())
	if !ok {
		return
	}
	var got shared.Circuit
	s.ask(c.ctx, opReport, a, func(ctx context.Context) error {
		answer, err := s.store.Report(ctx, own.id.shared(), r)
		if err == nil && (answer.State > shared.HalfOpen || answer.Wait < 0) {
			err = errSharedAbsurd
		}
		got = answer
		return err
	}, func(err error) {
		if err != nil {
			return
		}
		if r.Event == shared.ProbeSucceeded && got.State == shared.Closed {
			own.CloseElsewhere()
		} else {
			own.Confirm()
		}
	})
	c.now = time.Now()
	c.tellChanges(own)
}

// drop gives a claim back that came too late for its call.
func (s *sharing) drop(own *guard, claim string) {
	ctx, cancel := context.WithTimeout(context.Background(), s.timeout)
	defer cancel()
	asError(ctx, func(ctx context.Context) error {
		_, err := s.store.Report(ctx, own.id.shared(), shared.Report{Holder: claim, Event: shared.ProbeInconclusive})
		return err
	})
}

// refreshCircuits asks how the circuits of the call's host stand in the fleet,
// when that was asked too long ago. One call does; the others go on.
func (c *call) refreshCircuits(now time.Time) {
	s, h := c.t.shared, c.endpoint.host
	at := int64(now.Sub(s.began))
	next := h.shared.next.Load()
	if at < next {
		return
	}
	a, ok := s.may(now)
	if !ok {
		return
	}
	if !h.shared.next.CompareAndSwap(next, at+int64(askCircuits)) && s.fleet.Works() {
		return
	}
	name, register := strings.ToLower(c.target.Host), c.settings.endpoints
	var list []shared.Circuit
	s.ask(c.ctx, opCircuits, a, func(ctx context.Context) error {
		got, err := s.store.Circuits(ctx, name)
		if err != nil {
			return err
		}
		if len(got) > mostCircuits || slices.ContainsFunc(got, func(o shared.Circuit) bool {
			return o.State > shared.HalfOpen || o.Wait < 0 || o.Host != name || (o.Method == "") != (o.Template == "")
		}) {
			return errSharedAbsurd
		}
		list = got
		return nil
	}, func(err error) {
		if err == nil {
			s.takeOver(register, h, name, list, time.Now()) // c may be gone
		}
	})
	c.now = time.Now()
	c.tellChanges(&h.guard)
	c.tellChanges(&c.endpoint.guard)
}

// takeOver brings what is known of a host's circuits up to date. Changes wait
// in the circuits until a call tells them.
func (s *sharing) takeOver(r *endpoints, h *host, name string, list []shared.Circuit, now time.Time) {
	open := make(map[*guard]bool, len(list))
	for _, o := range list {
		own := &h.guard
		if !o.OfHost() {
			own = r.circuitOf(endpointKey{name, o.Method, o.Template})
		}
		if own == nil || own.Breaker == nil || o.State == shared.Closed {
			continue
		}
		open[own] = true
		if _, known := own.Fleet(now); o.State == shared.Open || !known {
			// Half-open: who comes asks for the probe.
			s.open(own, h, now.Add(min(o.Wait, own.Config().OpenFor)), true)
		} else {
			own.Confirm()
		}
	}
	h.shared.mu.Lock()
	var closed []*guard
	for own := range h.shared.open {
		if !open[own] {
			closed = append(closed, own)
		}
	}
	h.shared.mu.Unlock()
	for _, own := range closed {
		own.CloseElsewhere()
	}
	h.shared.mu.Lock()
	for _, own := range closed {
		delete(h.shared.open, own)
	}
	h.shared.mu.Unlock()
}

// open has this process go by the fleet's circuit, which refuses until a time.
func (s *sharing) open(own *guard, h *host, until time.Time, confirmed bool) {
	own.OpenElsewhere(until, confirmed)
	h.shared.mu.Lock()
	if h.shared.open == nil {
		h.shared.open = make(map[*guard]bool)
	}
	h.shared.open[own] = true
	h.shared.mu.Unlock()
}

func (c *call) openElsewhere(own *guard, until time.Time, confirmed bool) {
	c.t.shared.open(own, c.endpoint.host, until, confirmed)
	c.tellChanges(own)
}

func (c *call) closeElsewhere(own *guard) {
	own.CloseElsewhere()
	c.tellChanges(own)
}

// circuitOf returns the circuit of an endpoint that is in use; nil otherwise.
func (r *endpoints) circuitOf(k endpointKey) *guard {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if e := r.byKey[k]; e != nil {
		return &e.guard
	}
	return nil
}
