// This file reads and writes a policy as JSON, for configuration files.

package oktaretry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ParsePolicy reads a policy from JSON. Members that the text leaves out keep the
// values of [DefaultPolicy]; a rule in "codes" starts from the one that the rest of
// the text gives its code or status, as with [Policy.Edit]. Durations are strings
// such as "30s". Unknown members are refused, and so is a policy that
// [Policy.Validate] refuses.
//
//	{"serverError": {"maxAttempts": 6}, "codes": {"E0000112": {"action": "backoff"}, "408": {"action": "fail-fast"}}}
func ParsePolicy(text []byte) (Policy, error) {
	doc := documentOf[json.RawMessage](defaults())
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	switch err := d.Decode(doc); {
	case err == io.EOF:
		return Policy{}, errors.New("oktaretry: policy: the text is empty")
	case err != nil:
		return Policy{}, fmt.Errorf("oktaretry: policy: %w", named(err, text, reflect.TypeFor[policyDocument[json.RawMessage]]()))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Policy{}, errors.New("oktaretry: policy: more text after the JSON object")
	}
	p := doc.policy()
	codes := make(map[string]Rule, len(doc.Codes))
	for _, key := range slices.Sorted(maps.Keys(doc.Codes)) {
		r, err := p.parseRule(key, doc.Codes[key])
		if err != nil {
			return Policy{}, fmt.Errorf("oktaretry: policy: codes: %q: %w", key, err)
		}
		codes[key] = r
	}
	p.Codes = codes
	if err := p.Validate(); err != nil {
		return Policy{}, err
	}
	return p, nil
}

// parseRule reads the rule of a code or status on top of the one that p has for it.
func (p *Policy) parseRule(key string, text []byte) (Rule, error) {
	c, _ := answersOf(key)
	doc := ruleDocumentOf(p.RuleFor(c))
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	err := d.Decode(&doc)
	return doc.rule(), named(err, text, reflect.TypeFor[ruleDocument]())
}

// MarshalJSON writes the whole policy as [ParsePolicy] reads it.
func (p Policy) MarshalJSON() ([]byte, error) {
	doc := documentOf[ruleDocument](p)
	doc.Codes = make(map[string]ruleDocument, len(p.Codes))
	for key, r := range p.Codes {
		doc.Codes[key] = ruleDocumentOf(r)
	}
	return json.Marshal(doc)
}

// UnmarshalJSON replaces p by what [ParsePolicy] reads; after an error p is
// unchanged.
func (p *Policy) UnmarshalJSON(text []byte) error {
	parsed, err := ParsePolicy(text)
	if err == nil {
		*p = parsed
	}
	return err
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
	if err != nil {
		// Up to Go 1.26 encoding/json adds the field's name to an error of this type; see named.
		return &json.UnmarshalTypeError{Value: strconv.Quote(string(text)), Type: reflect.TypeFor[time.Duration]()}
	}
	*d = duration(parsed)
	return nil
}

// named returns err, of decoding text into a document of type t, with the name of the
// duration that it is about.
func named(err error, text []byte, t reflect.Type) error {
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && e.Field == "" && e.Type == reflect.TypeFor[time.Duration]() {
		if e.Field = badDuration(text, t); e.Field != "" {
			e.Struct = t.Name()
		}
	}
	return err
}

// badDuration returns the name of the first duration in text that cannot be read; ""
// if there is none.
func badDuration(text []byte, t reflect.Type) string {
	var members map[string]json.RawMessage
	if json.Unmarshal(text, &members) != nil {
		return ""
	}
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch text, ok := members[name]; {
		case !ok:
		case f.Type == reflect.TypeFor[duration]():
			if json.Unmarshal(text, new(duration)) != nil {
				return name
			}
		case f.Type.Kind() == reflect.Struct:
			if inner := badDuration(text, f.Type); inner != "" {
				return name + "." + inner
			}
		}
	}
	return ""
}

// The documents mirror the types of policy.go, with durations as text. The rules of
// codes are written as documents and read as text, for each is read on top of another.
type (
	policyDocument[C ruleDocument | json.RawMessage] struct {
		RateLimited       ruleDocument    `json:"rateLimited"`
		ServerError       ruleDocument    `json:"serverError"`
		ClientError       ruleDocument    `json:"clientError"`
		Pending           ruleDocument    `json:"pending"`
		Network           ruleDocument    `json:"network"`
		Codes             map[string]C    `json:"codes,omitempty"`
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
	}
	budgetDocument struct {
		Disabled bool     `json:"disabled"`
		Ratio    float64  `json:"ratio"`
		Reserve  float64  `json:"reserve"`
		TTL      duration `json:"ttl"`
	}
)

// documentOf returns a policy's document without the rules of codes.
func documentOf[C ruleDocument | json.RawMessage](p Policy) *policyDocument[C] {
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
			duration(p.Breaker.OpenFor), p.Breaker.Probes, duration(p.Breaker.ProbeTimeout),
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
			time.Duration(b.OpenFor), b.Probes, time.Duration(b.ProbeTimeout),
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
