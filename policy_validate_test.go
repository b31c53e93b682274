// This file tests which policies are refused, and that each error names its
// field.

package oktaretry_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry"
)

// fieldsOf returns the fields that an error of Validate names.
func fieldsOf(t *testing.T, err error) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		t.Fatalf("%T is no joined error", err)
	}
	var fields []string
	for _, e := range joined.Unwrap() {
		p, ok := errors.AsType[*oktaretry.PolicyError](e)
		if !ok {
			t.Fatalf("%v is a %T, want a *PolicyError", e, e)
		}
		if p.Problem == "" || !strings.Contains(err.Error(), p.Field+" "+p.Problem) {
			t.Errorf("the text lacks %s %q: %v", p.Field, p.Problem, err)
		}
		fields = append(fields, p.Field)
	}
	return fields
}

// withCode returns a default rule of a code as the policy's own, changed.
func withCode(p *oktaretry.Policy, code string, change func(*oktaretry.Rule)) {
	r := p.RuleFor(oktaretry.Classification{Class: oktaretry.ClassClientError, Code: code})
	change(&r)
	if p.Codes == nil {
		p.Codes = make(map[string]oktaretry.Rule)
	}
	p.Codes[code] = r
}

// faults are changes of the default policy and the fields that Validate names
// for each.
var faults = []struct {
	name   string
	spoil  func(*oktaretry.Policy)
	fields []string
}{
	{"negative MaxElapsed", func(p *oktaretry.Policy) { p.RateLimited.MaxElapsed = -1 }, []string{"RateLimited.MaxElapsed"}},
	{"negative MinWait", func(p *oktaretry.Policy) { p.RateLimited.MinWait = -1 }, []string{"RateLimited.MinWait"}},
	{"negative InitialWait", func(p *oktaretry.Policy) { p.ServerError.InitialWait = -1 }, []string{"ServerError.InitialWait"}},
	{"negative MaxWait", func(p *oktaretry.Policy) { p.Network.MaxWait = -1 }, []string{"Network.MaxWait", "Network.MaxWait"}},
	{"negative wait of a rule that never waits", func(p *oktaretry.Policy) { p.ClientError = oktaretry.Rule{MaxWait: -1} }, []string{"ClientError.MaxWait"}},
	{"no growth for the client errors that are sent again", func(p *oktaretry.Policy) { p.ClientError.Multiplier = 0 }, []string{"ClientError.Multiplier"}},
	{"a code's least wait that never fits", func(p *oktaretry.Policy) {
		withCode(p, "E0000109", func(r *oktaretry.Rule) { r.MinWait, r.MaxElapsed = 0, 20*time.Second })
	}, []string{"Codes[E0000109].MaxElapsed"}},
	{"a roadblock's 24 hours, within 10 minutes", func(p *oktaretry.Policy) { withCode(p, "E0000146", func(*oktaretry.Rule) {}) },
		[]string{"Codes[E0000146].MaxElapsed"}},
	{"negative MaxAttempts", func(p *oktaretry.Policy) { p.Pending.MaxAttempts = -1 }, []string{"Pending.MaxAttempts"}},
	{"jitter of NaN", func(p *oktaretry.Policy) { p.RateLimited.Jitter = math.NaN() }, []string{"RateLimited.Jitter"}},
	{"negative jitter", func(p *oktaretry.Policy) { p.ServerError.Jitter = -0.1 }, []string{"ServerError.Jitter"}},
	{"jitter above 1", func(p *oktaretry.Policy) { p.ClientError.Jitter = 1.01 }, []string{"ClientError.Jitter"}},
	{"infinite jitter", func(p *oktaretry.Policy) { p.Pending.Jitter = math.Inf(1) }, []string{"Pending.Jitter"}},
	{"multiplier below 1", func(p *oktaretry.Policy) { p.RateLimited.Multiplier = 0.9 }, []string{"RateLimited.Multiplier"}},
	{"multiplier of NaN", func(p *oktaretry.Policy) { p.ServerError.Multiplier = math.NaN() }, []string{"ServerError.Multiplier"}},
	{"infinite multiplier", func(p *oktaretry.Policy) { p.Network.Multiplier = math.Inf(1) }, []string{"Network.Multiplier"}},
	{"no first wait", func(p *oktaretry.Policy) { p.Pending.InitialWait = 0 }, []string{"Pending.InitialWait"}},
	{"MaxWait below InitialWait", func(p *oktaretry.Policy) { p.RateLimited.MaxWait = time.Millisecond }, []string{"RateLimited.MaxWait"}},
	{"MinWait that never fits", func(p *oktaretry.Policy) { p.ServerError.MinWait = 30 * time.Second }, []string{"ServerError.MaxElapsed"}},
	{"no such action", func(p *oktaretry.Policy) { p.ServerError.Action = 3 }, []string{"ServerError.Action"}},
	{"no such scope", func(p *oktaretry.Policy) { p.ClientError.Trips = 3 }, []string{"ClientError.Trips"}},
	{"poll for a rate limit", func(p *oktaretry.Policy) { p.RateLimited.Action = oktaretry.Poll }, []string{"RateLimited.Action"}},
	{"poll for a network error", func(p *oktaretry.Policy) { p.Network.Action = oktaretry.Poll }, []string{"Network.Action"}},
	{"an interval as long as all polling", func(p *oktaretry.Policy) { p.Pending.MaxElapsed = p.Pending.InitialWait }, []string{"Pending.MaxElapsed"}},
	{"backoff for a pending answer", func(p *oktaretry.Policy) { p.Pending.Action = oktaretry.Backoff }, []string{"Pending.Action"}},

	{"a code of 6 digits", func(p *oktaretry.Policy) { withCode(p, "E000047", func(*oktaretry.Rule) {}) }, []string{"Codes[E000047]"}},
	{"a code in lower case", func(p *oktaretry.Policy) { withCode(p, "e0000047", func(*oktaretry.Rule) {}) }, []string{"Codes[e0000047]"}},
	{"an empty code", func(p *oktaretry.Policy) { withCode(p, "", func(*oktaretry.Rule) {}) }, []string{"Codes[]"}},
	{"a success's status as code", func(p *oktaretry.Policy) { withCode(p, "200", func(*oktaretry.Rule) {}) }, []string{"Codes[200]"}},
	{"a class as code", func(p *oktaretry.Policy) { withCode(p, "server-error", func(*oktaretry.Rule) {}) }, []string{"Codes[server-error]"}},
	{"a class that looks like an OAuth error", func(p *oktaretry.Policy) { withCode(p, "network", func(*oktaretry.Rule) {}) }, []string{"Codes[network]"}},
	{"a code's negative wait", func(p *oktaretry.Policy) { withCode(p, "E0000109", func(r *oktaretry.Rule) { r.MinWait = -1 }) }, []string{"Codes[E0000109].MinWait"}},
	{"a code's poll", func(p *oktaretry.Policy) {
		withCode(p, "E0000009", func(r *oktaretry.Rule) { r.Action = oktaretry.Poll })
	}, []string{"Codes[E0000009].Action"}},
	{"a code's jitter of NaN", func(p *oktaretry.Policy) {
		withCode(p, "server_error", func(r *oktaretry.Rule) { r.Jitter = math.NaN() })
	}, []string{"Codes[server_error].Jitter"}},
	{"a backoff without waits", func(p *oktaretry.Policy) {
		p.Codes = map[string]oktaretry.Rule{"E0000112": {Action: oktaretry.Backoff}}
	}, []string{"Codes[E0000112].InitialWait", "Codes[E0000112].Multiplier"}},
	{"a code's own wait that never fits", func(p *oktaretry.Policy) {
		withCode(p, "E0000109", func(r *oktaretry.Rule) { r.MinWait, r.MaxElapsed = time.Minute, time.Minute })
	}, []string{"Codes[E0000109].MaxElapsed"}},

	{"negative AttemptTimeout", func(p *oktaretry.Policy) { p.AttemptTimeout = -1 }, []string{"AttemptTimeout"}},
	{"negative BodyTimeout", func(p *oktaretry.Policy) { p.BodyTimeout = -1 }, []string{"BodyTimeout"}},
	{"negative RetryBodies", func(p *oktaretry.Policy) { p.RetryBodies = -1 }, []string{"RetryBodies"}},
	{"negative MaxCapture", func(p *oktaretry.Policy) { p.MaxCapture = -1 }, []string{"MaxCapture"}},
	{"negative rate", func(p *oktaretry.Policy) { p.Pace.MaxRate = -1 }, []string{"Pace.MaxRate"}},
	{"rate of NaN", func(p *oktaretry.Policy) { p.Pace.MaxRate = math.NaN() }, []string{"Pace.MaxRate"}},
	{"infinite rate", func(p *oktaretry.Policy) { p.Pace.MaxRate = math.Inf(1) }, []string{"Pace.MaxRate"}},
	{"a rate without a burst", func(p *oktaretry.Policy) { p.Pace = oktaretry.Pace{MaxRate: 1} }, []string{"Pace.Burst"}},
	{"a utilization of NaN", func(p *oktaretry.Policy) { p.Pace.MaxUtilization = math.NaN() }, []string{"Pace.MaxUtilization"}},
	{"a utilization above 1", func(p *oktaretry.Policy) { p.Pace.MaxUtilization = 70 }, []string{"Pace.MaxUtilization"}},
	{"a negative number in flight", func(p *oktaretry.Policy) { p.Pace.MaxInFlight = -1 }, []string{"Pace.MaxInFlight"}},
	{"rates of buckets", func(p *oktaretry.Policy) {
		p.Pace.BucketRates = map[string]float64{"a": 0, "b": -1, "c": math.NaN(), "d": math.Inf(1), "e": 1, "": 1}
	}, []string{"Pace.BucketRates[]", "Pace.BucketRates[a]", "Pace.BucketRates[b]", "Pace.BucketRates[c]", "Pace.BucketRates[d]"}},
	{"a bucket's rate without a burst", func(p *oktaretry.Policy) {
		p.Pace = oktaretry.Pace{BucketRates: map[string]float64{"a": 1}}
	}, []string{"Pace.Burst"}},
	{"negative burst", func(p *oktaretry.Policy) { p.Pace.Burst = -1 }, []string{"Pace.Burst"}},
	{"a breaker of zeros", func(p *oktaretry.Policy) { p.Breaker = oktaretry.Breaker{} }, []string{
		"Breaker.Window", "Breaker.OpenFor", "Breaker.ProbeTimeout", "Breaker.MinCalls", "Breaker.Probes", "Breaker.FailureRatio",
	}},
	{"failure ratio above 1", func(p *oktaretry.Policy) { p.Breaker.FailureRatio = 1.1 }, []string{"Breaker.FailureRatio"}},
	{"failure ratio of NaN", func(p *oktaretry.Policy) { p.Breaker.FailureRatio = math.NaN() }, []string{"Breaker.FailureRatio"}},
	{"more probes than fit", func(p *oktaretry.Policy) { p.Breaker.Probes = int(beyondInt32) }, []string{"Breaker.Probes"}},
	{"negative budget", func(p *oktaretry.Policy) { p.Budget.Ratio, p.Budget.Reserve = -1, -1 }, []string{"Budget.Ratio", "Budget.Reserve"}},
	{"budget of NaN", func(p *oktaretry.Policy) { p.Budget.Ratio, p.Budget.Reserve = math.NaN(), math.NaN() }, []string{"Budget.Ratio", "Budget.Reserve"}},
	{"infinite budget", func(p *oktaretry.Policy) { p.Budget.Ratio, p.Budget.Reserve = math.Inf(1), math.Inf(1) }, []string{"Budget.Ratio", "Budget.Reserve"}},
	{"no TTL", func(p *oktaretry.Policy) { p.Budget.TTL = 0 }, []string{"Budget.TTL"}},
	{"TTL above a minute", func(p *oktaretry.Policy) { p.Budget.TTL = 61 * time.Second }, []string{"Budget.TTL"}},
	{"TTL of broken seconds", func(p *oktaretry.Policy) { p.Budget.TTL = 1500 * time.Millisecond }, []string{"Budget.TTL"}},
}

func TestValidateNamesTheField(t *testing.T) {
	for _, tt := range faults {
		p := oktaretry.DefaultPolicy()
		tt.spoil(&p)
		if got := fieldsOf(t, p.Validate()); !slices.Equal(got, tt.fields) {
			t.Errorf("%s: names %q, want %q", tt.name, got, tt.fields)
		}
		if _, err := oktaretry.NewTransport(nil, oktaretry.WithPolicy(p)); err == nil || !strings.Contains(err.Error(), tt.fields[0]) {
			t.Errorf("%s: NewTransport returns %v, want an error that names %s", tt.name, err, tt.fields[0])
		}
	}
}

func TestValidateNamesEveryFault(t *testing.T) {
	p := oktaretry.DefaultPolicy()
	p.RateLimited.MaxElapsed = -1
	p.ServerError.Jitter = 2
	p.ClientError.MinWait = -1
	p.Pending.Action = oktaretry.Backoff
	p.Network.Multiplier = 0
	p.Codes = map[string]oktaretry.Rule{"bad code": {}, "E0000009": {MaxAttempts: -1}}
	p.AttemptTimeout, p.MaxCapture = -1, -1
	p.Pace.MaxRate, p.Breaker.MinCalls, p.Budget.TTL = -1, 0, 0
	want := []string{
		"RateLimited.MaxElapsed", "ServerError.Jitter", "Pending.Action", "ClientError.MinWait", "Network.Multiplier",
		"Codes[E0000009].MaxAttempts", "Codes[bad code]",
		"AttemptTimeout", "MaxCapture", "Pace.MaxRate", "Breaker.MinCalls", "Budget.TTL",
	}
	if got := fieldsOf(t, p.Validate()); !slices.Equal(got, want) {
		t.Errorf("names\n%q, want\n%q", got, want)
	}
}

func TestValidateAcceptsSensiblePolicies(t *testing.T) {
	for name, change := range map[string]func(*oktaretry.Policy){
		"no caps": func(p *oktaretry.Policy) {
			p.RateLimited.MaxElapsed, p.ServerError.MaxAttempts, p.ServerError.MaxElapsed = 0, 0, 0
		},
		"all rules zero, which is fail fast": func(p *oktaretry.Policy) {
			p.RateLimited, p.ServerError, p.ClientError, p.Pending, p.Network =
				oktaretry.Rule{}, oktaretry.Rule{}, oktaretry.Rule{}, oktaretry.Rule{}, oktaretry.Rule{}
		},
		"full jitter, no growth":    func(p *oktaretry.Policy) { p.ServerError.Jitter, p.ServerError.Multiplier = 1, 1 },
		"a breaker switched off":    func(p *oktaretry.Policy) { p.Breaker = oktaretry.Breaker{Disabled: true} },
		"a budget switched off":     func(p *oktaretry.Policy) { p.Budget = oktaretry.Budget{Disabled: true} },
		"no ceiling, no burst":      func(p *oktaretry.Policy) { p.Pace = oktaretry.Pace{} },
		"a ceiling":                 func(p *oktaretry.Policy) { p.Pace = oktaretry.Pace{MaxRate: 0.1, Burst: 1} },
		"no bound for bodies":       func(p *oktaretry.Policy) { p.BodyTimeout = 0 },
		"no bound for attempts":     func(p *oktaretry.Policy) { p.AttemptTimeout = 0 },
		"client errors retried":     func(p *oktaretry.Policy) { p.ClientError.Action = oktaretry.Backoff },
		"a code that Okta may add":  func(p *oktaretry.Policy) { withCode(p, "E0009999", func(*oktaretry.Rule) {}) },
		"an OAuth error not listed": func(p *oktaretry.Policy) { withCode(p, "invalid_grant", func(*oktaretry.Rule) {}) },
		"a roadblock that is waited for": func(p *oktaretry.Policy) {
			withCode(p, "E0000146", func(r *oktaretry.Rule) { r.MaxElapsed = 25 * time.Hour })
		},
		"a roadblock that is not": func(p *oktaretry.Policy) {
			withCode(p, "E0000146", func(r *oktaretry.Rule) { r.Action = oktaretry.FailFast })
		},
		"rate limits of less than their codes' waits": func(p *oktaretry.Policy) { p.RateLimited.MaxElapsed = 20 * time.Second },
		"statuses": func(p *oktaretry.Policy) {
			withCode(p, "400", func(*oktaretry.Rule) {})
			withCode(p, "599", func(*oktaretry.Rule) {})
		},
		"a pending code's poll": func(p *oktaretry.Policy) { withCode(p, "E0000070", func(r *oktaretry.Rule) { r.MaxAttempts = 3 }) },
	} {
		p := oktaretry.DefaultPolicy()
		change(&p)
		if err := p.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestZeroPolicyIsRefused(t *testing.T) {
	for name, p := range map[string]oktaretry.Policy{"zero": {}, "an empty map": {Codes: map[string]oktaretry.Rule{}}} {
		err := p.Validate()
		if err == nil || !strings.Contains(err.Error(), "DefaultPolicy") || len(fieldsOf(t, err)) != 1 {
			t.Errorf("%s: %v, want one error that names DefaultPolicy", name, err)
		}
		if transport, err := oktaretry.NewTransport(nil, oktaretry.WithPolicy(p)); err == nil || transport != nil {
			t.Errorf("%s: NewTransport gives %v, %v", name, transport, err)
		}
	}
}

func TestUnknownNamesOfActionAndScopeAreRefused(t *testing.T) {
	if _, err := oktaretry.Action(3).MarshalText(); err == nil {
		t.Error("an action that doesn't exist has a name")
	}
	if _, err := oktaretry.Scope(3).MarshalText(); err == nil {
		t.Error("a scope that doesn't exist has a name")
	}
	var a oktaretry.Action
	if err := a.UnmarshalText([]byte("retry")); err == nil || !strings.Contains(err.Error(), `"retry"`) || !strings.Contains(err.Error(), "backoff") {
		t.Errorf("%v, want an error that names what was given and what is wanted", err)
	}
	if got := oktaretry.Action(7).String() + " " + oktaretry.Scope(8).String(); got != "Action(7) Scope(8)" {
		t.Errorf("printed as %s", got)
	}
}

func TestWarningsNameCodesThatTheCatalogueLacks(t *testing.T) {
	p := oktaretry.DefaultPolicy()
	if odd := p.Warnings(); odd != nil {
		t.Errorf("the default policy has %v", odd)
	}
	for _, key := range []string{"E0000009", "E0009999", "server_error", "server_eror", "invalid_grant", "408", "no code at all"} {
		p.Codes[key] = oktaretry.Rule{}
	}
	odd := p.Warnings()
	if got := fieldsOf(t, errors.Join(odd...)); !slices.Equal(got, []string{"Codes[E0009999]", "Codes[server_eror]"}) {
		t.Errorf("warned of %q", got)
	}
}

// beyondInt32 is negative as an int of 32 bits.
var beyondInt32 int64 = math.MaxInt32 + 1
