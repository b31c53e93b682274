// This file holds a Transport's present state, for health pages.

package oktaretry

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/oktaretry/oktaretry/internal/circuit"
)

// Snapshot is the state of a Transport at one moment. It holds no credential.
type Snapshot struct {
	Buckets  []BucketState  // by host and name
	Circuits []CircuitState // by host, method and template; a host's own circuit first
}

// BucketState is the state of a rate-limit bucket, of one host and credential.
type BucketState struct {
	Host string
	// Bucket is the bucket's name. Where Okta turns out to count some of its calls
	// apart, by method, template or the names of query keys, it is split into parts
	// whose names end in the limit: "/api/v1/users (limit 50)".
	Bucket string
	// Limit and Remaining are those of Okta's last answer; -1 if unknown.
	Limit, Remaining int
	// Reset is when the window ends, on the local clock; zero if unknown.
	Reset time.Time
	// HeldUntil is when calls may be sent again after a 429; zero if they may now.
	HeldUntil time.Time
	InFlight  int // calls sent and not answered
	Waiting   int // calls waiting for their turn
}

// CircuitState is the state of a circuit breaker.
type CircuitState struct {
	CircuitID
	State      string        // "closed", "open" or "half-open"
	Successes  int           // in the rolling window
	Failures   int           // in the rolling window
	RetryAfter time.Duration // until an open circuit sends a probe; else 0
}

// Snapshot returns the present state of t. It is safe for concurrent use.
func (t *Transport) Snapshot() Snapshot {
	var s Snapshot
	if t.isZero() {
		return s
	}
	now := time.Now()
	for _, b := range t.governor.States(now) {
		s.Buckets = append(s.Buckets, BucketState{
			Host: b.Host, Bucket: b.Bucket, Limit: b.Limit, Remaining: b.Remaining,
			Reset: b.Reset, HeldUntil: b.HeldUntil, InFlight: b.InFlight, Waiting: b.Waiting,
		})
	}
	t.settings.Load().endpoints.eachCircuit(func(b *circuit.Breaker) {
		successes, failures := b.Counts(now)
		s.Circuits = append(s.Circuits, CircuitState{
			CircuitID: circuitID(b.ID()), State: b.Standing(now).String(),
			Successes: successes, Failures: failures, RetryAfter: max(b.RefusesFor(now), 0),
		})
	})
	slices.SortFunc(s.Buckets, func(a, b BucketState) int {
		return cmp.Or(strings.Compare(a.Host, b.Host), strings.Compare(a.Bucket, b.Bucket))
	})
	slices.SortFunc(s.Circuits, func(a, b CircuitState) int {
		return cmp.Or(strings.Compare(a.Host, b.Host), strings.Compare(a.Method, b.Method), strings.Compare(a.Template, b.Template))
	})
	return s
}
