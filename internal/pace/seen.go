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
	Exhausted        // the next window: by the server's headers, this one has no place left
	Reserved         // the next window: this one has only the places left that the user leaves to others
	Leased           // places that other processes hold
	Answers          // answers of calls in flight, or of the store, which may show a free place
	Turn             // calls that go first, or the distance from the last one
	Slot             // a call to end: too many are in flight, of the bucket or of the host
	Ceiling          // the user's own limit
	Ask              // nothing: the call itself is to make a [Ticket.StoreRequest]

	reasons = iota
)

// NamesAWait reports whether r is a limit of the server, or the user's share of one,
// and not the order in which calls go.
func (r Reason) NamesAWait() bool { return r >= Held && r <= Leased }

// causes are how long the first of a line has waited for what; all others wait for
// the same. bucket.mu guards them. They are nil until a call waits, for most buckets
// never have a line.
type causes struct {
	now   Reason // what it waits for, or waited for last; NoReason: nobody waits; by blockedFor
	since time.Time
	spent [reasons]time.Duration // until since
}

// why returns what the first of the line waits for; NoReason if nobody does.
func (c *causes) why() Reason {
	if c == nil {
		return NoReason
	}
	return c.now
}

// until returns how long was waited for what until now.
func (c *causes) until(now time.Time) (spent [reasons]time.Duration) {
	if c == nil {
		return spent
	}
	if spent = c.spent; c.now != NoReason {
		spent[c.now] += max(now.Sub(c.since), 0)
	}
	return spent
}
