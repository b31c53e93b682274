// Package route finds where a request to Okta goes, in terms that hold no personal data: which endpoint, as a path
// template, and which rate-limit bucket.
//
// The endpoints come from Okta's OpenAPI description and from lists of what that leaves out, the buckets from the limits
// that Okta published; tools/routegen turns them into table.go. A path is read once, segment by segment, along that table:
// no path, however odd, costs more than its length.
package route

import "strings"

//go:generate go -C ../../tools run ./routegen -o ../internal/route/table.go

// Route is where a request goes, in terms that hold no personal data.
type Route struct {
	// Template is the endpoint's path with its parameters by name, "/api/v1/users/{userId}/roles". For a path that is no
	// known endpoint it is the longest known start followed by "/*", "/api/v1/users/{id}/*"; at worst "/*". It is one of a
	// fixed, finite set of strings and never a part of the request's own path.
	Template string

	// Number is a small number of the Template: two of them never share one, but one can have several.
	Number int

	// Bucket names the rate-limit bucket that Okta counts the request in, "GET /api/v1/users/{id}". It is empty where
	// Okta sets no limit (metadata, keys) and "/" where not even the first segment is known.
	Bucket string

	// Known is true if the path is an endpoint's, so that Template does not end in "/*". Paths that are not known share
	// their Template with neighbours that may have nothing else in common with them.
	Known bool

	// Token is true for the endpoints that issue OAuth tokens.
	Token bool

	// Factor is true for the endpoints that enroll, activate or verify a factor: their 200 or 201 can hold a factorResult
	// of WAITING.
	Factor bool

	// Poll is true if the path ends in "/poll".
	Poll bool

	// Login is true where Okta limits single users, clients, devices or sessions as well as the bucket, so that a refusal
	// may concern one of them only: /api/v1/authn and /idp/idx with all below, sessions, sign-in pages, /authorize,
	// /interact and /token, a user's factor when it is verified, activated or resent. Source: Okta's rate-limit pages
	// (developer.okta.com/docs/reference: rl2-limits, rl-clientbased, rl-additional-limits).
	Login bool

	// Bursts is true if the Bucket accepts up to five times its limit for a while, with X-Rate-Limit-Remaining at 0: the
	// buckets of authentication and authorization endpoints. Source: developer.okta.com/docs/reference/rl2-burst.
	Bursts bool
}

// Match returns the route of a request. It never fails: an unknown path gets a Template that ends in "/*" and the
// Bucket of its longest known prefix. It does not allocate and is safe for concurrent use.
//
// The path is URL.RawPath if set, else URL.Path; in the raw form an encoded slash stays inside its segment. It is
// case-sensitive. Several slashes at its start count as one, as Okta takes them: an OrgUrl that ends in a slash makes SDKs
// send "//api/v1/users". One slash at its end means nothing; an empty segment elsewhere matches nothing. In each segment a
// literal beats a parameter, as long as the rest of the path fits an endpoint.
//
// The method matters to Bucket and Factor, which separate GET from all others. An empty method is GET, as in http.Request.
func Match(method, path string) Route {
	verb := verbOther
	if method == "GET" || method == "" {
		verb = verbGET
	}
	for len(path) > 1 && path[0] == '/' && path[1] == '/' {
		path = path[1:]
	}
	rest := strings.TrimPrefix(path, "/")
	at := uint16(0)
	if below, ok := strings.CutPrefix(path, api); ok && below != "" { // as nearly all are
		rest, at = below, apiState
	}
	s := &states[at]
	for more := rest != ""; more; {
		var segment string
		segment, rest, more = strings.Cut(rest, "/")
		if more && rest == "" { // the slash at the end
			more = false
		}
		next := s.next(segment)
		if next == 0 {
			b := &buckets[s.restBucket[verb]]
			return Route{
				Template: s.rest,
				Number:   2*int(at) + 1,
				Bucket:   b.name,
				Poll:     endsInPoll(path),
				Login:    s.restFlags&login != 0,
				Bursts:   b.bursts,
			}
		}
		at, s = next, &states[next]
	}
	b := &buckets[s.endBucket[verb]]
	return Route{
		Template: s.end,
		Number:   2 * int(at),
		Bucket:   b.name,
		Known:    s.endFlags&known != 0,
		Token:    s.endFlags&token != 0,
		Factor:   s.endFlags&(factorGET<<verb) != 0,
		Poll:     endsInPoll(path),
		Login:    s.endFlags&login != 0,
		Bursts:   b.bursts,
	}
}

// api is what nearly all paths begin with, and apiState what is behind it.
const api = "/api/v1/"

var apiState = states[states[0].next("api")].next("v1")

func endsInPoll(path string) bool {
	return strings.HasSuffix(strings.TrimSuffix(path, "/"), "/poll")
}

// A bucket is a rate-limit bucket.
type bucket struct {
	name   string
	bursts bool
}

// A state is all that the table holds of a path once some of its segments are read. Where a segment fits a literal and a
// parameter, the state behind it stands for both, so that no reader ever has to come back and try the other.
type state struct {
	end, rest             string // Template if the path ends here; if it goes on to where no state is
	firstEdge, lastEdge   uint16 // edges[firstEdge:lastEdge], by key
	param                 uint16 // the state behind any other segment; 0 is none
	endBucket, restBucket [2]uint8
	endFlags, restFlags   uint8
}

// An edge leads to the state behind a literal segment.
type edge struct {
	key   uint32 // edgeKey(label)
	to    uint16
	label string
}

// edgeKey is a fingerprint of a segment, by which the edges of a state are sorted: comparing numbers is cheaper than
// comparing strings. routegen computes the same.
func edgeKey(segment string) uint32 {
	n := len(segment)
	return uint32(n)<<24 | uint32(segment[0])<<16 | uint32(segment[n/2])<<8 | uint32(segment[n-1])
}

// Indexes into a state's buckets.
const (
	verbGET = iota
	verbOther
)

// A state's flags. factorOther is factorGET<<verbOther.
const (
	known uint8 = 1 << iota
	token
	login
	factorGET
	factorOther
)

// next returns the state behind a segment, 0 if there is none.
func (s *state) next(segment string) uint16 {
	if segment == "" {
		return 0
	}
	key := edgeKey(segment)
	lo, hi := int(s.firstEdge), int(s.lastEdge)
	for lo < hi {
		if mid := int(uint(lo+hi) >> 1); edges[mid].key < key {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	for end := int(s.lastEdge); lo < end && edges[lo].key == key; lo++ {
		if edges[lo].label == segment {
			return edges[lo].to
		}
	}
	return s.param
}
