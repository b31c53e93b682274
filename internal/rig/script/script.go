// Package script is a base for tests: an http.RoundTripper in memory that
// answers from a script, which is data, and records what it was sent.
//
//	base := script.New(t, script.Limited(script.Set("Retry-After", "2")), script.OK().After(2*time.Second, gap))
//
// It imports nothing of this module, so that every package's tests can use it,
// internal ones too. Package rig puts a Transport over it.
package script

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// TB is what a Base needs of a testing.TB.
type TB interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Base is an http.RoundTripper that answers each request with a Step. Like a
// real one it reads a request's body to its end and closes it. It is safe for
// concurrent use.
type Base struct {
	t TB

	mu        sync.Mutex
	next      func(*http.Request) Step
	sent      []Sent
	bodies    []*Body
	inFlight  int
	mostAtAll int
	idled     int
}

// Sent is one request as the base received it.
type Sent struct {
	At       time.Time // of its arrival
	Answered time.Time // zero while there is no answer

	Method        string
	URL           *url.URL    // a copy
	Header        http.Header // a copy
	ContentLength int64
	Body          string
	BodyErr       error // of reading the body
	Context       context.Context
}

// New returns a base with a script. A request after its last step fails the
// test.
func New(t TB, steps ...Step) *Base {
	b := &Base{t: t}
	b.Play(steps...)
	return b
}

// Repeat returns a base whose last step answers all further requests too.
func Repeat(t TB, steps ...Step) *Base {
	b := &Base{t: t}
	b.Repeat(steps...)
	return b
}

// Play gives the base another script from here on.
func (b *Base) Play(steps ...Step) {
	i := 0
	b.Choose(func(req *http.Request) Step {
		if i++; i > len(steps) {
			b.t.Helper()
			b.t.Errorf("%s %s: the script's %d steps are over", req.Method, req.URL, len(steps))
			return OK()
		}
		return steps[i-1]
	})
}

// Repeat gives the base another script from here on, whose last step repeats.
func (b *Base) Repeat(steps ...Step) {
	i := -1
	b.Choose(func(*http.Request) Step {
		i = min(i+1, len(steps)-1)
		return steps[i]
	})
}

// Always answers all requests from here on with step.
func (b *Base) Always(step Step) { b.Choose(func(*http.Request) Step { return step }) }

// Choose has next choose the step for each request from here on. It is called
// for one request at a time, and must not use the base.
func (b *Base) Choose(next func(*http.Request) Step) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.next = next
}

// RoundTrip plays the next step.
func (b *Base) RoundTrip(req *http.Request) (*http.Response, error) {
	i, step := b.enter(req)
	defer b.leave(i)
	if step.Hook != nil {
		step.Hook(req)
	}
	if req.Body != nil && !step.KeepBody {
		body, err := io.ReadAll(req.Body)
		req.Body.Close()
		b.mu.Lock()
		b.sent[i].Body, b.sent[i].BodyErr = string(body), err
		b.mu.Unlock()
	}
	resp, err := step.Respond(req)
	if resp != nil && resp.Body != nil && resp.Body != http.NoBody {
		resp.Body = b.track(req.Context(), resp.Body)
	}
	return resp, err
}

func (b *Base) enter(req *http.Request) (int, Step) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now, i, target := time.Now(), len(b.sent), *req.URL
	b.sent = append(b.sent, Sent{
		At: now, Method: req.Method, URL: &target, Header: req.Header.Clone(),
		ContentLength: req.ContentLength, Context: req.Context(),
	})
	b.inFlight++
	b.mostAtAll = max(b.mostAtAll, b.inFlight)
	step := b.next(req)
	if due := step.due; due != nil && i > 0 {
		if waited := now.Sub(b.sent[i-1].Answered); waited < due.after || waited > due.after+due.slack {
			b.t.Errorf("request %d came %s after the answer before it, want %s to %s", i+1, waited, due.after, due.after+due.slack)
		}
	}
	return i, step
}

func (b *Base) leave(i int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sent[i].Answered = time.Now()
	b.inFlight--
}

// track follows what is done to a response's body. As over a connection, it
// ends with its request's context. One that can be written to, as a 101's, can be
// written to still.
func (b *Base) track(ctx context.Context, body io.ReadCloser) io.ReadCloser {
	tracked := NewBody(body)
	tracked.ctx = ctx
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bodies = append(b.bodies, tracked)
	if w, ok := body.(io.Writer); ok {
		return struct {
			*Body
			io.Writer
		}{tracked, w}
	}
	return tracked
}

// CloseIdleConnections is counted.
func (b *Base) CloseIdleConnections() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.idled++
}

// IdleClosed is how often CloseIdleConnections was called.
func (b *Base) IdleClosed() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.idled
}

// MostInFlight is how many requests were without an answer at once, at most.
func (b *Base) MostInFlight() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.mostAtAll
}

// Sent returns the requests so far.
func (b *Base) Sent() []Sent {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]Sent(nil), b.sent...)
}

// WantSent checks how many requests came, and returns them.
func (b *Base) WantSent(n int) []Sent {
	b.t.Helper()
	sent := b.Sent()
	if len(sent) != n {
		b.t.Fatalf("%d requests were sent, want %d", len(sent), n)
	}
	return sent
}

// Count is how many requests of a method were sent to a path.
func (b *Base) Count(method, path string) (n int) {
	for _, s := range b.Sent() {
		if s.Method == method && s.URL.Path == path {
			n++
		}
	}
	return n
}

// Waits returns the times from each answer to the request after it.
func (b *Base) Waits() (waits []time.Duration) {
	sent := b.Sent()
	for i := 1; i < len(sent); i++ {
		waits = append(waits, sent[i].At.Sub(sent[i-1].Answered))
	}
	return waits
}

// Bodies returns the bodies of the answers so far, in order.
func (b *Base) Bodies() []*Body {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]*Body(nil), b.bodies...)
}

// Open is how many answers' bodies were not closed yet.
func (b *Base) Open() (n int) {
	for _, body := range b.Bodies() {
		if body.Closes() == 0 {
			n++
		}
	}
	return n
}

// WantClosed checks that each answer's body was closed.
func (b *Base) WantClosed() {
	b.t.Helper()
	for i, body := range b.Bodies() {
		if body.Closes() == 0 {
			b.t.Errorf("the body of answer %d was never closed", i+1)
		}
	}
}

// Sleep waits for d, or returns the cause of ctx's end.
func Sleep(ctx context.Context, d time.Duration) error {
	if d == 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Func is an http.RoundTripper from a function, for bases that no script
// describes.
type Func func(*http.Request) (*http.Response, error)

// RoundTrip calls f.
func (f Func) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }
