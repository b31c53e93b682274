// This file holds what goes in and out of the governor by value: what an answer
// reported, and what a call waits for.

package pace

import "time"

// Seen is what an answer reported about limits.
type Seen struct {
	Limit, Remaining int       // -1: not reported
	Reset            int64     // Unix seconds on the server's clock; 0: not reported
	Answered         bool      // there was an answer
	Accepted         bool      // it shows that the call passed the server's limits
	Marked           bool      // it is the server's own, not a proxy's
	Refused          bool      // a 429 that may be the bucket's
	Hold             time.Time // when the refusal lets calls be sent again; zero: it does not name a time
	Slots            bool      // the refusal came from a limit of calls in flight
}

// hasLimits reports whether the answer carried the headers of a limit.
func (s *Seen) hasLimits() bool { return s.Limit > 0 && s.Remaining >= 0 && s.Reset > 0 }

// Reason is what a call waits for.
type Reason uint8

const (
	NoReason  Reason = iota
	Held             // the time that a refusal of the bucket named
	Exhausted        // the next window: this one has no place left, as far as is known
	Answers          // answers of calls in flight, which may show a free place
	Turn             // calls that go first
	Slot             // a call to end: too many are in flight, of the bucket or of the host
	Ceiling          // the user's own limit
	Ask              // nothing: the call itself is to make a [Ticket.StoreRequest]
)
