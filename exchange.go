// This file holds what outlives RoundTrip with a response: its request, the
// context and the body that belong to it, and what happened to the call.

package oktaretry

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"
)

// exchange is a request on its way and, later, what its response refers to. It
// is one piece of memory, since there is one for each attempt.
//
// It is the context of its request. That ends with the response's body, as the
// one does that net/http makes for itself; what the response shows does not.
type exchange struct {
	attemptContext
	request http.Request
	body    attemptBody

	// Of a response that was handed back.
	shown   http.Request // its Request
	context answerContext
	summary summary
}

// answerContext is the context of a response's request: the caller's, as with
// net/http, so that it is still good for something when the body was read. It
// knows what happened to the call.
type answerContext struct {
	context.Context
	exchange *exchange
}

func (c *answerContext) Value(key any) any {
	if _, ok := key.(outcomeKey); ok {
		return c.exchange
	}
	return c.Context.Value(key)
}

// open begins the context: it ends with parent or after limit, 0 being none.
func (x *exchange) open(parent context.Context, began time.Time, limit time.Duration) {
	x.Context, x.began, x.limit = parent, began, limit
}

// wrap returns a response's body, which also ends the exchange's context when
// it has been read to its end or closed. It hides nothing of a body that can be
// written to, as that of a 101.
func (x *exchange) wrap(body io.ReadCloser) io.ReadCloser {
	if body == http.NoBody {
		x.release()
		return body
	}
	x.body = attemptBody{body, x}
	if w, ok := body.(io.Writer); ok {
		return &upgradedBody{&x.body, w}
	}
	return &x.body
}

type attemptBody struct {
	io.ReadCloser
	exchange *exchange
}

func (b *attemptBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.exchange.release()
	}
	return n, err
}

// Close ends the attempt's context first: a Close of net/http's may wait for
// what only that ends, a Read of a gzip header or an upload over HTTP/2.
func (b *attemptBody) Close() error {
	b.exchange.release()
	return b.ReadCloser.Close()
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

// summary is an Outcome of a call that brought a response, in little room.
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
	took    time.Duration // the only attempt, if there was one only
	more    *history      // nil where it went without a wait at the first attempt
}

// history is what a call that was not over at once has to tell.
type history struct {
	attempts []Attempt
	waits    []Wait
	needed   time.Duration
}

// conclude writes down how the call of req ended that x's response is the answer
// of, and returns the response's request.
func (x *exchange) conclude(o *Outcome, origin *endpoint, req *http.Request) *http.Request {
	x.summary = summary{
		class: o.Class, stop: o.Stop, status: int32(o.Status), code: o.Code, id: o.RequestID, error: o.Error,
		origin: origin, bucket: o.Bucket, start: o.Start, elapsed: o.Elapsed, took: o.Attempts[0].Duration,
	}
	if len(o.Attempts) > 1 || len(o.Attempts[0].Waits) > 0 || len(o.Waits) > 0 || o.Needed > 0 || !o.Attempts[0].Start.Equal(x.began) {
		// The call's list of attempts is used again, and nothing else of it.
		x.summary.more = &history{slices.Clone(o.Attempts), o.Waits, o.Needed}
	}
	x.context = answerContext{req.Context(), x}
	x.shown = *x.request.WithContext(&x.context)
	return &x.shown
}

// outcome returns what conclude was told.
func (x *exchange) outcome() Outcome {
	s := &x.summary
	o := Outcome{
		Classification: Classification{Class: s.class, Code: s.code, Status: int(s.status), RequestID: s.id, Error: s.error},
		Method:         s.origin.key.method, Host: s.origin.key.host, Template: s.origin.key.template, Bucket: s.bucket,
		Stop: s.stop, Start: s.start, Elapsed: s.elapsed,
	}
	if s.more != nil {
		o.Attempts, o.Waits, o.Needed = s.more.attempts, s.more.waits, s.more.needed
		return o.clone()
	}
	o.Attempts = []Attempt{{Classification: o.Classification, Start: x.began, Duration: s.took}}
	return o
}
