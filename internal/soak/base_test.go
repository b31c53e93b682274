// This file holds a call of the soak and the base that answers it. What a call
// must never do is checked where it would happen.

package soak_test

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oktaretry/oktaretry/internal/rig/script"
)

// call is one call and all that is known of it. The base finds it by the
// context. But for what says otherwise it is for the call's own goroutine.
type call struct {
	kind    *kind
	rand    *rand.Rand
	fail    func(format string, args ...any) // safe for concurrent use
	content []byte                           // of the body
	early   sync.WaitGroup                   // sends bodies on after their answers
	ctx     context.Context
	expires bool         // ctx has a deadline
	ended   atomic.Int64 // Unix nanoseconds of the end of ctx

	// What the base did last, and whether it must not be followed by a resend.
	sends   int
	status  int
	text    string
	stalls  bool
	harmful bool
	panics  bool

	attempts []context.Context

	mu      sync.Mutex
	bodies  []*script.Body // of the request: the caller's, and GetBody's
	replies []*script.Body
}

type callKey struct{}

func callOf(ctx context.Context) *call { return ctx.Value(callKey{}).(*call) }

// repeatable reports whether the call may be sent twice though it may have been
// worked on.
func (c *call) repeatable(method string) bool {
	return method != "POST" && method != "PATCH" || c.kind.name == "idempotent"
}

// reply hands out a response's body.
func (c *call) reply(body io.ReadCloser) io.ReadCloser {
	b := script.NewBody(body)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.replies = append(c.replies, b)
	return b
}

// body makes a request's body, each Read of which takes pause.
func (c *call) body(pause time.Duration) *script.Body {
	b := script.NewBody(slowReader{bytes.NewReader(c.content), pause})
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bodies = append(c.bodies, b)
	return b
}

// slowReader takes its time for each piece, if it has one.
type slowReader struct {
	r     io.Reader
	pause time.Duration
}

func (s slowReader) Read(p []byte) (int, error) {
	if s.pause > 0 {
		time.Sleep(s.pause)
		p = p[:min(len(p), 700)]
	}
	return s.r.Read(p)
}

// base answers the calls of a soak. It is no script.Base, for it records nothing:
// what it kept would look like a leak.
type base struct {
	sends, idleClosed atomic.Int64
}

func (b *base) CloseIdleConnections() { b.idleClosed.Add(1) }

func (b *base) RoundTrip(req *http.Request) (*http.Response, error) {
	b.sends.Add(1)
	c := callOf(req.Context())
	a := c.kind.answers[min(c.sends, len(c.kind.answers)-1)]
	if a.storm != nil && time.Now().Unix()%90 < 30 {
		a = *a.storm
	}
	early := c.kind.early && c.sends == 0
	c.sends++
	if c.harmful && !c.repeatable(req.Method) {
		c.fail("%s was sent again after what may have reached Okta", req.Method)
	}
	c.harmful, c.stalls, c.status, c.text = a.harmful, a.stalls, 0, ""
	c.attempts = append(c.attempts, req.Context())
	if !early {
		c.send(req.Body, true, 0)
	}
	if err := script.Sleep(req.Context(), rand.N(200*time.Millisecond)); err != nil {
		c.harmful = true
		if early && req.Body != nil {
			req.Body.Close()
		}
		return nil, err
	}
	c.panics = a.Panic != nil
	resp, err := a.Respond(req)
	if resp != nil {
		c.status, c.text = resp.StatusCode, a.Body
		resp.Body = c.reply(resp.Body)
	}
	if a.also != nil {
		err = a.also
	}
	if early {
		// Like an http.Transport it goes on with the body, and may give it up.
		upTo := c.rand.IntN(2 * (len(c.content) + 1))
		c.early.Go(func() { c.send(req.Body, false, upTo) })
	}
	return resp, err
}

// send reads a request's body as an attempt does, all of it or up to so many
// bytes, and closes it. It is safe for concurrent use.
func (c *call) send(body io.ReadCloser, all bool, upTo int) {
	if body == nil {
		return
	}
	r := io.Reader(body)
	if !all {
		r = io.LimitReader(body, int64(upTo))
	}
	got, err := io.ReadAll(r)
	body.Close()
	switch {
	case all && (err != nil || !bytes.Equal(got, c.content)):
		c.fail("%d bytes were sent (%v), want the %d of the body", len(got), err, len(c.content))
	case !bytes.HasPrefix(c.content, got): // an error is a resend that has taken the stream over
		c.fail("%d bytes were sent that the body does not begin with", len(got))
	}
}
