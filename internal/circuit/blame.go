// This file holds whose failures those of a host are. An answer speaks of its
// endpoint first: a bad search can fail for ever while all else is well. So what
// endpoints answer opens their host's circuit only when several of them fail and
// none succeeds, and a probe of one endpoint does not decide alone that the
// circuit stays open. Where one endpoint is all that was ever called, it opens the
// circuit, too. Either way it is open for those that failed: see suspects.go.

package circuit

import "time"

const (
	// restOfMinCalls is the part of MinCalls that must have failed at other
	// endpoints than the worst: a single blip elsewhere makes one bad endpoint no
	// outage. The worst is refused by its own circuit by then.
	restOfMinCalls = 4
	// overdue is how many successes must be missing for a streak of answers to show
	// that none succeeds. Where they come seldom, a bad endpoint that is called
	// often fails many times between two of them.
	overdue = 3
)

// share is what of a circuit's failures is one party's, or a host's own.
type share struct {
	inWindow window
	inStreak int    // since the circuit's last success
	after    uint32 // the circuit's successes before that streak, see window.ever
}

// blameOn counts a failure that speaks of an endpoint, nil: of the host itself.
func (b *Breaker) blameOn(endpoint *Breaker, now time.Time) {
	after := b.successes.ever()
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.shares[endpoint]
	if s == nil {
		s = new(share)
		s.inWindow.step, s.inWindow.born = b.cfg.bucketPeriod(), now
		if b.shares == nil {
			b.shares = make(map[*Breaker]*share)
		}
		b.shares[endpoint] = s
	}
	s.count(after, now)
}

// count counts a failure.
func (s *share) count(after uint32, now time.Time) {
	s.inWindow.add(now)
	if s.after != after {
		s.inStreak, s.after = 0, after
	}
	s.inStreak++
}

// blame is what a host's failures are made of. Worst is the endpoint that has most
// of them.
type blame struct {
	own           int // in the window, that speak of the host itself
	window        int // in the window, that speak of endpoints
	worstInWindow int
	worstInStreak int
	well          int // successes in the window of endpoints that don't fail, at least
}

// blame returns what the host's failures are made of, and forgets endpoints without
// any. It runs under gobreaker's lock.
func (b *Breaker) blame(now time.Time) (by blame) {
	b.mu.Lock()
	defer b.mu.Unlock()
	failing := 0 // successes of endpoints that fail
	for endpoint, s := range b.shares {
		n := s.inWindow.total(now)
		switch {
		case n == 0:
			delete(b.shares, endpoint)
			continue
		case endpoint == nil:
			by.own = n
			continue
		}
		if successes := endpoint.successes.total(now); !endpoint.several && b.reaches(n, successes) && !endpoint.othersWell(now) {
			failing += successes
		}
		by.window += n
		by.worstInWindow = max(by.worstInWindow, n)
		if s.after == b.streak.after {
			by.worstInStreak = max(by.worstInStreak, s.inStreak)
		}
	}
	by.well = b.successes.total(now) - failing
	return by
}

// endpointsTrip decides whether what endpoints answered opens their host's circuit:
// all that were called in the window fail, or none has succeeded for too long. It
// runs under gobreaker's lock.
func (b *Breaker) endpointsTrip(by blame, successes int, now time.Time) bool {
	failures, least := by.own+by.window, b.cfg.several()
	if by.well <= 0 && failures+successes >= b.cfg.MinCalls && b.reaches(failures, successes) &&
		(failures-by.worstInWindow >= least || b.alone(now)) {
		return true
	}
	lasts := now.Sub(b.streak.since)
	return b.streak.length >= b.cfg.MinCalls && lasts >= StreakOpensAfter && b.successes.due(lasts, successes) >= overdue &&
		(b.streak.length-by.worstInStreak >= least || b.alone(now))
}

// OthersWell reports whether a host's circuit knows of successes in its window of other
// endpoints than one.
func (b *Breaker) OthersWell(endpoint *Breaker, now time.Time) bool {
	return b != nil && b.successes.total(now) > endpoint.successes.total(now)
}

// Serve counts an endpoint that is called for the first time.
func (b *Breaker) Serve(endpoint *Breaker) {
	switch {
	case b == nil:
	case endpoint.several:
		b.endpoints.Add(2)
	default:
		b.endpoints.Add(1)
	}
}

// alone reports whether all failures are of the one endpoint that was ever called, and
// not of requests beside which others are well. It runs under gobreaker's lock.
func (b *Breaker) alone(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.endpoints.Load() != 1 || len(b.shares) != 1 {
		return false
	}
	for endpoint := range b.shares {
		if endpoint.othersWell(now) {
			return false
		}
	}
	return true
}

// deferTo keeps a host's circuit half-open after the failed probe of an endpoint,
// for a probe of another one to decide, and reports whether it did: not where this
// is the other one. The endpoint itself is refused as if the circuit were open.
func (b *Breaker) deferTo(endpoint *Breaker, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failed != nil && b.failed != endpoint && now.Before(b.failedUntil) {
		return false
	}
	b.failed, b.failedUntil = endpoint, now.Add(b.cfg.OpenFor)
	if b.fleet != nil {
		b.failedUntil = b.failedUntil.Add(b.cfg.OpenFor) // for a while the probe is another process's
	}
	return true
}

// untilRetrial returns how long a party is refused of whose endpoint a probe failed while
// another's may decide; 0 or less: not.
func (b *Breaker) untilRetrial(of Party, now time.Time) time.Duration {
	if b == nil || of.endpoint == nil || of.endpoint.sparesRequest(of.url) {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failed != of.endpoint {
		return 0
	}
	return min(b.failedUntil.Sub(now), 2*b.cfg.OpenFor)
}
