package oktatest_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry/oktatest"
)

const logsURL = org + "/api/v1/logs"

// eventTypes are the types of a page of events.
func eventTypes(t *testing.T, a answer) string {
	t.Helper()
	wantStatus(t, a, 200)
	var all []string
	for _, e := range a.list(t) {
		all = append(all, e["eventType"].(string))
	}
	return strings.Join(all, " ")
}

// next is the URL of an answer's next page; empty if it has none.
func next(a answer) string {
	for _, l := range a.Header["Link"] {
		if m := nextLink.FindStringSubmatch(l); m != nil {
			return m[1]
		}
	}
	return ""
}

func TestEachWriteIsAnEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New(oktatest.WithGroups(1))
		rt := o.Transport()
		group := o.GroupIDs()[0]
		body := `{"profile":{"login":"ann@x.test","email":"ann@x.test","firstName":"Ann","lastName":"X"},"credentials":{"password":{"value":"x"}},"groupIds":["` + group + `"]}`
		since := time.Now().UTC().Format(time.RFC3339)
		poll := logsURL + "?since=" + since
		id := ""
		for _, c := range []struct{ request, body, want string }{
			{"POST /api/v1/users?activate=false", body, "user.lifecycle.create group.user_membership.add"},
			{"POST /api/v1/users/ID/lifecycle/activate", "", "user.lifecycle.activate"},
			{"POST /api/v1/users/ID", `{"profile":{"title":"Dr"}}`, "user.account.update_profile"},
			{"POST /api/v1/users/ID", `{"credentials":{"password":{"value":"x"}}}`, "user.account.update_password"},
			{"POST /api/v1/users/ID/lifecycle/suspend", "", "user.lifecycle.suspend"},
			{"POST /api/v1/users/ID/lifecycle/suspend", "", ""}, // 400
			{"POST /api/v1/users/ID/lifecycle/unsuspend", "", "user.lifecycle.unsuspend"},
			{"GET /api/v1/users/ID", "", ""},
			{"DELETE /api/v1/groups/" + group + "/users/ID", "", "group.user_membership.remove"},
			{"PUT /api/v1/groups/" + group + "/users/ID", "", "group.user_membership.add"},
			{"PUT /api/v1/groups/" + group, `{"profile":{"name":"new"}}`, "group.profile.update"},
			{"POST /api/v1/users/ID/factors?activate=true", `{"factorType":"sms","profile":{"phoneNumber":"+15554151337"}}`, "user.mfa.factor.activate"},
			{"POST /api/v1/users/ID/lifecycle/reset_factors", "", "user.mfa.factor.reset_all"},
			{"DELETE /api/v1/users/ID", "", "user.lifecycle.deactivate"},
			{"DELETE /api/v1/users/ID", "", "user.lifecycle.delete.initiated user.lifecycle.delete.completed"},
			{"DELETE /api/v1/groups/" + group, "", "group.lifecycle.delete"},
			{"POST /api/v1/groups", `{"profile":{"name":"x"}}`, "group.lifecycle.create"},
			{"POST /oauth2/v1/token", "grant_type=client_credentials&client_assertion=x&client_id=0oa1", "app.oauth2.token.grant"},
			{"GET /oauth2/v1/keys", "", ""},
		} {
			method, path, _ := strings.Cut(c.request, " ")
			a := do(t, rt, method, org+strings.Replace(path, "ID", id, 1), c.body)
			if id == "" {
				id = a.json(t)["id"].(string)
			}
			a = do(t, rt, "GET", poll, "")
			if got := eventTypes(t, a); got != c.want {
				t.Errorf("%s: events %q, want %q", c.request, got, c.want)
			}
			if poll = next(a); poll == "" {
				t.Fatal("a poll without a next link")
			}
		}
	})
}

func TestAnEventSaysWhoDidWhatToWhom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New(oktatest.WithUsers(1), oktatest.WithGroups(1))
		rt := o.Transport()
		user, group := o.UserIDs()[0], o.GroupIDs()[0]
		a := do(t, rt, "PUT", org+"/api/v1/groups/"+group+"/users/"+user, "", "User-Agent", "sync/1.2", "Authorization", "SSWS secret")
		log := do(t, rt, "GET", logsURL, "")
		if strings.Contains(log.body, "secret") {
			t.Error("the log shows the token")
		}
		e := log.list(t)[0]
		if got := dig(e, "transaction", "id"); got != a.Header.Get("X-Okta-Request-Id") {
			t.Errorf("transaction %v, want the request's id", got)
		}
		for path, want := range map[string]string{
			"client userAgent rawUserAgent": "sync/1.2", "actor type": "User", "outcome result": "SUCCESS", "severity": "INFO",
			"debugContext debugData requestUri": "/api/v1/groups/" + group + "/users/" + user,
			"displayMessage":                    "Add user to group membership",
		} {
			if got := dig(e, strings.Fields(path)...); got != want {
				t.Errorf("%s: %v, want %s", path, got, want)
			}
		}
		targets := e["target"].([]any)
		if dig(targets[0], "id") != group || dig(targets[0], "displayName") != "group 00000" ||
			dig(targets[1], "id") != user || dig(targets[1], "alternateId") != "user00000@example.com" {
			t.Error(targets)
		}
		for filter, want := range map[string]int{
			`eventType eq "group.user_membership.add"`:                             1,
			`eventType sw "group." and target.id eq "` + user + `"`:                1,
			`target.type eq "User" and target.alternateId eq "nobody@x.test"`:      0,
			`outcome.result eq "FAILURE"`:                                          0,
			`client.userAgent.rawUserAgent co "sync" and not (severity eq "WARN")`: 1,
		} {
			if n := len(do(t, rt, "GET", logsURL+"?filter="+url.QueryEscape(filter), "").list(t)); n != want {
				t.Errorf("%s: %d events, want %d", filter, n, want)
			}
		}
		if n := len(do(t, rt, "GET", logsURL+"?q=user00000", "").list(t)); n != 1 {
			t.Errorf("q: %d events, want 1", n)
		}
	})
}

func TestRuleChangesMembershipsAsTheSystem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New(oktatest.WithGroups(1))
		rt := o.Transport()
		rule := addRule(t, rt, "eng", `user.department=="Eng"`, o.GroupIDs()[0])
		do(t, rt, "POST", rule+"/lifecycle/activate", "")
		ann := addUser(t, rt, "ann", "Eng")
		do(t, rt, "DELETE", org+"/api/v1/groups/"+o.GroupIDs()[0]+"/users/"+ann, "")
		const inOrder = "policy.rule.add policy.rule.activate user.lifecycle.create user.lifecycle.activate group.user_membership.add " +
			"group.user_membership.remove group.user_membership.rule.add_exclusion"
		if got := eventTypes(t, do(t, rt, "GET", logsURL, "")); got != inOrder {
			t.Errorf("events %s\nwant %s", got, inOrder)
		}
		log := do(t, rt, "GET", logsURL+"?filter="+url.QueryEscape(`actor.type eq "SystemPrincipal"`), "")
		if got := eventTypes(t, log); got != "group.user_membership.add group.user_membership.rule.add_exclusion" {
			t.Error(got)
		}
	})
}

func TestEach429IsAnEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New(oktatest.WithLimit("GET /api/v1/users", 10), oktatest.WithLimits(oktatest.LimitPerUserName))
		rt := o.Transport()
		for range 12 {
			do(t, rt, "GET", org+"/api/v1/users", "")
		}
		for range 5 {
			do(t, rt, "POST", org+"/api/v1/authn", `{"username":"ann"}`)
		}
		o.Script("GET /api/v1/groups", oktatest.ConcurrencyLimited(), oktatest.RateLimited(time.Second), oktatest.EdgePage(429))
		for range 3 {
			do(t, rt, "GET", org+"/api/v1/groups", "")
		}
		log := do(t, rt, "GET", logsURL+"?limit=1000", "")
		want := "system.org.rate_limit.warning system.org.rate_limit.violation system.org.rate_limit.violation " +
			"system.operation.rate_limit.violation core.concurrency.org.limit.violation system.org.rate_limit.violation"
		if got := eventTypes(t, log); got != want {
			t.Errorf("events %s\nwant %s", got, want)
		}
		e := log.list(t)[1]
		debug := dig(e, "debugContext", "debugData").(map[string]any)
		if e["severity"] != "WARN" || debug["threshold"] != "10" || debug["rateLimitSecondsToReset"] != "60" || dig(e["target"].([]any)[0], "id") != "/api/v1/users" {
			t.Error(e)
		}
		time.Sleep(time.Minute)
		for range 10 {
			do(t, rt, "GET", org+"/api/v1/users", "")
		}
		if got := eventTypes(t, do(t, rt, "GET", next(log), "")); got != "system.org.rate_limit.warning" {
			t.Errorf("in the next window: %s, want one warning", got)
		}
	})
}

func TestFactorsAreInTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New(oktatest.WithUsers(1), oktatest.WithFactorResult("REJECTED", 0))
		rt := o.Transport()
		self := org + "/api/v1/users/user00000@example.com/factors/opf1"
		poll := dig(do(t, rt, "POST", self+"/verify", "").json(t), "_links", "poll", "href").(string)
		for range 2 {
			do(t, rt, "GET", poll, "")
		}
		log := do(t, rt, "GET", logsURL, "")
		if got := eventTypes(t, log); got != "system.push.send_factor_verify_push user.mfa.okta_verify.deny_push" {
			t.Error(got)
		}
		if e := log.list(t)[1]; dig(e, "outcome", "result") != "FAILURE" {
			t.Error(e)
		}
	})
}

func TestWhatWasDoneIsLoggedThoughItsAnswerIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New()
		rt := o.Transport()
		o.Script("POST /api/v1/groups", oktatest.EOFMidBody, oktatest.Code("E0000009"))
		for i := range 2 {
			do(t, rt, "POST", org+"/api/v1/groups", fmt.Sprintf(`{"profile":{"name":"g%d"}}`, i))
		}
		if got := eventTypes(t, do(t, rt, "GET", logsURL, "")); got != "group.lifecycle.create" {
			t.Errorf("events %q, want the one of what was done", got)
		}
	})
}

func TestOwnEventsAndTheSizeOfTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New(oktatest.WithSystemLog(2))
		rt := o.Transport()
		for i := range 3 {
			o.AddLogEvent("user.session.start", map[string]any{"severity": "DEBUG", "n": i})
		}
		l := do(t, rt, "GET", logsURL, "").list(t)
		if len(l) != 2 || l[0]["n"] != 1.0 || l[0]["severity"] != "DEBUG" || l[0]["displayMessage"] == "" {
			t.Error(l)
		}
		for _, bad := range []string{"limit=1001", "since=x", "filter=x", "sortOrder=x"} {
			wantCode(t, do(t, rt, "GET", logsURL+"?"+bad, ""), 400, "E0000001")
		}
		past := "?since=2000-01-01T00:00:00Z&until=" + time.Now().UTC().Add(time.Second).Format(time.RFC3339)
		a := do(t, rt, "GET", logsURL+past+"&limit=1", "")
		if next(a) == "" {
			t.Fatal("no next link, though there are two events")
		}
		if a = do(t, rt, "GET", next(a), ""); len(a.list(t)) != 1 || next(a) != "" {
			t.Errorf("at the end of a bounded query: %s, next %q", a.body, next(a))
		}
		wantPanic(t, "needs a type", func() { o.AddLogEvent("", nil) })
		off := oktatest.New(oktatest.WithSystemLog(0))
		do(t, off.Transport(), "POST", org+"/api/v1/groups", `{"profile":{"name":"x"}}`)
		if l := do(t, off.Transport(), "GET", logsURL, "").list(t); len(l) != 0 {
			t.Error(l)
		}
	})
}

// In virtual time a request takes none: what had just happened was missing from the newest events.
func TestTheNewestEventsAreThoseUpToNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New()
		wantStatus(t, do(t, o.Transport(), "POST", org+"/api/v1/groups", `{"profile":{"name":"g"}}`), 200)
		if got := do(t, o.Transport(), "GET", org+"/api/v1/logs?sortOrder=DESCENDING&limit=1", "").list(t); len(got) != 1 || got[0]["eventType"] != "group.lifecycle.create" {
			t.Errorf("%v", got)
		}
	})
}
