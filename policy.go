// This file holds the policy: rules as data, that a user can change, check and
// print.

package oktaretry

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
)

// Action is what a [Rule] does with an answer.
type Action uint8

const (
	FailFast Action = iota // return the answer at once
	Backoff                // wait, then send the request again
	Poll                   // request the result until there is one; for ClassPending only
)

var actionNames = [...]string{"fail-fast", "backoff", "poll"}

// String returns "fail-fast", "backoff" or "poll".
func (a Action) String() string {
	if int(a) < len(actionNames) {
		return actionNames[a]
	}
	return fmt.Sprintf("Action(%d)", uint8(a))
}

// Scope is the circuit breaker that an answer counts against.
type Scope uint8

const (
	TripsNothing  Scope = iota // none
	TripsEndpoint              // the circuit of this host, method and path template; none for paths that no template fits
	TripsHost                  // the circuit of the whole host; of an answer, see Breaker
)

var scopeNames = [...]string{"nothing", "endpoint", "host"}

// String returns "nothing", "endpoint" or "host".
func (s Scope) String() string {
	if int(s) < len(scopeNames) {
		return scopeNames[s]
	}
	return fmt.Sprintf("Scope(%d)", uint8(s))
}

// Rule is what happens after an answer. The zero Rule returns the answer at once
// and counts it against no circuit. The defaults differ by class; those of
// ClientError's waits apply once its Action, or a code's, is changed to Backoff.
type Rule struct {
	// Action is what follows the answer. Default: Backoff for RateLimited,
	// ServerError and Network, Poll for Pending, FailFast for ClientError. Of the
	// client errors E0000239, and the statuses 408 and 425 without a code, are
	// sent again all the same; a ClientError rule with an InitialWait of 0 ends
	// that.
	Action Action

	// MaxAttempts is how many answers of one call the rule may judge; the last
	// of them is returned. 0: no cap of this kind. Default: 4 for ServerError,
	// Network and ClientError, else 0. Where a class has that 4, it is no cap for
	// E0000009 and E0000239: MaxElapsed alone bounds those.
	MaxAttempts int
	// MaxElapsed is how long one call may wait for the rule: the sum of the waits
	// after its own answers and of the attempts that AttemptTimeout ended, without
	// its time in line. A wait that would exceed it is not begun. The context's deadline always counts as well. 0: no cap
	// of this kind. Default: 10 min for RateLimited and ClientError, 5 min for
	// Pending, 3 min for Network, 30 s for ServerError.
	MaxElapsed time.Duration

	// InitialWait is the first computed wait, or the first interval of a poll.
	// Default: 500 ms for ServerError and Network, 1 s for RateLimited and
	// ClientError, 4 s for Pending.
	InitialWait time.Duration
	// MaxWait caps computed waits, not those that Okta orders. Default: 8 s for
	// ServerError and Network, 1 min for RateLimited, 30 s for ClientError, 4 s
	// for Pending.
	MaxWait time.Duration
	// Multiplier is the growth from one computed wait to the next; 1 or more.
	// Default: 2; 1 for Pending.
	Multiplier float64
	// Jitter is the share by which computed waits vary at random, up and down;
	// 0 to 1. A wait that an answer names, or its code's text, never gets
	// shorter: up to this share of InitialWait is added, as far as it fits, so
	// that the callers of one answer come back apart. A bucket that holds its
	// calls spreads them by itself, whatever the Jitter. By it, too, the resends
	// of attempts that met AttemptTimeout are spread, at 0.5 over up to 1/60 of
	// that time. Default: 0.5; 0 for Pending.
	Jitter float64

	// MinWait is the least wait before the next attempt, also where Okta's
	// headers name less. 0: what the code's own text asks for, such as 30 s for
	// E0000109, see [Lookup]. Default: 0.
	MinWait time.Duration

	// AnyMethod allows requests to be sent again that are not idempotent. It is
	// meant for answers by which Okta refuses a request unprocessed. Default:
	// true for RateLimited, else false.
	AnyMethod bool

	// Trips is the circuit that the answer counts against. Default: TripsHost
	// for ServerError and Network, else TripsNothing.
	Trips Scope
}

// Pace bounds how fast calls are sent.
type Pace struct {
	// MaxUtilization is the share of each rate-limit window to use at most: 0.7
	// leaves 30 % to others, such as the org's own logins, also while they use
	// it. It is measured by what Okta's headers report as left. 0 to 1; 0 means
	// 1. Default: 1.
	MaxUtilization float64
	// MaxInFlight is how many calls may be in flight for each host. 0: no cap
	// but that of Okta's concurrency limit, which is learned from its answers
	// (35 in flight for free orgs, 75 for others, by Okta's rate limit
	// documents). Default: 0.
	MaxInFlight int
	// Smooth spreads calls evenly over each window; else they are sent as fast as
	// the window allows. Default: false.
	Smooth bool
	// MaxRate is a ceiling in calls a second for each host, resends included.
	// Calls above it wait in line for their turn. 0: no ceiling. Default: 0.
	MaxRate float64
	// Burst is how many calls may be sent at once under MaxRate, and under each
	// of BucketRates; 1 or more where there is a ceiling. Default: 1.
	Burst int
	// BucketRates are ceilings for single buckets, in calls a second for each
	// host, on top of MaxRate. The key is the bucket's name as [Snapshot] shows
	// it, "GET /api/v1/users/{id}", or one of [WithBuckets]; the calls of all
	// credentials count together. A name that no call falls into has no effect.
	// Default: none.
	BucketRates map[string]float64
	// MaxWait is how long a call may wait in line for its turn, before each of its
	// attempts. A call whose turn comes later is refused at once, with
	// [StopMaxWait]. It does not bound what Okta orders after a call's own 429: a
	// rule's MaxElapsed does. Default: 0, no bound but the context's deadline.
	MaxWait time.Duration
	// RefusalsOnly ignores that headers report an exhausted window: calls are sent
	// until Okta refuses one. Default: false.
	RefusalsOnly bool
	// RefusalsOnlyBuckets are buckets for which RefusalsOnly holds, by the names
	// that BucketRates takes. Default: none.
	RefusalsOnlyBuckets []string
	// Disabled switches pacing off: no call waits in line, whatever Okta has
	// answered to others. A call's own 429 still meets its rule. Default: false.
	Disabled bool
}

func (p Pace) isZero() bool {
	return p.MaxUtilization == 0 && p.MaxInFlight == 0 && !p.Smooth && p.MaxRate == 0 && p.Burst == 0 && len(p.BucketRates) == 0 &&
		p.MaxWait == 0 && !p.RefusalsOnly && len(p.RefusalsOnlyBuckets) == 0 && !p.Disabled
}

// Breaker shapes the circuit breakers: one for each endpoint and one for each
// host.
//
// A connection that is refused or reset counts against its host; one that is reset after
// the request was sent, while others succeed, against its endpoint. So does an answer, or
// an attempt that brings none in time: Okta answers some bad searches with 504 for ever
// (release notes, OKTA-535035, OKTA-503711). Where only some requests fail, told apart by
// path and query, their endpoint's circuit refuses those. Answers open the host's, too,
// when several endpoints fail and none succeeds, or if one is all that was ever called.
// It then refuses those that failed, and others once they fail; where many had, all but
// those well within the Window. A failed probe of one leaves the decision to another's.
type Breaker struct {
	// Disabled switches circuit breaking off. Default: false.
	Disabled bool
	// Window is the rolling time in which answers count; more than 0, at most
	// a day. Default: 30 s.
	Window time.Duration
	// MinCalls is how many successes and failures a window must hold before the
	// circuit can open; 1 or more. Default: 20.
	MinCalls int
	// FailureRatio is the share of failures that opens the circuit; above 0, at
	// most 1. MinCalls consecutive failures that span half a second or more
	// open it whatever the ratio. Default: 0.8.
	FailureRatio float64
	// OpenFor is how long an open circuit refuses calls before it sends a probe;
	// more than 0, at most a day. Default: 5 s.
	OpenFor time.Duration
	// Probes is how many probes a half-open circuit sends at once, and how many
	// must succeed in a row to close it; 1 or more. Default: 1.
	Probes int
	// ProbeTimeout is the attempt timeout of probes, where shorter than
	// AttemptTimeout; more than 0, at most a day. A probe without an answer
	// keeps its place for that long, or for OpenFor if that is shorter; then
	// another is sent, and the first success of either counts. Default: 10 s.
	ProbeTimeout time.Duration
	// SlowAfter is how long an attempt must have been without response headers for
	// its end by the caller's own deadline to count as a failure; more than 0, at
	// most a day. An end by cancellation never counts. Default: 5 s.
	SlowAfter time.Duration
}

// Budget caps resends after server and network errors, for each host, so that
// retries never multiply an outage: every call deposits Ratio of a resend, and
// deposits expire after TTL. Waits that Okta orders do not draw on it.
type Budget struct {
	// Disabled lifts the cap. Default: false.
	Disabled bool
	// Ratio is how many resends each call pays for; 0 or more. Default: 0.5.
	Ratio float64
	// Reserve is how many resends a second are allowed on top, so that a program
	// with few calls can retry at all; 0 or more. Default: 2.
	Reserve float64
	// TTL is how long a deposit lasts, in whole seconds, 1 s to 1 min. Default:
	// 10 s.
	TTL time.Duration
}

// Policy decides what happens after each class and code of answer. Start from
// [DefaultPolicy] and change fields; the zero Policy is refused.
type Policy struct {
	// The rule of each class; see [Rule] for the defaults. What a code's own text
	// asks for is added, see [Policy.RuleFor].
	RateLimited, ServerError, ClientError, Pending, Network Rule

	// Codes holds rules for single codes ("E0000112", "server_error"), and for
	// statuses from 400 to 599 ("408"): these judge answers without a code, or
	// with one that the catalogue lacks. Such a rule replaces the class's rule as
	// a whole; [Policy.Edit] begins from the rule in force. Default: none.
	Codes map[string]Rule

	Pace    Pace
	Breaker Breaker
	Budget  Budget

	// AttemptTimeout bounds each attempt until its response headers arrive; the
	// body may take longer. An attempt that it ends is a network error, whose
	// time counts towards Network.MaxElapsed. 0: no bound. Default: 1 min.
	//
	// An attempt that would not be repeated has three times as long: ended
	// earlier, a create that Okta has done would be lost. Attempts after one that
	// AttemptTimeout ended have twice as long, within Network.MaxElapsed, so that
	// an endpoint that needs 90 s is answered. Neither holds while the circuit of
	// the host or endpoint is open. Where half of the time until the caller's
	// deadline is shorter, a repeatable attempt has that half, if it is 5 s or
	// more, so that a hang is repeated before the deadline. Probes have
	// Breaker.ProbeTimeout at most.
	AttemptTimeout time.Duration

	// BodyTimeout bounds each Read of a response's body: one that delivers nothing
	// for that long ends with an error whose Timeout method reports true. The time
	// between Reads is the reader's own. 0: no bound. Default: 2 min.
	BodyTimeout time.Duration

	// RetryBodies is up to how many bytes the bodies of successes are read before
	// they are returned, if the call may be repeated: one that breaks off half-way is
	// then asked for again, by the Network rule. A longer body, and one that says
	// nothing of its length and turns out to be longer, is returned as it comes. It
	// takes as much memory for each call, and delays the first byte. 0: none is read.
	// Default: 0.
	RetryBodies int64

	// PollFactors also polls factor answers of 200 and 201 whose factorResult is
	// WAITING and that link to their result. Programs on an Okta SDK usually poll
	// themselves. Default: false.
	PollFactors bool

	// ReturnRateLimited returns a final 429 as Okta's response instead of as a
	// [*RateLimitError]. The Okta SDKs destroy such a response. Default: false.
	ReturnRateLimited bool

	// MaxCapture is how many bytes of a request body without GetBody are kept
	// while it is sent, so that it can be sent again. A larger body is sent
	// once. 0: none are kept. Default: 1 MiB.
	MaxCapture int64
}

// DefaultPolicy returns the policy of a Transport without [WithPolicy]: every
// wait is bounded, and only what is safe to repeat is repeated. Its Codes is an
// empty map that nothing else refers to.
func DefaultPolicy() Policy {
	p := defaults()
	p.Codes = make(map[string]Rule)
	return p
}

// defaults is DefaultPolicy without a map, which costs an allocation.
func defaults() Policy {
	return Policy{
		RateLimited: Rule{
			Action: Backoff, MaxElapsed: 10 * time.Minute,
			InitialWait: time.Second, MaxWait: time.Minute, Multiplier: 2, Jitter: 0.5,
			AnyMethod: true,
		},
		ServerError: Rule{
			Action: Backoff, MaxAttempts: defaultAttempts, MaxElapsed: 30 * time.Second,
			InitialWait: 500 * time.Millisecond, MaxWait: 8 * time.Second, Multiplier: 2, Jitter: 0.5,
			Trips: TripsHost,
		},
		// The waits apply to the codes that are sent again all the same, and once
		// retrying is switched on, for the class or a code.
		ClientError: Rule{
			Action: FailFast, MaxAttempts: defaultAttempts, MaxElapsed: 10 * time.Minute,
			InitialWait: time.Second, MaxWait: 30 * time.Second, Multiplier: 2, Jitter: 0.5,
		},
		Pending: Rule{
			Action: Poll, MaxElapsed: 5 * time.Minute,
			InitialWait: 4 * time.Second, MaxWait: 4 * time.Second, Multiplier: 1,
		},
		Network: Rule{
			Action: Backoff, MaxAttempts: defaultAttempts, MaxElapsed: 3 * time.Minute,
			InitialWait: 500 * time.Millisecond, MaxWait: 8 * time.Second, Multiplier: 2, Jitter: 0.5,
			Trips: TripsHost,
		},
		Pace: Pace{MaxUtilization: 1, Burst: 1},
		Breaker: Breaker{
			// Below that ratio, resends serve callers better than refusals of calls
			// that would have succeeded, and Budget bounds them.
			Window: 30 * time.Second, MinCalls: 20, FailureRatio: 0.8,
			OpenFor: 5 * time.Second, Probes: 1, ProbeTimeout: 10 * time.Second,
			SlowAfter: 5 * time.Second,
		},
		Budget:         Budget{Ratio: 0.5, Reserve: 2, TTL: 10 * time.Second},
		AttemptTimeout: time.Minute,
		BodyTimeout:    2 * time.Minute,
		MaxCapture:     1 << 20,
	}
}

// defaultAttempts is the default of MaxAttempts where there is a cap.
const defaultAttempts = 4

// RuleFor returns the rule that p applies to an answer: the one in p.Codes for its
// code, or for its status where the catalogue lacks the code, else its class's rule
// with what the catalogue adds for the code or status: a least wait, a narrower
// circuit, no retry where none can help, one where Okta refused what soon succeeds. In
// either, a MinWait of 0 becomes the wait that the code's text asks for. A code of the
// catalogue determines the class, but for those of a flow of the caller's own. A rule
// of [WithRule] takes precedence over all of these.
func (p Policy) RuleFor(c Classification) Rule {
	r, _ := p.namedRule(c, nil)
	return r
}

// callRules are what one call's context sets of its rules.
type callRules struct {
	byKey       map[string]Rule // by code, status or class
	maxAttempts override[int]
	maxElapsed  override[time.Duration]
}

// override is a number that takes the place of a policy's, if it is set.
type override[T any] struct {
	value T
	set   bool
}

func (o override[T]) or(number T) T {
	if o.set {
		return o.value
	}
	return number
}

// ruleFor is RuleFor with the rules of one call's context. It also returns the
// rule's name, a code or a status or else a class, by which a call counts its answers.
func (p *Policy) ruleFor(c Classification, own *callRules) (Rule, string) {
	r, name := p.namedRule(c, own.byKey)
	r.MaxAttempts = own.maxAttempts.or(r.MaxAttempts)
	r.MaxElapsed = own.maxElapsed.or(r.MaxElapsed)
	return r, name
}

// namedRule is ruleFor without the numbers of one call's context.
func (p *Policy) namedRule(c Classification, own map[string]Rule) (Rule, string) {
	e, known := lookup(c.Code)
	known = known && !e.overlay.byStatus
	class := c.Class
	var asks overlay
	switch {
	case known:
		class, asks = e.class, e.overlay
	case c.Terminal:
		asks = overlay{failFast: true, narrow: true}
	default:
		asks = statusOverlay(c.Status)
	}
	name := class.String()

	if r, key, ok := singleRule(own, &c, known); ok {
		return asks.floor(r), key
	}
	if r, ok := own[name]; ok {
		return asks.apply(r), name
	}
	if r, key, ok := singleRule(p.Codes, &c, known); ok {
		return asks.floor(r), key
	}
	return asks.apply(asks.extend(*p.classRule(class))), name
}

// singleRule returns the rule that rules hold for an answer's code or, where the
// catalogue does not know that, for its status; and the rule's key.
func singleRule(rules map[string]Rule, c *Classification, known bool) (r Rule, key string, ok bool) {
	if len(rules) == 0 {
		return Rule{}, "", false
	}
	if c.Code != "" {
		if r, ok = rules[c.Code]; ok {
			return r, c.Code, true
		}
	}
	if known || !isErrorStatus(c.Status) {
		return Rule{}, "", false
	}
	key = strconv.Itoa(c.Status)
	r, ok = rules[key]
	return r, key, ok
}

// classRule returns the class's own rule, to be changed in place. Success has the
// zero Rule, which is nobody's.
func (p *Policy) classRule(class Class) *Rule {
	switch class {
	case ClassRateLimited:
		return &p.RateLimited
	case ClassServerError:
		return &p.ServerError
	case ClassClientError:
		return &p.ClientError
	case ClassPending:
		return &p.Pending
	case ClassNetwork:
		return &p.Network
	}
	return new(Rule)
}

// clone returns a policy that shares no map with p, so that a user's later change
// of one does not reach a running Transport. Its Codes can be written to.
func (p Policy) clone() Policy {
	p.Codes = cloneRules(p.Codes)
	p.Pace.BucketRates = maps.Clone(p.Pace.BucketRates)
	p.Pace.RefusalsOnlyBuckets = slices.Clone(p.Pace.RefusalsOnlyBuckets)
	return p
}

// cloneRules returns a copy that can be written to.
func cloneRules(rules map[string]Rule) map[string]Rule {
	if rules == nil {
		return make(map[string]Rule)
	}
	return maps.Clone(rules)
}
