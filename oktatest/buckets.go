// This file groups endpoints into buckets: Okta's own, and which of them burst.

package oktatest

import (
	"fmt"
	"slices"
	"time"
)

// Bucket is a set of endpoints that share one rate limit, the org's.
//
// A request falls into the bucket with the best pattern for its method and
// path: a pattern without * before one with it, then the one that spells out
// most segments, then one that names the method, then one with Where. This is
// how Okta documents its own grouping: exact match first, then the longest
// prefix, per method.
type Bucket struct {
	// Name is what WithLimit, SetLimit, Consume and the journal call the
	// bucket. Empty: its first pattern.
	Name string

	// Patterns are the requests meant, in the language of Script.
	Patterns []string

	// Where, if not nil, narrows them to the requests for which it returns
	// true: Okta counts some requests apart though they share an endpoint
	// (HasQuery). The request has no Body yet. A bucket with Where needs a Name.
	Where func(Request) bool

	// Limit is the number of requests let through in each window. A negative
	// limit means none: such requests carry no rate-limit headers.
	Limit int

	// Window is the windows' length. 0: as WithWindowLength or WithWindow has it.
	Window time.Duration

	// Offset places the windows on a grid, so far past the full minute
	// (strictly: past a multiple of Window since 1970). 0: they open with
	// their first request, or lie on the grid that WithWindow asks for.
	Offset time.Duration

	// Burst, from 2 on, lets through that many times Limit while Remaining is
	// 0, as Okta does for authentication (see WithBurst). 0 and 1: no burst.
	Burst int
}

// HasQuery is for Bucket.Where: it is true of requests with one of the keys in
// their query, whatever its value.
func HasQuery(keys ...string) func(Request) bool {
	return func(r Request) bool { return slices.ContainsFunc(keys, r.query().Has) }
}

// defaultBuckets are Okta's groups with the limits that it last published for
// its workforce plan (in 2025; it no longer does, and real limits differ by
// org). Limits per user are no buckets (see OktaLimits). /api/v1/users/me was
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

// burstBuckets are those that hold authentication or authorization endpoints.
var burstBuckets = []string{
	"/api/v1/authn", "/api/v1/authn/factors/{id}/verify", "/api/v1/sessions",
	"/oauth2/v1", "/oauth2/v1/token", "/oauth2/v1/authorize",
	"/oauth2/{server}/v1", "/oauth2/{server}/v1/token", "/oauth2/{server}/v1/authorize",
	"/idp/idx", "/idp/idx/identify", "/idp/idx/introspect",
}

// bucketTable finds the bucket of a request. It does not change once made.
type bucketTable struct {
	buckets []Bucket
	entries []bucketEntry
}

type bucketEntry struct {
	pattern
	where  func(Request) bool
	bucket int
	rank   int // the higher, the better the match
}

// newBucketTable puts the user's own buckets before those of the org's kind and
// the default ones: they win where both match equally well, and replace one of
// the same name.
func newBucketTable(own, org []Bucket) (*bucketTable, error) {
	t := &bucketTable{}
	named := map[string]bool{}
	for i, b := range slices.Concat(own, org, defaultBuckets) {
		if b.Name == "" && b.Where == nil && len(b.Patterns) > 0 {
			b.Name = b.Patterns[0]
		}
		if err := b.check(); err != nil {
			return nil, err
		}
		if named[b.Name] {
			if i < len(own) {
				return nil, fmt.Errorf("two buckets are called %q", b.Name)
			}
			continue
		}
		named[b.Name] = true
		for _, s := range b.Patterns {
			p, err := parsePattern(s)
			if err != nil {
				return nil, fmt.Errorf("bucket %q: %w", b.Name, err)
			}
			t.entries = append(t.entries, bucketEntry{p, b.Where, len(t.buckets), b.rank(p)})
		}
		t.buckets = append(t.buckets, b)
	}
	return t, nil
}

func (b Bucket) check() error {
	switch {
	case len(b.Patterns) == 0:
		return fmt.Errorf("bucket %q has no patterns", b.Name)
	case b.Name == "":
		return fmt.Errorf("a bucket with Where needs a name")
	case b.Window < 0 || b.Burst < 0:
		return fmt.Errorf("bucket %q: Window and Burst must not be negative", b.Name)
	}
	return nil
}

// counter makes what counts for the bucket.
func (b Bucket) counter(windows layout) *counter {
	if b.Window > 0 {
		windows.length, windows.offset = b.Window, b.Offset
	}
	if b.Offset != 0 {
		windows.offset, windows.grid = b.Offset, true
	}
	return &counter{name: b.Name, headers: HeadersOfLimit, max: b.Limit, burst: b.Burst, windows: windows}
}

// rank orders patterns: exact before prefix, then by what is spelled out (by
// length first for prefixes), then by method, then by Where.
func (b Bucket) rank(p pattern) int {
	r := p.Literals() * 4
	if p.Method != "" {
		r += 2
	}
	if b.Where != nil {
		r++
	}
	if p.Below {
		return r + len(p.Segs)*1000
	}
	return r + 1_000_000
}

// unlimited reports whether the bucket is made to have no limit.
func (t *bucketTable) unlimited(bucket int) bool {
	return bucket >= 0 && t.buckets[bucket].Limit < 0
}

// of returns the index of the request's bucket; -1 where none matches. A nil
// view is of a request of which only the path is known.
func (t *bucketTable) of(method string, segs []string, view func() Request) int {
	best, at := -1, -1
	for _, e := range t.entries {
		if e.rank > best && e.Match(method, segs) && (e.where == nil || view != nil && e.where(view())) {
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
	segs := p.Segs
	if p.Below {
		segs = append(slices.Clone(segs), "x")
	}
	if i := t.of(p.Method, segs, nil); i >= 0 {
		return i, nil
	}
	return -1, fmt.Errorf("no bucket for %q", nameOrPattern)
}

// checkNames refuses a limit that is called like a bucket.
func (t *bucketTable) checkNames(limits map[string]int) error {
	for _, b := range t.buckets {
		if _, taken := limits[b.Name]; taken {
			return fmt.Errorf("WithLimits: a limit and a bucket are both called %q", b.Name)
		}
	}
	return nil
}
