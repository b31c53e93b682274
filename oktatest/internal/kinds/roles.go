// This file holds the admin roles of users, groups and clients.

package kinds

import (
	"strings"

	"github.com/oktaretry/oktaretry/oktatest/internal/generic"
)

var roles = map[string]generic.Rule{
	"/api/v1/users/{}/roles/{}":           role("USER"),
	"/api/v1/groups/{}/roles/{}":          role("GROUP"),
	"/oauth2/v1/clients/{}/roles/{}":      role("CLIENT"),
	"/api/v1/iam/roles/{}/permissions/{}": {Name: "Permission", Own: true, Upserts: true},
}

// role is the rule of roles assigned to one kind of principal.
func role(assignment string) generic.Rule {
	return generic.Rule{
		Name: "RoleAssignment", Prefix: "ra1",
		Check: checkRole,
		Begin: func(_ *generic.Call, body map[string]any) {
			body["status"], body["assignmentType"] = "ACTIVE", assignment
			body["label"] = label(text(body, "type"))
		},
	}
}

// checkRole refuses a role without a type, and one that its principal has already.
func checkRole(c *generic.Call, old *generic.Object, body map[string]any) *generic.Failure {
	kind := text(body, "type")
	if kind == "" {
		return generic.Invalid("type", blank)
	}
	for _, o := range c.Siblings() {
		if o != old && kind != "CUSTOM" && o.Body["type"] == kind {
			return generic.Refused(409, "E0000090")
		}
	}
	return nil
}

// labels are the names of roles that are not their types' words.
var labels = map[string]string{
	"ORG_ADMIN":                   "Organization Administrator",
	"APP_ADMIN":                   "Application Administrator",
	"USER_ADMIN":                  "Group Administrator",
	"HELP_DESK_ADMIN":             "Help Desk Administrator",
	"API_ACCESS_MANAGEMENT_ADMIN": "API Access Management Administrator",
	"REPORT_ADMIN":                "Report Administrator",
	"READ_ONLY_ADMIN":             "Read-only Administrator",
	"CUSTOM":                      "Custom role",
}

// label is a role's name, of its type: "SUPER_ADMIN" is "Super Administrator".
func label(kind string) string {
	if l := labels[kind]; l != "" {
		return l
	}
	words := strings.Split(strings.ToLower(kind), "_")
	for i, w := range words {
		if w == "admin" {
			w = "administrator"
		}
		if w != "" {
			words[i] = strings.ToUpper(w[:1]) + w[1:]
		}
	}
	return strings.Join(words, " ")
}
