// This file holds a limit of calls in flight, of a bucket or of a host: refusals
// lower it, and it is raised carefully afterwards.

package pace

import "time"

// slots is a limit of calls in flight as far as refusals show it. Its owner counts
// the calls, and guards it by the owner's mutex.
type slots struct {
	epoch *epoch     // of the calls that are sent now; by enter
	limit *slotLimit // nil: no refusal was met; by lower, and by the host
}

// slotLimit is a limit that refusals showed; by lower and raise.
type slotLimit struct {
	most    float64 // how many calls may be in flight
	proven  int32   // how many the server is known to accept
	step    float64 // by how much most grows beyond proven
	movedAt time.Time
}

// epoch is a time whose calls are judged together. A refusal shows that too many
// calls were in flight when its own was sent; by its arrival most of them may have
// ended. An epoch is over with the first call that is sent when a refusal of it is
// known, or after epochLasts.
type epoch struct {
	began     time.Time
	peak      int32 // the most calls in flight, without those refused; by enter and uncount
	refused   bool  // some calls of it were; by uncount
	explained bool  // the limit that was known before explains that; by leave
}

const (
	// epochLasts bounds how long before a call's sending the peak can be by which
	// its refusal is judged.
	epochLasts = time.Second

	// Up to the proven number, a limit grows by regrow slots a round trip; beyond it
	// once in growEvery, by steps that double: back at work within seconds when
	// others let go of theirs, and seldom refused when they don't.
	shrinkTo  = 0.95
	regrow    = 4
	growEvery = time.Second
)

// slotEnd is what the end of a call shows about a limit of calls in flight.
type slotEnd uint8

const (
	slotUnused    slotEnd = iota // it was not sent, or not answered
	slotUsed                     // it was answered
	slotRefused                  // it was one too many
	slotExplained                // it was one too many by its bucket's own limit
)

// slotEnd returns what the answer shows about limits of calls in flight.
func (s *Seen) slotEnd() slotEnd {
	switch {
	case s.Slots:
		return slotRefused
	case s.Answered:
		return slotUsed
	}
	return slotUnused
}

// full reports whether no slot is free.
func (s *slots) full(inFlight int) bool { return s.limit != nil && inFlight >= int(s.limit.most) }

// enter returns the epoch of a call that is sent; inFlight counts it.
func (s *slots) enter(now time.Time, inFlight int) *epoch {
	switch e := s.epoch; {
	case e != nil && inFlight == 1: // no other call refers to it
		*e = epoch{began: now}
	case e == nil || e.isOver(now):
		s.epoch = &epoch{began: now}
	}
	s.epoch.peak = max(s.epoch.peak, int32(inFlight))
	return s.epoch
}

func (e *epoch) isOver(now time.Time) bool {
	since := now.Sub(e.began)
	return e.refused || since < 0 || since >= epochLasts
}

// leave records the end of a bucket's call that was sent in e; inFlight counts it.
// It returns what the end shows about the host's limit.
func (s *slots) leave(now time.Time, inFlight int, e *epoch, end slotEnd) slotEnd {
	switch end {
	case slotUsed:
		s.raise(now, inFlight)
	case slotRefused:
		first := !e.refused
		s.uncount(e)
		if first {
			e.explained = s.limit != nil && e.peak >= s.limit.proven
		}
		s.lower(now, e)
		if e.explained {
			return slotExplained
		}
	}
	return end
}

// uncount takes a refused call of e out of the peaks: the server did not count it.
func (s *slots) uncount(e *epoch) {
	e.refused = true
	e.peak--
	if e != s.epoch { // all of which the call was in flight
		s.epoch.peak--
	}
}

// lower makes the limit less than what was in flight when the server refused calls
// of e.
func (s *slots) lower(now time.Time, e *epoch) {
	if s.limit == nil {
		s.limit = &slotLimit{most: float64(e.peak), proven: e.peak}
	}
	l := s.limit
	l.most = max(min(l.most, shrinkTo*float64(e.peak)), 1)
	l.proven = min(l.proven, e.peak)
	l.step, l.movedAt = 1, now
}

// raise makes the limit more if it was reached when a call was accepted; inFlight
// counts the call.
func (s *slots) raise(now time.Time, inFlight int) {
	switch l := s.limit; {
	case l == nil || float64(inFlight) < l.most-1:
	case l.most < float64(l.proven):
		l.most = min(l.most+regrow/l.most, float64(l.proven))
	case now.Sub(l.movedAt) >= growEvery:
		l.proven = int32(l.most)
		l.most += l.step
		l.step, l.movedAt = 2*l.step, now
	}
}
