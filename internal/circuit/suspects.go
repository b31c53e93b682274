// This file holds for whom a host's circuit is open that opened by what endpoints
// answered: for those that failed. The calls of another are let through until it fails,
// too: where few failed, of any other; where many did, of one that was well within the
// window. A circuit that opened for two bad searches which are reloaded all the time
// would else refuse the reads beside them for as long as they are bad, for those are
// all its probes.

package circuit

import "time"

// suspects are the endpoints on whose word a host's circuit is not closed. Breaker.mu
// guards them.
type suspects struct {
	trials
	lone   bool                    // one endpoint is all that was ever called
	many   bool                    // of them failed before it opened
	credit map[*Breaker]int        // how many failures in a row of an endpoint are let pass; 0: it is refused
	failed int                     // endpoints on trial that failed, since the last that was well
	given  map[*Breaker]*offenders // to endpoints whose own circuit was closed
}

// suspect has the circuit that opens now be open for the endpoints that failed. It runs
// under gobreaker's lock.
func (b *Breaker) suspect(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := &suspects{
		lone: b.endpoints.Load() == 1, many: len(b.shares) >= b.cfg.several(), credit: make(map[*Breaker]int, len(b.shares)),
		given: make(map[*Breaker]*offenders),
	}
	for endpoint := range b.shares {
		s.credit[endpoint] = 0
		if endpoint.Closed() { // it may have failed too seldom to know by itself which of its requests do
			if o := endpoint.blamed(now); o != nil {
				endpoint.offend(o)
				s.given[endpoint] = o
			}
		}
	}
	b.suspects.Store(s)
}

// acquit forgets whom the circuit is open for. The caller holds mu.
func (b *Breaker) acquit() {
	s := b.suspects.Swap(nil)
	if s == nil {
		return
	}
	for endpoint, o := range s.given {
		endpoint.requests.Load().offenders.CompareAndSwap(o, nil) // unless its own circuit opened meanwhile
	}
}

// lone reports whether the circuit is not closed on the word of the only endpoint
// that was ever called.
func (b *Breaker) lone() bool {
	s := b.suspects.Load()
	return s != nil && s.lone
}

// spares reports whether a circuit that is not closed is so for others than a party.
func (b *Breaker) spares(of Party, now time.Time) bool {
	s := b.suspects.Load()
	if s == nil || of.endpoint == nil {
		return b.sparesRequest(of.url)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.spared(s, of, now)
}

// spared is spares of what is known. The caller holds mu.
func (b *Breaker) spared(s *suspects, of Party, now time.Time) bool {
	if credit, known := s.credit[of.endpoint]; known {
		return credit > 0 || of.endpoint.sparesRequest(of.url)
	}
	return s.out < b.cfg.several() && (!s.many || of.endpoint.successes.total(now) > 0)
}

// pass lets a call through if its endpoint is spared, and reports whether it is. The
// permit's report ends the trial.
func (b *Breaker) pass(p *Permit, now time.Time) bool {
	s := b.suspects.Load()
	endpoint := p.of.endpoint
	if s == nil || endpoint == nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.spared(s, p.of, now) {
		return false
	}
	if _, known := s.credit[endpoint]; !known {
		s.out++
		p.trial = &s.trials
	}
	return true
}

// hear takes what came of an attempt while the circuit is not closed, or was not when
// the attempt began.
func (b *Breaker) hear(p *Permit, v Verdict) {
	s, endpoint := b.suspects.Load(), p.of.endpoint
	if s == nil && p.trial == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if p.trial != nil {
		p.trial.out--
		p.trial = nil
	}
	if s == nil || endpoint == nil {
		return
	}
	credit, known := s.credit[endpoint]
	switch {
	case v == Failed:
		b.acquit() // of the host itself
	case v == EndpointFailed && known:
		s.credit[endpoint] = max(credit-1, 0)
	case v == EndpointFailed:
		s.credit[endpoint] = 0
		if s.failed++; s.failed >= b.cfg.several() {
			b.acquit() // all that is called fails
		}
	case v == Healthy && (!known || credit > 0):
		s.credit[endpoint], s.failed = b.cfg.several(), 0
	}
}
