// Package circuit is one circuit breaker, on sony/gobreaker: it counts over a
// rolling window, never lets a silent probe keep others out, and can follow what
// other processes know of the same circuit. It takes the time as an argument,
// calls nobody back and asks no store: its transitions, and its questions to the
// store, are values that its caller delivers.
//
// This file holds the breaker; permit.go an attempt's way through it; blame.go
// whose failures those of a host are, and suspects.go for whom it is open; window.go the rolling count of successes;
// fleet.go what the fleet knows of a circuit.
package circuit

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/oktaretry/oktaretry/shared"
)

// Breaker is one circuit breaker. It is safe for concurrent use. The nil Breaker
// is closed for ever.
//
//	         failures reach FailureRatio, or a streak of them
//	CLOSED ────────────────────────────────────────────────────▶ OPEN
//	  ▲                                                           │ ▲
//	  │ Probes successes in a row               OpenFor is over   │ │
//	  └─────────────────────── HALF-OPEN ◀────────────────────────┘ │
//	                               │            a probe fails       │
//	                               └────────────────────────────────┘
//
// While a circuit is closed, successes are counted in a window of its own, and
// gobreaker sees failures only: those are few, and its decision to open asks the
// window for the rest. So gobreaker's part is made at the first failure, which
// most endpoints never have.
type Breaker struct {
	id      shared.CircuitID
	cfg     *Config
	several bool // see NewSeveral

	successes window
	machine   atomic.Pointer[gobreaker.TwoStepCircuitBreaker[struct{}]] // nil before the first failure

	// gobreaker calls back under its own lock. The callback only records here;
	// whoever caused the transition delivers it without that lock.
	state     atomic.Int32 // a State
	openUntil atomic.Int64 // Unix nanoseconds; meaningful while open
	pending   atomic.Bool  // transitions is not empty
	era       atomic.Int64 // the number of transitions
	streak    streak       // of the current state; under gobreaker's lock

	// What the fleet knows; fleet is nil where no store is shared.
	fleet      *FleetHost
	fleetState atomic.Pointer[fleetState] // nil: closed
	suspected  atomic.Pointer[suspicion]  // nil: others reported nothing yet
	opened     atomic.Bool                // here, and the fleet was not informed

	mu          sync.Mutex
	transitions []Transition // not delivered yet
	probes      []*probe     // out while half-open, and not back yet
	last        Cause        // of the latest failure
	opening     Opening
	run         run

	requests atomic.Pointer[requests] // of an endpoint's circuit: see offenders.go; nil before its first failure

	// Of a host's circuit: see blame.go and suspects.go.
	endpoints   atomic.Int32             // that were ever called
	shares      map[*Breaker]*share      // while closed
	suspects    atomic.Pointer[suspects] // for whom it is not closed; nil: for all
	failed      *Breaker                 // the endpoint whose probe failed last, while half-open; nil: none
	failedUntil time.Time                // how long that refuses the endpoint
}

// Cause is what failed, in its caller's words. The zero Cause is not known.
type Cause struct {
	Class         uint8
	Code, Failure string
	Local         bool // no connection was made, which may be this process's own trouble
}

// Opening is what opened a circuit, and when. Its Cause is the failure that opened it,
// or failed its latest probe.
type Opening struct {
	Cause
	Since time.Time
}

// Transition is one change of a circuit's state.
type Transition struct{ From, To State }

// steps is how many steps the rolling window moves in.
const steps = 10

// New returns a closed circuit, or nil if cfg is disabled. fleet is nil where no
// store is shared.
func New(id shared.CircuitID, cfg *Config, fleet *FleetHost) *Breaker {
	if cfg.Disabled {
		return nil
	}
	b := &Breaker{id: id, cfg: cfg, fleet: fleet}
	b.successes.step, b.successes.born = cfg.bucketPeriod(), time.Now()
	return b
}

// NewSeveral returns what stands for several endpoints that are not told apart, in
// the eyes of their host's circuit: it counts, and never opens, for what one of them
// answers says nothing of the others. It is nil if cfg is disabled.
func NewSeveral(id shared.CircuitID, cfg *Config) *Breaker {
	b := New(id, cfg, nil)
	if b != nil {
		b.several = true
	}
	return b
}

// Several reports whether b is of NewSeveral.
func (b *Breaker) Several() bool { return b != nil && b.several }

// ID returns what identifies the circuit.
func (b *Breaker) ID() shared.CircuitID { return b.id }

// gobreaker takes verdicts as errors.
var (
	errFailed  = errors.New("failed")
	errNeutral = errors.New("neutral")
)

// gobreaker returns gobreaker's part of the circuit, made at the first failure.
func (b *Breaker) gobreaker() *gobreaker.TwoStepCircuitBreaker[struct{}] {
	if m := b.machine.Load(); m != nil {
		return m
	}
	b.machine.CompareAndSwap(nil, gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		MaxRequests:  uint32(b.cfg.Probes),
		Interval:     b.cfg.Window,
		BucketPeriod: b.cfg.bucketPeriod(),
		// gobreaker becomes half-open after its timeout, not at it.
		Timeout:       max(b.cfg.OpenFor-1, 1),
		ReadyToTrip:   func(n gobreaker.Counts) bool { return b.trips(int(n.TotalFailures), time.Now()) },
		IsExcluded:    func(err error) bool { return err == errNeutral },
		OnStateChange: func(_ string, from, to State) { b.transit(from, to) },
	}))
	return b.machine.Load()
}

// StreakOpensAfter is the least time that MinCalls consecutive failures must span
// to open the circuit whatever the ratio: of a server that died, a window of 30 s
// that still holds many successes would know after 15. A shorter streak is a blip
// that resends survive; refusing calls for OpenFor would make it longer.
const StreakOpensAfter = 500 * time.Millisecond

// streak is a run of failures without a success between them.
type streak struct {
	after  uint32 // successes, see window.ever
	length int
	since  time.Time
}

// trips decides whether a closed circuit opens, at each failure. It runs under
// gobreaker's lock.
func (b *Breaker) trips(failures int, now time.Time) bool {
	if n := b.successes.ever(); n != b.streak.after {
		b.streak = streak{after: n}
	}
	if b.streak.length == 0 {
		b.streak.since = now
	}
	b.streak.length++
	successes := b.successes.total(now)
	if b.several || successes+failures < b.cfg.MinCalls {
		return false
	}
	if !b.id.OfHost() {
		return b.endpointTrips(failures, successes, now)
	}
	own := failures
	if by := b.blame(now); by.window > 0 {
		if own = by.own; b.endpointsTrip(by, successes, now) {
			if own == 0 {
				b.suspect(now)
			}
			return true
		}
	} else if b.streakTrips(now) {
		return true
	}
	return own+successes >= b.cfg.MinCalls && b.reaches(own, successes)
}

// endpointTrips is trips of an endpoint's circuit, whose window holds MinCalls.
func (b *Breaker) endpointTrips(failures, successes int, now time.Time) bool {
	if !b.streakTrips(now) && !b.reaches(failures, successes) {
		return false
	}
	b.offend(b.blamed(now))
	return true
}

func (b *Breaker) streakTrips(now time.Time) bool {
	return b.streak.length >= b.cfg.MinCalls && now.Sub(b.streak.since) >= StreakOpensAfter
}

// reaches reports whether failures reach FailureRatio.
func (b *Breaker) reaches(failures, successes int) bool {
	return float64(failures) >= b.cfg.FailureRatio*float64(failures+successes)
}

// transit records a transition. It runs under gobreaker's lock.
func (b *Breaker) transit(from, to State) {
	switch to {
	case Open:
		b.openUntil.Store(time.Now().Add(b.cfg.OpenFor).UnixNano())
		b.opened.Store(!b.lone() && !b.narrowly()) // which is no word for other processes
	case Closed:
		b.offend(nil)
	}
	b.state.Store(int32(to))
	b.era.Add(1)
	b.successes.reset()
	b.streak.length = 0
	b.mu.Lock()
	b.transitions = append(b.transitions, Transition{from, to})
	b.probes = nil // those of the state before count for nothing now
	b.shares, b.failed = nil, nil
	if to == Closed {
		b.acquit()
	}
	b.requests.Load().reset()
	if to == Open {
		b.opening.Cause = b.last
	}
	if from == Closed {
		b.opening.Since = time.Now()
	}
	b.mu.Unlock()
	b.pending.Store(true)
}

// Transitions returns the transitions since it was last asked, each to one
// caller only.
func (b *Breaker) Transitions() []Transition {
	if b == nil || !b.pending.Load() || !b.pending.Swap(false) {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	all := b.transitions
	b.transitions = nil
	return all
}

// Counts returns the successes and failures of the window that ends now.
func (b *Breaker) Counts(now time.Time) (successes, failures int) {
	var n gobreaker.Counts
	if m := b.machine.Load(); m != nil {
		m.State() // moves its window on, which Counts does not
		n = m.Counts()
	}
	return b.successes.total(now) + int(n.TotalSuccesses), int(n.TotalFailures)
}

// Closed reports whether the circuit lets everything through.
func (b *Breaker) Closed() bool { return b == nil || State(b.state.Load()) == Closed }

// State returns the state of this process's own circuit. An open one whose time
// is over is half-open.
func (b *Breaker) State() State {
	if m := b.machine.Load(); m != nil {
		return m.State()
	}
	return Closed
}

// Standing returns the state as calls meet it: the fleet's where that is known
// not to be closed, else this process's own.
func (b *Breaker) Standing(now time.Time) State {
	switch f := b.fleetState.Load(); {
	case f == nil:
		return b.State()
	case now.Before(f.until):
		return Open
	}
	return HalfOpen
}

// Opening returns what opened a circuit that is not closed.
func (b *Breaker) Opening() Opening {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.opening
}

// RefusesFor returns how long from now the circuit certainly refuses calls of a party;
// 0 or less when it may let one through.
func (b *Breaker) RefusesFor(of Party, now time.Time) time.Duration {
	if b == nil {
		return 0
	}
	wait, _ := b.FleetRefusesFor(of, now)
	switch State(b.state.Load()) {
	case Open:
		if !b.spares(of, now) {
			wait = max(wait, b.untilProbe(now))
		}
	case HalfOpen:
		wait = max(wait, b.untilRetrial(of, now))
	}
	return wait
}

// untilProbe returns how long an open circuit goes on refusing. gobreaker counts
// by the monotonic clock: where the wall clock was set back, it is OpenFor at
// most.
func (b *Breaker) untilProbe(now time.Time) time.Duration {
	return min(time.Unix(0, b.openUntil.Load()).Sub(now), b.cfg.OpenFor)
}

// retryAfter returns how long to wait until the circuit may let a call through
// that it refuses now.
func (b *Breaker) retryAfter(now time.Time) time.Duration {
	if State(b.state.Load()) == Open {
		return max(b.untilProbe(now), time.Millisecond)
	}
	// Half-open, and all probes are out: their answers decide, soon.
	return min(time.Second, b.cfg.ProbeTimeout)
}

// reclaim frees the places of overdue probes, for which gobreaker would wait for
// ever, and reports whether there were any.
func (b *Breaker) reclaim(now time.Time) bool {
	var overdue []*probe
	b.mu.Lock()
	b.probes = slices.DeleteFunc(b.probes, func(p *probe) bool {
		late := now.Sub(p.since) >= b.cfg.probeHolds()
		if late {
			overdue = append(overdue, p)
		}
		return late
	})
	b.mu.Unlock()
	for _, p := range overdue {
		p.done(errNeutral)
	}
	return len(overdue) > 0
}

// forget removes p from the probes that are out. It is false when p was
// reclaimed, or when the state has changed since: gobreaker then ignores the
// late report itself.
func (b *Breaker) forget(p *probe) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.Index(b.probes, p)
	if i < 0 {
		return false
	}
	b.probes = slices.Delete(b.probes, i, i+1)
	return true
}
