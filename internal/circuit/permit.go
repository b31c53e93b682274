// This file holds an attempt's way through a circuit: it enters with a permit
// and reports with it what came of the attempt.

package circuit

import (
	"errors"
	"net/url"
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
	// EndpointFailed is for a host's circuit: a failure that speaks of one endpoint,
	// and of the host only along with those of others.
	EndpointFailed

	deferred // an EndpointFailed that leaves it to another endpoint's probe to decide
)

func (v Verdict) err() error {
	switch v {
	case Healthy:
		return nil
	case Failed, EndpointFailed:
		return errFailed
	}
	return errNeutral
}

// IsFailure reports whether the verdict is that of a failure.
func (v Verdict) IsFailure() bool { return v == Failed || v == EndpointFailed }

// Permit is the permission of one attempt to pass one circuit. The zero Permit is
// of no circuit. It is for one goroutine.
type Permit struct {
	breaker *Breaker // nil once reported
	of      Party    // whose attempt it is
	probe   *probe   // nil when the circuit was closed
	trial   *trials  // that the attempt is one of; nil: none
	era     int64
	claim   string    // on the fleet's probe; "": none
	since   time.Time // when it was claimed
}

// Party is whose an attempt is, for circuits that are open for some only: a host's for
// an endpoint, an endpoint's for requests, which are one where path and query are. The
// zero Party is nobody that is known.
type Party struct {
	endpoint *Breaker
	url      *url.URL
}

// Of returns whose an attempt is. The URL must not change.
func Of(endpoint *Breaker, u *url.URL) Party { return Party{endpoint, u} }

// trials are attempts of a party of which nothing is known that are let through a
// circuit which is open for others. The circuit's mu guards them.
type trials struct {
	out int // not answered yet
}

// probe is a call that a half-open circuit let out. Its place is freed once: by
// its report, or when it is overdue.
type probe struct {
	since time.Time
	done  func(error)
}

// Active reports whether the permit was given and not reported yet.
func (p *Permit) Active() bool { return p.breaker != nil }

// Probing reports whether the attempt is a probe, or a trial of a party of which nothing
// is known while the circuit is open for others.
func (p *Permit) Probing() bool { return p.probe != nil || p.trial != nil }

// Enter gives a permit of a closed circuit; it is false of any other.
//
// A closed circuit refuses nobody, so gobreaker hears of the attempt when its
// answer is judged. That is also right for an attempt that takes longer than the
// window: gobreaker counts an answer at the time of its request.
func (b *Breaker) Enter(p *Permit, of Party) bool {
	if b == nil {
		return true
	}
	era := b.era.Load()
	if !b.Closed() {
		return false
	}
	*p = Permit{breaker: b, of: of, era: era} // it may hold a probe of an earlier attempt
	return true
}

// Allow asks for a permit of this process's own circuit. Where it is refused,
// retryAfter is when to come back.
func (b *Breaker) Allow(of Party, now time.Time) (p Permit, retryAfter time.Duration, ok bool) {
	if b.Enter(&p, of) {
		return p, 0, true
	}
	p = Permit{breaker: b, of: of, era: b.era.Load()}
	if b.passRequest(&p) {
		return p, 0, true // first, for its success says nothing of those that are refused
	}
	if wait := b.untilRetrial(of, now); wait > 0 {
		return Permit{}, wait, false
	}
	done, err := b.gobreaker().Allow()
	if errors.Is(err, gobreaker.ErrTooManyRequests) && b.reclaim(now) {
		done, err = b.gobreaker().Allow()
	}
	p.era = b.era.Load()
	if err != nil {
		if b.pass(&p, now) {
			return p, 0, true
		}
		return Permit{}, b.retryAfter(now), false
	}
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

// Because records why the attempt failed, before that is reported.
func (p *Permit) Because(why Cause) {
	if b := p.breaker; b != nil {
		b.mu.Lock()
		b.last = why
		b.mu.Unlock()
	}
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
	v = p.count(b, v, now)
	if b.fleet == nil {
		return nil
	}
	return b.fleetReport(p, v, now)
}

// count counts what came of the attempt and returns what it means to the fleet.
func (p *Permit) count(b *Breaker, v Verdict, now time.Time) Verdict {
	b.hear(p, v)
	b.hearRequest(p, v)
	probe := p.probe
	if probe != nil && !b.forget(probe) && (v == Neutral || v.IsFailure()) {
		// Another probe has its place and decides. But a success, however late,
		// shows that the server answers again: one that takes long for each call
		// would else be refused for ever.
		return v
	}
	if v == EndpointFailed && (probe != nil || p.claim != "") && b.deferTo(p.of.endpoint, now) {
		v = deferred
	}
	switch {
	case probe != nil && v == Alive:
		probe.done(nil)
	case probe != nil:
		probe.done(v.err())
	case p.era != b.era.Load():
	case v == Healthy:
		b.successes.add(now)
		b.requestSucceeded(p.of.url, now)
	case v.IsFailure() && !b.Closed(): // heard
	case v == EndpointFailed:
		b.blameOn(p.of.endpoint, now)
		b.fail(p.era)
	case v == Failed:
		if b.id.OfHost() {
			b.blameOn(nil, now)
		} else {
			b.requestFailed(p.of.url, now)
		}
		if b.fleet != nil {
			b.failedAgain(now)
		}
		b.fail(p.era)
	}
	return v
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
