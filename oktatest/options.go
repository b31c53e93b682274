// This file holds the options of New.

package oktatest

import (
	"fmt"
	"net/http"
	"time"
)

// Option sets up a fake Okta. Options are made by this package; the last of a
// kind wins. New panics if one makes no sense.
type Option func(*config)

type config struct {
	users, groups int

	window, offset time.Duration
	noLimits       bool
	perCredential  bool
	share          float64
	buckets        []Bucket
	overrides      []override
	concurrency    int

	skew      time.Duration
	latency   time.Duration
	latencyOf func(*http.Request) time.Duration

	auth        bool
	credentials []string
	dpop        bool
	tokenLife   time.Duration

	factorResult string
	factorWaits  int

	journal   int
	bodyLimit int64
	routes    []route
}

type override struct {
	bucket string
	limit  int
}

func defaultConfig() config {
	return config{
		window:       time.Minute,
		tokenLife:    time.Hour,
		factorResult: "SUCCESS",
		factorWaits:  2,
		journal:      100_000,
		bodyLimit:    1 << 20,
	}
}

func (cfg config) limiter() *limiter {
	table, err := newBucketTable(cfg.buckets)
	if err != nil {
		panic("oktatest: WithBucket: " + err.Error())
	}
	l := newLimiter(table, cfg.window, cfg.offset)
	l.perCredential, l.share = cfg.perCredential, cfg.share
	if cfg.noLimits {
		for i := range l.limits {
			l.limits[i] = -1
		}
	}
	for _, s := range cfg.overrides {
		i, err := table.named(s.bucket)
		if err != nil {
			panic("oktatest: WithLimit: " + err.Error())
		}
		l.limits[i] = s.limit
	}
	return l
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

// WithWindow sets the length of the rate-limit windows and how far past a
// multiple of that length (for one minute: past the full minute) they begin.
// Default: one minute, 0. Reset is rounded up to a whole second, so windows
// that begin within a second are over a little before their Reset.
func WithWindow(length, offset time.Duration) Option {
	require(length > 0, "WithWindow: length %v must be positive", length)
	return func(c *config) { c.window, c.offset = length, offset }
}

// WithLimit sets the limit of one bucket. The bucket is given by name, or by
// any request that falls into it ("GET /api/v1/users/{id}"). A negative limit
// takes it away: its requests then carry no rate-limit headers.
func WithLimit(bucket string, limit int) Option {
	return func(c *config) { c.overrides = append(c.overrides, override{bucket, limit}) }
}

// WithBucket adds a bucket, or replaces the one of the same name.
func WithBucket(b Bucket) Option {
	return func(c *config) { c.buckets = append(c.buckets, b) }
}

// WithoutLimits switches rate limits off: nothing is refused and no answer
// carries rate-limit headers. Limits of WithLimit still count.
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
// while the headers, which speak of the whole bucket, say that places are left.
func WithCredentialShare(share float64) Option {
	require(share > 0 && share <= 1, "WithCredentialShare(%v): must lie in (0, 1]", share)
	return func(c *config) { c.share = share }
}

// WithConcurrencyLimit refuses a request with ConcurrencyLimited's answer while
// n others are in flight. A request is in
// flight from its arrival until its answer is sent, latency included; one that
// was refused is not. It holds with WithoutLimits too; only metadata endpoints
// are always let through.
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
// secret"), only those and the tokens that the fake has issued are accepted.
func RequireAuth(credentials ...string) Option {
	return func(c *config) { c.auth, c.credentials = true, credentials }
}

// WithDPoP demands DPoP of the token endpoint, with the handshake that Okta
// demands: a request without a proof gets 400 invalid_dpop_proof, one whose
// proof lacks the server's nonce 400 use_dpop_nonce with a Dpop-Nonce header,
// and the next a token of type DPoP. A proof (told apart by its jti) that is
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
		c.routes = append(c.routes, route{p, func(c *call) *reply { return c.record(h) }})
	}
}
