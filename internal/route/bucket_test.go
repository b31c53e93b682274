// This file tests the buckets.

package route_test

import (
	"strings"
	"testing"

	"github.com/oktaretry/oktaretry/internal/route"
)

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
		{"GET", "/api/v1/apps/0oa1", "GET /api/v1/apps/{id}"},
		{"GET", "/api/v1/apps/google", "GET /api/v1/apps/{id}"},
		{others, "/api/v1/apps/0oa1", "/api/v1/apps/{id}"},
		{others, "/api/v1/apps/google", "/api/v1/apps/{id}"},
		{all, "/api/v1/apps/0oa1/users", "/api/v1/apps"},
		{all, "/api/v1/groups", "/api/v1/groups"},
		{all, "/api/v1/groups/00g1", "/api/v1/groups/{id}"},
		{all, "/api/v1/groups/rules", "/api/v1/groups"},
		{all, "/api/v1/groups/00g1/users", "/api/v1/groups"},

		{"GET", "/api/v1/domains", "GET /api/v1/domains"},
		{"GET", "/api/v1/domains/OcD1", "GET /api/v1/domains"},
		{others, "/api/v1/domains", "/api/v1/domains"},
		{others, "/api/v1/domains/OcD1/verify", "/api/v1/domains"},
		{others, "/api/v1/domains/OcD1/novelty", "/api/v1/domains"},

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

		{all, "/api/internal/org/settings/locale", "/api/internal"},
		{all, "/api/v1/internal/rateLimits/clientRateLimitMode", "/api/v1"},
		{all, "/api/v2/novelty", "/api"},
		{all, "/app/salesforce/exk1/sso/saml/metadata", "/app"},
		{all, "/attack-protection/api/v1/authenticator-settings", "/attack-protection"},
		{all, "/device-access/api/v1/novelty", "/device-access"},
		{all, "/governance/api/v1/campaigns", "/governance"},
		{all, "/governance/api/v2/requests/r1", "/governance"},
		{all, "/governance/novelty", "/governance"},
		{all, "/home/okta_org2org/0oa1/aln1", "/home"},
		{all, "/idp/myaccount/emails", "/idp"},
		{all, "/integrations/api/v1/api-services", "/integrations"},
		{all, "/login/default", "/login"},
		{all, "/login/login.htm/novelty", "/login"},
		{all, "/okta-personal-settings/api/v1/edit-feature", "/okta-personal-settings"},
		{all, "/privileged-access/api/v1/resources", "/privileged-access"},
		{all, "/security/api/v1/security-events", "/security"},
		{all, "/sso/saml2/0oa1", "/sso"},
		{all, "/webauthn-registration/api/v1/enroll", "/webauthn-registration"},
		{all, "/workload-principals/api/v1/novelty", "/workload-principals"},

		{all, "", "/"},
		{all, "/", "/"},
		{all, "/novelty", "/"},
		{all, "/governances/api/v1/campaigns", "/"},

		{all, "//api/v1/users", "/api/v1/users"},
		{"GET", "//api/v1/users/00u1", "GET /api/v1/users/{id}"},
		{all, "//oauth2/v1/token", "/oauth2/v1/token"},
	} {
		for _, method := range strings.Fields(tt.methods) {
			if got := route.Match(method, tt.path).Bucket; got != tt.bucket {
				t.Errorf("Match(%s, %q).Bucket = %q, want %q", method, tt.path, got, tt.bucket)
			}
		}
	}
}

func TestAuthenticationAndAuthorizationBucketsBurst(t *testing.T) {
	for _, tt := range []struct {
		path   string
		bursts bool
	}{
		{"/api/v1/authn", true},
		{"/api/v1/authn/novelty", true},
		{"/api/v1/authn/factors/opf1/verify", true},
		{"/idp/idx/identify", true},
		{"/idp/idx/introspect", true},
		{"/idp/idx/skip", true},
		{"/login/default", true},
		{"/login/login.htm", true},
		{"/oauth2/v1/authorize", true},
		{"/oauth2/v1/introspect", true},
		{"/oauth2/v1/token", true},
		{"/oauth2/default/v1/novelty", true},
		{"/oauth2/default/v1/token", true},
		{"//oauth2/v1/token", true},
		{"/oauth2/v1/clients/0oa1", false},
		{"/oauth2/v1/keys", false},
		{"/oauth2/novelty", false},
		{"/.well-known/openid-configuration", false},
		{"/api/v1/users", false},
		{"/api/v1/users/00u1/factors/opf1/verify", false},
		{"/api/v1/logs", false},
		{"/governance/api/v1/campaigns", false},
		{"/novelty", false},
	} {
		for _, method := range []string{"GET", "POST"} {
			if got := route.Match(method, tt.path); got.Bursts != tt.bursts {
				t.Errorf("%s %s: bursts %t of bucket %q, want %t", method, tt.path, got.Bursts, got.Bucket, tt.bursts)
			}
		}
	}
}

func TestEveryBucketIsReachable(t *testing.T) {
	missing := map[string]bool{}
	for bucket := range route.Buckets() {
		missing[bucket] = true
	}
	for _, path := range []string{"/app/template_saml_2_0/exk1/sso/saml", "/api/v1/users/me", "/oauth2", "/device-access", "/workload-principals"} {
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
