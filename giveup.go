// This file makes the errors of calls that are given up.

package oktaretry

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/oktaretry/oktaretry/internal/telemetry"
)

// refusal is the error of a call that sent nothing and has no answer in hand.
func (c *call) refusal(stop StopReason) error {
	switch {
	case stop == StopCircuitOpen:
		return &CircuitOpenError{
			Scope: c.refusedBy, Method: telemetry.ShownMethod(c.method), Host: c.target.Host, Template: c.route.Template,
			RetryAfter: c.needed,
		}
	case stop == StopCanceled && len(c.waits) == 0:
		return causeOf(c.ctx)
	}
	return c.rateLimitError(stop)
}

// rateLimitError is the error of a 429 that is given up, or of a bucket that is
// closed for too long.
func (c *call) rateLimitError(stop StopReason) error {
	a := &c.answer
	e := &RateLimitError{
		Code: shownCode(a.Code), RequestID: a.RequestID,
		Method: telemetry.ShownMethod(c.method), Host: c.target.Host, Template: c.route.Template, Bucket: c.route.Bucket,
		Limit: a.limits.Limit, ClientSide: a.resp == nil,
		Attempts: len(c.outcome.Attempts), Stop: stop, cause: c.endOfContext(stop),
	}
	from, left := a.arrived, a.wait
	if e.ClientSide {
		e.Limit = -1
	}
	if e.ClientSide || len(c.waits) > 0 {
		from = time.Now() // some of the wait is over, or it has become another
		left -= from.Sub(a.arrived)
	}
	e.RetryAfter = max(left, c.needed)
	e.Reset = from.Add(e.RetryAfter)
	return e
}

// pendingError is the error of a challenge that nobody has answered in time.
func (c *call) pendingError(stop StopReason) error {
	a := &c.answer
	polls := 0
	for i := range c.outcome.Attempts {
		if c.outcome.Attempts[i].Poll {
			polls++
		}
	}
	return &PendingError{
		Code: shownCode(a.Code), RequestID: a.RequestID,
		Method: telemetry.ShownMethod(c.method), Host: c.target.Host, Template: c.route.Template,
		RetryAfter: max(a.wait, c.needed), Polls: polls, Stop: stop, cause: c.endOfContext(stop),
	}
}

// interrupted is the error of a call whose context ended while it waited to be
// sent again after an error.
func (c *call) interrupted() error {
	return &interruptedError{
		text: fmt.Sprintf("oktaretry: gave up waiting to resend %s %s%s after %s",
			telemetry.ShownMethod(c.method), c.target.Host, c.route.Template, c.answer.describe()),
		cause: c.endOfContext(StopCanceled),
	}
}

// interruptedError says what the wait was for, and matches what ended it.
type interruptedError struct {
	text  string
	cause error
}

func (e *interruptedError) Error() string { return e.text + ": " + e.cause.Error() }
func (e *interruptedError) Unwrap() error { return e.cause }

// endOfContext is the context's part in stopping, if it had one.
func (c *call) endOfContext(stop StopReason) error {
	switch stop {
	case StopDeadline:
		return context.DeadlineExceeded
	case StopCanceled:
		return causeOf(c.ctx)
	}
	return nil
}

// describe names an answer in an error's text: "503 E0000009 (request id …)".
func (a *answer) describe() string {
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
