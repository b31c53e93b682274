package main

// Rate-limit buckets and marks, as data.
//
// Sources: the limits that Okta published until December 2025, and the path-to-bucket list that Okta generated from its
// own code for its Terraform provider (okta/internal/apimutex/rate_limit_lines.go there), which settles what the
// published page leaves open: that /groups/rules is no /groups/{id}, or that only GET /users/me has a bucket to itself.
// Where a grouping is uncertain it is kept apart: a bucket split in two learns the same limit twice, whereas two buckets
// taken for one spoil what is known of both.

// methods says which methods a rule covers. Okta tells GET from the rest at most, so the table does too.
type methods uint8

const (
	anyMethod methods = iota
	onlyGET
	notGET
)

// Whether a rule covers its path alone or all below it, too.
const (
	exact  = false
	prefix = true
)

// A bucketRule puts the requests that it covers into a bucket. An exact rule beats a prefix, and of two prefixes the
// longer one wins. A parameter in the place of a literal never covers another endpoint: an exact rule for /groups/{id}
// says nothing about /groups/rules.
type bucketRule struct {
	methods methods
	path    string
	below   bool   // the rule covers everything below the path as well
	bucket  string // empty: not limited
}

var bucketRules = []bucketRule{
	{anyMethod, "/", prefix, "/"}, // sane default for what nobody lists

	// Management.
	{anyMethod, "/api/v1", prefix, "/api/v1"},
	{anyMethod, "/api/v1/agentPools", prefix, "/api/v1/agentPools"},
	{anyMethod, "/api/v1/apps", prefix, "/api/v1/apps"},
	{anyMethod, "/api/v1/apps/{id}", exact, "/api/v1/apps/{id}"},
	{anyMethod, "/api/v1/apps/{id}/skinny_users", exact, "/api/v1/apps/{id}/skinny_users"},
	{anyMethod, "/api/v1/certificateAuthorities", prefix, "/api/v1/certificateAuthorities"},
	{anyMethod, "/api/v1/device-assurances", prefix, "/api/v1/device-assurances"},
	{anyMethod, "/api/v1/devices", prefix, "/api/v1/devices"},
	{anyMethod, "/api/v1/devices/{id}/users", exact, "/api/v1/devices/{id}/users"},
	{anyMethod, "/api/v1/domains", prefix, "/api/v1/domains"},
	{anyMethod, "/api/v1/events", exact, "/api/v1/events"},
	{anyMethod, "/api/v1/groups", prefix, "/api/v1/groups"},
	{anyMethod, "/api/v1/groups/{id}", exact, "/api/v1/groups/{id}"},
	{anyMethod, "/api/v1/groups/{id}/skinny_users", exact, "/api/v1/groups/{id}/skinny_users"},
	{anyMethod, "/api/v1/hook-keys", prefix, "/api/v1/hook-keys"},
	{anyMethod, "/api/v1/iam", prefix, "/api/v1/iam"},
	{anyMethod, "/api/v1/identity-sources/{id}/sessions", prefix, "/api/v1/identity-sources/{id}/sessions"},
	{anyMethod, "/api/v1/identity-sources/{id}/sessions/{id}/bulk-delete", exact, "/api/v1/identity-sources/{id}/sessions/{id}/bulk-delete"},
	{anyMethod, "/api/v1/identity-sources/{id}/sessions/{id}/bulk-upsert", exact, "/api/v1/identity-sources/{id}/sessions/{id}/bulk-upsert"},
	{anyMethod, "/api/v1/identity-sources/{id}/sessions/{id}/start-import", exact, "/api/v1/identity-sources/{id}/sessions/{id}/start-import"},
	{anyMethod, "/api/v1/logs", exact, "/api/v1/logs"},
	{anyMethod, "/api/v1/org/email/bounces/remove-list", exact, "/api/v1/org/email/bounces/remove-list"},
	{anyMethod, "/api/v1/orgs", exact, "/api/v1/orgs"},
	{anyMethod, "/api/v1/principal-rate-limits", prefix, "/api/v1/principal-rate-limits"},
	{anyMethod, "/api/v1/push-providers", prefix, "/api/v1/push-providers"},
	{anyMethod, "/api/v1/registration", prefix, "/api/v1/registration"},
	{anyMethod, "/api/v1/risk/events/ip", exact, "/api/v1/risk/events/ip"},
	{anyMethod, "/api/v1/risk/providers", prefix, "/api/v1/risk/providers"},
	{anyMethod, "/api/v1/users", prefix, "/api/v1/users"},
	{onlyGET, "/api/v1/users/{id}", exact, "GET /api/v1/users/{id}"},
	{notGET, "/api/v1/users/{id}", exact, "/api/v1/users/{id}"},
	{onlyGET, "/api/v1/users/me", exact, "GET /api/v1/users/me"},
	{notGET, "/api/v1/users/me", exact, "/api/v1/users"},
	{anyMethod, "/api/v1/users/{id}/factors/{id}/verify", exact, "/api/v1/users/{id}/factors/{id}/verify"},
	// These two are limited for each user as well (5 in 5 minutes). Apart, such an answer can't stop other users' calls.
	{anyMethod, "/api/v1/users/{id}/factors/{id}/lifecycle/activate", exact, "/api/v1/users/{id}/factors/{id}/lifecycle/activate"},
	{anyMethod, "/api/v1/users/{id}/factors/{id}/resend", exact, "/api/v1/users/{id}/factors/{id}/resend"},

	// Authentication.
	{anyMethod, "/api/v1/authn", prefix, "/api/v1/authn"},
	{anyMethod, "/api/v1/authn/factors/{id}/transactions/{id}/verify", exact, "/api/v1/authn/factors/{id}/transactions/{id}/verify"},
	{anyMethod, "/api/v1/authn/factors/{id}/verify", exact, "/api/v1/authn/factors/{id}/verify"},
	{anyMethod, "/api/v1/authn/introspect", exact, "/api/v1/authn/introspect"},
	{anyMethod, "/api/v1/authn/poll", exact, "/api/v1/authn/poll"},
	{anyMethod, "/api/v1/sessions", prefix, "/api/v1/sessions"},
	{anyMethod, "/api/{version}/radius", exact, "/api/{version}/radius"},
	{anyMethod, "/idp/idx", prefix, "/idp/idx"},
	{anyMethod, "/idp/idx/identify", exact, "/idp/idx/identify"},
	{anyMethod, "/idp/idx/introspect", exact, "/idp/idx/introspect"},
	{anyMethod, "/login/login.htm", exact, "/login/login.htm"},
	{anyMethod, "/login/sso_iwa_auth", exact, "/login/sso_iwa_auth"},
	{anyMethod, "/login/token/redirect", exact, "/login/token/redirect"},
	{anyMethod, "/app/{app}/{key}/sso/saml", exact, "/app/{app}/{key}/sso/saml"},
	{anyMethod, "/app/template_saml_2_0/{key}/sso/saml", exact, "/app/template_saml_2_0/{key}/sso/saml"},
	// Okta names /app/office365{appType}/… only; the few other WS-Federation apps share these, as their buckets are unknown.
	{anyMethod, "/app/{app}/{key}/sso/wsfed/active", exact, "/app/{app}/{key}/sso/wsfed/active"},
	{anyMethod, "/app/{app}/{key}/sso/wsfed/passive", exact, "/app/{app}/{key}/sso/wsfed/passive"},

	// OAuth 2.0 and OpenID Connect.
	{anyMethod, "/oauth2", prefix, "/oauth2"},
	{anyMethod, "/oauth2/v1", prefix, "/oauth2/v1"},
	{anyMethod, "/oauth2/v1/authorize", exact, "/oauth2/v1/authorize"},
	{anyMethod, "/oauth2/v1/clients", prefix, "/oauth2/v1/clients"},
	{anyMethod, "/oauth2/v1/interact", exact, "/oauth2/v1/interact"},
	{anyMethod, "/oauth2/v1/token", exact, "/oauth2/v1/token"},
	{anyMethod, "/oauth2/{as}/v1", prefix, "/oauth2/{as}/v1"},
	{anyMethod, "/oauth2/{as}/v1/authorize", exact, "/oauth2/{as}/v1/authorize"},
	{anyMethod, "/oauth2/{as}/v1/interact", exact, "/oauth2/{as}/v1/interact"},
	{anyMethod, "/oauth2/{as}/v1/token", exact, "/oauth2/{as}/v1/token"},

	// Metadata is not limited.
	{anyMethod, "/.well-known", prefix, ""},
	{anyMethod, "/oauth2/v1/keys", exact, ""},
	{anyMethod, "/oauth2/{as}/.well-known", prefix, ""},
	{anyMethod, "/oauth2/{as}/v1/keys", exact, ""},
}

// An endpoint is a path template under some methods.
type endpoint struct {
	methods methods
	path    string
}

// tokenEndpoints issue OAuth tokens.
var tokenEndpoints = []endpoint{
	{anyMethod, "/oauth2/v1/token"},
	{anyMethod, "/oauth2/{authServerId}/v1/token"},
}

// factorEndpoints can answer 200 or 201 with a factorResult of WAITING. A GET of the collections only lists.
var factorEndpoints = []endpoint{
	{notGET, "/api/v1/authn/factors"},
	{anyMethod, "/api/v1/authn/factors/{factorId}/lifecycle/activate"},
	{anyMethod, "/api/v1/authn/factors/{factorId}/lifecycle/activate/poll"},
	{anyMethod, "/api/v1/authn/factors/{factorId}/transactions/{transactionId}/verify"},
	{anyMethod, "/api/v1/authn/factors/{factorId}/verify"},
	{notGET, "/api/v1/users/{userId}/factors"},
	{anyMethod, "/api/v1/users/{userId}/factors/{factorId}/lifecycle/activate"},
	{anyMethod, "/api/v1/users/{userId}/factors/{factorId}/lifecycle/activate/poll"},
	{anyMethod, "/api/v1/users/{userId}/factors/{factorId}/transactions/{transactionId}"},
	{anyMethod, "/api/v1/users/{userId}/factors/{factorId}/verify"},
}
