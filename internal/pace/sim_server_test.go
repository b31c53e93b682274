// This file simulates a server that counts calls in fixed windows, as Okta does.

package pace_test

import (
	"math/rand/v2"
	"time"

	"github.com/oktaretry/oktaretry/internal/pace"
)

// server counts calls in fixed windows.
type server struct {
	limit   func(at time.Time) int
	length  time.Duration // of a window
	offset  time.Duration // of the windows' beginnings
	ahead   time.Duration // its clock
	roundUp bool          // its Reset; else the fraction is cut off
	opens   bool          // windows open with their first call, whatever offset is
	slots   int           // calls in flight at once; 0: any number
	takes   func(*rand.Rand) time.Duration

	window   time.Time // the present one's beginning
	used     int
	inFlight int
	accepted map[time.Time]int // by window
}

// newServer returns a server with one limit that answers within 20 to 80 ms.
func newServer(limit int, length, offset time.Duration) *server {
	return &server{
		limit: func(time.Time) int { return limit }, length: length, offset: offset, accepted: map[time.Time]int{},
		takes: func(r *rand.Rand) time.Duration {
			return 20*time.Millisecond + time.Duration(r.Int64N(int64(60*time.Millisecond)))
		},
	}
}

// begins returns when the window around a time began.
func (s *server) begins(at time.Time) time.Time {
	if s.opens {
		if at.Before(s.window.Add(s.length)) {
			return s.window
		}
		return at
	}
	into := at.Add(-s.offset).Sub(epoch) % s.length
	if into < 0 {
		into += s.length
	}
	return at.Add(-into)
}

// take counts a call and reports whether it is accepted.
func (s *server) take(at time.Time) bool {
	if w := s.begins(at); !w.Equal(s.window) {
		s.window, s.used = w, 0
	}
	if s.used >= s.limit(at) {
		return false
	}
	s.used++
	return true
}

// answer answers one of the simulated calls.
func (s *server) answer(at time.Time) (seen pace.Seen, date int64) {
	date = at.Add(s.ahead).Unix()
	if s.slots > 0 && s.inFlight > s.slots {
		return slotRefusal, date
	}
	ok := s.take(at)
	end := s.window.Add(s.length).Add(s.ahead)
	reset := end.Unix()
	if s.roundUp && end.Nanosecond() > 0 {
		reset++
	}
	limit := s.limit(at)
	if ok {
		s.accepted[s.window]++
	}
	return pace.Seen{Limit: limit, Remaining: max(limit-s.used, 0), Reset: reset, Refused: !ok, Accepted: ok, Answered: true, Marked: true}, date
}
