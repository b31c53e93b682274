// This file holds a Transport's present state, for health pages.

package oktaretry

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/oktaretry/oktaretry/internal/circuit"
)

// Snapshot is the state of a Transport at one moment. It holds no credential, no
// path, and nothing of an answer's body: package debug shows all of it.
type Snapshot struct {
	At       time.Time      // when it was taken
	Buckets  []BucketState  // by host, name and credential
	Circuits []CircuitState // by host, method and template; a host's own circuit first
	Budgets  []BudgetState  // by host; none if the budget is off
	Store    StoreState     // of [WithShared]
	// GivenUp are the last 100 calls that came to nothing, the latest first: see
	// [GivenUp].
	GivenUp []GivenUp
}

// BucketState is the state of a rate-limit bucket, of one host and credential.
type BucketState struct {
	Host string
	// Bucket is the bucket's name. Where Okta turns out to count some of its calls
	// apart, by method, template or the names of query keys, it is split into parts
	// whose names end in the limit: "/api/v1/users (limit 50)".
	Bucket string
	// Credential tells the credentials of a bucket apart: 8 hexadecimal digits of a
	// hash whose key is random and never leaves the process, so it is another one
	// after a restart. "" for calls without an Authorization header.
	Credential string
	// Limit and Remaining are those of Okta's last answer; -1 if unknown.
	Limit, Remaining int
	// Reset is when the window ends, on the local clock; zero if unknown.
	Reset time.Time
	// HeldUntil is when calls may be sent again after a 429; zero if they may now.
	HeldUntil time.Time
	InFlight  int // calls sent and not answered
	Waiting   int // calls waiting for their turn
	// Share is this Transport's part of the bucket's recent use, from 0 to 1, as
	// estimated from Okta's answers; the rest is used by others. 1 while nothing is
	// known.
	Share float64
}

// CircuitState is the state of a circuit breaker.
type CircuitState struct {
	CircuitID
	State      string        // "closed", "open" or "half-open"
	Successes  int           // in the rolling window
	Failures   int           // in the rolling window
	RetryAfter time.Duration // until an open circuit sends a probe; else 0

	// What opened a circuit that is not closed, and when, as in a
	// [CircuitOpenError]; zero for a closed one. Class is ClassNetwork and Code and
	// Failure are empty where another process opened it.
	Class   Class
	Code    string
	Failure string
	Since   time.Time
}

// BudgetState is the state of the retry budget of one host.
type BudgetState struct {
	Host      string
	Remaining float64 // resends that may be sent now; below 1, none
}

// StoreState is what a Transport knows of the store that it shares.
type StoreState struct {
	Shared bool // false without WithShared: all else is zero
	// Lost is set from a failed request on until the store answers again; calls
	// proceed by what their process knows.
	Lost  bool
	Since time.Time // when it was lost last; zero: never
	// The last request that failed, also if the store is back since: what was asked
	// ("lease", "circuits", "probe", "report"), and the kind of its error ("timeout",
	// "absurd", "panic", "error").
	LastOperation, LastError string
	LastErrorAt              time.Time
}

// GivenUp is a call that came to nothing: it ended in an error, or in an answer that
// is neither a success nor the caller's mistake. Calls that the caller canceled and
// invalid ones are none.
type GivenUp struct {
	// Outcome is the call's, without what Okta wrote in error bodies: the fields Error
	// are nil, and a Code that is neither Okta's nor OAuth's is "_OTHER". An Err has the text of the call's error, and is it itself where that is
	// one of this package's. Of more than 100 attempts, the last 100 are there.
	Outcome Outcome
	// Times is how many calls this one stands for, the latest of them. Above 1, they
	// are of one endpoint and were refused for one reason with nothing sent: an outage
	// of a busy program would leave no place for the failures before it.
	Times int
}

// Snapshot returns the present state of t. It holds up no call, however many endpoints
// there are: it takes the locks of one bucket, or of one circuit, at a time. It is safe
// for concurrent use.
func (t *Transport) Snapshot() Snapshot {
	if t.isZero() {
		return Snapshot{}
	}
	now, e := time.Now(), t.settings.Load().endpoints
	return Snapshot{
		At: now, Buckets: t.bucketStates(now), Circuits: circuitStates(e, now), Budgets: budgetStates(e, now),
		Store: storeState(t.sharing), GivenUp: givenUpStates(&t.givenUp),
	}
}

func (t *Transport) bucketStates(now time.Time) (all []BucketState) {
	for _, b := range t.governor.States(now) {
		all = append(all, BucketState{
			Host: b.Host, Bucket: b.Bucket, Credential: t.keys.Label(b.Credential),
			Limit: b.Limit, Remaining: b.Remaining, Reset: b.Reset, HeldUntil: b.HeldUntil,
			InFlight: b.InFlight, Waiting: b.Waiting, Share: b.Share,
		})
	}
	slices.SortFunc(all, func(a, b BucketState) int {
		return cmp.Or(strings.Compare(a.Host, b.Host), strings.Compare(a.Bucket, b.Bucket), strings.Compare(a.Credential, b.Credential))
	})
	return all
}

func circuitStates(e *endpoints, now time.Time) (all []CircuitState) {
	e.eachCircuit(func(b *circuit.Breaker) {
		c := CircuitState{CircuitID: circuitID(b.ID()), RetryAfter: max(b.RefusesFor(nil, now), 0)}
		c.Successes, c.Failures = b.Counts(now)
		state := b.Standing(now)
		if c.State = state.String(); state != circuit.Closed {
			c.Class, c.Code, c.Failure, c.Since = openedBy(b)
		}
		all = append(all, c)
	})
	slices.SortFunc(all, func(a, b CircuitState) int {
		return cmp.Or(strings.Compare(a.Host, b.Host), strings.Compare(a.Method, b.Method), strings.Compare(a.Template, b.Template))
	})
	return all
}

func budgetStates(e *endpoints, now time.Time) (all []BudgetState) {
	for name, h := range e.allHosts() {
		if h.budget != nil {
			all = append(all, BudgetState{name, h.budget.Left(now)})
		}
	}
	slices.SortFunc(all, func(a, b BudgetState) int { return strings.Compare(a.Host, b.Host) })
	return all
}

func givenUpStates(g *givenUp) []GivenUp {
	entries := g.log.Entries()
	all := make([]GivenUp, len(entries))
	for i, e := range entries {
		all[i] = GivenUp{e.Value.clone(), e.Times}
	}
	return all
}

func storeState(s *sharing) StoreState {
	if s == nil {
		return StoreState{}
	}
	state := StoreState{Shared: true, Lost: !s.health.Works()}
	if at := s.lostAt.Load(); at != nil {
		state.Since = *at
	}
	if f := s.failed.Load(); f != nil {
		state.LastOperation, state.LastError, state.LastErrorAt = f.op, f.kind, f.at
	}
	return state
}
