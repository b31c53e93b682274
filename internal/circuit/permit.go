// This file holds an attempt's way through a circuit: it enters with a permit
// and reports with it what came of the attempt.

package circuit

import (
	"errors"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/oktaretry/oktaretry/shared"
)

// Verdict is what an answer means to a circuit.
type Verdict uint8

const (
	Neutral Verdict = iota // neither success nor failure: a 429, the caller's own cancellation
	Alive                  // a 4xx: neutral, but a probe's shows that the server is back
	Healthy
	Failed
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

// Permit is the permission of one attempt to pass one circuit. The zero Permit is
// of no circuit. It is for one goroutine.
type Permit struct {
	breaker *Breaker // nil once reported
	probe   *probe   // nil when the circuit was closed
	era     int64
	claim   string // on the fleet's probe; "": none
}

// probe is a call that a half-open circuit let out. Its place is freed once: by
// its report, or when it is overdue.
type probe struct {
	since time.Time
	done  func(error)
}

// Active reports whether the permit was given and not reported yet.
func (p *Permit) Active() bool { return p.breaker != nil }

// Probing reports whether the attempt is a probe.
func (p *Permit) Probing() bool { return p.probe != nil }

// Enter gives a permit of a closed circuit; it is false of any other.
//
// A closed circuit refuses nobody, so gobreaker hears of the attempt when its
// answer is judged. That is also right for an attempt that takes longer than the
// window: gobreaker counts an answer at the time of its request.
func (b *Breaker) Enter(p *Permit) bool {
	if b == nil {
		return true
	}
	era := b.era.Load()
	if !b.Closed() {
		return false
	}
	*p = Permit{breaker: b, era: era} // it may hold a probe of an earlier attempt
	return true
}

// Allow asks for a permit of this process's own circuit. Where it is refused,
// retryAfter is when to come back.
func (b *Breaker) Allow(now time.Time) (p Permit, retryAfter time.Duration, ok bool) {
	if b.Enter(&p) {
		return p, 0, true
	}
	done, err := b.gobreaker().Allow()
	if errors.Is(err, gobreaker.ErrTooManyRequests) && b.reclaim(now) {
		done, err = b.gobreaker().Allow()
	}
	if err != nil {
		return Permit{}, b.retryAfter(now), false
	}
	p = Permit{breaker: b, era: b.era.Load()}
	if b.Closed() { // by a probe that came back just now
		done(errNeutral)
		return p, 0, true
	}
	p.probe = &probe{since: now, done: done}
	b.mu.Lock()
	b.probes = append(b.probes, p.probe)
	b.mu.Unlock()
	return p, 0, true
}

// Report records what came of the attempt, which ended now. It returns what the
// store must be informed of; nil: nothing. A permit counts once, and not after a
// change of state: later reports do nothing.
func (p *Permit) Report(v Verdict, now time.Time) *shared.Report {
	b := p.breaker
	if b == nil {
		return nil
	}
	p.breaker = nil
	p.count(b, v, now)
	if b.fleet == nil {
		return nil
	}
	return b.fleetReport(p.claim, v, now)
}

func (p *Permit) count(b *Breaker, v Verdict, now time.Time) {
	if p.probe != nil {
		if !b.forget(p.probe) && (v == Neutral || v == Failed) {
			// Another probe has its place and decides. But a success, however late,
			// shows that the server answers again: one that takes long for each
			// call would else be refused for ever.
			return
		}
		if v == Alive {
			v = Healthy
		}
		p.probe.done(v.err())
		return
	}
	if p.era != b.era.Load() {
		return
	}
	switch v {
	case Healthy:
		b.successes.add(now)
	case Failed:
		b.fail(p.era)
	}
}

// fail counts a failure of an attempt that a closed circuit let through in era.
func (b *Breaker) fail(era int64) {
	done, err := b.gobreaker().Allow()
	switch {
	case err != nil: // it opened meanwhile
	case era != b.era.Load():
		done(errNeutral)
	default:
		done(errFailed)
	}
}
