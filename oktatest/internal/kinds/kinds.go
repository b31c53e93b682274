// Package kinds holds what kinds of Okta's resources do beyond what its OpenAPI
// description says: which fields they demand, what they begin with, what they refuse.
package kinds

import (
	"maps"

	"github.com/oktaretry/oktaretry/oktatest/internal/generic"
)

// All are Okta's kinds of resources.
var All = generic.NewKinds(rules(), answers)

// rules are what kinds do beyond what all do, by template.
func rules() map[string]generic.Rule {
	all := map[string]generic.Rule{}
	for _, some := range []map[string]generic.Rule{names, apps, policies, roles, schemas, servers, hooks, org} {
		maps.Copy(all, some)
	}
	return all
}

// answers are given by hand, by template.
var answers = map[string]func(*generic.Call) *generic.Response{
	"/api/v1/groups/{}/apps":            appsOf("groups"),
	"/api/v1/users/{}/linkedObjects/{}": linkedObjects,
	"/api/v1/policies":                  listPolicies,
	"/api/v1/policies/{}/app":           appsOfPolicy,
	"/api/v1/apps/{}/policies/{}":       setPolicyOfApp,
}
