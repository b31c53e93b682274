package oktatest_test

import (
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry/oktatest"
)

func TestGenericResourcesHaveState(t *testing.T) {
	everywhere(t, func(t *testing.T, o *oktatest.Okta, rt http.RoundTripper, base string) {
		list := base + "/api/v1/trustedOrigins"
		a := do(t, rt, "POST", list, `{"id":"mine","name":"shop","origin":"https://shop.example","scopes":[{"type":"CORS"}],"created":"1999-01-01T00:00:00.000Z"}`)
		wantStatus(t, a, 200)
		if a.Header.Get(oktatest.GenericHeader) != "generic" {
			t.Error("the answer is not marked")
		}
		created := a.json(t)
		id := fmt.Sprint(created["id"])
		if id == "mine" || !strings.HasPrefix(id, "tos") || strings.HasPrefix(fmt.Sprint(created["created"]), "1999") {
			t.Errorf("the server's own fields are the client's: %s", a.body)
		}
		if created["status"] != "ACTIVE" || !strings.Contains(a.body, `"href":"`+list+"/"+id+`"`) {
			t.Errorf("created: %s", a.body)
		}
		one := list + "/" + id
		if got := do(t, rt, "GET", list, "").list(t); len(got) != 1 || got[0]["id"] != id {
			t.Errorf("list: %v", got)
		}
		wantStatus(t, do(t, rt, "PUT", one, `{"name":"store","origin":"https://store.example","scopes":[]}`), 200)
		if got := do(t, rt, "GET", one, "").json(t); got["name"] != "store" || got["id"] != id || got["created"] != created["created"] {
			t.Errorf("after a PUT: %v", got)
		}
		wantStatus(t, do(t, rt, "POST", one+"/lifecycle/deactivate", ""), 200)
		if got := do(t, rt, "GET", one, "").json(t); got["status"] != "INACTIVE" {
			t.Errorf("after deactivation: %v", got)
		}
		wantStatus(t, do(t, rt, "DELETE", one, ""), 204)
		gone := do(t, rt, "GET", one, "")
		wantCode(t, gone, 404, "E0000007")
		if got := gone.json(t)["errorSummary"]; got != "Not found: Resource not found: "+id+" (TrustedOrigin)" {
			t.Errorf("summary %q", got)
		}
		wantCode(t, do(t, rt, "POST", list, `{"name":`), 400, "E0000003")
		wantCode(t, do(t, rt, "PATCH", one, `{}`), 405, "E0000022")
		wantCode(t, do(t, rt, "GET", base+"/api/v1/apps/none/users", ""), 404, "E0000007")
		wantCode(t, do(t, rt, "GET", base+"/api/v1/users/none/roles", ""), 404, "E0000007")
	})
}

func TestGenericListsArePaged(t *testing.T) {
	o := oktatest.New(oktatest.WithoutLimits())
	rt := o.Transport()
	const n = 250
	for i := range n {
		if _, err := o.AddResource("/api/v1/apps", map[string]any{"label": fmt.Sprint("app ", i), "signOnMode": "BOOKMARK"}); err != nil {
			t.Fatal(err)
		}
	}
	next := regexp.MustCompile(`<([^>]+)>; rel="next"`)
	seen, pages := map[any]bool{}, 0
	for url := org + "/api/v1/apps?limit=60"; url != ""; pages++ {
		a := do(t, rt, "GET", url, "")
		wantStatus(t, a, 200)
		for _, app := range a.list(t) {
			seen[app["id"]] = true
		}
		url = ""
		for _, l := range a.Header["Link"] {
			if m := next.FindStringSubmatch(l); m != nil {
				url = m[1]
			}
		}
	}
	if len(seen) != n || pages != 5 {
		t.Errorf("%d apps on %d pages, want %d on 5", len(seen), pages, n)
	}
	if got := do(t, rt, "GET", org+"/api/v1/apps?q=app+24", "").list(t); len(got) != 11 {
		t.Errorf("q finds %d apps, want 11", len(got))
	}
}

// An object that holds a list is paged by a link of its own.
func TestGenericListsWithinObjectsArePaged(t *testing.T) {
	o := oktatest.New()
	for i := range 5 {
		o.AddResource("/api/v1/iam/governance/bundles", map[string]any{"name": fmt.Sprint(i)})
	}
	url, total := org+"/api/v1/iam/governance/bundles?limit=2", 0
	for url != "" {
		a := do(t, o.Transport(), "GET", url, "")
		page := a.json(t)
		bundles, _ := page["bundles"].([]any)
		total += len(bundles)
		links, _ := page["_links"].(map[string]any)
		following, _ := links["next"].(map[string]any)
		url, _ = following["href"].(string)
	}
	if total != 5 {
		t.Errorf("%d bundles on all pages, want 5", total)
	}
}

func TestWithoutGenericServesOnlyWhatIsWrittenByHand(t *testing.T) {
	o := oktatest.New(oktatest.WithoutGeneric(), oktatest.WithUsers(1))
	rt := o.Transport()
	wantCode(t, do(t, rt, "GET", org+"/api/v1/apps", ""), 400, "OKTATEST")
	wantCode(t, do(t, rt, "PATCH", org+"/api/v1/users/me", ""), 400, "OKTATEST")
	wantStatus(t, do(t, rt, "GET", org+"/api/v1/users", ""), 200)
	if got := fmt.Sprint(o.Unserved()); got != "[{GET /api/v1/apps 1} {PATCH /api/v1/users/{id} 1}]" {
		t.Errorf("unserved: %s", got)
	}
}

func TestTheJournalTellsGenericAnswers(t *testing.T) {
	o := oktatest.New(oktatest.WithUsers(1))
	for _, path := range []string{"/api/v1/users", "/api/v1/zones", "/api/v1/users/me/roles"} {
		do(t, o.Transport(), "GET", org+path, "")
	}
	var got []bool
	for _, r := range o.Requests() {
		got = append(got, r.Generic)
	}
	if fmt.Sprint(got) != "[false true true]" {
		t.Errorf("generic: %v", got)
	}
	if a := do(t, o.Transport(), "GET", org+"/api/v1/users", ""); a.Header.Get(oktatest.GenericHeader) != "" {
		t.Error("an answer written by hand is marked")
	}
}

// Users are the fake's own, by whatever they are called.
func TestGenericResourcesLieBelowTheFakesUsers(t *testing.T) {
	o := oktatest.New(oktatest.WithUsers(2))
	rt := o.Transport()
	login, id := "user00001@example.com", o.UserIDs()[1]
	wantStatus(t, do(t, rt, "POST", org+"/api/v1/users/"+login+"/roles", `{"type":"USER_ADMIN"}`), 201)
	if got := do(t, rt, "GET", org+"/api/v1/users/"+id+"/roles", "").list(t); len(got) != 1 {
		t.Errorf("by id: %v", got)
	}
	if got := do(t, rt, "GET", org+"/api/v1/users/me/roles", "").list(t); len(got) != 0 {
		t.Errorf("of another: %v", got)
	}
	a := do(t, rt, "POST", org+"/api/v1/users/"+login+"/lifecycle/expire_password", "")
	if got := a.json(t); got["id"] != id {
		t.Errorf("expire_password: %s", a.body)
	}
}

// What is served is deterministic, in virtual time, and safe for concurrent use.
func TestGenericResourcesInVirtualTime(t *testing.T) {
	var first string
	for range 2 {
		synctest.Test(t, func(t *testing.T) {
			o := oktatest.New(oktatest.WithoutLimits())
			a := do(t, o.Transport(), "POST", org+"/api/v1/zones", `{"type":"IP","name":"office"}`)
			if first == "" {
				first = a.body
			}
			if a.body != first || !strings.Contains(a.body, `"created":"2000-01-01T00:00:00.000Z"`) {
				t.Errorf("created %s, first %s", a.body, first)
			}
			time.Sleep(time.Hour)
			id := fmt.Sprint(a.json(t)["id"])
			b := do(t, o.Transport(), "PUT", org+"/api/v1/zones/"+id, `{"type":"IP","name":"home"}`)
			if !strings.Contains(b.body, `"lastUpdated":"2000-01-01T01:00:00.000Z"`) || !strings.Contains(b.body, `"created":"2000-01-01T00:00:00.000Z"`) {
				t.Errorf("changed: %s", b.body)
			}
		})
	}
	o := oktatest.New(oktatest.WithoutLimits())
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			do(t, o.Transport(), "POST", org+"/api/v1/zones", fmt.Sprintf(`{"type":"IP","name":"zone %d"}`, i))
			do(t, o.Transport(), "GET", org+"/api/v1/zones", "")
		})
	}
	wg.Wait()
	if n := len(do(t, o.Transport(), "GET", org+"/api/v1/zones?limit=200", "").list(t)); n != 22 {
		t.Errorf("%d zones, want 20 and the org's 2", n)
	}
}

func TestAddResourceKnowsItsCollections(t *testing.T) {
	o := oktatest.New()
	id, err := o.AddResource("/api/v1/devices", map[string]any{"status": "ACTIVE"})
	if err != nil {
		t.Fatal(err)
	}
	wantStatus(t, do(t, o.Transport(), "GET", org+"/api/v1/devices/"+id, ""), 200)
	for _, path := range []string{"/api/v1/users", "/api/v1/none", "/"} {
		if _, err := o.AddResource(path, nil); err == nil {
			t.Errorf("AddResource(%q) succeeded", path)
		}
	}
}

func TestTheDocumentationCountsTheOperations(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("have %d operations", oktatest.GenericOperations()); !strings.Contains(strings.ReplaceAll(string(doc), "\n//", ""), want) {
		t.Errorf("doc.go does not say %q", want)
	}
}

// A filter and a search were read as one text, which was refused.
func TestGenericListsTakeAFilterBesideASearch(t *testing.T) {
	o := oktatest.New()
	for _, label := range []string{"a", "b"} {
		o.AddResource("/api/v1/apps", map[string]any{"label": label, "signOnMode": "BOOKMARK", "status": "ACTIVE"})
	}
	a := do(t, o.Transport(), "GET", org+`/api/v1/apps?filter=status+eq+"ACTIVE"&search=label+eq+"b"`, "")
	if got := a.list(t); len(got) != 1 || got[0]["label"] != "b" {
		t.Errorf("%v", got)
	}
}

// walk follows the next links of a list, with a function between its pages, and returns
// the labels or names of all entries, in order.
func walk(t *testing.T, o *oktatest.Okta, url, within string, between func()) (names []string) {
	t.Helper()
	next := regexp.MustCompile(`<([^>]+)>; rel="next"`)
	for n := 0; url != "" && n < 20; n++ {
		a := do(t, o.Transport(), "GET", url, "")
		wantStatus(t, a, 200)
		url = ""
		var list []any
		if within == "" {
			for _, x := range a.list(t) {
				list = append(list, x)
			}
			if m := next.FindStringSubmatch(strings.Join(a.Header["Link"], ", ")); m != nil {
				url = m[1]
			}
		} else {
			page := a.json(t)
			list, _ = page[within].([]any)
			links, _ := page["_links"].(map[string]any)
			following, _ := links["next"].(map[string]any)
			url, _ = following["href"].(string)
		}
		for _, x := range list {
			names = append(names, fmt.Sprint(x.(map[string]any)["name"]))
		}
		between()
	}
	return names
}

// The cursor was the last entry's id: when that was deleted before the next page was read,
// as a program does that deletes all it lists, the list began anew.
func TestGenericListsWithinObjectsGoOnWhenTheLastEntryIsDeleted(t *testing.T) {
	o := oktatest.New(oktatest.WithoutLimits())
	const list = "/api/v1/iam/governance/bundles"
	var ids []string
	for i := range 5 {
		id, err := o.AddResource(list, map[string]any{"name": fmt.Sprint(i)})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	got := walk(t, o, org+list+"?limit=2", "bundles", func() {
		if len(ids) > 1 {
			wantStatus(t, do(t, o.Transport(), "DELETE", org+list+"/"+ids[1], ""), 204)
			ids = nil
		}
	})
	if fmt.Sprint(got) != "[0 1 2 3 4]" {
		t.Errorf("%v, want each once", got)
	}
}

// Lists in another order than that of creation lost and repeated entries at their pages.
func TestGenericListsInAnOrderOfTheirOwnArePagedInIt(t *testing.T) {
	o := oktatest.New(oktatest.WithoutLimits())
	for i := range 4 {
		wantStatus(t, do(t, o.Transport(), "POST", org+"/api/v1/policies", fmt.Sprintf(`{"type":"OKTA_SIGN_ON","name":"p%d","priority":1}`, i)), 200)
	}
	url := org + "/api/v1/policies?type=OKTA_SIGN_ON&limit="
	want, got := walk(t, o, url+"20", "", func() {}), walk(t, o, url+"2", "", func() {})
	if len(want) != 5 || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v in pages, want %v", got, want)
	}
}

// What belonged to a user or group stayed when that was deleted: apps listed it still.
func TestAssignmentsGoWithTheirUserOrGroup(t *testing.T) {
	o := oktatest.New(oktatest.WithUsers(1), oktatest.WithGroups(1))
	rt := o.Transport()
	user, group := o.UserIDs()[0], ""
	for _, id := range o.GroupIDs() {
		if id != o.EveryoneID() {
			group = id
		}
	}
	app, err := o.AddResource("/api/v1/apps", map[string]any{"label": "a", "signOnMode": "BOOKMARK"})
	if err != nil {
		t.Fatal(err)
	}
	path := org + "/api/v1/apps/" + app
	wantStatus(t, do(t, rt, "PUT", path+"/groups/"+group, `{}`), 200)
	wantStatus(t, do(t, rt, "POST", path+"/users", `{"id":"`+user+`"}`), 200)
	wantStatus(t, do(t, rt, "DELETE", org+"/api/v1/groups/"+group, ""), 204)
	wantStatus(t, do(t, rt, "POST", org+"/api/v1/users/"+user+"/lifecycle/deactivate", ""), 200)
	wantStatus(t, do(t, rt, "DELETE", org+"/api/v1/users/"+user, ""), 204)
	for _, list := range []string{"/groups", "/users"} {
		if got := do(t, rt, "GET", path+list, "").list(t); len(got) != 0 {
			t.Errorf("%s: %v", list, got)
		}
	}
	wantCode(t, do(t, rt, "GET", path+"/groups/"+group, ""), 404, "E0000007")
}

func TestUsersAndGroupsTakeAFilterBesideASearch(t *testing.T) {
	o := oktatest.New(oktatest.WithUsers(2), oktatest.WithGroups(2))
	for _, url := range []string{
		`/api/v1/users?filter=status+eq+"ACTIVE"&search=profile.login+sw+"user00001"`,
		`/api/v1/groups?filter=type+eq+"OKTA_GROUP"&search=profile.name+eq+"group+00001"`,
	} {
		if got := do(t, o.Transport(), "GET", org+url, "").list(t); len(got) != 1 {
			t.Errorf("%s: %v", url, got)
		}
	}
}

// The status of the list was laid over that of the refusal: an error came as a 200.
func TestGenericListsRefuseBadPaging(t *testing.T) {
	o := oktatest.New()
	for _, path := range []string{"/api/v1/apps?limit=0", "/api/v1/apps?limit=x", "/api/v1/trustedOrigins?after=x", "/api/v1/iam/governance/bundles?after=x"} {
		wantCode(t, do(t, o.Transport(), "GET", org+path, ""), 400, "E0000029")
	}
}

// Of apps Okta filters by who is assigned, too: all such lists were empty.
func TestAppsAreFilteredByTheirUsersAndGroups(t *testing.T) {
	o := oktatest.New(oktatest.WithUsers(2), oktatest.WithGroups(1))
	rt, users := o.Transport(), o.UserIDs()
	for _, label := range []string{"a", "b", "c"} {
		id, err := o.AddResource("/api/v1/apps", map[string]any{"label": label, "signOnMode": "BOOKMARK", "status": "ACTIVE"})
		if err != nil {
			t.Fatal(err)
		}
		path := org + "/api/v1/apps/" + id
		switch label {
		case "a":
			wantStatus(t, do(t, rt, "POST", path+"/users", `{"id":"`+users[0]+`"}`), 200)
			wantStatus(t, do(t, rt, "POST", path+"/users", `{"id":"`+users[1]+`"}`), 200)
		case "b":
			wantStatus(t, do(t, rt, "PUT", path+"/groups/"+o.GroupIDs()[0], `{}`), 200)
		}
	}
	for filter, want := range map[string]string{
		`user.id+eq+"` + users[1] + `"`:                        "[a]",
		`group.id+eq+"` + o.GroupIDs()[0] + `"`:                "[b]",
		`user.id+eq+"none"`:                                    "[]",
		`status+eq+"ACTIVE"`:                                   "[a b c]",
		`user.id+eq+"` + users[0] + `"+and+status+eq+"ACTIVE"`: "[a]",
	} {
		got := []any{}
		for _, app := range do(t, rt, "GET", org+"/api/v1/apps?filter="+filter, "").list(t) {
			got = append(got, app["label"])
		}
		if fmt.Sprint(got) != want {
			t.Errorf("%s: %v, want %s", filter, got, want)
		}
	}
}
