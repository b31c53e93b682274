// This file has reads lag behind writes.

package oktatest

import (
	"slices"
	"time"

	"github.com/oktaretry/oktaretry/oktatest/internal/lag"
)

// LateReads are lists that can be late: that show users, groups and members as they were a
// while ago. What was added since is missing, what was removed is still there, what was changed
// is as before; a search looks through the same state. Each page of a list is a read of its own,
// and so is each repetition: an entry can be found, gone, and found again.
type LateReads struct {
	// Patterns are the lists meant, in the language of Script: any of "GET /api/v1/users",
	// which includes searches, "GET /api/v1/groups", "GET /api/v1/groups/{id}/users" and
	// "GET /api/v1/users/{id}/groups". Reads by id are never late.
	Patterns []string

	// Chance, in [0, 1], is how likely one of these reads is late.
	Chance float64

	// UpTo is how late at most; a late read shows the state of some moment since then.
	UpTo time.Duration
}

// Lists that can be late, as often as was recorded of real orgs.
var (
	// LateMembers are lists of a group's members and of a user's groups. Of 386 recorded
	// lists of members, 12 lacked one that was added up to 2 s before.
	LateMembers = LateReads{Chance: 0.06, UpTo: 2 * time.Second,
		Patterns: []string{"GET /api/v1/groups/{id}/users", "GET /api/v1/users/{id}/groups"}}

	// LateSearches are lists of users and groups, and searches for them. Of 117 recorded
	// searches, 5 lacked a user that was created 1 to 3 s before.
	LateSearches = LateReads{Chance: 0.13, UpTo: 3 * time.Second,
		Patterns: []string{"GET /api/v1/users", "GET /api/v1/groups"}}
)

// lists are the requests that can be late.
var lists = []string{"GET /api/v1/users", "GET /api/v1/groups", "GET /api/v1/groups/{id}/users", "GET /api/v1/users/{id}/groups"}

// WithLag has lists lag behind writes, as Okta's do: those given, or LateMembers and
// LateSearches if none are. The first that matches a request counts. Default: no list is late.
//
// The same seed and the same requests give the same lags: the n-th read of one URL is always as
// late, whatever is read beside it. Users and groups from before (WithUsers, AddUser) are seen by
// all reads. Time is the program's, so that the virtual time of testing/synctest counts.
func WithLag(seed uint64, reads ...LateReads) Option {
	all := lateReads("WithLag", reads)
	return func(c *config) { c.lagSeed, c.lagReads = seed, all }
}

// SetLag changes what WithLag has set, from the next request on. What was written before lag
// was first set is seen by all reads.
func (o *Okta) SetLag(seed uint64, reads ...LateReads) {
	o.lag.Store(lag.New(seed, lateReads("SetLag", reads)))
}

// EndLag has all reads be up to date.
func (o *Okta) EndLag() { o.lag.Store(nil) }

// lateReads checks reads and makes them the mechanism's.
func lateReads(where string, reads []LateReads) []lag.Reads {
	if len(reads) == 0 {
		reads = []LateReads{LateMembers, LateSearches}
	}
	var all []lag.Reads
	for _, r := range reads {
		require(len(r.Patterns) > 0, "%s: late reads without patterns", where)
		require(r.Chance >= 0 && r.Chance <= 1, "%s: Chance %v must lie in [0, 1]", where, r.Chance)
		require(r.UpTo >= 0, "%s: UpTo %v must not be negative", where, r.UpTo)
		var patterns []pattern
		for _, s := range r.Patterns {
			p := mustPattern(s)
			require(slices.ContainsFunc(lists, func(l string) bool { return meansList(p, l) }), "%s: %q is no list that can be late", where, s)
			patterns = append(patterns, p)
		}
		all = append(all, lag.Reads{Chance: r.Chance, UpTo: r.UpTo, Match: func(method string, segs []string) bool {
			return slices.ContainsFunc(patterns, func(p pattern) bool { return p.Match(method, segs) })
		}})
	}
	return all
}

// meansList reports whether the requests for a list are among those that a pattern means.
func meansList(p pattern, list string) bool {
	q := mustPattern(list)
	return p.Match(q.Method, q.Segs)
}
