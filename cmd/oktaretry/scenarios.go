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

// scenario is something that an org goes through. Any number of them can be combined.
type scenario struct {
	about string
	setUp []oktatest.Option
	// circle is what happens to the calls in turn, for ever.
	circle []oktatest.Step
	// play goes on while the fake serves, until ctx ends.
	play func(ctx context.Context, fake *oktatest.Okta)
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

// scenarios are those of the command; beside them each of oktatest's bad days is one.
func scenarios() map[string]scenario {
	all := map[string]scenario{
		"small-org":   {about: "the limits of a free org: 50 calls a minute, 35 in flight", setUp: []oktatest.Option{oktatest.SmallOrg()}},
		"enterprise":  {about: "the limits of an Enterprise org: 600 calls a minute, 75 in flight", setUp: []oktatest.Option{oktatest.Enterprise()}},
		"quota-storm": {about: fmt.Sprintf("%d calls in each window of %s, half of them taken by others", stormLimit, stormWindow), setUp: storm()},
		"crowd":       {about: "3 calls in flight at most, each of 100 ms", setUp: []oktatest.Option{oktatest.WithConcurrencyLimit(3), oktatest.WithLatency(100 * time.Millisecond)}},
		"outage": {
			about: fmt.Sprintf("%s after the first call, %s of 503s and connections that break; then all is well", outageAfter, outageFor),
			play:  outage,
		},
		"brownout": {
			about: "every third call fails with 500 or 504, and each takes 200 ms",
			setUp: []oktatest.Option{oktatest.WithLatency(200 * time.Millisecond)},
			circle: []oktatest.Step{oktatest.Pass, oktatest.Pass, oktatest.Code("E0000009"),
				oktatest.Pass, oktatest.Pass, oktatest.EdgePage(http.StatusGatewayTimeout)},
		},
		"flaky": {
			about: "every fourth call meets a connection that breaks: before, in or after the headers",
			circle: []oktatest.Step{oktatest.Pass, oktatest.Pass, oktatest.Pass, oktatest.Reset,
				oktatest.Pass, oktatest.Pass, oktatest.Pass, oktatest.EOF,
				oktatest.Pass, oktatest.Pass, oktatest.Pass, oktatest.CutBody(oktatest.Pass)},
		},
		"push":        {about: "a push that its user accepts after 5 polls", setUp: []oktatest.Option{oktatest.WithFactorResult("SUCCESS", 5)}},
		"push-denied": {about: "a push that its user rejects after 2 polls", setUp: []oktatest.Option{oktatest.WithFactorResult("REJECTED", 2)}},
		"dpop":        {about: "the token endpoint demands DPoP, nonce included", setUp: []oktatest.Option{oktatest.WithDPoP()}},
	}
	for _, name := range oktatest.DayNames() {
		if day, ok := oktatest.DayNamed(name); ok {
			all[name] = scenario{about: day.About(), setUp: []oktatest.Option{oktatest.WithDay(day)}}
		}
	}
	return all
}

// stormed are the buckets of the quota storm.
var stormed = []string{
	"GET /api/v1/users", "GET /api/v1/users/{id}", "POST /api/v1/users/{id}", "GET /api/v1/groups", "GET /api/v1/groups/{id}",
}

func storm() (opts []oktatest.Option) {
	for _, bucket := range stormed {
		opts = append(opts, oktatest.WithLimit(bucket, stormLimit))
	}
	return append(opts, oktatest.WithWindowLength(stormWindow), oktatest.WithDay(oktatest.QuotaEaten(0.5).On(stormed...)))
}

func outage(ctx context.Context, fake *oktatest.Okta) {
	for fake.Arrived() == 0 {
		if !wait(ctx, 20*time.Millisecond) {
			return
		}
	}
	fake.Begin(oktatest.BrokenBodies().Chance(0.5).From(outageAfter).For(outageFor), oktatest.EdgeOutage(outageFor).From(outageAfter))
}

// combined returns one circle for several: a call meets the first of their steps that is
// not Pass.
func combined(circles [][]oktatest.Step) []oktatest.Step {
	length := 1
	for _, c := range circles {
		length = leastCommonMultiple(length, len(c))
	}
	all := make([]oktatest.Step, length)
	for i := range all {
		all[i] = oktatest.Pass
		for _, c := range circles {
			if step := c[i%len(c)]; step != oktatest.Pass {
				all[i] = step
				break
			}
		}
	}
	return all
}

func leastCommonMultiple(a, b int) int {
	x, y := a, b
	for y != 0 {
		x, y = y, x%y
	}
	return a / x * b
}

// repeat has the calls of a fake meet a circle of steps for ever: the first rounds at
// once, the rest by what it returns.
func repeat(fake *oktatest.Okta, circle []oktatest.Step) (play func(context.Context, *oktatest.Okta)) {
	const rounds = 1000
	rolled := slices.Repeat(circle, rounds)
	script := fake.Script("*", rolled...)
	return func(ctx context.Context, fake *oktatest.Okta) {
		for wait(ctx, 100*time.Millisecond) {
			if script.Left() < len(rolled)/2 {
				script = fake.Script("*", rolled...)
			}
		}
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
	for _, name := range names {
		s, ok := known[name]
		if !ok {
			return nil, fmt.Errorf("--scenario %s: want one of %s", name, strings.Join(scenarioNames(), ", "))
		}
		list = append(list, s)
	}
	return list, nil
}

func scenarioNames() []string { return slices.Sorted(maps.Keys(scenarios())) }

// scenarioList describes the scenarios, for the command's help: those of the command, or
// the bad days.
func scenarioList(days bool) string {
	var b strings.Builder
	known := scenarios()
	for _, name := range scenarioNames() {
		if slices.Contains(oktatest.DayNames(), name) == days {
			fmt.Fprintf(&b, "  %-20s %s\n", name, known[name].about)
		}
	}
	return b.String()
}
