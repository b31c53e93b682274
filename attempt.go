// This file holds one attempt: the request that goes out, its time limit and
// its span.

package oktaretry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/oktaretry/oktaretry/internal/telemetry"
)

// attempt is what is known of the request on its way.
type attempt struct {
	*exchange                 // nil when none is on its way
	waits     []Wait          // before it
	reqBody   io.Closer       // the base closes it, unless something panics
	ctx       context.Context // with the span
	span      trace.Span      // nil until it is sent
	canceled  bool
	written   *written // nil unless it matters what was written
	record    *Attempt // in the call's outcome; nil until it is written down
}

// errPanicked stands in the outcome of a call that the base's panic ended.
var errPanicked = errors.New("oktaretry: the base transport, or a hook, panicked")

// send sends one attempt and notes what it brought. It stops the call when the
// request cannot be made again.
func (c *call) send() (*answer, StopReason) {
	a := &c.attempt
	x := new(exchange)
	sent := c.now
	*a = attempt{exchange: x, waits: c.waits}
	limit := c.attemptLimit()
	x.open(c.ctx, sent, limit)
	var ctx context.Context = x
	if !c.idempotent() {
		a.written = new(written)
		ctx = a.written.watch(ctx)
	}
	if stop := c.nextRequest(&x.request, ctx); stop != StopNone {
		a.exchange = nil
		return nil, stop
	}
	if !c.first() {
		x.began = time.Now() // making out a resend can take long, with a hook that signs it
	}
	if x.request.Body != nil {
		a.reqBody = x.request.Body // ours to close, should a sampler or a propagator panic
	}
	c.waits = nil
	c.withdrawn = false
	if len(c.outcome.Attempts) == 0 {
		c.endpoint.host.budget.deposit(sent)
	}
	closeResponse(c.answer.resp) // a better one is on its way
	if !c.first() {
		// The first time it is empty, as is all of a call that begins.
		c.answer = answer{}
	}
	c.answer.exchange, c.answer.sent = x, sent
	c.answer.limits.Limit, c.answer.limits.Remaining = -1, -1

	a.ctx, a.span = c.told.StartAttempt(c.where(), c.resends, c.polls > 0)
	x.Context = a.ctx
	c.told.Propagate(a.ctx, &x.request, c.first())
	resp, err := c.t.base.RoundTrip(&x.request)

	c.now = time.Now()
	c.answer.arrived = c.now
	late := x.settle(c.now)
	resp, err = checkAnswer(resp, err)
	switch {
	case late && c.ended() == nil:
		x.release() // first, for a Close may wait for it
		closeResponse(resp)
		resp, err = nil, &attemptTimeoutError{limit, c.target.Host + c.route.Template}
	case err != nil:
		a.canceled = c.ended() != nil
	}
	if resp != nil {
		resp.Body = x.wrap(resp.Body)
	} else {
		x.release()
	}
	c.answer.resp, c.answer.err, c.answer.canceled = resp, err, a.canceled
	if err != nil {
		c.answer.Classification = classifyNetwork(err, a.written)
	}
	return &c.answer, StopNone
}

// attemptLimit is how long the attempt may be without headers; 0: as long as it
// takes. A probe has less time: who asks a server that was down a minute ago
// should not wait another for nothing.
func (c *call) attemptLimit() time.Duration {
	limit := c.settings.policy.AttemptTimeout
	if c.permits[0].Probing() || c.permits[1].Probing() {
		limit = min(limit, c.settings.policy.Breaker.ProbeTimeout)
	}
	return limit
}

// first reports whether the request goes out for the first time, as the caller
// made it.
func (c *call) first() bool { return c.resends == 0 && c.polls == 0 }

// nextRequest makes out the request of the next attempt: the caller's, the
// caller's again, or a poll. The caller's own is never changed.
func (c *call) nextRequest(out *http.Request, ctx context.Context) StopReason {
	*out = *c.req.WithContext(ctx)
	if c.first() {
		out.Body, _ = c.body.Next(c.ctx) // the first one cannot fail
		if c.route.Token && c.hasBody {
			// Or else net/http might send an assertion twice on its own. SDK v6
			// replaces Body on its DPoP path and leaves the GetBody of the old one.
			out.GetBody = nil
		}
		return StopNone
	}
	if c.nextTarget != nil {
		out.Method, out.URL, out.Header = http.MethodGet, c.target, pollHeader(c.req.Header)
		out.Body, out.GetBody, out.ContentLength, out.TransferEncoding, out.Trailer = nil, nil, 0, nil, nil
	} else {
		body, err := c.body.Next(c.ctx)
		if err != nil {
			// The answer in hand is the caller's, unless there is none.
			if c.answer.resp == nil {
				c.failure = clean(err)
			}
			return StopNotReplayable
		}
		out.Body, out.Header = body, c.req.Header.Clone()
	}
	if c.resends > 0 {
		// Okta's SDKs mark their retries so, for Okta Support to see.
		out.Header.Set("X-Okta-Retry-Count", strconv.Itoa(c.resends))
		out.Header.Del("X-Okta-Retry-For")
		if id := c.answer.RequestID; id != "" {
			out.Header.Set("X-Okta-Retry-For", id)
		}
	}
	if c.t.prepareRetry != nil {
		return c.prepare(out)
	}
	return StopNone
}

// prepare has the user's hook sign a request anew.
func (c *call) prepare(out *http.Request) StopReason {
	// The hook may change the URL too, which is the caller's. The attempt's
	// context is not for it: that begins when the request is sent.
	own := out.Clone(c.ctx)
	if own.Body != nil {
		c.attempt.reqBody = own.Body
	}
	if err := c.t.prepareRetry(own); err != nil {
		if own.Body != nil {
			own.Body.Close()
		}
		c.failure = fmt.Errorf("oktaretry: preparing to resend %s %s%s after %s: %w",
			telemetry.ShownMethod(c.method), c.target.Host, c.route.Template, c.answer.describe(), clean(err))
		return StopPrepareFailed
	}
	*out = *own.WithContext(out.Context())
	return StopNone
}

// checkAnswer makes an error of what no RoundTripper may return.
func checkAnswer(resp *http.Response, err error) (*http.Response, error) {
	switch {
	case err != nil:
		closeResponse(resp)
		return nil, err
	case resp == nil:
		return nil, &brokenBaseError{"neither a response nor an error"}
	case resp.Body == nil:
		return nil, &brokenBaseError{"a response without a body"}
	}
	return resp, nil
}

// brokenBaseError is about a base that breaks the RoundTripper contract.
type brokenBaseError struct{ returned string }

func (e *brokenBaseError) Error() string {
	return "oktaretry: the base transport returned " + e.returned
}

// endAttempt ends the attempt, once its answer is classified: it is written
// down, counted and traced.
func (c *call) endAttempt() {
	a := &c.attempt
	if a.record == nil { // it is not, unless telling of it panicked
		c.outcome.Attempts = append(c.outcome.Attempts, Attempt{})
		a.record = &c.outcome.Attempts[len(c.outcome.Attempts)-1]
	}
	a.record.Classification = c.answer.Classification
	a.record.Start, a.record.Duration = c.answer.sent, c.answer.arrived.Sub(c.answer.sent)
	a.record.Waits, a.record.Poll = a.waits, c.polls > 0
	if c.answer.err != nil {
		a.record.Err = clean(c.answer.err)
	}
	left := a.canceled && c.left()
	c.told.EndAttempt(a.ctx, a.span, c.where(), func() telemetry.AttemptEnd { return attemptEnd(a.record, &c.answer, left) })
	a.exchange = nil
}

// abandonAttempt ends an attempt whose base, or hook, panicked; or what was told
// of its end did.
func (c *call) abandonAttempt() {
	a := &c.attempt
	if a.reqBody != nil {
		defer a.reqBody.Close()
	}
	if a.span == nil { // nothing was sent
		a.exchange = nil
		return
	}
	a.release()
	c.answer.Classification, c.answer.err = Classification{Class: ClassNetwork}, errPanicked
	c.answer.arrived = c.now
	c.endAttempt()
}

// free lets go of the connection of a response that is kept in hand while the
// call waits. A body that was not read to its end keeps its connection.
func free(resp *http.Response) {
	if resp == nil {
		return
	}
	if p, ok := resp.Body.(*peekedBody); ok && p.whole() {
		p.free()
	}
}

// closeResponse drops a response. What is worth reading of it for the sake of
// its connection was read when it was classified.
func closeResponse(resp *http.Response) {
	if resp != nil && resp.Body != nil {
		resp.Body.Close()
	}
}
