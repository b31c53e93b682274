// This file holds the rules of circuits.

package sharedtest

import (
	"context"
	"slices"
	"time"

	"github.com/oktaretry/oktaretry/shared"
)

// circuit is a circuit that is not closed. Memory.mu guards it.
type circuit struct {
	until     time.Time // no probe is sent before
	prober    string    // the holder of the probe; "": none
	overdue   time.Time // when another holder may send one
	successes int       // probes in a row
	reporters []string  // processes that reported it open; two at most
}

// forgottenAfter is how long a circuit is remembered that nobody probes: nobody calls
// its endpoint, or the store holds what no process wrote.
const forgottenAfter = 10 * time.Minute

// circuit returns a circuit that is not closed; nil: there is none. The caller holds mu.
func (m *Memory) circuit(id shared.CircuitID) *circuit {
	c := m.circuits[id]
	if c == nil || m.Now().Before(c.until.Add(forgottenAfter)) || m.Now().Before(c.overdue) {
		return c
	}
	delete(m.circuits, id)
	return nil
}

func (c *circuit) state(now time.Time, id shared.CircuitID) shared.Circuit {
	s := shared.Circuit{CircuitID: id, State: shared.Open, Wait: c.until.Sub(now), Reporters: len(c.reporters)}
	if s.Wait <= 0 {
		s.State, s.Wait = shared.HalfOpen, 0
		if c.prober != "" {
			s.Wait = max(c.overdue.Sub(now), 0)
		}
	}
	return s
}

// Circuits implements [shared.Store].
func (m *Memory) Circuits(_ context.Context, host string) (list []shared.Circuit, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked["circuits"]++
	for id := range m.circuits {
		if c := m.circuit(id); c != nil && id.Host == host {
			list = append(list, c.state(m.Now(), id))
		}
	}
	return list, nil
}

// Probe implements [shared.Store].
func (m *Memory) Probe(_ context.Context, id shared.CircuitID, holder string, ttl time.Duration) (shared.Circuit, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked["probe"]++
	now := m.Now()
	c := m.circuit(id)
	if c == nil {
		return shared.Circuit{CircuitID: id}, nil
	}
	s := c.state(now, id)
	if s.State == shared.HalfOpen && s.Wait == 0 {
		c.prober, c.overdue = holder, now.Add(ttl)
		s.Wait, s.Yours = ttl, true
	}
	return s, nil
}

// Report implements [shared.Store].
func (m *Memory) Report(_ context.Context, id shared.CircuitID, r shared.Report) (shared.Circuit, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked["report"]++
	now := m.Now()
	c := m.circuit(id)
	isProber := c != nil && c.prober != "" && c.prober == r.Holder
	switch {
	case r.Event == shared.Opened:
		if c == nil {
			c = new(circuit)
			m.circuits[id] = c
		}
		if until := now.Add(r.OpenFor); until.After(c.until) {
			c.until = until
		}
		c.prober, c.successes = "", 0
		if len(c.reporters) < 2 && !slices.Contains(c.reporters, r.Process) {
			c.reporters = append(c.reporters, r.Process)
		}
	case !isProber:
	case r.Event == shared.ProbeSucceeded:
		c.prober = ""
		if c.successes++; c.successes >= r.Needed {
			delete(m.circuits, id)
			c = nil
		}
	default:
		c.prober = ""
	}
	if c == nil {
		return shared.Circuit{CircuitID: id}, nil
	}
	return c.state(now, id), nil
}
