// This file holds the rate-limit buckets and the marks of endpoints, as data.
//
// Sources: the limits that Okta published until December 2025; the path-to-bucket list that Okta generated from its own
// code for its Terraform provider (okta/internal/apimutex/rate_limit_lines.go there), which settles what the published
// page leaves open: /groups/rules is no /groups/{id}, and only GET /users/me has a bucket to itself; recorded traffic of
// 2020 to 2026, in which 3,146 of 3,193 consecutive pairs of one bucket count down as one counter.
//
// An uncertain grouping is split: a bucket split in two learns the same limit twice, whereas two buckets taken for one
// spoil what is known of both.

package main

// methods are the methods that a rule covers. Okta's buckets separate GET from the rest at most, and so does the table.
type methods uint8

const (
	anyMethod methods = iota
	onlyGET
	notGET
)

// Whether a rule covers its path alone or all paths below it as well.
const (
	exact  = false
	prefix = true
)

// A bucketRule puts the requests that it covers into a bucket. An exact rule beats a prefix, and of two prefixes the
// longer one wins. A parameter never covers an endpoint that has a literal in its place: an exact rule for /groups/{id}
// leaves /groups/rules alone. Each known first segment needs a prefix of its own.
type bucketRule struct {
	methods methods
	path    string
	below   bool   // the rule covers everything below the path as well
	bucket  string // empty: not limited
}

var bucketRules = []bucketRule{
	{anyMethod, "/", prefix, "/"}, // first segments that nobody lists

	// Known first segments. One org has limits of 500 below /attack-protection and of 1,000 below /integrations.
	{anyMethod, "/api", prefix, "/api"},
	{anyMethod, "/api/internal", prefix, "/api/internal"},
	{anyMethod, "/app", prefix, "/app"},
	{anyMethod, "/attack-protection", prefix, "/attack-protection"},
	{anyMethod, "/device-access", prefix, "/device-access"},
	{anyMethod, "/governance", prefix, "/governance"},
	{anyMethod, "/home", prefix, "/home"},
	{anyMethod, "/idp", prefix, "/idp"},
	{anyMethod, "/integrations", prefix, "/integrations"},
	{anyMethod, "/login", prefix, "/login"},
	{anyMethod, "/okta-personal-settings", prefix, "/okta-personal-settings"},
	{anyMethod, "/privileged-access", prefix, "/privileged-access"},
	{anyMethod, "/security", prefix, "/security"},
	{anyMethod, "/sso", prefix, "/sso"},
	{anyMethod, "/webauthn-registration", prefix, "/webauthn-registration"},
	{anyMethod, "/workload-principals", prefix, "/workload-principals"},

	// Management.
	{anyMethod, "/api/v1", prefix, "/api/v1"},
	{anyMethod, "/api/v1/agentPools", prefix, "/api/v1/agentPools"},
	{anyMethod, "/api/v1/apps", prefix, "/api/v1/apps"},
	{onlyGET, "/api/v1/apps/{id}", exact, "GET /api/v1/apps/{id}"}, // since September 2025; one bucket with the rest before
	{notGET, "/api/v1/apps/{id}", exact, "/api/v1/apps/{id}"},
	{anyMethod, "/api/v1/apps/{id}/skinny_users", exact, "/api/v1/apps/{id}/skinny_users"},
	{anyMethod, "/api/v1/certificateAuthorities", prefix, "/api/v1/certificateAuthorities"},
	{anyMethod, "/api/v1/device-assurances", prefix, "/api/v1/device-assurances"},
	{anyMethod, "/api/v1/devices", prefix, "/api/v1/devices"},
	{anyMethod, "/api/v1/devices/{id}/users", exact, "/api/v1/devices/{id}/users"},
	{onlyGET, "/api/v1/domains", prefix, "GET /api/v1/domains"}, // recorded limit 50
	{notGET, "/api/v1/domains", prefix, "/api/v1/domains"},      // recorded limit 15
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
	// These two are also limited for each user, to 5 calls in 5 minutes. In a bucket of their own, the answer to one user
	// stops no other user's calls.
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

// burstBuckets accept more than their limit for a while. Okta applies burst limits of five times the limit to the org's
// buckets of authentication and authorization endpoints (developer.okta.com/docs/reference/rl2-burst, which names no
// bucket but /api/v1/authn). A bucket that is not listed is taken not to burst, which costs time and no refusals.
var burstBuckets = []string{
	"/api/v1/authn",
	"/api/v1/authn/factors/{id}/transactions/{id}/verify",
	"/api/v1/authn/factors/{id}/verify",
	"/api/v1/authn/introspect",
	"/api/v1/authn/poll",
	"/idp/idx",
	"/idp/idx/identify",
	"/idp/idx/introspect",
	"/login",
	"/login/login.htm",
	"/login/sso_iwa_auth",
	"/login/token/redirect",
	"/oauth2/v1",
	"/oauth2/v1/authorize",
	"/oauth2/v1/interact",
	"/oauth2/v1/token",
	"/oauth2/{as}/v1",
	"/oauth2/{as}/v1/authorize",
	"/oauth2/{as}/v1/interact",
	"/oauth2/{as}/v1/token",
}

// An endpoint is a path template under some methods, alone or with all paths below it.
type endpoint struct {
	methods methods
	path    string
	below   bool
}

// tokenEndpoints issue OAuth tokens.
var tokenEndpoints = []endpoint{
	{anyMethod, "/oauth2/v1/token", exact},
	{anyMethod, "/oauth2/{authServerId}/v1/token", exact},
}

// factorEndpoints can answer 200 or 201 with a factorResult of WAITING. A GET of the collections only lists.
var factorEndpoints = []endpoint{
	{notGET, "/api/v1/authn/factors", exact},
	{anyMethod, "/api/v1/authn/factors/{factorId}/lifecycle/activate", exact},
	{anyMethod, "/api/v1/authn/factors/{factorId}/lifecycle/activate/poll", exact},
	{anyMethod, "/api/v1/authn/factors/{factorId}/transactions/{transactionId}/verify", exact},
	{anyMethod, "/api/v1/authn/factors/{factorId}/verify", exact},
	{notGET, "/api/v1/users/{userId}/factors", exact},
	{anyMethod, "/api/v1/users/{userId}/factors/{factorId}/lifecycle/activate", exact},
	{anyMethod, "/api/v1/users/{userId}/factors/{factorId}/lifecycle/activate/poll", exact},
	{anyMethod, "/api/v1/users/{userId}/factors/{factorId}/transactions/{transactionId}", exact},
	{anyMethod, "/api/v1/users/{userId}/factors/{factorId}/verify", exact},
}

// loginEndpoints have limits finer than a bucket: a refusal there may concern one user, client, device or session only.
// Okta documents them at developer.okta.com/docs/reference: for each user name at /authn and /token, for each user and
// state token in the identity engine, for each user's session (rl2-limits); for each client, address and device at
// /authorize, at the sign-in page and where an interaction code is asked for (rl-clientbased); for each user at the
// activation and the resend of a factor (rl-additional-limits). A factor's verify accepts 5 tries of one user in 5 minutes.
var loginEndpoints = []endpoint{
	{anyMethod, "/api/v1/authn", prefix},
	{anyMethod, "/api/v1/sessions", prefix},
	{anyMethod, "/api/v1/users/{userId}/factors/{factorId}/lifecycle/activate", exact},
	{anyMethod, "/api/v1/users/{userId}/factors/{factorId}/resend", exact},
	{anyMethod, "/api/v1/users/{userId}/factors/{factorId}/verify", exact},
	{anyMethod, "/idp/idx", prefix},
	{anyMethod, "/login", prefix},
	{anyMethod, "/oauth2/v1/authorize", prefix},
	{anyMethod, "/oauth2/v1/interact", exact},
	{anyMethod, "/oauth2/v1/token", exact},
	{anyMethod, "/oauth2/{authServerId}/v1/authorize", prefix},
	{anyMethod, "/oauth2/{authServerId}/v1/interact", exact},
	{anyMethod, "/oauth2/{authServerId}/v1/token", exact},
}

// rules are all that the table holds beside the templates.
type rules struct {
	buckets              []bucketRule
	token, factor, login []endpoint
}
