// This file holds what happened to a call, and how a caller gets at it: by the
// response, or by a recorder in the context, which works through SDKs that
// flatten errors.

package oktaretry

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/oktaretry/oktaretry/internal/exchange"
)

// StopReason says why a call ended as it did.
type StopReason uint8

const (
	StopNone          StopReason = iota // it has not ended
	StopSuccess                         // Okta answered 2xx or 3xx
	StopFailFast                        // the rule says that waiting cannot help
	StopMaxAttempts                     // the rule's MaxAttempts are used up
	StopMaxElapsed                      // the next wait would not fit into the rule's MaxElapsed
	StopDeadline                        // the next wait would not fit before the context's deadline
	StopCanceled                        // the caller's context ended
	StopNotIdempotent                   // sending again could do the work twice
	StopNotReplayable                   // the body cannot be sent again, or its signature could not
	StopNoRetry                         // WithNoRetry
	StopBudget                          // the retry budget is empty
	StopCircuitOpen                     // a circuit is open
	StopNoPollTarget                    // a pending answer that names no place to ask, of a request that must not be repeated
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

// WaitReason says what a call waited for.
type WaitReason uint8

const (
	WaitNone        WaitReason = iota
	WaitRateLimit              // Okta's rate limit: this call's own 429, or one that another call of the bucket met
	WaitCeiling                // the user's Pace.MaxRate
	WaitConcurrency            // too many calls to the host are in flight
	WaitBackoff                // before sending again after an error
	WaitPoll                   // before asking again for a pending answer

	waitReasons = iota
)

var waitNames = [...]string{"none", "rate-limit", "ceiling", "concurrency", "backoff", "poll"}

// String returns the reason's name, as telemetry shows it.
func (w WaitReason) String() string {
	if int(w) < len(waitNames) {
		return waitNames[w]
	}
	return "unknown"
}

// Wait is one time that a call stood still.
type Wait struct {
	Reason   WaitReason
	Duration time.Duration
}

// Attempt is one request that was sent, and its answer.
type Attempt struct {
	// Classification is what the answer meant; its Class is ClassNetwork when
	// there was none.
	Classification
	Start    time.Time
	Duration time.Duration // until the response headers, or the error
	Waits    []Wait        // what the call waited for before this attempt
	Poll     bool          // it asked for the result of a pending answer
	Err      error         // the network error; nil when there was an answer
}

// Outcome is what happened to one call. Its last answer's classification is
// embedded; of a call that had none, its Class is ClassRateLimited if the
// bucket was closed, else ClassNetwork. It is a value of its own: nothing
// changes it later.
type Outcome struct {
	Classification
	Method   string
	Host     string
	Template string // the path with its parameters' names in the place of their values
	Bucket   string // the rate-limit bucket; "" when Okta doesn't limit it
	Attempts []Attempt
	Stop     StopReason
	// Needed is the wait that was not begun because it did not fit, with
	// StopDeadline, StopMaxElapsed and StopMaxWait; what was left of the wait for a bucket,
	// with StopCanceled; or the time until the circuit lets a probe out, with
	// StopCircuitOpen.
	Needed  time.Duration
	Start   time.Time
	Elapsed time.Duration
	Waits   []Wait // after the last attempt, or of a call that was never sent
	Err     error  // what RoundTrip returned; nil when it returned a response
}

// Waited returns how much of the call's time was waiting.
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

// Recorder keeps what happened to the calls of a context. It is safe for
// concurrent use.
type Recorder struct {
	mu       sync.Mutex
	outcomes []Outcome
}

// recorderCap bounds a Recorder that a long sync carries along.
const recorderCap = 1000

// WithRecorder returns a context whose calls are recorded. It is how a caller
// learns the code of an error that the SDK has flattened to a string:
//
//	ctx, rec := oktaretry.WithRecorder(ctx)
//	user, _, err := client.UserAPI.GetUser(ctx, id).Execute()
//	if out, ok := rec.Outcome(); ok && out.Class == oktaretry.ClassRateLimited { … }
//
// A recorder further up the context stops seeing the calls.
func WithRecorder(ctx context.Context) (context.Context, *Recorder) {
	r := new(Recorder)
	return withCallOptions(ctx, func(o *callOptions) { o.recorder = r }), r
}

// Outcome returns what happened to the call that ended last; false when none
// has ended.
func (r *Recorder) Outcome() (Outcome, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.outcomes) == 0 {
		return Outcome{}, false
	}
	return r.outcomes[len(r.outcomes)-1].clone(), true
}

// Outcomes returns what happened to all calls in the order of their ends; of
// more than 1,000, the last 1,000.
func (r *Recorder) Outcomes() []Outcome {
	r.mu.Lock()
	defer r.mu.Unlock()
	outcomes := slices.Clone(r.outcomes[max(0, len(r.outcomes)-recorderCap):])
	for i := range outcomes {
		outcomes[i] = outcomes[i].clone()
	}
	return outcomes
}

func (r *Recorder) add(o Outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.outcomes) == 2*recorderCap { // not each time, or each would move them all
		n := copy(r.outcomes, r.outcomes[recorderCap:])
		clear(r.outcomes[n:])
		r.outcomes = r.outcomes[:n]
	}
	r.outcomes = append(r.outcomes, o)
}

type outcomeKey struct{}

// OutcomeOf returns what happened to the call that brought resp; false when
// resp did not come through a [Transport]. It reads resp.Request's context, so
// it also works on the response that an SDK hands out after reading its body.
// It is safe for concurrent use.
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

// dispatch is an exchange along with what its response refers to once that is
// the caller's. It is one piece of memory, since every attempt needs one.
type dispatch struct {
	exchange.Exchange
	shown   http.Request // the response's Request
	context answerContext
	summary summary
}

// answerContext is the context of a response's request: the caller's, as with
// net/http, so that it is still of use when the body was read, with the call's
// outcome as a value.
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

// summary is an Outcome of a call that brought a response, in little memory.
type summary struct {
	class   Class
	stop    StopReason
	status  int32
	code    string
	id      string
	error   *APIError
	origin  *endpoint
	bucket  string
	start   time.Time
	elapsed time.Duration
	took    time.Duration // the first attempt
	more    *history      // nil for a call that was over at its first attempt, without a wait
}

// history is the rest of the outcome of a call that was not over at once.
type history struct {
	attempts []Attempt
	waits    []Wait
	needed   time.Duration
}

// conclude keeps the outcome of the call of req that d's response is the answer
// of, and returns the response's request.
func (d *dispatch) conclude(o *Outcome, origin *endpoint, req *http.Request) *http.Request {
	d.summary = summary{
		class: o.Class, stop: o.Stop, status: int32(o.Status), code: o.Code, id: o.RequestID, error: o.Error,
		origin: origin, bucket: o.Bucket, start: o.Start, elapsed: o.Elapsed, took: o.Attempts[0].Duration,
	}
	if len(o.Attempts) > 1 || len(o.Attempts[0].Waits) > 0 || len(o.Waits) > 0 || o.Needed > 0 || !o.Attempts[0].Start.Equal(d.Began) {
		// The slice of attempts is used again by a later call.
		d.summary.more = &history{slices.Clone(o.Attempts), o.Waits, o.Needed}
	}
	d.context = answerContext{req.Context(), d}
	d.shown = *d.Request.WithContext(&d.context)
	return &d.shown
}

// outcome returns what conclude kept.
func (d *dispatch) outcome() Outcome {
	s := &d.summary
	o := Outcome{
		Classification: Classification{Class: s.class, Code: s.code, Status: int(s.status), RequestID: s.id, Error: s.error},
		Method:         s.origin.key.method, Host: s.origin.key.host, Template: s.origin.key.template, Bucket: s.bucket,
		Stop: s.stop, Start: s.start, Elapsed: s.elapsed,
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
