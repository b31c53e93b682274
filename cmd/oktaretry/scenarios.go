// This file has the scenarios of the fake Okta: what it offers, by name. They are settings
// and bad days of oktatest.

package main

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/oktaretry/oktaretry/oktatest"
)

// scenario is what an org is like, or goes through.
type scenario struct {
	about string
	setUp []oktatest.Option
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

// scenarios are all of them: the bad days of oktatest by their names, and what is put
// together here.
func scenarios() map[string]scenario {
	all := map[string]scenario{
		"small-org":   {about: "the limits of a free org: 50 calls a minute, 35 in flight", setUp: with(oktatest.SmallOrg())},
		"enterprise":  {about: "the limits of an Enterprise org: 600 calls a minute, 75 in flight", setUp: with(oktatest.Enterprise())},
		"quota-storm": {about: fmt.Sprintf("%d calls in each window of %s, half of them taken by others", stormLimit, stormWindow), setUp: storm()},
		"crowd":       {about: "3 calls in flight at most, each of 100 ms", setUp: with(oktatest.WithConcurrencyLimit(3), oktatest.WithLatency(100*time.Millisecond))},
		"outage": {
			about: fmt.Sprintf("%s after the first call, %s of 503s and connections that break; then all is well", outageAfter, outageFor),
			setUp: onDays(oktatest.DayOf("outage", oktatest.EdgePage(http.StatusServiceUnavailable), oktatest.Reset).FromFirst(outageAfter).For(outageFor)),
		},
		"brownout": {
			about: "every third call fails with 500 or 504, and each takes 200 ms",
			setUp: onDays(oktatest.SlowAnswers(200*time.Millisecond),
				oktatest.DayOf("brownout", oktatest.Code("E0000009"), oktatest.EdgePage(http.StatusGatewayTimeout)).Every(3)),
		},
		"flaky": {
			about: "every fourth call meets a connection that breaks: before, in or after the headers",
			setUp: onDays(oktatest.DayOf("flaky", oktatest.Reset, oktatest.EOF, oktatest.EOFMidBody).Every(4)),
		},
		"push":        {about: "a push that its user accepts after 5 polls", setUp: with(oktatest.WithFactorResult("SUCCESS", 5))},
		"push-denied": {about: "a push that its user rejects after 2 polls", setUp: with(oktatest.WithFactorResult("REJECTED", 2))},
		"dpop":        {about: "the token endpoint demands DPoP, nonce included", setUp: with(oktatest.WithDPoP())},
	}
	for _, name := range oktatest.DayNames() {
		day, _ := oktatest.DayNamed(name)
		all[name] = scenario{about: day.About(), setUp: onDays(day.FromFirst(0))}
	}
	return all
}

func with(opts ...oktatest.Option) []oktatest.Option { return opts }

func onDays(days ...oktatest.Day) []oktatest.Option { return with(oktatest.WithDay(days...)) }

// storm is a few buckets that others use as well.
func storm() []oktatest.Option {
	stormed := []string{
		"GET /api/v1/users", "GET /api/v1/users/{id}", "POST /api/v1/users/{id}", "GET /api/v1/groups", "GET /api/v1/groups/{id}",
	}
	opts := with(oktatest.WithWindowLength(stormWindow), oktatest.WithDay(oktatest.QuotaEaten(0.5).On(stormed...)))
	for _, bucket := range stormed {
		opts = append(opts, oktatest.WithLimit(bucket, stormLimit))
	}
	return opts
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

// scenarioList describes the scenarios, for the command's help: the bad days, or the others.
func scenarioList(days bool) string {
	var b strings.Builder
	known := scenarios()
	for _, name := range scenarioNames() {
		if slices.Contains(oktatest.DayNames(), name) == days {
			fmt.Fprintf(&b, "  %-19s %s\n", name, known[name].about)
		}
	}
	return b.String()
}
