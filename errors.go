// This file holds the errors that a Transport returns, and whose failure an error of
// its base is. The texts of its own have host, path template, code and request id:
// never a path, a query or a summary.

package oktaretry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/oktaretry/oktaretry/internal/exchange"
	"github.com/oktaretry/oktaretry/internal/fault"
	"github.com/oktaretry/oktaretry/internal/show"
	"github.com/oktaretry/oktaretry/internal/telemetry"
)

// RateLimitError is the error of a call given up because of a rate limit: Okta
// answered 429 and no further wait fits, or the bucket is closed for longer than
// the call can wait and nothing was sent (ClientSide).
//
// It also matches [context.DeadlineExceeded] if the context's deadline was the
// reason, and the context's cause if the context ended a wait.
type RateLimitError struct {
	Code       string // Okta's code; "" if ClientSide or if there was none
	RequestID  string
	Method     string
	Host       string
	Template   string
	Bucket     string
	Limit      int           // the bucket's limit in the last answer; -1 if unknown
	Reset      time.Time     // when the bucket opens again, on the local clock; zero if unknown
	RetryAfter time.Duration // the wait before the next call
	ClientSide bool          // this library refused the call; nothing was sent
	Attempts   int           // requests sent
	Stop       StopReason
	cause      error
	left       time.Duration // until the deadline, with StopDeadline
}

func (e *RateLimitError) Error() string { return e.text() }

func (e *RateLimitError) text() string {
	var b strings.Builder
	if e.ClientSide {
		b.WriteString("oktaretry: rate limit (refused client-side, nothing was sent)")
	} else {
		b.WriteString("oktaretry: rate limited")
	}
	describe(&b, e.Code, e.RequestID, e.Method, e.Host, e.Template)
	if e.Stop == StopDeadline {
		appendUnfit(&b, e.RetryAfter, e.left)
	} else {
		fmt.Fprintf(&b, ": retry after %s", round(e.RetryAfter))
	}
	if e.Attempts > 1 {
		fmt.Fprintf(&b, ", gave up after %d attempts", e.Attempts)
	}
	fmt.Fprintf(&b, " (%s)", e.Stop)
	if e.Stop != StopDeadline {
		appendCause(&b, e.cause)
	}
	return b.String()
}

// Unwrap returns the context's error, if that is why the call was given up.
func (e *RateLimitError) Unwrap() error { return e.cause }

// Timeout reports whether the context's deadline was the reason.
func (e *RateLimitError) Timeout() bool { return errors.Is(e.cause, context.DeadlineExceeded) }

// ErrorType is the error.type of OpenTelemetry's semantic conventions.
func (e *RateLimitError) ErrorType() string { return "rate_limited" }

// CircuitOpenError is the error of a call refused because its endpoint, itself or its
// host has been failing. Nothing was sent.
type CircuitOpenError struct {
	Scope      Scope // of the circuit that refused: TripsEndpoint or TripsHost
	Method     string
	Host       string
	Template   string
	RetryAfter time.Duration // until the circuit sends a probe

	// Class, Code and Failure are of the failure that opened the circuit, or failed
	// its latest probe. The call's Outcome has the same Class and Code. Where another
	// process opened it, the Class is ClassNetwork and the others are empty.
	Class   Class
	Code    string // Okta's code; "" if there was none
	Failure string // the status, or the kind of an error: "503", "timeout", "connection refused"
	// Since is when the circuit opened, or when this process learned that another's
	// had; on the local clock.
	Since time.Time
}

func (e *CircuitOpenError) Error() string { return e.text() }

func (e *CircuitOpenError) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "oktaretry: %s circuit open (refused client-side, nothing was sent) for %s %s%s: retry after %s",
		e.Scope, telemetry.ShownMethod(e.Method), e.Host, e.Template, round(e.RetryAfter))
	if e.Failure != "" {
		fmt.Fprintf(&b, "; open since %s for %s failures: %s", e.Since.UTC().Format(time.RFC3339), e.Class, e.Failure)
		if code := shownCode(e.Code); code != "" {
			b.WriteString(" " + code)
		}
	}
	return b.String()
}

// ErrorType is the error.type of OpenTelemetry's semantic conventions.
func (e *CircuitOpenError) ErrorType() string { return "circuit_open" }

// PendingError is the error of a call whose polls ended without a result: the user
// has not answered the factor's challenge, and may still do so later.
//
// It also matches [context.DeadlineExceeded] if the context's deadline was the
// reason, and the context's cause if the context ended a wait.
type PendingError struct {
	Code       string // E0000070, or "" for a factorResult WAITING
	RequestID  string
	Method     string
	Host       string
	Template   string
	RetryAfter time.Duration // the interval for further polls
	Polls      int           // polls sent
	Stop       StopReason
	cause      error
	left       time.Duration // until the deadline, with StopDeadline
}

func (e *PendingError) Error() string { return e.text() }

func (e *PendingError) text() string {
	var b strings.Builder
	b.WriteString("oktaretry: still pending")
	describe(&b, e.Code, e.RequestID, e.Method, e.Host, e.Template)
	if e.Stop == StopDeadline {
		appendUnfit(&b, e.RetryAfter, e.left)
		b.WriteString(",")
	} else {
		b.WriteString(":")
	}
	fmt.Fprintf(&b, " gave up after %d polls (%s)", e.Polls, e.Stop)
	if e.Stop != StopDeadline {
		appendCause(&b, e.cause)
	}
	return b.String()
}

// Unwrap returns the context's error, if that is why the call was given up.
func (e *PendingError) Unwrap() error { return e.cause }

// Timeout reports whether the context's deadline was the reason.
func (e *PendingError) Timeout() bool { return errors.Is(e.cause, context.DeadlineExceeded) }

// ErrorType is the error.type of OpenTelemetry's semantic conventions.
func (e *PendingError) ErrorType() string { return "pending" }

func describe(b *strings.Builder, code, requestID, method, host, template string) {
	if code = shownCode(code); code != "" {
		b.WriteString(" " + code)
	}
	fmt.Fprintf(b, " for %s %s%s", telemetry.ShownMethod(method), host, template)
	if requestID = shownID(requestID); requestID != "" {
		b.WriteString(" (request id " + requestID + ")")
	}
}

// appendUnfit describes a wait that was not begun, or not continued, because it would
// not have ended before the deadline.
func appendUnfit(b *strings.Builder, needs, left time.Duration) {
	fmt.Fprintf(b, ": gave up without waiting: needs %s, context has %s left", round(needs), round(left))
}

func appendCause(b *strings.Builder, cause error) {
	if cause != nil {
		b.WriteString(": " + cause.Error())
	}
}

func round(d time.Duration) time.Duration {
	if d > time.Second {
		return d.Round(100 * time.Millisecond)
	}
	return d.Round(time.Millisecond)
}

// requestError is an error about the request itself; nothing was sent.
type requestError struct{ problem string }

func (e *requestError) Error() string { return "oktaretry: invalid request: " + e.problem }

// zeroTransportError is the error of a Transport that NewTransport has not made.
type zeroTransportError struct{}

func (*zeroTransportError) Error() string {
	return "oktaretry: a zero Transport sends nothing: make one with NewTransport"
}

// attemptTimeoutError is the network error of an attempt without response headers
// within Policy.AttemptTimeout. It is a net.Error, and does not match
// context.DeadlineExceeded: the caller's own deadline has not passed.
type attemptTimeoutError struct {
	timeout time.Duration
	where   string
}

func (e *attemptTimeoutError) Error() string {
	return fmt.Sprintf("oktaretry: no response headers within %s from %s", e.timeout, e.where)
}
func (e *attemptTimeoutError) Timeout() bool   { return true }
func (e *attemptTimeoutError) Temporary() bool { return true }

// interruptedError is the error of a call whose context ended while it waited for a
// resend after an error. It matches the context's error and cause.
type interruptedError struct {
	text  string
	cause error
}

func (e *interruptedError) Error() string { return e.text + ": " + e.cause.Error() }
func (e *interruptedError) Unwrap() error { return e.cause }

// endOfContext returns the error of ctx if it is why the call stopped.
func endOfContext(ctx context.Context, stop StopReason) error {
	switch stop {
	case StopDeadline:
		return context.DeadlineExceeded
	case StopCanceled:
		return causeOf(ctx)
	}
	return nil
}

// causeOf returns why ctx ended, as an error that matches its cause and ctx.Err().
func causeOf(ctx context.Context) error {
	return matching(clean(context.Cause(ctx)), ctx.Err())
}

// matching returns an error with err's text that matches both err and ended, the
// error of a context.
func matching(err, ended error) error {
	if errors.Is(err, ended) {
		return err
	}
	return &canceledError{cause: err, err: ended}
}

// canceledError is the error of a context that ended with a cause of its own.
type canceledError struct{ cause, err error }

func (e *canceledError) Error() string   { return e.cause.Error() }
func (e *canceledError) Unwrap() []error { return []error{e.cause, e.err} }

func (e *RateLimitError) discreet()      {}
func (e *CircuitOpenError) discreet()    {}
func (e *PendingError) discreet()        {}
func (e *requestError) discreet()        {}
func (*zeroTransportError) discreet()    {}
func (e *attemptTimeoutError) discreet() {}
func (e *interruptedError) discreet()    {}

// errorKindName returns the part of the network that an error is about, as error.type
// shows it; "" if it is not about the network.
func errorKindName(err error) string {
	if isLost(err) {
		return fault.KindConnection
	}
	return fault.Kind(err)
}

// errorType returns the error.type of an error, as telemetry shows it; "" for nil.
func errorType(err error) string {
	var typed interface{ ErrorType() string }
	switch {
	case err == nil:
		return ""
	case errors.As(err, &typed):
		return typed.ErrorType()
	case errors.Is(err, context.Canceled):
		return "canceled"
	}
	if kind := errorKindName(err); kind != "" {
		return kind
	}
	return "_OTHER"
}

// errorName returns what an error is in known words, without its text, which other
// packages may have filled; "" for nil.
func errorName(err error) string {
	var typed interface{ ErrorType() string }
	switch {
	case err == nil:
		return ""
	case errors.As(err, &typed):
		return strings.ReplaceAll(typed.ErrorType(), "_", " ")
	case errors.Is(err, context.Canceled):
		return "canceled"
	case isLost(err):
		return "connection lost"
	}
	return fault.Name(err)
}

// shownErrorAttrs are the attributes that the errors of a call have in common.
func shownErrorAttrs(err error, code, requestID, method, host, template string) (a show.Attrs) {
	a.Text("error_type", errorType(err))
	a.Text("code", shownCode(code))
	a.Text("request_id", shownID(requestID))
	a.Text("method", telemetry.ShownMethod(method))
	a.Text("host", host)
	a.Text("template", template)
	return a
}

func (e RateLimitError) shown() show.Attrs {
	a := shownErrorAttrs(&e, e.Code, e.RequestID, e.Method, e.Host, e.Template)
	a.Text("bucket", e.Bucket)
	a.IntIf("limit", e.Limit, e.Limit > 0)
	a.Time("reset", e.Reset)
	a.Seconds("retry_after_seconds", e.RetryAfter)
	a.True("client_side", e.ClientSide)
	a.Int("attempts", e.Attempts)
	a.Text("stop", e.Stop.String())
	return a
}

func (e RateLimitError) String() string                { return e.text() }
func (e RateLimitError) Format(s fmt.State, verb rune) { show.Format(s, verb, e.text()) }
func (e RateLimitError) LogValue() slog.Value          { return group(e.shown()) }
func (e RateLimitError) MarshalJSON() ([]byte, error)  { return e.shown().JSON() }
func (e RateLimitError) MarshalText() ([]byte, error)  { return []byte(e.text()), nil }

func (e CircuitOpenError) shown() show.Attrs {
	a := shownErrorAttrs(&e, e.Code, "", e.Method, e.Host, e.Template)
	a.Text("scope", e.Scope.String())
	a.Text("class", e.Class.String())
	a.Text("failure", e.Failure)
	a.Time("since", e.Since)
	a.Seconds("retry_after_seconds", e.RetryAfter)
	return a
}

func (e CircuitOpenError) String() string                { return e.text() }
func (e CircuitOpenError) Format(s fmt.State, verb rune) { show.Format(s, verb, e.text()) }
func (e CircuitOpenError) LogValue() slog.Value          { return group(e.shown()) }
func (e CircuitOpenError) MarshalJSON() ([]byte, error)  { return e.shown().JSON() }
func (e CircuitOpenError) MarshalText() ([]byte, error)  { return []byte(e.text()), nil }

func (e PendingError) shown() show.Attrs {
	a := shownErrorAttrs(&e, e.Code, e.RequestID, e.Method, e.Host, e.Template)
	a.Seconds("retry_after_seconds", e.RetryAfter)
	a.Int("polls", e.Polls)
	a.Text("stop", e.Stop.String())
	return a
}

func (e PendingError) String() string                { return e.text() }
func (e PendingError) Format(s fmt.State, verb rune) { show.Format(s, verb, e.text()) }
func (e PendingError) LogValue() slog.Value          { return group(e.shown()) }
func (e PendingError) MarshalJSON() ([]byte, error)  { return e.shown().JSON() }
func (e PendingError) MarshalText() ([]byte, error)  { return []byte(e.text()), nil }

// Of the errors without a name %#v would print what they wrap.
func (e *interruptedError) Format(s fmt.State, verb rune) { show.Format(s, verb, e.Error()) }
func (e *canceledError) Format(s fmt.State, verb rune)    { show.Format(s, verb, e.Error()) }
func (e *discreetError) Format(s fmt.State, verb rune)    { show.Format(s, verb, e.text) }

// ErrorKind is what an error of the base means to [Policy].Network and to the
// circuits: see [WithErrorClassifier].
type ErrorKind uint8

const (
	ErrorDefault ErrorKind = iota // as the library thinks
	ErrorNeutral                  // counts against no circuit; resent by its rule
	ErrorFinal                    // counts against no circuit; handed back at once
)

// errorFacts are what is known of an attempt that ended with an error.
type errorFacts struct {
	host       string                // that it was sent to
	queued     bool                  // it was in the base's own queue
	hung       bool                  // until its own time limit
	spoilt     bool                  // the caller's body could not be read
	classifier func(error) ErrorKind // the user's; nil: none
}

// errorKind returns what an error of the base means besides what terminal and
// neverSent find out. Only what met the network is the host's failure: what a layer
// below, the caller's body or the client's own queue has failed would be the same of
// any host, and is final unless it says itself that it passes.
func errorKind(err error, f errorFacts) ErrorKind {
	var (
		limited *RateLimitError
		open    *CircuitOpenError
		pending *PendingError
	)
	if errors.As(err, &limited) || errors.As(err, &open) || errors.As(err, &pending) {
		return ErrorFinal // of another Transport below
	}
	if f.classifier != nil {
		if kind := f.classifier(err); kind != ErrorDefault {
			return kind
		}
	}
	switch {
	case f.queued:
		return ErrorNeutral
	case f.hung, isLost(err):
		return ErrorDefault
	case f.spoilt, fault.RequestRefused(err):
		return ErrorFinal
	case fault.OfAnotherHost(err, f.host):
		return ErrorNeutral
	case fault.OfNetwork(err):
		return ErrorDefault
	case fault.Passing(err):
		return ErrorNeutral
	}
	return ErrorFinal
}

// isLost reports whether HTTP/2 lost or refused the request.
func isLost(err error) bool {
	var lost *exchange.LostError
	return errors.As(err, &lost)
}
