// This file holds a Transport's present state, for health pages.

package oktaretry

import (
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/oktaretry/oktaretry/internal/circuit"
	"github.com/oktaretry/oktaretry/internal/show"
	"github.com/oktaretry/oktaretry/internal/telemetry"
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
	// are nil, and a Code that is neither Okta's nor OAuth's is "_OTHER". An Err is
	// one of this package's errors, or names in a few words what another was. Of more
	// than 100 attempts, the last 100 are there.
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

func (t *Transport) bucketStates(now time.Time) []BucketState {
	states := t.governor.States(now)
	all := make([]BucketState, len(states))
	labels := make(map[uint64]string) // each is a hash, and a credential has many buckets
	for i, b := range states {
		label, ok := labels[b.Credential]
		if !ok {
			label = t.keys.Label(b.Credential)
			labels[b.Credential] = label
		}
		all[i] = BucketState{
			Host: b.Host, Bucket: b.Bucket, Credential: label,
			Limit: b.Limit, Remaining: b.Remaining, Reset: b.Reset, HeldUntil: b.HeldUntil,
			InFlight: b.InFlight, Waiting: b.Waiting, Share: b.Share,
		}
	}
	return inOrder(all, func(b *BucketState) [3]string { return [...]string{b.Host, b.Bucket, b.Credential} })
}

func circuitStates(e *endpoints, now time.Time) []CircuitState {
	var all []CircuitState
	e.eachCircuit(func(b *circuit.Breaker) {
		c := CircuitState{CircuitID: circuitID(b.ID()), RetryAfter: max(b.RefusesFor(circuit.Party{}, now), 0)}
		c.Successes, c.Failures = b.Counts(now)
		state := b.Standing(now)
		if c.State = state.String(); state != circuit.Closed {
			c.Class, c.Code, c.Failure, c.Since = openedBy(b)
		}
		all = append(all, c)
	})
	return inOrder(all, func(c *CircuitState) [3]string { return [...]string{c.Host, c.Method, c.Template} })
}

// inOrder returns states sorted by their names. Each is moved only once: they are large.
func inOrder[T any](states []T, names func(*T) [3]string) []T {
	if len(states) == 0 {
		return nil
	}
	type entry struct {
		names [3]string
		state *T
	}
	order := make([]entry, len(states))
	for i := range states {
		order[i] = entry{names(&states[i]), &states[i]}
	}
	slices.SortFunc(order, func(a, b entry) int { return slices.Compare(a.names[:], b.names[:]) })
	sorted := make([]T, len(states))
	for i, e := range order {
		sorted[i] = *e.state
	}
	return sorted
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

func (b BudgetState) shown() (a show.Attrs) {
	a.Text("host", b.Host)
	a = append(a, show.Attr{Name: "remaining", Value: math.Floor(b.Remaining*100) / 100})
	return a
}

func (b BudgetState) String() string                { return b.shown().Line() }
func (b BudgetState) Format(s fmt.State, verb rune) { show.Format(s, verb, b.String()) }
func (b BudgetState) LogValue() slog.Value          { return group(b.shown()) }
func (b BudgetState) MarshalJSON() ([]byte, error)  { return b.shown().JSON() }
func (b BudgetState) MarshalText() ([]byte, error)  { return []byte(b.String()), nil }

func (s StoreState) shown() (a show.Attrs) {
	a = append(a, show.Attr{Name: "shared", Value: s.Shared})
	a.True("lost", s.Lost)
	a.Time("lost_at", s.Since)
	a.Text("last_failed_operation", s.LastOperation)
	a.Text("last_error", s.LastError)
	a.Time("last_error_at", s.LastErrorAt)
	return a
}

func (s StoreState) String() string                { return s.shown().Line() }
func (s StoreState) Format(f fmt.State, verb rune) { show.Format(f, verb, s.String()) }
func (s StoreState) LogValue() slog.Value          { return group(s.shown()) }
func (s StoreState) MarshalJSON() ([]byte, error)  { return s.shown().JSON() }
func (s StoreState) MarshalText() ([]byte, error)  { return []byte(s.String()), nil }

func (g GivenUp) shown() show.Attrs {
	return show.Attrs{{Name: "times", Value: g.Times}, {Name: "outcome", Value: g.Outcome}}
}

// String returns the outcome's line, and how many calls it stands for if several.
func (g GivenUp) String() string {
	if g.Times > 1 {
		return fmt.Sprintf("%s (%d calls alike)", g.Outcome, g.Times)
	}
	return g.Outcome.String()
}
func (g GivenUp) Format(s fmt.State, verb rune) { show.Format(s, verb, g.String()) }
func (g GivenUp) LogValue() slog.Value          { return group(g.shown()) }
func (g GivenUp) MarshalJSON() ([]byte, error)  { return g.shown().JSON() }
func (g GivenUp) MarshalText() ([]byte, error)  { return []byte(g.String()), nil }

func (b BucketState) shown() (a show.Attrs) {
	a.Text("host", b.Host)
	a.Text("bucket", b.Bucket)
	a.Text("credential", b.Credential)
	a.IntIf("limit", b.Limit, b.Limit >= 0)
	a.IntIf("remaining", b.Remaining, b.Remaining >= 0)
	a.Time("reset", b.Reset)
	a.Time("held_until", b.HeldUntil)
	a.Int("in_flight", b.InFlight)
	a.Int("waiting", b.Waiting)
	a = append(a, show.Attr{Name: "share", Value: math.Round(b.Share*1000) / 1000})
	return a
}

func (b BucketState) String() string                { return b.shown().Line() }
func (b BucketState) Format(s fmt.State, verb rune) { show.Format(s, verb, b.String()) }
func (b BucketState) LogValue() slog.Value          { return group(b.shown()) }
func (b BucketState) MarshalJSON() ([]byte, error)  { return b.shown().JSON() }
func (b BucketState) MarshalText() ([]byte, error)  { return []byte(b.String()), nil }

func (c CircuitState) shown() (a show.Attrs) {
	a.Text("scope", c.Scope.String())
	a.Text("host", c.Host)
	a.Text("name", c.Name)
	if c.Method != "" {
		a.Text("method", telemetry.ShownMethod(c.Method))
	}
	a.Text("template", c.Template)
	a.Text("state", c.State)
	a.Int("successes", c.Successes)
	a.Int("failures", c.Failures)
	a.SecondsIf("retry_after_seconds", c.RetryAfter)
	if !c.Since.IsZero() {
		a.Text("class", c.Class.String())
		a.Text("code", shownCode(c.Code))
		a.Text("failure", c.Failure)
		a.Time("since", c.Since)
	}
	return a
}

func (c CircuitState) String() string                { return c.shown().Line() }
func (c CircuitState) Format(s fmt.State, verb rune) { show.Format(s, verb, c.String()) }
func (c CircuitState) LogValue() slog.Value          { return group(c.shown()) }
func (c CircuitState) MarshalJSON() ([]byte, error)  { return c.shown().JSON() }
func (c CircuitState) MarshalText() ([]byte, error)  { return []byte(c.String()), nil }

// String returns a line for each bucket, circuit and budget, for the store if there is
// one, and for each call given up.
func (s Snapshot) String() string {
	var b strings.Builder
	for _, bucket := range s.Buckets {
		fmt.Fprintln(&b, bucket)
	}
	for _, circuit := range s.Circuits {
		fmt.Fprintln(&b, circuit)
	}
	for _, budget := range s.Budgets {
		fmt.Fprintln(&b, budget)
	}
	if s.Store.Shared {
		fmt.Fprintln(&b, s.Store)
	}
	for _, g := range s.GivenUp {
		fmt.Fprintln(&b, g)
	}
	return strings.TrimSuffix(b.String(), "\n")
}
func (s Snapshot) shown() (a show.Attrs) {
	a.Time("at", s.At)
	return append(a, show.Attr{Name: "buckets", Value: orEmpty(s.Buckets)}, show.Attr{Name: "circuits", Value: orEmpty(s.Circuits)},
		show.Attr{Name: "budgets", Value: orEmpty(s.Budgets)}, show.Attr{Name: "store", Value: s.Store}, show.Attr{Name: "given_up", Value: orEmpty(s.GivenUp)})
}
func (s Snapshot) Format(f fmt.State, verb rune) { show.Format(f, verb, s.String()) }
func (s Snapshot) LogValue() slog.Value          { return group(s.shown()) }
func (s Snapshot) MarshalText() ([]byte, error)  { return []byte(s.String()), nil }
func (s Snapshot) MarshalJSON() ([]byte, error)  { return s.shown().JSON() }

// orEmpty makes an empty list of none, which JSON shows as [].
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
