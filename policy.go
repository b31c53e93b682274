// This file holds the policy: rules as data, that a user can change, check and
// print.

package oktaretry

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// Action is what a [Rule] does with an answer.
type Action uint8

const (
	FailFast Action = iota // hand the answer back at once
	Backoff                // wait, then send the request again
	Poll                   // ask for the result until there is one; for ClassPending only
)

var actionNames = [...]string{"fail-fast", "backoff", "poll"}

// String returns "fail-fast", "backoff" or "poll".
func (a Action) String() string {
	if int(a) < len(actionNames) {
		return actionNames[a]
	}
	return fmt.Sprintf("Action(%d)", uint8(a))
}

// Scope says which circuit breaker an answer counts against.
type Scope uint8

const (
	TripsNothing  Scope = iota // none
	TripsEndpoint              // the circuit of this host, method and path template
	TripsHost                  // the circuit of the whole host
)

var scopeNames = [...]string{"nothing", "endpoint", "host"}

// String returns "nothing", "endpoint" or "host".
func (s Scope) String() string {
	if int(s) < len(scopeNames) {
		return scopeNames[s]
	}
	return fmt.Sprintf("Scope(%d)", uint8(s))
}

// Rule says what happens after an answer. The zero Rule hands the answer back
// at once and counts against no circuit.
type Rule struct {
	Action Action

	// MaxAttempts is how many answers of one call this rule may judge; the
	// last one is handed back. 0: no cap of this kind.
	MaxAttempts int
	// MaxElapsed is how long this rule may keep a call, counted from when it
	// first applied. A wait that would end later is not begun. 0: no cap of
	// this kind. The context's deadline always counts.
	MaxElapsed time.Duration

	// InitialWait, Multiplier, MaxWait and Jitter shape the computed wait:
	// InitialWait, growing by Multiplier up to MaxWait, each time varied at
	// random by ± the Jitter share of it. With Poll they shape the interval.
	InitialWait time.Duration
	MaxWait     time.Duration
	Multiplier  float64 // 1 or more
	Jitter      float64 // 0 to 1

	// MinWait is the least time to wait before the next attempt, also when
	// Okta's headers name less. 0 means what the code's own text asks for:
	// 30 s for E0000109, see [Lookup].
	MinWait time.Duration

	// AnyMethod lets requests be sent again that aren't idempotent. It is for
	// answers which say that Okta refused the request unprocessed.
	AnyMethod bool

	// Trips says which circuit the answer counts against.
	Trips Scope
}

// Pace bounds how fast calls go out.
type Pace struct {
	// MaxUtilization is the share of each window to use at most: 0.7 leaves
	// 30 % to others, such as the org's own logins, also while they use it.
	// What counts is what Okta's headers say is left. 0 to 1; 0 means 1.
	MaxUtilization float64
	// MaxInFlight is how many calls may be in flight for each host. 0: no cap
	// but what Okta's concurrency limit (35 in flight for free orgs, 75 for
	// others, by Okta's rate limit documents) is found to allow.
	MaxInFlight int
	// Smooth spreads calls evenly over each window rather than as fast as the
	// window allows.
	Smooth bool
	// MaxRate is a ceiling in calls a second for each host, resends included.
	// 0: none. Calls above it wait their turn, which counts like any wait for
	// a rate limit.
	MaxRate float64
	// Burst is how many calls may go at once under MaxRate, and under each of
	// BucketRates; 1 at least where there is one.
	Burst int
	// BucketRates are ceilings for single buckets, in calls a second for each
	// host, on top of MaxRate. The key is the bucket's name as [Snapshot] shows
	// it, "GET /api/v1/users/{id}", or one of [WithBuckets]; all credentials
	// count together. A name that no call falls into has no effect.
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

// Breaker shapes the circuit breakers, one for each endpoint and one for each
// host.
type Breaker struct {
	// Disabled switches circuit breaking off.
	Disabled bool
	// Window is the rolling time in which answers are counted.
	Window time.Duration
	// MinCalls is how many successes and failures a window must hold before a
	// circuit can open.
	MinCalls int
	// FailureRatio opens the circuit when this share of them failed; above 0,
	// at most 1. Whatever the window holds, MinCalls failures in a row open it
	// too, if they took half a second or longer: the server is down.
	FailureRatio float64
	// OpenFor is how long an open circuit refuses before it lets a probe out.
	OpenFor time.Duration
	// Probes is how many calls a half-open circuit lets out at once, and how
	// many successes in a row close it.
	Probes int
	// ProbeTimeout bounds a probe's attempt as AttemptTimeout does others,
	// where that is longer; where that is 0, nothing does. A probe that has not answered holds its place for
	// that long, or for OpenFor if that is shorter; then another goes, and the
	// first answer of either that is a success counts.
	ProbeTimeout time.Duration
}

// Budget caps resends after server and network errors, for each host, so that
// retries never multiply an outage: every call deposits Ratio of a resend,
// and deposits expire after TTL. Waits that Okta itself ordered don't draw on
// it.
type Budget struct {
	// Disabled lifts the cap.
	Disabled bool
	// Ratio is how many resends each call pays for.
	Ratio float64
	// Reserve is how many resends a second are allowed on top, so that a
	// program with few calls can retry at all.
	Reserve float64
	// TTL is how long a deposit lasts; whole seconds, at most a minute.
	TTL time.Duration
}

// Policy says what to do with each class and code. Start from
// [DefaultPolicy] and change fields; the zero Policy is refused.
type Policy struct {
	// The rule of each class; what a code's own text asks for comes on top,
	// see [Policy.RuleFor].
	RateLimited, ServerError, ClientError, Pending, Network Rule

	// Codes holds rules for single codes ("E0000112", "server_error"). Such a
	// rule replaces the class's rule as a whole.
	Codes map[string]Rule

	Pace    Pace
	Breaker Breaker
	Budget  Budget

	// AttemptTimeout bounds each attempt until its response headers are
	// there; after that its body may take its time. 0: no bound.
	AttemptTimeout time.Duration

	// PollFactors also polls factor answers of 200 and 201 that say
	// factorResult WAITING and link to their result. SDK programs usually
	// poll themselves, so it is off by default.
	PollFactors bool

	// ReturnRateLimited hands a final 429 back as Okta's response instead of
	// as a [*RateLimitError]. The Okta SDKs destroy such a response.
	ReturnRateLimited bool

	// MaxCapture is how many bytes of a request body without GetBody are kept
	// while it is sent, so that it can be sent again. A larger body is sent
	// once. 0: none are kept.
	MaxCapture int64
}

// DefaultPolicy returns the policy of a Transport that is given none: every
// wait is bounded, only what is safe to repeat is repeated.
func DefaultPolicy() Policy {
	return Policy{
		RateLimited: Rule{
			Action: Backoff, MaxElapsed: 10 * time.Minute,
			InitialWait: time.Second, MaxWait: time.Minute, Multiplier: 2, Jitter: 0.5,
			AnyMethod: true,
		},
		ServerError: Rule{
			Action: Backoff, MaxAttempts: 4, MaxElapsed: 30 * time.Second,
			InitialWait: 500 * time.Millisecond, MaxWait: 8 * time.Second, Multiplier: 2, Jitter: 0.5,
			Trips: TripsHost,
		},
		// The waits serve who switches retrying on, for the class or a code.
		ClientError: Rule{
			Action: FailFast, MaxAttempts: 4, MaxElapsed: 10 * time.Minute,
			InitialWait: time.Second, MaxWait: 30 * time.Second, Multiplier: 2, Jitter: 0.5,
		},
		Pending: Rule{
			Action: Poll, MaxElapsed: 5 * time.Minute,
			InitialWait: 4 * time.Second, MaxWait: 4 * time.Second, Multiplier: 1,
		},
		Network: Rule{
			Action: Backoff, MaxAttempts: 4, MaxElapsed: 3 * time.Minute,
			InitialWait: 500 * time.Millisecond, MaxWait: 8 * time.Second, Multiplier: 2, Jitter: 0.5,
			Trips: TripsHost,
		},
		Pace: Pace{MaxUtilization: 1, Burst: 1},
		Breaker: Breaker{
			// What fails less often than that is better served by resends, which
			// Budget bounds, than by refusing what would have gone well.
			Window: 30 * time.Second, MinCalls: 20, FailureRatio: 0.8,
			OpenFor: 5 * time.Second, Probes: 1, ProbeTimeout: 10 * time.Second,
		},
		Budget:         Budget{Ratio: 0.5, Reserve: 2, TTL: 10 * time.Second},
		AttemptTimeout: time.Minute,
		MaxCapture:     1 << 20,
	}
}

// RuleFor returns the rule that p applies to an answer: the one in p.Codes,
// else its class's rule with what the code's own text asks for on top (a least
// wait, a narrower circuit, no retry where none can help). In either, a
// MinWait of 0 becomes the wait that the code's text asks for. The class is
// the code's where the catalogue knows the code. [WithRule] comes before all
// of this.
func (p Policy) RuleFor(c Classification) Rule {
	r, _ := p.ruleFor(c, nil)
	return r
}

// ruleFor is RuleFor with the rules that one call brings along. It also names
// the rule, so that a call can count how often it has judged: by code, else by
// class.
func (p *Policy) ruleFor(c Classification, own map[string]Rule) (Rule, string) {
	e, known := lookup(c.Code)
	class := c.Class
	var asks overlay
	switch {
	case known:
		class, asks = e.class, e.overlay
	case c.Terminal:
		asks = overlay{failFast: true, narrow: true}
	case class == ClassServerError:
		asks = statusOverlay(c.Status)
	}
	name := class.String()

	if c.Code != "" {
		if r, ok := own[c.Code]; ok {
			return asks.floor(r), c.Code
		}
	}
	if r, ok := own[name]; ok {
		return asks.apply(r), name
	}
	if c.Code != "" {
		if r, ok := p.Codes[c.Code]; ok {
			return asks.floor(r), c.Code
		}
	}
	return asks.apply(p.classRule(class)), name
}

// classRule returns the class's own rule. Success has none: it is handed back.
func (p *Policy) classRule(class Class) Rule {
	switch class {
	case ClassRateLimited:
		return p.RateLimited
	case ClassServerError:
		return p.ServerError
	case ClassClientError:
		return p.ClientError
	case ClassPending:
		return p.Pending
	case ClassNetwork:
		return p.Network
	}
	return Rule{}
}

// clone returns a policy that shares no map with p, so that a user's later
// change of theirs doesn't reach a running Transport.
func (p Policy) clone() Policy {
	p.Codes = maps.Clone(p.Codes)
	p.Pace.BucketRates = maps.Clone(p.Pace.BucketRates)
	p.Pace.RefusalsOnlyBuckets = slices.Clone(p.Pace.RefusalsOnlyBuckets)
	return p
}
