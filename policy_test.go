// This file tests which rule applies, and how a Transport takes a policy.

package oktaretry_test

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/internal/rig/script"
)

// tries is the rule for server errors with n attempts.
func tries(n int) oktaretry.Rule {
	r := oktaretry.DefaultPolicy().ServerError
	r.MaxAttempts, r.MaxElapsed = n, 0
	return r
}

func TestDefaultPolicyIsThePromise(t *testing.T) {
	p := oktaretry.DefaultPolicy()
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name        string
		rule        oktaretry.Rule
		action      oktaretry.Action
		maxAttempts int
		maxElapsed  time.Duration
		initialWait time.Duration
		anyMethod   bool
		trips       oktaretry.Scope
	}{
		{"RateLimited", p.RateLimited, oktaretry.Backoff, 0, 10 * time.Minute, time.Second, true, oktaretry.TripsNothing},
		{"ServerError", p.ServerError, oktaretry.Backoff, 4, 30 * time.Second, 500 * time.Millisecond, false, oktaretry.TripsHost},
		{"Network", p.Network, oktaretry.Backoff, 4, 3 * time.Minute, 500 * time.Millisecond, false, oktaretry.TripsHost},
		{"Pending", p.Pending, oktaretry.Poll, 0, 5 * time.Minute, 4 * time.Second, false, oktaretry.TripsNothing},
		{"ClientError", p.ClientError, oktaretry.FailFast, 4, 10 * time.Minute, time.Second, false, oktaretry.TripsNothing},
	} {
		r := tt.rule
		if r.Action != tt.action || r.MaxAttempts != tt.maxAttempts || r.MaxElapsed != tt.maxElapsed ||
			r.InitialWait != tt.initialWait || r.AnyMethod != tt.anyMethod || r.Trips != tt.trips || r.MinWait != 0 {
			t.Errorf("%s is %+v, want %+v", tt.name, r, tt)
		}
	}
	if p.Pending.MaxWait != 4*time.Second || p.Pending.Jitter != 0 {
		t.Errorf("polls are not every 4s: %+v", p.Pending)
	}
	if len(p.Codes) != 0 || p.PollFactors || p.ReturnRateLimited || p.Pace.MaxRate != 0 {
		t.Errorf("something is on that should be off: %+v", p)
	}
	if p.Breaker.Disabled || p.Budget.Disabled || p.AttemptTimeout != time.Minute || p.BodyTimeout != 2*time.Minute || p.RetryBodies != 0 {
		t.Errorf("something is off that should be on: %+v", p)
	}
	if r := p.RuleFor(oktaretry.Classification{Class: oktaretry.ClassSuccess, Status: 200}); r != (oktaretry.Rule{}) {
		t.Errorf("a success has the rule %+v", r)
	}
}

func TestRuleForPrefersTheCodesOwnRule(t *testing.T) {
	own := oktaretry.Rule{Action: oktaretry.Backoff, MaxAttempts: 7, InitialWait: time.Second, MaxWait: time.Second, Multiplier: 1}
	p := oktaretry.DefaultPolicy()
	p.ServerError.MaxAttempts = 2
	p.RateLimited.MaxElapsed = time.Hour
	p.Codes = map[string]oktaretry.Rule{"E0000010": own, "E0000999": own, "invalid_grant": own, "E0000052": own}
	for _, tt := range []struct {
		name        string
		c           oktaretry.Classification
		maxAttempts int
		maxElapsed  time.Duration
		action      oktaretry.Action
	}{
		{"a code with a rule", oktaretry.Classification{Class: oktaretry.ClassServerError, Code: "E0000010"}, 7, 0, oktaretry.Backoff},
		{"a code without one", oktaretry.Classification{Class: oktaretry.ClassServerError, Code: "E0000009"}, 2, 30 * time.Second, oktaretry.Backoff},
		{"no code", oktaretry.Classification{Class: oktaretry.ClassServerError, Status: 503}, 2, 30 * time.Second, oktaretry.Backoff},
		{"an unknown code with a rule", oktaretry.Classification{Class: oktaretry.ClassClientError, Code: "E0000999"}, 7, 0, oktaretry.Backoff},
		{"an OAuth error with a rule", oktaretry.Classification{Class: oktaretry.ClassClientError, Code: "invalid_grant"}, 7, 0, oktaretry.Backoff},
		{"a code that fails fast, with a rule", oktaretry.Classification{Class: oktaretry.ClassServerError, Code: "E0000052"}, 7, 0, oktaretry.Backoff},
		{"a code that fails fast, without one", oktaretry.Classification{Class: oktaretry.ClassServerError, Code: "E0000060"}, 2, 30 * time.Second, oktaretry.FailFast},
		{"the class's change reaches its codes", oktaretry.Classification{Class: oktaretry.ClassRateLimited, Code: "E0000047"}, 0, time.Hour, oktaretry.Backoff},
		{"the code's class beats the one given", oktaretry.Classification{Class: oktaretry.ClassServerError, Code: "E0000047", Status: 503}, 0, time.Hour, oktaretry.Backoff},
		{"a terminal network error", oktaretry.Classification{Class: oktaretry.ClassNetwork, Terminal: true}, 4, 3 * time.Minute, oktaretry.FailFast},
	} {
		r := p.RuleFor(tt.c)
		if r.MaxAttempts != tt.maxAttempts || r.MaxElapsed != tt.maxElapsed || r.Action != tt.action {
			t.Errorf("%s: %v, %d attempts within %v; want %v, %d, %v",
				tt.name, r.Action, r.MaxAttempts, r.MaxElapsed, tt.action, tt.maxAttempts, tt.maxElapsed)
		}
	}
}

func TestCallsRuleBeatsCodesBeatClass(t *testing.T) {
	type rules = map[string]oktaretry.Rule
	for _, tt := range []struct {
		name  string
		class int   // ServerError.MaxAttempts
		codes rules // Policy.Codes
		own   rules // WithRule
		want  int   // requests sent
	}{
		{"class", 2, nil, nil, 2},
		{"code over class", 2, rules{"E0000009": tries(3)}, nil, 3},
		{"another code's rule", 2, rules{"E0000010": tries(3)}, nil, 2},
		{"the call's class over code", 2, rules{"E0000009": tries(3)}, rules{"server-error": tries(5)}, 5},
		{"the call's code over its class", 2, rules{"E0000009": tries(3)},
			rules{"server-error": tries(5), "E0000009": tries(4)}, 4},
		{"the call's rule for another class", 2, rules{"E0000009": tries(3)}, rules{"network": tries(5)}, 3},
		{"the call's fail fast", 2, nil, rules{"E0000009": {}}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := oktaretry.DefaultPolicy()
				p.ServerError.MaxAttempts, p.Codes = tt.class, tt.codes
				base := script.Repeat(t, script.Code(500, "E0000009"))
				tr := rig.Over(t, base, func(q *oktaretry.Policy) { *q = p })
				ctx := t.Context()
				for key, r := range tt.own {
					ctx = oktaretry.WithRule(ctx, key, r)
				}
				rig.Do(t, ctx, tr, "GET", rig.UserURL, "").Is(500)
				base.WantSent(tt.want)
			})
		})
	}
}

// The least wait of a code holds for a rule of its class, and for one of its own
// that sets none.
func TestCodesMinWaitHoldsUnlessTheUserSetsOne(t *testing.T) {
	quick := oktaretry.Rule{Action: oktaretry.Backoff, MaxAttempts: 2, InitialWait: time.Millisecond, MaxWait: time.Millisecond, Multiplier: 1}
	named := quick
	named.MinWait = 2 * time.Second
	for _, tt := range []struct {
		name, key string
		rule      oktaretry.Rule
		want      time.Duration
	}{
		{"class", "rate-limited", quick, 30 * time.Second},
		{"class with a shorter wait", "rate-limited", named, 30 * time.Second},
		{"code", "E0000109", quick, 30 * time.Second},
		{"code with a wait", "E0000109", named, 2 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				base := script.Repeat(t, script.Code(429, "E0000109"), script.Bare(200))
				rig.Do(t, oktaretry.WithRule(t.Context(), tt.key, tt.rule), rig.Over(t, base, nil), "GET", rig.UserURL, "").Is(200)
				// A little may be added, so that waiters are spread out.
				if p := base.Waits(); len(p) != 1 || p[0] < tt.want || p[0] > tt.want+2*time.Second {
					t.Errorf("waited %v, want %v", p, tt.want)
				}
			})
		})
	}
}

func TestTransportKeepsItsPolicyWhenTheUsersMapChanges(t *testing.T) {
	for name, give := range map[string]func(*testing.T, http.RoundTripper, oktaretry.Policy) *oktaretry.Transport{
		"NewTransport": func(t *testing.T, base http.RoundTripper, p oktaretry.Policy) *oktaretry.Transport {
			return rig.Over(t, base, func(q *oktaretry.Policy) { *q = p })
		},
		"SetPolicy": func(t *testing.T, base http.RoundTripper, p oktaretry.Policy) *oktaretry.Transport {
			transport := rig.Over(t, base, nil)
			if err := transport.SetPolicy(p); err != nil {
				t.Fatal(err)
			}
			return transport
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				base := script.Repeat(t, script.Code(500, "E0000009"))
				p := oktaretry.DefaultPolicy()
				p.Codes = map[string]oktaretry.Rule{"E0000009": tries(2)}
				transport := give(t, base, p)
				p.Codes["E0000009"] = tries(5)
				rig.Get(t, transport, rig.UserURL).Is(500)
				base.WantSent(2)
			})
		})
	}
}

func TestSetPolicyRefusesABadPolicyAndKeepsTheOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := script.Repeat(t, script.Bare(503))
		p := oktaretry.DefaultPolicy()
		p.ServerError.MaxAttempts = 2
		transport := rig.Over(t, base, func(q *oktaretry.Policy) { *q = p })
		bad := p
		bad.ServerError.MaxAttempts = 3
		bad.Pending.MaxElapsed = -time.Second
		for _, refused := range []oktaretry.Policy{bad, {}} {
			if err := transport.SetPolicy(refused); err == nil || err.Error() != refused.Validate().Error() {
				t.Errorf("SetPolicy: %v, want the error of Validate", err)
			}
		}
		rig.Get(t, transport, rig.UserURL).Is(503)
		base.WantSent(2) // as before the refused policies
		p.ServerError.MaxAttempts = 3
		if err := transport.SetPolicy(p); err != nil {
			t.Fatal(err)
		}
		rig.Get(t, transport, rig.UserURL).Is(503)
		base.WantSent(2 + 3)
	})
}

func ExamplePolicy_String() {
	policy := oktaretry.DefaultPolicy()
	for row := range strings.Lines(policy.String()) {
		if strings.HasPrefix(row, "answer") || strings.HasPrefix(row, "E0000109") || strings.HasPrefix(row, "E0000146") {
			fmt.Print(row)
		}
	}
	// Output:
	// answer                   status  action     attempts  for at most  wait      at least  methods     trips     name
	// E0000109                 429     backoff    any       10m          1s…1m     30s       any         nothing   SMS too many requests exception
	// E0000146                 429     give up    1         10m                    24h                   nothing   SMS roadblock exception
}

func TestPolicyPrintsTheRuleThatApplies(t *testing.T) {
	p := oktaretry.DefaultPolicy()
	p.Codes = map[string]oktaretry.Rule{"E0000109": tries(9), "E0000007": tries(2), "E0000999": {}, "425": {}, "503": tries(9)}
	p.Pace = oktaretry.Pace{
		MaxUtilization: 0.7, MaxInFlight: 35, Smooth: true, MaxRate: 2.5, Burst: 3,
		BucketRates: map[string]float64{"POST /api/v1/users": 0.5},
	}
	if line := "attempt timeout 1m (2m after one, 3m of what is not sent again), "; !strings.Contains(p.String(), line) {
		t.Errorf("%q is missing in\n%s", line, p.String())
	}
	p.Breaker.Disabled, p.Budget.Disabled, p.AttemptTimeout, p.RetryBodies = true, true, 0, 1<<16
	rows := make(map[string][]string)
	text := p.String()
	for row := range strings.Lines(text) {
		if fields := strings.Fields(row); len(fields) > 0 {
			rows[fields[0]] = fields[1:]
		}
	}
	for answer, want := range map[string]string{
		"rate-limited": "backoff any 10m 1s…1m any nothing",
		"client-error": "fail-fast 1 nothing",
		"pending":      "poll any 5m 4s idempotent nothing",
		"E0000009":     "500 backoff any 30s 500ms…8s idempotent endpoint Internal server error",
		"E0000010":     "503 backoff 4 30s 500ms…8s idempotent endpoint Read only database exception",
		"E0000239":     "423 backoff any 10m 1s…30s any nothing Policy lock exception",
		"408":          "408 backoff 4 10m 1s…30s idempotent nothing Request Timeout",
		"425":          "* 425 fail-fast 1 nothing Too Early",
		"501":          "501 fail-fast 1 nothing Not Implemented",
		"503":          "* 503 backoff 9 any 500ms…8s idempotent host Service Unavailable",
		"E0000109":     "* 429 backoff 9 any 500ms…8s 30s idempotent host SMS too many requests exception",
		"E0000007":     "* 404 backoff 2 any 500ms…8s idempotent host Resource not found exception",
		"E0000999":     "* fail-fast 1 nothing",
	} {
		if got := strings.Join(rows[answer], " "); got != want {
			t.Errorf("%s: %q, want %q", answer, got, want)
		}
	}
	// What only does as its class does needs no row.
	for _, code := range []string{"E0000047", "E0000001", "E0000112", "E0000070", "404", "429", "500"} {
		if _, ok := rows[code]; ok {
			t.Errorf("%s has a row of its own", code)
		}
	}
	for _, want := range []string{"attempt timeout none, body timeout 2m, asks again for bodies of up to 65536 bytes\n", "pace: up to 70% of each window, spread evenly, 35 in flight a host, 2.5 calls/s a host, 3 at once, 0.5 calls/s of \"POST /api/v1/users\", 3 at once\n", "circuits: off", "budget: off"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
}

func TestEditBeginsFromTheRuleInForce(t *testing.T) {
	for _, tt := range []struct {
		key    string
		answer oktaretry.Classification
	}{
		{"E0000112", oktaretry.Classification{Code: "E0000112"}},
		{"E0000009", oktaretry.Classification{Code: "E0000009"}},
		{"E0000239", oktaretry.Classification{Code: "E0000239"}},
		{"server_error", oktaretry.Classification{Code: "server_error"}},
		{"E0000999", oktaretry.Classification{Class: oktaretry.ClassClientError, Code: "E0000999"}},
		{"408", oktaretry.Classification{Class: oktaretry.ClassClientError, Status: 408}},
		{"503", oktaretry.Classification{Class: oktaretry.ClassServerError, Status: 503}},
		{"rate-limited", oktaretry.Classification{Class: oktaretry.ClassRateLimited}},
		{"network", oktaretry.Classification{Class: oktaretry.ClassNetwork}},
	} {
		p := oktaretry.DefaultPolicy()
		p.ServerError.Jitter, p.ClientError.Jitter = 0.25, 0.75
		want := p.RuleFor(tt.answer)
		want.MaxAttempts = 7
		for range 2 { // the second begins from the first
			if err := p.Edit(tt.key, func(r *oktaretry.Rule) { r.MaxAttempts = 7 }); err != nil {
				t.Fatalf("%s: %v", tt.key, err)
			}
			if got := p.RuleFor(tt.answer); got != want {
				t.Errorf("%s: %+v, want %+v", tt.key, got, want)
			}
		}
	}
}

func TestEditThatIsRefusedChangesNothing(t *testing.T) {
	for _, tt := range []struct {
		key   string
		edit  func(*oktaretry.Rule)
		field string
	}{
		{"E0000009", func(r *oktaretry.Rule) { r.Jitter = 2 }, "Codes[E0000009].Jitter"},
		{"E0000146", func(r *oktaretry.Rule) { r.Trips = oktaretry.TripsHost }, "Codes[E0000146].MaxElapsed"},
		{"server-error", func(r *oktaretry.Rule) { r.MaxWait = 1 }, "ServerError.MaxWait"},
		{"client-error", func(r *oktaretry.Rule) { r.Multiplier = 0 }, "ClientError.Multiplier"},
		{"success", func(r *oktaretry.Rule) { *r = oktaretry.Rule{} }, "Edit[success]"},
		{"e47", func(r *oktaretry.Rule) { *r = oktaretry.Rule{} }, "Edit[e47]"},
		{"200", func(r *oktaretry.Rule) { *r = oktaretry.Rule{} }, "Edit[200]"},
		{"E0000009", nil, "Edit[E0000009]"},
	} {
		p := oktaretry.DefaultPolicy()
		err := p.Edit(tt.key, tt.edit)
		if bad, ok := errors.AsType[*oktaretry.PolicyError](err); !ok || bad.Field != tt.field {
			t.Errorf("%s: %v, want an error that names %s", tt.key, err, tt.field)
		}
		if !reflect.DeepEqual(p, oktaretry.DefaultPolicy()) {
			t.Errorf("%s: the policy is changed", tt.key)
		}
	}
}

func TestEditSparesCopies(t *testing.T) {
	transport := rig.Over(t, script.Repeat(t), nil)
	p := transport.Policy()
	p.Codes["E0000010"] = tries(2) // neither of the maps is nil
	before := p
	if err := p.Edit("E0000010", func(r *oktaretry.Rule) { r.MaxAttempts = 3 }); err != nil {
		t.Fatal(err)
	}
	got := []int{p.Codes["E0000010"].MaxAttempts, before.Codes["E0000010"].MaxAttempts, len(transport.Policy().Codes), len(oktaretry.DefaultPolicy().Codes)}
	if !slices.Equal(got, []int{3, 2, 0, 0}) {
		t.Errorf("edited, its copy, the transport and the defaults have %v; want [3 2 0 0]", got)
	}
}

func TestStatusRuleJudgesAnswersWithoutAKnownCode(t *testing.T) {
	p := oktaretry.DefaultPolicy()
	p.Codes = map[string]oktaretry.Rule{"503": tries(7), "E0000999": tries(8), "429": tries(9)}
	for _, tt := range []struct {
		name string
		c    oktaretry.Classification
		want int // MaxAttempts
	}{
		{"no code", oktaretry.Classification{Class: oktaretry.ClassServerError, Status: 503}, 7},
		{"a code of the catalogue", oktaretry.Classification{Class: oktaretry.ClassServerError, Code: "E0000010", Status: 503}, 4},
		{"a code that the catalogue lacks", oktaretry.Classification{Class: oktaretry.ClassServerError, Code: "E0000998", Status: 503}, 7},
		{"such a code with a rule", oktaretry.Classification{Class: oktaretry.ClassServerError, Code: "E0000999", Status: 503}, 8},
		{"another status", oktaretry.Classification{Class: oktaretry.ClassServerError, Status: 502}, 4},
		{"a bare 429", oktaretry.Classification{Class: oktaretry.ClassRateLimited, Status: 429}, 9},
	} {
		if got := p.RuleFor(tt.c).MaxAttempts; got != tt.want {
			t.Errorf("%s: %d attempts, want %d", tt.name, got, tt.want)
		}
	}
}

func ExamplePolicy_Edit() {
	policy := oktaretry.DefaultPolicy()
	// A user is still being activated: send the change again, as the code's text asks for.
	err := policy.Edit("E0000112", func(r *oktaretry.Rule) { r.Action = oktaretry.Backoff })
	r := policy.Codes["E0000112"]
	fmt.Println(err, r.Action, r.MinWait, r.AnyMethod, r.MaxElapsed)
	// Output: <nil> backoff 2m0s true 10m0s
}
