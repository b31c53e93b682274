// This file holds what is shown of transports: the JSON form, from which the page is
// made as well. Whatever is not named here is not shown.

package debug

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/oktaretry/oktaretry"
)

type view struct {
	At         time.Time   `json:"at"`
	Transports []transport `json:"transports"`
}

type transport struct {
	Buckets         []bucket  `json:"buckets"`           // the busiest first
	BucketsLeftOut  int       `json:"buckets_left_out"`  // less busy ones
	Circuits        []circuit `json:"circuits"`          // those that are not closed, then the busiest
	CircuitsLeftOut int       `json:"circuits_left_out"` // less busy ones, all closed unless there are very many
	Budgets         []budget  `json:"budgets"`
	BudgetsLeftOut  int       `json:"budgets_left_out"`
	Store           *store    `json:"store"`    // null: none is shared
	GivenUp         []givenUp `json:"given_up"` // the latest first
	Policy          string    `json:"policy"`   // as Policy.String prints it

	totals totals // of all, shown or not
}

type totals struct {
	buckets, circuits, inFlight, waiting, held, open, halfOpen, hostsOpen int
	fullest                                                               *bucket
}

type bucket struct {
	Host       string  `json:"host"`
	Name       string  `json:"bucket"`
	Credential string  `json:"credential,omitempty"` // a hash, see BucketState
	Known      bool    `json:"known"`                // of the limit, the places and the reset
	Limit      int     `json:"limit"`
	Used       int     `json:"used"`
	Left       int     `json:"left"`
	Reset      float64 `json:"reset_in_seconds"` // 0: the window is over
	Held       float64 `json:"held_for_seconds"` // by a 429; 0: it is not
	InFlight   int     `json:"in_flight"`
	Waiting    int     `json:"waiting"`
	Others     float64 `json:"share_of_others"` // from 0 to 1, estimated
}

// usage is the used share of the present window.
func (b *bucket) usage() float64 {
	if !b.Known || b.Limit <= 0 || b.Reset <= 0 {
		return 0
	}
	return float64(b.Used) / float64(b.Limit)
}

type circuit struct {
	Scope      string    `json:"scope"`
	Host       string    `json:"host"`
	Name       string    `json:"name,omitempty"`
	Method     string    `json:"method,omitempty"`
	Template   string    `json:"template,omitempty"`
	State      string    `json:"state"`
	Successes  int       `json:"successes"`
	Failures   int       `json:"failures"`
	RetryAfter float64   `json:"retry_after_seconds"`
	OpenedBy   *openedBy `json:"opened_by,omitempty"` // nil: it is closed
}

type openedBy struct {
	Class   string    `json:"class"`
	Failure string    `json:"failure,omitempty"` // "": another process's word
	Code    string    `json:"code,omitempty"`
	Since   time.Time `json:"since"`
}

type budget struct {
	Host string  `json:"host"`
	Left float64 `json:"resends_left"`
}

type store struct {
	Lost          bool       `json:"lost"`
	LostAt        *time.Time `json:"lost_at,omitempty"` // the last time
	LastOperation string     `json:"last_failed_operation,omitempty"`
	LastError     string     `json:"last_error,omitempty"`
	LastErrorAt   *time.Time `json:"last_error_at,omitempty"`
}

type givenUp struct {
	Start     time.Time `json:"start"`
	Elapsed   float64   `json:"elapsed_seconds"`
	Waited    float64   `json:"waited_seconds"`
	Needed    float64   `json:"needed_seconds,omitempty"` // the wait that was not begun
	Times     int       `json:"times"`
	Method    string    `json:"method"`
	Host      string    `json:"host"`
	Template  string    `json:"template"`
	Bucket    string    `json:"bucket,omitempty"`
	Stop      string    `json:"stop"`
	Class     string    `json:"class"`
	Code      string    `json:"code,omitempty"`
	Status    int       `json:"status,omitempty"`
	RequestID string    `json:"request_id,omitempty"`
	Error     string    `json:"error,omitempty"`
	Attempts  []attempt `json:"attempts"`
	Waits     []wait    `json:"waits,omitempty"` // after the last attempt
}

type attempt struct {
	Waits     []wait  `json:"waits,omitempty"` // before it
	Start     float64 `json:"start_seconds"`   // from the start of the call
	Duration  float64 `json:"seconds"`
	Poll      bool    `json:"poll,omitempty"`
	Class     string  `json:"class"`
	Code      string  `json:"code,omitempty"`
	Status    int     `json:"status,omitempty"`
	RequestID string  `json:"request_id,omitempty"`
	Error     string  `json:"error,omitempty"`
}

type wait struct {
	Reason  string  `json:"reason"`
	Seconds float64 `json:"seconds"`
}

func viewOf(transports []*oktaretry.Transport, q query, now time.Time) view {
	v := view{At: now.UTC(), Transports: make([]transport, len(transports))}
	for i, t := range transports {
		v.Transports[i] = transportOf(t.Snapshot(), t.Policy(), q.rows, now)
	}
	return v
}

func transportOf(s oktaretry.Snapshot, p oktaretry.Policy, rows int, now time.Time) transport {
	t := transport{Policy: p.String(), Store: storeOf(s.Store)}
	for _, b := range s.Buckets {
		t.Buckets = append(t.Buckets, bucketOf(b, now))
	}
	for _, c := range s.Circuits {
		t.Circuits = append(t.Circuits, circuitOf(c))
	}
	for _, b := range s.Budgets {
		t.Budgets = append(t.Budgets, budget{b.Host, math.Floor(b.Remaining*100) / 100})
	}
	for _, g := range s.GivenUp {
		t.GivenUp = append(t.GivenUp, givenUpOf(g))
	}
	slices.SortStableFunc(t.Buckets, byUse)
	slices.SortStableFunc(t.Circuits, byTrouble)
	slices.SortStableFunc(t.Budgets, func(a, b budget) int { return cmp.Compare(a.Left, b.Left) })
	t.totals = totalsOf(&t)
	t.Buckets, t.BucketsLeftOut = first(t.Buckets, rows)
	t.Circuits, t.CircuitsLeftOut = first(t.Circuits, rows)
	t.Budgets, t.BudgetsLeftOut = first(t.Budgets, rows)
	return t
}

// first returns the first most of all, and how many there are besides.
func first[T any](all []T, most int) ([]T, int) {
	n := min(len(all), most)
	if n == 0 {
		return []T{}, len(all)
	}
	return all[:n], len(all) - n
}

func byUse(a, b bucket) int {
	return cmp.Or(cmp.Compare(b.Waiting, a.Waiting), cmp.Compare(b.Held, a.Held),
		cmp.Compare(b.usage(), a.usage()), cmp.Compare(b.InFlight, a.InFlight))
}

func byTrouble(a, b circuit) int {
	rank := map[string]int{"open": 0, "half-open": 1, "closed": 2}
	return cmp.Or(rank[a.State]-rank[b.State], cmp.Compare(b.Failures, a.Failures),
		cmp.Compare(b.Successes, a.Successes), strings.Compare(a.Host, b.Host))
}

func totalsOf(t *transport) totals {
	sum := totals{buckets: len(t.Buckets), circuits: len(t.Circuits)}
	for i := range t.Buckets {
		b := &t.Buckets[i]
		sum.inFlight += b.InFlight
		sum.waiting += b.Waiting
		if b.Held > 0 {
			sum.held++
		}
		if b.usage() > 0 && (sum.fullest == nil || b.usage() > sum.fullest.usage()) {
			sum.fullest = b
		}
	}
	for _, c := range t.Circuits {
		switch {
		case c.State == "open" && c.Template == "":
			sum.hostsOpen++
		case c.State == "open":
			sum.open++
		case c.State == "half-open":
			sum.halfOpen++
		}
	}
	return sum
}

func bucketOf(s oktaretry.BucketState, now time.Time) bucket {
	b := bucket{
		Host: s.Host, Name: s.Bucket, Credential: s.Credential, Limit: s.Limit, Left: s.Remaining,
		Known: s.Limit >= 0 && s.Remaining >= 0 && !s.Reset.IsZero(), InFlight: s.InFlight, Waiting: s.Waiting, Others: round(1-s.Share, 1000),
	}
	if b.Known {
		b.Used, b.Reset = max(s.Limit-s.Remaining, 0), secondsUntil(s.Reset, now)
	}
	if !s.HeldUntil.IsZero() {
		b.Held = secondsUntil(s.HeldUntil, now)
	}
	return b
}

func circuitOf(s oktaretry.CircuitState) circuit {
	c := circuit{
		Scope: s.Scope.String(), Host: s.Host, Name: s.Name, Method: s.Method, Template: s.Template, State: s.State,
		Successes: s.Successes, Failures: s.Failures, RetryAfter: secs(s.RetryAfter),
	}
	if s.State != "closed" {
		c.OpenedBy = &openedBy{s.Class.String(), s.Failure, s.Code, s.Since.UTC()}
	}
	return c
}

func storeOf(s oktaretry.StoreState) *store {
	if !s.Shared {
		return nil
	}
	return &store{s.Lost, utc(s.Since), s.LastOperation, s.LastError, utc(s.LastErrorAt)}
}

func givenUpOf(s oktaretry.GivenUp) givenUp {
	o := &s.Outcome
	g := givenUp{
		Start: o.Start.UTC(), Elapsed: secs(o.Elapsed), Waited: secs(o.Waited()), Needed: secs(o.Needed), Times: s.Times,
		Method: o.Method, Host: o.Host, Template: o.Template, Bucket: o.Bucket, Stop: o.Stop.String(),
		Class: o.Class.String(), Code: o.Code, Status: o.Status, RequestID: o.RequestID, Error: textOf(o.Err),
		Attempts: make([]attempt, len(o.Attempts)), Waits: waitsOf(o.Waits),
	}
	for i, a := range o.Attempts {
		g.Attempts[i] = attempt{
			Waits: waitsOf(a.Waits), Start: secs(a.Start.Sub(o.Start)), Duration: secs(a.Duration), Poll: a.Poll,
			Class: a.Class.String(), Code: a.Code, Status: a.Status, RequestID: a.RequestID, Error: textOf(a.Err),
		}
	}
	return g
}

func waitsOf(waits []oktaretry.Wait) (all []wait) {
	for _, w := range waits {
		all = append(all, wait{w.Reason.String(), secs(w.Duration)})
	}
	return all
}

func textOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func secondsUntil(t, now time.Time) float64 { return max(secs(t.Sub(now)), 0) }

// secs returns a duration in seconds, to the millisecond.
func secs(d time.Duration) float64 { return round(d.Seconds(), 1000) }

func round(f, parts float64) float64 { return math.Round(f*parts) / parts }

func utc(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
