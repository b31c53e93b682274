// This file holds what a Transport reports while it works: to the functions of an
// Observer, and, converted, to internal/telemetry.

package oktaretry

import (
	"context"
	"runtime"
	"slices"
	"time"
	"weak"

	"go.opentelemetry.io/otel/metric"

	"github.com/oktaretry/oktaretry/internal/circuit"
	"github.com/oktaretry/oktaretry/internal/pace"
	"github.com/oktaretry/oktaretry/internal/telemetry"
)

func resultOf(c Classification, err error) telemetry.Result {
	return telemetry.Result{
		Class: c.Class.String(), Code: shownCode(c.Code), RequestID: c.RequestID, Status: c.Status,
		Err: err, Kind: errorKindName, Terminal: c.Terminal, NotSent: c.NotSent,
	}
}

// callEnd converts the outcome of a call. left: its caller had canceled it. by is
// the circuit that refused it, if one did.
func callEnd(o *Outcome, left bool, by Scope) telemetry.CallEnd {
	end := telemetry.CallEnd{
		Result: resultOf(o.Classification, o.Err), Stop: o.Stop.String(), Bucket: o.Bucket, Attempts: len(o.Attempts),
		Elapsed: o.Elapsed, Waited: o.Waited(), Needed: o.Needed,
	}
	if o.Stop == StopCircuitOpen {
		end.Circuit = by.String()
	}
	end.Cause = end.Result
	for _, a := range slices.Backward(o.Attempts) { // what a call that succeeded at last had met
		if a.Class != ClassSuccess {
			end.Cause = resultOf(a.Classification, a.Err)
			break
		}
	}
	end.Failed, end.GivenUp = hasFailed(o, left), isGivenUp(o, left)
	return end
}

// attemptEnd converts an attempt, whose record is a, and its answer.
func attemptEnd(a *Attempt, answer *answer, left bool) telemetry.AttemptEnd {
	return telemetry.AttemptEnd{
		Result: resultOf(a.Classification, a.Err), Start: a.Start, Duration: a.Duration, Poll: a.Poll, Left: left,
		Protocol: telemetry.ProtocolVersion(answer.resp),
		Limit:    answer.limits.Limit, Remaining: answer.limits.Remaining, Reset: answer.limits.Reset,
	}
}

// observe registers t's gauges for as long as t is in use. A Transport needs no
// closing, so the meter provider gets no strong reference to it.
func observe(t *Transport) error {
	alive := weak.Make(t)
	r, err := t.telemetry.Observe(func() (telemetry.Readings, bool) {
		if t := alive.Value(); t != nil {
			return readings(t), true
		}
		return telemetry.Readings{}, false
	})
	if err == nil {
		runtime.AddCleanup(t, func(r metric.Registration) { r.Unregister() }, r)
	}
	return err
}

func readings(t *Transport) (r telemetry.Readings) {
	now, e := time.Now(), t.settings.Load().endpoints
	for _, s := range t.governor.States(now) {
		r.Buckets = append(r.Buckets, telemetry.Bucket{
			Server: telemetry.Server{Host: s.Host, Port: e.port(s.Host)}, Name: s.Bucket,
			Limit: s.Limit, Remaining: s.Remaining, InFlight: s.InFlight, Waiting: s.Waiting, Utilization: utilization(s, now),
		})
	}
	e.eachCircuit(func(b *circuit.Breaker) {
		id := circuitID(b.ID())
		r.Circuits = append(r.Circuits, telemetry.Circuit{
			CircuitChange: telemetry.CircuitChange{Scope: id.Scope.String(), Host: id.Host, Name: id.Name, Method: id.Method, Template: id.Template},
			Port:          e.port(id.Host), State: int64(b.Standing(now)),
		})
	})
	for name, h := range e.allHosts() {
		if h.budget != nil {
			r.Budgets = append(r.Budgets, telemetry.Budget{Server: telemetry.Server{Host: name, Port: h.port}, Left: int64(h.budget.Left(now))})
		}
	}
	return r
}

// utilization is the used share of the current window; -1 if none is known.
func utilization(s pace.State, now time.Time) float64 {
	if s.Limit <= 0 || s.Remaining < 0 || !now.Before(s.Reset) {
		return -1
	}
	return min(max(float64(s.Limit-s.Remaining)/float64(s.Limit), 0), 1)
}

// Observer is functions that are told what happens as it happens, as those of an
// httptrace.ClientTrace are. A nil one is left out, and costs nothing. Fields may be
// added.
//
// Each is called by the goroutine of the call, with the context that the call has from
// its caller, and its span in it, without any lock held. So it may use the Transport:
// take a [Snapshot], set a policy, cancel the call, make others. It gets values of its
// own. As calls run at once, it must be safe for concurrent use. Whoever takes long
// makes the call take longer, and no other, except in AttemptStart and in WaitEnd before an
// attempt: there the call has its place in flight, and after an open circuit a probe's.
// In these, do not wait for another call of the same bucket, which may wait for this one.
//
// A panic in one is no error of the call: the first is reported to [WithLogger], or
// without it to OpenTelemetry's error handler, by its type and place.
//
// The events of a call are in this order: for each attempt WaitStart and WaitEnd as
// often as it waits, AttemptStart, AttemptEnd; then CallEnd, once, also if the base
// panics. A request that is refused before anything is done (StopInvalid) has a CallEnd.
type Observer struct {
	AttemptStart  func(context.Context, AttemptStart)
	AttemptEnd    func(context.Context, AttemptEnd)
	WaitStart     func(context.Context, WaitStart)
	WaitEnd       func(context.Context, WaitEnd)
	CallEnd       func(context.Context, Outcome)
	CircuitChange func(context.Context, CircuitChange)
	BucketChange  func(context.Context, BucketChange)
}

// ObservedCall is the call that an event belongs to, and where its next or present
// request goes, as an [Outcome] names it.
type ObservedCall struct {
	Method, Host, Template, Bucket string
	Start                          time.Time // of the call
}

// AttemptStart is a request that is about to be sent.
type AttemptStart struct {
	ObservedCall
	Number int  // 1 for the call's first
	Poll   bool // it asks for the result of a pending answer
}

// AttemptEnd is an attempt whose answer, or error, is there.
type AttemptEnd struct {
	ObservedCall
	Number int
	Attempt
}

// WaitStart is a wait that begins. What a call only waits for an answer of the store of
// [WithShared] is not announced: it is in the Outcome.
type WaitStart struct {
	ObservedCall
	Reason WaitReason
	// AtMost is how long the wait takes, as far as is known now. It is shorter where
	// calls before this one are answered earlier or the context ends, and longer where
	// they meet the limit again.
	AtMost   time.Duration
	Attempts int            // that were sent before
	Last     Classification // of the last one, which made the call wait; zero if none was sent
}

// WaitEnd is the end of the wait that the last WaitStart announced: it is over, it was
// given up, or the context ended.
type WaitEnd struct {
	ObservedCall
	Duration time.Duration
	Waits    []Wait // by reason, as they come into the Outcome: what a call in line waits for can change
}

// CircuitChange is a change of a circuit, told to the call that caused or noticed it.
type CircuitChange struct {
	CircuitID
	From, To string // "closed", "open" or "half-open"
}

// BucketChangeKind is what has changed of a bucket.
type BucketChangeKind uint8

const (
	BucketLimit    BucketChangeKind = iota + 1 // its limit was learned, or is another
	BucketClosed                               // a 429 has closed it for all of its calls
	BucketReopened                             // that is over; told to the first call that goes on
	BucketSplit                                // some of its calls are counted apart from now on
)

var bucketChangeNames = [...]string{"none", "limit", "closed", "reopened", "split"}

// String returns the name of the kind: "limit", "closed", "reopened" or "split".
func (k BucketChangeKind) String() string {
	if int(k) < len(bucketChangeNames) {
		return bucketChangeNames[k]
	}
	return "unknown"
}

// BucketChange is a change of a rate-limit bucket.
type BucketChange struct {
	Host, Bucket  string // as in [BucketState]
	Kind          BucketChangeKind
	Limit, Before int       // the limit now and before, -1: unknown
	ClosedUntil   time.Time // with BucketClosed
	Kinds         string    // with BucketSplit: which calls are counted apart, and their limits
}

// WithObserver adds an observer. Several are told in the order in which they were
// given. Default: none.
func WithObserver(o Observer) Option {
	return optionFunc(func(c *config) error {
		c.observers.add(o)
		return nil
	})
}

// observers are the functions of all observers, by what they are told.
type observers struct {
	attemptStart  []telemetry.Hook[AttemptStart]
	attemptEnd    []telemetry.Hook[AttemptEnd]
	waitStart     []telemetry.Hook[WaitStart]
	waitEnd       []telemetry.Hook[WaitEnd]
	callEnd       []telemetry.Hook[Outcome]
	circuitChange []telemetry.Hook[CircuitChange]
	bucketChange  []telemetry.Hook[BucketChange]
}

func (l *observers) add(o Observer) {
	addHook(&l.attemptStart, o.AttemptStart)
	addHook(&l.attemptEnd, o.AttemptEnd)
	addHook(&l.waitStart, o.WaitStart)
	addHook(&l.waitEnd, o.WaitEnd)
	addHook(&l.callEnd, o.CallEnd)
	addHook(&l.circuitChange, o.CircuitChange)
	addHook(&l.bucketChange, o.BucketChange)
}

func addHook[E any](list *[]telemetry.Hook[E], hook telemetry.Hook[E]) {
	if hook != nil {
		*list = append(*list, hook)
	}
}

func observed(c *call) ObservedCall {
	k := &c.to.endpoint.key
	return ObservedCall{Method: k.method, Host: k.host, Template: k.template, Bucket: c.to.bucket, Start: c.outcome.Start}
}

// tellAttemptStart reports whether anybody was told, which takes time.
func tellAttemptStart(c *call) bool {
	hooks := c.t.observers.attemptStart
	if len(hooks) == 0 {
		return false
	}
	telemetry.Tell(c.ctx, c.t.telemetry, "AttemptStart", hooks,
		AttemptStart{observed(c), len(c.outcome.Attempts) + 1, c.progress.polls > 0})
	return true
}

func tellAttemptEnd(c *call) {
	hooks := c.t.observers.attemptEnd
	if len(hooks) == 0 || c.attempt.record == nil {
		return
	}
	a := *c.attempt.record
	a.Waits, a.Error = slices.Clone(a.Waits), a.Error.clone()
	telemetry.Tell(c.ctx, c.t.telemetry, "AttemptEnd", hooks, AttemptEnd{observed(c), len(c.outcome.Attempts), a})
	c.now = time.Now()
}

func tellWaitStart(c *call, reason WaitReason, atMost time.Duration) {
	hooks := c.t.observers.waitStart
	if len(hooks) == 0 {
		return
	}
	s := WaitStart{ObservedCall: observed(c), Reason: reason, AtMost: atMost, Attempts: len(c.outcome.Attempts)}
	if c.answer.any() {
		s.Last = c.answer.Classification
		s.Last.Error = s.Last.Error.clone()
	}
	telemetry.Tell(c.ctx, c.t.telemetry, "WaitStart", hooks, s)
}

// tellWaitStartOutOfLine is tellWaitStart for a call in line, which it leaves first, so
// that those behind it do not wait for a hook. It reports whether it did.
func tellWaitStartOutOfLine(c *call, reason WaitReason, atMost time.Duration) bool {
	if len(c.t.observers.waitStart) == 0 {
		return false
	}
	reopened := c.ticket.Reopened()
	c.ticket.Leave(c.now)
	if reopened {
		tellBucket(c, BucketChange{Kind: BucketReopened, Limit: -1, Before: -1})
	}
	tellWaitStart(c, reason, atMost)
	return true
}

// endWait tells of a wait that began at a time, when the call had so many waits.
func endWait(c *call, began time.Time, before int) {
	c.report.WaitIsOver()
	if hooks := c.t.observers.waitEnd; len(hooks) > 0 {
		telemetry.Tell(c.ctx, c.t.telemetry, "WaitEnd", hooks,
			WaitEnd{observed(c), c.now.Sub(began), slices.Clone(c.waits[before:])})
		c.now = time.Now()
	}
}

func tellCallEnd(c *call) {
	if hooks := c.t.observers.callEnd; len(hooks) > 0 {
		o := c.outcome.clone()
		o.Error = o.Error.clone()
		for i := range o.Attempts {
			o.Attempts[i].Error = o.Attempts[i].Error.clone()
		}
		telemetry.Tell(c.ctx, c.t.telemetry, "CallEnd", hooks, o)
	}
}

func tellCircuitChange(c *call, id CircuitID, ch circuit.Transition) {
	if hooks := c.t.observers.circuitChange; len(hooks) > 0 {
		telemetry.Tell(c.ctx, c.t.telemetry, "CircuitChange", hooks, CircuitChange{id, ch.From.String(), ch.To.String()})
		c.now = time.Now()
	}
}

// tellBucketChanges tells what the call's answer has changed of its bucket.
func tellBucketChanges(c *call, end *pace.End) {
	if len(c.t.observers.bucketChange) == 0 {
		return
	}
	change := BucketChange{Limit: end.Limit, Before: end.Before}
	if end.Limit != end.Before && end.Limit > 0 {
		change.Kind = BucketLimit
		tellBucket(c, change)
	}
	if !end.HeldUntil.IsZero() {
		change.Kind, change.ClosedUntil = BucketClosed, end.HeldUntil
		tellBucket(c, change)
	}
	if end.Split != "" {
		tellBucket(c, BucketChange{Bucket: c.to.route.Bucket, Kind: BucketSplit, Limit: -1, Before: -1, Kinds: end.Split})
	}
}

// tellReopened tells that the call was the first to go on after its bucket was closed.
func tellReopened(c *call) {
	if c.ticket.Reopened() {
		tellBucket(c, BucketChange{Kind: BucketReopened, Limit: -1, Before: -1})
	}
}

func tellBucket(c *call, change BucketChange) {
	if hooks := c.t.observers.bucketChange; len(hooks) > 0 {
		if change.Host = c.to.endpoint.host.org; change.Bucket == "" {
			change.Bucket = c.to.bucket
		}
		telemetry.Tell(c.ctx, c.t.telemetry, "BucketChange", hooks, change)
		c.now = time.Now()
	}
}
