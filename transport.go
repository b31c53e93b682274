// This file is the algorithm: one loop that takes a call through pace and
// circuits to Okta and back, until an answer is the caller's.

package oktaretry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oktaretry/oktaretry/internal/exchange"
	"github.com/oktaretry/oktaretry/internal/identity"
	"github.com/oktaretry/oktaretry/internal/pace"
	"github.com/oktaretry/oktaretry/internal/replay"
	"github.com/oktaretry/oktaretry/internal/route"
	"github.com/oktaretry/oktaretry/internal/telemetry"
	"github.com/oktaretry/oktaretry/internal/wire"
)

// Transport is an [http.RoundTripper] that makes calls to Okta survive. It
// keeps the RoundTripper contract, is safe for concurrent use by any number of
// goroutines and hosts, and needs no closing. It starts no goroutine of its own that
// outlives a call; with [WithShared], one returns what an idle bucket has leased. Use
// one for all clients of an org: calls that share a rate limit should share what is
// known of it. [NewTransport] makes it: the zero value, and nil, send nothing, and
// their calls and SetPolicy return an error that says so.
type Transport struct {
	base         http.RoundTripper
	prepareRetry func(*http.Request) error
	buckets      func(*http.Request) string // nil: only the built-in ones
	caller       func(*http.Request) string // nil: only those of the login endpoints
	circuits     func(*http.Request) string // nil: those of the host
	errorKind    func(error) ErrorKind      // nil: as the library thinks
	telemetry    *telemetry.Telemetry
	governor     *pace.Governor
	sharing      *sharing // nil: without WithShared
	keys         *identity.Keys
	givenUp      givenUp
	observers    observers
	orgs         map[string]string
	mu           sync.Mutex // serialises SetPolicy
	settings     atomic.Pointer[settings]
}

// settings is what a call goes by from its beginning to its end.
type settings struct {
	policy    Policy
	endpoints *endpoints
}

// NewTransport returns a Transport that sends through base. It reports everything
// that is wrong with the options at once.
//
// If base is nil, it sends through a copy of [http.DefaultTransport] that keeps idle
// connections for 4 s. Okta closes them after 5 s, as it announces (Keep-Alive:
// timeout=5), and a request that arrives just then is lost; if it creates something,
// it must not be sent again. A base of your own should have an IdleConnTimeout below
// 5 s, too; that of http.DefaultTransport is 90 s.
func NewTransport(base http.RoundTripper, opts ...Option) (*Transport, error) {
	if base == nil {
		base = defaultBase()
	}
	cfg, err := newConfig(opts)
	if isNilPointer(base) {
		err = errors.Join(fmt.Errorf("oktaretry: NewTransport: the base is a nil %T", base), err)
	}
	if err != nil {
		return nil, err
	}
	tel, err := telemetry.New(cfg.telemetry())
	if err != nil {
		return nil, fmt.Errorf("oktaretry: metrics: %w", err)
	}
	t := &Transport{
		base: base, prepareRetry: cfg.prepareRetry, buckets: cfg.buckets, caller: cfg.caller, circuits: cfg.circuits, orgs: cfg.orgs,
		errorKind: cfg.errorKind, observers: cfg.observers, telemetry: tel, governor: pace.New(pace.Config(cfg.policy.Pace)), keys: identity.NewKeys(),
	}
	if cfg.sharing != nil {
		if t.sharing, err = newSharing(cfg); err != nil {
			return nil, fmt.Errorf("oktaretry: metrics: %w", err)
		}
		t.governor.Share(&t.sharing.health, t.sharing.holder)
		t.sharing.wakeLines = t.governor.WakeLines
	}
	t.settings.Store(&settings{cfg.policy, newEndpoints(cfg.policy.Breaker, cfg.policy.Budget, t.storeHealth(), t.orgs)})
	if err := observe(t); err != nil {
		return nil, fmt.Errorf("oktaretry: metrics: %w", err)
	}
	return t, nil
}

// idleTimeout is below the 5 s after which Okta closes a kept connection.
const idleTimeout = 4 * time.Second

// defaultBase returns what NewTransport documents; http.DefaultTransport itself where
// a program has replaced it by what cannot be copied.
func defaultBase() http.RoundTripper {
	shared, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return http.DefaultTransport
	}
	own := shared.Clone()
	if own.IdleConnTimeout <= 0 || own.IdleConnTimeout > idleTimeout {
		own.IdleConnTimeout = idleTimeout
	}
	return own
}

// Client returns an [http.Client] that sends through t. A Timeout set on it
// covers all attempts of a call and the waits between them.
func (t *Transport) Client() *http.Client { return &http.Client{Transport: t} }

// SetPolicy replaces the policy for calls that begin from now on. A policy
// that [Policy.Validate] refuses changes nothing. Changed settings of Breaker
// or Budget start with closed circuits and a fresh budget.
func (t *Transport) SetPolicy(p Policy) error {
	if t.isZero() {
		return errZeroTransport
	}
	if err := p.Validate(); err != nil {
		return err
	}
	p = p.clone()
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.settings.Load().endpoints
	if e.breaker != p.Breaker || e.budget != p.Budget {
		e = newEndpoints(p.Breaker, p.Budget, t.storeHealth(), t.orgs)
	}
	t.governor.Configure(pace.Config(p.Pace))
	t.settings.Store(&settings{p, e})
	return nil
}

// Policy returns the policy that calls meet which begin now. Changing it changes
// nothing: give a changed one to [Transport.SetPolicy].
func (t *Transport) Policy() Policy {
	if t.isZero() {
		return Policy{}
	}
	return t.settings.Load().policy.clone()
}

// errZeroTransport is shown as it is, also to a Transport above.
var errZeroTransport error = &zeroTransportError{}

// storeHealth returns the health of the store that t shares; nil: none.
func (t *Transport) storeHealth() *pace.StoreHealth {
	if t.sharing == nil {
		return nil
	}
	return &t.sharing.health
}

// isZero also holds for nil.
func (t *Transport) isZero() bool { return t == nil || t.base == nil }

// CloseIdleConnections closes the idle connections of the base.
func (t *Transport) CloseIdleConnections() {
	if t.isZero() {
		return
	}
	if c, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// Close returns to the store of [WithShared] what t has leased and not used, so that
// other processes need not wait until it lapses, some three seconds later, and ends the
// probes of a lost store that no call makes. It is optional,
// best called when the last call has ended, does nothing without a store, and may be
// called again: t still serves calls after it. The error is ctx's, where that ended
// first. Close closes neither the store nor the base.
func (t *Transport) Close(ctx context.Context) error {
	if t.isZero() || t.sharing == nil {
		return nil
	}
	return t.sharing.close(ctx, t.governor.GiveBack(time.Now()), t.settings.Load().endpoints)
}

// RoundTrip sends the request as often as its policy says and returns the
// answer that is the caller's. The package's documentation lists what comes back
// in which case.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	switch {
	case req == nil:
		return nil, &requestError{"it is nil"}
	case t.isZero():
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, errZeroTransport
	}
	c := t.newCall(req)
	defer c.cleanUp() // also after a panic of the base
	if err := c.check(); err != nil {
		return c.refuse(err)
	}
	c.begin()
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
			c.end.needed, c.end.by = next.needed, next.by
			return c.finish(next.stop)
		}
	}
}

// check refuses what cannot be sent, and finds out where the rest goes.
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
	c.aim(c.to.method, c.req.URL)
	c.origin = c.to.endpoint
	o, k := &c.outcome, &c.origin.key
	o.Method, o.Host, o.Template, o.Bucket = k.method, k.host, k.template, c.to.route.Bucket
	if c.to.route.Token {
		// SDK v6 replaces Body on its DPoP path and leaves the GetBody of the old one.
		c.body = replay.Capture(c.req, c.settings.policy.MaxCapture)
	} else {
		c.body = replay.New(c.req, c.settings.policy.MaxCapture)
	}
	return nil
}

// aim points the next attempts at a method and URL.
func (c *call) aim(method string, target *url.URL) {
	path := target.Path
	if target.RawPath != "" {
		path = target.RawPath
	}
	to := destination{method: method, url: target, host: hostFor(c.req, target), route: route.Match(method, path)}
	k := endpointKey{host: to.host, method: method, template: to.route.Template}
	if t := c.t; t.buckets != nil || t.circuits != nil {
		r := shownTo(c.req, method, target)
		if name := nameBy(t.buckets, r); name != "" {
			to.route.Bucket, to.named = name, true
		}
		k.circuits = nameBy(t.circuits, r)
	}
	to.bucket = to.route.Bucket
	to.endpoint = c.settings.endpoints.find(k, target, &to.route, c.now)
	c.to = to // last: a user's function can panic
}

// hostFor returns the host that a request is for, sent to target: that of its Host
// header where that names another than its URL, as behind a gateway.
func hostFor(req *http.Request, target *url.URL) string {
	if req.Host == "" || req.Host == req.URL.Host || !isHost(req.Host) ||
		sameHost(&url.URL{Scheme: req.URL.Scheme, Host: req.Host}, req.URL) {
		return target.Host
	}
	return req.Host
}

// isHost reports whether s consists of what hosts consist of: in a header that is
// never sent, any text can stand.
func isHost(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r == 0x7f || strings.ContainsRune(`/\?#@"<>`, r)
	})
}

// nameBy returns the user's name of a request; "" where the user has none.
func nameBy(names func(*http.Request) string, r *http.Request) string {
	if names == nil {
		return ""
	}
	name := names(r)
	if len(name) > maxName {
		name = name[:maxName]
	}
	// A substring would keep the whole string alive.
	return strings.Clone(strings.ToValidUTF8(name, ""))
}

// shownTo returns the request that the user's functions get to see for another
// method and URL: a copy without its body.
func shownTo(req *http.Request, method string, target *url.URL) *http.Request {
	r := new(http.Request)
	*r = *req
	r.Method, r.URL, r.Body, r.GetBody = method, target, nil, nil
	return r
}

// callerOf returns what tells the caller of a request apart, beside its credential.
func (t *Transport) callerOf(req *http.Request, to *destination) string {
	name := ""
	if to.route.Login {
		name = identity.Caller(req)
	}
	if t.caller != nil {
		name += t.caller(shownTo(req, to.method, to.url))
	}
	return name
}

// maxName bounds the memory that users' names of buckets and circuits take.
const maxName = 128

// admit waits for the call's turn: first the pause that its last answer asked
// for, then its place in the bucket, then the circuits. The circuits come last,
// so that a call that waits never holds a probe's place.
func (c *call) admit(next step) StopReason {
	if next.pause.Duration > 0 && !c.pause(next.pause) {
		return StopCanceled
	}
	if stop := c.acquireTurn(); stop != StopNone {
		return stop
	}
	return c.passCircuits()
}

// judge finds out what the answer means, which rule it meets and how long that
// waits.
func (c *call) judge(a *answer) {
	p := &c.settings.policy
	if a.resp != nil {
		if a.read(c.ctx, a.resp) {
			c.now = time.Now()
		}
		a.limits = wire.ParseLimits(a.resp.Header)
		c.ticket.Observe(a.sent, a.arrived, a.limits.Date)
		if p.RetryBodies > 0 && a.Class == ClassSuccess && !c.opts.noRetry && !c.t.signedOnce(c.req) &&
			idempotent(c.to.method, c.req.Header, &c.to.route, c.opts) && c.body.CanReplay() == nil {
			a.readAhead(c.ctx, p.RetryBodies)
			if c.now = time.Now(); a.broken {
				a.arrived, a.canceled = c.now, contextErr(c.ctx, c.now) != nil
				c.attempt.canceled = a.canceled
			}
		}
		if p.PollFactors && a.Class == ClassSuccess && (c.to.route.Factor || c.progress.polls > 0) && factorWaiting(c.ctx, a.resp) {
			a.Class = ClassPending
		}
		if a.moved = c.progress.polls > 0 && a.resp != nil && redirects(a.resp); a.moved {
			a.Class = ClassPending
		}
		a.resp = exchange.Apart(a.resp)
	}
	c.endAttempt()
	if a.Class == ClassSuccess {
		return
	}
	var name string
	a.rule, name = p.ruleFor(a.Classification, &c.opts.rules)
	if a.rule.Action == FailFast && a.Class != ClassRateLimited {
		return // nothing follows, so nothing need be counted
	}
	a.tally = c.progress.tally(name)
	a.tally.count++
	cut, hung := a.err.(*attemptTimeoutError)
	if c.progress.hung = hung; hung {
		a.tally.spent += cut.timeout
		c.progress.timedOut = c.progress.timedOut || cut.timeout >= p.AttemptTimeout
	}
	var named time.Duration
	if a.resp != nil {
		named = serverWait(a.Class, a.resp.Header, a.limits, &c.ticket, a.arrived)
	}
	wait, varies := a.tally.wait(a.rule, a.Classification, a.limits, named)
	wait += afterHang(a)
	a.bucketWait = wait
	if _, own := c.opts.rules.byKey[name]; !own { // what one call's own rule adds holds that call only
		a.bucketWait = max(a.bucketWait, a.rule.MinWait)
	}
	if a.moved && !c.progress.moved { // a chain of them is followed at the rule's interval
		wait = 0
	}
	c.progress.moved = a.moved
	// What a kept connection was to blame for is tried again at once, the first time.
	if a.err != nil && a.tally.count == 1 && !a.canceled && !a.broken {
		if a.stale = a.dispatch.Stale(a.err); a.stale {
			wait = 0
		}
	}
	if a.wait = max(wait, a.rule.MinWait); a.wait > wait || !varies {
		if a.Class != ClassRateLimited || !c.ticket.FirstRefusal() || a.wait != named {
			a.spread = spread(&a.rule, a.wait)
		}
	}
}

// learn records what was seen: with the host's clock, the bucket and the
// circuits.
func (c *call) learn(a *answer) {
	seen := seenOf(a)
	if a.Class == ClassRateLimited {
		c.report.Refused(c.to.where(), limitKind(a), countedCode(a.Code))
	}
	end := c.ticket.Done(a.arrived, seen)
	a.held = end.Held && a.wait <= a.bucketWait
	c.askStore(end.Request)
	a.lone = a.err != nil && a.cutOff() && c.to.othersWell(c.now)
	c.reportCircuits(verdictsOf(a))
	if end.Split != "" {
		c.report.BucketSplit(c.to.where(), c.to.route.Bucket, end.Split)
	}
	tellAttemptEnd(c)
	tellBucketChanges(c, &end)
}
