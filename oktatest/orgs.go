// This file holds whole orgs: their buckets and limits as Okta had them.

package oktatest

// SmallOrg is an org of Okta's free plan (Integrator): 50 calls a minute for
// users, groups, policies and most else, 10 for apps and agent pools, 150
// tokens and 500 logins, as recorded of real ones; where nothing is recorded,
// as Okta last published; and 35 calls in flight. Authentication and
// authorization take bursts (WithBurst), the limits of OktaLimits hold, and
// searches for users are counted apart, as are reads of one app and of domains.
//
// Options beside it refine it, whatever their order: WithLimit, WithBucket,
// WithLimits, WithConcurrencyLimit; WithoutLimits takes its limits away.
func SmallOrg() Option {
	return func(c *config) {
		c.org = newOrg(35, 50, 50, []override{
			limitOf("GET /api/v1/users/{id}", 50),
			limitOf("/api/v1/users/{id}", 50),
			limitOf("/api/v1/users", 50),
			limitOf("/api/v1/users/me", 50),
			limitOf("/api/v1/groups/{id}", 50),
			limitOf("/api/v1/groups", 50),
			limitOf("/api/v1/apps/{id}", 50),
			limitOf("/api/v1/apps", 10),
			limitOf("/api/v1/logs", 20),
			limitOf("/api/v1/events", 20),
			limitOf("/api/v1/certificateAuthorities", 100),
			limitOf("/api/v1/devices", 100),
			limitOf("/api/v1/org/email/bounces/remove-list", 10),
			limitOf("/api/v1/sessions", 100),
			limitOf("/api/v1", 50),
			limitOf("/oauth2/v1/clients", 25),
			limitOf("/oauth2/v1/token", 150),
			limitOf("/oauth2/v1/authorize", 300),
			limitOf("/oauth2/v1", 300),
			limitOf("/oauth2/{server}/v1/token", 150),
			limitOf("/oauth2/{server}/v1/authorize", 300),
			limitOf("/oauth2/{server}/v1", 300),
			limitOf("/oauth2", 100),
			limitOf("/idp/idx", 100),
			limitOf("/idp/idx/identify", 100),
			limitOf("/idp/idx/introspect", 200),
		})
		c.org.buckets = append(c.org.buckets,
			Bucket{Patterns: []string{"/api/v1/agentPools", "/api/v1/agentPools/*"}, Limit: 10})
	}
}

// Enterprise is an org of Okta's Enterprise plan with the limits that Okta last
// published (in 2025): 600 calls a minute for users, groups and most else,
// 1,000 for reading one user, 100 for apps, 50 for logs, 1,200 for OAuth, and
// 75 calls in flight. Bursts, OktaLimits and the buckets counted apart are as
// for SmallOrg, and so are the options beside it.
func Enterprise() Option {
	return func(c *config) {
		c.org = newOrg(75, 600, 600, []override{
			limitOf("GET /api/v1/users/{id}", 1000),
			limitOf("/api/v1/users/me", 600),
			limitOf("/api/v1/groups/{id}", 600),
			limitOf("/api/v1/groups", 600),
			limitOf("/api/v1/apps/{id}", 600),
			limitOf("/api/v1/logs", 50),
			limitOf("/api/v1/events", 50),
			limitOf("/api/v1/certificateAuthorities", 150),
			limitOf("/api/v1/devices", 150),
			limitOf("/api/v1/authn", 600),
			limitOf("/api/v1/authn/factors/{id}/verify", 600),
			limitOf("/api/v1/sessions", 600),
			limitOf("/api/v1", 600),
			limitOf("/oauth2/v1/token", 1200),
			limitOf("/oauth2/v1/authorize", 1200),
			limitOf("/oauth2/v1", 1200),
			limitOf("/oauth2/{server}/v1/token", 1200),
			limitOf("/oauth2/{server}/v1/authorize", 1200),
			limitOf("/oauth2/{server}/v1", 1200),
		})
	}
}

// newOrg is an org with the buckets that Okta counts apart, bursts and Okta's
// limits per user and client.
func newOrg(concurrency, searches, reads int, overrides []override) org {
	for _, b := range burstBuckets {
		overrides = append(overrides, burstOf(b, oktaBurst))
	}
	search, app := BucketUserSearch, BucketAppReads
	search.Limit, app.Limit = searches, reads
	return org{
		overrides:   overrides,
		buckets:     append([]Bucket{search, app}, recordedBuckets...),
		limits:      OktaLimits(),
		concurrency: concurrency,
	}
}
