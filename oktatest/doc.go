// Package oktatest is a fake Okta for tests: real enough for Okta's own SDKs,
// and as bad-tempered as a test needs it to be.
//
// It keeps users, groups, group rules, factors, the system log and whatever else
// Okta's API describes, signs users in and gives out tokens; it has Okta's rate limits, with
// Okta's headers; it answers what a script lays out, with any of Okta's error codes,
// any status, and the faults that networks have; and it remembers what arrived.
//
//	srv := oktatest.NewServer(t, oktatest.WithUsers(250))
//	srv.Script("GET /api/v1/users",
//		oktatest.Code("E0000009"),            // 500, internal server error
//		oktatest.EdgePage(503),               // HTML from the proxy in front
//		oktatest.RateLimited(2*time.Second),  // 429, with the headers
//		oktatest.Pass,                        // this one is let through …
//		oktatest.Reset)                       // … and this connection breaks
//	// … use srv.URL …
//	if n := srv.Count("POST /api/v1/users"); n != 1 {
//		t.Errorf("%d users created, want 1", n)
//	}
//
// NewServer listens on a loopback port. Okta.Transport serves the same fake in
// memory: in a bubble of testing/synctest, ten minutes of waiting for rate
// limits then take no time at all.
//
// # Rate limits
//
// Each request falls into one bucket (Bucket), whose window opens with its
// first request and lasts a minute; WithWindow lays windows out on a grid
// instead. WithLimit sets a bucket's limit, WithBurst lets buckets accept more
// while Remaining is 0, and Bucket.Where splits one.
//
// Beside its buckets Okta limits single users, clients, sessions and tokens,
// and calls in flight. A Limit does that: OktaLimits are Okta's own, WithLimits
// adds them, and WithLimitHeaders selects whether their 429s report the limit or
// the org's bucket. SmallOrg and Enterprise are whole orgs, with all of it.
//
//	srv := oktatest.NewServer(t, oktatest.SmallOrg(), oktatest.WithUsers(10))
//	// … hammer the login of one user, and log others in beside it …
//	for _, r := range srv.RequestsTo("POST /api/v1/authn") {
//		if r.RefusedBy != "" && r.RefusedBy != oktatest.LimitPerUserName.Name {
//			t.Errorf("%s was refused by %s", r.Body, r.RefusedBy)
//		}
//	}
//
// # Sign-ins
//
// Users sign in at /api/v1/authn by their password (UserPassword, or that of a seed or
// request) and, where RequireMFA or a seed asks for it, by a factor: a push that is
// polled, a passcode, an answer. State tokens, the states of a transaction and what is
// refused are those of Okta's documentation; WithPasswordPolicy has users locked out and
// passwords expire. A session token brings a session (/api/v1/sessions) or a code
// (/authorize), once. Token endpoints know the password, authorization code, refresh
// token and client credentials grants; introspect, revoke and userinfo know their tokens.
// Not served are enrollment and recovery during a sign-in, activation tokens, and the
// Identity Engine's own API (/idp/idx).
//
// # Group rules, factors and the system log
//
// An active group rule puts matching users into its groups: at once, and when
// users are created or change. Its expression may compare attributes, join
// comparisons with and, or, not, and use Okta's functions for strings, arrays
// and groups. Rules change only while INACTIVE; a change that arrives during
// another is 423 E0000239 (WithRuleLock). Whom somebody removes from the group
// the rule excludes from then on.
//
// Users of WithUsers and AddUser have a push factor from the start, others enrol
// theirs: push by polling its activation, SMS, call, email and authenticator apps
// by a passcode, which Okta.Passcode returns, questions and tokens at once.
// WithFactorResult sets what becomes of a push, Okta.Pushes counts those sent.
//
// GET /api/v1/logs has an event for each change that a request has made, each
// 429, a warning from 90 % of a bucket's limit on, and what rules and factors do,
// under Okta's types; of type oktatest.write where the fake knows none for a
// change. Without until it is polled: each page has a next link, and what is
// logged later comes behind it. WithSystemLog sets how many events are kept.
//
// # Reads that lag behind writes
//
// WithLag lets lists be late, now and then and by a seed, as Okta's are: a
// member added a moment ago is missing, a search does not find the user that was
// just created. Nothing rehearses a duplicate create as well (see the example).
//
// # Bad days
//
// A Day is something that goes wrong at Okta for a while, by name: EdgeOutage,
// QuotaEaten, ReadOnly, ErrorSpells and others (DayNames), each with what is known
// of it, and DayOf for one's own. On narrows it to endpoints, From, FromFirst and
// For to a time, Every and Chance to some of the requests, and several go on at a
// time. WithDay has them from the start, Okta.Begin switches them on later.
//
//	okta := oktatest.New(oktatest.WithDay(
//		oktatest.EdgeOutage(5*time.Minute).From(time.Minute),
//		oktatest.QuotaEaten(0.9).On("GET /api/v1/users")))
//
// # Assertions
//
// The journal has each request (Requests), and assertions say what a test wants of
// all: AssertNoDuplicateCreates, AssertNothingBeforeReset, AssertNo429s,
// AssertPeakConcurrency, AssertAllServed. What they report names the requests with
// their times.
//
// # What a request goes through
//
// Once its body is there: latency (half of it), then the script that matches,
// if any; else the bad days of Okta's edge; the credential, which a 401 E0000011
// refuses without counting the request anywhere; the limits of requests in flight, the
// limits of users, clients and so on, the bucket, the bad days of the API, and the
// API; then the other half of the latency. What one limit refuses takes no place of
// another. Every answer that Okta would have made carries an X-Okta-Request-Id and a
// Date; those of limited endpoints also X-Rate-Limit-Limit, -Remaining and -Reset, 2xx
// answers included. Servers add what else comes from Okta: cookies, cache headers, gzip,
// chunks (WithOktaHeaders).
//
// # What is true to Okta
//
// Users and groups are held to 63,836 recorded answers of real orgs: their fields, the
// order of these, links by status, statuses and the codes of what they refuse, default
// limits of lists, cursors, and the group Everyone (EveryoneID), in which each user is
// until it is deactivated, and leaves all groups. A profile has the attributes of Okta's
// default schema, and those of WithProfileAttributes. Access tokens are JWTs, signed with
// RS256 by the key that the keys endpoints list: the same in every process and known to
// all, so it protects nothing.
//
// # What it serves
//
// Okta's OpenAPI descriptions, with that of Identity Governance, have 874
// operations. Users, groups, group rules, factors, sign-ins, sessions, the system log and
// tokens are written by hand. All others are answered from one store with state: what is created
// can be read, listed page by page, replaced, changed, activated, deactivated and
// deleted, with what lies below it; the answers have the types of the description,
// fields that only Okta sets are its own, and errors have Okta's codes. Apps and their
// users and groups, policies and rules, roles, schemas, authorization servers, hooks
// and zones also refuse what Okta refuses, and begin with what every org has.
// AddResource adds what no request can create.
//
// Such answers are marked (GenericHeader, Request.Generic), and WithoutGeneric
// forbids them: they are as good as the description, which says little of what one
// resource does to another.
//
// An endpoint that is not served answers 400 with the errorCode "OKTATEST", which no
// program takes for one of Okta's answers, and makes the test of NewServer fail at
// its end, unless AllowUnserved is given. Unserved lists them, WithHandler adds
// endpoints. Paths below no part of Okta's API ("/") get the 404 page of Okta's
// gateway.
//
// # What it holds from the start
//
// WithUsers and WithGroups fill it with what is all alike, WithSeed with what a test
// names: users with their status, credentials and groups, limits, and by requests of
// an administrator whatever else the fake serves. ParseSeed reads a seed from strict
// JSON, package orgfile of module policyfile from YAML.
//
// Package control serves a fake to programs in other languages, with an API to steer
// it; the command oktaretry fake is that. docs/testing.md has recipes.
//
// # What it is not
//
// It checks no signatures, no scopes and no client secrets, policies decide nothing, and it
// demands no more of a profile than login and email. Lists understand the common part
// of q, filter and search.
//
// What makes no sense (an unknown code, a malformed pattern, a bucket that does
// not exist) panics where it is written, with a message that names the mistake:
// in a test that is the shortest way to the mistake.
package oktatest
