// This file holds what an attempt brought, and what it means to rate limits and
// circuits.

package oktaretry

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/oktaretry/oktaretry/internal/circuit"
	"github.com/oktaretry/oktaretry/internal/exchange"
	"github.com/oktaretry/oktaretry/internal/fault"
	"github.com/oktaretry/oktaretry/internal/pace"
	"github.com/oktaretry/oktaretry/internal/wire"
)

// answer is what an attempt brought: a response or an error.
type answer struct {
	Classification
	resp     *http.Response
	dispatch *dispatch // that brought it
	err      error
	canceled bool // the caller's context ended the attempt
	moved    bool // a poll's redirect, which is pending
	broken   bool // off in its body: err says how
	stale    bool // the call's first, of a kept connection that was closed: no sign of an outage
	expired  bool // by its deadline
	neutral  bool // the error is not the host's failure
	lone     bool // cut off on its way, while other endpoints are well
	sent     time.Time
	arrived  time.Time
	limits   wire.Limits
	rule     Rule
	tally    *tally
	wait     time.Duration // before the next attempt, by the rule
	spread   time.Duration // added to it where no bucket's line spreads the calls
	held     bool          // the bucket holds all its calls that long

	bucketWait time.Duration // of a rate limit: before any call of its bucket
}

func (a *answer) any() bool { return a.resp != nil || a.err != nil }

// readAhead reads the body of an answer of up to most bytes, until ctx ends. If that
// breaks off, the answer is an error of the network.
func (a *answer) readAhead(ctx context.Context, most int64) {
	err := exchange.ReadAhead(ctx, a.resp, most)
	if err == nil {
		return
	}
	a.resp.Body.Close()
	a.resp, a.err, a.broken = nil, err, true
	a.Classification = Classification{Class: ClassNetwork, RequestID: a.RequestID}
}

// shown describes an answer in an error's text: "503 E0000009 (request id …)".
func (a *answer) shown() string {
	if a.resp == nil {
		return "a network error"
	}
	text := strconv.Itoa(a.Status)
	if a.Code != "" {
		text += " " + shownCode(a.Code)
	}
	if a.RequestID != "" {
		text += " (request id " + a.RequestID + ")"
	}
	return text
}

// The two circuits of an endpoint, by their places.
const (
	ofHost = iota
	ofEndpoint
)

// verdicts are what an attempt means to its two circuits.
type verdicts [2]circuit.Verdict

// both are one verdict for the two.
func both(v circuit.Verdict) verdicts { return verdicts{ofHost: v, ofEndpoint: v} }

// verdictsOf returns what an answer means to the two circuits. What was answered,
// hung, or was cut off on its way while others are well, speaks of its endpoint, and of
// the host only along with others.
func verdictsOf(a *answer) verdicts {
	switch {
	case a.Class == ClassSuccess, a.Class == ClassPending:
		return both(circuit.Healthy)
	case a.neutral, a.stale:
		return both(circuit.Neutral)
	case a.Class == ClassClientError && a.rule.Trips == TripsNothing:
		return both(circuit.Alive)
	case a.rule.Trips == TripsEndpoint:
		return verdicts{ofEndpoint: circuit.Failed}
	case a.rule.Trips == TripsHost && (a.resp != nil || a.hung() || a.expired || a.lone):
		return verdicts{ofHost: circuit.EndpointFailed, ofEndpoint: circuit.Failed}
	case a.rule.Trips == TripsHost:
		return verdicts{ofHost: circuit.Failed}
	}
	return both(circuit.Neutral)
}

// causeOfFailure returns what failed, as a CircuitOpenError names it.
func causeOfFailure(a *answer) circuit.Cause {
	why := circuit.Cause{Class: uint8(a.Class), Code: shownCode(a.Code), Failure: strconv.Itoa(a.Status)}
	switch {
	case isLost(a.err):
		why.Failure = "connection lost"
	case a.err != nil:
		why.Failure, why.Local = fault.Name(a.err), fault.Connecting(a.err)
	}
	return why
}

// cutOff reports whether the attempt's error came when the request may have been
// served: it was sent over a connection, and that, or its stream, ended before there
// was an answer.
func (a *answer) cutOff() bool { return !a.NotSent && !fault.Connecting(a.err) }

// hung reports whether the attempt's own time limit ended it.
func (a *answer) hung() bool {
	_, late := a.err.(*attemptTimeoutError)
	return late
}

// seenOf returns what an answer shows of its bucket.
func seenOf(a *answer) pace.Seen {
	seen := pace.Seen{
		Limit: a.limits.Limit, Remaining: a.limits.Remaining, Reset: a.limits.Reset, Answered: a.resp != nil || a.broken,
		Marked: a.RequestID != "" || a.Code != "",
	}
	switch a.Class {
	case ClassRateLimited:
		if local(a.Code) {
			break // it is not the bucket's
		}
		seen.Refused = true
		// 0/0 is the answer of a limit of calls in flight and describes no bucket.
		if seen.Slots = a.limits.Concurrency(); !seen.Slots {
			seen.Hold = a.arrived.Add(a.bucketWait)
		}
	case ClassSuccess, ClassPending, ClassClientError:
		seen.Accepted = true
	}
	return seen
}

// limitKind returns what a rate limit limits, as metrics show it.
func limitKind(a *answer) string {
	switch {
	case local(a.Code):
		return "resource"
	case a.limits.Concurrency():
		return "concurrency"
	}
	return "bucket"
}

// local reports whether a rate limit's code speaks of less than a bucket.
func local(code string) bool {
	e, ok := lookup(code)
	return ok && e.local
}
