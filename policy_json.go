// This file reads and writes a policy as JSON, for configuration files.

package oktaretry

import (
	"cmp"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/oktaretry/oktaretry/internal/document"
)

// ParsePolicy reads a policy from JSON. Members that the text leaves out keep the
// values of [DefaultPolicy]; a rule in "codes" starts from the one that the rest of
// the text gives its code or status, as with [Policy.Edit]. Durations are strings
// such as "30s".
//
// It refuses members that are unknown, in another case, given twice or null, values of
// another type, and a policy that [Policy.Validate] refuses: with a [*PolicyError] for
// each problem, which names the member, its line and its column, all of them joined by
// [errors.Join] in the order of the text. A text that is no JSON has one problem.
//
//	{"serverError": {"maxAttempts": 6}, "codes": {"E0000112": {"action": "backoff"}, "408": {"action": "fail-fast"}}}
func ParsePolicy(text []byte) (Policy, error) {
	root, broken := document.Read(text)
	if broken != nil {
		return Policy{}, textErrors([]document.Problem{*broken})
	}
	doc := documentOf[*document.Node](defaults())
	found := root.Bind(doc, nil, wanted)
	p := doc.policy()
	found = append(found, p.parseCodes(doc.Codes)...)
	found = append(found, invalid(p.check(), root, found)...)
	if len(found) > 0 {
		return Policy{}, textErrors(found)
	}
	return p, nil
}

// parseCodes reads the rules of codes and statuses, each on top of the one that p has
// for it.
func (p *Policy) parseCodes(rules *document.Node) []document.Problem {
	codes := make(map[string]Rule)
	var found []document.Problem
	if rules != nil {
		twice := rules.Each([]string{"codes"}, func(m document.Member, again bool) {
			c, _ := answersOf(m.Name)
			doc := ruleDocumentOf(p.RuleFor(c))
			found = append(found, m.Value.Bind(&doc, []string{"codes", m.Name}, wanted)...)
			if !again {
				codes[m.Name] = doc.rule()
			}
		})
		found = append(found, twice...)
	}
	p.Codes = codes
	return found
}

// wanted has what errors ask for where a value cannot be read.
var wanted = map[reflect.Type]string{
	reflect.TypeFor[duration](): `a duration such as "30s"`,
	reflect.TypeFor[Action]():   `"fail-fast", "backoff" or "poll"`,
	reflect.TypeFor[Scope]():    `"nothing", "endpoint" or "host"`,
}

// inJSON has the members that other members' problems name.
var inJSON = strings.NewReplacer("InitialWait", "initialWait", "MinWait", "minWait")

// invalid returns where root has what Validate refuses. It leaves out what may come
// from problems that were found in reading, and what a code's rule has from its class's.
func invalid(bad problems, root *document.Node, found []document.Problem) []document.Problem {
	var list []document.Problem
	for _, e := range bad {
		path := e.member()
		at, whole := root.Find(path)
		inherited := !whole && path[0] == "codes" && slices.ContainsFunc(list, func(p document.Problem) bool {
			return len(p.Path) == 2 && p.Path[1] == path[len(path)-1] && isClassMember(p.Path[0])
		})
		if !inherited && !e.doubtful(path, found) {
			list = append(list, document.Problem{Place: at, Path: path, Text: inJSON.Replace(e.Problem)})
		}
	}
	return list
}

// doubtful reports whether a problem may come from one found in reading: with the
// member itself or, if it is relative, with others of its rule, or for a code with the
// rule of a class, from which the code's starts.
func (e *PolicyError) doubtful(path []string, found []document.Problem) bool {
	rule := ruleOf(path)
	return slices.ContainsFunc(found, func(f document.Problem) bool {
		spoilt := ruleOf(f.Path)
		return slices.Equal(f.Path, path) || e.relative &&
			(len(rule) > 0 && slices.Equal(spoilt, rule) || len(rule) == 2 && len(spoilt) == 1 && isClassMember(spoilt[0]))
	})
}

// ruleOf returns the path of the rule, or another object like it, that a member is in.
func ruleOf(member []string) []string {
	switch {
	case len(member) > 2 && member[0] == "codes":
		return member[:2]
	case len(member) == 2 && member[0] != "codes":
		return member[:1]
	}
	return nil
}

func isClassMember(name string) bool {
	return slices.ContainsFunc(classFields[:], func(field string) bool { return memberOf(field) == name })
}

// member returns the path in JSON of the problem's field, which Validate named.
func (e *PolicyError) member() []string {
	fields, key, keyed := strings.Cut(e.Field, "[")
	var path []string
	for field := range strings.SplitSeq(fields, ".") {
		path = append(path, memberOf(field))
	}
	if !keyed {
		return path
	}
	end := strings.LastIndexByte(key, ']') // keys may have any characters, fields do not
	path = append(path, key[:end])
	if end+1 < len(key) {
		path = append(path, memberOf(key[end+len("]."):]))
	}
	return path
}

// memberOf returns the member of JSON that holds a field.
func memberOf(field string) string {
	if field == "TTL" {
		return "ttl"
	}
	return strings.ToLower(field[:min(1, len(field))]) + field[min(1, len(field)):]
}

// textErrors returns the problems of a text in its order.
func textErrors(found []document.Problem) error {
	slices.SortStableFunc(found, func(a, b document.Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	var bad problems
	for _, f := range found {
		bad = append(bad, &PolicyError{Field: document.Path(f.Path), Problem: f.Text, Line: f.Line, Column: f.Column})
	}
	return bad.join()
}

// MarshalJSON writes the whole policy as [ParsePolicy] reads it.
func (p Policy) MarshalJSON() ([]byte, error) {
	doc := documentOf[map[string]ruleDocument](p)
	doc.Codes = make(map[string]ruleDocument, len(p.Codes))
	for key, r := range p.Codes {
		doc.Codes[key] = ruleDocumentOf(r)
	}
	return json.Marshal(doc)
}

// UnmarshalJSON replaces p by what [ParsePolicy] reads; after an error p is
// unchanged. Within other JSON, the lines of errors count from where the policy begins.
func (p *Policy) UnmarshalJSON(text []byte) error {
	parsed, err := ParsePolicy(text)
	switch {
	case err != nil:
		return err
	case p == nil:
		return &PolicyError{Field: "(all fields)", Problem: "have no place: the policy is nil"}
	}
	*p = parsed
	return nil
}

// MarshalText returns the action's name.
func (a Action) MarshalText() ([]byte, error) { return nameOf(a, actionNames[:], "action") }

// UnmarshalText accepts "fail-fast", "backoff" and "poll".
func (a *Action) UnmarshalText(text []byte) error {
	return parseName(a, actionNames[:], "action", text)
}

// MarshalText returns the scope's name.
func (s Scope) MarshalText() ([]byte, error) { return nameOf(s, scopeNames[:], "scope") }

// UnmarshalText accepts "nothing", "endpoint" and "host".
func (s *Scope) UnmarshalText(text []byte) error { return parseName(s, scopeNames[:], "scope", text) }

func nameOf[T ~uint8](v T, names []string, kind string) ([]byte, error) {
	if int(v) >= len(names) {
		return nil, fmt.Errorf("no %s has the number %d", kind, v)
	}
	return []byte(names[v]), nil
}

func parseName[T ~uint8](v *T, names []string, kind string, text []byte) error {
	i := slices.Index(names, string(text))
	if i < 0 {
		return fmt.Errorf("%q is no %s: want one of %q", text, kind, names)
	}
	*v = T(i)
	return nil
}

// duration is a time.Duration written as "1m30s".
type duration time.Duration

func (d duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

func (d *duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	if err == nil {
		*d = duration(parsed)
	}
	return err
}

// The documents mirror the types of policy.go, with durations as text. The rules of
// codes are written as documents and read as nodes, for each is read on top of another.
type (
	policyDocument[C map[string]ruleDocument | *document.Node] struct {
		RateLimited       ruleDocument    `json:"rateLimited"`
		ServerError       ruleDocument    `json:"serverError"`
		ClientError       ruleDocument    `json:"clientError"`
		Pending           ruleDocument    `json:"pending"`
		Network           ruleDocument    `json:"network"`
		Codes             C               `json:"codes,omitempty"`
		Pace              paceDocument    `json:"pace"`
		Breaker           breakerDocument `json:"breaker"`
		Budget            budgetDocument  `json:"budget"`
		AttemptTimeout    duration        `json:"attemptTimeout"`
		BodyTimeout       duration        `json:"bodyTimeout"`
		RetryBodies       int64           `json:"retryBodies"`
		PollFactors       bool            `json:"pollFactors"`
		ReturnRateLimited bool            `json:"returnRateLimited"`
		MaxCapture        int64           `json:"maxCapture"`
	}
	ruleDocument struct {
		Action      Action   `json:"action"`
		MaxAttempts int      `json:"maxAttempts"`
		MaxElapsed  duration `json:"maxElapsed"`
		InitialWait duration `json:"initialWait"`
		MaxWait     duration `json:"maxWait"`
		Multiplier  float64  `json:"multiplier"`
		Jitter      float64  `json:"jitter"`
		MinWait     duration `json:"minWait"`
		AnyMethod   bool     `json:"anyMethod"`
		Trips       Scope    `json:"trips"`
	}
	paceDocument struct {
		MaxUtilization float64 `json:"maxUtilization"`
		MaxInFlight    int     `json:"maxInFlight"`
		Smooth         bool    `json:"smooth"`
		MaxRate        float64 `json:"maxRate"`
		Burst          int     `json:"burst"`

		BucketRates         map[string]float64 `json:"bucketRates,omitempty"`
		MaxWait             duration           `json:"maxWait"`
		RefusalsOnly        bool               `json:"refusalsOnly"`
		RefusalsOnlyBuckets []string           `json:"refusalsOnlyBuckets,omitempty"`
		Disabled            bool               `json:"disabled"`
	}
	breakerDocument struct {
		Disabled     bool     `json:"disabled"`
		Window       duration `json:"window"`
		MinCalls     int      `json:"minCalls"`
		FailureRatio float64  `json:"failureRatio"`
		OpenFor      duration `json:"openFor"`
		Probes       int      `json:"probes"`
		ProbeTimeout duration `json:"probeTimeout"`
		SlowAfter    duration `json:"slowAfter"`
	}
	budgetDocument struct {
		Disabled bool     `json:"disabled"`
		Ratio    float64  `json:"ratio"`
		Reserve  float64  `json:"reserve"`
		TTL      duration `json:"ttl"`
	}
)

// documentOf returns a policy's document without the rules of codes.
func documentOf[C map[string]ruleDocument | *document.Node](p Policy) *policyDocument[C] {
	return &policyDocument[C]{
		RateLimited: ruleDocumentOf(p.RateLimited),
		ServerError: ruleDocumentOf(p.ServerError),
		ClientError: ruleDocumentOf(p.ClientError),
		Pending:     ruleDocumentOf(p.Pending),
		Network:     ruleDocumentOf(p.Network),
		Pace: paceDocument{
			p.Pace.MaxUtilization, p.Pace.MaxInFlight, p.Pace.Smooth, p.Pace.MaxRate, p.Pace.Burst, p.Pace.BucketRates,
			duration(p.Pace.MaxWait), p.Pace.RefusalsOnly, p.Pace.RefusalsOnlyBuckets, p.Pace.Disabled,
		},
		Breaker: breakerDocument{
			p.Breaker.Disabled, duration(p.Breaker.Window), p.Breaker.MinCalls, p.Breaker.FailureRatio,
			duration(p.Breaker.OpenFor), p.Breaker.Probes, duration(p.Breaker.ProbeTimeout), duration(p.Breaker.SlowAfter),
		},
		Budget:            budgetDocument{p.Budget.Disabled, p.Budget.Ratio, p.Budget.Reserve, duration(p.Budget.TTL)},
		AttemptTimeout:    duration(p.AttemptTimeout),
		BodyTimeout:       duration(p.BodyTimeout),
		RetryBodies:       p.RetryBodies,
		PollFactors:       p.PollFactors,
		ReturnRateLimited: p.ReturnRateLimited,
		MaxCapture:        p.MaxCapture,
	}
}

// policy returns a document's policy without the rules of codes.
func (doc *policyDocument[C]) policy() Policy {
	b, c := doc.Breaker, doc.Pace
	return Policy{
		RateLimited: doc.RateLimited.rule(),
		ServerError: doc.ServerError.rule(),
		ClientError: doc.ClientError.rule(),
		Pending:     doc.Pending.rule(),
		Network:     doc.Network.rule(),
		Pace: Pace{
			c.MaxUtilization, c.MaxInFlight, c.Smooth, c.MaxRate, c.Burst, c.BucketRates,
			time.Duration(c.MaxWait), c.RefusalsOnly, c.RefusalsOnlyBuckets, c.Disabled,
		},
		Breaker: Breaker{
			b.Disabled, time.Duration(b.Window), b.MinCalls, b.FailureRatio,
			time.Duration(b.OpenFor), b.Probes, time.Duration(b.ProbeTimeout), time.Duration(b.SlowAfter),
		},
		Budget:            Budget{doc.Budget.Disabled, doc.Budget.Ratio, doc.Budget.Reserve, time.Duration(doc.Budget.TTL)},
		AttemptTimeout:    time.Duration(doc.AttemptTimeout),
		BodyTimeout:       time.Duration(doc.BodyTimeout),
		RetryBodies:       doc.RetryBodies,
		PollFactors:       doc.PollFactors,
		ReturnRateLimited: doc.ReturnRateLimited,
		MaxCapture:        doc.MaxCapture,
	}
}

func ruleDocumentOf(r Rule) ruleDocument {
	return ruleDocument{
		r.Action, r.MaxAttempts, duration(r.MaxElapsed), duration(r.InitialWait), duration(r.MaxWait),
		r.Multiplier, r.Jitter, duration(r.MinWait), r.AnyMethod, r.Trips,
	}
}

func (d ruleDocument) rule() Rule {
	return Rule{
		d.Action, d.MaxAttempts, time.Duration(d.MaxElapsed), time.Duration(d.InitialWait), time.Duration(d.MaxWait),
		d.Multiplier, d.Jitter, time.Duration(d.MinWait), d.AnyMethod, d.Trips,
	}
}
