// Package kinds holds what kinds of Okta's resources do beyond what its OpenAPI
// description says.
package kinds

import "github.com/oktaretry/oktaretry/oktatest/internal/generic"

// All are Okta's kinds of resources.
var All = generic.NewKinds(rules, answers)

// rules are what kinds do beyond what all do, by template.
var rules = map[string]generic.Rule{
	generic.Users:  {Name: "User"},
	generic.Groups: {Name: "UserGroup"},
}

// answers are given by hand, by template.
var answers = map[string]func(*generic.Call) *generic.Response{}
