// Package circuit is one circuit breaker, on sony/gobreaker: it counts over a
// rolling window, never lets a silent probe keep others out, and can go by what
// other processes know of the same circuit. It takes the time as an argument,
// calls nobody back and asks no store: its changes and its questions are values
// that its caller delivers.
package circuit

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"
)

// Verdict is what an answer says to a circuit.
type Verdict uint8

const (
	Neutral Verdict = iota // neither: a 429, the caller's own cancellation
	Alive                  // a 4xx: neither, but as a probe's answer it shows that Okta is back
	Healthy
	Failed
)

// gobreaker takes verdicts as errors.
var (
	errFailed  = errors.New("failed")
	errNeutral = errors.New("neutral")
)

func (v Verdict) err() error {
	switch v {
	case Healthy:
		return nil
	case Failed:
		return errFailed
	}
	return errNeutral
}

// steps is how many steps a rolling window moves in.
const steps = 10

// circuit is one circuit breaker.
type Breaker struct {
	cfg *Config

	// While it is closed, successes are counted here and gobreaker gets to know
	// of failures only: those are few, and its ratio asks here for the rest. So
	// it is there from the first failure on: most endpoints never have one.
	successes rolling
	cb        atomic.Pointer[gobreaker.TwoStepCircuitBreaker[struct{}]]

	// gobreaker calls back under its own lock. The callback only takes notes
	// here; who caused the change delivers them after the lock is gone.
	state     atomic.Int32 // a State
	openUntil atomic.Int64 // Unix nanoseconds; meaningful while open
	noted     atomic.Bool  // there are changes to deliver
	era       atomic.Int64 // the number of changes of state

	elsewhere atomic.Pointer[elsewhere] // what the fleet knows; nil: closed
	opened    atomic.Bool               // here, and the fleet was not told
	row       row                       // the present one; under gobreaker's lock

	mu      sync.Mutex
	changes []Change
	probes  []*probe // let out while half-open, and not back yet
}

// Change is one change of a circuit's state.
type Change struct {
	From, To State
}

// probe is a call that a half-open circuit let out. Its place is given back
// once, by itself or by who finds it overdue.
type probe struct {
	since time.Time
	done  func(error)
}

// Permit is the permission of one attempt to go through one circuit. The zero
// Permit is of no circuit.
type Permit struct {
	breaker *Breaker
	probe   *probe // nil when the circuit was closed
	era     int64
	claim   string // on the fleet's probe; "": it is none
}

func New(cfg *Config) *Breaker {
	c := &Breaker{cfg: cfg}
	c.successes.step, c.successes.born = c.bucketPeriod(), time.Now()
	return c
}

// breaker returns gobreaker's part of the circuit.
func (c *Breaker) machine() *gobreaker.TwoStepCircuitBreaker[struct{}] {
	if cb := c.cb.Load(); cb != nil {
		return cb
	}
	c.cb.CompareAndSwap(nil, gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		MaxRequests:  uint32(c.cfg.Probes),
		Interval:     c.cfg.Window,
		BucketPeriod: c.bucketPeriod(),
		// gobreaker opens up after its timeout, not at it.
		Timeout:       max(c.cfg.OpenFor-1, 1),
		ReadyToTrip:   func(n gobreaker.Counts) bool { return c.trips(int(n.TotalFailures), time.Now()) },
		IsExcluded:    func(err error) bool { return err == errNeutral },
		OnStateChange: func(_ string, from, to State) { c.note(from, to) },
	}))
	return c.cb.Load()
}

// DeadAfter is how long nothing but failures make a closed circuit open, however
// many successes its window still holds: of a server that died, a window of 30 s
// would know after 15. What is shorter is a blip that resends get over; refusing
// calls for OpenFor would make it longer.
const DeadAfter = 500 * time.Millisecond

// trips runs under gobreaker's lock, at each failure of a closed circuit.
func (c *Breaker) trips(failures int, now time.Time) bool {
	if n := c.successes.ever(); n != c.row.after {
		c.row = row{after: n}
	}
	if c.row.length == 0 {
		c.row.since = now
	}
	c.row.length++
	judged := c.successes.total(now) + failures
	if judged < c.cfg.MinCalls {
		return false
	}
	dead := c.row.length >= c.cfg.MinCalls && now.Sub(c.row.since) >= DeadAfter
	return dead || float64(failures) >= c.cfg.FailureRatio*float64(judged)
}

// row is failures without a success between them.
type row struct {
	after  uint32 // successes, see rolling.ever
	length int
	since  time.Time
}

// note runs under gobreaker's lock.
func (c *Breaker) note(from, to State) {
	if to == Open {
		c.openUntil.Store(time.Now().Add(c.cfg.OpenFor).UnixNano())
		c.opened.Store(true)
	}
	c.state.Store(int32(to))
	c.era.Add(1)
	c.successes.reset()
	c.row.length = 0
	c.mu.Lock()
	c.changes = append(c.changes, Change{from, to})
	c.probes = nil // those of the state before count for nothing now
	c.mu.Unlock()
	c.noted.Store(true)
}

// takeChanges returns what has changed since it was last asked.
func (c *Breaker) Changes() []Change {
	if !c.noted.Swap(false) {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	changes := c.changes
	c.changes = nil
	return changes
}

// enter takes a Permit of a closed circuit; it is false of any other.
//
// A closed circuit refuses nobody, so gobreaker is not asked: it gets to know of
// the attempt when its answer is judged. That is also right for an attempt that
// takes longer than the window: gobreaker counts an answer at the time of its
// request.
func (c *Breaker) Enter(s *Permit) bool {
	if c == nil {
		return true
	}
	era := c.era.Load()
	if !c.Closed() {
		return false
	}
	*s = Permit{breaker: c, era: era} // it may hold a probe, of an earlier attempt
	return true
}

// allow asks for a Permit. When it is refused it says when to come back.
func (c *Breaker) Allow(now time.Time) (Permit, time.Duration, bool) {
	if s := (Permit{}); c.Enter(&s) {
		return s, 0, true
	}
	done, err := c.machine().Allow()
	if errors.Is(err, gobreaker.ErrTooManyRequests) && c.reclaim(now) {
		done, err = c.machine().Allow()
	}
	if err != nil {
		return Permit{}, c.retryAfter(now), false
	}
	s := Permit{breaker: c, era: c.era.Load()}
	if c.Closed() { // by a probe that came back just now
		done(errNeutral)
		return s, 0, true
	}
	s.probe = &probe{since: now, done: done}
	c.mu.Lock()
	c.probes = append(c.probes, s.probe)
	c.mu.Unlock()
	return s, 0, true
}

// report tells the circuit what came of the attempt, which ended now. A Permit
// reports once; later reports do nothing, and neither does one of before a
// change of state.
func (s *Permit) Report(v Verdict, now time.Time) {
	c := s.breaker
	if c == nil {
		return
	}
	s.breaker = nil
	if s.probe != nil {
		if !c.forget(s.probe) && (v == Neutral || v == Failed) {
			// Its place was given to another, who speaks for what is wrong now.
			// But a success, however late, says that the server answers again: one
			// that takes long for every call would else be refused for ever.
			return
		}
		if v == Alive {
			v = Healthy
		}
		s.probe.done(v.err())
		return
	}
	if s.era != c.era.Load() {
		return
	}
	switch v {
	case Healthy:
		c.successes.add(now)
	case Failed:
		c.fail(s.era)
	}
}

// fail counts a failure of an attempt that a closed circuit let through in era.
func (c *Breaker) fail(era int64) {
	done, err := c.machine().Allow()
	switch {
	case err != nil: // it opened meanwhile
	case era != c.era.Load():
		done(errNeutral)
	default:
		done(errFailed)
	}
}

// counts returns what the window that ends now holds.
func (c *Breaker) Counts(now time.Time) (successes, failures int) {
	var n gobreaker.Counts
	if cb := c.cb.Load(); cb != nil {
		cb.State() // moves its window on, which Counts doesn't
		n = cb.Counts()
	}
	return c.successes.total(now) + int(n.TotalSuccesses), int(n.TotalFailures)
}

// now returns the state. An open circuit whose time has come is half-open.
func (c *Breaker) State() State {
	if cb := c.cb.Load(); cb != nil {
		return cb.State()
	}
	return Closed
}

// bucketPeriod is how far the rolling window moves in a step.
func (c *Breaker) bucketPeriod() time.Duration { return max(c.cfg.Window/steps, 1) }

// probeHolds is how long a probe keeps others out: a silent one no longer than
// one that Failed, or the server would be back for longer than OpenFor unseen.
func (c *Breaker) ProbeHolds() time.Duration { return min(c.cfg.OpenFor, c.cfg.ProbeTimeout) }

// reclaim gives the places of overdue probes back and reports whether there
// were any. gobreaker itself would wait for them for ever.
func (c *Breaker) reclaim(now time.Time) bool {
	var overdue []*probe
	c.mu.Lock()
	c.probes = slices.DeleteFunc(c.probes, func(p *probe) bool {
		late := now.Sub(p.since) >= c.ProbeHolds()
		if late {
			overdue = append(overdue, p)
		}
		return late
	})
	c.mu.Unlock()
	for _, p := range overdue {
		p.done(errNeutral)
	}
	return len(overdue) > 0
}

// forget takes p off the list. It is false when p was reclaimed. After a
// change of state the list is empty and gobreaker ignores late reports itself.
func (c *Breaker) forget(p *probe) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.Index(c.probes, p)
	if i < 0 {
		return false
	}
	c.probes = slices.Delete(c.probes, i, i+1)
	return true
}

// retryAfter is how long to wait until the circuit may let a call through.
func (c *Breaker) retryAfter(now time.Time) time.Duration {
	if State(c.state.Load()) == Open {
		return max(c.untilProbe(now), time.Millisecond)
	}
	// Half-open, and all probes are out: their answers decide, soon.
	return min(time.Second, c.cfg.ProbeTimeout)
}

// closed reports whether the circuit lets everything through.
func (c *Breaker) Closed() bool {
	return c == nil || State(c.state.Load()) == Closed
}

// standing is the state as calls meet it: where processes share circuits, the
// fleet's.
func (c *Breaker) Standing(now time.Time) State {
	switch e := c.elsewhere.Load(); {
	case e == nil:
		return c.State()
	case now.Before(e.until):
		return Open
	}
	return HalfOpen
}

// refusesUntil returns how long from now the circuit certainly refuses calls.
func (c *Breaker) RefusesUntil(now time.Time) time.Duration {
	if c == nil {
		return 0
	}
	wait := c.refusesElsewhere(now)
	if State(c.state.Load()) == Open {
		wait = max(wait, c.untilProbe(now))
	}
	return wait
}

// untilProbe is how long an open circuit goes on refusing. gobreaker counts by
// the monotonic clock: when the wall clock is set back, it is no longer for that.
func (c *Breaker) untilProbe(now time.Time) time.Duration {
	return min(time.Unix(0, c.openUntil.Load()).Sub(now), c.cfg.OpenFor)
}
