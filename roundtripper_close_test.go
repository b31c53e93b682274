// This file tests that the caller's body is closed, whatever becomes of the
// call.

package oktaretry_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/internal/rig/script"
)

// closePath is one way for a call to end, and how it is brought about.
type closePath struct {
	steps   []script.Step
	base    script.Func // in place of steps
	method  string      // PUT when empty
	path    string
	policy  func(*oktaretry.Policy)
	hook    func(*http.Request) error
	prepare func(*testing.T, *oktaretry.Transport) // before the call
	spoil   func(*http.Request)                    // changes the request
	context func(context.Context) context.Context  // changes its context
	cancel  time.Duration                          // cancels the call after that time
	stop    oktaretry.StopReason
}

func tripAfterOne(p *oktaretry.Policy) { p.Breaker.MinCalls = 1 }

// warmUp makes one call of another kind, whose answer the next one meets.
func warmUp(t *testing.T, tr *oktaretry.Transport) {
	ctx := oktaretry.WithNoRetry(t.Context())
	if resp, err := tr.RoundTrip(rig.Request(t, ctx, "PUT", "/api/v1/users/00u1", nil)); err == nil {
		resp.Body.Close()
	}
}

func deadline(d time.Duration) func(context.Context) context.Context {
	return func(ctx context.Context) context.Context {
		ctx, cancel := context.WithTimeout(ctx, d)
		context.AfterFunc(ctx, cancel)
		return ctx
	}
}

func closePaths() map[string]closePath {
	refuses := func(err error) script.Func { // without a look at the body
		return func(r *http.Request) (*http.Response, error) { r.Body.Close(); return nil, err }
	}
	forever := script.LimitedFor(24 * time.Hour)
	return map[string]closePath{
		"success":                        {steps: []script.Step{script.OK()}, stop: oktaretry.StopSuccess},
		"a redirect":                     {steps: []script.Step{script.Bare(302)}, stop: oktaretry.StopSuccess},
		"fail fast":                      {steps: []script.Step{script.Code(404, "E0000007")}, stop: oktaretry.StopFailFast},
		"success after a rate limit":     {steps: []script.Step{script.LimitedFor(time.Minute), script.OK()}, stop: oktaretry.StopSuccess},
		"success after all kinds":        {steps: []script.Step{script.LimitedFor(time.Minute), script.Code(503, ""), script.Fail(script.Reset), script.OK()}, stop: oktaretry.StopSuccess},
		"attempts used up":               {steps: []script.Step{script.Code(503, "")}, stop: oktaretry.StopMaxAttempts},
		"not idempotent":                 {steps: []script.Step{script.Code(503, "")}, method: "POST", stop: oktaretry.StopNotIdempotent},
		"network error":                  {steps: []script.Step{script.Fail(script.Reset)}, method: "POST", stop: oktaretry.StopNotIdempotent},
		"network error, retried":         {steps: []script.Step{script.Fail(script.Reset)}, stop: oktaretry.StopMaxAttempts},
		"network error, body unread":     {base: refuses(errors.New("refused")), stop: oktaretry.StopMaxAttempts},
		"terminal network error":         {base: refuses(http.ErrNotSupported), stop: oktaretry.StopFailFast},
		"no answer in time":              {steps: []script.Step{script.Hang()}, method: "POST", stop: oktaretry.StopNotIdempotent},
		"no retry":                       {steps: []script.Step{script.Code(503, "")}, context: oktaretry.WithNoRetry, stop: oktaretry.StopNoRetry},
		"the wait doesn't fit the rule":  {steps: []script.Step{script.Code(429, "E0000146")}, stop: oktaretry.StopMaxElapsed},
		"the wait misses the deadline":   {steps: []script.Step{script.LimitedFor(time.Minute)}, context: deadline(time.Second), stop: oktaretry.StopDeadline},
		"canceled in the base":           {steps: []script.Step{script.Hang()}, cancel: time.Second, stop: oktaretry.StopCanceled},
		"canceled in a rate limit":       {steps: []script.Step{script.LimitedFor(time.Minute)}, cancel: time.Second, stop: oktaretry.StopCanceled},
		"canceled in a backoff":          {steps: []script.Step{script.Code(503, "", script.Set("Retry-After", "20"))}, cancel: time.Second, stop: oktaretry.StopCanceled},
		"pending, polled":                {steps: []script.Step{script.Pending("/api/v1/poll"), script.OK()}, stop: oktaretry.StopSuccess},
		"pending, for too long":          {steps: []script.Step{script.Pending("/api/v1/poll")}, stop: oktaretry.StopMaxElapsed},
		"pending, nowhere to ask":        {steps: []script.Step{script.Code(202, "E0000070")}, stop: oktaretry.StopNoPollTarget},
		"a body too large for a resend":  {steps: []script.Step{script.LimitedFor(time.Second)}, policy: func(p *oktaretry.Policy) { p.MaxCapture = 1 }},
		"a token request":                {steps: []script.Step{script.Bare(503)}, method: "POST", path: "/oauth2/v1/token", stop: oktaretry.StopNotIdempotent},
		"a proof that can't be repeated": {steps: []script.Step{script.LimitedFor(time.Second)}, spoil: func(r *http.Request) { r.Header.Set("Dpop", "proof") }, stop: oktaretry.StopNotReplayable},
		"the hook refuses": {
			steps: []script.Step{script.Code(503, "")}, hook: func(*http.Request) error { return errors.New("no key") }, stop: oktaretry.StopPrepareFailed,
		},
		"circuit open": {steps: []script.Step{script.Code(503, "")}, policy: tripAfterOne, prepare: warmUp, stop: oktaretry.StopCircuitOpen},
		"circuit opens during the retries": {
			steps: []script.Step{script.Code(503, "")}, policy: tripAfterOne, stop: oktaretry.StopCircuitOpen,
		},
		"wait refused":                {steps: []script.Step{forever}, policy: func(p *oktaretry.Policy) { p.RateLimited.MinWait = 9 * time.Minute }, prepare: warmUp, context: deadline(time.Minute), stop: oktaretry.StopDeadline},
		"budget empty":                {steps: []script.Step{script.Code(503, "")}, policy: func(p *oktaretry.Policy) { p.Budget = oktaretry.Budget{TTL: time.Second} }, stop: oktaretry.StopBudget},
		"canceled before the call":    {steps: []script.Step{script.OK()}, context: canceledContext, stop: oktaretry.StopCanceled},
		"no URL":                      {steps: []script.Step{script.OK()}, spoil: func(r *http.Request) { r.URL = nil }, stop: oktaretry.StopInvalid},
		"no host":                     {steps: []script.Step{script.OK()}, spoil: func(r *http.Request) { r.URL = &url.URL{Scheme: "https"} }, stop: oktaretry.StopInvalid},
		"no header":                   {steps: []script.Step{script.OK()}, spoil: func(r *http.Request) { r.Header = nil }, stop: oktaretry.StopInvalid},
		"a rule for no code":          {steps: []script.Step{script.OK()}, context: badRule("no code", oktaretry.Rule{}), stop: oktaretry.StopInvalid},
		"a rule that can't be":        {steps: []script.Step{script.OK()}, context: badRule("E0000009", oktaretry.Rule{Action: oktaretry.Backoff}), stop: oktaretry.StopInvalid},
		"an unknown priority":         {steps: []script.Step{script.OK()}, context: func(ctx context.Context) context.Context { return oktaretry.WithPriority(ctx, 9) }, stop: oktaretry.StopInvalid},
		"the base returns nothing":    {steps: []script.Step{script.Nothing()}, stop: oktaretry.StopFailFast},
		"the base returns a bodyless": {steps: []script.Step{script.Do(func(*http.Request) (*http.Response, error) { return &http.Response{StatusCode: 200}, nil })}, stop: oktaretry.StopFailFast},
	}
}

func canceledContext(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	return ctx
}

func badRule(key string, r oktaretry.Rule) func(context.Context) context.Context {
	return func(ctx context.Context) context.Context { return oktaretry.WithRule(ctx, key, r) }
}

func TestCallersBodyIsClosedOnEveryPath(t *testing.T) {
	for name, path := range closePaths() {
		for _, kind := range []string{"stream", "GetBody"} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { path.run(t, kind == "GetBody") })
			})
		}
	}
}

func (p closePath) run(t *testing.T, getBody bool) {
	base := script.Repeat(t, p.steps...)
	var rt http.RoundTripper = base
	if p.base != nil {
		rt = p.base
	}
	var opts []oktaretry.Option
	if p.hook != nil {
		opts = append(opts, oktaretry.WithPrepareRetry(p.hook))
	}
	tr := rig.Over(t, rt, p.policy, opts...)
	if p.prepare != nil {
		p.prepare(t, tr)
	}

	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	if p.cancel > 0 {
		time.AfterFunc(p.cancel, func() { cancel(errors.New("enough")) })
	}
	if p.context != nil {
		ctx = p.context(ctx)
	}
	ctx, rec := oktaretry.WithRecorder(ctx)
	method, target := p.method, p.path
	if method == "" {
		method = "PUT"
	}
	if target == "" {
		target = "/api/v1/users/00u1"
	}
	body := script.Text("some content")
	req := rig.Request(t, ctx, method, target, body)
	again := script.Bodies{Content: "some content"}
	if getBody {
		req.GetBody = again.Get
	}
	if p.spoil != nil {
		p.spoil(req)
	}
	resp, err := tr.RoundTrip(req)
	if (resp == nil) == (err == nil) {
		t.Errorf("response %v with error %v", resp, err)
	}
	body.WantClosed(t)
	again.WantClosed(t)
	if p.stop != oktaretry.StopNone {
		rig.WantStop(t, rec, p.stop)
	}
	if resp != nil {
		resp.Body.Close()
	}
	base.WantClosed()
	rig.WantIdle(t, tr)
	synctest.Wait()
	for i, s := range base.Sent() {
		if s.Context.Err() == nil && ctx.Err() == nil {
			t.Errorf("the context of attempt %d was never released", i+1)
		}
	}
}

// A base that answers early goes on reading the body after RoundTrip has
// returned. The call must not close it under its hands, and it is closed once.
func TestBodyStillBeingSentIsClosedByTheBaseAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		body := script.Text(strings.Repeat("x", 1000))
		tr := rig.Over(t, script.Func(func(req *http.Request) (*http.Response, error) {
			go func() {
				p := make([]byte, 100)
				for {
					time.Sleep(time.Second)
					if _, err := req.Body.Read(p); err != nil {
						if err != io.EOF {
							t.Errorf("the upload was cut short: %v", err)
						}
						req.Body.Close()
						return
					}
				}
			}()
			return script.Code(404, "E0000007").Respond(req)
		}), nil)
		rig.Send(t, tr, rig.Request(t, t.Context(), "POST", "/api/v1/users", body)).Text()
		if body.Closes() != 0 {
			t.Error("the body was closed while it was being sent")
		}
		time.Sleep(time.Minute)
		if n, c := body.BytesRead(), body.Closes(); n != 1000 || c != 1 {
			t.Errorf("%d bytes were read and %d times closed, want 1000 and once", n, c)
		}
	})
}

// An answer that came too late is dropped. Its Close may wait for the end of
// the attempt's context, as over HTTP/2 while the request is still being sent,
// and that never came for a base that had not asked for it before.
func TestLateAnswerIsClosedAfterItsContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := script.Repeat(t, script.Do(func(req *http.Request) (*http.Response, error) {
			time.Sleep(4 * time.Second) // a POST has three times AttemptTimeout
			return script.Stream(200, closeWaits{req.Context()}).Respond(req)
		}))
		tr := rig.Over(t, base, func(p *oktaretry.Policy) { p.AttemptTimeout = time.Second })
		resp, err := tr.RoundTrip(rig.Request(t, t.Context(), "POST", "/api/v1/users", nil))
		var timeout net.Error
		if resp != nil || !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("got %v, %v; want a timeout", resp, err)
		}
		base.WantSent(1)
		base.WantClosed()
	})
}

// closeWaits is a body that is closed when its context has ended.
type closeWaits struct{ ctx context.Context }

func (closeWaits) Read([]byte) (int, error) { return 0, io.EOF }
func (b closeWaits) Close() error           { <-b.ctx.Done(); return nil }
