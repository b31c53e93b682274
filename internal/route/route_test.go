// This file tests the templates and the marks of endpoints.

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
		{"/api/v1/users/00ub0oNGTSWTBKOLGLNR", "/api/v1/users/{id}"},
		{"/api/v1/users/me", "/api/v1/users/{id}"},
		{"/api/v1/users/isaac.brock@example.com", "/api/v1/users/{id}"},
		{"/api/v1/users/isaac%2Fbrock", "/api/v1/users/{id}"},
		{"/api/v1/users/O'Neil Müller", "/api/v1/users/{id}"},
		{"/api/v1/users/a/groups", "/api/v1/users/{id}/groups"},
		{"/api/v1/users/me/groups", "/api/v1/users/{id}/groups"},
		{"/api/v1/users/00u1/factors/opf1/verify", "/api/v1/users/{userId}/factors/{factorId}/verify"},
		{"/api/v1/users/00u1/factors/opf1/transactions/v2mst.x", "/api/v1/users/{userId}/factors/{factorId}/transactions/{transactionId}"},
		{"/api/v1/groups/00g1/users/00u1", "/api/v1/groups/{groupId}/users/{userId}"},
		{"/api/v1/authorizationServers/default/policies", "/api/v1/authorizationServers/{authServerId}/policies"},
		{"/api/v1/apps/0oa1/connections/default", "/api/v1/apps/{appId}/connections/default"},
		{"/api/v1/meta/schemas/user/default", "/api/v1/meta/schemas/user/{schemaId}"},
		{"/api/v1/logs", "/api/v1/logs"},
		{"/api/v1/features/ftr1/enable", "/api/v1/features/{featureId}/{lifecycle}"},
		{"/attack-protection/api/v1/user-lockout-settings", "/attack-protection/api/v1/user-lockout-settings"},
		{"/api/v1/apps/0oa1/federated-claims/ofc1", "/api/v1/apps/{appId}/federated-claims/{claimId}"},
		{"/governance/api/v1/campaigns/icp1/launch", "/governance/api/v1/campaigns/{campaignId}/launch"},
		{"/governance/api/v2/resources/0oa1/request-conditions/rco1/activate", "/governance/api/v2/resources/{resourceId}/request-conditions/{requestConditionId}/activate"},
		{"/privileged-access/api/v1/resources/opr1/rotate-password", "/privileged-access/api/v1/resources/{id}/rotate-password"},

		// The admin console's own, as far as programs call them.
		{"/api/internal/org/settings/security-notification-settings", "/api/internal/org/settings/security-notification-settings"},
		{"/api/internal/org/settings/locale", "/api/internal/org/settings/{setting}"},
		{"/api/internal/orgSettings/rateLimitNotificationSetting", "/api/internal/orgSettings/rateLimitNotificationSetting"},
		{"/api/internal/novelty", "/api/internal/*"},
		{"/api/v1/internal/apps/0oa1/settings/oauth/idToken", "/api/v1/internal/apps/{appId}/settings/oauth/idToken"},
		{"/api/v1/internal/apps/0oa1/settings/oauth/novelty", "/api/v1/internal/apps/{appId}/settings/{section}/{setting}"},
		{"/api/v1/internal/apps/0oa1/settings/clientcreds", "/api/v1/internal/apps/{appId}/settings/clientcreds"},
		{"/api/v1/internal/rateLimits/clientRateLimitMode", "/api/v1/internal/rateLimits/clientRateLimitMode"},
		{"/api/v1/internal/novelty/x", "/api/v1/internal/*"},

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
		{"/api/v1/users/me/lifecycle/suspend", "/api/v1/users/{id}/lifecycle/suspend"},
		{"/api/v1/radius", "/api/{apiVersion}/radius"},

		// Beside management.
		{"/api/v1/authn", "/api/v1/authn"},
		{"/api/v1/authn/factors/opf1/verify", "/api/v1/authn/factors/{factorId}/verify"},
		{"/idp/idx/challenge/poll", "/idp/idx/challenge/poll"},
		{"/oauth2/v1/token", "/oauth2/v1/token"},
		{"/oauth2/default/v1/token", "/oauth2/{authServerId}/v1/token"},
		{"/oauth2/aus1/v1/device/authorize", "/oauth2/{authServerId}/v1/device/authorize"},
		{"/oauth2/v1/clients/0oa1/roles/ra1", "/oauth2/v1/clients/{clientId}/roles/{roleAssignmentId}"},
		{"/oauth2/default/.well-known/openid-configuration", "/oauth2/{authServerId}/.well-known/openid-configuration"},
		{"/.well-known/okta-organization", "/.well-known/okta-organization"},
		{"/app/template_saml_2_0/exk1/sso/saml", "/app/{app}/{key}/sso/saml"},
		{"/login/login.htm", "/login/login.htm"},

		// Slashes.
		{"", "/"},
		{"/", "/"},
		{"/api/v1/users/", "/api/v1/users"},
		{"/api/v1/users/00u1/", "/api/v1/users/{id}"},
		{"api/v1/users", "/api/v1/users"},
		{"//", "/"},
		{"//api/v1/users", "/api/v1/users"},
		{"///api/v1/users/", "/api/v1/users"},
		{"//api/v1/users/00u1/factors/opf1/verify", "/api/v1/users/{userId}/factors/{factorId}/verify"},
		{"//oauth2/v1/token", "/oauth2/v1/token"},
		{"//oauth2/default/v1/token", "/oauth2/{authServerId}/v1/token"},
		{"//novelty", "/*"},

		// Unknown: the longest known start, never the request's own words.
		{"/api//v1/users", "/api/*"},
		{"/api/v1/users//groups", "/api/v1/users/*"},
		{"/api/v1/users//", "/api/v1/users/*"},
		{"/api/v1/users/00u1/secrets", "/api/v1/users/{id}/*"},
		{"/api/v1/users/00u1/secrets/of/the/user", "/api/v1/users/{id}/*"},
		{"/api/v1/users/me/secrets", "/api/v1/users/{id}/*"},
		{"/api/v1/users/00u1/lifecycle", "/api/v1/users/{id}/*"},
		{"/api/v1/users/00u1/lifecycle/vanish", "/api/v1/users/{id}/lifecycle/*"},
		{"/api/v1/users/00u1/groups/00g1", "/api/v1/users/{id}/groups/*"},
		{"/api/v1/apps/0oa1/secrets", "/api/v1/apps/{appId}/*"},
		{"/api/v1/apps/google/secrets", "/api/v1/apps/google/*"},
		{"/api/v1/apps/slack/0oa1/secrets", "/api/v1/apps/{appName}/{appId}/*"},
		{"/api/v1/novelty", "/api/v1/*"},
		{"/governance/api/v1/novelty", "/governance/api/v1/*"},
		{"/workload-principals/api/v1/novelty", "/workload-principals/*"},
		{"/device-access/api/v1/novelty", "/device-access/*"},
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
			got := route.Match(method, tt.path)
			if got.Template != tt.template || got.Known == strings.HasSuffix(tt.template, "/*") {
				t.Errorf("Match(%s, %q) = %+v, want template %q", method, tt.path, got, tt.template)
			}
		}
	}
}

func TestEmptyMethodIsGET(t *testing.T) {
	if got, want := route.Match("", "/api/v1/users/me"), route.Match("GET", "/api/v1/users/me"); got != want {
		t.Errorf("empty method: %+v, GET: %+v", got, want)
	}
}

func TestMatchMarksEndpoints(t *testing.T) {
	for _, tt := range []struct {
		method, path               string
		token, factor, poll, login bool
	}{
		{method: "POST", path: "/oauth2/v1/token", token: true, login: true},
		{method: "POST", path: "/oauth2/v1/token/", token: true, login: true},
		{method: "POST", path: "/oauth2/default/v1/token", token: true, login: true},
		{method: "POST", path: "/oauth2/v1/token/novelty"},
		{method: "POST", path: "//oauth2/v1/token", token: true, login: true},
		{method: "POST", path: "//oauth2/default/v1/token", token: true, login: true},
		{method: "POST", path: "/oauth2/v1/revoke"},
		{method: "DELETE", path: "/api/v1/apps/0oa1/tokens"},

		{method: "POST", path: "/api/v1/users/00u1/factors", factor: true},
		{method: "GET", path: "/api/v1/users/00u1/factors"},
		{method: "GET", path: "/api/v1/users/00u1/factors/opf1"},
		{method: "POST", path: "/api/v1/users/00u1/factors/opf1/verify", factor: true, login: true},
		{method: "POST", path: "/api/v1/users/me/factors/opf1/verify", factor: true, login: true},
		{method: "GET", path: "/api/v1/users/00u1/factors/opf1/transactions/v2mst", factor: true},
		{method: "POST", path: "/api/v1/users/00u1/factors/opf1/lifecycle/activate", factor: true, login: true},
		{method: "POST", path: "/api/v1/users/00u1/factors/opf1/lifecycle/activate/poll", factor: true, poll: true},
		{method: "POST", path: "//api/v1/users/00u1/factors", factor: true},
		{method: "POST", path: "//api/v1/users/00u1/factors/opf1/verify", factor: true, login: true},
		{method: "POST", path: "/api/v1/users/00u1/lifecycle/activate"},
		{method: "POST", path: "/api/v1/users/00u1/factors/opf1/resend", login: true},
		{method: "POST", path: "/api/v1/authn/factors/opf1/verify", factor: true, login: true},
		{method: "POST", path: "/api/v1/authn/factors/opf1/lifecycle/activate/poll", factor: true, poll: true, login: true},
		{method: "POST", path: "/api/v1/domains/OcD1/verify"},

		{method: "POST", path: "/idp/idx/authenticators/poll", poll: true, login: true},
		{method: "POST", path: "/idp/idx/authenticators/poll/", poll: true, login: true},
		{method: "POST", path: "/novelty/poll", poll: true},

		{method: "POST", path: "/api/v1/authn", login: true},
		{method: "POST", path: "/api/v1/authn/novelty/x", login: true},
		{method: "POST", path: "/api/v1/authns"},
		{method: "GET", path: "/api/v1/sessions/me", login: true},
		{method: "POST", path: "/api/v1/sessions/novelty/of/okta", login: true},
		{method: "GET", path: "/idp/idx", login: true},
		{method: "POST", path: "/idp/idx/novelty", login: true},
		{method: "GET", path: "/idp/myaccount/profile"},
		{method: "GET", path: "/login/login.htm", login: true},
		{method: "GET", path: "/login/token", login: true},
		{method: "GET", path: "/login/novelty", login: true},
		{method: "GET", path: "/oauth2/v1/authorize", login: true},
		{method: "GET", path: "/oauth2/v1/authorize/callback", login: true},
		{method: "GET", path: "/oauth2/default/v1/authorize", login: true},
		{method: "POST", path: "/oauth2/aus1/v1/interact", login: true},
		{method: "POST", path: "/oauth2/aus1/v1/introspect"},
		{method: "GET", path: "/oauth2/v1/clients"},
		{method: "GET", path: "/api/v1/users/00u1"},
		{method: "POST", path: "/idp/idx/authenticators/poll/cancel", login: true},
		{method: "POST", path: "/idp/idx/authenticators/straw-poll", login: true},
	} {
		got := route.Match(tt.method, tt.path)
		if got.Token != tt.token || got.Factor != tt.factor || got.Poll != tt.poll || got.Login != tt.login {
			t.Errorf("Match(%s, %q) = %+v, want token %t, factor %t, poll %t, login %t",
				tt.method, tt.path, got, tt.token, tt.factor, tt.poll, tt.login)
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
	if n < 482+103+1 { // Okta's two descriptions and "/", at least
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
