package oktaretry_test

// This file holds what the soak is made of: the kinds of call as a table, the
// base that answers them, and the bodies that both sides pass, which know what
// happened to them. What a call must never do is checked where it would happen.

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/rig/script"
)

// soakKind is one way for a call to go. Its answers come one for each attempt,
// the last one for all that follow.
type soakKind struct {
	name    string
	share   int // of all calls
	method  string
	host    string // "*" in it stands for one of 40: too few calls for a circuit to open
	path    string
	answers []soakAnswer
	context func(context.Context) context.Context
	ends    time.Duration // the context is canceled within, at random; 0: seldom
	body    bool          // it always has one
	early   bool          // the first attempt is answered before its body was read
	stops   []oktaretry.StopReason
}

// soakAnswer is what the base does with an attempt.
type soakAnswer func(*soakCall, *http.Request) (*http.Response, error)

// soakKinds is the table. A kind's stops are those of its own answers: any call
// may also end by its context, and most by the state of what they share with
// others, see soakCall.may.
func soakKinds() []soakKind {
	const user, users, factor = "/api/v1/users/jane", "/api/v1/users", "/api/v1/users/jane/factors/f1/verify"
	ok, down := soakReply(200, `{"id":"1"}`), soakReply(503, "<html>down</html>")
	limited := soakCode(429, "E0000047", "Retry-After", "2")
	reset := soakFail(&net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET})
	pending := soakCode(202, "E0000070", "Location", "/api/v1/poll")
	waiting := soakReply(200, `{"factorResult":"WAITING","_links":{"poll":{"href":"/api/v1/poll"}}}`)
	terminal := []oktaretry.StopReason{oktaretry.StopFailFast}
	success := []oktaretry.StopReason{oktaretry.StopSuccess}
	used := []oktaretry.StopReason{oktaretry.StopMaxAttempts}
	once := []oktaretry.StopReason{oktaretry.StopNotIdempotent}
	fits := []oktaretry.StopReason{oktaretry.StopMaxElapsed}
	is := func(stops ...oktaretry.StopReason) []oktaretry.StopReason { return stops }
	answers := func(a ...soakAnswer) []soakAnswer { return a }
	thrice := oktaretry.Rule{
		Action: oktaretry.Poll, MaxAttempts: 3, InitialWait: time.Second, MaxWait: time.Second, Multiplier: 1,
	}
	patient := oktaretry.DefaultPolicy().RateLimited
	patient.MaxElapsed = 0
	return []soakKind{
		{name: "success", share: 60, method: "GET", host: "calm", path: user, answers: answers(ok), stops: success},
		{name: "created", share: 40, method: "POST", host: "calm", path: users, answers: answers(ok), stops: success},
		{name: "put", share: 20, method: "PUT", host: "calm", path: user, answers: answers(ok), stops: success},
		{name: "answered early", share: 30, method: "POST", host: "calm", path: users, early: true, answers: answers(ok), stops: success},
		{name: "refused early", share: 20, method: "POST", host: "calm", path: users, early: true, answers: answers(soakCode(413, "E0000003")), stops: terminal},
		{name: "limited early", share: 30, method: "POST", host: "calm", path: users, early: true, answers: answers(limited, ok), stops: success},
		{name: "not found", share: 30, method: "GET", host: "calm", path: user, answers: answers(soakCode(404, "E0000007")), stops: terminal},
		{name: "not found, at length", share: 10, method: "GET", host: "calm", path: user, answers: answers(soakReply(404, strings.Repeat("x", 70<<10))), stops: terminal},
		{name: "not found, stalled", share: 10, method: "GET", host: "calm", path: user, answers: answers(soakStall(404)), stops: terminal},
		{name: "limited", share: 30, method: "GET", host: "calm", path: "/api/v1/groups", answers: answers(limited, ok), stops: success},
		{name: "limited twice", share: 30, method: "POST", host: "calm", path: "/api/v1/apps", answers: answers(limited, limited, ok), stops: success},
		{name: "limited by concurrency", share: 20, method: "PUT", host: "calm", path: user, stops: success,
			answers: answers(soakCode(429, "E0000047", "X-Rate-Limit-Limit", "0", "X-Rate-Limit-Remaining", "0"), ok)},
		{name: "limited for too long", share: 20, method: "GET", host: "closed", path: "/api/v1/logs", answers: answers(soakCode(429, "E0000047", "Retry-After", "3000")), stops: fits},
		{name: "limited for a day", share: 20, method: "GET", host: "calm", path: "/api/v1/devices", ends: 3 * time.Second,
			answers: answers(soakCode(429, "E0000047", "Retry-After", "86400")), context: soakRule("rate-limited", patient)},
		{name: "limited for an hour", share: 20, method: "GET", host: "calm", path: "/api/v1/domains", ends: 3 * time.Second,
			answers: answers(soakCode(429, "E0000047", "Retry-After", "3000")), context: soakRule("rate-limited", patient)},
		{name: "token", share: 10, method: "POST", host: "calm", path: "/oauth2/v1/token", body: true, answers: answers(limited), stops: is(oktaretry.StopNotReplayable, oktaretry.StopMaxElapsed)},
		{name: "recovered", share: 30, method: "PUT", host: "calm", path: user, answers: answers(down, ok), stops: success},
		{name: "used up", share: 15, method: "GET", host: "spare*", path: user, answers: answers(down), stops: used},
		{name: "created once", share: 30, method: "POST", host: "spare*", path: users, answers: answers(down, ok), stops: once},
		{name: "patched once", share: 20, method: "PATCH", host: "spare*", path: user, answers: answers(soakCode(500, "E0000009"), ok), stops: once},
		{name: "idempotent", share: 15, method: "POST", host: "spare*", path: users, answers: answers(down, ok), context: oktaretry.WithIdempotent, stops: success},
		{name: "no retry", share: 15, method: "GET", host: "spare*", path: user, answers: answers(down), context: oktaretry.WithNoRetry, stops: is(oktaretry.StopNoRetry)},
		{name: "stalled, dropped", share: 10, method: "GET", host: "spare*", path: user, answers: answers(soakStall(503), ok), stops: success},
		{name: "stormy read", share: 80, method: "GET", host: "storm", path: user, answers: answers(soakStorm(ok, down)), stops: append(success, used...)},
		{name: "stormy write", share: 50, method: "POST", host: "storm", path: users, answers: answers(soakStorm(ok, down)), stops: append(success, once...)},
		{name: "reset", share: 20, method: "GET", host: "spare*", path: user, answers: answers(reset, ok), stops: success},
		{name: "reset, in vain", share: 10, method: "PUT", host: "spare*", path: user, answers: answers(reset), stops: used},
		{name: "reset once", share: 20, method: "POST", host: "spare*", path: users, answers: answers(reset, ok), stops: once},
		{name: "connection refused", share: 20, method: "POST", host: "spare*", path: users, stops: success,
			answers: answers(soakFail(&net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}), ok)},
		{name: "end of file", share: 20, method: "GET", host: "spare*", path: user, answers: answers(soakFail(io.EOF)), stops: used},
		{name: "end of file, once", share: 20, method: "POST", host: "spare*", path: users, answers: answers(soakFail(fmt.Errorf("reading: %w", io.EOF))), stops: once},
		{name: "timeout", share: 10, method: "GET", host: "spare*", path: user, stops: success,
			answers: answers(soakFail(&url.Error{Op: "Get", URL: "https://jane", Err: os.ErrDeadlineExceeded}), ok)},
		{name: "unknown host", share: 10, method: "GET", host: "spare*", path: user, answers: answers(soakFail(&net.DNSError{Err: "no such host", Name: "x", IsNotFound: true})), stops: terminal},
		{name: "unknown authority", share: 10, method: "GET", host: "spare*", path: user, answers: answers(soakFail(x509.UnknownAuthorityError{})), stops: terminal},
		{name: "unsupported", share: 10, method: "PUT", host: "spare*", path: user, answers: answers(soakFail(http.ErrNotSupported)), stops: terminal},
		{name: "nothing", share: 10, method: "GET", host: "spare*", path: user, answers: answers(soakFail(nil)), stops: terminal},
		{name: "both", share: 10, method: "PUT", host: "spare*", path: user, answers: answers(soakBoth(ok, reset), ok), stops: success},
		{name: "hung", share: 10, method: "GET", host: "spare*", path: user, answers: answers(soakHang, ok), stops: success},
		{name: "hung once", share: 10, method: "POST", host: "spare*", path: users, answers: answers(soakHang), stops: once},
		{name: "polled", share: 20, method: "POST", host: "calm", path: factor, answers: answers(pending, pending, ok), stops: success},
		{name: "polled through an outage", share: 10, method: "POST", host: "spare*", path: factor, answers: answers(pending, down, ok), stops: success},
		{name: "still pending", share: 10, method: "POST", host: "calm", path: factor, answers: answers(pending), context: soakRule("pending", thrice), stops: used},
		{name: "nowhere to poll", share: 10, method: "POST", host: "calm", path: factor, answers: answers(soakCode(202, "E0000070")), stops: is(oktaretry.StopNoPollTarget)},
		{name: "factor", share: 20, method: "POST", host: "calm", path: factor, answers: answers(waiting, waiting, ok), stops: success},
		{name: "panic", share: 10, method: "GET", host: "calm", path: user, answers: answers(soakPanic), stops: is(oktaretry.StopNone)},
		{name: "panic later", share: 10, method: "PUT", host: "spare*", path: user, answers: answers(down, soakPanic), stops: is(oktaretry.StopNone)},
		{name: "panic before the body", share: 10, method: "POST", host: "calm", path: users, early: true, answers: answers(soakPanic), stops: is(oktaretry.StopNone)},
		{name: soakHookFails, share: 10, method: "PUT", host: "spare*", path: user, answers: answers(down), stops: is(oktaretry.StopPrepareFailed)},
		{name: soakHookPanics, share: 10, method: "PUT", host: "spare*", path: user, answers: answers(down), stops: is(oktaretry.StopNone)},
		{name: "invalid", share: 10, method: "PUT", host: "calm", path: user, context: badRule("?", oktaretry.Rule{}), stops: is(oktaretry.StopInvalid)},
	}
}

// The kinds whose resend the hook of the soak stops.
const soakHookFails, soakHookPanics = "the hook fails", "the hook panics"

var errSoakHook = errors.New("no key")

// soakPanicked is what all panics of the soak are with.
const soakPanicked = "the soak's own panic"

func soakHook(req *http.Request) error {
	switch c := soakCallOf(req.Context()); c.kind.name {
	case soakHookFails:
		return errSoakHook
	case soakHookPanics:
		c.panics = true
		panic(soakPanicked)
	}
	return nil
}

func soakRule(key string, r oktaretry.Rule) func(context.Context) context.Context {
	return func(ctx context.Context) context.Context { return oktaretry.WithRule(ctx, key, r) }
}

// soakReply answers with a status, a body and headers in pairs.
func soakReply(status int, body string, header ...string) soakAnswer {
	return func(c *soakCall, req *http.Request) (*http.Response, error) {
		resp, err := script.Reply(status, body, script.Headers(append([]string{"Content-Type", "application/json"}, header...)...)).Respond(req)
		resp.Body = c.reply(resp.Body)
		c.harmful = status >= 500
		c.status, c.text = status, body
		return resp, err
	}
}

func soakCode(status int, code string, header ...string) soakAnswer {
	return soakReply(status, `{"errorCode":"`+code+`","errorSummary":"for jane","errorId":"oae1"}`, header...)
}

func soakFail(err error) soakAnswer {
	var op *net.OpError
	safe := errors.As(err, &op) && op.Op == "dial"
	return func(c *soakCall, _ *http.Request) (*http.Response, error) {
		c.harmful = !safe
		return nil, err
	}
}

func soakPanic(c *soakCall, _ *http.Request) (*http.Response, error) {
	c.panics = true
	panic(soakPanicked)
}

// soakBoth returns a response along with an error, as no RoundTripper may.
func soakBoth(answer, fail soakAnswer) soakAnswer {
	return func(c *soakCall, req *http.Request) (*http.Response, error) {
		resp, _ := answer(c, req)
		_, err := fail(c, req)
		return resp, err
	}
}

// soakStall answers with a body that brings nothing and does not end.
func soakStall(status int) soakAnswer {
	return func(c *soakCall, req *http.Request) (*http.Response, error) {
		start, w := io.Pipe()
		context.AfterFunc(req.Context(), func() { w.CloseWithError(context.Cause(req.Context())) })
		c.harmful, c.stalls, c.status = status >= 500, true, status
		return script.Stream(status, c.reply(start)).Respond(req)
	}
}

// soakHang answers nothing for as long as it may, which some policies end.
func soakHang(c *soakCall, req *http.Request) (*http.Response, error) {
	c.harmful = true
	if err := soakSleep(req.Context(), 40*time.Second); err != nil {
		return nil, err
	}
	return nil, io.ErrUnexpectedEOF
}

// soakStorm answers by the time: 30 seconds of each 90 are stormy.
func soakStorm(calm, storm soakAnswer) soakAnswer {
	return func(c *soakCall, req *http.Request) (*http.Response, error) {
		if time.Now().Unix()%90 < 30 {
			return storm(c, req)
		}
		return calm(c, req)
	}
}

// soakBase is the base of a soak.
type soakBase struct {
	sends, idleClosed atomic.Int64
}

func (b *soakBase) CloseIdleConnections() { b.idleClosed.Add(1) }

func (b *soakBase) RoundTrip(req *http.Request) (*http.Response, error) {
	b.sends.Add(1)
	c := soakCallOf(req.Context())
	answer := c.kind.answers[min(c.sends, len(c.kind.answers)-1)]
	early := c.kind.early && c.sends == 0
	c.sends++
	if c.harmful && !c.repeatable(req.Method) {
		c.fail("%s was sent again after what may have reached Okta", req.Method)
	}
	c.harmful, c.stalls, c.status, c.text = false, false, 0, ""
	c.attempts = append(c.attempts, req.Context())
	if !early {
		c.send(req.Body, true, 0)
	}
	if err := soakSleep(req.Context(), rand.N(200*time.Millisecond)); err != nil {
		c.harmful = true
		if early && req.Body != nil {
			req.Body.Close()
		}
		return nil, err
	}
	resp, err := answer(c, req)
	if early {
		// Like an http.Transport it goes on with the body, and may give it up.
		upTo := c.rand.IntN(2 * (len(c.content) + 1))
		c.early.Go(func() { c.send(req.Body, false, upTo) })
	}
	return resp, err
}

// send reads a request's body as an attempt does, all of it or up to so many
// bytes, and closes it. It is safe for concurrent use.
func (c *soakCall) send(body io.ReadCloser, all bool, upTo int) {
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

func soakSleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// soakCall is one call and all that is known of it. The base finds it by the
// context. But for what says otherwise it is for the call's own goroutine.
type soakCall struct {
	kind    *soakKind
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
	bodies  []*soakBody // of the request: the caller's, and GetBody's
	replies []*soakBody
}

type soakKey struct{}

func soakCallOf(ctx context.Context) *soakCall { return ctx.Value(soakKey{}).(*soakCall) }

// repeatable reports whether the call may be sent twice though it may have been
// worked on.
func (c *soakCall) repeatable(method string) bool {
	return method != "POST" && method != "PATCH" || c.kind.name == "idempotent"
}

// soakBody is a body of a request or a response that counts its closes.
type soakBody struct {
	io.Reader
	closer io.Closer // nil: none
	pause  time.Duration
	closes atomic.Int64
}

func (b *soakBody) Read(p []byte) (int, error) {
	if b.closes.Load() > 0 {
		return 0, errors.New("read after close")
	}
	if b.pause > 0 {
		time.Sleep(b.pause)
		p = p[:min(len(p), 700)]
	}
	return b.Reader.Read(p)
}

func (b *soakBody) Close() error {
	b.closes.Add(1)
	if b.closer != nil {
		return b.closer.Close()
	}
	return nil
}

// reply hands a response body out.
func (c *soakCall) reply(body io.ReadCloser) io.ReadCloser {
	b := &soakBody{Reader: body, closer: body}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.replies = append(c.replies, b)
	return b
}

// body makes a request body.
func (c *soakCall) body(pause time.Duration) *soakBody {
	b := &soakBody{Reader: bytes.NewReader(c.content), pause: pause}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bodies = append(c.bodies, b)
	return b
}

// may reports whether the call may end for that reason.
func (c *soakCall) may(stop oktaretry.StopReason) bool {
	resent := c.sends > 1 || len(c.kind.answers) > 1 || strings.HasSuffix(c.kind.host, "*")
	switch stop {
	case oktaretry.StopCanceled:
		return c.ctx.Err() != nil
	case oktaretry.StopDeadline:
		return c.expires
	case oktaretry.StopCircuitOpen:
		return c.kind.host != "calm" && c.kind.host != "closed"
	case oktaretry.StopBudget:
		return c.kind.host != "closed"
	case oktaretry.StopNotReplayable: // a small MaxCapture
		return len(c.content) > 0 && resent || slices.Contains(c.kind.stops, stop)
	}
	return slices.Contains(c.kind.stops, stop)
}
