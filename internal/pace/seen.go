// This file holds what goes in and out of the governor by value: what an answer
// reported, and what a call waits for.

package pace

import "time"

// Seen is what an answer reported about limits.
type Seen struct {
	Limit, Remaining int       // -1: not reported
	Reset            int64     // Unix seconds on the server's clock; 0: not reported
	Refused          bool      // a 429
	Hold             time.Time // the refusal was the bucket's: no call is sent before; zero: none
	Slots            bool      // the refusal came from the host's limit of calls in flight
	Answered         bool      // there was an answer
}

// Reason is what a call waits for.
type Reason uint8

const (
	NoReason  Reason = iota
	Held             // the time that a refusal of the bucket named
	Exhausted        // the next window: this one has no place left, as far as is known
	Answers          // answers of calls in flight, which may show a free place
	Turn             // calls that go first
	Slot             // a call of the host to end: too many are in flight
	Ceiling          // the user's own limit
	Ask              // nothing: the call itself is to make a [Ticket.StoreRequest]
)
