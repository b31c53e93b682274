package route_test

import (
	"strings"
	"testing"

	"github.com/oktaretry/oktaretry/internal/route"
)

func TestMatchFindsTheTemplate(t *testing.T) {
	for _, tt := range []struct{ path, template string }{
		// Ids, and what else occurs in their place.
		{"/api/v1/users", "/api/v1/users"},
		{"/api/v1/users/00ub0oNGTSWTBKOLGLNR", "/api/v1/users/{userId}"},
		{"/api/v1/users/me", "/api/v1/users/{userId}"},
		{"/api/v1/users/isaac.brock@example.com", "/api/v1/users/{userId}"},
		{"/api/v1/users/isaac%2Fbrock", "/api/v1/users/{userId}"},
		{"/api/v1/users/O'Neil Müller", "/api/v1/users/{userId}"},
		{"/api/v1/users/a/groups", "/api/v1/users/{userId}/groups"},
		{"/api/v1/users/me/groups", "/api/v1/users/{userId}/groups"},
		{"/api/v1/users/00u1/factors/opf1/verify", "/api/v1/users/{userId}/factors/{factorId}/verify"},
		{"/api/v1/users/00u1/factors/opf1/transactions/v2mst.x", "/api/v1/users/{userId}/factors/{factorId}/transactions/{transactionId}"},
		{"/api/v1/groups/00g1/users/00u1", "/api/v1/groups/{groupId}/users/{userId}"},
		{"/api/v1/authorizationServers/default/policies", "/api/v1/authorizationServers/{authServerId}/policies"},
		{"/api/v1/apps/0oa1/connections/default", "/api/v1/apps/{appId}/connections/default"},
		{"/api/v1/meta/schemas/user/default", "/api/v1/meta/schemas/user/{schemaId}"},
		{"/api/v1/logs", "/api/v1/logs"},
		{"/api/v1/features/ftr1/enable", "/api/v1/features/{featureId}/{lifecycle}"},
		{"/attack-protection/api/v1/user-lockout-settings", "/attack-protection/api/v1/user-lockout-settings"},

		// As long as a literal, with the same letters first, last and in the middle.
		{"/api/v1/uxeys", "/api/v1/*"},
		{"/api/v1/groups/ralos", "/api/v1/groups/{groupId}"},

		// A literal beats a parameter.
		{"/api/v1/groups/rules", "/api/v1/groups/rules"},
		{"/api/v1/groups/rules/0pr1", "/api/v1/groups/rules/{groupRuleId}"},
		{"/api/v1/users/00u1/factors/catalog", "/api/v1/users/{userId}/factors/catalog"},
		{"/api/v1/idps/credentials/keys", "/api/v1/idps/credentials/keys"},
		{"/api/v1/policies/simulate", "/api/v1/policies/simulate"},
		{"/api/v1/sessions/me", "/api/v1/sessions/me"},
		{"/api/v1/users/me/lifecycle/delete_sessions", "/api/v1/users/me/lifecycle/delete_sessions"},
		{"/api/v1/features/ftr1/dependents", "/api/v1/features/{featureId}/dependents"},
		{"/api/v1/apps/google/0oa1/oauth2/callback", "/api/v1/apps/google/{appId}/oauth2/callback"},
		{"/api/v1/apps/slack/0oa1/oauth2/callback", "/api/v1/apps/{appName}/{appId}/oauth2/callback"},

		// A literal that leads nowhere gives way to the parameter, however late that shows.
		{"/api/v1/groups/rules/users", "/api/v1/groups/rules/{groupRuleId}"},
		{"/api/v1/groups/rules/users/00u1", "/api/v1/groups/{groupId}/users/{userId}"},
		{"/api/v1/apps/google/users", "/api/v1/apps/{appId}/users"},
		{"/api/v1/apps/google", "/api/v1/apps/{appId}"},
		{"/api/v1/users/me/lifecycle/suspend", "/api/v1/users/{userId}/lifecycle/suspend"},
		{"/api/v1/radius", "/api/{apiVersion}/radius"},

		// Beside management.
		{"/api/v1/authn", "/api/v1/authn"},
		{"/api/v1/authn/factors/opf1/verify", "/api/v1/authn/factors/{factorId}/verify"},
		{"/idp/idx/challenge/poll", "/idp/idx/challenge/poll"},
		{"/oauth2/v1/token", "/oauth2/v1/token"},
		{"/oauth2/default/v1/token", "/oauth2/{authServerId}/v1/token"},
		{"/oauth2/aus1/v1/device/authorize", "/oauth2/{authServerId}/v1/device/authorize"},
		{"/oauth2/v1/clients/0oa1/roles/ra1", "/oauth2/v1/clients/{clientId}/roles/{roleId}"},
		{"/oauth2/default/.well-known/openid-configuration", "/oauth2/{authServerId}/.well-known/openid-configuration"},
		{"/.well-known/okta-organization", "/.well-known/okta-organization"},
		{"/app/template_saml_2_0/exk1/sso/saml", "/app/{app}/{key}/sso/saml"},
		{"/login/login.htm", "/login/login.htm"},

		// Slashes.
		{"", "/"},
		{"/", "/"},
		{"/api/v1/users/", "/api/v1/users"},
		{"/api/v1/users/00u1/", "/api/v1/users/{userId}"},
		{"api/v1/users", "/api/v1/users"},

		// Unknown: the longest known start, never the request's own words.
		{"//", "/*"},
		{"//api/v1/users", "/*"},
		{"/api//v1/users", "/api/*"},
		{"/api/v1/users//groups", "/api/v1/users/*"},
		{"/api/v1/users//", "/api/v1/users/*"},
		{"/api/v1/users/00u1/secrets", "/api/v1/users/{userId}/*"},
		{"/api/v1/users/00u1/secrets/of/the/user", "/api/v1/users/{userId}/*"},
		{"/api/v1/users/me/secrets", "/api/v1/users/{userId}/*"},
		{"/api/v1/users/00u1/lifecycle", "/api/v1/users/{userId}/*"},
		{"/api/v1/users/00u1/lifecycle/vanish", "/api/v1/users/{userId}/lifecycle/*"},
		{"/api/v1/users/00u1/groups/00g1", "/api/v1/users/{userId}/groups/*"},
		{"/api/v1/apps/0oa1/secrets", "/api/v1/apps/{appId}/*"},
		{"/api/v1/apps/google/secrets", "/api/v1/apps/google/*"},
		{"/api/v1/apps/slack/0oa1/secrets", "/api/v1/apps/{appName}/{appId}/*"},
		{"/api/v1/novelty", "/api/v1/*"},
		{"/api/v1", "/api/*"},
		{"/api", "/*"},
		{"/API/v1/users", "/*"},
		{"/api/v1/Users", "/api/v1/*"},
		{"/api/v1/us%65rs", "/api/v1/*"},
		{"/isaac.brock@example.com", "/*"},
		{"*", "/*"},
		{"/api/v1/users\x00", "/api/v1/*"},
		{"/\xff\xfe", "/*"},
	} {
		for _, method := range []string{"GET", "POST"} {
			if got := route.Match(method, tt.path).Template; got != tt.template {
				t.Errorf("Match(%s, %q).Template = %q, want %q", method, tt.path, got, tt.template)
			}
		}
	}
}

func TestMatchFindsTheBucket(t *testing.T) {
	const all = "GET POST PUT PATCH DELETE HEAD OPTIONS get PURGE"
	const others = "POST PUT PATCH DELETE OPTIONS get PURGE"
	for _, tt := range []struct{ methods, path, bucket string }{
		{all, "/api/v1/users", "/api/v1/users"},
		{"GET", "/api/v1/users/00u1", "GET /api/v1/users/{id}"},
		{others, "/api/v1/users/00u1", "/api/v1/users/{id}"},
		{"GET", "/api/v1/users/isaac@example.com", "GET /api/v1/users/{id}"},
		{"GET", "/api/v1/users/me", "GET /api/v1/users/me"},
		{"GET", "/api/v1/users/me/", "GET /api/v1/users/me"},
		{others, "/api/v1/users/me", "/api/v1/users"},
		{all, "/api/v1/users/me/groups", "/api/v1/users"},
		{all, "/api/v1/users/00u1/groups", "/api/v1/users"},
		{all, "/api/v1/users/00u1/novelty", "/api/v1/users"},
		{all, "/api/v1/users/00u1/factors", "/api/v1/users"},
		{all, "/api/v1/users/00u1/factors/opf1/verify", "/api/v1/users/{id}/factors/{id}/verify"},
		{all, "/api/v1/users/me/factors/opf1/verify", "/api/v1/users/{id}/factors/{id}/verify"},
		{all, "/api/v1/users/00u1/factors/opf1/lifecycle/activate", "/api/v1/users/{id}/factors/{id}/lifecycle/activate"},
		{all, "/api/v1/users/00u1/factors/opf1/resend", "/api/v1/users/{id}/factors/{id}/resend"},

		{all, "/api/v1/apps", "/api/v1/apps"},
		{all, "/api/v1/apps/0oa1", "/api/v1/apps/{id}"},
		{all, "/api/v1/apps/google", "/api/v1/apps/{id}"},
		{all, "/api/v1/apps/0oa1/users", "/api/v1/apps"},
		{all, "/api/v1/groups", "/api/v1/groups"},
		{all, "/api/v1/groups/00g1", "/api/v1/groups/{id}"},
		{all, "/api/v1/groups/rules", "/api/v1/groups"},
		{all, "/api/v1/groups/00g1/users", "/api/v1/groups"},

		{all, "/api/v1/logs", "/api/v1/logs"},
		{all, "/api/v1/logs/novelty", "/api/v1"},
		{all, "/api/v1/events", "/api/v1/events"},
		{all, "/api/v1/certificateAuthorities", "/api/v1/certificateAuthorities"},
		{all, "/api/v1/certificateAuthorities/ca1/novelty", "/api/v1/certificateAuthorities"},
		{all, "/api/v1/devices/guo1", "/api/v1/devices"},
		{all, "/api/v1/org", "/api/v1"},
		{all, "/api/v1/org/email/bounces/remove-list", "/api/v1/org/email/bounces/remove-list"},
		{all, "/api/v1/org/email/bounces", "/api/v1"},
		{"POST", "/api/v1/orgs", "/api/v1/orgs"},
		{all, "/api/v1/orgs/00o1", "/api/v1"},
		{all, "/api/v1", "/api/v1"},
		{all, "/api/v1/policies/00p1", "/api/v1"},
		{all, "/api/v1/zones", "/api/v1"},
		{all, "/api/v1/novelty/of/okta", "/api/v1"},
		{all, "/api/v1//users", "/api/v1"},
		{all, "/api/v1/radius", "/api/{version}/radius"},

		{all, "/api/v1/authn", "/api/v1/authn"},
		{all, "/api/v1/authn/skip", "/api/v1/authn"},
		{all, "/api/v1/authn/factors/opf1/verify", "/api/v1/authn/factors/{id}/verify"},
		{all, "/api/v1/authn/factors/opf1/verify/resend", "/api/v1/authn"},
		{all, "/api/v1/sessions/me", "/api/v1/sessions"},
		{all, "/idp/idx/challenge/poll", "/idp/idx"},
		{all, "/idp/idx/identify", "/idp/idx/identify"},
		{all, "/idp/idx/introspect", "/idp/idx/introspect"},
		{all, "/login/login.htm", "/login/login.htm"},
		{all, "/login/sso_iwa_auth", "/login/sso_iwa_auth"},
		{all, "/login/token/redirect", "/login/token/redirect"},
		{all, "/app/salesforce/exk1/sso/saml", "/app/{app}/{key}/sso/saml"},
		{all, "/app/template_saml_2_0/exk1/sso/saml", "/app/template_saml_2_0/{key}/sso/saml"},
		{all, "/app/office365/exk1/sso/wsfed/active", "/app/{app}/{key}/sso/wsfed/active"},
		{all, "/app/office365/exk1/sso/wsfed/passive", "/app/{app}/{key}/sso/wsfed/passive"},

		{all, "/oauth2/v1/token", "/oauth2/v1/token"},
		{all, "/oauth2/v1/authorize", "/oauth2/v1/authorize"},
		{all, "/oauth2/v1/introspect", "/oauth2/v1"},
		{all, "/oauth2/v1/novelty", "/oauth2/v1"},
		{all, "/oauth2/v1/clients", "/oauth2/v1/clients"},
		{all, "/oauth2/v1/clients/0oa1/roles", "/oauth2/v1/clients"},
		{all, "/oauth2/default/v1/token", "/oauth2/{as}/v1/token"},
		{all, "/oauth2/aus1/v1/authorize", "/oauth2/{as}/v1/authorize"},
		{all, "/oauth2/aus1/v1/userinfo", "/oauth2/{as}/v1"},
		{all, "/oauth2/aus1/v1/novelty", "/oauth2/{as}/v1"},
		{all, "/oauth2/aus1/novelty", "/oauth2"},

		{all, "/oauth2/v1/keys", ""},
		{all, "/oauth2/default/v1/keys", ""},
		{all, "/.well-known/openid-configuration", ""},
		{all, "/.well-known/oauth-authorization-server", ""},
		{all, "/oauth2/default/.well-known/openid-configuration", ""},
		{all, "/oauth2/default/.well-known/oauth-authorization-server", ""},

		{all, "", "/"},
		{all, "/", "/"},
		{all, "/novelty", "/"},
		{all, "//api/v1/users", "/"},
	} {
		for _, method := range strings.Fields(tt.methods) {
			if got := route.Match(method, tt.path).Bucket; got != tt.bucket {
				t.Errorf("Match(%s, %q).Bucket = %q, want %q", method, tt.path, got, tt.bucket)
			}
		}
	}
}

func TestMatchTakesNoMethodForGET(t *testing.T) {
	if got, want := route.Match("", "/api/v1/users/me"), route.Match("GET", "/api/v1/users/me"); got != want {
		t.Errorf("no method: %+v, GET: %+v", got, want)
	}
}

func TestMatchMarksEndpoints(t *testing.T) {
	for _, tt := range []struct {
		method, path        string
		token, factor, poll bool
	}{
		{method: "POST", path: "/oauth2/v1/token", token: true},
		{method: "POST", path: "/oauth2/v1/token/", token: true},
		{method: "POST", path: "/oauth2/default/v1/token", token: true},
		{method: "POST", path: "/oauth2/v1/token/novelty"},
		{method: "POST", path: "/oauth2/v1/revoke"},
		{method: "DELETE", path: "/api/v1/apps/0oa1/tokens"},

		{method: "POST", path: "/api/v1/users/00u1/factors", factor: true},
		{method: "GET", path: "/api/v1/users/00u1/factors"},
		{method: "GET", path: "/api/v1/users/00u1/factors/opf1"},
		{method: "POST", path: "/api/v1/users/00u1/factors/opf1/verify", factor: true},
		{method: "POST", path: "/api/v1/users/me/factors/opf1/verify", factor: true},
		{method: "GET", path: "/api/v1/users/00u1/factors/opf1/transactions/v2mst", factor: true},
		{method: "POST", path: "/api/v1/users/00u1/factors/opf1/lifecycle/activate", factor: true},
		{method: "POST", path: "/api/v1/users/00u1/factors/opf1/lifecycle/activate/poll", factor: true, poll: true},
		{method: "POST", path: "/api/v1/users/00u1/lifecycle/activate"},
		{method: "POST", path: "/api/v1/users/00u1/factors/opf1/resend"},
		{method: "POST", path: "/api/v1/authn/factors/opf1/verify", factor: true},
		{method: "POST", path: "/api/v1/authn/factors/opf1/lifecycle/activate/poll", factor: true, poll: true},
		{method: "POST", path: "/api/v1/domains/OcD1/verify"},

		{method: "POST", path: "/idp/idx/authenticators/poll", poll: true},
		{method: "POST", path: "/idp/idx/authenticators/poll/", poll: true},
		{method: "POST", path: "/novelty/poll", poll: true},
		{method: "POST", path: "/idp/idx/authenticators/poll/cancel"},
		{method: "POST", path: "/idp/idx/authenticators/straw-poll"},
	} {
		got := route.Match(tt.method, tt.path)
		if got.Token != tt.token || got.Factor != tt.factor || got.Poll != tt.poll {
			t.Errorf("Match(%s, %q) = %+v, want token %t, factor %t, poll %t",
				tt.method, tt.path, got, tt.token, tt.factor, tt.poll)
		}
	}
}

func TestEveryTemplateMatchesItself(t *testing.T) {
	n := 0
	for template := range route.Templates() {
		n++
		path := fill(template, "isaac.brock@example.com")
		for _, method := range []string{"GET", "POST"} {
			got := route.Match(method, path)
			if got.Template != template {
				t.Errorf("%s %s: template %q, want %q", method, path, got.Template, template)
			}
			if strings.HasPrefix(path, "/api/v1/") && !strings.Contains(got.Bucket, "/api/v1") && !strings.HasSuffix(path, "/radius") {
				t.Errorf("%s %s: bucket %q", method, path, got.Bucket)
			}
		}
	}
	if n < 500 { // 364 from Okta's description, and those that it leaves out
		t.Errorf("only %d templates", n)
	}
}

func TestNoTwoTemplatesHaveTheSameNumber(t *testing.T) {
	templates := map[int]string{}
	for template := range route.Templates() {
		for _, path := range []string{fill(template, "id"), fill(template, "id") + "/novelty/x"} {
			got := route.Match("GET", path)
			if known, ok := templates[got.Number]; ok && known != got.Template {
				t.Errorf("%d is the number of %q and of %q", got.Number, known, got.Template)
			}
			templates[got.Number] = got.Template
		}
	}
}

func TestEveryBucketIsReachable(t *testing.T) {
	missing := map[string]bool{}
	for bucket := range route.Buckets() {
		missing[bucket] = true
	}
	for _, path := range []string{"/app/template_saml_2_0/exk1/sso/saml", "/api/v1/users/me", "/oauth2"} {
		delete(missing, route.Match("GET", path).Bucket)
	}
	for template := range route.Templates() {
		for _, method := range []string{"GET", "POST"} {
			delete(missing, route.Match(method, fill(template, "id")).Bucket)
			delete(missing, route.Match(method, fill(template, "id")+"/novelty/x").Bucket)
		}
	}
	for bucket := range missing {
		t.Errorf("nothing leads to bucket %q", bucket)
	}
}

func TestMatchDoesNotAllocate(t *testing.T) {
	for _, path := range []string{"/api/v1/users/00u1/factors/opf1/verify", "/api/v1/novelty", "", strings.Repeat("/", 1000)} {
		if n := testing.AllocsPerRun(100, func() { route.Match("GET", path) }); n != 0 {
			t.Errorf("%.20q: %v allocations", path, n)
		}
	}
}

// fill returns a path of the template, with value for each parameter.
func fill(template, value string) string {
	segments := strings.Split(template, "/")
	for i, s := range segments {
		if strings.HasPrefix(s, "{") {
			segments[i] = value
		}
	}
	return strings.Join(segments, "/")
}
