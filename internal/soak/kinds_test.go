// This file holds the kinds of call as a table: how each is answered, and how
// it may end.

package soak_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/rig/script"
)

// kind is one way for a call to go. Its answers come one for each attempt,
// the last one for all that follow.
type kind struct {
	name    string
	share   int // of all calls
	method  string
	host    string // "*" in it stands for one of 40: too few calls for a circuit to open
	path    string
	answers []answer
	context func(context.Context) context.Context
	ends    time.Duration // the context is canceled within, at random; 0: seldom
	body    bool          // it always has one
	early   bool          // the first attempt is answered before its body was read
	stops   []oktaretry.StopReason
}

// answer is what the base does with an attempt.
type answer struct {
	script.Step
	harmful bool    // the request may have arrived: only a repeatable one may follow
	stalls  bool    // its body does not end by itself
	also    error   // returned along with the response, as no RoundTripper may
	storm   *answer // instead, in 30 seconds of each 90
}

// kinds is the table. A kind's stops are those of its own answers: any call
// may also end by its context, and most by the state of what they share with
// others, see call.may.
func kinds() []kind {
	const user, users, factor = "/api/v1/users/jane", "/api/v1/users", "/api/v1/users/jane/factors/f1/verify"
	ok, down := reply(200, `{"id":"1"}`), reply(503, "<html>down</html>")
	limited := code(429, "E0000047", script.Set("Retry-After", "2"))
	reset := fail(script.Reset)
	pending := code(202, "E0000070", script.Set("Location", "/api/v1/poll"))
	waiting := reply(200, `{"factorResult":"WAITING","_links":{"poll":{"href":"/api/v1/poll"}}}`)
	terminal := []oktaretry.StopReason{oktaretry.StopFailFast}
	success := []oktaretry.StopReason{oktaretry.StopSuccess}
	used := []oktaretry.StopReason{oktaretry.StopMaxAttempts}
	once := []oktaretry.StopReason{oktaretry.StopNotIdempotent}
	fits := []oktaretry.StopReason{oktaretry.StopMaxElapsed}
	is := func(stops ...oktaretry.StopReason) []oktaretry.StopReason { return stops }
	answers := func(a ...answer) []answer { return a }
	thrice := oktaretry.Rule{
		Action: oktaretry.Poll, MaxAttempts: 3, InitialWait: time.Second, MaxWait: time.Second, Multiplier: 1,
	}
	patient := oktaretry.DefaultPolicy().RateLimited
	patient.MaxElapsed = 0
	return []kind{
		{name: "success", share: 60, method: "GET", host: "calm", path: user, answers: answers(ok), stops: success},
		{name: "created", share: 40, method: "POST", host: "calm", path: users, answers: answers(ok), stops: success},
		{name: "put", share: 20, method: "PUT", host: "calm", path: user, answers: answers(ok), stops: success},
		{name: "answered early", share: 30, method: "POST", host: "calm", path: users, early: true, answers: answers(ok), stops: success},
		{name: "refused early", share: 20, method: "POST", host: "calm", path: users, early: true, answers: answers(code(413, "E0000003")), stops: terminal},
		{name: "limited early", share: 30, method: "POST", host: "calm", path: users, early: true, answers: answers(limited, ok), stops: success},
		{name: "not found", share: 30, method: "GET", host: "calm", path: user, answers: answers(code(404, "E0000007")), stops: terminal},
		{name: "not found, at length", share: 10, method: "GET", host: "calm", path: user, answers: answers(reply(404, strings.Repeat("x", 70<<10))), stops: terminal},
		{name: "not found, stalled", share: 10, method: "GET", host: "calm", path: user, answers: answers(stall(404)), stops: terminal},
		{name: "limited", share: 30, method: "GET", host: "calm", path: "/api/v1/groups", answers: answers(limited, ok), stops: success},
		{name: "limited twice", share: 30, method: "POST", host: "calm", path: "/api/v1/apps", answers: answers(limited, limited, ok), stops: success},
		{name: "limited by concurrency", share: 20, method: "PUT", host: "calm", path: user, stops: success,
			answers: answers(code(429, "E0000047", script.Set("X-Rate-Limit-Limit", "0"), script.Set("X-Rate-Limit-Remaining", "0")), ok)},
		{name: "limited for too long", share: 20, method: "GET", host: "closed", path: "/api/v1/logs", answers: answers(code(429, "E0000047", script.Set("Retry-After", "3000"))), stops: fits},
		{name: "limited for a day", share: 20, method: "GET", host: "calm", path: "/api/v1/devices", ends: 3 * time.Second,
			answers: answers(code(429, "E0000047", script.Set("Retry-After", "86400"))), context: withRule("rate-limited", patient)},
		{name: "limited for an hour", share: 20, method: "GET", host: "calm", path: "/api/v1/domains", ends: 3 * time.Second,
			answers: answers(code(429, "E0000047", script.Set("Retry-After", "3000"))), context: withRule("rate-limited", patient)},
		{name: "token", share: 10, method: "POST", host: "calm", path: "/oauth2/v1/token", body: true, answers: answers(limited), stops: is(oktaretry.StopNotReplayable, oktaretry.StopMaxElapsed)},
		{name: "recovered", share: 30, method: "PUT", host: "calm", path: user, answers: answers(down, ok), stops: success},
		{name: "used up", share: 15, method: "GET", host: "spare*", path: user, answers: answers(down), stops: used},
		{name: "created once", share: 30, method: "POST", host: "spare*", path: users, answers: answers(down, ok), stops: once},
		{name: "patched once", share: 20, method: "PATCH", host: "spare*", path: user, answers: answers(code(500, "E0000009"), ok), stops: once},
		{name: "idempotent", share: 15, method: "POST", host: "spare*", path: users, answers: answers(down, ok), context: oktaretry.WithIdempotent, stops: success},
		{name: "no retry", share: 15, method: "GET", host: "spare*", path: user, answers: answers(down), context: oktaretry.WithNoRetry, stops: is(oktaretry.StopNoRetry)},
		{name: "stalled, dropped", share: 10, method: "GET", host: "spare*", path: user, answers: answers(stall(503), ok), stops: success},
		{name: "stormy read", share: 80, method: "GET", host: "storm", path: user, answers: answers(storm(ok, down)), stops: append(success, used...)},
		{name: "stormy write", share: 50, method: "POST", host: "storm", path: users, answers: answers(storm(ok, down)), stops: append(success, once...)},
		{name: "reset", share: 20, method: "GET", host: "spare*", path: user, answers: answers(reset, ok), stops: success},
		{name: "reset, in vain", share: 10, method: "PUT", host: "spare*", path: user, answers: answers(reset), stops: used},
		{name: "reset once", share: 20, method: "POST", host: "spare*", path: users, answers: answers(reset, ok), stops: once},
		{name: "connection refused", share: 20, method: "POST", host: "spare*", path: users, stops: success,
			answers: answers(fail(script.Refused), ok)},
		{name: "end of file", share: 20, method: "GET", host: "spare*", path: user, answers: answers(fail(io.EOF)), stops: used},
		{name: "end of file, once", share: 20, method: "POST", host: "spare*", path: users, answers: answers(fail(fmt.Errorf("reading: %w", io.EOF))), stops: once},
		{name: "timeout", share: 10, method: "GET", host: "spare*", path: user, stops: success,
			answers: answers(fail(&url.Error{Op: "Get", URL: "https://jane", Err: os.ErrDeadlineExceeded}), ok)},
		{name: "unknown host", share: 10, method: "GET", host: "spare*", path: user, answers: answers(fail(&net.DNSError{Err: "no such host", Name: "x", IsNotFound: true})), stops: terminal},
		{name: "unknown authority", share: 10, method: "GET", host: "spare*", path: user, answers: answers(fail(x509.UnknownAuthorityError{})), stops: terminal},
		{name: "unsupported", share: 10, method: "PUT", host: "spare*", path: user, answers: answers(fail(http.ErrNotSupported)), stops: terminal},
		{name: "nothing", share: 10, method: "GET", host: "spare*", path: user, answers: answers(answer{Step: script.Nothing(), harmful: true}), stops: terminal},
		{name: "both", share: 10, method: "PUT", host: "spare*", path: user, answers: answers(both(ok, syscall.ECONNRESET), ok), stops: success},
		{name: "hung", share: 10, method: "GET", host: "spare*", path: user, answers: answers(hang, ok), stops: success},
		{name: "hung once", share: 10, method: "POST", host: "spare*", path: users, answers: answers(hang), stops: once},
		{name: "polled", share: 20, method: "POST", host: "calm", path: factor, answers: answers(pending, pending, ok), stops: success},
		{name: "polled through an outage", share: 10, method: "POST", host: "spare*", path: factor, answers: answers(pending, down, ok), stops: success},
		{name: "still pending", share: 10, method: "POST", host: "calm", path: factor, answers: answers(pending), context: withRule("pending", thrice), stops: used},
		{name: "nowhere to poll", share: 10, method: "POST", host: "calm", path: factor, answers: answers(code(202, "E0000070")), stops: is(oktaretry.StopNoPollTarget)},
		{name: "factor", share: 20, method: "POST", host: "calm", path: factor, answers: answers(waiting, waiting, ok), stops: success},
		{name: "panic", share: 10, method: "GET", host: "calm", path: user, answers: answers(panics), stops: is(oktaretry.StopNone)},
		{name: "panic later", share: 10, method: "PUT", host: "spare*", path: user, answers: answers(down, panics), stops: is(oktaretry.StopNone)},
		{name: "panic before the body", share: 10, method: "POST", host: "calm", path: users, early: true, answers: answers(panics), stops: is(oktaretry.StopNone)},
		{name: hookFails, share: 10, method: "PUT", host: "spare*", path: user, answers: answers(down), stops: is(oktaretry.StopPrepareFailed)},
		{name: hookPanics, share: 10, method: "PUT", host: "spare*", path: user, answers: answers(down), stops: is(oktaretry.StopNone)},
		{name: "invalid", share: 10, method: "PUT", host: "calm", path: user, context: withRule("?", oktaretry.Rule{}), stops: is(oktaretry.StopInvalid)},
	}
}

// reply is an answer in JSON.
func reply(status int, body string, fields ...script.Field) answer {
	return answer{Step: script.Reply(status, body, fields...), harmful: status >= 500}
}

// code is an error of Okta's.
func code(status int, code string, fields ...script.Field) answer {
	return answer{Step: script.Code(status, code, fields...), harmful: status >= 500}
}

// fail is an error of the network.
func fail(err error) answer {
	var op *net.OpError
	neverSent := errors.As(err, &op) && op.Op == "dial"
	return answer{Step: script.Fail(err), harmful: !neverSent}
}

// both is a response along with an error.
func both(a answer, also error) answer {
	a.harmful, a.also = true, also
	return a
}

// stall is a body that brings nothing and does not end.
func stall(status int) answer {
	return answer{Step: script.Stalled(status, ""), harmful: status >= 500, stalls: true}
}

// hang is no answer for as long as it may be, which some policies end.
var hang = answer{Step: script.Fail(io.ErrUnexpectedEOF).Takes(40 * time.Second), harmful: true}

// panics is a panic of the base.
var panics = answer{Step: script.Panic(ownPanic)}

// storm answers by the time.
func storm(calm, stormy answer) answer {
	calm.storm = &stormy
	return calm
}

func withRule(key string, r oktaretry.Rule) func(context.Context) context.Context {
	return func(ctx context.Context) context.Context { return oktaretry.WithRule(ctx, key, r) }
}

// The kinds whose resend the hook of the soak stops.
const hookFails, hookPanics = "the hook fails", "the hook panics"

var errHook = errors.New("no key")

// ownPanic is what all panics of the soak are with.
const ownPanic = "the soak's own panic"

// hook is the Transport's PrepareRetry.
func hook(req *http.Request) error {
	switch c := callOf(req.Context()); c.kind.name {
	case hookFails:
		return errHook
	case hookPanics:
		c.panics = true
		panic(ownPanic)
	}
	return nil
}
