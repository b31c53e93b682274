// This file holds the fake to what recordings of real orgs show: 63,836 answers, 2020-07 to
// 2026-06. Counts are of the recorded answers that agree.

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

func person(login string) string {
	return fmt.Sprintf(`"profile":{"login":%q,"email":%q,"firstName":"Ann","lastName":"X"}`, login, login)
}

const (
	withPassword = `,"credentials":{"password":{"value":"Abcd1234"}}`
	withQuestion = `,"credentials":{"password":{"value":"Abcd1234"},"recovery_question":{"question":"Why?","answer":"42"}}`
)

// created creates a user and returns its URL.
func created(t *testing.T, o *oktatest.Okta, query, body string) string {
	t.Helper()
	a := do(t, o.Transport(), "POST", org+"/api/v1/users"+query, "{"+body+"}")
	wantStatus(t, a, 200)
	return org + "/api/v1/users/" + a.json(t)["id"].(string)
}

func status(t *testing.T, o *oktatest.Okta, user string) any {
	t.Helper()
	return do(t, o.Transport(), "GET", user, "").json(t)["status"]
}

// 13 of 13 activations of a STAGED user without a password.
func TestActivationWithoutAPasswordProvisions(t *testing.T) {
	o := oktatest.New()
	for body, want := range map[string]string{
		person("a@x.test"): "PROVISIONED",
		person("b@x.test") + `,"credentials":{"password":{}}`:                                        "PROVISIONED",
		person("c@x.test") + withPassword:                                                            "ACTIVE",
		person("d@x.test") + `,"credentials":{"provider":{"type":"FEDERATION","name":"FEDERATION"}}`: "ACTIVE",
	} {
		user := created(t, o, "?activate=false", body)
		if s := status(t, o, user); s != "STAGED" {
			t.Errorf("created %v, want STAGED", s)
		}
		wantStatus(t, do(t, o.Transport(), "POST", user+"/lifecycle/activate", ""), 200)
		if s := status(t, o, user); s != want {
			t.Errorf("%s: activated to %v, want %s", body, s, want)
		}
		wantCode(t, do(t, o.Transport(), "POST", user+"/lifecycle/activate", ""), 403, "E0000016")
	}
}

// 30 of 30 creates with activate=False.
func TestBooleansOfTheQueryAreReadInAnyCase(t *testing.T) {
	o := oktatest.New()
	for i, c := range []struct{ query, status string }{
		{"?activate=False", "STAGED"}, {"?activate=FALSE", "STAGED"}, {"?activate=True", "ACTIVE"}, {"?activate=", "ACTIVE"}, {"", "ACTIVE"},
	} {
		user := created(t, o, c.query, person(fmt.Sprintf("u%d@x.test", i))+withPassword)
		if s := status(t, o, user); s != c.status {
			t.Errorf("%s: %v, want %s", c.query, s, c.status)
		}
		if c.status == "STAGED" {
			a := do(t, o.Transport(), "POST", user+"/lifecycle/activate?sendEmail=False", "")
			if a.json(t)["activationToken"] == nil {
				t.Errorf("no token with sendEmail=False: %s", a.body)
			}
		}
	}
}

// 674 of 674 lists of a user's groups have Everyone.
func TestEverybodyIsInEveryone(t *testing.T) {
	o := oktatest.New(oktatest.WithUsers(3), oktatest.WithGroups(1))
	rt := o.Transport()
	everyone := org + "/api/v1/groups/" + o.EveryoneID()
	g := do(t, rt, "GET", everyone, "").json(t)
	if p := g["profile"].(map[string]any); g["type"] != "BUILT_IN" || p["name"] != "Everyone" || p["description"] != "All users in your organization" {
		t.Error(g)
	}
	user := created(t, o, "?activate=false", person("a@x.test"))
	wantStatus(t, do(t, rt, "PUT", org+"/api/v1/groups/"+o.GroupIDs()[0]+"/users/"+path(user), ""), 204)
	var types []any
	for _, g := range do(t, rt, "GET", user+"/groups", "").list(t) {
		types = append(types, g["type"])
	}
	if fmt.Sprint(types) != "[BUILT_IN OKTA_GROUP]" {
		t.Error(types)
	}
	if n := len(do(t, rt, "GET", everyone+"/users", "").list(t)); n != 4 {
		t.Errorf("%d members of 4 users", n)
	}
	for _, filter := range []string{"filter", "search"} {
		if l := do(t, rt, "GET", org+"/api/v1/groups?"+filter+"="+url.QueryEscape(`type eq "BUILT_IN"`), "").list(t); len(l) != 1 {
			t.Errorf("%s: %v", filter, l)
		}
	}

	wantCode(t, do(t, rt, "PUT", everyone+"/users/"+path(user), ""), 501, "E0000060")
	wantCode(t, do(t, rt, "DELETE", everyone+"/users/"+path(user), ""), 501, "E0000060")
	wantCode(t, do(t, rt, "PUT", everyone, `{"profile":{"name":"All"}}`), 403, "E0000111")
	wantCode(t, do(t, rt, "DELETE", everyone, ""), 403, "E0000111")
	wantCode(t, do(t, rt, "POST", org+"/api/v1/groups", `{"profile":{"name":"everyone"}}`), 400, "E0000001")
	if len(o.GroupIDs()) != 1 {
		t.Error("GroupIDs has Everyone")
	}
}

func path(u string) string { return u[strings.LastIndex(u, "/")+1:] }

func TestTheDeactivatedHaveLeftTheirGroups(t *testing.T) {
	for name, deactivate := range map[string]func(rt http.RoundTripper, user string) answer{
		"deactivate": func(rt http.RoundTripper, user string) answer {
			return do(t, rt, "POST", user+"/lifecycle/deactivate", "")
		},
		"delete": func(rt http.RoundTripper, user string) answer { return do(t, rt, "DELETE", user, "") },
	} {
		t.Run(name, func(t *testing.T) {
			o := oktatest.New(oktatest.WithUsers(2), oktatest.WithGroups(2))
			rt := o.Transport()
			user, group := org+"/api/v1/users/"+o.UserIDs()[0], org+"/api/v1/groups/"+o.GroupIDs()[1]
			for _, id := range o.UserIDs() {
				wantStatus(t, do(t, rt, "PUT", group+"/users/"+id, ""), 204)
			}
			deactivate(rt, user)
			for url, want := range map[string]int{
				group + "/users": 1, org + "/api/v1/groups/" + o.EveryoneID() + "/users": 1, user + "/groups": 0,
			} {
				if l := do(t, rt, "GET", url, "").list(t); len(l) != want {
					t.Errorf("%s: %d, want %d", url, len(l), want)
				}
			}
			wantCode(t, do(t, rt, "DELETE", group+"/users/"+path(user), ""), 404, "E0000007")
			wantCode(t, do(t, rt, "PUT", group+"/users/"+path(user), ""), 404, "E0000007")

			wantStatus(t, do(t, rt, "POST", user+"/lifecycle/activate", ""), 200)
			if l := do(t, rt, "GET", user+"/groups", "").list(t); len(l) != 1 || l[0]["type"] != "BUILT_IN" {
				t.Errorf("activated again: in %v, want Everyone only", l)
			}
		})
	}
}

// 1,107 of 1,107 lists of groups by q.
func TestGroupsByPrefixAreNotPaged(t *testing.T) {
	o := oktatest.New(oktatest.WithGroups(30))
	for query, want := range map[string]int{"?q=group": 30, "?q=group&limit=7": 7, "?q=EVERY": 1, "?q=none": 0} {
		a := do(t, o.Transport(), "GET", org+"/api/v1/groups"+query, "")
		if n := len(a.list(t)); n != want || a.Header["Link"] != nil {
			t.Errorf("%s: %d groups, links %q; want %d and none", query, n, a.Header["Link"], want)
		}
	}
}

func TestListsAreInOktasOrder(t *testing.T) {
	o := oktatest.New()
	rt := o.Transport()
	for _, name := range []string{"b", "A", "c", "d"} {
		wantStatus(t, do(t, rt, "POST", org+"/api/v1/groups", `{"profile":{"name":"`+name+`"}}`), 200)
	}
	for i := range 20 {
		created(t, o, "", person(fmt.Sprintf("u%d@x.test", 99-i)))
	}
	names := func() (all []string) {
		for _, g := range do(t, rt, "GET", org+"/api/v1/groups", "").list(t) {
			all = append(all, g["profile"].(map[string]any)["name"].(string))
		}
		return all
	}
	if got := fmt.Sprint(names()); got != "[A b c d Everyone]" {
		t.Errorf("groups %s", got)
	}
	b := do(t, rt, "GET", org+"/api/v1/groups?q=b", "").list(t)[0]["id"].(string)
	wantStatus(t, do(t, rt, "PUT", org+"/api/v1/groups/"+b, `{"profile":{"name":"z"}}`), 200)
	if got := fmt.Sprint(names()); got != "[A c d Everyone z]" {
		t.Errorf("renamed: groups %s", got)
	}
	var ids []string
	for _, p := range pages(t, rt, org+"/api/v1/users?limit=7") {
		ids = append(ids, p...)
	}
	if len(ids) != 20 || !slices.IsSorted(ids) {
		t.Errorf("users %q, want them by id", ids)
	}
}

func TestListsNameTheirDefaultLimits(t *testing.T) {
	o := oktatest.New(oktatest.WithUsers(1001), oktatest.WithGroups(1))
	user, group := o.UserIDs()[0], o.EveryoneID()
	for _, c := range []struct {
		at, self string
		n        int
	}{
		{"/api/v1/users", "/api/v1/users?limit=200", 200},
		{"/api/v1/users?filter=status+eq+%22ACTIVE%22", "/api/v1/users?limit=200&filter=status+eq+%22ACTIVE%22", 200},
		{"/api/v1/users?limit=3", "/api/v1/users?limit=3", 3},
		{"/api/v1/users?limit=500", "/api/v1/users?limit=200", 200},
		{"/api/v1/groups", "/api/v1/groups?limit=10000", 2},
		{"/api/v1/groups/" + group + "/users", "/api/v1/groups/" + group + "/users?limit=1000", 1000},
		{"/api/v1/users/" + user + "/groups", "/api/v1/users/" + user + "/groups?limit=200", 1},
	} {
		a := do(t, o.Transport(), "GET", org+c.at, "")
		if n := len(a.list(t)); n != c.n || a.Header["Link"][0] != "<"+org+c.self+`>; rel="self"` {
			t.Errorf("%s: %d entries, self %s", c.at, n, a.Header["Link"][0])
		}
	}
}

func TestCursorsAreTheLastEntrysID(t *testing.T) {
	o := oktatest.New(oktatest.WithUsers(5), oktatest.WithGroups(5))
	for _, list := range []string{"/api/v1/users", "/api/v1/groups", "/api/v1/groups/" + o.EveryoneID() + "/users"} {
		a := do(t, o.Transport(), "GET", org+list+"?limit=2", "")
		next, err := url.Parse(nextLink.FindStringSubmatch(a.Header["Link"][1])[1])
		if err != nil || next.Query().Get("after") != a.list(t)[1]["id"] {
			t.Errorf("%s: next is %v after %v", list, next, a.list(t)[1]["id"])
		}
	}
	// A page boundary survives the deletion of its group, which is known by its name.
	rt := o.Transport()
	a := do(t, rt, "GET", org+"/api/v1/groups?limit=3", "")
	wantStatus(t, do(t, rt, "DELETE", org+"/api/v1/groups/"+a.list(t)[2]["id"].(string), ""), 204)
	rest := pages(t, rt, nextLink.FindStringSubmatch(a.Header["Link"][1])[1])
	if len(rest) != 1 || !slices.Equal(rest[0], o.GroupIDs()[1:]) {
		t.Errorf("went on with %v, want %v", rest, o.GroupIDs()[1:])
	}
	wantCode(t, do(t, rt, "GET", org+"/api/v1/groups?after=00gnone", ""), 400, "E0000029")
}

// 10 of 10 PUTs of credentials.
func TestPutOfCredentialsKeepsTheProfile(t *testing.T) {
	o := oktatest.New()
	user := created(t, o, "?activate=false", person("a@x.test"))
	before := do(t, o.Transport(), "GET", user, "").json(t)
	a := do(t, o.Transport(), "PUT", user, "{"+withQuestion[1:]+"}")
	wantStatus(t, a, 200)
	after := a.json(t)
	if fmt.Sprint(before["profile"]) != fmt.Sprint(after["profile"]) {
		t.Errorf("profile %v, want %v", after["profile"], before["profile"])
	}
	c := after["credentials"].(map[string]any)
	if c["password"] == nil || c["recovery_question"].(map[string]any)["question"] != "Why?" || after["passwordChanged"] == nil {
		t.Errorf("credentials %v", c)
	}
}

// 9 of 9 creates with an attribute that the schema lacks.
func TestAttributesThatTheSchemaLacks(t *testing.T) {
	o := oktatest.New(oktatest.WithProfileAttributes("badge"))
	ann := person("a@x.test")
	with := func(attribute string) string {
		return strings.Replace(ann, `"profile":{`, `"profile":{`+attribute+`,`, 1)
	}
	a := do(t, o.Transport(), "POST", org+"/api/v1/users", "{"+with(`"notValid":"x","nor":null`)+"}")
	wantCode(t, a, 400, "E0000001")
	if !strings.Contains(a.body, `"errorSummary":"Api validation failed: newUser"`) ||
		!strings.Contains(a.body, `"errorCauses":[{"errorSummary":"Property name 'nor' is not defined in profile"},{"errorSummary":"Property name 'notValid' is not defined in profile"}]`) {
		t.Error(a.body)
	}
	if len(o.UserIDs()) != 0 {
		t.Error("the user is there all the same")
	}
	user := created(t, o, "", with(`"badge":"7","postalAddress":null`))
	for _, method := range []string{"POST", "PUT"} {
		wantCode(t, do(t, o.Transport(), method, user, "{"+with(`"notValid":"x"`)+"}"), 400, "E0000001")
	}
	if _, err := o.AddUser("", map[string]any{"login": "b@x.test", "email": "b@x.test", "shoe": "44"}); err != nil {
		t.Fatal(err)
	}
	wantStatus(t, do(t, o.Transport(), "POST", user, `{"profile":{"shoe":"43"}}`), 200)
}

func TestSchemasDefineAttributes(t *testing.T) {
	o := oktatest.New()
	rt := o.Transport()
	define := func(property string) {
		wantStatus(t, do(t, rt, "POST", org+"/api/v1/meta/schemas/user/default",
			`{"definitions":{"custom":{"id":"#custom","type":"object","properties":{"badge":`+property+`,"login":null}}}}`), 200)
	}
	body := `{"profile":{"login":"a@x.test","email":"a@x.test","badge":"7"}}`
	wantCode(t, do(t, rt, "POST", org+"/api/v1/users", body), 400, "E0000001")
	define(`{"title":"Badge","type":"string"}`)
	a := do(t, rt, "POST", org+"/api/v1/users", body)
	wantStatus(t, a, 200)
	if p := a.json(t)["profile"].(map[string]any); p["badge"] != "7" || p["login"] != "a@x.test" {
		t.Error(p)
	}
	define("null")
	wantCode(t, do(t, rt, "POST", org+"/api/v1/users/a@x.test", `{"profile":{"badge":"8"}}`), 400, "E0000001")
}

// 3,721 of 3,721 users.
func TestUsersLinksFollowTheirState(t *testing.T) {
	o := oktatest.New()
	rt := o.Transport()
	names := regexp.MustCompile(`"(\w+)":\{"href"`)
	links := func(user string) string {
		body := do(t, rt, "GET", user, "").body
		var all []string
		for _, m := range names.FindAllStringSubmatch(body[strings.Index(body, `"_links"`):], -1) {
			all = append(all, m[1])
		}
		return strings.Join(all, " ")
	}
	step := func(user, step string) { wantStatus(t, do(t, rt, "POST", user+"/lifecycle/"+step, ""), 200) }
	want := func(what, user, links string, got string) {
		t.Helper()
		if got != links {
			t.Errorf("%s:\n got %s\nwant %s", what, got, links)
		}
	}
	bare := created(t, o, "?activate=false", person("a@x.test"))
	want("staged", bare, "schema activate self resetFactors type", links(bare))
	step(bare, "activate")
	want("provisioned", bare, "suspend schema resetPassword reactivate self resetFactors type deactivate", links(bare))
	user := created(t, o, "", person("b@x.test")+withPassword)
	want("active with a password", user,
		"suspend schema resetPassword expirePassword changeRecoveryQuestion self resetFactors type changePassword deactivate", links(user))
	full := created(t, o, "", person("c@x.test")+withQuestion)
	active := "suspend schema resetPassword forgotPassword expirePassword changeRecoveryQuestion self resetFactors type changePassword deactivate"
	want("active with a question", full, active, links(full))
	step(full, "expire_password")
	want("password expired", full, active, links(full))
	step(user, "suspend")
	want("suspended", user, "schema unsuspend self resetFactors type deactivate", links(user))
	step(user, "deactivate")
	want("deprovisioned", user, "schema activate self resetFactors type delete", links(user))

	body := do(t, rt, "GET", user, "").body
	for _, link := range []string{
		`"activate":{"href":"` + user + `/lifecycle/activate","method":"POST"}`,
		`"self":{"href":"` + user + `"}`,
		`"delete":{"href":"` + user + `","method":"DELETE"}`,
	} {
		if !strings.Contains(body, link) {
			t.Errorf("no %s in %s", link, body)
		}
	}
	for _, u := range do(t, rt, "GET", org+"/api/v1/users", "").list(t) {
		if l := u["_links"].(map[string]any); len(l) != 1 || l["self"] == nil {
			t.Errorf("in a list: links %v, want self only", l)
		}
	}
}

func TestUsersAndGroupsLookAsRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(1500 * time.Millisecond)
		o := oktatest.New()
		rt := o.Transport()
		a := do(t, rt, "POST", org+"/api/v1/users?activate=false",
			`{"profile":{"nickName":"JD","email":"a@x.test","lastName":"Doe","firstName":"J & D","login":"a@x.test","displayName":"Dr."}`+withPassword+`}`)
		const at = `"2000-01-01T00:00:01.000Z"`
		id := a.json(t)["id"].(string)
		want := `{"id":"` + id + `","status":"STAGED","created":` + at + `,"activated":null,"statusChanged":null,"lastLogin":null,"lastUpdated":` + at +
			`,"passwordChanged":` + at + `,"type":{"id":"oty0000000000000deft"},"profile":{"firstName":"J & D","lastName":"Doe","mobilePhone":null,"displayName":"Dr.",` +
			`"nickName":"JD","secondEmail":null,"login":"a@x.test","email":"a@x.test"},"credentials":{"password":{},"emails":[{"value":"a@x.test","status":"VERIFIED","type":"PRIMARY"}],` +
			`"provider":{"type":"OKTA","name":"OKTA"}},"_links":{`
		if !strings.HasPrefix(a.body, want) {
			t.Errorf("user\n%s\nwant\n%s", a.body, want)
		}
		time.Sleep(700 * time.Millisecond)
		do(t, rt, "POST", org+"/api/v1/users/"+id+"/lifecycle/activate", "")
		u := do(t, rt, "GET", org+"/api/v1/users/"+id, "").json(t)
		for _, field := range []string{"activated", "statusChanged", "lastUpdated"} {
			if u[field] != "2000-01-01T00:00:02.000Z" {
				t.Errorf("%s %v", field, u[field])
			}
		}

		a = do(t, rt, "POST", org+"/api/v1/groups", `{"profile":{"name":"g"}}`)
		self := org + "/api/v1/groups/" + a.json(t)["id"].(string)
		logo := `\{"name":"(medium|large)","href":"https://[^"]*\.png","type":"image/png"\}`
		form := `^\{"id":"00g\w{17}","created":"2000-01-01T00:00:02.000Z","lastUpdated":"2000-01-01T00:00:02.000Z","lastMembershipUpdated":"2000-01-01T00:00:02.000Z",` +
			`"objectClass":\["okta:user_group"\],"type":"OKTA_GROUP","profile":\{"name":"g","description":null\},"_links":\{"logo":\[` + logo + `,` + logo + `\],` +
			regexp.QuoteMeta(`"users":{"href":"`+self+`/users"},"apps":{"href":"`+self+`/apps"}}}`) + `$`
		if !regexp.MustCompile(form).MatchString(a.body) {
			t.Errorf("group\n%s\nwant\n%s", a.body, form)
		}
	})
}

// The order of all 31 attributes, as one recorded user has them.
func TestAProfilesAttributesAreInOktasOrder(t *testing.T) {
	const order = "profileUrl lastName zipCode preferredLanguage city displayName timezone locale title login employeeNumber division " +
		"honorificSuffix countryCode state department email manager costCenter nickName secondEmail honorificPrefix managerId firstName " +
		"primaryPhone postalAddress mobilePhone streetAddress organization middleName userType"
	profile := map[string]any{}
	for _, name := range strings.Fields(order) {
		profile[name] = "x"
	}
	o := oktatest.New()
	id, err := o.AddUser("", profile)
	if err != nil {
		t.Fatal(err)
	}
	body := do(t, o.Transport(), "GET", org+"/api/v1/users/"+id, "").body
	var got []string
	for _, m := range regexp.MustCompile(`"(\w+)":"x"`).FindAllStringSubmatch(body, -1) {
		if m[1] != "value" {
			got = append(got, m[1])
		}
	}
	if strings.Join(got, " ") != order {
		t.Errorf("got  %s\nwant %s", strings.Join(got, " "), order)
	}
}

func TestStatusesThatRefuse(t *testing.T) {
	o := oktatest.New()
	rt := o.Transport()
	at := map[string]string{
		"STAGED":      created(t, o, "?activate=false", person("a@x.test")+withPassword),
		"PROVISIONED": created(t, o, "", person("b@x.test")),
		"ACTIVE":      created(t, o, "", person("c@x.test")+withPassword),
	}
	for _, c := range []struct {
		status, step string
		code         int
		want         string
	}{
		{"STAGED", "reactivate", 403, "E0000038"}, // recorded
		{"ACTIVE", "reactivate", 403, "E0000038"},
		{"ACTIVE", "unlock", 403, "E0000032"}, // recorded, twice
		{"PROVISIONED", "expire_password", 403, "E0000038"},
		{"STAGED", "reset_password", 403, "E0000038"},
		{"PROVISIONED", "suspend", 400, "E0000001"},
		{"ACTIVE", "unsuspend", 400, "E0000001"},
		{"ACTIVE", "activate", 403, "E0000016"},
	} {
		wantCode(t, do(t, rt, "POST", at[c.status]+"/lifecycle/"+c.step, ""), c.code, c.want)
	}
	if a := do(t, rt, "POST", at["PROVISIONED"]+"/lifecycle/reactivate?sendEmail=false", ""); a.json(t)["activationToken"] == nil {
		t.Error(a.body)
	}
	if a := do(t, rt, "POST", at["ACTIVE"]+"/lifecycle/reset_password?sendEmail=false", ""); a.json(t)["resetPasswordUrl"] == nil || status(t, o, at["ACTIVE"]) != "RECOVERY" {
		t.Error(a.body)
	}
	if a := do(t, rt, "POST", at["ACTIVE"]+"/lifecycle/expire_password_with_temp_password", ""); a.json(t)["tempPassword"] == nil || status(t, o, at["ACTIVE"]) != "PASSWORD_EXPIRED" {
		t.Error(a.body)
	}
}

func TestIDsHaveOktasForms(t *testing.T) {
	o := oktatest.New(oktatest.WithUsers(1))
	seen := map[string]bool{}
	for range 100 {
		a := do(t, o.Transport(), "GET", org+"/api/v1/users/00unone", "")
		for form, id := range map[string]string{
			`^[0-9a-f]{32}$`:         a.Header.Get("X-Okta-Request-Id"),
			`^oae[0-9A-Za-z_-]{22}$`: a.json(t)["errorId"].(string),
		} {
			if !regexp.MustCompile(form).MatchString(id) || seen[id] {
				t.Fatalf("%q is no id of the form %s, or comes twice", id, form)
			}
			seen[id] = true
		}
	}
}

func TestAnInvalidTokenIsCountedNowhere(t *testing.T) {
	o := oktatest.New(oktatest.RequireAuth("SSWS x"), oktatest.WithConcurrencyLimit(1), oktatest.WithLimit("/api/v1/users", 5))
	for range 10 {
		a := do(t, o.Transport(), "GET", org+"/api/v1/users", "", "Authorization", "SSWS y")
		wantCode(t, a, 401, "E0000011")
		for k := range a.Header {
			if strings.HasPrefix(k, "X-Rate-Limit") {
				t.Fatalf("%s: %s", k, a.Header.Get(k))
			}
		}
	}
	o.Script("*", oktatest.Code("E0000011"))
	wantCode(t, do(t, o.Transport(), "GET", org+"/api/v1/users", "", "Authorization", "SSWS x"), 401, "E0000011")
	if n := o.Used("GET /api/v1/users"); n != 0 {
		t.Errorf("%d places taken", n)
	}
	wantStatus(t, do(t, o.Transport(), "GET", org+"/api/v1/users", "", "Authorization", "SSWS x"), 200)
}
