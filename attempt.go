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
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/oktaretry/oktaretry/internal/wire"
)

// attempt is one request on its way.
type attempt struct {
	record   Attempt
	body     io.Closer       // of the request; the base closes it, unless something panics
	ctx      context.Context // with the span
	span     trace.Span      // nil until it is sent
	cancel   context.CancelCauseFunc
	timer    *time.Timer // runs cancel; nil when nothing limits the attempt
	canceled bool
	written  *written // nil unless it matters what was written
}

// errAttemptTimeout is the cause of an attempt's end by its own limit.
var errAttemptTimeout = errors.New("attempt timeout")

// errPanicked stands in the outcome of a call that the base's panic ended.
var errPanicked = errors.New("oktaretry: the base transport, or a hook, panicked")

// send sends one attempt and notes what it brought. It stops the call when the
// request cannot be made again.
func (c *call) send() StopReason {
	a := &attempt{record: Attempt{Start: time.Now(), Waits: c.waits, Poll: c.polls > 0}}
	c.attempt = a
	out, stop := c.nextRequest()
	if stop != StopNone {
		c.attempt = nil
		return stop
	}
	if out.Body != nil {
		a.body = out.Body // ours to close, should a sampler or a propagator panic
	}
	c.waits = nil
	c.withdrawn = false
	if len(c.outcome.Attempts) == 0 {
		c.endpoint.host.budget.deposit(a.record.Start)
	}
	closeResponse(c.answer.resp) // a better one is on its way
	c.answer = answer{sent: a.record.Start, limits: wire.Limits{Limit: -1, Remaining: -1}}

	var ctx context.Context
	ctx, a.span = c.startAttempt()
	a.ctx = ctx
	c.propagate(ctx, out)
	ctx, a.cancel = context.WithCancelCause(ctx)
	limit := c.settings.policy.AttemptTimeout
	if limit > 0 {
		a.timer = time.AfterFunc(limit, func() { a.cancel(errAttemptTimeout) })
	}
	if !c.idempotent() {
		a.written = new(written)
		ctx = a.written.watch(ctx)
	}

	resp, err := c.t.base.RoundTrip(out.WithContext(ctx))

	c.answer.arrived = time.Now()
	timedOut := a.timer != nil && !a.timer.Stop() // it cancels the attempt, if it has not yet
	resp, err = checkAnswer(resp, err)
	switch {
	case timedOut && c.ctx.Err() == nil:
		closeResponse(resp)
		resp, err = nil, &attemptTimeoutError{limit, c.target.Host + c.route.Template}
	case err != nil:
		a.canceled = c.ctx.Err() != nil
	}
	if resp != nil {
		resp.Body = releaseAtEnd(resp.Body, a.cancel)
	} else {
		a.cancel(nil)
	}
	c.answer.resp, c.answer.err, c.answer.canceled = resp, err, a.canceled
	if err != nil {
		c.answer.Classification = classifyNetwork(err, a.written)
	}
	return StopNone
}

// first reports whether the request goes out for the first time, as the caller
// made it.
func (c *call) first() bool { return c.resends == 0 && c.polls == 0 }

// nextRequest makes the request of the next attempt: the caller's, the
// caller's again, or a poll. The caller's own is never changed.
func (c *call) nextRequest() (*http.Request, StopReason) {
	out := new(http.Request)
	*out = *c.req
	if c.first() {
		out.Body, _ = c.body.Next(c.ctx) // the first one cannot fail
		if c.route.Token && c.hasBody {
			// Or else net/http might send an assertion twice on its own. SDK v6
			// replaces Body on its DPoP path and leaves the GetBody of the old one.
			out.GetBody = nil
		}
		return out, StopNone
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
			return nil, StopNotReplayable
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
	if hook := c.t.prepareRetry; hook != nil {
		out = out.Clone(c.ctx) // the hook may change the URL too, which is the caller's
		if out.Body != nil {
			c.attempt.body = out.Body
		}
		if err := hook(out); err != nil {
			if out.Body != nil {
				out.Body.Close()
			}
			c.failure = fmt.Errorf("oktaretry: preparing to resend %s %s%s after %s: %w",
				shownMethod(c.method), c.target.Host, c.route.Template, c.answer.describe(), clean(err))
			return nil, StopPrepareFailed
		}
	}
	return out, StopNone
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

// endAttempt writes the attempt down, once it is classified.
func (c *call) endAttempt() {
	a := c.attempt
	a.record.Classification = c.answer.Classification
	a.record.Duration = c.answer.arrived.Sub(a.record.Start)
	if c.answer.err != nil {
		a.record.Err = clean(c.answer.err)
	}
	c.tellAttempt(a)
	c.outcome.Attempts = append(c.outcome.Attempts, a.record)
	c.attempt = nil
}

// tellAttempt has an attempt that has ended counted and traced.
func (c *call) tellAttempt(a *attempt) {
	left := a.canceled && c.left()
	c.countAttempt(a.ctx, &a.record, left)
	c.endAttemptSpan(a, left)
}

// abandonAttempt ends an attempt whose base, or hook, panicked.
func (c *call) abandonAttempt() {
	a := c.attempt
	c.attempt = nil
	if a.timer != nil {
		a.timer.Stop()
	}
	if a.cancel != nil {
		a.cancel(errPanicked)
	}
	if a.body != nil {
		a.body.Close()
	}
	if a.span == nil {
		return // nothing was sent
	}
	a.record.Classification = Classification{Class: ClassNetwork}
	a.record.Duration = time.Since(a.record.Start)
	a.record.Err = errPanicked
	c.tellAttempt(a)
	c.outcome.Attempts = append(c.outcome.Attempts, a.record)
	c.answer.Classification, c.answer.err = a.record.Classification, errPanicked
}

// releaseAtEnd returns body, which also releases an attempt's context when it
// has been read to its end or closed. It hides nothing of a body that can be
// written to, as that of a 101.
func releaseAtEnd(body io.ReadCloser, cancel context.CancelCauseFunc) io.ReadCloser {
	if body == http.NoBody {
		cancel(nil)
		return body
	}
	b := &attemptBody{ReadCloser: body, cancel: cancel}
	if w, ok := body.(io.Writer); ok {
		return &upgradedBody{b, w}
	}
	return b
}

// upgradedBody can be written to, and half closed if what is below can.
type upgradedBody struct {
	*attemptBody
	io.Writer
}

func (b *upgradedBody) CloseWrite() error {
	if w, ok := b.Writer.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return fmt.Errorf("CloseWrite: %w", http.ErrNotSupported)
}

type attemptBody struct {
	io.ReadCloser
	cancel context.CancelCauseFunc
	over   atomic.Bool
}

func (b *attemptBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.end()
	}
	return n, err
}

// Close ends the attempt's context first: a Close of net/http's may wait for
// what only that ends, a Read of a gzip header or an upload over HTTP/2.
func (b *attemptBody) Close() error {
	b.end()
	return b.ReadCloser.Close()
}

func (b *attemptBody) end() {
	if !b.over.Swap(true) {
		b.cancel(nil)
	}
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
