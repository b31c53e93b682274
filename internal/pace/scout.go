// This file holds how a window of which nothing is known is found out: a few
// calls are sent, the scouts, and the others wait for their answers.

package pace

import "time"

// scouts are the calls sent into a window of which nothing is known. bucket.mu
// guards them.
type scouts struct {
	out     int       // in flight; by enter, leave and window.begin
	overdue time.Time // when their answers are waited for no longer; by enter
}

const (
	// firstFew is how many scouts are sent at once while a limit is unknown.
	firstFew = 3
	// patience is how long a scout's answer is waited for before another is sent.
	patience = time.Second
)

// room returns why no more scouts may be sent, if so, and how long to wait for
// their answers. most is how many may be in flight.
func (s *scouts) room(now time.Time, most int) (why Reason, wait time.Duration) {
	if s.out < most || !now.Before(s.overdue) {
		return NoReason, 0
	}
	return Answers, s.overdue.Sub(now)
}

func (s *scouts) enter(now time.Time) {
	s.out++
	s.overdue = now.Add(patience)
}

func (s *scouts) leave() { s.out = max(s.out-1, 0) }
