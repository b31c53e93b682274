// This file says which endpoints share a rate limit.

package oktatest

import (
	"fmt"
	"time"
)

// Bucket is a set of endpoints that share one rate limit.
//
// A request falls into the bucket with the best pattern for its method and
// path: a pattern without * before one with it, then the one that spells out
// most segments, then one that names the method. This is how Okta documents
// its own grouping: exact match first, then the longest prefix, per method.
type Bucket struct {
	// Name is what WithLimit, SetLimit, Consume and the journal call the
	// bucket. Empty: its first pattern.
	Name string

	// Patterns are the requests meant, in the language of Script.
	Patterns []string

	// Limit is the number of requests let through in each window. A negative
	// limit means none: such requests carry no rate-limit headers.
	Limit int

	// Window is the window's length and Offset how far past the full minute
	// (strictly: past a multiple of Window since 1970) it begins. A Window of
	// 0 takes those of WithWindow.
	Window, Offset time.Duration

	// Burst, from 2 on, lets through that many times Limit while Remaining
	// says 0 already, as Okta does for authentication. 0 and 1: no burst.
	Burst int
}

// defaultBuckets are Okta's groups with the limits that it last published for
// its workforce plan (in 2025; it no longer does, and real limits differ by
// org). Limits per user and per username are left out. /api/v1/users/me was
// not in that table; it has the limit of the API's remainder.
var defaultBuckets = []Bucket{
	{Patterns: []string{"GET /api/v1/users/{id}"}, Limit: 2000},
	{Patterns: []string{"/api/v1/users/{id}"}, Limit: 600},
	{Patterns: []string{"/api/v1/users", "/api/v1/users/*"}, Limit: 600},
	{Patterns: []string{"/api/v1/users/me"}, Limit: 1200},
	{Patterns: []string{"/api/v1/groups/{id}"}, Limit: 1000},
	{Patterns: []string{"/api/v1/groups", "/api/v1/groups/*"}, Limit: 500},
	{Patterns: []string{"/api/v1/apps/{id}"}, Limit: 500},
	{Patterns: []string{"/api/v1/apps", "/api/v1/apps/*"}, Limit: 100},
	{Patterns: []string{"/api/v1/logs"}, Limit: 120},
	{Patterns: []string{"/api/v1/events"}, Limit: 100},
	{Patterns: []string{"/api/v1/certificateAuthorities", "/api/v1/certificateAuthorities/*"}, Limit: 100},
	{Patterns: []string{"/api/v1/devices", "/api/v1/devices/*"}, Limit: 100},
	{Patterns: []string{"/api/v1/org/email/bounces/remove-list"}, Limit: 60},
	{Patterns: []string{"POST /api/v1/orgs"}, Limit: 10},
	{Patterns: []string{"/api/v1/authn", "/api/v1/authn/*"}, Limit: 500},
	{Patterns: []string{"/api/v1/authn/factors/{id}/verify"}, Limit: 500},
	{Patterns: []string{"/api/v1/sessions", "/api/v1/sessions/*"}, Limit: 750},
	{Patterns: []string{"/api/v1", "/api/v1/*"}, Limit: 1200},
	{Patterns: []string{"/oauth2/v1/clients", "/oauth2/v1/clients/*"}, Limit: 100},
	{Patterns: []string{"/oauth2/v1/token"}, Limit: 2000},
	{Patterns: []string{"/oauth2/v1/authorize"}, Limit: 2000},
	{Patterns: []string{"/oauth2/v1", "/oauth2/v1/*"}, Limit: 2000},
	{Patterns: []string{"/oauth2/{server}/v1/token"}, Limit: 2000},
	{Patterns: []string{"/oauth2/{server}/v1/authorize"}, Limit: 2000},
	{Patterns: []string{"/oauth2/{server}/v1", "/oauth2/{server}/v1/*"}, Limit: 2000},
	{Patterns: []string{"/oauth2", "/oauth2/*"}, Limit: 600},
	{Patterns: []string{"/idp/idx", "/idp/idx/*"}, Limit: 1000},
	{Patterns: []string{"/idp/idx/identify"}, Limit: 1000},
	{Patterns: []string{"/idp/idx/introspect"}, Limit: 2000},
	{Name: "metadata", Limit: -1, Patterns: []string{
		"/.well-known/*",
		"/oauth2/v1/keys",
		"/oauth2/{server}/v1/keys",
		"/oauth2/{server}/.well-known/openid-configuration",
		"/oauth2/{server}/.well-known/oauth-authorization-server",
	}},
}

// bucketTable finds the bucket of a request. It does not change once made.
type bucketTable struct {
	buckets []Bucket
	entries []bucketEntry
}

type bucketEntry struct {
	pattern
	bucket int
	rank   int // the higher, the better the match
}

// newBucketTable puts the user's own buckets before the default ones: they win
// where both match equally well, and replace one of the same name.
func newBucketTable(own []Bucket) (*bucketTable, error) {
	t := &bucketTable{}
	named := map[string]bool{}
	for i, b := range append(append([]Bucket(nil), own...), defaultBuckets...) {
		if len(b.Patterns) == 0 {
			return nil, fmt.Errorf("bucket %q has no patterns", b.Name)
		}
		if b.Name == "" {
			b.Name = b.Patterns[0]
		}
		if named[b.Name] {
			if i < len(own) {
				return nil, fmt.Errorf("two buckets are called %q", b.Name)
			}
			continue
		}
		if b.Window < 0 || b.Burst < 0 {
			return nil, fmt.Errorf("bucket %q: Window and Burst must not be negative", b.Name)
		}
		named[b.Name] = true
		for _, s := range b.Patterns {
			p, err := parsePattern(s)
			if err != nil {
				return nil, fmt.Errorf("bucket %q: %w", b.Name, err)
			}
			t.entries = append(t.entries, bucketEntry{p, len(t.buckets), rank(p)})
		}
		t.buckets = append(t.buckets, b)
	}
	return t, nil
}

// rank orders patterns: exact before prefix, then by what is spelled out (by
// length first for prefixes), then by method.
func rank(p pattern) int {
	r := p.literals() * 2
	if p.method != "" {
		r++
	}
	if p.below {
		return r + len(p.segs)*100
	}
	return r + 1_000_000
}

// unlimited tells whether the bucket is made to have no limit.
func (t *bucketTable) unlimited(bucket int) bool {
	return bucket >= 0 && t.buckets[bucket].Limit < 0
}

// of returns the index of the request's bucket; -1 where none matches.
func (t *bucketTable) of(method string, segs []string) int {
	best, at := -1, -1
	for _, e := range t.entries {
		if e.rank > best && e.match(method, segs) {
			best, at = e.rank, e.bucket
		}
	}
	return at
}

// named returns the bucket of that name, or the one into which a request of
// that pattern would fall.
func (t *bucketTable) named(nameOrPattern string) (int, error) {
	for i, b := range t.buckets {
		if b.Name == nameOrPattern {
			return i, nil
		}
	}
	p, err := parsePattern(nameOrPattern)
	if err != nil {
		return -1, err
	}
	segs := p.segs
	if p.below {
		segs = append(append([]string(nil), segs...), "x")
	}
	if i := t.of(p.method, segs); i >= 0 {
		return i, nil
	}
	return -1, fmt.Errorf("no bucket for %q", nameOrPattern)
}
