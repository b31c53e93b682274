// This file tests package syslog: it is here because each test binary more takes its time to link.

package oktatest_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/oktatest/internal/syslog"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func at(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }

// filled returns a log with n events a second apart, called e0 and on.
func filled(keep, n int) *syslog.Log {
	l := syslog.New(keep)
	for i := range n {
		l.Record(at(i), syslog.Event{Type: fmt.Sprint("e", i)})
	}
	return l
}

func equals(expr string) (syslog.Filter, error) {
	name, want, ok := strings.Cut(expr, "=")
	if !ok {
		return nil, fmt.Errorf("no filter: %s", expr)
	}
	return func(attribute func(string) string) bool { return attribute(name) == want }, nil
}

// query returns the types of a page's events and its next parameters.
func query(t *testing.T, l *syslog.Log, now time.Time, params url.Values) (types string, next url.Values) {
	t.Helper()
	p, err := l.Query(now, params, equals)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range p.Events {
		all = append(all, e.Type)
	}
	return strings.Join(all, " "), p.Next
}

func params(s string) url.Values {
	v, err := url.ParseQuery(s)
	if err != nil {
		panic(err)
	}
	return v
}

func TestPollingAlwaysHasANext(t *testing.T) {
	t.Parallel()
	l := filled(100, 3)
	types, next := query(t, l, at(10), params("limit=2&since=2026-01-02T03:04:06.000Z"))
	if types != "e1 e2" || next == nil {
		t.Fatal(types, next)
	}
	for range 3 {
		var again url.Values
		if types, again = query(t, l, at(10), next); types != "" || again.Get("after") != next.Get("after") {
			t.Fatalf("at the end: %q, %v, want nothing and %v", types, again, next)
		}
	}
	l.Record(at(11), syslog.Event{Type: "new"})
	l.Record(at(12), syslog.Event{Type: "late", Published: at(0)})
	if types, _ = query(t, l, at(12), next); types != "new late" {
		t.Errorf("polled %q: what is logged late must not be passed over", types)
	}
}

func TestPollingAnEmptyLogLosesNothing(t *testing.T) {
	t.Parallel()
	l := syslog.New(10)
	types, next := query(t, l, at(0), url.Values{})
	if types != "" || next == nil {
		t.Fatal(types, next)
	}
	l.Record(at(1), syslog.Event{Type: "first"})
	if types, _ = query(t, l, at(1), next); types != "first" {
		t.Errorf("polled %q", types)
	}
}

func TestABoundedQueryEnds(t *testing.T) {
	t.Parallel()
	l := filled(100, 5)
	l.Record(at(9), syslog.Event{Type: "back", Published: at(1).Add(500 * time.Millisecond)})
	for _, c := range []struct{ order, want string }{
		{"ASCENDING", "e1 back e2 e3"}, {"DESCENDING", "e3 e2 back e1"},
	} {
		p := params("limit=3&since=2026-01-02T03:04:06Z&until=2026-01-02T03:04:09Z&sortOrder=" + c.order)
		first, next := query(t, l, at(10), p)
		if next == nil {
			t.Fatal("no next page")
		}
		second, end := query(t, l, at(10), next)
		if got := first + " " + second; got != c.want || end != nil {
			t.Errorf("%s: %q and next %v, want %q and none", c.order, got, end, c.want)
		}
	}
}

func TestFilterAndKeywords(t *testing.T) {
	t.Parallel()
	l := syslog.New(10)
	l.Record(at(0), syslog.Event{Type: "a", Client: &syslog.Client{UserAgent: "curl/8 (Linux)", IP: "192.0.2.7"},
		Debug: map[string]any{"threshold": "20"}, Outcome: syslog.Failure("INVALID_CREDENTIALS"),
		Targets: []syslog.Entity{{ID: "u1", Type: "User", AlternateID: "ann@example.com"}, {ID: "g1", Type: "UserGroup"}}})
	l.Record(at(1), syslog.Event{Type: "b", Actor: syslog.Entity{ID: "me", Type: "User", DisplayName: "Bob Jones"}})
	for _, c := range []struct{ params, want string }{
		{"filter=eventType=a", "a"},
		{"filter=target.id=g1", "a"},
		{"filter=target.id=u2", ""},
		{"filter=actor.displayName=Bob+Jones", "b"},
		{"filter=outcome.result=FAILURE", "a"},
		{"filter=outcome.reason=INVALID_CREDENTIALS", "a"},
		{"filter=client.userAgent.rawUserAgent=curl/8+(Linux)", "a"},
		{"filter=client.ipAddress=192.0.2.7", "a"},
		{"filter=debugContext.debugData.threshold=20", "a"},
		{"filter=severity=INFO", "a b"},
		{"filter=nothing.of.that.kind=x", ""},
		{"q=ann@EXAMPLE.com", "a"},
		{"q=bob+jones", "b"},
		{"q=bob+ann", ""},
		{"q=severity", ""}, // a name, not a value
	} {
		if got, _ := query(t, l, at(2), params(c.params)); got != c.want {
			t.Errorf("%s: %q, want %q", c.params, got, c.want)
		}
	}
}

func TestBadParametersAreNamed(t *testing.T) {
	t.Parallel()
	for _, p := range []string{"since=yesterday", "until=x", "after=x", "limit=1001", "limit=-1", "limit=x", "filter=x", "sortOrder=UP"} {
		name, _, _ := strings.Cut(p, "=")
		if _, err := filled(1, 1).Query(at(0), params(p), equals); err == nil || !strings.HasPrefix(err.Error(), name) {
			t.Errorf("%s: %v", p, err)
		}
	}
}

func TestTheLogKeepsTheLastEvents(t *testing.T) {
	t.Parallel()
	l := filled(3, 5)
	if types, _ := query(t, l, at(5), url.Values{}); types != "e2 e3 e4" {
		t.Error(types)
	}
	_, next := query(t, l, at(5), url.Values{})
	l.Forget()
	l.Record(at(6), syslog.Event{Type: "after"})
	if types, _ := query(t, l, at(6), next); types != "after" {
		t.Error(types)
	}
	if types, _ := query(t, filled(0, 5), at(5), url.Values{}); types != "" {
		t.Error("a log of nothing keeps", types)
	}
}

func TestAnEventHasOktasForm(t *testing.T) {
	t.Parallel()
	l := syslog.New(10)
	l.Record(start.Add(1234567*time.Nanosecond), syslog.Event{
		Type: "user.lifecycle.create", Client: &syslog.Client{UserAgent: "x", IP: "192.0.2.7"},
		Extra: map[string]any{"severity": "DEBUG", "more": 1},
	})
	p, err := l.Query(at(1), url.Values{}, equals)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(p.Events)
	if err != nil {
		t.Fatal(err)
	}
	var got []map[string]any
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	e := got[0]
	for name, want := range map[string]any{
		"published": "2026-01-02T03:04:05.001Z", "eventType": "user.lifecycle.create", "displayMessage": "Create Okta user",
		"severity": "DEBUG", "more": 1.0, "version": "0",
	} {
		if e[name] != want {
			t.Errorf("%s: %v, want %v", name, e[name], want)
		}
	}
	if id, _ := e["uuid"].(string); len(id) != 36 || strings.Count(id, "-") != 4 {
		t.Errorf("uuid %v", e["uuid"])
	}
	if actor := e["actor"].(map[string]any); actor["type"] != "SystemPrincipal" {
		t.Errorf("actor %v", actor)
	}
}

func TestChangesHaveOktasTypes(t *testing.T) {
	t.Parallel()
	for request, want := range map[string]string{
		"POST api/v1/users":                            "user.lifecycle.create User []",
		"PUT api/v1/groups/g1/users/u1":                "group.user_membership.add UserGroup,User [g1 u1]",
		"POST api/v1/apps/a1/users":                    "application.user_membership.add AppInstance,User [a1]",
		"DELETE api/v1/policies/p/rules/r":             "policy.rule.delete PolicyEntity,PolicyRule [p r]",
		"POST api/v1/groups/rules":                     "policy.rule.add PolicyRule []",
		"POST oauth2/v1/token":                         "app.oauth2.token.grant  []",
		"POST api/v1/something/new":                    "oktatest.write  []",
		"POST api/v1/users/u1/factors/f/verify":        "  [u1 f]",
		"DELETE governance/api/v1/campaigns/c":         "certification.campaign.delete Campaign [c]",
		"POST api/v1/users/u1/lifecycle/reset_factors": "user.mfa.factor.reset_all User [u1]",
	} {
		method, path, _ := strings.Cut(request, " ")
		c, ok := syslog.ChangeOf(method, strings.Split(path, "/"))
		if got := fmt.Sprintf("%s %s %v", c.Type, strings.Join(c.Kinds, ","), c.IDs); !ok || got != want {
			t.Errorf("%s: %q, want %q", request, got, want)
		}
	}
	for _, request := range []string{"GET api/v1/users", "POST oauth2/v1/introspect", "POST ", "HEAD api/v1/users"} {
		method, path, _ := strings.Cut(request, " ")
		if c, ok := syslog.ChangeOf(method, slices.DeleteFunc(strings.Split(path, "/"), func(s string) bool { return s == "" })); ok {
			t.Errorf("%s: %v", request, c)
		}
	}
}

func TestAWindowIsWarnedOfOnce(t *testing.T) {
	t.Parallel()
	l := syslog.New(1)
	if !l.FirstWarning("users", 60) || l.FirstWarning("users", 60) || !l.FirstWarning("apps", 60) || !l.FirstWarning("users", 120) {
		t.Error("want one warning for each window of each limit")
	}
}
