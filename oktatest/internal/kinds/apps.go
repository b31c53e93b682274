// This file holds apps, and who is assigned to them.

package kinds

import (
	"maps"
	"slices"
	"strings"

	"github.com/oktaretry/oktaretry/oktatest/internal/generic"
)

var apps = map[string]generic.Rule{
	"/api/v1/apps/{}": {
		Name: "AppInstance", Prefix: "0oa", Keeps: []string{"name", "accessPolicy"},
		Check: checkApp, Begin: both(active, beginApp), Delete: deleteApp, Show: showApp,
		Related: assignedTo,
	},
	"/api/v1/apps/{}/users/{}": {
		Name: "AppUser", Own: true, Upserts: false, Key: assigned,
		Begin: begin(map[string]any{"scope": "USER", "status": "ACTIVE"}),
	},
	"/api/v1/apps/{}/groups/{}": {Name: "ApplicationGroupAssignment", Check: assignedGroup, Begin: nextPriority},
}

// named are the sign-on modes whose apps are instances of an app that must be named.
var named = []string{"BASIC_AUTH", "BOOKMARK", "OPENID_CONNECT", "SECURE_PASSWORD_STORE"}

// checkApp refuses an app without what Okta demands.
func checkApp(_ *generic.Call, old *generic.Object, body map[string]any) *generic.Failure {
	mode := text(body, "signOnMode")
	switch {
	case text(body, "label") == "":
		return generic.Invalid("label", blank)
	case mode == "":
		return generic.Invalid("signOnMode", blank)
	case old == nil && text(body, "name") == "" && slices.Contains(named, mode):
		return generic.Invalid("name", blank)
	}
	return nil
}

// beginApp completes a new app as Okta does, and names one that is the org's own.
func beginApp(_ *generic.Call, body map[string]any) {
	complete(body, map[string]any{
		"accessibility": map[string]any{"selfService": false},
		"visibility":    map[string]any{"autoSubmitToolbar": false, "hide": map[string]any{"iOS": false, "web": false}},
		"credentials":   map[string]any{"userNameTemplate": map[string]any{"template": "${source.login}", "type": "BUILT_IN"}, "signing": map[string]any{}},
	})
	if text(body, "name") == "" {
		letters := strings.Map(func(r rune) rune {
			if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
				return r
			}
			return -1
		}, strings.ToLower(text(body, "label")))
		body["name"] = "oktatest_" + letters + "_1"
	}
}

// deleteApp refuses: an app must be deactivated first.
func deleteApp(_ *generic.Call, o *generic.Object) *generic.Failure {
	if o.Body["status"] == "ACTIVE" {
		return generic.Refused(403, "E0000056", "The application must be deactivated before deletion.")
	}
	return nil
}

// showApp shows the client of an OpenID Connect app, whose id is the app's, and
// links.
func showApp(c *generic.Call, o *generic.Object, out map[string]any) {
	self := c.Base + o.Path
	links := inside(out, "_links")
	for name, path := range map[string]string{"users": "/users", "groups": "/groups", "deactivate": "/lifecycle/deactivate", "activate": "/lifecycle/activate"} {
		if name != "activate" && name != "deactivate" || (name == "activate") == (out["status"] == "INACTIVE") {
			links[name] = map[string]any{"href": self + path}
		}
	}
	if policy := text(o.Body, "accessPolicy"); policy != "" {
		links["accessPolicy"] = map[string]any{"href": c.Base + "/api/v1/policies/" + policy}
	}
	out["_links"] = links
	delete(out, "accessPolicy")
	if out["signOnMode"] != "OPENID_CONNECT" {
		return
	}
	credentials := inside(out, "credentials")
	client := inside(credentials, "oauthClient")
	if text(client, "client_id") == "" || client["client_id"] == "client_id" {
		client["client_id"] = o.ID
	}
	method := text(client, "token_endpoint_auth_method")
	if method != "none" && method != "private_key_jwt" && text(client, "client_secret") == "" {
		client["client_secret"] = strings.Repeat(o.ID, 3)
	}
	credentials["oauthClient"] = client
	out["credentials"] = credentials
}

// assigned is the user whom a request assigns to an app.
func assigned(c *generic.Call) (string, *generic.Failure) {
	key := text(c.In(), "id")
	if key == "" {
		return "", generic.Invalid("id", blank)
	}
	id, _, f := c.Elsewhere(generic.Users, key)
	return id, f
}

// assignedGroup refuses a group that is not there.
func assignedGroup(c *generic.Call, old *generic.Object, _ map[string]any) *generic.Failure {
	if old != nil {
		return nil
	}
	_, _, f := c.Elsewhere(generic.Groups, c.Segment(5))
	return f
}

// assignedTo lists the users and groups that are assigned to an app.
func assignedTo(c *generic.Call, app *generic.Object) map[string][]string {
	all := map[string][]string{}
	for attribute, list := range map[string]string{"user.id": "users", "group.id": "groups"} {
		for _, o := range c.Collection("api", "v1", "apps", app.ID, list) {
			all[attribute] = append(all[attribute], o.ID)
		}
	}
	return all
}

// nextPriority puts what is new at the end.
func nextPriority(c *generic.Call, body map[string]any) {
	if body["priority"] == nil {
		body["priority"] = float64(len(c.Siblings()))
	}
}

// appsOf lists the apps that the user or group of a path is assigned to; the
// assignments lie in a collection of each app.
func appsOf(assignments string) func(*generic.Call) *generic.Response {
	return func(c *generic.Call) *generic.Response {
		var all []*generic.Object
		for _, app := range c.Collection("api", "v1", "apps") {
			if c.Has("api", "v1", "apps", app.ID, assignments, text(c.Whose(), "id")) {
				all = append(all, app)
			}
		}
		return c.Lists(all)
	}
}

// setPolicyOfApp assigns a policy to an app.
func setPolicyOfApp(c *generic.Call) *generic.Response {
	policy := c.Segment(5)
	if !c.Has("api", "v1", "policies", policy) {
		return generic.Missing(policy, "Policy")
	}
	app := c.Above()
	app.Body = maps.Clone(app.Body)
	app.Body["accessPolicy"] = policy
	return &generic.Response{Status: 204}
}

// appsOfPolicy lists the apps that a policy is assigned to.
func appsOfPolicy(c *generic.Call) *generic.Response {
	var all []*generic.Object
	for _, app := range c.Collection("api", "v1", "apps") {
		if app.Body["accessPolicy"] == c.Segment(3) {
			all = append(all, app)
		}
	}
	return c.Lists(all)
}
