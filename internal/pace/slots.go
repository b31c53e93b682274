// This file holds a host's limit of calls in flight: it is lowered by refusals
// and raised carefully afterwards.

package pace

import "time"

// slots counts the calls in flight of a host, and knows its limit as far as
// refusals show it. host.mu guards it.
type slots struct {
	inFlight int     // by take and release
	limit    float64 // how many may be in flight; 0: no refusal was met; by release
	refused  int     // the lowest number in flight that was refused lately; by refuse
	step     float64 // by how much limit grows beyond refused; by release
	grownAt  time.Time
	tides    tides
}

// Up to the number that was refused last, limit grows by regrow slots a round
// trip; beyond it once in growEvery, by steps that double: back at work within
// seconds when others let go of theirs, and seldom refused when they don't.
const (
	shrinkTo  = 0.95
	regrow    = 4
	growEvery = time.Second
)

// slotEnd is what the end of a call shows about the host's limit of calls in
// flight.
type slotEnd uint8

const (
	slotUnused  slotEnd = iota // it was not sent, or not answered
	slotUsed                   // it was answered
	slotRefused                // it was one too many
)

// full reports whether no slot is free. maxInFlight is the user's limit; 0: none.
func (s *slots) full(maxInFlight int) bool {
	return maxInFlight > 0 && s.inFlight >= maxInFlight || s.limit > 0 && s.inFlight >= int(s.limit)
}

func (s *slots) take(now time.Time) {
	s.inFlight++
	s.tides.rise(now, s.inFlight)
}

func (s *slots) release(now time.Time, end slotEnd) {
	s.tides.turn(now, s.inFlight)
	switch {
	case end == slotRefused:
		s.refuse(now)
	case end == slotUsed && s.limit > 0 && float64(s.inFlight) >= s.limit-1:
		s.grow(now)
	}
	s.inFlight--
}

func (s *slots) refuse(now time.Time) {
	level := s.tides.refuse(s.inFlight)
	limit := float64(level)
	if s.limit > 0 {
		limit = s.limit
	}
	s.limit = max(min(limit, shrinkTo*float64(level)), 1)
	if s.refused == 0 || level < s.refused || now.Sub(s.grownAt) > growEvery {
		s.refused = level
	}
	s.step, s.grownAt = 1, now
}

func (s *slots) grow(now time.Time) {
	switch {
	case s.limit < float64(s.refused-1):
		s.limit += regrow / s.limit
	case now.Sub(s.grownAt) >= growEvery:
		s.limit += s.step
		s.step, s.grownAt = 2*s.step, now
	}
}
