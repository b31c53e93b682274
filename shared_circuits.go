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

	"github.com/sony/gobreaker/v2"
)

const (
	// askCircuits is how old what is known of a host's circuits may be.
	askCircuits = 750 * time.Millisecond
	// askProbe is how often a process asks for the probe while another has it.
	askProbe = 250 * time.Millisecond
	// mostCircuits bounds how many circuits of a host are taken over.
	mostCircuits = 1 << 12
)

// elsewhere is a circuit that the fleet knows as not closed.
type elsewhere struct {
	until time.Time // no call goes before; after it one of the fleet's is a probe
	told  bool      // that it is open was told, for here it was closed

	confirmed atomic.Bool // the store knows of it
	asking    atomic.Bool
}

// sharedHost is what is known of a host's circuits.
type sharedHost struct {
	next atomic.Int64 // when to ask for them, counted from the beginning of shared
	mu   sync.Mutex
	open map[*circuit]bool // those with an elsewhere
}

// allow asks a circuit for a slot: the fleet's, where it is shared and known not
// to be closed, and then always this process's own.
func (c *call) allow(own *circuit, now time.Time) (slot, time.Duration, bool) {
	s := c.t.shared
	if s == nil || own == nil {
		return own.allow(now)
	}
	if own.id.Scope == TripsHost {
		c.refreshCircuits(now)
	}
	e := own.elsewhere.Load()
	if e == nil {
		return own.allow(now)
	}
	if wait := e.until.Sub(now); wait > 0 {
		return slot{}, wait, false
	}
	if e.asking.Swap(true) {
		return slot{}, askProbe, false
	}
	defer e.asking.Store(false)
	a, ok := s.may(now) // last: whoever may must ask
	if !ok {
		return own.allow(now)
	}

	claim := s.holder + strconv.FormatUint(s.claims.Add(1), 36)
	var got *SharedCircuit
	var mu sync.Mutex // the answer may come when the call has gone
	left := false
	s.ask(c.ctx, opProbe, a, func(ctx context.Context) error {
		answer, err := s.store.Probe(ctx, own.id, claim, own.probeHolds())
		if err != nil {
			return err
		}
		if answer.State > SharedHalfOpen || answer.Wait < 0 {
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
		return own.allow(now)
	case answer.State == SharedClosed:
		c.closeElsewhere(own)
		return own.allow(now)
	case answer.Yours:
		sl, retryAfter, ok := own.allow(now)
		if !ok {
			c.askReport(own, CircuitReport{Holder: claim, Event: ProbeWithoutWord})
			return sl, retryAfter, false
		}
		sl.claim = claim
		return sl, 0, true
	}
	most := own.cfg.OpenFor
	if answer.State == SharedHalfOpen {
		most = askProbe
	}
	wait := min(max(answer.Wait, time.Millisecond), most)
	c.openElsewhere(own, now.Add(wait), true)
	return slot{}, wait, false
}

// reportShared tells the fleet what a slot's end changed.
func (c *call) reportShared(own *circuit, s *slot, v verdict, scope Scope) {
	claim := s.claim
	s.claim = ""
	opened := own.opened.Swap(false)
	r := CircuitReport{Holder: claim, OpenFor: own.cfg.OpenFor, Needed: own.cfg.Probes}
	switch {
	case opened, claim != "" && v == failed && own.id.Scope == scope:
		r.Event = CircuitOpened
		c.openElsewhere(own, time.Now().Add(own.cfg.OpenFor), false)
	case claim == "":
		return
	case v == healthy, v == alive:
		r.Event = ProbeSucceeded
	default:
		r.Event = ProbeWithoutWord
	}
	c.askReport(own, r)
}

// askReport tells the store what became of a circuit. A call that has been
// cancelled does not wait for it.
func (c *call) askReport(own *circuit, r CircuitReport) {
	s := c.t.shared
	a, ok := s.may(time.Now())
	if !ok {
		return
	}
	var got SharedCircuit
	s.ask(c.ctx, opReport, a, func(ctx context.Context) error {
		answer, err := s.store.Report(ctx, own.id, r)
		if err == nil && (answer.State > SharedHalfOpen || answer.Wait < 0) {
			err = errSharedAbsurd
		}
		got = answer
		return err
	}, func(err error) {
		if err != nil {
			return
		}
		switch e := own.elsewhere.Load(); {
		case r.Event == ProbeSucceeded && got.State == SharedClosed:
			s.close(own)
		case e != nil:
			e.confirmed.Store(true)
		}
	})
	c.now = time.Now()
	c.tellChanges(own)
}

// drop gives a claim back that came too late for its call.
func (s *shared) drop(own *circuit, claim string) {
	ctx, cancel := context.WithTimeout(context.Background(), s.timeout)
	defer cancel()
	guard(ctx, func(ctx context.Context) error {
		_, err := s.store.Report(ctx, own.id, CircuitReport{Holder: claim, Event: ProbeWithoutWord})
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
	var list []SharedCircuit
	s.ask(c.ctx, opCircuits, a, func(ctx context.Context) error {
		got, err := s.store.Circuits(ctx, name)
		if err != nil {
			return err
		}
		if len(got) > mostCircuits || slices.ContainsFunc(got, func(o SharedCircuit) bool {
			return o.State > SharedHalfOpen || o.Wait < 0 || o.Host != name || o.Scope != TripsHost && o.Scope != TripsEndpoint
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
	c.tellChanges(h.circuit)
	c.tellChanges(c.endpoint.circuit)
}

// takeOver brings what is known of a host's circuits up to date. Changes wait
// in the circuits until a call tells them.
func (s *shared) takeOver(r *endpoints, h *host, name string, list []SharedCircuit, now time.Time) {
	open := make(map[*circuit]bool, len(list))
	for _, o := range list {
		own := h.circuit
		if o.Scope == TripsEndpoint {
			own = r.circuitOf(endpointKey{name, o.Method, o.Template})
		}
		if own == nil || o.State == SharedClosed {
			continue
		}
		open[own] = true
		if e := own.elsewhere.Load(); o.State == SharedOpen || e == nil {
			// Half-open: who comes asks for the probe.
			s.open(own, h, now.Add(min(o.Wait, own.cfg.OpenFor)), true)
		} else {
			e.confirmed.Store(true)
		}
	}
	h.shared.mu.Lock()
	var closed []*circuit
	for own := range h.shared.open {
		if !open[own] {
			closed = append(closed, own)
		}
	}
	h.shared.mu.Unlock()
	for _, own := range closed {
		s.close(own)
	}
	h.shared.mu.Lock()
	for _, own := range closed {
		delete(h.shared.open, own)
	}
	h.shared.mu.Unlock()
}

// open has this process go by the fleet's circuit, which refuses until a time.
func (s *shared) open(own *circuit, h *host, until time.Time, confirmed bool) {
	e := &elsewhere{until: until}
	e.confirmed.Store(confirmed)
	before := own.elsewhere.Load()
	switch {
	case before != nil:
		e.told = before.told
	case own.closed():
		e.told = true
		own.noteElsewhere(gobreaker.StateClosed, gobreaker.StateOpen)
	}
	own.elsewhere.Store(e)
	h.shared.mu.Lock()
	if h.shared.open == nil {
		h.shared.open = make(map[*circuit]bool)
	}
	h.shared.open[own] = true
	h.shared.mu.Unlock()
}

func (c *call) openElsewhere(own *circuit, until time.Time, confirmed bool) {
	c.t.shared.open(own, c.endpoint.host, until, confirmed)
	c.tellChanges(own)
}

// close has this process go by its own circuit again, which the fleet's probe
// closes as its own would. Of a circuit that the store never heard of, or that
// it lost, there was no probe.
func (s *shared) close(own *circuit) {
	e := own.elsewhere.Swap(nil)
	if e == nil {
		return
	}
	for range own.cfg.Probes {
		if !e.confirmed.Load() || own.closed() {
			break
		}
		done, err := own.breaker().Allow()
		if err != nil {
			break // it is open for its own reasons, or a probe of its own is out
		}
		done(nil)
	}
	if e.told {
		own.noteElsewhere(gobreaker.StateOpen, gobreaker.StateClosed)
	}
}

func (c *call) closeElsewhere(own *circuit) {
	c.t.shared.close(own)
	c.tellChanges(own)
}

// noteElsewhere notes a change that happened in another process.
func (c *circuit) noteElsewhere(from, to gobreaker.State) {
	c.mu.Lock()
	c.changes = append(c.changes, circuitChange{c.id, from, to})
	c.mu.Unlock()
	c.noted.Store(true)
}

// refusesElsewhere is how long from now the fleet's circuit certainly refuses.
func (c *circuit) refusesElsewhere(now time.Time) time.Duration {
	if e := c.elsewhere.Load(); e != nil {
		return e.until.Sub(now)
	}
	return 0
}

// circuitOf returns the circuit of an endpoint that is in use; nil otherwise.
func (r *endpoints) circuitOf(k endpointKey) *circuit {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if e := r.byKey[k]; e != nil {
		return e.circuit
	}
	return nil
}
