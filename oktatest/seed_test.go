package oktatest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/oktaretry/oktaretry/oktatest"
)

const seedText = `{
  "users": [
    {"login": "ann@example.com", "firstName": "Ann", "lastName": "Lee", "groups": ["staff", "board"],
     "credentials": {"password": {"value": "Abcd1234"}}},
    {"login": "ben@example.com", "email": "b@example.com", "status": "SUSPENDED", "profile": {"department": "sales", "costCenter": 7}}
  ],
  "groups": [{"name": "staff", "description": "all of us", "members": ["ben@example.com"]}, {"name": "empty"}],
  "requests": [
    {"path": "/api/v1/groups", "body": {"profile": {"name": "made", "description": "for {users.ann@example.com}"}}, "as": "made"},
    {"method": "PUT", "path": "/api/v1/groups/{made}/users/{users.ann@example.com}"},
    {"method": "DELETE", "path": "/api/v1/groups/{groups.empty}"}
  ],
  "limits": {"GET /api/v1/users": 3, "GET /api/v1/groups/{id}": 5}
}`

func seedOf(t *testing.T, text string) oktatest.Seed {
	t.Helper()
	s, err := oktatest.ParseSeed([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// namesOf are the names in a list of groups, or the logins in one of users.
func namesOf(t *testing.T, o *oktatest.Okta, path string) (names []string) {
	t.Helper()
	var list []struct{ Profile struct{ Name, Login string } }
	a := do(t, o.Transport(), "GET", "https://acme.okta.com"+path, "")
	if err := json.Unmarshal([]byte(a.body), &list); err != nil {
		t.Fatalf("%s: %v in %s", path, err, a.body)
	}
	for _, x := range list {
		names = append(names, x.Profile.Name+x.Profile.Login)
	}
	slices.Sort(names)
	return names
}

func TestSeedFillsTheOrg(t *testing.T) {
	o := oktatest.New(oktatest.WithSeed(seedOf(t, seedText)))
	if n := o.Arrived(); n != 0 {
		t.Errorf("%d requests in the journal, want none", n)
	}
	ann, status, _ := o.User("ann@example.com")
	if status != "ACTIVE" {
		t.Errorf("ann is %q", status)
	}
	if _, status, _ := o.User("ben@example.com"); status != "SUSPENDED" {
		t.Errorf("ben is %q", status)
	}
	a := do(t, o.Transport(), "GET", "https://acme.okta.com/api/v1/users/ben@example.com", "")
	for _, want := range []string{`"department":"sales"`, `"costCenter":7`, `"email":"b@example.com"`} {
		if !strings.Contains(a.body, want) {
			t.Errorf("no %s in %s", want, a.body)
		}
	}
	if a := do(t, o.Transport(), "GET", "https://acme.okta.com/api/v1/users/"+ann, ""); !strings.Contains(a.body, `"password":{}`) || !strings.Contains(a.body, `"lastName":"Lee"`) {
		t.Errorf("ann has no password, or has lost her profile: %s", a.body)
	}
	groups := namesOf(t, o, "/api/v1/users/"+ann+"/groups")
	groups = slices.DeleteFunc(groups, func(name string) bool { return name == "Everyone" })
	if want := []string{"board", "made", "staff"}; !slices.Equal(groups, want) {
		t.Errorf("ann is in %q, want %q", groups, want)
	}
	if all := namesOf(t, o, "/api/v1/groups"); slices.Contains(all, "empty") {
		t.Errorf("the groups are %q: the deleted one is still there", all)
	}
	if body := do(t, o.Transport(), "GET", "https://acme.okta.com/api/v1/groups?q=made", "").body; !strings.Contains(body, "for "+ann) {
		t.Errorf("the body's {users.ann@example.com} is not her id: %s", body)
	}
	o = oktatest.New(oktatest.WithSeed(seedOf(t, seedText)))
	if a := do(t, o.Transport(), "GET", "https://acme.okta.com/api/v1/users", ""); a.Header.Get("X-Rate-Limit-Limit") != "3" || a.Header.Get("X-Rate-Limit-Remaining") != "2" {
		t.Errorf("headers %v, want 2 of 3 left", a.Header)
	}
}

func TestSeedRequestsReachTheWholeAPI(t *testing.T) {
	o := oktatest.New(oktatest.WithSeed(seedOf(t, `{
		"users": [{"login": "ann@example.com", "groups": ["staff"]}],
		"requests": [
			{"path": "/api/v1/apps", "body": {"name": "bookmark", "label": "Wiki", "signOnMode": "BOOKMARK"}, "as": "wiki"},
			{"method": "PUT", "path": "/api/v1/apps/{wiki}/groups/{groups.staff}"},
			{"path": "/api/v1/users/{users.ann@example.com}/factors?activate=true",
			 "body": {"factorType": "email", "provider": "OKTA", "profile": {"email": "ann@example.com"}}}]}`)))
	for path, want := range map[string]string{"/api/v1/apps": `"label":"Wiki"`, "/api/v1/users/ann@example.com/factors": `"factorType":"email"`} {
		if body := do(t, o.Transport(), "GET", "https://acme.okta.com"+path, "").body; !strings.Contains(body, want) {
			t.Errorf("%s: no %s in %s", path, want, body)
		}
	}
}

func TestSeedsGiveTheSameIDsInEveryRun(t *testing.T) {
	a, b := oktatest.New(oktatest.WithSeed(seedOf(t, seedText))), oktatest.New(oktatest.WithSeed(seedOf(t, seedText)))
	if !slices.Equal(a.UserIDs(), b.UserIDs()) || !slices.Equal(a.GroupIDs(), b.GroupIDs()) {
		t.Errorf("%q %q, and then %q %q", a.UserIDs(), a.GroupIDs(), b.UserIDs(), b.GroupIDs())
	}
}

func TestSeedJoinsGroupsThatAreThere(t *testing.T) {
	o := oktatest.New(oktatest.WithGroups(2), oktatest.WithSeed(seedOf(t, `{"users": [{"login": "a@b.c", "groups": ["group 00001"]}]}`)))
	if got := namesOf(t, o, "/api/v1/users/a@b.c/groups"); !slices.Contains(got, "group 00001") {
		t.Errorf("in %q", got)
	}
}

func TestSeedFillsAnOrgThatAsksForACredential(t *testing.T) {
	o := oktatest.New(oktatest.RequireAuth("SSWS secret"), oktatest.WithSeed(seedOf(t, seedText)))
	if n := len(o.UserIDs()); n != 2 {
		t.Errorf("%d users", n)
	}
}

func TestSeedsMayNameTheGroupOfEverybody(t *testing.T) {
	if _, err := oktatest.ParseSeed([]byte(`{"users": [{"login": "a@b.c", "groups": ["Everyone"]}, {"login": "d@b.c", "groups": ["Everyone"]}]}`)); err != nil {
		t.Error(err)
	}
}

func TestParseSeedRefusesMistakesAtTheirPlace(t *testing.T) {
	for text, want := range map[string][]string{
		"":                  {"line 1, column 1: it is empty"},
		"{":                 {"line 1, column 2: it is no JSON: unexpected end of the text"},
		"[]":                {"line 1, column 1: it is an array, want an object"},
		"{\n \"user\": []}": {"line 2, column 2: user is unknown, want one of users, groups, requests, mfa, limits"},
		`{"users": [{"login": "a@b.c", "Status": "ACTIVE"}]}`:                      {"line 1, column 31: users.0.Status is unknown, want status (case counts)"},
		"{\"users\": [\n{\"login\": null}], \"users\": []}":                        {"line 2, column 11: users.0.login is null, want a string", "line 2, column 19: users is given twice: first in line 1, column 2"},
		`{"users": [{"login": "a@b.c", "profile": {"x": null}}]}`:                  {"line 1, column 48: users.0.profile.x is null, want a value"},
		"{\"users\": [{\"login\": \"a@b.c\"},\n {\"login\": \"A@b.c\"}]}":          {`line 2, column 12: users.1.login is "A@b.c", which another user has`},
		"{\"users\": [\n {\"email\": \"a@b.c\"}]}":                                 {"line 2, column 2: users.0 has no login"},
		`{"users": [{"login": "a@b.c", "status": "HAPPY"}]}`:                       {`line 1, column 41: users.0.status is "HAPPY", want one of STAGED, `},
		"{\"groups\": [{\"name\": \"x\"},\n{\"name\": \"X\"},\n{}]}":               {`line 2, column 10: groups.1.name is "X", which another group has`, "line 3, column 1: groups.2 has no name"},
		"{\"groups\": [{\"name\": \"x\", \"members\": [\n\"nobody@b.c\"]}]}":       {`line 2, column 1: groups.0.members.0 is "nobody@b.c", which is no user's login`},
		`{"users": [{"login": "a@b.c", "groups": [""]}]}`:                          {"line 1, column 42: users.0.groups.0 is refused: a group has no name"},
		"{\"limits\": {\n\"GET /nowhere/at/all\": 3}}":                             {`line 2, column 24: limits["GET /nowhere/at/all"] is the name of no bucket or limit`},
		`{"requests": [{"path": "/api/v1/groups/{staff}"}]}`:                       {"line 1, column 24: requests.0.path has {staff}, which stands for nothing that is made before"},
		`{"requests": [{"path": "api"}]}`:                                          {`line 1, column 24: requests.0.path is "api", want one that begins with a slash`},
		`{"requests": [{"method": "DELETE", "path": "/api/v1/users/nobody@b.c"}]}`: {"line 1, column 15: requests.0 is refused: DELETE /api/v1/users/nobody@b.c is answered by 404 E0000007 Not found"},
		`{"requests": [{"method": "a b", "path": "/api/v1/users"}]}`:               {"line 1, column 15: requests.0 is refused: "},
	} {
		s, err := oktatest.ParseSeed([]byte(text))
		if err == nil || len(s.Users) > 0 {
			t.Errorf("%s: got %+v, %v", text, s, err)
			continue
		}
		lines := strings.Split(err.Error(), "\n")
		if len(lines) != len(want) {
			t.Errorf("%s: got %q, want %q", text, lines, want)
			continue
		}
		for i, line := range lines {
			if !strings.HasPrefix(line, "oktatest: seed: "+want[i]) {
				t.Errorf("%s: got  %s\nwant %s", text, line, want[i])
			}
		}
	}
}

func TestPlantReportsItsProblemsAndAddsTheRest(t *testing.T) {
	o := oktatest.New(oktatest.WithUsers(1))
	err := o.Plant(oktatest.Seed{Users: []oktatest.SeedUser{{Login: "user00000@example.com"}, {Login: "new@example.com"}}})
	problem, ok := errors.AsType[*oktatest.SeedError](err)
	if !ok || problem.Path != "users.0.login" || problem.Line != 0 || err.Error() != `oktatest: seed: users.0.login is "user00000@example.com", which another user has` {
		t.Errorf("got %#v", err)
	}
	if _, _, ok := o.User("new@example.com"); !ok {
		t.Error("the user without a problem is not there")
	}
}

func TestNewPanicsForASeedThatDoesNotFit(t *testing.T) {
	defer func() {
		if got, want := fmt.Sprint(recover()), `oktatest: New: seed: users.0 has no login`; got != want {
			t.Errorf("panics with %s, want %s", got, want)
		}
	}()
	oktatest.New(oktatest.WithSeed(oktatest.Seed{Users: []oktatest.SeedUser{{}}}))
}

// Whatever the text: no panic, and a seed that is read fits into an org.
func FuzzParseSeed(f *testing.F) {
	f.Add([]byte(seedText))
	f.Add([]byte(`{"users": [{"login": "a", "groups": ["b", ""], "credentials": {"password": 1}}], "limits": {"": -1}}`))
	f.Add([]byte(`{"requests": [{"method": "GET", "path": "/%zz"}, {"path": "/oauth2/v1/token?{users.a}", "body": {"a": [{}]}, "as": "x"}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := oktatest.ParseSeed(text)
		if err == nil {
			err = oktatest.New(oktatest.WithLimits(oktatest.OktaLimits()...)).Plant(s)
		}
		if err == nil {
			return
		}
		for _, err := range err.(interface{ Unwrap() []error }).Unwrap() {
			if _, ok := errors.AsType[*oktatest.SeedError](err); !ok {
				t.Errorf("%T: %v", err, err)
			}
		}
	})
}

// A name that was given twice, or to an answer without an id, led later requests astray.
func TestSeedsNameEachThingOnce(t *testing.T) {
	group := func(name, as string) oktatest.SeedRequest {
		return oktatest.SeedRequest{Path: "/api/v1/groups", Body: map[string]any{"profile": map[string]any{"name": name}}, As: as}
	}
	for _, c := range []struct {
		second oktatest.SeedRequest
		want   string
	}{
		{group("b", "b"), ""},
		{group("b", "a"), `requests.1.as is "a", which stands for something already`},
		{oktatest.SeedRequest{Method: "DELETE", Path: "/api/v1/groups/{a}", As: "gone"}, `requests.1.as is "gone", but the answer has no id`},
	} {
		err := oktatest.New().Plant(oktatest.Seed{Requests: []oktatest.SeedRequest{group("a", "a"), c.second}})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%+v: %v, want %q", c.second, err, c.want)
		}
	}
}
