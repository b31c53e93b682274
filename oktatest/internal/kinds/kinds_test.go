package kinds_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/oktatest/internal/generic"
	"github.com/oktaretry/oktaretry/oktatest/internal/kinds"
)

// fakeOrg is a store that answers as an org would.
type fakeOrg struct {
	*testing.T
	store *generic.Store
	now   time.Time
}

func newOrg(t *testing.T) *fakeOrg {
	n := 0
	return &fakeOrg{t, generic.New(generic.Config{
		Kinds: kinds.All,
		NewID: func(prefix string) string { n++; return fmt.Sprintf("%s%0*d", prefix, 20-len(prefix), n) },
		Find: func(_, key, _ string) (string, map[string]any, bool) {
			return key, map[string]any{"id": key}, strings.HasPrefix(key, "00u") || strings.HasPrefix(key, "00g")
		},
	}), time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC)}
}

// do sends a request, which must get the status; the answer is an object or a list,
// or an error's code and cause.
func (o *fakeOrg) do(method, path, body string, status int) any {
	o.Helper()
	u, err := url.Parse(path)
	if err != nil {
		o.Fatal(err)
	}
	r, ok := o.store.Answer(&generic.Request{
		Method: method, Segments: strings.Split(strings.Trim(u.Path, "/"), "/"), Query: u.Query(),
		Body: []byte(body), Base: "https://acme.okta.test", Now: o.now,
	})
	if !ok || r.Status != status {
		o.Fatalf("%s %s: %t, %+v %+v, want %d", method, path, ok, r, r.Failure, status)
	}
	switch {
	case r.Failure != nil:
		return strings.TrimSpace(r.Failure.Code + " " + strings.Join(r.Failure.Causes, ", "))
	case r.IsList:
		all := []any{}
		for _, e := range r.List {
			all = append(all, e.Body)
		}
		return all
	}
	return r.Body
}

func (o *fakeOrg) create(path, body string, status int) (id string) {
	o.Helper()
	m, _ := o.do("POST", path, body, status).(map[string]any)
	id, _ = m["id"].(string)
	if id == "" {
		o.Fatalf("POST %s: no id in %v", path, m)
	}
	return id
}

// get is a field of what a path answers, by its own path.
func (o *fakeOrg) get(path, field string) any {
	o.Helper()
	v := o.do("GET", path, "", 200)
	for _, k := range strings.Split(field, ".") {
		m, _ := v.(map[string]any)
		v = m[k]
	}
	return v
}

// fields is a field of each entry of a list.
func (o *fakeOrg) fields(path, field string) string {
	o.Helper()
	var all []string
	for _, x := range o.do("GET", path, "", 200).([]any) {
		all = append(all, fmt.Sprint(x.(map[string]any)[field]))
	}
	return strings.Join(all, ",")
}

func (o *fakeOrg) want(what string, got, want any) {
	o.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		text, _ := json.Marshal(got)
		o.Errorf("%s: %s, want %v", what, text, want)
	}
}

const bookmark = `{"name":"bookmark","label":"News","signOnMode":"BOOKMARK","settings":{"app":{"url":"https://news.example"}}}`

func TestAppsLiveUntilTheyAreDeactivated(t *testing.T) {
	o := newOrg(t)
	id := o.create("/api/v1/apps", bookmark, 200)
	app := "/api/v1/apps/" + id
	o.want("id", id[:3], "0oa")
	o.want("status", o.get(app, "status"), "ACTIVE")
	o.want("url", o.get(app, "settings.app.url"), "https://news.example")
	o.want("delete while active", o.do("DELETE", app, "", 403), "E0000056 The application must be deactivated before deletion.")
	o.do("POST", app+"/lifecycle/deactivate", "", 200)
	o.want("status", o.get(app, "status"), "INACTIVE")
	o.do("PUT", app, strings.Replace(bookmark, "News", "Old news", 1), 200)
	o.want("after a PUT", o.get(app, "label"), "Old news")
	o.want("status after a PUT", o.get(app, "status"), "INACTIVE")
	o.do("DELETE", app, "", 204)
	o.want("deleted", o.do("GET", app, "", 404), "E0000007")
	idle := o.create("/api/v1/apps?activate=False", bookmark, 200)
	o.want("not activated", o.get("/api/v1/apps/"+idle, "status"), "INACTIVE")
}

func TestAppsNeedALabelASignOnModeAndOftenAName(t *testing.T) {
	o := newOrg(t)
	for field, body := range map[string]string{
		"label":      `{"name":"bookmark","signOnMode":"BOOKMARK"}`,
		"signOnMode": `{"name":"bookmark","label":"News"}`,
		"name":       `{"label":"News","signOnMode":"BOOKMARK"}`,
	} {
		o.want(field, o.do("POST", "/api/v1/apps", body, 400), "E0000001 "+field+": The field cannot be left blank")
	}
	o.want("mode", o.do("POST", "/api/v1/apps", `{"label":"News","signOnMode":"NONE_OF_THEM"}`, 400), "E0000001 signOnMode: Not one of the allowed values.")
	saml := o.create("/api/v1/apps", `{"label":"My SAML","signOnMode":"SAML_2_0"}`, 200)
	o.want("name of one's own", o.get("/api/v1/apps/"+saml, "name"), "oktatest_mysaml_1")
	oidc := o.create("/api/v1/apps", `{"name":"oidc_client","label":"Web","signOnMode":"OPENID_CONNECT"}`, 200)
	o.want("client id", o.get("/api/v1/apps/"+oidc, "credentials.oauthClient.client_id"), oidc)
}

func TestUsersAndGroupsAreAssignedToApps(t *testing.T) {
	o := newOrg(t)
	app := "/api/v1/apps/" + o.create("/api/v1/apps", bookmark, 200)
	o.want("nobody", o.do("POST", app+"/users", `{}`, 400), "E0000001 id: The field cannot be left blank")
	o.want("no such user", o.do("POST", app+"/users", `{"id":"nobody"}`, 404), "E0000007")
	o.want("user", o.create(app+"/users", `{"id":"00u1","credentials":{"userName":"ann"}}`, 200), "00u1")
	o.create(app+"/users", `{"id":"00u1"}`, 200)
	o.want("users", o.fields(app+"/users", "id"), "00u1")
	o.want("scope", o.get(app+"/users/00u1", "scope"), "USER")
	o.want("no such group", o.do("PUT", app+"/groups/none", `{}`, 404), "E0000007")
	o.do("PUT", app+"/groups/00g1", `{}`, 200)
	o.do("PUT", app+"/groups/00g2", `{"priority":7}`, 200)
	o.want("groups", o.fields(app+"/groups", "id"), "00g1,00g2")
	o.want("priorities", o.fields(app+"/groups", "priority"), "0,7")
	o.want("apps of a group", o.fields("/api/v1/groups/00g2/apps", "label"), "News")
	o.want("apps of another", o.fields("/api/v1/groups/00g3/apps", "label"), "")
	o.do("DELETE", app+"/users/00u1", "", 204)
	o.want("taken away", o.do("GET", app+"/users/00u1", "", 404), "E0000007")
}

func TestPoliciesHaveTypesPrioritiesAndADefault(t *testing.T) {
	o := newOrg(t)
	o.want("no type", o.do("GET", "/api/v1/policies", "", 400), "E0000001 type: The field cannot be left blank")
	o.want("no such type", o.do("GET", "/api/v1/policies?type=NONE", "", 400), "E0000002")
	o.want("without a type", o.do("POST", "/api/v1/policies", `{"name":"x"}`, 400), "E0000001 type: The field cannot be left blank")
	const list = "/api/v1/policies?type=PASSWORD"
	o.want("default", o.fields(list, "system"), true)
	a := o.create("/api/v1/policies", `{"type":"PASSWORD","name":"A"}`, 200)
	b := o.create("/api/v1/policies", `{"type":"PASSWORD","name":"B"}`, 200)
	o.want("prefix", a[:3], "00p")
	o.want("order", o.fields(list, "name"), "A,B,Default Policy")
	o.do("PUT", "/api/v1/policies/"+b, `{"type":"PASSWORD","name":"B","priority":1}`, 200)
	o.want("order", o.fields(list, "name"), "B,A,Default Policy")
	o.want("priorities", o.fields(list, "priority"), "1,2,3")
	o.want("twice", o.do("POST", "/api/v1/policies", `{"type":"PASSWORD","name":"A"}`, 400), "E0000001 name: Policy name already in use")
	o.do("POST", "/api/v1/policies/"+a+"/lifecycle/deactivate", "", 204)
	o.want("status", o.get("/api/v1/policies/"+a, "status"), "INACTIVE")
	o.do("DELETE", "/api/v1/policies/"+a, "", 204)
	system := o.do("GET", list, "", 200).([]any)[1].(map[string]any)["id"].(string)
	o.want("the default stays", o.do("DELETE", "/api/v1/policies/"+system, "", 403), "E0000077")
	o.want("another engine's", o.create("/api/v1/policies", `{"type":"ACCESS_POLICY","name":"C"}`, 200)[:3], "rst")
}

func TestRulesLieBelowTheirPolicies(t *testing.T) {
	o := newOrg(t)
	policy := "/api/v1/policies/" + o.create("/api/v1/policies", `{"type":"OKTA_SIGN_ON","name":"A"}`, 200)
	o.want("without a name", o.do("POST", policy+"/rules", `{"type":"SIGN_ON"}`, 400), "E0000001 name: The field cannot be left blank")
	first := o.create(policy+"/rules", `{"type":"SIGN_ON","name":"first"}`, 200)
	o.create(policy+"/rules", `{"type":"SIGN_ON","name":"second"}`, 200)
	o.create(policy+"/rules", `{"type":"SIGN_ON","name":"now first","priority":1}`, 200)
	o.want("order", o.fields(policy+"/rules", "name"), "now first,first,second")
	o.do("POST", policy+"/rules/"+first+"/lifecycle/deactivate", "", 204)
	o.want("status", o.get(policy+"/rules/"+first, "status"), "INACTIVE")
	o.want("elsewhere", o.do("GET", "/api/v1/policies/none/rules/"+first, "", 404), "E0000007")
	o.do("DELETE", policy, "", 204)
	o.want("gone with it", o.do("GET", policy+"/rules/"+first, "", 404), "E0000007")
	access := "/api/v1/policies/" + o.create("/api/v1/policies", `{"type":"ACCESS_POLICY","name":"B"}`, 200)
	o.want("catch-all", o.fields(access+"/rules", "name"), "Catch-all Rule")
}

func TestRolesAreAssignedOnce(t *testing.T) {
	o := newOrg(t)
	o.want("without a type", o.do("POST", "/api/v1/users/00u1/roles", `{}`, 400), "E0000001 type: The field cannot be left blank")
	id := o.create("/api/v1/users/00u1/roles", `{"type":"SUPER_ADMIN"}`, 201)
	o.want("label", o.get("/api/v1/users/00u1/roles/"+id, "label"), "Super Administrator")
	o.want("twice", o.do("POST", "/api/v1/users/00u1/roles", `{"type":"SUPER_ADMIN"}`, 409), "E0000090")
	o.create("/api/v1/groups/00g1/roles", `{"type":"SUPER_ADMIN"}`, 201)
	o.want("of a group", o.fields("/api/v1/groups/00g1/roles", "assignmentType"), "GROUP")
	o.do("DELETE", "/api/v1/users/00u1/roles/"+id, "", 204)
	o.want("roles", o.fields("/api/v1/users/00u1/roles", "type"), "")
}

func TestTheUserSchemaTakesAttributes(t *testing.T) {
	o := newOrg(t)
	const schema = "/api/v1/meta/schemas/user/default"
	custom := func(properties string) string {
		return `{"definitions":{"custom":{"id":"#custom","type":"object","properties":` + properties + `}}}`
	}
	o.want("base", o.get(schema, "definitions.base.properties.login.type"), "string")
	o.want("no type", o.do("POST", schema, custom(`{"badge":{"title":"Badge"}}`), 400), "E0000001 badge: The field type cannot be left blank")
	o.do("POST", schema, custom(`{"badge":{"title":"Badge","type":"string"}}`), 200)
	o.do("POST", schema, custom(`{"shoe":{"title":"Shoe","type":"integer"}}`), 200)
	o.want("added", o.get(schema, "definitions.custom.properties.badge.title"), "Badge")
	o.do("POST", schema, custom(`{"badge":null}`), 200)
	o.want("taken away", o.get(schema, "definitions.custom.properties.badge"), nil)
	o.want("kept", o.get(schema, "definitions.custom.properties.shoe.type"), "integer")
}

func TestServersBeginWithScopesAndClaims(t *testing.T) {
	o := newOrg(t)
	o.want("default", o.get("/api/v1/authorizationServers/default", "audiences"), "[api://default]")
	o.want("no audience", o.do("POST", "/api/v1/authorizationServers", `{"name":"a"}`, 400), "E0000001 audiences: The field cannot be left blank")
	server := "/api/v1/authorizationServers/" + o.create("/api/v1/authorizationServers", `{"name":"a","audiences":["api://a"]}`, 201)
	o.want("scopes", strings.HasPrefix(o.fields(server+"/scopes", "name"), "openid,profile"), true)
	o.create(server+"/scopes", `{"name":"cars:read"}`, 201)
	o.want("twice", fmt.Sprint(o.do("POST", server+"/scopes", `{"name":"cars:read"}`, 400))[:8], "E0000001")
	o.want("claims", o.fields(server+"/claims", "name"), "sub")
	policy := server + "/policies/" + o.create(server+"/policies", `{"name":"p"}`, 201)
	o.want("type", o.get(policy, "type"), "OAUTH_AUTHORIZATION_POLICY")
	o.create(policy+"/rules", `{"name":"r","type":"RESOURCE_ACCESS"}`, 201)
	o.want("rules", o.fields(policy+"/rules", "status"), "ACTIVE")
	o.do("POST", server+"/lifecycle/deactivate", "", 204)
	o.want("status", o.get(server, "status"), "INACTIVE")
}

func TestWhatBeginsActive(t *testing.T) {
	o := newOrg(t)
	for path, body := range map[string]string{
		"/api/v1/eventHooks":     `{"name":"h","events":{"type":"EVENT_TYPE","items":[]},"channel":{"type":"HTTP","version":"1.0.0","config":{"uri":"https://x"}}}`,
		"/api/v1/inlineHooks":    `{"name":"h","type":"com.okta.saml.tokens.transform","version":"1.0.0"}`,
		"/api/v1/trustedOrigins": `{"name":"t","origin":"https://x"}`,
		"/api/v1/zones":          `{"name":"z","type":"IP"}`,
		"/api/v1/idps":           `{"name":"i","type":"OIDC"}`,
	} {
		at := path + "/" + o.create(path, body, 200)
		o.want(path, o.get(at, "status"), "ACTIVE")
		o.do("POST", at+"/lifecycle/deactivate", "", 200)
		o.want(path, o.get(at, "status"), "INACTIVE")
		o.do("DELETE", at, "", 204)
	}
	o.want("zones", o.fields("/api/v1/zones", "name"), "LegacyIpZone,BlockedIpZone")
	o.want("authenticators", o.fields("/api/v1/authenticators", "key"), "okta_email,okta_password,okta_verify,phone_number,security_question")
}

func TestUsersAreLinked(t *testing.T) {
	o := newOrg(t)
	o.do("POST", "/api/v1/meta/schemas/user/linkedObjects", `{"primary":{"name":"manager","title":"Manager","type":"USER"},"associated":{"name":"report","title":"Report","type":"USER"}}`, 201)
	o.want("by name", o.get("/api/v1/meta/schemas/user/linkedObjects/manager", "associated.name"), "report")
	const managers = "/api/v1/users/00u1/linkedObjects/manager"
	o.want("none", len(o.do("GET", managers, "", 200).([]any)), 0)
	o.do("PUT", managers+"/00u2", "", 204)
	o.want("one", strings.Contains(fmt.Sprint(o.do("GET", managers, "", 200)), "/api/v1/users/00u2"), true)
	o.do("DELETE", managers, "", 204)
	o.want("none again", len(o.do("GET", managers, "", 200).([]any)), 0)
}

func TestTypesOfUsersHaveSchemas(t *testing.T) {
	o := newOrg(t)
	id := o.create("/api/v1/meta/types/user", `{"name":"contractor","displayName":"Contractor"}`, 200)
	o.want("types", o.fields("/api/v1/meta/types/user", "name"), "user,contractor")
	href := fmt.Sprint(o.get("/api/v1/meta/types/user/"+id, "_links.schema.href"))
	o.want("its schema", o.get(strings.TrimPrefix(href, "https://acme.okta.test"), "definitions.base.properties.login.type"), "string")
	o.want("of the default", o.get("/api/v1/meta/types/user/default", "_links.schema.href"), "https://acme.okta.test/api/v1/meta/schemas/user/default")
	o.want("none", o.do("GET", "/api/v1/meta/schemas/user/osc9", "", 404), "E0000007")
}
