// This file holds the options of New.

package oktatest

import (
	"fmt"
	"net/http"
	"time"

	"github.com/oktaretry/oktaretry/oktatest/internal/lag"
	"github.com/oktaretry/oktaretry/oktatest/internal/signin"
)

// Option sets up a fake Okta. Options are made by this package; the last of a
// kind wins. New panics if one makes no sense.
type Option func(*config)

type config struct {
	users, groups int
	attributes    []string // of profiles, beside Okta's own

	windows       layout
	noLimits      bool
	perCredential bool
	share         float64
	org           org
	buckets       []Bucket
	overrides     []override
	limits        []Limit
	limitHeaders  Headers
	concurrency   int

	skew      time.Duration
	latency   time.Duration
	latencyOf func(*http.Request) time.Duration

	auth        bool
	credentials []string
	dpop        bool
	tokenLife   time.Duration

	mfa      bool // asked of all users
	mfaOf    []string
	password signin.Policy

	factorResult string
	factorWaits  int
	ruleLock     time.Duration
	logSize      int
	lagSeed      uint64
	lagReads     []lag.Reads

	oktaHeaders bool

	journal   int
	bodyLimit int64
	routes    []route

	allowUnserved  bool
	withoutGeneric bool

	begin []func(*Okta) // called once the fake is made
}

func defaultConfig() config {
	return config{
		windows:      layout{length: time.Minute},
		limitHeaders: HeadersOfRefusal,
		tokenLife:    time.Hour,
		factorResult: "SUCCESS",
		factorWaits:  2,
		ruleLock:     50 * time.Millisecond,
		logSize:      10_000,
		journal:      100_000,
		bodyLimit:    1 << 20,
	}
}

func require(ok bool, format string, args ...any) {
	if !ok {
		panic("oktatest: " + fmt.Sprintf(format, args...))
	}
}

// WithUsers fills the directory with n active users, user00000@example.com and
// on. Their ids are the same in every run.
func WithUsers(n int) Option {
	require(n >= 0, "WithUsers(%d): must not be negative", n)
	return func(c *config) { c.users = n }
}

// WithGroups fills the directory with n groups, "group 00000" and on, without
// members. Their ids are the same in every run.
func WithGroups(n int) Option {
	require(n >= 0, "WithGroups(%d): must not be negative", n)
	return func(c *config) { c.groups = n }
}

// WithProfileAttributes adds attributes to the schema of users' profiles, as an admin does
// in the profile editor, and a program by POST /api/v1/meta/schemas/user/{schemaId}. Without it a profile may have the 31 attributes of Okta's default
// schema; any other is answered 400 E0000001.
func WithProfileAttributes(names ...string) Option {
	return func(c *config) { c.attributes = append(c.attributes, names...) }
}

// WithWindowLength sets the length of the rate-limit windows. Default: one
// minute. As at Okta, a window opens with the first request after the last one
// is over, whenever that is (Reset − Date is 58 to 60 s in all recorded answers
// with Remaining = Limit − 1). A window of whole seconds opens at the beginning
// of the second in which that request is decided.
func WithWindowLength(d time.Duration) Option {
	require(d > 0, "WithWindowLength(%v): must be positive", d)
	return func(c *config) { c.windows = layout{length: d} }
}

// WithWindow lays the rate-limit windows out on a fixed grid instead: of that
// length, and beginning so far past a multiple of it (for one minute: past the
// full minute), whoever calls. Reset is rounded up to a whole second, so
// windows that begin within a second are over a little before their Reset.
func WithWindow(length, offset time.Duration) Option {
	require(length > 0, "WithWindow: length %v must be positive", length)
	return func(c *config) { c.windows = layout{length: length, offset: offset, grid: true} }
}

// WithLimit sets the limit of one bucket. The bucket is given by name, or by
// any request that falls into it ("GET /api/v1/users/{id}"). A negative limit
// takes it away: its requests then carry no rate-limit headers.
func WithLimit(bucket string, limit int) Option {
	return func(c *config) { c.overrides = append(c.overrides, limitOf(bucket, limit)) }
}

// WithBucket adds a bucket, or replaces the one of the same name. With
// BucketUserSearch, BucketAppReads or a Where of one's own, it splits one.
func WithBucket(b Bucket) Option {
	return func(c *config) { c.buckets = append(c.buckets, b) }
}

// WithBurst lets buckets accept so many times their limit while Remaining is 0,
// and refuse only what is beyond. Okta does so, 5 times, in buckets that hold
// authentication or authorization endpoints, while it has capacity to spare:
// https://developer.okta.com/docs/reference/rl2-burst/. Those buckets are meant
// if none is given; else they are given as for WithLimit.
func WithBurst(times int, buckets ...string) Option {
	require(times > 0, "WithBurst(%d): must be positive", times)
	if len(buckets) == 0 {
		buckets = burstBuckets
	}
	return func(c *config) {
		for _, b := range buckets {
			c.overrides = append(c.overrides, burstOf(b, times))
		}
	}
}

// WithoutLimits switches rate limits off: nothing is refused and no answer
// carries rate-limit headers. What WithLimit, WithLimits and
// WithConcurrencyLimit ask for still counts.
func WithoutLimits() Option {
	return func(c *config) { c.noLimits = true }
}

// WithLimitPerCredential counts each Authorization header by itself. Without
// it, all share the org's buckets.
func WithLimitPerCredential() Option {
	return func(c *config) { c.perCredential = true }
}

// WithCredentialShare lets one Authorization header use no more than a share of
// each bucket, as Okta does (0.5 by default there): beyond it comes a 429, also
// while the headers, which report the whole bucket, have places left.
func WithCredentialShare(share float64) Option {
	require(share > 0 && share <= 1, "WithCredentialShare(%v): must lie in (0, 1]", share)
	return func(c *config) { c.share = share }
}

// Concurrency is the name of the limit that WithConcurrencyLimit sets.
const Concurrency = "concurrency"

// WithConcurrencyLimit refuses a request with ConcurrencyLimited's answer while
// n others are in flight, anywhere in the org (Okta: 35 or 75); Limit.InFlight
// does so for one endpoint or token. A request is in flight from when it has
// arrived, body and all, until its answer is sent, latency included; one that
// was refused is not. Metadata endpoints have no limit and don't count.
func WithConcurrencyLimit(n int) Option {
	require(n > 0, "WithConcurrencyLimit(%d): must be positive", n)
	return func(c *config) { c.concurrency = n }
}

// WithClockSkew sets the fake's clock ahead by d, or behind if d is negative:
// Date, Reset and every time it reports are shifted, and so are its windows.
func WithClockSkew(d time.Duration) Option {
	return func(c *config) { c.skew = d }
}

// WithLatency makes every answer take d, half of it before the answer is
// decided and dated and half after. A caller who leaves is not waited for.
func WithLatency(d time.Duration) Option {
	require(d >= 0, "WithLatency(%v): must not be negative", d)
	return func(c *config) { c.latency = d }
}

// WithLatencyFunc asks f for the latency of each request, so that answers can
// overtake each other. f is called by many goroutines at a time.
func WithLatencyFunc(f func(*http.Request) time.Duration) Option {
	require(f != nil, "WithLatencyFunc: a nil function")
	return func(c *config) { c.latencyOf = f }
}

// RequireAuth answers requests to /api/v1 that carry no Authorization of scheme
// SSWS, Bearer or DPoP with 401 E0000011. If credentials are given ("SSWS
// secret"), only those and the tokens that the fake has issued are accepted, until they
// expire or are revoked. Sign-ins, POST /api/v1/sessions and /api/v1/sessions/me need none.
func RequireAuth(credentials ...string) Option {
	return func(c *config) { c.auth, c.credentials = true, credentials }
}

// WithDPoP demands DPoP of the token endpoint, with the handshake that Okta
// demands: a request without a proof gets 400 invalid_dpop_proof, one whose
// proof lacks the server's nonce 400 use_dpop_nonce with a Dpop-Nonce header,
// and the next a token of type DPoP. A proof (known by its jti) that is
// used again, there or on any resource, is refused as Okta does. Signatures
// are not checked.
func WithDPoP() Option {
	return func(c *config) { c.dpop = true }
}

// WithTokenLifetime sets the expires_in of access tokens. Default: one hour.
func WithTokenLifetime(d time.Duration) Option {
	require(d > 0, "WithTokenLifetime(%v): must be positive", d)
	return func(c *config) { c.tokenLife = d }
}

// WithFactorResult sets how factor verifications go: so many polls answer
// WAITING, then comes the result (SUCCESS, REJECTED, TIMEOUT, CANCELLED,
// FAILED, ERROR). Negative waits: WAITING until it expires after five minutes,
// then TIMEOUT. Default: SUCCESS after 2 polls.
func WithFactorResult(result string, waits int) Option {
	return func(c *config) { c.factorResult, c.factorWaits = result, waits }
}

// WithOktaHeaders makes answers come as from Okta and the nginx in front of it: with the
// headers that all of Okta's answers have (Server, Cache-Control, Strict-Transport-Security
// and so on), a Set-Cookie of a new session, gzip where the request accepts it, and in
// chunks, without a Content-Length. Default: on for NewServer, NewTLSServer and StartServer,
// off for a fake that New makes. Answers that a script breaks or slows down, and those of a
// Func, have the headers only; an EdgePage has none of it.
func WithOktaHeaders(on bool) Option {
	return func(c *config) { c.oktaHeaders = on }
}

// WithJournal sets how many requests the journal keeps: the last n. Default:
// 100,000. With 0 it is off; Arrived and Answered still count.
func WithJournal(n int) Option {
	require(n >= 0, "WithJournal(%d): must not be negative", n)
	return func(c *config) { c.journal = n }
}

// WithBodyLimit sets how many bytes of a request's body are kept, for the
// journal and for the API. Default: 1 MiB. What is beyond is read and dropped.
func WithBodyLimit(n int64) Option {
	require(n >= 0, "WithBodyLimit(%d): must not be negative", n)
	return func(c *config) { c.bodyLimit = n }
}

// WithHandler adds an endpoint, in front of the fake's own. Rate limits,
// latency, scripts, RequireAuth and the journal apply to it as to the others;
// its answer gets the headers of every Okta answer. The handler's answer is
// sent once it has returned.
func WithHandler(pattern string, h http.Handler) Option {
	p := mustPattern(pattern)
	require(h != nil, "WithHandler(%q): a nil handler", pattern)
	return func(c *config) {
		c.routes = append(c.routes, route{pattern: p, own: true, reply: func(c *call) *reply { return c.record(h) }})
	}
}
