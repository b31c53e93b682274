package oktatest_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry/oktatest"
)

const rulesURL = org + "/api/v1/groups/rules"

// ruleBody is a rule as a program sends it.
func ruleBody(name, expression string, groups ...string) string {
	return fmt.Sprintf(`{"type":"group_rule","name":%q,"conditions":{"expression":{"type":"urn:okta:expression:1.0","value":%q},"people":{"users":{}}},"actions":{"assignUserToGroups":{"groupIds":["%s"]}}}`,
		name, expression, strings.Join(groups, `","`))
}

// addRule creates a rule and returns its URL.
func addRule(t *testing.T, rt http.RoundTripper, name, expression string, groups ...string) string {
	t.Helper()
	a := do(t, rt, "POST", rulesURL, ruleBody(name, expression, groups...))
	wantStatus(t, a, 200)
	if !strings.Contains(a.body, `"people":{"users":{"exclude":[]},"groups":{"exclude":[]}}`) {
		t.Errorf("%s: nobody is excluded by an empty list, as recorded", a.body)
	}
	if s := a.json(t)["status"]; s != "INACTIVE" {
		t.Fatalf("a new rule is %v, want INACTIVE", s)
	}
	return rulesURL + "/" + a.json(t)["id"].(string)
}

// addUser creates a user with a department and returns its id.
func addUser(t *testing.T, rt http.RoundTripper, name, department string) string {
	t.Helper()
	a := do(t, rt, "POST", org+"/api/v1/users", fmt.Sprintf(
		`{"profile":{"login":"%[1]s@x.test","email":"%[1]s@x.test","firstName":%[1]q,"lastName":"X","department":%[2]q}}`, name, department))
	wantStatus(t, a, 200)
	return a.json(t)["id"].(string)
}

// memberNames are the first names of a group's members.
func memberNames(t *testing.T, rt http.RoundTripper, group string) string {
	t.Helper()
	var names []string
	for _, u := range do(t, rt, "GET", org+"/api/v1/groups/"+group+"/users", "").list(t) {
		names = append(names, u["profile"].(map[string]any)["firstName"].(string))
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

func addGroup(t *testing.T, o *oktatest.Okta, name string, members ...string) string {
	t.Helper()
	id, err := o.AddGroup(map[string]any{"name": name}, members...)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestAnActiveRuleKeepsItsGroupsMembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New()
		rt := o.Transport()
		group := addGroup(t, o, "engineers")
		members := func(want string) {
			t.Helper()
			if got := memberNames(t, rt, group); got != want {
				t.Errorf("members %q, want %q", got, want)
			}
		}
		ann, ben := addUser(t, rt, "ann", "Eng"), addUser(t, rt, "ben", "Sales")
		rule := addRule(t, rt, "eng", `user.department=="Eng"`, group)
		members("")
		wantStatus(t, do(t, rt, "POST", rule+"/lifecycle/activate", ""), 204)
		members("ann")
		addUser(t, rt, "cy", "Eng")
		members("ann cy")
		wantStatus(t, do(t, rt, "POST", org+"/api/v1/users/"+ben, `{"profile":{"department":"Eng"}}`), 200)
		members("ann ben cy")
		wantStatus(t, do(t, rt, "POST", org+"/api/v1/users/"+ann, `{"profile":{"department":"Law"}}`), 200)
		members("ben cy")
		wantStatus(t, do(t, rt, "PUT", org+"/api/v1/groups/"+group+"/users/"+ann, ""), 204) // by hand, which stays
		wantStatus(t, do(t, rt, "POST", org+"/api/v1/users/"+ann, `{"profile":{"department":"HR"}}`), 200)
		members("ann ben cy")

		// Whom somebody takes out of the group, the rule leaves out from then on.
		wantStatus(t, do(t, rt, "DELETE", org+"/api/v1/groups/"+group+"/users/"+ben, ""), 204)
		wantStatus(t, do(t, rt, "POST", org+"/api/v1/users/"+ben, `{"profile":{"title":"Dr"}}`), 200)
		members("ann cy")
		people := do(t, rt, "GET", rule, "").json(t)["conditions"].(map[string]any)["people"].(map[string]any)
		if got := people["users"].(map[string]any)["exclude"]; fmt.Sprint(got) != "["+ben+"]" {
			t.Errorf("excluded %v, want %s", got, ben)
		}

		wantStatus(t, do(t, rt, "POST", rule+"/lifecycle/deactivate", ""), 204)
		members("ann cy")
		addUser(t, rt, "dee", "Eng")
		members("ann cy")
		wantStatus(t, do(t, rt, "DELETE", rule+"?removeUsers=true", ""), 202)
		members("ann")
		wantCode(t, do(t, rt, "GET", rule, ""), 404, "E0000007")
	})
}

func TestRulesFollowEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New()
		rt := o.Transport()
		first, second := addGroup(t, o, "first"), addGroup(t, o, "second")
		for name, rule := range map[string]string{
			"a": addRule(t, rt, "a", `isMemberOfGroupName("first")`, second),
			"b": addRule(t, rt, "b", `user.department == "Eng"`, first),
		} {
			if a := do(t, rt, "POST", rule+"/lifecycle/activate", ""); a.StatusCode != 204 {
				t.Fatal(name, a.body)
			}
		}
		ann := addUser(t, rt, "ann", "Eng")
		ben := addUser(t, rt, "ben", "Law")
		wantStatus(t, do(t, rt, "PUT", org+"/api/v1/groups/"+first+"/users/"+ben, ""), 204)
		if got := memberNames(t, rt, second); got != "ann ben" {
			t.Errorf("members %q, want both: one by a rule that follows another, one by hand", got)
		}
		wantStatus(t, do(t, rt, "POST", org+"/api/v1/users/"+ann, `{"profile":{"department":"Law"}}`), 200)
		if got := memberNames(t, rt, second); got != "ben" {
			t.Errorf("members %q, want ben", got)
		}
	})
}

func TestRulesAreChangedOnlyWhileInactive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New(oktatest.WithGroups(2))
		rt := o.Transport()
		groups := o.GroupIDs()
		rule := addRule(t, rt, "eng", `user.department=="Eng"`, groups[0])
		for _, c := range []struct {
			body, code string
			status     int
		}{
			{`{`, "E0000003", 400},
			{ruleBody("", `true`, groups[0]), "E0000001", 400},
			{ruleBody(strings.Repeat("x", 51), `true`, groups[0]), "E0000001", 400},
			{ruleBody("eng", `true`, groups[0]), "E0000001", 400}, // the name is taken
			{ruleBody("bad", `user.firstName == AND user.lastName`, groups[0]), "E0000001", 400},
			{ruleBody("bad", `String.fold(user.firstName)`, groups[0]), "E0000001", 400},
			{ruleBody("none", `true`, "00g0"), "E0000007", 404},
		} {
			wantCode(t, do(t, rt, "POST", rulesURL, c.body), c.status, c.code)
		}
		wantStatus(t, do(t, rt, "PUT", rule, ruleBody("eng2", `user.department=="Engineering"`, groups[1])), 200)
		wantStatus(t, do(t, rt, "POST", rule+"/lifecycle/activate", ""), 204)
		wantCode(t, do(t, rt, "PUT", rule, ruleBody("eng3", `true`, groups[0])), 400, "E0000001")
		wantCode(t, do(t, rt, "DELETE", rule, ""), 400, "E0000001")
		if r := do(t, rt, "GET", rule, "").json(t); r["name"] != "eng2" || r["status"] != "ACTIVE" || r["allGroupsValid"] != true {
			t.Error(r)
		}
		wantStatus(t, do(t, rt, "DELETE", org+"/api/v1/groups/"+groups[1], ""), 204)
		if r := do(t, rt, "GET", rule, "").json(t); r["status"] != "INVALID" || r["allGroupsValid"] != false {
			t.Errorf("its group is gone: %v", r)
		}
		wantCode(t, do(t, rt, "POST", rule+"/lifecycle/deactivate", ""), 400, "E0000001")
		wantStatus(t, do(t, rt, "DELETE", rule, ""), 202)
	})
}

func TestRulesAreListedInPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New(oktatest.WithGroups(1), oktatest.WithRuleLock(0))
		rt := o.Transport()
		for i := range 7 {
			addRule(t, rt, fmt.Sprint("rule ", i), `true`, o.GroupIDs()[0])
		}
		got := pages(t, rt, rulesURL+"?limit=3")
		if len(got) != 3 || len(slices.Compact(slices.Sorted(slices.Values(slices.Concat(got...))))) != 7 {
			t.Errorf("%v, want 7 rules in 3 pages", got)
		}
		found := do(t, rt, "GET", rulesURL+"?search=RULE+3&expand=groupIdToGroupNameMap", "").list(t)
		if len(found) != 1 || found[0]["name"] != "rule 3" {
			t.Fatal(found)
		}
		names := found[0]["_embedded"].(map[string]any)["groupIdToGroupNameMap"].(map[string]any)
		if names[o.GroupIDs()[0]] != "group 00000" {
			t.Error(names)
		}
	})
}

func TestParallelChangesOfRulesAreLocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New(oktatest.WithGroups(1))
		rt := o.Transport()
		var wg sync.WaitGroup
		var mu sync.Mutex
		statuses := map[int]int{}
		for i := range 5 {
			wg.Go(func() {
				for range 10 {
					a := do(t, rt, "POST", rulesURL, ruleBody(fmt.Sprint("rule ", i), `true`, o.GroupIDs()[0]))
					mu.Lock()
					statuses[a.StatusCode]++
					mu.Unlock()
					if a.StatusCode != 423 {
						return
					}
					wantCode(t, a, 423, "E0000239")
					time.Sleep(50*time.Millisecond + time.Duration(i)*time.Millisecond)
				}
			})
		}
		wg.Wait()
		if statuses[200] != 5 || statuses[423] < 4 || len(statuses) != 2 {
			t.Errorf("%v, want five 200s and some 423s", statuses)
		}
		if n := len(do(t, rt, "GET", rulesURL, "").list(t)); n != 5 {
			t.Errorf("%d rules, want 5: what was refused must change nothing", n)
		}
		start := time.Now()
		for i := range 3 { // one after the other
			wantStatus(t, do(t, rt, "POST", rulesURL, ruleBody(fmt.Sprint("later ", i), `true`, o.GroupIDs()[0])), 200)
		}
		if d := time.Since(start); d != 150*time.Millisecond {
			t.Errorf("three changes took %v, want 50 ms each", d)
		}
	})
}

func TestGroupRulesAreNoGroup(t *testing.T) {
	rt := oktatest.New().Transport()
	if l := do(t, rt, "GET", rulesURL, "").list(t); len(l) != 0 {
		t.Error(l)
	}
	wantCode(t, do(t, rt, "GET", rulesURL+"/0pr0", ""), 404, "E0000007")
	if l := do(t, rt, "GET", rulesURL+"?search="+url.QueryEscape("x&y"), "").list(t); len(l) != 0 {
		t.Error(l)
	}
}
