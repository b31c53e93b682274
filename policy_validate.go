// This file validates a policy, and a change of one of its rules. All problems are
// reported together.

package oktaretry

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"
)

// PolicyError is one problem of a policy. [Policy.Validate] and [ParsePolicy] return
// all of them, joined.
type PolicyError struct {
	// Field is the policy's field: "ServerError.MaxWait", "Codes[E0000009].Jitter".
	// From ParsePolicy it is the member of the JSON text: "serverError.maxWait",
	// "codes.E0000009.jitter", `pace.bucketRates["GET /api/v1/logs"]`; "" is the text
	// as a whole.
	Field   string
	Problem string // "is -1s, want 0 or more"

	// Line and Column are where the text has it, from 1, columns in characters: the
	// value, or the member's name where that is the problem. For what the text leaves
	// out they are those of the name of the object that lacks it. They are 0 where
	// there is no text.
	Line, Column int

	relative bool // to another field, which may be the one that is wrong
}

func (e *PolicyError) Error() string {
	what, where := cmp.Or(e.Field, "the text"), ""
	if e.Line > 0 {
		where = fmt.Sprintf("line %d, column %d: ", e.Line, e.Column)
	}
	return "oktaretry: policy: " + where + what + " " + e.Problem
}

// problems collects PolicyErrors.
type problems []*PolicyError

// conflict adds a problem that lies between fields.
func (p *problems) conflict(field, format string, args ...any) {
	p.add(field, format, args...)
	(*p)[len(*p)-1].relative = true
}

// list returns them as errors.
func (p problems) list() []error {
	var list []error
	for _, e := range p {
		list = append(list, e)
	}
	return list
}

// join returns nil if there are none.
func (p problems) join() error { return errors.Join(p.list()...) }

func (p *problems) add(field, format string, args ...any) {
	*p = append(*p, &PolicyError{Field: field, Problem: fmt.Sprintf(format, args...)})
}

// Validate returns nil if p can be used. Otherwise it returns every problem as a
// [*PolicyError] that names its field, joined by [errors.Join].
func (p Policy) Validate() error { return p.check().join() }

func (p *Policy) check() problems {
	var bad problems
	if p.isZero() {
		bad.add("(all fields)", "are zero: start from DefaultPolicy()")
		return bad
	}
	for class := ClassRateLimited; class <= ClassNetwork; class++ {
		bad.classRule(class, *p.classRule(class))
	}
	for _, code := range slices.Sorted(maps.Keys(p.Codes)) {
		bad.codeRule("Codes["+code+"]", code, p.Codes[code])
	}
	bad.notNegative("AttemptTimeout", p.AttemptTimeout)
	bad.notNegative("BodyTimeout", p.BodyTimeout)
	if p.RetryBodies < 0 {
		bad.add("RetryBodies", "is %d, want 0 or more", p.RetryBodies)
	}
	if p.MaxCapture < 0 {
		bad.add("MaxCapture", "is %d, want 0 or more", p.MaxCapture)
	}
	bad.pace(p.Pace)
	bad.breaker(p.Breaker)
	bad.budget(p.Budget)
	return bad
}

// Warnings returns what [Policy.Validate] accepts and is likely a mistake, as
// [*PolicyError]s: the codes of p.Codes that the catalogue lacks, by name. Okta may add
// codes, and no answer ever meets the rule of one that is misspelt.
func (p Policy) Warnings() []error {
	var odd problems
	for _, key := range slices.Sorted(maps.Keys(p.Codes)) {
		c, ok := answersOf(key)
		if _, known := lookup(key); ok && c.Code != "" && !known && !slices.Contains(oauthByStatus[:], key) {
			odd.add("Codes["+key+"]", "is a code that the catalogue lacks")
		}
	}
	return odd.list()
}

// Edit changes the rule of a code, a status or a class, as [WithRule] names them,
// and keeps what edit does not change: it begins from the rule in force, of which the
// class's part is copied. A code that the catalogue lacks begins from ClientError's
// rule. A key that names nothing, and a rule that [Policy.Validate] refuses, are
// returned as [*PolicyError]s; p is then unchanged. Copies of p keep their Codes.
//
//	policy := oktaretry.DefaultPolicy()
//	err := policy.Edit("E0000112", func(r *oktaretry.Rule) { r.Action = oktaretry.Backoff })
func (p *Policy) Edit(key string, edit func(*Rule)) error {
	var bad problems
	class, isClass := classNamed(key)
	c, isCode := answersOf(key)
	switch {
	case p == nil:
		bad.add("Edit["+key+"]", "has no policy: it is nil")
	case edit == nil:
		bad.add("Edit["+key+"]", "has no function")
	case isClass:
		r := *p.classRule(class)
		edit(&r)
		if bad.classRule(class, r); len(bad) == 0 {
			*p.classRule(class) = r
		}
	case isCode:
		r := p.RuleFor(c)
		edit(&r)
		if bad.codeRule("Codes["+key+"]", key, r); len(bad) == 0 {
			p.Codes = cloneRules(p.Codes)
			p.Codes[key] = r
		}
	default:
		bad.add("Edit["+key+"]", "is no code, status or class: want one like E0000047, server_error, 408 or server-error")
	}
	return bad.join()
}

func (p *Policy) isZero() bool {
	return p.RateLimited == Rule{} && p.ServerError == Rule{} && p.ClientError == Rule{} &&
		p.Pending == Rule{} && p.Network == Rule{} && len(p.Codes) == 0 &&
		p.Pace.isZero() && p.Breaker == Breaker{} && p.Budget == Budget{} &&
		p.AttemptTimeout == 0 && p.BodyTimeout == 0 && p.RetryBodies == 0 && !p.PollFactors && !p.ReturnRateLimited && p.MaxCapture == 0
}

// classFields names the field of Policy that holds a class's rule.
var classFields = [...]string{
	ClassRateLimited: "RateLimited", ClassServerError: "ServerError", ClassPending: "Pending",
	ClassClientError: "ClientError", ClassNetwork: "Network",
}

// classRule checks a policy's rule for a class.
func (bad *problems) classRule(class Class, r Rule) {
	if class == ClassClientError && r.Action == FailFast && r.InitialWait > 0 {
		r.Action = Backoff // some of its codes are sent again all the same
	}
	bad.rule(classFields[class], r, class)
}

// codeRule checks a rule for a single code or status.
func (bad *problems) codeRule(field, key string, r Rule) {
	c, ok := answersOf(key)
	if !ok {
		bad.add(field, "is no error code or status: want one like E0000047, server_error or 408")
		return
	}
	bad.rule(field, r, c.Class)
	if e, ok := lookup(key); ok && r.Action != FailFast && r.MinWait == 0 && r.MaxElapsed > 0 && e.overlay.minWait >= r.MaxElapsed {
		bad.conflict(field+".MaxElapsed", "is %s, so the least wait of %s, %s, never fits", r.MaxElapsed, key, e.overlay.minWait)
	}
}

// rule checks one rule.
func (bad *problems) rule(field string, r Rule, class Class) {
	bad.notNegative(field+".MaxElapsed", r.MaxElapsed)
	bad.notNegative(field+".InitialWait", r.InitialWait)
	bad.notNegative(field+".MaxWait", r.MaxWait)
	bad.notNegative(field+".MinWait", r.MinWait)
	if r.MaxAttempts < 0 {
		bad.add(field+".MaxAttempts", "is %d, want 0 (no cap) or more", r.MaxAttempts)
	}
	if !(r.Jitter >= 0 && r.Jitter <= 1) {
		bad.add(field+".Jitter", "is %g, want 0 to 1", r.Jitter)
	}
	if r.Trips > TripsHost {
		bad.add(field+".Trips", "is %s, want TripsNothing, TripsEndpoint or TripsHost", r.Trips)
	}
	switch {
	case r.Action > Poll:
		bad.add(field+".Action", "is %s, want FailFast, Backoff or Poll", r.Action)
		return
	case r.Action == Poll && class != ClassPending:
		bad.add(field+".Action", "is poll, which is for pending answers only")
	case r.Action == Backoff && class == ClassPending:
		bad.add(field+".Action", "is backoff: a pending answer is polled or handed back, never asked for again")
	}
	if r.Action == FailFast {
		return // no wait is ever computed
	}
	if r.InitialWait == 0 {
		bad.add(field+".InitialWait", "is 0, want more: attempts without a wait hammer a server in trouble")
	}
	if r.MaxWait < r.InitialWait {
		bad.conflict(field+".MaxWait", "is %s, less than InitialWait %s", r.MaxWait, r.InitialWait)
	}
	if !(r.Multiplier >= 1) || math.IsInf(r.Multiplier, 0) {
		bad.add(field+".Multiplier", "is %g, want 1 or more", r.Multiplier)
	}
	if shortest := time.Duration(float64(r.InitialWait) * (1 - r.Jitter)); class != ClassRateLimited && r.MaxElapsed > 0 && shortest >= r.MaxElapsed {
		bad.conflict(field+".MaxElapsed", "is %s, so a wait of InitialWait %s never fits", r.MaxElapsed, r.InitialWait)
	}
	if r.MaxElapsed > 0 && r.MinWait >= r.MaxElapsed {
		bad.conflict(field+".MaxElapsed", "is %s, so a wait of MinWait %s never fits", r.MaxElapsed, r.MinWait)
	}
}

func (bad *problems) pace(p Pace) {
	if !(p.MaxUtilization >= 0 && p.MaxUtilization <= 1) {
		bad.add("Pace.MaxUtilization", "is %g, want 0 to 1", p.MaxUtilization)
	}
	if p.MaxInFlight < 0 {
		bad.add("Pace.MaxInFlight", "is %d, want 0 (no cap) or more", p.MaxInFlight)
	}
	if !(p.MaxRate >= 0) || math.IsInf(p.MaxRate, 0) {
		bad.add("Pace.MaxRate", "is %g, want 0 (no ceiling) or more", p.MaxRate)
	}
	bad.notNegative("Pace.MaxWait", p.MaxWait)
	for i, bucket := range p.RefusalsOnlyBuckets {
		if bucket == "" {
			bad.add(fmt.Sprintf("Pace.RefusalsOnlyBuckets[%d]", i), "names no bucket")
		}
	}
	for _, bucket := range slices.Sorted(maps.Keys(p.BucketRates)) {
		field := "Pace.BucketRates[" + bucket + "]"
		if bucket == "" {
			bad.add(field, "names no bucket")
		}
		if r := p.BucketRates[bucket]; !(r > 0) || math.IsInf(r, 0) {
			bad.add(field, "is %g, want more than 0", r)
		}
	}
	if p.Burst < 0 || p.Burst == 0 && (p.MaxRate > 0 || len(p.BucketRates) > 0) {
		bad.conflict("Pace.Burst", "is %d, want 1 or more", p.Burst)
	}
}

func (bad *problems) breaker(b Breaker) {
	if b.Disabled {
		return
	}
	bad.withinADay("Breaker.Window", b.Window)
	bad.withinADay("Breaker.OpenFor", b.OpenFor)
	bad.withinADay("Breaker.ProbeTimeout", b.ProbeTimeout)
	bad.withinADay("Breaker.SlowAfter", b.SlowAfter)
	if b.MinCalls < 1 {
		bad.add("Breaker.MinCalls", "is %d, want 1 or more", b.MinCalls)
	}
	if b.Probes < 1 || b.Probes > math.MaxInt32 {
		bad.add("Breaker.Probes", "is %d, want 1 or more", b.Probes)
	}
	if !(b.FailureRatio > 0 && b.FailureRatio <= 1) {
		bad.add("Breaker.FailureRatio", "is %g, want more than 0 and at most 1", b.FailureRatio)
	}
}

func (bad *problems) budget(b Budget) {
	if b.Disabled {
		return
	}
	if !(b.Ratio >= 0) || math.IsInf(b.Ratio, 0) {
		bad.add("Budget.Ratio", "is %g, want 0 or more", b.Ratio)
	}
	if !(b.Reserve >= 0) || math.IsInf(b.Reserve, 0) {
		bad.add("Budget.Reserve", "is %g, want 0 or more", b.Reserve)
	}
	if b.TTL < time.Second || b.TTL > time.Minute || b.TTL%time.Second != 0 {
		bad.add("Budget.TTL", "is %s, want whole seconds, 1s to 1m", b.TTL)
	}
}

func (bad *problems) notNegative(field string, d time.Duration) {
	if d < 0 {
		bad.add(field, "is %s, want 0 or more", d)
	}
}

// withinADay checks a time that circuits count with: sums of the longest ones
// would overflow.
func (bad *problems) withinADay(field string, d time.Duration) {
	switch {
	case d <= 0:
		bad.add(field, "is %s, want more than 0", d)
	case d > 24*time.Hour:
		bad.add(field, "is %s, want 24h0m0s or less", d)
	}
}
