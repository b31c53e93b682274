// This file tests what follows an answer, row by row: each way to stop, each way
// to go on, and which of several reasons to stop is reported.

package oktaretry

import (
	"math"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/internal/route"
	"github.com/oktaretry/oktaretry/internal/wire"
)

// decided is when the calls of these tests decide.
var decided = time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)

// decision is one row: an answer, what the call knows, and the step that follows.
type decision struct {
	name string

	class       Class
	code        string
	rule        Rule
	wait        time.Duration
	count       int           // answers that the rule has judged, this one included
	spent       time.Duration // that the call has waited for the rule
	notSent     bool
	canceled    bool
	concurrency bool // the answer is 0 of 0
	held        bool // the bucket holds its calls

	request  traits
	left     time.Duration // until the caller's deadline
	deadline bool          // there is one
	noRetry  bool
	polling  bool
	once     bool
	token    bool
	pollAt   *url.URL
	refused  time.Duration
	by       Scope

	want step
}

// traits are what matters of the caller's request.
type traits struct{ idempotent, repeatable, replayable bool }

func (d *decision) decide() step {
	a := &answer{
		Classification: Classification{Class: d.class, Code: d.code, NotSent: d.notSent},
		rule:           d.rule, wait: d.wait, canceled: d.canceled, held: d.held,
		limits: wire.Limits{Limit: 600, Remaining: 0},
	}
	if d.concurrency {
		a.limits.Limit = 0
	}
	f := facts{
		now: decided, noRetry: d.noRetry, polling: d.polling, once: d.once, token: d.token, pollAt: d.pollAt, refused: d.refused, by: d.by,
		idempotent: d.request.idempotent, repeatable: d.request.repeatable, replayable: d.request.replayable,
	}
	if d.deadline {
		f.deadline = decided.Add(d.left)
	}
	if d.class != ClassSuccess && (d.rule.Action != FailFast || d.class == ClassRateLimited) { // else judge counts nothing
		a.tally = &tally{count: d.count, spent: d.spent}
	}
	return decide(a, f)
}

func TestDecide(t *testing.T) {
	const (
		ns     = time.Nanosecond
		s      = time.Second
		hour   = time.Hour
		server = ClassServerError
		rate   = ClassRateLimited
	)
	var (
		failFast = Rule{Action: FailFast}
		backoff  = Rule{Action: Backoff}
		any      = Rule{Action: Backoff, AnyMethod: true}
		poll     = Rule{Action: Poll}
		thrice   = Rule{Action: Backoff, MaxAttempts: 3}
		for30s   = Rule{Action: Backoff, MaxElapsed: 30 * s}
		poll30s  = Rule{Action: Poll, MaxElapsed: 30 * s}

		get    = traits{idempotent: true, repeatable: true, replayable: true}
		put    = traits{idempotent: true, replayable: true}
		stream = traits{idempotent: true} // a PUT whose body is gone
		post   = traits{replayable: true}

		link = &url.URL{Scheme: "https", Host: "acme.okta.com", Path: "/api/v1/users/1/factors/2/transactions/3"}
	)
	paused := func(why WaitReason, d time.Duration) Wait { return Wait{why, d} }
	stopped := func(why StopReason) step { return step{stop: why} }

	for _, d := range []decision{
		// Answers that are the caller's at once.
		{name: "a success ends the call", class: ClassSuccess, request: get, want: stopped(StopSuccess)},
		{name: "a client error ends the call", class: ClassClientError, rule: failFast, request: get, want: stopped(StopFailFast)},
		{name: "a 429 ends the call, if its rule is to fail fast", class: rate, rule: failFast, wait: s, request: get, want: stopped(StopFailFast)},
		{name: "a 503 ends the call, if its rule is to fail fast", class: server, rule: failFast, request: get, want: stopped(StopFailFast)},
		{name: "a pending answer ends the call, if its rule is to fail fast", class: ClassPending, rule: failFast, request: get, pollAt: link, want: stopped(StopFailFast)},
		{name: "an attempt that its caller canceled ends the call", class: ClassNetwork, rule: backoff, wait: s, canceled: true, request: get, want: stopped(StopCanceled)},

		// WithNoRetry.
		{name: "a 503 without retry", class: server, rule: backoff, wait: s, noRetry: true, request: get, want: stopped(StopNoRetry)},
		{name: "a 429 without retry", class: rate, rule: any, wait: s, noRetry: true, held: true, request: post, want: stopped(StopNoRetry)},
		{name: "a pending answer without retry", class: ClassPending, rule: poll, wait: 4 * s, noRetry: true, pollAt: link, request: post, want: stopped(StopNoRetry)},

		// The end of a challenge.
		{name: "E0000067 ends a poll", class: server, code: codeFactorTimeout, rule: backoff, wait: s, polling: true, pollAt: link, request: get, want: stopped(StopFailFast)},
		{name: "E0000067 outside of a poll is an outage", class: server, code: codeFactorTimeout, rule: backoff, wait: s, request: get,
			want: step{resend: true, pause: paused(WaitBackoff, s)}},
		{name: "another 504 of a poll is an outage", class: server, code: "E0000241", rule: backoff, wait: s, polling: true, pollAt: link, request: get,
			want: step{resend: true, pause: paused(WaitBackoff, s), pollAt: link}},

		// MaxAttempts.
		{name: "2 of 3 attempts", class: server, rule: thrice, wait: s, count: 2, request: get, want: step{resend: true, pause: paused(WaitBackoff, s)}},
		{name: "3 of 3 attempts", class: server, rule: thrice, wait: s, count: 3, request: get, want: stopped(StopMaxAttempts)},
		{name: "4 of 3 attempts, after a change of rules", class: server, rule: thrice, wait: s, count: 4, request: get, want: stopped(StopMaxAttempts)},
		{name: "1 of 1 attempt", class: server, rule: Rule{Action: Backoff, MaxAttempts: 1}, wait: s, count: 1, request: get, want: stopped(StopMaxAttempts)},
		{name: "a thousand attempts without a cap", class: rate, rule: any, wait: s, count: 1000, request: get, want: step{pause: paused(WaitRateLimit, s)}},
		{name: "3 of 3 polls", class: ClassPending, rule: Rule{Action: Poll, MaxAttempts: 3}, wait: 4 * s, count: 3, pollAt: link, request: post, want: stopped(StopMaxAttempts)},

		// A grant that may be valid once, whatever the rule allows.
		{name: "a 429 of a token request", class: rate, rule: any, wait: s, token: true, held: true, request: post, want: step{}},
		{name: "a 503 of a token request", class: server, rule: any, wait: s, token: true, request: post, want: stopped(StopNotIdempotent)},
		{name: "a token request that was lost", class: ClassNetwork, rule: any, wait: s, token: true, request: post, want: stopped(StopNotIdempotent)},
		{name: "a token request that was never sent", class: ClassNetwork, rule: backoff, wait: s, token: true, notSent: true, request: post,
			want: step{resend: true, pause: paused(WaitBackoff, s)}},
		{name: "a 503 of a token request that may be repeated", class: server, rule: backoff, wait: s, token: true, request: put,
			want: step{resend: true, pause: paused(WaitBackoff, s)}},

		// A proof that is valid once.
		{name: "a 429 of a request that is valid once", class: rate, rule: any, wait: s, once: true, request: get, want: stopped(StopNotReplayable)},
		{name: "a request that is valid once and was never sent", class: ClassNetwork, rule: backoff, wait: s, once: true, notSent: true, request: get,
			want: step{resend: true, pause: paused(WaitBackoff, s)}},
		{name: "a poll of a request that is valid once", class: ClassPending, rule: poll, wait: 4 * s, once: true, pollAt: link, request: get, want: stopped(StopNotReplayable)},

		// Which requests may be sent again after an error.
		{name: "a 503 to a GET", class: server, rule: backoff, wait: s, request: get, want: step{resend: true, pause: paused(WaitBackoff, s)}},
		{name: "a 503 to a PUT", class: server, rule: backoff, wait: s, request: put, want: step{resend: true, pause: paused(WaitBackoff, s)}},
		{name: "a 503 to a POST", class: server, rule: backoff, wait: s, request: post, want: stopped(StopNotIdempotent)},
		{name: "a 503 to a POST, if the rule is for any method", class: server, rule: any, wait: s, request: post, want: step{resend: true, pause: paused(WaitBackoff, s)}},
		{name: "a lost connection of a GET", class: ClassNetwork, rule: backoff, wait: s, request: get, want: step{resend: true, pause: paused(WaitBackoff, s)}},
		{name: "a lost connection of a POST", class: ClassNetwork, rule: backoff, wait: s, request: post, want: stopped(StopNotIdempotent)},
		{name: "a lost connection of a POST, if the rule is for any method", class: ClassNetwork, rule: any, wait: s, request: post, want: step{resend: true, pause: paused(WaitBackoff, s)}},
		{name: "a POST that was never sent", class: ClassNetwork, rule: backoff, wait: s, notSent: true, request: post, want: step{resend: true, pause: paused(WaitBackoff, s)}},
		{name: "a 429 to a POST", class: rate, rule: any, wait: s, request: post, want: step{pause: paused(WaitRateLimit, s)}},
		{name: "a 429 to a POST, if the rule is for idempotent methods", class: rate, rule: backoff, wait: s, request: post, want: stopped(StopNotIdempotent)},
		{name: "a 409 to a PUT, if its rule is to back off", class: ClassClientError, rule: backoff, wait: s, request: put, want: step{pause: paused(WaitBackoff, s)}},
		{name: "a 409 to a POST, if its rule is to back off", class: ClassClientError, rule: backoff, wait: s, request: post, want: stopped(StopNotIdempotent)},
		{name: "a 409 to a POST, if its rule is to back off with any method", class: ClassClientError, rule: any, wait: s, request: post, want: step{pause: paused(WaitBackoff, s)}},

		// Which bodies can be.
		{name: "a 503 to a stream", class: server, rule: backoff, wait: s, request: stream, want: stopped(StopNotReplayable)},
		{name: "a 429 to a stream", class: rate, rule: any, wait: s, request: stream, want: stopped(StopNotReplayable)},
		{name: "a 429 to a poll needs no body", class: rate, rule: any, wait: s, polling: true, pollAt: link, request: stream, want: step{pause: paused(WaitRateLimit, s), pollAt: link}},
		{name: "a 503 to a poll needs no body", class: server, rule: backoff, wait: s, polling: true, pollAt: link, request: stream,
			want: step{resend: true, pause: paused(WaitBackoff, s), pollAt: link}},

		// Pending answers.
		{name: "a pending answer with a link", class: ClassPending, rule: poll, wait: 4 * s, pollAt: link, request: post, want: step{poll: true, pollAt: link, pause: paused(WaitPoll, 4*s)}},
		{name: "a pending answer with a link needs neither method nor body", class: ClassPending, rule: poll, wait: 4 * s, pollAt: link, want: step{poll: true, pollAt: link, pause: paused(WaitPoll, 4*s)}},
		{name: "a pending answer to a GET is polled by the same request", class: ClassPending, rule: poll, wait: 4 * s, request: get, want: step{poll: true, pause: paused(WaitPoll, 4*s)}},
		{name: "a pending answer to a POST without a link", class: ClassPending, rule: poll, wait: 4 * s, request: post, want: stopped(StopNoPollTarget)},
		{name: "a pending answer to a PUT without a link", class: ClassPending, rule: poll, wait: 4 * s, request: put, want: stopped(StopNoPollTarget)},
		{name: "a pending answer to a request whose body is gone", class: ClassPending, rule: poll, wait: 4 * s, request: traits{repeatable: true}, want: stopped(StopNotReplayable)},
		{name: "a pending answer to a POST that is itself a poll", class: ClassPending, rule: poll, wait: 4 * s, request: traits{repeatable: true, replayable: true},
			want: step{poll: true, pause: paused(WaitPoll, 4*s)}},

		// The caller's deadline: a wait has to end before it.
		{name: "a wait that ends 1 ns before the deadline", class: server, rule: backoff, wait: s, deadline: true, left: s + ns, request: get, want: step{resend: true, pause: paused(WaitBackoff, s)}},
		{name: "a wait that ends at the deadline", class: server, rule: backoff, wait: s, deadline: true, left: s, request: get, want: step{stop: StopDeadline, needed: s}},
		{name: "a wait that ends 1 ns after the deadline", class: server, rule: backoff, wait: s, deadline: true, left: s - ns, request: get, want: step{stop: StopDeadline, needed: s}},
		{name: "a deadline that has passed", class: rate, rule: any, wait: s, deadline: true, left: -s, request: get, want: step{stop: StopDeadline, needed: s}},
		{name: "a poll that the deadline leaves no time for", class: ClassPending, rule: poll, wait: 4 * s, deadline: true, left: 4 * s, pollAt: link, request: post, want: step{stop: StopDeadline, needed: 4 * s}},
		{name: "a bucket that is held beyond the deadline", class: rate, rule: any, wait: hour, held: true, deadline: true, left: 60 * s, request: get, want: step{stop: StopDeadline, needed: hour}},

		// MaxElapsed: a wait may end at its very end.
		{name: "a wait that ends 1 ns before MaxElapsed", class: server, rule: for30s, wait: s, spent: 29*s - ns, request: get, want: step{resend: true, pause: paused(WaitBackoff, s)}},
		{name: "a wait that ends with MaxElapsed", class: server, rule: for30s, wait: s, spent: 29 * s, request: get, want: step{resend: true, pause: paused(WaitBackoff, s)}},
		{name: "a wait that ends 1 ns after MaxElapsed", class: server, rule: for30s, wait: s, spent: 29*s + ns, request: get, want: step{stop: StopMaxElapsed, needed: s}},
		{name: "a 24-hour limit fits no MaxElapsed", class: rate, rule: Rule{Action: Backoff, AnyMethod: true, MaxElapsed: 600 * s}, wait: 24 * hour, request: get,
			want: step{stop: StopMaxElapsed, needed: 24 * hour}},
		{name: "a long wait without MaxElapsed", class: rate, rule: any, wait: 24 * hour, spent: 48 * hour, request: get, want: step{pause: paused(WaitRateLimit, 24*hour)}},
		{name: "a poll that ends with MaxElapsed", class: ClassPending, rule: poll30s, wait: 4 * s, spent: 26 * s, pollAt: link, request: post, want: step{poll: true, pollAt: link, pause: paused(WaitPoll, 4*s)}},
		{name: "a poll that ends after MaxElapsed", class: ClassPending, rule: poll30s, wait: 4 * s, spent: 26*s + ns, pollAt: link, request: post, want: step{stop: StopMaxElapsed, needed: 4 * s}},

		// Circuits that certainly refuse the next attempt.
		{name: "a circuit that refuses for less than the wait", class: server, rule: backoff, wait: 5 * s, refused: 5*s - ns, by: TripsHost, request: get, want: step{resend: true, pause: paused(WaitBackoff, 5*s)}},
		{name: "a circuit that refuses for as long as the wait", class: server, rule: backoff, wait: 5 * s, refused: 5 * s, by: TripsHost, request: get, want: step{resend: true, pause: paused(WaitBackoff, 5*s)}},
		{name: "a host's circuit that refuses for longer than the wait", class: server, rule: backoff, wait: 5 * s, refused: 5*s + ns, by: TripsHost, request: get,
			want: step{stop: StopCircuitOpen, needed: 5*s + ns, by: TripsHost}},
		{name: "an endpoint's circuit that refuses for longer than the wait", class: ClassNetwork, rule: backoff, wait: s, refused: 5 * s, by: TripsEndpoint, request: get,
			want: step{stop: StopCircuitOpen, needed: 5 * s, by: TripsEndpoint}},
		{name: "a circuit that refuses a poll", class: ClassPending, rule: poll, wait: 4 * s, refused: 5 * s, by: TripsHost, pollAt: link, request: post,
			want: step{stop: StopCircuitOpen, needed: 5 * s, by: TripsHost}},
		{name: "a circuit that refuses after a 429", class: rate, rule: any, wait: s, held: true, refused: 5 * s, by: TripsEndpoint, request: post,
			want: step{stop: StopCircuitOpen, needed: 5 * s, by: TripsEndpoint}},

		// What the next attempt waits for.
		{name: "a 429 whose bucket is held: its line makes the call wait", class: rate, rule: any, wait: 30 * s, held: true, request: get, want: step{}},
		{name: "a 429 of one user: the call itself waits", class: rate, rule: any, wait: 30 * s, request: get, want: step{pause: paused(WaitRateLimit, 30*s)}},
		{name: "a 429 of the concurrency limit", class: rate, rule: any, wait: s, concurrency: true, request: get, want: step{pause: paused(WaitConcurrency, s)}},
		{name: "a 503 that carries 0 of 0", class: server, rule: backoff, wait: s, concurrency: true, request: get, want: step{resend: true, pause: paused(WaitBackoff, s)}},
	} {
		t.Run(d.name, func(t *testing.T) {
			if got := d.decide(); got != d.want {
				t.Errorf("got  %+v\nwant %+v", got, d.want)
			}
		})
	}
}

// The reasons to stop are peeled off a call to which all of them apply; the first
// that is left is the one reported.
func TestDecideReportsTheFirstOfSeveralReasons(t *testing.T) {
	type reason struct {
		stop   StopReason
		remove func(*decision)
	}
	before := []reason{
		{StopSuccess, func(d *decision) { d.class = ClassServerError }},
		{StopCanceled, func(d *decision) { d.canceled = false }},
		{StopFailFast, func(d *decision) { d.rule.Action = Backoff }},
		{StopNoRetry, func(d *decision) { d.noRetry = false }},
		{StopFailFast, func(d *decision) { d.code = "E0000009" }}, // the challenge's end
		{StopMaxAttempts, func(d *decision) { d.rule.MaxAttempts = 0 }},
		{StopNotReplayable, func(d *decision) { d.once = false }},
	}
	after := []reason{
		{StopNotReplayable, func(d *decision) { d.request.replayable = true }},
		{StopDeadline, func(d *decision) { d.deadline = false }},
		{StopMaxElapsed, func(d *decision) { d.rule.MaxElapsed = 0 }},
		{StopCircuitOpen, func(d *decision) { d.refused = 0 }},
		{StopNone, nil},
	}
	for name, own := range map[string][]reason{
		"errors": {
			{StopNotIdempotent, func(d *decision) { d.request.idempotent = true }},
		},
		"pending answers": {
			// So far the answer was an error, and its rule to back off.
			{StopNotIdempotent, func(d *decision) { d.class, d.rule.Action = ClassPending, Poll }},
			{StopNoPollTarget, func(d *decision) { d.request.repeatable = true }},
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := decision{
				class: ClassSuccess, canceled: true, noRetry: true, polling: true, code: codeFactorTimeout, once: true,
				rule: Rule{Action: FailFast, MaxAttempts: 1, MaxElapsed: time.Second}, count: 1, wait: time.Minute,
				deadline: true, left: time.Second, refused: time.Hour, by: TripsHost,
			}
			for _, list := range [][]reason{before, own, after} {
				for _, r := range list {
					if got := d.decide(); got.stop != r.stop {
						t.Fatalf("stops by %s, want %s: %+v", got.stop, r.stop, d)
					}
					if r.remove != nil {
						r.remove(&d)
					}
				}
			}
		})
	}
}

func TestFits(t *testing.T) {
	const s = time.Second
	for _, tt := range []struct {
		name                    string
		wait, maxElapsed, spent time.Duration
		left                    time.Duration // until the deadline; 0: none
		want                    StopReason
	}{
		{"nothing bounds the wait", math.MaxInt64, 0, s, 0, StopNone},
		{"1 ns is left after the wait", s, 0, 0, s + 1, StopNone},
		{"the wait ends at the deadline", s, 0, 0, s, StopDeadline},
		{"the wait ends after the deadline", s, 0, 0, s - 1, StopDeadline},
		{"no wait, and a deadline ahead", 0, 0, 0, 1, StopNone},
		{"no wait, and a deadline that has passed", 0, 0, 0, -1, StopDeadline},
		{"the wait uses up MaxElapsed", s, 3 * s, 2 * s, 0, StopNone},
		{"the wait is longer than the rest of MaxElapsed", s + 1, 3 * s, 2 * s, 0, StopMaxElapsed},
		{"MaxElapsed is over", 1, 3 * s, 4 * s, 0, StopMaxElapsed},
		{"no wait, and MaxElapsed is just over", 0, 3 * s, 3 * s, 0, StopNone},
		{"both bounds are met", s, 3 * s, 2 * s, 2 * s, StopNone},
		{"both bounds are broken", 9 * s, 3 * s, 2 * s, 2 * s, StopDeadline},
		{"the longest wait overflows nothing", math.MaxInt64, math.MaxInt64, s, 0, StopMaxElapsed},
		{"the longest MaxElapsed overflows nothing", s, math.MaxInt64, s, 0, StopNone},
	} {
		var deadline time.Time
		if tt.left != 0 {
			deadline = decided.Add(tt.left)
		}
		got := fits(tt.wait, &Rule{MaxElapsed: tt.maxElapsed}, tt.spent, deadline, decided)
		if got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestFitsLine(t *testing.T) {
	const s = time.Second
	for _, tt := range []struct {
		name                 string
		wait, spent, longest time.Duration
		left                 time.Duration // until the deadline; 0: none
		want                 StopReason
	}{
		{"nothing bounds the line", math.MaxInt64, s, 0, 0, StopNone},
		{"the turn comes 1 ns before the deadline", s, 0, 0, s + 1, StopNone},
		{"the turn comes at the deadline", s, 0, 0, s, StopDeadline},
		{"the turn comes after the deadline", s, 0, 0, s - 1, StopDeadline},
		{"the turn comes just in MaxWait", s, 2 * s, 3 * s, 0, StopNone},
		{"the turn comes 1 ns after MaxWait", s + 1, 2 * s, 3 * s, 0, StopMaxWait},
		{"MaxWait is over", 1, 4 * s, 3 * s, 0, StopMaxWait},
		{"both bounds are met", s, 2 * s, 3 * s, 2 * s, StopNone},
		{"both bounds are broken", 9 * s, 2 * s, 3 * s, 2 * s, StopDeadline},
		{"the longest wait overflows nothing", math.MaxInt64, s, math.MaxInt64, 0, StopMaxWait},
	} {
		var deadline time.Time
		if tt.left != 0 {
			deadline = decided.Add(tt.left)
		}
		if got := fitsLine(tt.wait, tt.spent, tt.longest, deadline, decided); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestIdempotentAndRepeatableRequests(t *testing.T) {
	key := func(field string, values ...string) http.Header {
		return http.Header{field: append([]string{}, values...)}
	}
	for _, tt := range []struct {
		name                   string
		method                 string
		header                 http.Header
		poll                   bool // the path ends in /poll
		marked                 bool // WithIdempotent
		idempotent, repeatable bool
	}{
		{"GET", "GET", nil, false, false, true, true},
		{"HEAD", "HEAD", nil, false, false, true, true},
		{"OPTIONS", "OPTIONS", nil, false, false, true, false},
		{"TRACE", "TRACE", nil, false, false, true, false},
		{"PUT", "PUT", nil, false, false, true, false},
		{"DELETE", "DELETE", nil, false, false, true, false},
		{"POST", "POST", nil, false, false, false, false},
		{"PATCH", "PATCH", nil, false, false, false, false},
		{"CONNECT", "CONNECT", nil, false, false, false, false},
		{"a method of somebody's own", "PURGE", nil, false, false, false, false},
		{"methods are case-sensitive", "get", nil, false, false, false, false},
		{"POST, marked by its caller", "POST", nil, false, true, true, false},
		{"POST to a poll", "POST", nil, true, false, true, true},
		{"POST with an Idempotency-Key", "POST", key("Idempotency-Key", "42"), false, false, true, false},
		{"POST with an X-Idempotency-Key", "POST", key("X-Idempotency-Key", "42"), false, false, true, false},
		{"POST with a key field without a value", "POST", key("Idempotency-Key"), false, false, false, false},
		{"POST with another field", "POST", key("X-Request-Id", "42"), false, false, false, false},
	} {
		to := &route.Route{Poll: tt.poll}
		if got := idempotent(tt.method, tt.header, to, &callOptions{idempotent: tt.marked}); got != tt.idempotent {
			t.Errorf("%s: idempotent is %t", tt.name, got)
		}
		if got := repeatable(tt.method, to); got != tt.repeatable {
			t.Errorf("%s: repeatable is %t", tt.name, got)
		}
	}
}

func TestHasDPoPWhateverTheFieldsCase(t *testing.T) {
	for _, tt := range []struct {
		field string
		want  bool
	}{
		{"Dpop", true}, {"DPoP", true}, {"dpop", true}, {"DPOP", true},
		{"", false}, {"Authorization", false}, {"Dpop-Nonce", false}, {"Host", false}, {"Dpo", false},
	} {
		if got := hasDPoP(http.Header{"Accept": {"application/json"}, tt.field: {"proof"}}); got != tt.want {
			t.Errorf("%q: %t, want %t", tt.field, got, tt.want)
		}
	}
	if hasDPoP(nil) {
		t.Error("no header holds a proof")
	}
}
