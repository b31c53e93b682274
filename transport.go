// This file is the algorithm: one loop that takes a call through pace and
// circuits to Okta and back, until an answer is the caller's.

package oktaretry

import (
	"fmt"
	"hash/maphash"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oktaretry/oktaretry/internal/circuit"
	"github.com/oktaretry/oktaretry/internal/pace"
	"github.com/oktaretry/oktaretry/internal/replay"
	"github.com/oktaretry/oktaretry/internal/route"
	"github.com/oktaretry/oktaretry/internal/telemetry"
	"github.com/oktaretry/oktaretry/internal/wire"
)

// Transport is an [http.RoundTripper] that makes calls to Okta survive. It
// keeps the RoundTripper contract, is safe for concurrent use by any number of
// goroutines and hosts, starts no goroutine of its own that outlives a call,
// and needs no closing. Use one for all clients of an org: calls that share a
// rate limit should share what is known of it.
type Transport struct {
	base         http.RoundTripper
	prepareRetry func(*http.Request) error
	buckets      func(*http.Request) string // nil: only the built-in ones
	telemetry    *telemetry.Telemetry
	governor     *pace.Governor
	shared       *sharing      // nil: without WithShared
	seed         maphash.Seed // keys the hash by which credentials are told apart
	mu           sync.Mutex   // serialises SetPolicy
	settings     atomic.Pointer[settings]
}

// settings is what a call goes by from its beginning to its end.
type settings struct {
	policy    Policy
	endpoints *endpoints
}

// NewTransport returns a Transport that sends through base, or through
// [http.DefaultTransport] if base is nil. It reports everything that is wrong
// with the options at once.
func NewTransport(base http.RoundTripper, opts ...Option) (*Transport, error) {
	if base == nil {
		base = http.DefaultTransport
	}
	cfg, err := newConfig(opts)
	if err != nil {
		return nil, err
	}
	tel, err := telemetry.New(cfg.telemetry())
	if err != nil {
		return nil, fmt.Errorf("oktaretry: metrics: %w", err)
	}
	t := &Transport{
		base: base, prepareRetry: cfg.prepareRetry, buckets: cfg.buckets, telemetry: tel,
		governor: pace.New(pace.Config(cfg.policy.Pace)), seed: maphash.MakeSeed(),
	}
	if t.shared, err = newShared(cfg); err != nil {
		return nil, fmt.Errorf("oktaretry: metrics: %w", err)
	}
	if t.shared != nil {
		t.governor.Share(t.shared.fleet, t.shared.holder)
	}
	t.settings.Store(&settings{cfg.policy, newEndpoints(cfg.policy.Breaker, cfg.policy.Budget)})
	if err := t.observe(); err != nil {
		return nil, fmt.Errorf("oktaretry: metrics: %w", err)
	}
	return t, nil
}

// Client returns an [http.Client] that sends through t. A Timeout set on it
// covers all attempts of a call and the waits between them.
func (t *Transport) Client() *http.Client { return &http.Client{Transport: t} }

// SetPolicy replaces the policy for calls that begin from now on. A policy
// that [Policy.Validate] refuses changes nothing. Changed settings of Breaker
// or Budget start with closed circuits and a fresh budget.
func (t *Transport) SetPolicy(p Policy) error {
	if err := p.Validate(); err != nil {
		return err
	}
	p = p.clone()
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.settings.Load().endpoints
	if e.breaker != p.Breaker || e.budget != p.Budget {
		e = newEndpoints(p.Breaker, p.Budget)
	}
	t.governor.Configure(pace.Config(p.Pace))
	t.settings.Store(&settings{p, e})
	return nil
}

// CloseIdleConnections closes the idle connections of the base.
func (t *Transport) CloseIdleConnections() {
	if c, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// RoundTrip sends the request as often as its policy says and returns the
// answer that is the caller's. See the package's documentation for what comes
// back in which case.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	c := t.newCall(req)
	defer c.cleanUp() // also after a panic of the base
	if err := c.check(); err != nil {
		return c.refuse(err)
	}
	c.startCall()
	for next := (step{}); ; {
		if stop := c.admit(next); stop != StopNone {
			return c.finish(stop)
		}
		answer, stop := c.send()
		if stop != StopNone {
			return c.finish(stop)
		}
		c.judge(answer)
		c.learn(answer)
		if next = decide(answer, c.facts(answer)); next.stop == StopNone {
			next.stop = c.claim(next)
		}
		if next.stop != StopNone {
			c.needed, c.refusedBy = next.needed, next.by
			return c.finish(next.stop)
		}
	}
}

// newCall returns a call that has done nothing yet.
func (t *Transport) newCall(req *http.Request) *call {
	c := calls.Get().(*call)
	c.t, c.settings, c.req, c.ctx, c.method = t, t.settings.Load(), req, req.Context(), req.Method
	c.start = time.Now()
	c.now = c.start
	c.opts = callOptionsOf(c.ctx)
	if c.method == "" {
		c.method = http.MethodGet
	}
	return c
}

// check refuses what cannot be sent. Else the call knows where it goes.
func (c *call) check() error {
	switch u := c.req.URL; {
	case c.opts.err != nil:
		return c.opts.err
	case u == nil:
		return &requestError{"URL is nil"}
	case c.req.Header == nil:
		return &requestError{"Header is nil"}
	case u.Host == "":
		return &requestError{"URL has no host"}
	}
	c.aim(c.method, c.req.URL)
	c.origin = c.endpoint
	o := &c.outcome
	o.Method, o.Host, o.Template, o.Bucket, o.Start = c.endpoint.key.method, c.endpoint.key.host, c.route.Template, c.route.Bucket, c.start
	keep := c.settings.policy.MaxCapture
	if c.route.Token {
		// Its assertion may be valid once only.
		keep = replay.Never
	}
	c.body = replay.New(c.req, keep)
	c.hasBody = c.req.Body != nil && c.req.Body != http.NoBody
	return nil
}

// aim points the next attempts at a method and URL.
func (c *call) aim(method string, target *url.URL) {
	path := target.Path
	if target.RawPath != "" {
		path = target.RawPath
	}
	r := route.Match(method, path)
	if name := c.ownBucket(method, target); name != "" {
		r.Bucket = name
	}
	c.method, c.target, c.route = method, target, r
	c.endpoint = c.settings.endpoints.find(method, target, &c.route, c.now)
}

// ownBucket returns what the user calls the bucket of a method and URL; "" when
// the user has no name for it.
func (c *call) ownBucket(method string, target *url.URL) string {
	if c.t.buckets == nil {
		return ""
	}
	req := new(http.Request)
	*req = *c.req
	req.Method, req.URL, req.Body, req.GetBody = method, target, nil, nil
	name := c.t.buckets(req)
	if len(name) > longestBucket {
		name = name[:longestBucket]
	}
	// A part of a string keeps all of it, and so would an invalid one's repair.
	return strings.Clone(strings.ToValidUTF8(name, ""))
}

// longestBucket bounds a bucket's name, as it bounds what many of them take.
const longestBucket = 128

// admit waits for the call's turn: first what its own last answer asked for,
// then its place in the bucket, then the circuits. Waiting comes before the
// circuits, so that a probe's slot is never held by a sleeper.
func (c *call) admit(next step) StopReason {
	if next.pause.Duration > 0 && !c.sleep(next.pause) {
		return StopCanceled
	}
	if stop := c.waitTurn(); stop != StopNone {
		return stop
	}
	return c.passCircuits()
}

// waitTurn waits until the bucket has a place for the call.
func (c *call) waitTurn() StopReason {
	if c.ctx.Err() != nil {
		return StopCanceled
	}
	if !c.first() {
		c.now = time.Now()
	}
	began := c.now
	c.t.governor.Enter(&c.ticket, began, pace.Key{
		Host:       c.endpoint.key.host,
		Credential: maphash.String(c.t.seed, first(c.req.Header["Authorization"])),
		Bucket:     c.route.Bucket,
	}, pace.Priority(c.opts.priority), c.answer.any(), &c.endpoint.bucket)
	wait, why := c.ticket.Ready(began)
	if wait == 0 {
		if c.t.shared != nil {
			c.visitShared(began)
		}
		return StopNone
	}

	deadline, _ := c.ctx.Deadline()
	rule, name := c.settings.policy.ruleFor(Classification{Class: ClassRateLimited}, c.opts.rules)
	patience := c.tally(name, began)
	if c.answer.held { // it is the wait of the call's own 429, whose code may have a rule of its own
		rule, patience = c.answer.rule, c.answer.tally
	}
	var waited [WaitConcurrency + 1]time.Duration // by reason: the line can come to wait for something else
	stop, told := StopNone, false
	for now := began; wait > 0 && stop == StopNone; {
		if why == pace.Ask && c.ctx.Err() == nil && c.askForPlace() {
			now = time.Now()
			wait, why = c.ticket.Ready(now)
			continue
		}
		reason := waitReason(why)
		if rule.Action == FailFast && (why == pace.Held || why == pace.Exhausted) {
			stop, c.needed = StopFailFast, wait
			break
		}
		if stop = fits(wait, &rule, patience.since, deadline, now); stop != StopNone {
			c.needed = wait
			break
		}
		if !told { // the wait can grow while it lasts
			told = c.told.Waiting(c.where(), reason.String(), now.Sub(began)+wait)
		}
		nap := c.ticket.Nap(wait)
		if rule.MaxElapsed > 0 {
			nap = min(nap, max(wait, rule.MaxElapsed-now.Sub(patience.since)))
		}
		if !pauseFor(c.ctx, nap, c.ticket.Wake()) {
			stop = StopCanceled
			c.needed = max(wait-time.Since(now), 0)
		}
		before := now
		now = time.Now()
		c.now = now
		waited[reason] += now.Sub(before)
		if stop == StopNone {
			wait, why = c.ticket.Ready(now)
		}
	}
	for reason, d := range waited {
		c.waitedFor(Wait{WaitReason(reason), d}, began)
		began = began.Add(d)
	}
	return stop
}

func waitReason(r pace.Reason) WaitReason {
	switch r {
	case pace.Ceiling:
		return WaitCeiling
	case pace.Slot:
		return WaitConcurrency
	}
	return WaitRateLimit
}

// judge finds out what the answer means, which rule it meets and how long that
// waits.
func (c *call) judge(a *answer) {
	p := &c.settings.policy
	if a.resp != nil {
		if a.read(a.resp) {
			c.now = time.Now()
		}
		a.limits = wire.ParseLimits(a.resp.Header)
		c.ticket.Observe(a.sent, a.arrived, a.limits.Date)
		if p.PollFactors && a.Class == ClassSuccess && (c.route.Factor || c.polls > 0) && factorWaiting(a.resp) {
			a.Class = ClassPending
		}
	}
	c.endAttempt()
	if a.Class == ClassSuccess {
		return
	}
	var name string
	a.rule, name = p.ruleFor(a.Classification, c.opts.rules)
	if a.rule.Action == FailFast && a.Class != ClassRateLimited {
		return // nothing follows, so nothing need be counted
	}
	a.tally = c.tally(name, a.arrived)
	a.tally.count++
	var named time.Duration
	if a.resp != nil {
		named = serverWait(a.Class, a.resp.Header, a.limits, &c.ticket, a.arrived)
	}
	a.wait = a.tally.wait(a.rule, a.Classification, a.limits, named)
}

// learn tells the host's clock, the bucket and the circuits what was seen.
func (c *call) learn(a *answer) {
	if a.Class == ClassRateLimited {
		c.tellRefusal()
	}
	seen := pace.Seen{Limit: a.limits.Limit, Remaining: a.limits.Remaining, Reset: a.limits.Reset, Answered: a.resp != nil}
	if a.Class == ClassRateLimited && !local(a.Code) {
		seen.Refused = true
		// 0/0 is the concurrency limit's word and says nothing of the bucket.
		if seen.Slots = a.limits.Concurrency(); !seen.Slots {
			seen.Hold = a.arrived.Add(min(a.wait, longestHold))
			a.held = a.wait <= longestHold
		}
	}
	c.learnShared(c.ticket.Done(a.arrived, seen))

	switch {
	case a.Class == ClassSuccess, a.Class == ClassPending:
		c.reportCircuits(TripsHost, circuit.Healthy)
	case a.canceled:
		c.reportCircuits(TripsNothing, circuit.Neutral)
	case a.Class == ClassClientError && a.rule.Trips == TripsNothing:
		c.reportCircuits(TripsNothing, circuit.Alive)
	default:
		c.reportCircuits(a.rule.Trips, circuit.Failed)
	}
}

// local reports whether a rate limit's code speaks of less than a bucket.
func local(code string) bool {
	e, ok := lookup(code)
	return ok && e.local
}
