package oktatest_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry/oktatest"
)

var nextLink = regexp.MustCompile(`^<(.*)>; rel="next"$`)

// pages follows the next links from a URL and returns the ids, page by page.
func pages(t *testing.T, rt http.RoundTripper, first string) [][]string {
	t.Helper()
	var all [][]string
	for at := first; at != ""; {
		a := do(t, rt, "GET", at, "")
		wantStatus(t, a, 200)
		links := a.Header["Link"]
		self, _ := strings.CutSuffix(at, "?limit=200") // which a first page may have added
		if len(links) == 0 || !strings.HasPrefix(links[0], "<"+self) || !strings.HasSuffix(links[0], `>; rel="self"`) {
			t.Fatalf("first link %q, want self of %s", links, at)
		}
		var ids []string
		for _, x := range a.list(t) {
			ids = append(ids, x["id"].(string))
		}
		all = append(all, ids)
		at = ""
		if len(links) == 2 {
			at = nextLink.FindStringSubmatch(links[1])[1]
		}
	}
	return all
}

func TestPaginationGivesEachEntryOnce(t *testing.T) {
	everywhere(t, func(t *testing.T, o *oktatest.Okta, rt http.RoundTripper, base string) {
		for _, c := range []struct {
			path  string
			pages int
			ids   []string
		}{
			{"/api/v1/users?limit=3", 4, o.UserIDs()},
			{"/api/v1/users?limit=5", 2, o.UserIDs()},
			{"/api/v1/users", 1, o.UserIDs()},
			{"/api/v1/users?limit=3&search=" + url.QueryEscape(`status eq "ACTIVE"`), 4, o.UserIDs()},
			{"/api/v1/groups?limit=2", 3, slices.Insert(o.GroupIDs(), 0, o.EveryoneID())},
			{"/api/v1/groups/" + o.EveryoneID() + "/users?limit=4", 3, o.UserIDs()},
		} {
			got := pages(t, rt, base+c.path)
			var flat []string
			for _, p := range got {
				flat = append(flat, p...)
			}
			if len(got) != c.pages || strings.Join(flat, " ") != strings.Join(c.ids, " ") {
				t.Errorf("%s: %v", c.path, got)
			}
		}
		wantCode(t, do(t, rt, "GET", base+"/api/v1/users?limit=0", ""), 400, "E0000029")
		wantCode(t, do(t, rt, "GET", base+"/api/v1/users?after=%21", ""), 400, "E0000029")
	}, oktatest.WithUsers(10), oktatest.WithGroups(4))
}

func TestPaginationSurvivesDeletions(t *testing.T) {
	o := oktatest.New(oktatest.WithUsers(4))
	ids := o.UserIDs()
	a := do(t, o.Transport(), "GET", org+"/api/v1/users?limit=2", "")
	for range 2 { // the last one of the page just read
		wantStatus(t, do(t, o.Transport(), "DELETE", org+"/api/v1/users/"+ids[1], ""), 204)
	}
	next := nextLink.FindStringSubmatch(a.Header["Link"][1])[1]
	if got := pages(t, o.Transport(), next); len(got) != 1 || strings.Join(got[0], " ") != strings.Join(ids[2:], " ") {
		t.Errorf("%v, want %v", got, ids[2:])
	}
}

func TestUserLifecycle(t *testing.T) {
	o := oktatest.New(oktatest.WithGroups(1))
	rt := o.Transport()
	create := func(query, body string) answer {
		return do(t, rt, "POST", org+"/api/v1/users"+query, body)
	}
	profile := `"profile":{"login":"Ann@x.test","email":"ann@x.test","firstName":"Ann","lastName":"X"}`
	for _, c := range []struct{ query, body, status string }{
		{"?activate=false", `{` + profile + `}`, "STAGED"},
		{"", `{` + profile + `}`, "PROVISIONED"},
		{"?activate=true", `{` + profile + `,"credentials":{"password":{"value":"x"}}}`, "ACTIVE"},
	} {
		a := create(c.query, c.body)
		wantStatus(t, a, 200)
		u := a.json(t)
		if u["status"] != c.status {
			t.Errorf("created with %q: %v, want %s", c.query, u["status"], c.status)
		}
		dup := create("", `{`+strings.ReplaceAll(profile, "Ann@", "ann@")+`}`)
		wantCode(t, dup, 400, "E0000001")
		if !strings.Contains(dup.body, "login: An object with this field already exists") {
			t.Error(dup.body)
		}
		for range 2 {
			wantStatus(t, do(t, rt, "DELETE", org+"/api/v1/users/ann@x.test", ""), 204)
		}
	}
	wantCode(t, create("", `{`), 400, "E0000003")
	wantCode(t, create("", `{"profile":{"email":"a@x"}}`), 400, "E0000001")
	wantCode(t, create("", `{`+profile+`,"groupIds":["00g0"]}`), 404, "E0000007")

	id := create("?activate=false", `{`+profile+`,"groupIds":["`+o.GroupIDs()[0]+`"]}`).json(t)["id"].(string)
	self := org + "/api/v1/users/" + id
	if g := do(t, rt, "GET", self+"/groups", "").list(t); len(g) != 2 {
		t.Error(g)
	}
	step := func(method, path, body string, status int) answer {
		t.Helper()
		a := do(t, rt, method, self+path, body)
		wantStatus(t, a, status)
		return a
	}
	at := func(status string) {
		t.Helper()
		if _, s, ok := o.User(id); !ok || s != status {
			t.Errorf("status %q, want %s", s, status)
		}
	}
	wantCode(t, step("POST", "/lifecycle/suspend", "", 400), 400, "E0000001")
	step("POST", "/lifecycle/activate?sendEmail=false", "", 200)
	at("PROVISIONED")
	wantCode(t, step("POST", "/lifecycle/activate", "", 403), 403, "E0000016")
	step("POST", "/lifecycle/deactivate", "", 200)
	wantCode(t, step("POST", "", `{"profile":{"nickName":"A"}}`, 403), 403, "E0000038")
	step("POST", "/lifecycle/activate", "", 200)
	at("PROVISIONED")
	step("POST", "/lifecycle/deactivate", "", 200)
	step("DELETE", "", "", 204)
	id = create("?activate=false", `{`+profile+`,"credentials":{"password":{"value":"x"}}}`).json(t)["id"].(string)
	self = org + "/api/v1/users/" + id
	step("POST", "/lifecycle/activate?sendEmail=false", "", 200)
	at("ACTIVE")
	wantCode(t, step("POST", "/lifecycle/activate", "", 403), 403, "E0000016")
	step("POST", "/lifecycle/suspend", "", 200)
	at("SUSPENDED")
	step("POST", "/lifecycle/unsuspend", "", 200)
	step("POST", "/lifecycle/deactivate", "", 200)
	at("DEPROVISIONED")
	if l := do(t, rt, "GET", org+"/api/v1/users", "").list(t); len(l) != 0 {
		t.Error("a deprovisioned user is listed")
	}
	step("POST", "/lifecycle/activate", "", 200)

	p := step("POST", "", `{"profile":{"nickName":"A","firstName":null}}`, 200).json(t)["profile"].(map[string]any)
	if p["nickName"] != "A" || p["firstName"] != nil || p["login"] != "Ann@x.test" {
		t.Errorf("after a partial update: %v", p)
	}
	p = step("PUT", "", `{"profile":{"login":"bob@x.test","email":"b@x.test"}}`, 200).json(t)["profile"].(map[string]any)
	if len(p) != 4 || p["mobilePhone"] != nil || p["secondEmail"] != nil {
		t.Errorf("after a full update: %v", p)
	}
	wantCode(t, do(t, rt, "GET", org+"/api/v1/users/ann@x.test", ""), 404, "E0000007")
	wantStatus(t, do(t, rt, "GET", org+"/api/v1/users/BOB@x.test", ""), 200)
	wantCode(t, do(t, rt, "GET", org+"/api/v2/users", ""), 400, "OKTATEST")
	wantCode(t, do(t, rt, "PATCH", self, ""), 405, "E0000022")
}

func TestGroups(t *testing.T) {
	o := oktatest.New(oktatest.WithUsers(3))
	rt := o.Transport()
	a := do(t, rt, "POST", org+"/api/v1/groups", `{"profile":{"name":"eng"}}`)
	wantStatus(t, a, 200)
	self := org + "/api/v1/groups/" + a.json(t)["id"].(string)
	wantCode(t, do(t, rt, "POST", org+"/api/v1/groups", `{"profile":{"name":"ENG"}}`), 400, "E0000001")
	wantCode(t, do(t, rt, "POST", org+"/api/v1/groups", `{}`), 400, "E0000001")
	for range 2 {
		for _, id := range o.UserIDs() {
			wantStatus(t, do(t, rt, "PUT", self+"/users/"+id, ""), 204)
		}
	}
	if p := pages(t, rt, self+"/users?limit=2"); len(p) != 2 || len(p[1]) != 1 {
		t.Error(p)
	}
	wantStatus(t, do(t, rt, "DELETE", self+"/users/"+o.UserIDs()[1], ""), 204)
	for range 2 { // deleting a user takes it out of its groups
		wantStatus(t, do(t, rt, "DELETE", org+"/api/v1/users/"+o.UserIDs()[0], ""), 204)
	}
	if l := do(t, rt, "GET", self+"/users", "").list(t); len(l) != 1 {
		t.Error(l)
	}
	wantStatus(t, do(t, rt, "PUT", self, `{"profile":{"name":"eng2"}}`), 200)
	if l := do(t, rt, "GET", org+"/api/v1/groups?q=ENG2", "").list(t); len(l) != 1 {
		t.Error(l)
	}
	wantCode(t, do(t, rt, "PUT", self+"/users/00u0", ""), 404, "E0000007")
	wantStatus(t, do(t, rt, "DELETE", self, ""), 204)
	wantCode(t, do(t, rt, "GET", self, ""), 404, "E0000007")
}

func TestFilters(t *testing.T) {
	o := oktatest.New(oktatest.WithUsers(12), oktatest.WithGroups(12))
	do(t, o.Transport(), "POST", org+"/api/v1/users/user00003@example.com/lifecycle/suspend", "")
	for _, c := range []struct {
		path, param, value string
		want               int
	}{
		{"users", "q", "user0001", 2},
		{"users", "filter", `status eq "SUSPENDED"`, 1},
		{"users", "search", `profile.login eq "USER00003@example.com"`, 1},
		{"users", "search", `not (status eq "SUSPENDED") and profile.lastName sw "0000"`, 9},
		{"users", "search", `profile.lastName eq "00001" or profile.lastName eq "00002" and status ne "ACTIVE"`, 1},
		{"users", "search", `profile.nickName pr`, 0},
		{"users", "search", `created gt "2000-01-01T00:00:00.000Z"`, 12},
		{"users", "search", `profile.email co "\"quoted\""`, 0},
		{"groups", "q", "group 0001", 2},
		{"groups", "filter", `type eq "OKTA_GROUP"`, 12},
		{"groups", "search", `profile.name sw "group 0000"`, 10},
		{"users", "search", `status`, -1},
		{"users", "search", `status eq ACTIVE`, -1},
		{"users", "search", `status eq "ACTIVE`, -1},
		{"users", "search", `(status eq "ACTIVE"`, -1},
		{"users", "search", `status eq "ACTIVE" status`, -1},
		{"users", "search", strings.Repeat("(", 1000), -1},
		{"groups", "search", `and`, -1},
	} {
		a := do(t, o.Transport(), "GET", org+"/api/v1/"+c.path+"?"+c.param+"="+url.QueryEscape(c.value), "")
		if c.want < 0 {
			wantCode(t, a, 400, "E0000031")
		} else if n := len(a.list(t)); n != c.want {
			t.Errorf("%s %s %s: %d found, want %d", c.path, c.param, c.value, n, c.want)
		}
	}
}

func TestFactorVerification(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New(oktatest.WithUsers(1), oktatest.WithFactorResult("REJECTED", 1))
		user := org + "/api/v1/users/" + o.UserIDs()[0]
		factors := do(t, o.Transport(), "GET", user+"/factors", "").list(t)
		verify := func() (poll string) {
			a := do(t, o.Transport(), "POST", user+"/factors/"+factors[0]["id"].(string)+"/verify", "")
			wantStatus(t, a, 201)
			if a.json(t)["factorResult"] != "WAITING" {
				t.Error(a.body)
			}
			return a.json(t)["_links"].(map[string]any)["poll"].(map[string]any)["href"].(string)
		}
		expect := func(poll string, results ...string) {
			t.Helper()
			for _, want := range results {
				a := do(t, o.Transport(), "GET", poll, "")
				if got := a.json(t)["factorResult"]; a.StatusCode != 200 || got != want {
					t.Errorf("%d %v, want %s", a.StatusCode, got, want)
				}
			}
		}
		first := verify()
		o.SetFactorResult("SUCCESS", 2) // for the next, not the first
		expect(first, "WAITING", "REJECTED", "REJECTED")
		expect(verify(), "WAITING", "WAITING", "SUCCESS")

		o.SetFactorResult("SUCCESS", -1)
		never := verify()
		expect(never, "WAITING", "WAITING", "WAITING")
		time.Sleep(5*time.Minute + time.Second)
		expect(never, "TIMEOUT")

		left := verify()
		wantStatus(t, do(t, o.Transport(), "DELETE", left, ""), 204)
		expect(left, "CANCELLED")
		wantCode(t, do(t, o.Transport(), "GET", left+"x", ""), 404, "E0000191")
		if o.Pushes() != 4 {
			t.Errorf("%d pushes, want 4", o.Pushes())
		}
	})
}

func TestRequireAuth(t *testing.T) {
	o := oktatest.New(oktatest.RequireAuth())
	for credential, want := range map[string]int{
		"SSWS x": 200, "Bearer x": 200, "DPoP x": 200, "": 401, "Basic x": 401, "SSWS ": 401, "SSWS": 401,
	} {
		a := do(t, o.Transport(), "GET", org+"/api/v1/users", "", "Authorization", credential)
		if a.StatusCode != want {
			t.Errorf("%q: %d, want %d", credential, a.StatusCode, want)
		}
		if want == 401 {
			wantCode(t, a, 401, "E0000011")
		}
	}
	o = oktatest.New(oktatest.RequireAuth("SSWS mine"))
	wantStatus(t, do(t, o.Transport(), "GET", org+"/api/v1/users", "", "Authorization", "SSWS mine"), 200)
	wantStatus(t, do(t, o.Transport(), "GET", org+"/api/v1/users", "", "Authorization", "SSWS other"), 401)
	wantStatus(t, do(t, o.Transport(), "GET", org+"/.well-known/openid-configuration", ""), 200)
}

func TestHandlersJoinTheAPI(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New(oktatest.WithLimit("GET /api/v1/zones", 1), oktatest.WithHandler("GET /api/v1/zones/{id}",
			http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.URL.Path) })))
		a := do(t, o.Transport(), "GET", org+"/api/v1/zones/z1", "")
		if a.body != "/api/v1/zones/z1" || a.Header.Get("X-Okta-Request-Id") == "" || a.Header.Get("X-Rate-Limit-Remaining") != "0" {
			t.Error(a.Header, a.body)
		}
		wantCode(t, do(t, o.Transport(), "GET", org+"/api/v1/zones/z1", ""), 429, "E0000047")
	})
}

func TestAddedUsersAndGroupsTakeNoPlaceOfALimit(t *testing.T) {
	o := oktatest.New(oktatest.WithLimit("POST /api/v1/users", 1))
	for _, login := range []string{"ann@example.com", "ben@example.com", "cy@example.com"} {
		if _, err := o.AddUser("", map[string]any{"login": login, "email": login, "firstName": "A"}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := o.AddGroup(map[string]any{"name": "staff"}, "ann@example.com", "cy@example.com"); err != nil {
		t.Fatal(err)
	}
	members := do(t, o.Transport(), "GET", "https://example.okta.com/api/v1/groups/"+o.GroupIDs()[0]+"/users", "").list(t)
	if len(members) != 2 || o.Arrived() != 1 {
		t.Errorf("%d members after %d requests, want 2 after the test's own", len(members), o.Arrived())
	}
	for name, err := range map[string]error{
		"a login twice":     second(o.AddUser("", map[string]any{"login": "Ann@example.com", "email": "x@example.com"})),
		"no email":          second(o.AddUser("", map[string]any{"login": "dee@example.com"})),
		"an unknown status": second(o.AddUser("GONE", map[string]any{"login": "eve@example.com", "email": "e@example.com"})),
		"a group twice":     second(o.AddGroup(map[string]any{"name": "Staff"})),
		"an unknown member": second(o.AddGroup(map[string]any{"name": "board"}, "nobody@example.com")),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if len(o.UserIDs()) != 3 || len(o.GroupIDs()) != 1 {
		t.Errorf("%d users and %d groups, want 3 and 1: what is refused changes nothing", len(o.UserIDs()), len(o.GroupIDs()))
	}
}

func second[A any](_ A, err error) error { return err }
