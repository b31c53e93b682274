// This file holds what the fleet knows of circuits: how long the fleet's circuit
// refuses, who asks for its one probe, and what the store is informed of. The
// store is asked by the caller: questions and answers are values.

package circuit

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oktaretry/oktaretry/shared"
)

const (
	// listEvery is how old what is known of a host's circuits may be.
	listEvery = 750 * time.Millisecond
	// probeRetry is when to ask for the probe again while another process has it.
	probeRetry = 250 * time.Millisecond
	// suspectedFor is how long a report lasts that is not followed, after it was listed.
	suspectedFor = 3 * listEvery
	// maxListed bounds how many circuits of a host are followed.
	maxListed = 1 << 12
)

// FleetHost is what a process knows of how the circuits of one host stand in the
// fleet. It is safe for concurrent use.
type FleetHost struct {
	born time.Time
	next atomic.Int64 // when to list the circuits again, counted from born

	mu        sync.Mutex
	following map[*Breaker]bool // the circuits with a fleetState
}

// NewFleetHost returns a FleetHost that knows of no circuit.
func NewFleetHost(now time.Time) *FleetHost { return &FleetHost{born: now} }

// ListDue reports whether the host's circuits were listed too long ago.
func (h *FleetHost) ListDue(now time.Time) bool { return int64(now.Sub(h.born)) >= h.next.Load() }

// ClaimList gives the question for the host's circuits to one caller.
func (h *FleetHost) ClaimList(now time.Time) bool {
	at, next := int64(now.Sub(h.born)), h.next.Load()
	return at >= next && h.next.CompareAndSwap(next, at+int64(listEvery))
}

// ConsistentList reports whether an honest store can have answered so about host.
func ConsistentList(host string, list []shared.Circuit) bool {
	return len(list) <= maxListed && !slices.ContainsFunc(list, func(c shared.Circuit) bool {
		return !Consistent(c) || c.Host != host || (c.Method == "") != (c.Template == "")
	})
}

// Consistent reports whether an honest store can have answered so.
func Consistent(c shared.Circuit) bool {
	return c.State <= shared.HalfOpen && c.Wait >= 0 && c.Reporters >= 0
}

// Listed updates the host's circuits to the store's list of those that are not
// closed. breaker returns this process's own circuit, nil where it has none.
// Transitions wait in the circuits until a call delivers them.
func (h *FleetHost) Listed(now time.Time, list []shared.Circuit, breaker func(shared.CircuitID) *Breaker) {
	open := make(map[*Breaker]bool, len(list))
	for _, c := range list {
		b := breaker(c.CircuitID)
		if b == nil || c.State == shared.Closed {
			continue
		}
		f := b.fleetState.Load()
		if f == nil && !b.believes(c.Reporters, now) {
			b.suspected.Store(&suspicion{c.Reporters, now.Add(suspectedFor)})
			continue
		}
		open[b] = true
		if c.State == shared.Open || f == nil {
			// Half-open: the next call asks for the probe.
			b.follow(now.Add(min(c.Wait, b.cfg.OpenFor)), true)
		} else {
			f.confirmed.Store(true)
		}
	}
	h.mu.Lock()
	var closed []*Breaker
	for b := range h.following {
		if !open[b] {
			closed = append(closed, b)
			delete(h.following, b)
		}
	}
	h.mu.Unlock()
	for _, b := range closed {
		b.unfollow()
	}
}

// fleetState is a circuit that the fleet knows as not closed.
type fleetState struct {
	until  time.Time // no call is sent before; after it, one of the fleet's is a probe
	opened bool      // a transition to open was recorded, for here it was closed

	confirmed atomic.Bool // the store knows of it
	asking    atomic.Bool // a call asks for the probe
	kept      atomic.Pointer[keptClaim]
}

// keptClaim is a claim on the fleet's probe that another endpoint of this process
// may use, for the one that had it did not decide.
type keptClaim struct {
	holder string
	until  time.Time // the store grants another then
}

// suspicion is a circuit that others report and this process has no reason to follow.
type suspicion struct {
	reporters int
	until     time.Time // when it counts no longer, unless it is listed again
}

// run is a run of failures of a circuit, as b.mu guards it.
type run struct {
	length int
	after  uint32    // the successes before it, see window.ever
	last   time.Time // the latest failure
}

// failedAgain counts a failure that speaks of what the circuit is of.
func (b *Breaker) failedAgain(now time.Time) {
	after := b.successes.ever()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.run.after != after {
		b.run = run{after: after}
	}
	b.run.length++
	b.run.last = now
}

// believes reports whether this process follows others that report the circuit open.
// Their own network may be what is broken, so what this process sees by itself goes
// first: while calls succeed, it takes several failures in a row. Who has seen
// nothing lately follows two reporters, or one and its own first failure.
func (b *Breaker) believes(reporters int, now time.Time) bool {
	if !b.Closed() {
		return true
	}
	b.mu.Lock()
	failures := b.run.length
	if b.run.after != b.successes.ever() || now.Sub(b.run.last) > b.cfg.Window {
		failures = 0
	}
	b.mu.Unlock()
	if b.successes.total(now) > 0 {
		return failures >= max(2, b.cfg.MinCalls/restOfMinCalls)
	}
	return failures > 0 || reporters > 1
}

// confirms reports whether a failure that was just counted confirms what others
// report.
func (b *Breaker) confirms(v Verdict, now time.Time) bool {
	s := b.suspected.Load()
	return s != nil && v == Failed && now.Before(s.until) && b.fleetState.Load() == nil && b.believes(s.reporters, now)
}

// FleetRefusesFor returns how long from now the fleet's circuit refuses a party. known
// is false where the circuit is closed, as far as this process knows, or open for others
// than the party.
func (b *Breaker) FleetRefusesFor(of Party, now time.Time) (wait time.Duration, known bool) {
	if f := b.fleetState.Load(); f != nil && !b.spares(of, now) {
		return max(f.until.Sub(now), b.untilRetrial(of, now)), true
	}
	return 0, false
}

// follow has the circuit follow the fleet's, which refuses until a time.
func (b *Breaker) follow(until time.Time, confirmed bool) {
	f := &fleetState{until: until}
	f.confirmed.Store(confirmed)
	switch before := b.fleetState.Load(); {
	case before != nil:
		f.opened = before.opened
	case b.Closed():
		f.opened = true
		b.mu.Lock()
		b.opening = Opening{Since: time.Now()} // the store has no cause
		b.mu.Unlock()
		b.record(Closed, Open)
	}
	b.fleetState.Store(f)
	b.fleet.mu.Lock()
	defer b.fleet.mu.Unlock()
	if b.fleet.following == nil {
		b.fleet.following = make(map[*Breaker]bool)
	}
	b.fleet.following[b] = true
}

// unfollow has the circuit stand for itself again, and closes it as the fleet's
// probe did. Of a circuit that the store never knew there was no probe.
func (b *Breaker) unfollow() {
	f := b.fleetState.Swap(nil)
	if f == nil {
		return
	}
	for range b.cfg.Probes {
		if !f.confirmed.Load() || b.Closed() {
			break
		}
		done, err := b.gobreaker().Allow()
		if err != nil {
			break // it is open for its own reasons, or a probe of its own is out
		}
		done(nil)
	}
	if f.opened {
		b.record(Open, Closed)
	}
}

func (b *Breaker) record(from, to State) {
	b.mu.Lock()
	b.transitions = append(b.transitions, Transition{from, to})
	b.mu.Unlock()
	b.pending.Store(true)
}

// ProbeRequest asks the store for the one probe of the fleet's circuit.
type ProbeRequest struct {
	Holder  string
	TTL     time.Duration // how long the probe keeps others out
	Granted bool          // it is this process's already: the store need not be asked
	b       *Breaker
	of      Party
	state   *fleetState
}

// RequestProbe returns the question for the fleet's probe, which one caller at a
// time may ask, for an attempt of a party; it must be released. Where another
// asks, retryAfter is when to come back.
func (b *Breaker) RequestProbe(of Party, holder string, now time.Time) (r *ProbeRequest, retryAfter time.Duration) {
	f := b.fleetState.Load()
	if f == nil || f.asking.Swap(true) {
		return nil, probeRetry
	}
	r = &ProbeRequest{Holder: holder, TTL: b.cfg.probeHolds(), b: b, of: of, state: f}
	if kept := f.kept.Swap(nil); kept != nil && now.Before(kept.until) {
		r.Holder, r.Granted = kept.holder, true
	}
	return r, 0
}

// Release lets another call ask.
func (r *ProbeRequest) Release() { r.state.asking.Store(false) }

// Answered takes the store's answer, and is [Breaker.Allow] by it. A permit that
// is refused although the probe is the holder's must be reported as
// inconclusive.
func (r *ProbeRequest) Answered(now time.Time, c shared.Circuit) (p Permit, retryAfter time.Duration, ok bool) {
	b := r.b
	switch {
	case c.State == shared.Closed && !r.Granted:
		b.unfollow()
		return b.Allow(r.of, now)
	case c.Yours, r.Granted:
		p, retryAfter, ok = b.Allow(r.of, now)
		if ok {
			p.claim, p.since = r.Holder, now
		}
		return p, retryAfter, ok
	}
	longest := b.cfg.OpenFor
	if c.State == shared.HalfOpen {
		longest = probeRetry
	}
	wait := min(max(c.Wait, time.Millisecond), longest)
	b.follow(now.Add(wait), true)
	return Permit{}, wait, false
}

// Inconclusive returns the report that frees the probe for another, where it is
// the holder's and will not be sent.
func (r *ProbeRequest) Inconclusive() *shared.Report {
	return r.b.report(r.Holder, shared.ProbeInconclusive)
}

// GiveUpProbe returns the report that frees the fleet's probe where this process keeps
// it for a later call; nil: it does not.
func (b *Breaker) GiveUpProbe() *shared.Report {
	f := b.fleetState.Load()
	if f == nil {
		return nil
	}
	if kept := f.kept.Swap(nil); kept != nil {
		return b.report(kept.holder, shared.ProbeInconclusive)
	}
	return nil
}

// fleetReport returns what the store must be informed of after an attempt that
// ended with v; nil: nothing.
func (b *Breaker) fleetReport(p *Permit, v Verdict, now time.Time) *shared.Report {
	opened := b.opened.Load() && b.opened.Swap(false)
	switch {
	case opened, p.claim != "" && v.IsFailure(), b.confirms(v, now):
		return b.reportOpening(p.claim, now)
	case p.claim == "":
		return nil
	case v == Healthy, v == Alive:
		return b.report(p.claim, shared.ProbeSucceeded)
	case v == deferred:
		if f := b.fleetState.Load(); f != nil {
			f.kept.Store(&keptClaim{p.claim, p.since.Add(b.cfg.probeHolds())})
			return nil
		}
	}
	return b.report(p.claim, shared.ProbeInconclusive)
}

// reportOpening returns the report of a circuit that opened, or whose probe failed. That
// no connection could be made may be this process's own trouble: it keeps its calls
// back, and leaves the fleet's probe to another process.
func (b *Breaker) reportOpening(claim string, now time.Time) *shared.Report {
	b.mu.Lock()
	why := b.last
	b.mu.Unlock()
	if why.Local && claim == "" {
		return nil
	}
	b.follow(now.Add(b.cfg.OpenFor), why.Local)
	b.mu.Lock()
	b.opening.Cause = why
	b.mu.Unlock()
	if why.Local {
		return b.report(claim, shared.ProbeInconclusive)
	}
	return b.report(claim, shared.Opened)
}

func (b *Breaker) report(holder string, e shared.Event) *shared.Report {
	return &shared.Report{Holder: holder, Event: e, OpenFor: b.cfg.OpenFor, Needed: b.cfg.Probes}
}

// Reported takes the store's answer to a report.
func (b *Breaker) Reported(r *shared.Report, c shared.Circuit) {
	if r.Event == shared.ProbeSucceeded && c.State == shared.Closed {
		b.unfollow()
	} else if f := b.fleetState.Load(); f != nil {
		f.confirmed.Store(true)
	}
}
