// This file tests policies in JSON.

package oktaretry_test

import (
	"encoding/json"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry"
)

// rewritten is p written to JSON and read again.
func rewritten(t *testing.T, p oktaretry.Policy) oktaretry.Policy {
	t.Helper()
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	back, err := oktaretry.ParsePolicy(text)
	if err != nil {
		t.Fatalf("ParsePolicy refuses what Marshal wrote: %v\n%s", err, text)
	}
	return back
}

func TestDefaultPolicySurvivesJSON(t *testing.T) {
	p := oktaretry.DefaultPolicy()
	if back := rewritten(t, p); !reflect.DeepEqual(back, p) {
		t.Errorf("came back as\n%+v, want\n%+v", back, p)
	}
}

// randomPolicy returns a policy that Validate accepts, with any of its fields
// set.
func randomPolicy(r *rand.Rand) oktaretry.Policy {
	wait := func() time.Duration { return 1 + time.Duration(r.Int64N(int64(time.Hour))) }
	rule := func(retry oktaretry.Action) oktaretry.Rule {
		x := oktaretry.Rule{
			Action: retry, MaxAttempts: r.IntN(10), InitialWait: wait(),
			Multiplier: 1 + 3*r.Float64(), Jitter: r.Float64(), AnyMethod: r.IntN(2) == 0, Trips: oktaretry.Scope(r.IntN(3)),
		}
		x.MaxWait = x.InitialWait + wait()
		x.MinWait = wait()
		if r.IntN(2) == 0 {
			x.MaxElapsed = x.MinWait + x.InitialWait + wait()
		}
		if r.IntN(3) == 0 {
			x.Action = oktaretry.FailFast
		}
		return x
	}
	p := oktaretry.Policy{
		RateLimited: rule(oktaretry.Backoff), ServerError: rule(oktaretry.Backoff), ClientError: rule(oktaretry.Backoff),
		Network: rule(oktaretry.Backoff), Pending: rule(oktaretry.Poll),
		Pace: oktaretry.Pace{
			MaxUtilization: r.Float64(), MaxInFlight: r.IntN(100), Smooth: r.IntN(2) == 0,
			MaxRate: 1000 * r.Float64(), Burst: 1 + r.IntN(100),
		},
		Breaker: oktaretry.Breaker{
			Disabled: r.IntN(2) == 0, Window: wait(), MinCalls: 1 + r.IntN(100), FailureRatio: 1 - r.Float64(),
			OpenFor: wait(), Probes: 1 + r.IntN(5), ProbeTimeout: wait(),
		},
		Budget: oktaretry.Budget{
			Disabled: r.IntN(2) == 0, Ratio: r.Float64(), Reserve: 10 * r.Float64(), TTL: time.Duration(1+r.IntN(60)) * time.Second,
		},
		AttemptTimeout: wait(), BodyTimeout: wait(), RetryBodies: r.Int64(), PollFactors: r.IntN(2) == 0, ReturnRateLimited: r.IntN(2) == 0, MaxCapture: r.Int64(),
	}
	p.Codes = make(map[string]oktaretry.Rule)
	if r.IntN(2) == 0 {
		p.Pace.BucketRates = map[string]float64{"GET /api/v1/users/{id}": 1000 - 1000*r.Float64(), "my own": 1}
	}
	for _, code := range []string{"E0000009", "E0000109", "E0000999", "server_error", "invalid_grant", "408", "503"} {
		if r.IntN(2) == 0 {
			p.Codes[code] = rule(oktaretry.Backoff)
		}
	}
	return p
}

func TestAnyValidPolicySurvivesJSON(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 500 {
		p := randomPolicy(r)
		if err := p.Validate(); err != nil {
			t.Fatalf("policy %d: %v", i, err)
		}
		if back := rewritten(t, p); !reflect.DeepEqual(back, p) {
			t.Fatalf("policy %d came back as\n%#v, want\n%#v", i, back, p)
		}
	}
}

func TestParsePolicyStartsFromTheDefaults(t *testing.T) {
	p, err := oktaretry.ParsePolicy([]byte(`{
		"serverError": {"maxAttempts": 6, "trips": "endpoint"},
		"codes": {
			"E0000112": {"action": "backoff"}, "E0000109": {"maxElapsed": "90s"}, "invalid_grant": {},
			"E0000010": {"jitter": 0}, "408": {"maxAttempts": 2}
		},
		"pace": {"maxRate": 1.5},
		"attemptTimeout": "0s",
		"pollFactors": true
	}`))
	if err != nil {
		t.Fatal(err)
	}
	want := oktaretry.DefaultPolicy()
	want.ServerError.MaxAttempts, want.ServerError.Trips = 6, oktaretry.TripsEndpoint
	activating := want.ClientError
	activating.Action, activating.MinWait, activating.AnyMethod = oktaretry.Backoff, 2*time.Minute, true
	sms := want.RateLimited
	sms.MinWait, sms.MaxElapsed = 30*time.Second, 90*time.Second
	readOnly := want.ServerError // with the text's own changes
	readOnly.Jitter = 0
	timedOut := want.ClientError
	timedOut.Action, timedOut.MaxAttempts = oktaretry.Backoff, 2
	want.Codes = map[string]oktaretry.Rule{
		"E0000112": activating, "E0000109": sms, "invalid_grant": want.ClientError, "E0000010": readOnly, "408": timedOut,
	}
	want.Pace.MaxRate, want.AttemptTimeout, want.PollFactors = 1.5, 0, true
	if !reflect.DeepEqual(p, want) {
		t.Errorf("got\n%+v, want\n%+v", p, want)
	}
	for _, text := range []string{`{}`, " {}\n", `{"codes": {}}`, `{"codes": null}`} {
		if p, err := oktaretry.ParsePolicy([]byte(text)); err != nil || !reflect.DeepEqual(p, oktaretry.DefaultPolicy()) {
			t.Errorf("%q is not the default policy: %v, %v", text, p, err)
		}
	}
}

func TestParsePolicyNamesWhatIsWrong(t *testing.T) {
	for _, tt := range []struct{ name, text, names string }{
		{"empty", ``, "empty"},
		{"white space", " \n", "empty"},
		{"cut off", `{"pace": {`, "unexpected"},
		{"an array", `[]`, "array"},
		{"an unknown member", `{"serverErrors": {}}`, "serverErrors"},
		{"an unknown member of a rule", `{"network": {"retries": 3}}`, "retries"},
		{"an unknown member of a code's rule", `{"codes": {"E0000009": {"retries": 3}}}`, "E0000009"},
		{"a second object", `{} {}`, "more text"},
		{"trailing text", `{} x`, "more text"},
		{"a brace too many", `{}}`, "more text"},
		{"a duration without a unit", `{"serverError": {"maxWait": "30"}}`, "serverError.maxWait"},
		{"a duration in words", `{"breaker": {"openFor": "soon"}}`, `"soon"`},
		{"a duration as a number", `{"budget": {"ttl": 10}}`, "budget.ttl"},
		{"a code's bad duration", `{"codes": {"E0000009": {"minWait": "x"}}}`, "E0000009"},
		{"a duration that overflows", `{"attemptTimeout": "9999999h"}`, "attemptTimeout"},
		{"a negative duration", `{"pending": {"maxElapsed": "-1s"}}`, "Pending.MaxElapsed"},
		{"an unknown action", `{"network": {"action": "retry"}}`, `"retry"`},
		{"an unknown scope", `{"network": {"trips": "world"}}`, `"world"`},
		{"a malformed code", `{"codes": {"E47": {}}}`, "Codes[E47]"},
		{"a success's status", `{"codes": {"200": {}}}`, "Codes[200]"},
		{"a code's least wait that never fits", `{"codes": {"E0000146": {"maxElapsed": "1h"}}}`, "24h0m0s never fits"},
		{"codes in an array", `{"codes": []}`, "array"},
		{"a contradiction", `{"rateLimited": {"action": "poll"}}`, "RateLimited.Action"},
		{"attempts in broken numbers", `{"network": {"maxAttempts": 1.5}}`, "network.maxAttempts"},
		{"a multiplier beyond floats", `{"network": {"multiplier": 1e999}}`, "network.multiplier"},
	} {
		p, err := oktaretry.ParsePolicy([]byte(tt.text))
		switch {
		case err == nil:
			t.Errorf("%s: no error", tt.name)
		case !strings.HasPrefix(err.Error(), "oktaretry: policy: ") || !strings.Contains(err.Error(), tt.names):
			t.Errorf("%s: %v; want it to name %s", tt.name, err, tt.names)
		case errors.Is(err, io.EOF):
			t.Errorf("%s: matches io.EOF", tt.name)
		case !reflect.DeepEqual(p, oktaretry.Policy{}):
			t.Errorf("%s: a policy beside the error", tt.name)
		}
	}
}

func TestRefusedTextLeavesThePolicyUnchanged(t *testing.T) {
	p := oktaretry.DefaultPolicy()
	p.MaxCapture = 7
	if err := json.Unmarshal([]byte(`{"maxCapture": -1}`), &p); err == nil || p.MaxCapture != 7 {
		t.Errorf("error %v, and MaxCapture has become %d", err, p.MaxCapture)
	}
}

func TestPolicyThatJSONCannotHoldIsNotWritten(t *testing.T) {
	for name, spoil := range map[string]func(*oktaretry.Policy){
		"NaN":            func(p *oktaretry.Policy) { p.Network.Jitter = math.NaN() },
		"no such action": func(p *oktaretry.Policy) { p.Network.Action = 9 },
		"no such scope":  func(p *oktaretry.Policy) { p.Network.Trips = 9 },
	} {
		p := oktaretry.DefaultPolicy()
		spoil(&p)
		if text, err := json.Marshal(p); err == nil {
			t.Errorf("%s: written as %s", name, text)
		}
	}
}

func FuzzParsePolicy(f *testing.F) {
	text, err := json.Marshal(oktaretry.DefaultPolicy())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	for _, text := range []string{
		``, `null`, `{}`, `{} {}`, `{"codes":null}`, `{"codes":{"E0000009":null}}`,
		`{"codes":{"E0000112":{"action":"backoff"},"server_error":{"maxElapsed":"1h","minWait":"59m59.999999999s"}}}`,
		`{"codes":{"network":{}}}`, `{"codes":{"E0000146":{"maxElapsed":"1s"}}}`,
		`{"SERVERERROR":{"JITTER":-0},"serverError":{"multiplier":1e308}}`,
		`{"budget":{"ttl":"1µs"}}`, `{"attemptTimeout":"2562047h47m16.854775807s"}`, `{"breaker":{"disabled":true,"window":"-1ns"}}`,
		"{\"codes\":{\"\\u0000\":{}}}", `{"maxCapture":9223372036854775807}`, strings.Repeat(`{"codes":`, 100),
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := oktaretry.ParsePolicy(text)
		if err != nil {
			if errors.Is(err, io.EOF) {
				t.Errorf("%v matches io.EOF", err)
			}
			return
		}
		if err := p.Validate(); err != nil {
			t.Fatalf("parsed, and refused by Validate: %v", err)
		}
		if back := rewritten(t, p); !reflect.DeepEqual(back, p) {
			t.Fatalf("came back as\n%#v, want\n%#v", back, p)
		}
		_ = p.String()
	})
}
