// This file tests policies in JSON.

package oktaretry_test

import (
	"encoding/json"
	"errors"
	"fmt"
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
			OpenFor: wait(), Probes: 1 + r.IntN(5), ProbeTimeout: wait(), SlowAfter: wait(),
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
	for _, text := range []string{`{}`, " {}\n", `{"codes": {}}`} {
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
		{"a second object", `{} {}`, "goes on"},
		{"trailing text", `{} x`, "goes on"},
		{"a brace too many", `{}}`, "goes on"},
		{"a duration without a unit", `{"serverError": {"maxWait": "30"}}`, "serverError.maxWait"},
		{"a duration in words", `{"breaker": {"openFor": "soon"}}`, `"soon"`},
		{"a duration as a number", `{"budget": {"ttl": 10}}`, "budget.ttl"},
		{"a code's bad duration", `{"codes": {"E0000009": {"minWait": "x"}}}`, "E0000009"},
		{"a duration that overflows", `{"attemptTimeout": "9999999h"}`, "attemptTimeout"},
		{"a negative duration", `{"pending": {"maxElapsed": "-1s"}}`, "pending.maxElapsed"},
		{"an unknown action", `{"network": {"action": "retry"}}`, `"retry"`},
		{"an unknown scope", `{"network": {"trips": "world"}}`, `"world"`},
		{"a malformed code", `{"codes": {"E47": {}}}`, "codes.E47"},
		{"a success's status", `{"codes": {"200": {}}}`, "codes.200"},
		{"a code's least wait that never fits", `{"codes": {"E0000146": {"maxElapsed": "1h"}}}`, "24h0m0s never fits"},
		{"codes in an array", `{"codes": []}`, "array"},
		{"a contradiction", `{"rateLimited": {"action": "poll"}}`, "rateLimited.action"},
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

// problemsOf lists the problems of a text, as "line:column field problem".
func problemsOf(t *testing.T, text string) []string {
	t.Helper()
	_, err := oktaretry.ParsePolicy([]byte(text))
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		t.Fatalf("%s: %v is not a list of problems", text, err)
	}
	var list []string
	for _, err := range joined.Unwrap() {
		e, ok := errors.AsType[*oktaretry.PolicyError](err)
		if !ok {
			t.Fatalf("%s: %T is no PolicyError", text, err)
		}
		list = append(list, fmt.Sprintf("%d:%d %s %s", e.Line, e.Column, e.Field, e.Problem))
	}
	return list
}

func TestParsePolicyPlacesWhatIsWrong(t *testing.T) {
	const duration = `want a duration such as "30s"`
	for _, tt := range []struct{ name, text, want string }{
		{"empty", " \n", "1:1  is empty"},
		{"null", `null`, "1:1  is null, want an object"},
		{"an array", "\n []", "2:2  is an array, want an object"},
		{"a second object", "{}\n\n{}", "3:1  goes on after the JSON value"},
		{"a number for a duration", "{\n  \"codes\": {\n    \"E0000047\": {\"maxElapsed\": 30}\n  }\n}",
			"3:32 codes.E0000047.maxElapsed is 30, " + duration},
		{"a duration without a unit", `{"budget": {"ttl": "10"}}`, `1:20 budget.ttl is "10", ` + duration},
		{"null for a duration", `{"breaker":{"window":null}}`, "1:22 breaker.window is null, " + duration},
		{"null for an object", `{"pace":null}`, "1:9 pace is null, want an object"},
		{"null for codes", `{"codes":null}`, "1:10 codes is null, want an object"},
		{"null for a code's rule", `{"codes":{"E0000009":null}}`, "1:22 codes.E0000009 is null, want an object"},
		{"null for a number", `{"network":{"maxAttempts":null}}`, "1:27 network.maxAttempts is null, want a whole number"},
		{"text for a number", `{"network":{"jitter":"0.5"}}`, `1:22 network.jitter is "0.5", want a number`},
		{"a fraction", `{"network":{"maxAttempts":1.5}}`, "1:27 network.maxAttempts is 1.5, want a whole number"},
		{"a number beyond ints", `{"maxCapture":9223372036854775808}`, "1:15 maxCapture is 9223372036854775808, want a number nearer to 0"},
		{"a number beyond floats", `{"network":{"multiplier":-1e999}}`, "1:26 network.multiplier is -1e999, want a number nearer to 0"},
		{"a number for a bool", `{"pollFactors":1}`, "1:16 pollFactors is 1, want true or false"},
		{"an unknown action", `{"pending":{"action":"retry"}}`, `1:22 pending.action is "retry", want "fail-fast", "backoff" or "poll"`},
		{"an action in capitals", `{"pending":{"action":"Poll"}}`, `1:22 pending.action is "Poll", want "fail-fast", "backoff" or "poll"`},
		{"an unknown scope", `{"pending":{"trips":{}}}`, `1:21 pending.trips is an object, want "nothing", "endpoint" or "host"`},
		{"another case", "{\n\t\"serverError\": {\"MaxWait\": \"1s\"}}", "2:18 serverError.MaxWait is unknown, want maxWait (case counts)"},
		{"another case on top", `{"SERVERERROR":{}}`, "1:2 SERVERERROR is unknown, want serverError (case counts)"},
		{"an unknown member", `{"budget":{"share":1}}`, "1:12 budget.share is unknown, want one of disabled, ratio, reserve, ttl"},
		{"a member twice", "{\"maxCapture\":1,\n\"maxCapture\":1}", "2:1 maxCapture is given twice: first in line 1, column 2"},
		{"an escaped member twice", `{"budget":{"ttl":"2s","\u0074tl":"2s"}}`, "1:23 budget.ttl is given twice: first in line 1, column 12"},
		{"a code twice", `{"codes":{"408":{},"408":{}}}`, "1:20 codes.408 is given twice: first in line 1, column 11"},
		{"a bucket twice", `{"pace":{"bucketRates":{"a b":1,"a b":2}}}`, `1:33 pace.bucketRates["a b"] is given twice: first in line 1, column 25`},
		{"an unknown code", `{"codes":{"E47":{}}}`, "1:11 codes.E47 is no error code or status: want one like E0000047, server_error or 408"},
		{"a class for a code", `{"codes":{"network":{}}}`, "1:11 codes.network is no error code or status: want one like E0000047, server_error or 408"},
		{"a code with brackets", `{"codes":{"a].b[":{}}}`, `1:11 codes["a].b["] is no error code or status: want one like E0000047, server_error or 408`},
		{"a bucket's rate", `{"pace":{"bucketRates":{"GET /api/v1/logs":0}}}`, `1:44 pace.bucketRates["GET /api/v1/logs"] is 0, want more than 0`},
		{"a bucket without a name", `{"pace":{"refusalsOnlyBuckets":["a",""]}}`, "1:37 pace.refusalsOnlyBuckets.1 names no bucket"},
		{"a bucket that is no string", `{"pace":{"refusalsOnlyBuckets":["a",[]]}}`, "1:37 pace.refusalsOnlyBuckets.1 is an array, want a string"},
		{"a contradiction with a default", `{"serverError":{"initialWait":"9s"}}`, "1:2 serverError.maxWait is 8s, less than initialWait 9s"},
		{"a code's contradiction", `{"codes":{"E0000009":{"action":"poll"}}}`, "1:32 codes.E0000009.action is poll, which is for pending answers only"},
		{"a budget's time", `{"budget":{"ttl":"1ms"}}`, "1:18 budget.ttl is 1ms, want whole seconds, 1s to 1m"},
		{"columns after more than ASCII", `{"codes":{"é":{}}, "maxCapture":-1}`,
			"1:11 codes[\"é\"] is no error code or status: want one like E0000047, server_error or 408\n1:33 maxCapture is -1, want 0 or more"},
	} {
		if got := strings.Join(problemsOf(t, tt.text), "\n"); got != tt.want {
			t.Errorf("%s: got\n%s\nwant\n%s", tt.name, got, tt.want)
		}
	}
}

// The wording is encoding/json's, which differs by version.
func TestParsePolicyPlacesWhatIsNoJSON(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"{\n  \"network\": {\"maxWait\": 3s}\n}", "2:27 network.maxWait is no JSON: "},
		{"{\"budget\": {\n", "1:13 budget is no JSON: "},
		{"{\"budget\":", "1:11 budget is no JSON: "},
		{"{\n\"maxCapture\": 1,\n}", "3:1  is no JSON: "},
		{"{'pace': {}}", "1:2  is no JSON: "},
		{"// none", "1:1  is no JSON: "},
		{"\ufeff{}", "1:1  is no JSON: "},
		{`{"pace": "é\q"}`, "1:13 pace is no JSON: "},
		{strings.Repeat(`{"codes":`, 5000) + "1" + strings.Repeat("}", 5000), "1:902 codes is nested deeper than 100 levels"},
		{strings.Repeat("[", 200_000), "1:10001 "},
	} {
		got := problemsOf(t, tt.text)
		if len(got) != 1 || !strings.HasPrefix(got[0], tt.want) {
			t.Errorf("%.40s: %.200q, want %s", tt.text, got, tt.want)
		}
	}
}

func TestParsePolicyFindsAllThatIsWrong(t *testing.T) {
	got := problemsOf(t, `{
  "serverError": {"maxWait": "10m", "initialWait": 5, "maxElapsed": "1s", "Jitter": 2},
  "network": {"jitter": 2, "multiplier": 0.5},
  "pending": {"jitter": 7},
  "codes": {
    "authorization_pending": {},
    "E0000047": {"maxElapsed": 30, "retries": 3},
    "E0000009": {"jitter": 3},
    "E0000112": {"action": "back-off"},
    "E47": {"action": null}
  },
  "pace": {"maxRate": -1, "maxWait": "soon"},
  "budgets": {},
  "network": {"minWait": "-3s"}
}`)
	want := []string{
		`2:52 serverError.initialWait is 5, want a duration such as "30s"`,
		`2:75 serverError.Jitter is unknown, want jitter (case counts)`,
		`3:25 network.jitter is 2, want 0 to 1`,
		`3:42 network.multiplier is 0.5, want 1 or more`,
		`4:25 pending.jitter is 7, want 0 to 1`,
		`7:32 codes.E0000047.maxElapsed is 30, want a duration such as "30s"`,
		`7:36 codes.E0000047.retries is unknown, want one of action, maxAttempts, maxElapsed, initialWait, maxWait, multiplier, jitter, minWait, anyMethod, trips`,
		`8:28 codes.E0000009.jitter is 3, want 0 to 1`,
		`9:28 codes.E0000112.action is "back-off", want "fail-fast", "backoff" or "poll"`,
		`10:5 codes.E47 is no error code or status: want one like E0000047, server_error or 408`,
		`10:23 codes.E47.action is null, want "fail-fast", "backoff" or "poll"`,
		`12:23 pace.maxRate is -1, want 0 (no ceiling) or more`,
		`12:38 pace.maxWait is "soon", want a duration such as "30s"`,
		`13:3 budgets is unknown, want one of rateLimited, serverError, clientError, pending, network, codes, pace, breaker, budget, attemptTimeout, bodyTimeout, retryBodies, pollFactors, returnRateLimited, maxCapture`,
		`14:3 network is given twice: first in line 3, column 3`,
	}
	if a, b := strings.Join(got, "\n"), strings.Join(want, "\n"); a != b {
		t.Errorf("got\n%s\nwant\n%s", a, b)
	}
}

func TestRefusedTextLeavesThePolicyUnchanged(t *testing.T) {
	p := oktaretry.DefaultPolicy()
	p.MaxCapture = 7
	if err := json.Unmarshal([]byte(`{"maxCapture": -1}`), &p); err == nil || p.MaxCapture != 7 {
		t.Errorf("error %v, and MaxCapture has become %d", err, p.MaxCapture)
	}
}

func TestPolicyWithinOtherJSONCountsLinesFromItsOwnText(t *testing.T) {
	var config struct {
		Name   string
		Policy oktaretry.Policy
	}
	err := json.Unmarshal([]byte("{\n\"Name\": \"sync\",\n\"Policy\": {\n  \"budget\": {\"ttl\": 10}}}"), &config)
	if e, ok := errors.AsType[*oktaretry.PolicyError](err); !ok || e.Field != "budget.ttl" || e.Line != 2 || e.Column != 21 {
		t.Errorf("got %v, %+v", err, e)
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
		`{"codes":{"E0000009":{"maxWait":3}},"pace":{"bucketRates":{"a b":-1,"a b":"x"}},"network":{"jitter":2,"Jitter":null}}`,
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
			lines := strings.Split(string(text), "\n")
			for _, err := range err.(interface{ Unwrap() []error }).Unwrap() {
				e, ok := errors.AsType[*oktaretry.PolicyError](err)
				if !ok || e.Line < 1 || e.Line > len(lines) || e.Column < 1 || e.Column > len(lines[e.Line-1])+1 {
					t.Errorf("%#v lies outside of the text", err)
				}
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
