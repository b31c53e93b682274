// This file holds the limits of Okta's that are finer than a bucket, and the buckets
// that are finer than its documents.

package oktatest

import (
	"cmp"
	"net"
	"slices"
	"strings"
	"time"
)

// Okta's limits beside its buckets: none is in force unless WithLimits or an
// org (SmallOrg, Enterprise) adds it. What one user, client or session has used
// up "affects no other users" of the org:
// https://developer.okta.com/docs/reference/rl2-limits/
var (
	// LimitPerUserName lets one user name log in 4 times a second at /authn,
	// and as often at a token endpoint (password grant); user_rate_limited in
	// the System Log.
	LimitPerUserName = Limit{Name: "logins of a user name", Max: 4, Window: time.Second, Key: ByUserName,
		Patterns: []string{"POST /api/v1/authn", "POST /oauth2/v1/token", "POST /oauth2/{server}/v1/token"}}

	// LimitPasscodes lets one user try 5 one-time passcodes or answers in 5
	// minutes, right or wrong. Pushes and their polls don't count.
	LimitPasscodes = Limit{Name: "passcodes of a user", Max: 5, Window: 5 * time.Minute, Key: byPasscode,
		Patterns: []string{"POST /api/v1/users/{id}/factors/{factor}/verify", "POST /api/v1/authn/factors/{factor}/verify"}}

	// LimitFactorActivations and LimitFactorResends let one user's factors be
	// activated, and their enrollments sent again, 5 times in 5 minutes (last
	// published in 2025).
	LimitFactorActivations = Limit{Name: "factor activations of a user", Max: 5, Window: 5 * time.Minute, Key: byPathUser,
		Patterns: []string{"POST /api/v1/users/{id}/factors/{factor}/lifecycle/activate"}}
	LimitFactorResends = Limit{Name: "factor resends of a user", Max: 5, Window: 5 * time.Minute, Key: byPathUser,
		Patterns: []string{"POST /api/v1/users/{id}/factors/{factor}/resend"}}

	// LimitPerIdentityEngineUser and LimitPerStateToken let one user make 20
	// requests, and one state token 10, in 5 seconds to the Identity Engine.
	LimitPerIdentityEngineUser = Limit{Name: "Identity Engine calls of a user", Max: 20, Window: 5 * time.Second,
		Key: byIdentifier, Patterns: []string{"/idp/idx/*"}}
	LimitPerStateToken = Limit{Name: "Identity Engine calls of a state token", Max: 10, Window: 5 * time.Second,
		Key: ByStateToken, Patterns: []string{"/idp/idx/*"}}

	// LimitPerSession lets one session (cookie sid) make 40 requests in 10
	// seconds to the same endpoint, which here means bucket.
	LimitPerSession = Limit{Name: "calls of a session", Max: 40, Window: 10 * time.Second, Key: BySession,
		Patterns: []string{"*"}}

	// LimitPerClient lets one client, that is client id, IP address and device,
	// make 60 requests a minute and 5 at a time at /authorize and the login
	// page. All headers are the client's there:
	// https://developer.okta.com/docs/reference/rl2-client-based/
	LimitPerClient = Limit{Name: "calls of a client", Max: 60, Window: time.Minute, InFlight: 5, Key: ByClient,
		Headers:  HeadersOfLimit,
		Patterns: []string{"/oauth2/v1/authorize", "/oauth2/{server}/v1/authorize", "/login/login.htm"}}

	// LimitTokenCalls lets 7 requests at a time into a token endpoint: of 10
	// sent together, orgs have been recorded to refuse 3.
	LimitTokenCalls = Limit{Name: "token calls in flight", InFlight: 7,
		Patterns: []string{"/oauth2/v1/token", "/oauth2/{server}/v1/token"}}
)

// OktaLimits are all of Okta's limits beside its buckets.
func OktaLimits() []Limit {
	return []Limit{LimitPerUserName, LimitPasscodes, LimitFactorActivations, LimitFactorResends,
		LimitPerIdentityEngineUser, LimitPerStateToken, LimitPerSession, LimitPerClient, LimitTokenCalls}
}

// Buckets that are finer than Okta's documents, for WithBucket; with the limits
// of a default org, which a copy can change.
var (
	// BucketUserSearch counts searches for users apart from their list.
	BucketUserSearch = Bucket{Name: "GET /api/v1/users?search", Patterns: []string{"GET /api/v1/users"},
		Where: HasQuery("search"), Limit: 600}

	// BucketAppReads counts reads of one app apart from PUT and DELETE, as
	// recorded since September 2025.
	BucketAppReads = Bucket{Name: "GET /api/v1/apps/{id}", Patterns: []string{"GET /api/v1/apps/{id}"}, Limit: 500}

	// BucketDomainReads and BucketDomainWrites count reads and writes of custom
	// domains apart, each with the limit that is recorded of it.
	BucketDomainReads = Bucket{Name: "GET /api/v1/domains", Limit: 50,
		Patterns: []string{"GET /api/v1/domains", "GET /api/v1/domains/*"}}
	BucketDomainWrites = Bucket{Name: "/api/v1/domains", Limit: 15,
		Patterns: []string{"/api/v1/domains", "/api/v1/domains/*"}}
)

// recordedBuckets are those of which only recordings tell, one org's each.
var recordedBuckets = []Bucket{
	BucketDomainReads, BucketDomainWrites,
	{Patterns: []string{"/attack-protection/*"}, Limit: 500},
	{Patterns: []string{"/integrations/*"}, Limit: 1000},
}

// oktaBurst is how many times its limit a bucket takes at most:
// https://developer.okta.com/docs/reference/rl2-burst/
const oktaBurst = 5

// ByUserName is for Limit.Key: it counts each user name by itself that logs in
// with a password, at each endpoint. Case does not matter.
func ByUserName(r Request) string { return r.at(strings.ToLower(r.field("username"))) }

// ByStateToken is for Limit.Key: it counts each transaction by itself: state
// token, or state handle of the Identity Engine.
func ByStateToken(r Request) string {
	if s := r.field("stateHandle"); s != "" {
		return s
	}
	return r.field("stateToken")
}

// BySession is for Limit.Key: it counts each session's cookie (sid) by itself,
// at each endpoint.
func BySession(r Request) string { return r.at(r.cookie("sid")) }

// ByClient is for Limit.Key: it counts each combination by itself of client id,
// IP address (the first of X-Forwarded-For, else where the request came from)
// and device (X-Device-Token, else the cookie DT). Without a device, all those
// of one client id and address are one client, as at Okta.
func ByClient(r Request) string {
	ip, _, _ := strings.Cut(r.Header.Get("X-Forwarded-For"), ",")
	if ip = strings.TrimSpace(ip); ip == "" {
		ip = r.RemoteAddr
		if host, _, err := net.SplitHostPort(ip); err == nil {
			ip = host
		}
	}
	device := r.Header.Get("X-Device-Token")
	if device == "" {
		device = r.cookie("DT")
	}
	return strings.Join([]string{"client", r.clientID(), ip, device}, "\n")
}

// byPasscode is the user who answers a challenge: the path's, or the
// transaction's.
func byPasscode(r Request) string {
	if r.field("passCode") == "" && r.field("answer") == "" {
		return ""
	}
	if user := cmp.Or(byPathUser(r), strings.ToLower(r.signingIn)); user != "" {
		return user
	}
	return ByStateToken(r)
}

// byPathUser is the user of /api/v1/users/{id}/….
func byPathUser(r Request) string {
	segs := segments(r.Path)
	if i := slices.Index(segs, "users"); i >= 0 && i+1 < len(segs) {
		return strings.ToLower(segs[i+1])
	}
	return ""
}

// byIdentifier is the user whom a request to the Identity Engine names, or
// whose session it carries.
func byIdentifier(r Request) string {
	if name := r.field("identifier"); name != "" {
		return strings.ToLower(name)
	}
	return r.cookie("sid")
}
