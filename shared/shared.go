// Package shared defines what the processes of a fleet share through a store:
// the places of each rate-limit window, and the state of circuits. A [Store] is
// given to a Transport with oktaretry.WithShared; package fleet implements one
// on Redis. Only authors of a store need this package.
//
// All times are durations from now: only the store's clock counts, for the
// clocks of processes may be minutes apart. A window is identified by the reset
// that Okta's headers name, in seconds on Okta's clock, which is the same for
// every process.
package shared

import (
	"context"
	"time"
)

// Store is what the processes of a fleet share, so that together they use the
// whole quota and meet no 429, and send one probe for all of them.
//
// A Store must be safe for concurrent use. Each operation must be atomic among
// all processes, and nothing that it keeps may outlive its use for ever. No
// operation is repeated, and none relies on the one before: a request whose
// answer was lost costs some places for a moment at most.
//
// An error means that the store is lost: calls proceed at once by what their
// process knows, and the store is asked again, by one call at a time, after
// 50 ms and then at growing intervals of up to 2 s. An answer that takes longer
// than oktaretry.SharedTimeout, is inconsistent, or panics counts as an error.
// An implementation should return when its context ends. It should believe neither
// a refusal nor a window for more than about a minute before it grants a place to
// find out, or else one absurd answer of Okta's stops the whole fleet. A store that cannot
// serve one operation should fail the others, too: it counts as back when any
// succeeds.
type Store interface {
	// Lease records what a process knows of a bucket and grants places of its
	// window.
	Lease(ctx context.Context, b Bucket, r LeaseRequest) (Lease, error)

	// Circuits returns the circuits of a host that are not closed.
	Circuits(ctx context.Context, host string) ([]Circuit, error)

	// Probe requests the one probe that an open circuit lets through in the
	// whole fleet once its time is over. The holder keeps it for ttl; if its
	// process dies, another holder gets it after that.
	Probe(ctx context.Context, id CircuitID, holder string, ttl time.Duration) (Circuit, error)

	// Report records an event of a circuit and returns its state.
	Report(ctx context.Context, id CircuitID, r Report) (Circuit, error)
}

// Bucket identifies a rate-limit bucket for all processes.
type Bucket struct {
	Host       string
	Bucket     string
	Credential string // a keyed hash, see oktaretry.SharedSecret; never the credential itself
}

// Window is a rate-limit window as Okta's headers describe it.
type Window struct {
	ID        int64 // its reset in seconds on Okta's clock, give or take one; 0: nothing is known
	Limit     int
	Remaining int           // the least that a header named
	Ends      time.Duration // from now; less than 0 when it is over
}

// LeaseRequest is what a process knows of a bucket, and how many places it
// requests.
type LeaseRequest struct {
	Holder string // who asks; one process may have several
	// Seen is what headers named; it never comes from the store. Its ID is 0
	// when there is nothing to report.
	Seen Window
	// Age is how long ago the last of the calls was sent whose answers are in Seen.
	Age time.Duration
	// Late reports that Okta opens the next window only up to a second after the
	// reset that it names, so no call should be sent at once.
	Late         bool
	Unbound      bool          // answers carry no limits: the bucket has none
	LastWindowID int64         // the ID of the window in the last answer of the store
	Refused      time.Duration // after a 429: no call should be sent before
	ScoutsEnded  int           // scouts that have ended since the last request, whatever they found

	Returned int // places of the window LastWindowID that the holder had and will not use
	Taken    int // calls of the window in Seen sent without a place, while the store was lost
	Unused   int // places that the holder has and may use
	InFlight int // calls of the holder that Seen may not count yet

	Interactive int // waiting calls of oktaretry.PriorityInteractive
	Background  int // waiting calls of oktaretry.PriorityBackground
	Prefetch    int // places for calls that are expected soon, granted after all others
	// MaxUtilization is the share of the window that the fleet may use; above 0,
	// at most 1.
	MaxUtilization float64
}

// Wants returns how many places the request is for.
func (r *LeaseRequest) Wants() int { return r.Interactive + r.Background + r.Prefetch }

// Lease is the store's answer to a [LeaseRequest].
type Lease struct {
	Places int           // how many calls may be sent; at most as many as were requested
	Lasts  time.Duration // for how long, from the request on; at most a minute
	Retry  time.Duration // when Places is 0: no place is expected earlier
	// Window is what is known of the current window. Its ID is 0 when it is
	// unknown: Places are then for scouts, whose answers describe it.
	Window       Window
	Unbound      bool // the bucket has no limits
	Held         bool // a 429 stops the bucket until Retry is over
	Sharers      int  // how many holders use the bucket, this one included
	ReturnUnused bool // the window runs out: return places that are not needed
}

// CircuitID identifies a circuit. Method and Template are empty for the circuit
// of the host itself.
type CircuitID struct {
	Host     string
	Method   string
	Template string
}

// OfHost reports whether the circuit is that of the host itself.
func (id CircuitID) OfHost() bool { return id.Method == "" && id.Template == "" }

// Circuit is the state of a circuit for all processes.
type Circuit struct {
	CircuitID
	State State
	Wait  time.Duration // Open: until a probe may be sent; HalfOpen: until the current one is overdue
	Yours bool          // HalfOpen: the caller of Probe is to send the probe
	// Reporters is how many processes reported [Opened] since the circuit was closed
	// last: 1, or 2 for any more. The network of a single one may be what is broken.
	Reporters int
}

// State is the state of a [Circuit].
type State uint8

const (
	Closed   State = iota
	Open           // no call is sent
	HalfOpen       // one probe is sent
)

// Report is an event of a circuit.
type Report struct {
	Holder  string // of the probe, see [Store].Probe; any process may report Opened
	Process string // who reports
	Event   Event
	// OpenFor is how long a circuit that has opened refuses calls.
	OpenFor time.Duration
	// Needed is how many probes must succeed in a row to close the circuit.
	Needed int
}

// Event is what a [Report] reports.
type Event uint8

const (
	Opened            Event = iota // the circuit opened, or its probe failed
	ProbeSucceeded                 // the holder's probe succeeded
	ProbeInconclusive              // the holder's probe ended without a result: another may be sent
)
