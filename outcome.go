// This file holds a call's outcome, and the two ways to it: from the response, or
// from a recorder in the context, which works through SDKs that flatten errors.

package oktaretry

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/oktaretry/oktaretry/internal/exchange"
	"github.com/oktaretry/oktaretry/internal/recent"
	"github.com/oktaretry/oktaretry/internal/show"
)

// StopReason is why a call ended.
type StopReason uint8

const (
	StopNone          StopReason = iota // it has not ended
	StopSuccess                         // Okta answered 2xx or 3xx
	StopFailFast                        // the rule is to fail fast: waiting cannot help
	StopMaxAttempts                     // the rule's MaxAttempts are used up
	StopMaxElapsed                      // the next wait would not fit into the rule's MaxElapsed
	StopDeadline                        // the next wait would not fit before the context's deadline, or that passed in an attempt
	StopCanceled                        // the caller's context ended, other than by a deadline in an attempt
	StopNotIdempotent                   // sending again could do the work twice
	StopNotReplayable                   // the body cannot be sent again, or its signature could not
	StopNoRetry                         // WithNoRetry
	StopBudget                          // the retry budget is empty
	StopCircuitOpen                     // a circuit is open
	StopNoPollTarget                    // a pending answer without a link to its result, of a request that must not be repeated
	StopPrepareFailed                   // the WithPrepareRetry hook returned an error
	StopInvalid                         // the request or its options were refused before anything was sent
	StopMaxWait                         // the line of the bucket is longer than Pace.MaxWait
)

var stopNames = [...]string{
	"none", "success", "fail-fast", "max-attempts", "max-elapsed", "deadline", "canceled", "not-idempotent",
	"not-replayable", "no-retry", "budget", "circuit-open", "no-poll-target", "prepare-failed", "invalid", "max-wait",
}

// String returns the reason's name, as telemetry shows it.
func (s StopReason) String() string {
	if int(s) < len(stopNames) {
		return stopNames[s]
	}
	return "unknown"
}

// WaitReason is what a call waited for. A call in line waits for what the first of
// its line waits for.
type WaitReason uint8

const (
	WaitNone WaitReason = iota
	// WaitRateLimit is for what Okta named: a 429, of this call or of another one of
	// the bucket, or a window of which Okta's headers say that nothing is left.
	WaitRateLimit
	// WaitLearning is for the answers of calls in flight, because it is not known what
	// the bucket has left: it is new, its window is over and one call finds out about
	// the next, a refusal is doubtful, or the calls in flight may have used the last
	// places. It is the library's own caution and lasts a second at most each time.
	// With [WithShared] it is for the store's answer as well.
	WaitLearning
	// WaitTurn is for the calls before this one, and for the distance between two,
	// though the bucket has places: after a wait of all, with Pace.Smooth, or because
	// other processes hold the places. It is the library's own caution.
	WaitTurn
	// WaitCeiling is for a limit of the user's own: Pace.MaxRate, BucketRates, or the
	// share of a window that Pace.MaxUtilization leaves to others.
	WaitCeiling
	// WaitConcurrency is for a call to end, because too many are in flight: more than
	// Pace.MaxInFlight, or than Okta accepts; and before sending again what Okta
	// refused for that.
	WaitConcurrency
	WaitBackoff // before sending again after an error
	WaitPoll    // before polling a pending answer

	waitReasons = iota
)

var waitNames = [...]string{"none", "rate-limit", "learning", "turn", "ceiling", "concurrency", "backoff", "poll"}

// String returns the reason's name, as telemetry shows it.
func (w WaitReason) String() string {
	if int(w) < len(waitNames) {
		return waitNames[w]
	}
	return "unknown"
}

// Wait is one wait of a call. A wait in line whose reason changes while it lasts is
// several, one for each reason, whose sum is the time in line.
type Wait struct {
	Reason   WaitReason
	Duration time.Duration
}

// Attempt is a request that was sent, and its answer.
type Attempt struct {
	// Classification is the meaning of the answer; its Class is ClassNetwork if
	// there was none.
	Classification
	Start    time.Time
	Duration time.Duration // until the response headers, or the error
	Waits    []Wait        // before the attempt
	Poll     bool          // it requested the result of a pending answer
	Err      error         // the network error; nil if there was an answer
}

// Outcome is how a call went. It embeds the classification of the last answer; if
// there was none, its Class is ClassRateLimited where the bucket was closed, else
// ClassNetwork. An Outcome never changes.
type Outcome struct {
	Classification
	Method   string
	Host     string
	Template string // the path with the names of its parameters for their values
	Bucket   string // the rate-limit bucket, see [BucketState]; "" if Okta does not limit it
	Attempts []Attempt
	Stop     StopReason
	// Needed is the wait that was not begun, with StopDeadline, StopMaxElapsed and
	// StopMaxWait; the rest of the wait for a bucket, with StopCanceled; or the
	// time until the circuit sends a probe, with StopCircuitOpen.
	Needed  time.Duration
	Start   time.Time
	Elapsed time.Duration
	Waits   []Wait // after the last attempt, or without any
	Err     error  // that RoundTrip returned; nil if it returned a response
}

// Waited returns the sum of the call's waits.
func (o Outcome) Waited() time.Duration {
	var d time.Duration
	for _, a := range o.Attempts {
		for _, w := range a.Waits {
			d += w.Duration
		}
	}
	for _, w := range o.Waits {
		d += w.Duration
	}
	return d
}

// Recorder records the outcomes of a context's calls. It is safe for concurrent
// use. [WithRecorder] makes it; the zero value and nil have no outcomes.
type Recorder struct {
	mu       sync.Mutex
	outcomes []Outcome
}

// recorderCap bounds the memory of a Recorder during a long sync.
const recorderCap = 1000

// WithRecorder returns a context whose calls are recorded, and their recorder. It
// gives a caller the code of an error that the SDK has flattened to a string:
//
//	ctx, rec := oktaretry.WithRecorder(ctx)
//	user, _, err := client.UserAPI.GetUser(ctx, id).Execute()
//	if out, ok := rec.Outcome(); ok && out.Class == oktaretry.ClassRateLimited { … }
//
// It replaces a recorder that ctx has already.
func WithRecorder(ctx context.Context) (context.Context, *Recorder) {
	r := new(Recorder)
	return withCallOptions(ctx, func(o *callOptions) { o.recorder = r }), r
}

// Outcome returns the outcome of the call that ended last; false if none has
// ended.
func (r *Recorder) Outcome() (Outcome, bool) {
	if r == nil {
		return Outcome{}, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.outcomes) == 0 {
		return Outcome{}, false
	}
	return r.outcomes[len(r.outcomes)-1].clone(), true
}

// Outcomes returns the outcomes of all calls in the order of their ends; of more
// than 1,000, the last 1,000.
func (r *Recorder) Outcomes() []Outcome {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	outcomes := slices.Clone(r.outcomes[max(0, len(r.outcomes)-recorderCap):])
	for i := range outcomes {
		outcomes[i] = outcomes[i].clone()
	}
	return outcomes
}

// String returns how many outcomes there are; what they hold of error bodies is for
// those who ask for it.
func (r *Recorder) String() string {
	if r == nil {
		return "oktaretry.Recorder of 0 outcomes"
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return fmt.Sprintf("oktaretry.Recorder of %d outcomes", min(len(r.outcomes), recorderCap))
}

// Format prints the text of String by every verb: any other would print the fields.
func (r *Recorder) Format(s fmt.State, verb rune) { show.Format(s, verb, r.String()) }

func (r *Recorder) add(o Outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.outcomes) == 2*recorderCap { // rarely, for it moves them all
		n := copy(r.outcomes, r.outcomes[recorderCap:])
		clear(r.outcomes[n:])
		r.outcomes = r.outcomes[:n]
	}
	r.outcomes = append(r.outcomes, o)
}

type outcomeKey struct{}

// OutcomeOf returns the outcome of the call that returned resp; false if resp is
// not a [Transport]'s. It is found by the context of resp.Request, so it also works
// on the response that an SDK returns after reading its body. OutcomeOf is safe for
// concurrent use.
func OutcomeOf(resp *http.Response) (Outcome, bool) {
	if resp == nil || resp.Request == nil {
		return Outcome{}, false
	}
	d, ok := resp.Request.Context().Value(outcomeKey{}).(*dispatch)
	if !ok {
		return Outcome{}, false
	}
	return d.outcome(), true
}

// dispatch is an exchange, and what its response refers to once that is the
// caller's. Every attempt needs one, so it is a single allocation.
type dispatch struct {
	exchange.Exchange
	shown   http.Request // the response's Request
	context answerContext
	summary summary
}

// answerContext is the context of a response's request: the caller's, as with
// net/http, so that it does not end with the attempt, and the call's outcome as a
// value.
type answerContext struct {
	context.Context
	dispatch *dispatch
}

func (c *answerContext) Value(key any) any {
	if _, ok := key.(outcomeKey); ok {
		return c.dispatch
	}
	return c.Context.Value(key)
}

// summary is the Outcome of a call that returned a response, in little memory.
type summary struct {
	class   Class
	stop    StopReason
	status  int32
	code    string
	id      string
	error   *APIError
	origin  *endpoint
	bucket  string
	lead    time.Duration // from the start of the call to that of its last attempt
	elapsed time.Duration
	took    time.Duration // the first attempt
	more    *history      // nil for a call of one attempt without a wait
}

// history is the rest of the outcome of a call with waits or several attempts.
type history struct {
	attempts []Attempt
	waits    []Wait
	needed   time.Duration
}

// conclude keeps the outcome of req's call, whose response is d's, and returns the
// response's request.
func (d *dispatch) conclude(o *Outcome, origin *endpoint, req *http.Request) *http.Request {
	d.summary = summary{
		class: o.Class, stop: o.Stop, status: int32(o.Status), code: o.Code, id: o.RequestID, error: o.Error,
		origin: origin, bucket: o.Bucket, lead: d.Began.Sub(o.Start), elapsed: o.Elapsed, took: o.Attempts[0].Duration,
	}
	if len(o.Attempts) > 1 || len(o.Attempts[0].Waits) > 0 || len(o.Waits) > 0 || o.Needed > 0 || !o.Attempts[0].Start.Equal(d.Began) {
		// A later call reuses the slice of attempts.
		d.summary.more = &history{slices.Clone(o.Attempts), o.Waits, o.Needed}
	}
	d.context = answerContext{req.Context(), d}
	d.shown = *d.Request.WithContext(&d.context)
	if d.shown.Body == exchange.Sole {
		d.shown.Body = nil
	}
	return &d.shown
}

// outcome returns the outcome that conclude kept.
func (d *dispatch) outcome() Outcome {
	s := &d.summary
	o := Outcome{
		Classification: Classification{Class: s.class, Code: s.code, Status: int(s.status), RequestID: s.id, Error: s.error},
		Method:         s.origin.key.method, Host: s.origin.key.host, Template: s.origin.key.template, Bucket: s.bucket,
		Stop: s.stop, Start: d.Began.Add(-s.lead), Elapsed: s.elapsed,
	}
	if s.more != nil {
		o.Attempts, o.Waits, o.Needed = s.more.attempts, s.more.waits, s.more.needed
		return o.clone()
	}
	o.Attempts = []Attempt{{Classification: o.Classification, Start: d.Began, Duration: s.took}}
	return o
}

// clone returns an outcome that shares no slice with o.
func (o Outcome) clone() Outcome {
	o.Attempts, o.Waits = slices.Clone(o.Attempts), slices.Clone(o.Waits)
	for i := range o.Attempts {
		o.Attempts[i].Waits = slices.Clone(o.Attempts[i].Waits)
	}
	return o
}

// hasFailed reports whether a call ended in an error, or in an answer that is one.
func hasFailed(o *Outcome, left bool) bool {
	return (o.Status >= 400 || o.Err != nil) && !(o.Stop == StopCanceled && left)
}

// isGivenUp reports whether a call came to nothing. A client error is the caller's own
// matter.
func isGivenUp(o *Outcome, left bool) bool {
	return hasFailed(o, left) && (o.Err != nil || o.Class != ClassClientError)
}

// givenUp holds the last calls that came to nothing.
type givenUp struct {
	log recent.Log[refusedCall, Outcome]
}

// refusedCall is what calls have in common that are refused with nothing sent.
type refusedCall struct {
	origin *endpoint
	stop   StopReason
}

// add records a call that has ended, if it was given up. A refused one costs no
// allocation: there can be many.
func (g *givenUp) add(o *Outcome, origin *endpoint, left bool) {
	if !isGivenUp(o, left) {
		return
	}
	var key refusedCall
	if len(o.Attempts) == 0 && origin != nil {
		key = refusedCall{origin, o.Stop}
	}
	g.log.Add(key, o.lasting())
}

// maxLasting bounds the attempts that are kept of a call given up.
const maxLasting = 100

// lasting returns an outcome that keeps nothing of the call alive: no answer's body,
// no error that the base or the caller made, no memory that another call uses.
func (o *Outcome) lasting() Outcome {
	l := *o
	l.Code, l.Error, l.Err, l.Waits = shownCode(o.Code), nil, lastingError(o.Err), nil
	if len(o.Waits) > 0 {
		l.Waits = slices.Clone(o.Waits)
	}
	l.Attempts = nil
	if n := len(o.Attempts); n > 0 {
		l.Attempts = slices.Clone(o.Attempts[max(0, n-maxLasting):])
	}
	for i := range l.Attempts {
		a := &l.Attempts[i]
		a.Code, a.Error, a.Err, a.Waits = shownCode(a.Code), nil, lastingError(a.Err), slices.Clone(a.Waits)
	}
	return l
}

// lastingError returns err without what others made: of an error that is not this
// package's, its name in known words is left.
func lastingError(err error) error {
	switch e := err.(type) {
	case nil, *CircuitOpenError:
		return err
	case *RateLimitError:
		own := *e
		own.cause = onlyDeadline(e.cause)
		return &own
	case *PendingError:
		own := *e
		own.cause = onlyDeadline(e.cause)
		return &own
	}
	return &discreetError{text: errorName(err)}
}

// onlyDeadline returns err if it is that of a deadline, which nobody made.
func onlyDeadline(err error) error {
	if err == context.DeadlineExceeded {
		return err
	}
	return nil
}
