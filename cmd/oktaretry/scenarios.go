// This file has the scenarios of the fake Okta: what it offers, by name. It is the one
// place that knows which settings of oktatest a scenario is made of.

package main

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/oktaretry/oktaretry/oktatest"
)

// scenario is something that an org goes through.
type scenario struct {
	about string
	setUp []oktatest.Option
	// script prepares a fake that serves nobody yet, and returns what goes on while it
	// serves, until ctx ends. Of scenarios with a script only one can be played.
	script func(fake *oktatest.Okta) (play func(ctx context.Context))
}

// The outage begins so long after the first request, and lasts so long.
const (
	outageAfter = 3 * time.Second
	outageFor   = 10 * time.Second
)

// stormLimit is what each bucket lets through in a window of stormWindow, of which other
// programs take a half.
const (
	stormLimit  = 20
	stormWindow = 5 * time.Second
)

func scenarios() map[string]scenario {
	return map[string]scenario{
		"small-org":   {about: "the limits of a free org: 50 calls a minute, 35 in flight", setUp: []oktatest.Option{oktatest.SmallOrg()}},
		"enterprise":  {about: "the limits of an Enterprise org: 600 calls a minute, 75 in flight", setUp: []oktatest.Option{oktatest.Enterprise()}},
		"quota-storm": {about: fmt.Sprintf("%d calls in each window of %s, half of them taken by others", stormLimit, stormWindow), setUp: storm(), script: takeHalf},
		"crowd":       {about: "3 calls in flight at most, each of 100 ms", setUp: []oktatest.Option{oktatest.WithConcurrencyLimit(3), oktatest.WithLatency(100 * time.Millisecond)}},
		"outage": {
			about:  fmt.Sprintf("%s after the first call, %s of 503s and connections that break; then all is well", outageAfter, outageFor),
			script: outage,
		},
		"brownout": {
			about: "every third call fails with 500 or 504, and each takes 200 ms",
			setUp: []oktatest.Option{oktatest.WithLatency(200 * time.Millisecond)},
			script: always(oktatest.Pass, oktatest.Pass, oktatest.Code("E0000009"),
				oktatest.Pass, oktatest.Pass, oktatest.EdgePage(http.StatusGatewayTimeout)),
		},
		"flaky": {
			about: "every fourth call meets a connection that breaks: before, in or after the headers",
			script: always(oktatest.Pass, oktatest.Pass, oktatest.Pass, oktatest.Reset,
				oktatest.Pass, oktatest.Pass, oktatest.Pass, oktatest.EOF,
				oktatest.Pass, oktatest.Pass, oktatest.Pass, oktatest.CutBody(oktatest.Pass)),
		},
		"push":        {about: "a push that its user accepts after 5 polls", setUp: []oktatest.Option{oktatest.WithFactorResult("SUCCESS", 5)}},
		"push-denied": {about: "a push that its user rejects after 2 polls", setUp: []oktatest.Option{oktatest.WithFactorResult("REJECTED", 2)}},
		"slow":        {about: "each call takes 2 s", setUp: []oktatest.Option{oktatest.WithLatency(2 * time.Second)}},
		"clock-skew":  {about: "Okta's clock is 5 minutes ahead", setUp: []oktatest.Option{oktatest.WithClockSkew(5 * time.Minute)}},
		"dpop":        {about: "the token endpoint demands DPoP, nonce included", setUp: []oktatest.Option{oktatest.WithDPoP()}},
	}
}

// stormed are the buckets of the quota storm.
var stormed = []string{
	"GET /api/v1/users", "GET /api/v1/users/{id}", "POST /api/v1/users/{id}", "GET /api/v1/groups", "GET /api/v1/groups/{id}",
}

func storm() (opts []oktatest.Option) {
	for _, bucket := range stormed {
		opts = append(opts, oktatest.WithLimit(bucket, stormLimit))
	}
	return append(opts, oktatest.WithWindowLength(stormWindow))
}

// takeHalf takes half of each window, as other programs of the org would.
func takeHalf(fake *oktatest.Okta) func(context.Context) {
	take := func() {
		for _, bucket := range stormed {
			fake.Consume(bucket, stormLimit/4)
		}
	}
	take()
	return func(ctx context.Context) {
		for wait(ctx, stormWindow/2) {
			take()
		}
	}
}

// always repeats steps for ever, in a circle.
func always(steps ...oktatest.Step) func(*oktatest.Okta) func(context.Context) {
	const rounds = 1000
	circle := slices.Repeat(steps, rounds)
	return func(fake *oktatest.Okta) func(context.Context) {
		script := fake.Script("*", circle...)
		return func(ctx context.Context) {
			for wait(ctx, 100*time.Millisecond) {
				if script.Left() < len(circle)/2 {
					script = fake.Script("*", circle...)
				}
			}
		}
	}
}

func outage(fake *oktatest.Okta) func(context.Context) {
	return func(ctx context.Context) {
		for fake.Arrived() == 0 {
			if !wait(ctx, 20*time.Millisecond) {
				return
			}
		}
		if !wait(ctx, outageAfter) {
			return
		}
		const calls = 50_000
		fake.Script("*", slices.Repeat([]oktatest.Step{oktatest.EdgePage(http.StatusServiceUnavailable), oktatest.Reset}, calls)...)
		wait(ctx, outageFor)
		fake.ClearScripts()
	}
}

// wait reports whether ctx lasts for d.
func wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// scenariosNamed returns the scenarios of these names.
func scenariosNamed(names []string) (list []scenario, err error) {
	known := scenarios()
	scripted := ""
	for _, name := range names {
		s, ok := known[name]
		if !ok {
			return nil, fmt.Errorf("--scenario %s: want one of %s", name, strings.Join(scenarioNames(), ", "))
		}
		if s.script != nil {
			if scripted != "" {
				return nil, fmt.Errorf("--scenario: %s and %s cannot be played together", scripted, name)
			}
			scripted = name
		}
		list = append(list, s)
	}
	return list, nil
}

func scenarioNames() []string { return slices.Sorted(maps.Keys(scenarios())) }

// scenarioList describes the scenarios, for the command's help.
func scenarioList() string {
	var b strings.Builder
	known := scenarios()
	for _, name := range scenarioNames() {
		fmt.Fprintf(&b, "  %-12s %s\n", name, known[name].about)
	}
	return b.String()
}
