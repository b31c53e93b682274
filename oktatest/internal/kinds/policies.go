// This file holds policies and their rules.

package kinds

import (
	"cmp"
	"slices"

	"github.com/oktaretry/oktaretry/oktatest/internal/generic"
)

var policies = map[string]generic.Rule{
	"/api/v1/policies/{}": {
		Name: "Policy", PrefixOf: policyPrefix, Keeps: []string{"type", "system", "priority"}, Sets: []string{"priority"},
		Check: checkPolicy, Begin: both(active, beginPolicy), Delete: deleteSystem, Act: deactivateSystem,
		Created: renumber, Changed: renumber, Order: byPriority, Seeds: defaultPolicies,
	},
	"/api/v1/policies/{}/rules/{}": {
		Name: "PolicyRule", PrefixOf: rulePrefix, Keeps: []string{"type", "system", "priority"}, Sets: []string{"priority"},
		Check: unique("name", demand("name")), Begin: both(active, beginRule), Delete: deleteSystem, Act: deactivateSystem,
		Created: renumber, Changed: renumber, Order: byPriority, Seeds: defaultRules,
	},
}

// ruleTypes are the types of a policy's rules, by the policy's type.
var ruleTypes = map[string]string{
	"OKTA_SIGN_ON":                "SIGN_ON",
	"PASSWORD":                    "PASSWORD",
	"MFA_ENROLL":                  "MFA_ENROLL",
	"ACCESS_POLICY":               "ACCESS_POLICY",
	"IDP_DISCOVERY":               "IDP_DISCOVERY",
	"PROFILE_ENROLLMENT":          "PROFILE_ENROLLMENT",
	"POST_AUTH_SESSION":           "POST_AUTH_SESSION",
	"ENTITY_RISK":                 "ENTITY_RISK",
	"SESSION_VIOLATION_DETECTION": "SESSION_VIOLATION_DETECTION",
	"DEVICE_SIGNAL_COLLECTION":    "DEVICE_SIGNAL_COLLECTION",
}

// defaultPolicyNames are the policies that every org has, by type.
var defaultPolicyNames = [][2]string{
	{"OKTA_SIGN_ON", "Default Policy"},
	{"PASSWORD", "Default Policy"},
	{"MFA_ENROLL", "Default Policy"},
	{"ACCESS_POLICY", "Any two factors"},
	{"IDP_DISCOVERY", "Idp Discovery Policy"},
	{"PROFILE_ENROLLMENT", "Default Policy"},
	{"POST_AUTH_SESSION", "Post Auth Session Policy"},
	{"ENTITY_RISK", "Entity Risk Policy"},
}

// newEngine are the types whose ids begin with rst, and their rules' with rul.
var newEngine = []string{"ACCESS_POLICY", "PROFILE_ENROLLMENT", "POST_AUTH_SESSION", "ENTITY_RISK", "DEVICE_SIGNAL_COLLECTION", "SESSION_VIOLATION_DETECTION"}

func policyPrefix(body map[string]any) string {
	if slices.Contains(newEngine, text(body, "type")) {
		return "rst"
	}
	return "00p"
}

func rulePrefix(body map[string]any) string {
	if slices.Contains(newEngine, text(body, "type")) {
		return "rul"
	}
	return "0pr"
}

// defaultPolicies are there from the beginning, the last of their type.
func defaultPolicies(*generic.Call) []generic.Seed {
	var all []generic.Seed
	for _, p := range defaultPolicyNames {
		all = append(all, generic.Seed{Lean: true, Body: map[string]any{
			"type": p[0], "name": p[1], "status": "ACTIVE", "system": true, "priority": 1.0,
			"description": "The default policy applies in all situations if no other policy applies.",
		}})
	}
	return all
}

// defaultRules are the rules that a policy begins with: one for all who fit no other.
func defaultRules(c *generic.Call) []generic.Seed {
	policy := c.Above()
	if policy == nil || text(policy.Body, "type") == "MFA_ENROLL" {
		return nil
	}
	name := "Default Rule"
	if policy.Body["type"] == "ACCESS_POLICY" {
		name = "Catch-all Rule"
	} else if policy.Body["system"] != true {
		return nil
	}
	return []generic.Seed{{Lean: true, Body: map[string]any{
		"name": name, "type": ruleTypes[text(policy.Body, "type")], "status": "ACTIVE", "system": true, "priority": 99.0,
	}}}
}

// listPolicies refuses a list that asks for no type, or for none that there is.
func listPolicies(c *generic.Call) *generic.Response {
	if c.Method != "GET" {
		return nil
	}
	kind := c.Query.Get("type")
	if kind == "" {
		return generic.Invalid("type", blank).Response()
	}
	if _, known := ruleTypes[kind]; !known {
		return (&generic.Failure{Status: 400, Code: "E0000002", Summary: "The request was not valid: Invalid policy type specified"}).Response()
	}
	return nil
}

func checkPolicy(c *generic.Call, old *generic.Object, body map[string]any) *generic.Failure {
	if f := demand("type", "name")(c, old, body); f != nil {
		return f
	}
	for _, o := range c.Collection("api", "v1", "policies") {
		if o != old && o.Body["type"] == body["type"] && o.Body["name"] == body["name"] {
			return generic.Invalid("name", "Policy name already in use")
		}
	}
	return nil
}

func beginPolicy(c *generic.Call, body map[string]any) {
	body["system"] = false
	body["priority"] = number(body, "priority", float64(len(c.Siblings())+1))
}

func beginRule(c *generic.Call, body map[string]any) {
	body["system"] = false
	body["priority"] = number(body, "priority", float64(len(c.Siblings())+1))
	if policy := c.Above(); body["type"] == nil && policy != nil {
		body["type"] = ruleTypes[text(policy.Body, "type")]
	}
}

// renumber gives the priorities from 1 on to all of one type, the one that was
// written first where two want the same place, and the last one to the default.
func renumber(_ *generic.Call, written *generic.Object) {
	var all []*generic.Object
	for _, o := range written.Siblings() {
		if o.Body["type"] == written.Body["type"] && o.Body["system"] != true {
			all = append(all, o)
		}
	}
	slices.SortStableFunc(all, func(a, b *generic.Object) int {
		first := 0
		if a == written {
			first = -1
		} else if b == written {
			first = 1
		}
		return cmp.Or(cmp.Compare(number(a.Body, "priority", 1), number(b.Body, "priority", 1)), first)
	})
	for i, o := range all {
		o.Body["priority"] = float64(i + 1)
	}
	for _, o := range written.Siblings() {
		if o.Body["type"] == written.Body["type"] && o.Body["system"] == true && o.Body["priority"] != 99.0 {
			o.Body["priority"] = float64(len(all) + 1)
		}
	}
}

func byPriority(a, b *generic.Object) int {
	return cmp.Compare(number(a.Body, "priority", 0), number(b.Body, "priority", 0))
}

// readOnly is what Okta says of what every org has.
func readOnly() *generic.Failure {
	return &generic.Failure{Status: 403, Code: "E0000077", Summary: "Cannot modify the system attribute because it is read-only."}
}

// deleteSystem refuses to delete what every org has.
func deleteSystem(_ *generic.Call, o *generic.Object) *generic.Failure {
	if o.Body["system"] == true {
		return readOnly()
	}
	return nil
}

// deactivateSystem refuses to deactivate what every org has.
func deactivateSystem(_ *generic.Call, o *generic.Object, verb string) *generic.Failure {
	if o.Body["system"] == true && verb == "deactivate" {
		return readOnly()
	}
	return nil
}
