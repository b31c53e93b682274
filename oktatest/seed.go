// This file reads seeds: what an org holds from the start.

package oktatest

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/oktaretry/oktaretry/internal/document"
)

// Seed describes what an org holds from the start. ParseSeed reads one from JSON;
// package orgfile of module policyfile reads one from YAML.
//
// Users come first, then groups, then requests, each in their order, so that the same
// seed gives the same ids in every run. None of it arrives in the journal or counts
// for a limit.
type Seed struct {
	Users  []SeedUser  `json:"users"`
	Groups []SeedGroup `json:"groups"`

	// Requests fill the rest of the org through its own API: apps, policies, factors,
	// whatever the fake serves.
	Requests []SeedRequest `json:"requests"`

	// MFA has all users prove a factor when they sign in, as RequireMFA does.
	MFA bool `json:"mfa"`

	// Limits are set as by SetLimit: each by the name of a bucket or Limit, or by a
	// request that falls into the bucket ("GET /api/v1/users").
	Limits map[string]int `json:"limits"`
}

// SeedUser is a user of a Seed. It needs a login; the rest may be left out.
type SeedUser struct {
	Login       string         `json:"login"`
	Email       string         `json:"email"` // the login, if left out
	FirstName   string         `json:"firstName"`
	LastName    string         `json:"lastName"`
	Status      string         `json:"status"`      // ACTIVE, if left out
	Profile     map[string]any `json:"profile"`     // more attributes, which win over those above
	Credentials map[string]any `json:"credentials"` // as Okta's API takes them: {"password": {"value": …}}; UserPassword, if left out
	MFA         bool           `json:"mfa"`         // proves a factor when signing in, as by RequireMFA
	Groups      []string       `json:"groups"`      // by name; those that are nowhere else are made
}

// SeedGroup is a group of a Seed. It needs a name.
type SeedGroup struct {
	Name        string         `json:"name"`
	Description string         `json:"description"`
	Profile     map[string]any `json:"profile"` // more attributes, which win over those above
	Members     []string       `json:"members"` // by login, beside the users that name the group
}

// SeedRequest is a request of an administrator who sets up the org. It has to succeed.
//
// In its path and in the strings of its body, {users.LOGIN} and {groups.NAME} stand for
// the id of a user and of a group, and {NAME} for the id in the answer to an earlier
// request that has As: NAME.
type SeedRequest struct {
	Method string         `json:"method"` // POST, if left out
	Path   string         `json:"path"`   // "/api/v1/apps", with a query if need be
	Body   map[string]any `json:"body"`
	As     string         `json:"as"`
}

// SeedError is a mistake in a seed.
type SeedError struct {
	Path    string // "users.2.status", `limits["GET /api/v1/user"]`; "" is the seed as a whole
	Problem string // `is "HAPPY", want one of …`

	// Line and Column are where the text has it, from 1, columns in characters. They
	// are 0 where there is no text.
	Line, Column int
}

// Error returns "oktatest: seed: line 3, column 5: users.2.status is …".
func (e *SeedError) Error() string {
	where := ""
	if e.Line > 0 {
		where = fmt.Sprintf("line %d, column %d: ", e.Line, e.Column)
	}
	return "oktatest: seed: " + where + cmp.Or(e.Path, "it") + " " + e.Problem
}

// ParseSeed reads a seed from JSON. It refuses members that are unknown, in another
// case, given twice or null, values of another type, and what Plant refuses of an org
// that is empty and has Okta's limits: with a [*SeedError] for each problem, all of
// them joined by [errors.Join] in the order of the text. A text that is no JSON has one
// problem.
//
//	{"users": [{"login": "ann@example.com", "groups": ["staff"]}], "limits": {"GET /api/v1/users": 50}}
func ParseSeed(text []byte) (Seed, error) {
	var s Seed
	if err := s.UnmarshalJSON(text); err != nil {
		return Seed{}, err
	}
	found := s.plant(New(WithJournal(0), WithLimits(OktaLimits()...)))
	if len(found) == 0 {
		return s, nil
	}
	root, _ := document.Read(text)
	for i := range found {
		found[i].Place, _ = root.Find(found[i].Path)
	}
	return Seed{}, seedErrors(found)
}

// UnmarshalJSON reads a seed as ParseSeed does, but does not try whether an org takes it:
// it can name users and groups of an org that is there.
func (s *Seed) UnmarshalJSON(text []byte) error {
	root, broken := document.Read(text)
	if broken != nil {
		return seedErrors([]document.Problem{*broken})
	}
	var read seedDocument
	if found := root.Bind(&read, nil, nil); len(found) > 0 {
		return seedErrors(found)
	}
	*s = Seed(read)
	return nil
}

// seedDocument is a Seed without its method.
type seedDocument Seed

// WithSeed fills the org with what a seed describes, beside WithUsers and WithGroups.
// New panics if Plant refuses a part of it.
func WithSeed(s Seed) Option {
	return func(c *config) {
		c.begin = append(c.begin, func(o *Okta) {
			if err := o.Plant(s); err != nil {
				panic("oktatest: New: " + strings.ReplaceAll(err.Error(), "oktatest: ", ""))
			}
		})
	}
}

// Plant adds to the org what a seed describes. It refuses, with a [*SeedError] for each
// problem, joined by [errors.Join]: a user without a login or with one that is taken, a
// status that Okta lacks, a group without a name or with one that is taken, a member who
// is no user, a limit that the fake lacks, and a request that does not succeed. What it
// does not refuse is added.
func (o *Okta) Plant(s Seed) error { return seedErrors(s.plant(o)) }

func seedErrors(found []document.Problem) error {
	slices.SortStableFunc(found, func(a, b document.Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	var all []error
	for _, p := range found {
		all = append(all, &SeedError{document.Path(p.Path), p.Text, p.Line, p.Column})
	}
	return errors.Join(all...)
}
