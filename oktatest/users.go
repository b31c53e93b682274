// This file holds the users API.

package oktatest

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

func (o *Okta) userRoutes(add func(string, func(*call) *reply)) {
	add("GET /api/v1/users", o.listUsers)
	add("POST /api/v1/users", o.createUser)
	add("GET /api/v1/users/{id}", o.withUser(func(c *call, u *user) *reply { return c.user(u) }))
	add("POST /api/v1/users/{id}", o.withUser(func(c *call, u *user) *reply { return o.updateUser(c, u, false) }))
	add("PUT /api/v1/users/{id}", o.withUser(func(c *call, u *user) *reply { return o.updateUser(c, u, true) }))
	add("DELETE /api/v1/users/{id}", o.withUser(o.deleteUser))
	add("GET /api/v1/users/{id}/groups", o.withUser(o.listUserGroups))
	add("POST /api/v1/users/{id}/lifecycle/activate", o.withUser(o.activateUser))
	add("POST /api/v1/users/{id}/lifecycle/deactivate", o.withUser(o.deactivateUser))
	add("POST /api/v1/users/{id}/lifecycle/suspend", o.withUser(func(c *call, u *user) *reply {
		return o.moveUser(c, u, "ACTIVE", "SUSPENDED", "Cannot suspend a user that is not active")
	}))
	add("POST /api/v1/users/{id}/lifecycle/unsuspend", o.withUser(func(c *call, u *user) *reply {
		return o.moveUser(c, u, "SUSPENDED", "ACTIVE", "Cannot unsuspend a user that is not suspended")
	}))
}

// withUser calls f with the user that the path names, the directory locked.
func (o *Okta) withUser(f func(*call, *user) *reply) func(*call) *reply {
	return func(c *call) *reply {
		o.directory.mu.Lock()
		defer o.directory.mu.Unlock()
		u := o.directory.user(c.vars[0])
		if u == nil {
			return c.missing(c.vars[0], "User")
		}
		return f(c, u)
	}
}

// user replies with one user.
func (c *call) user(u *user) *reply { return c.json(http.StatusOK, c.renderUser(u)) }

// renderUser is the user as Okta's JSON has it.
func (c *call) renderUser(u *user) any {
	self := c.base() + "/api/v1/users/" + u.id
	credentials := map[string]any{"provider": map[string]string{"type": "OKTA", "name": "OKTA"}}
	if u.password {
		credentials["password"] = map[string]any{}
	}
	return map[string]any{
		"id":              u.id,
		"status":          u.status,
		"created":         timestamp(u.created),
		"activated":       timestamp(u.activated),
		"statusChanged":   timestamp(u.statusChanged),
		"lastLogin":       nil,
		"lastUpdated":     timestamp(u.lastUpdated),
		"passwordChanged": nil,
		"type":            map[string]string{"id": "oty0000000000000deft"},
		"profile":         u.profile,
		"credentials":     credentials,
		"_links": links{
			"self":       link(self),
			"deactivate": link(self+"/lifecycle/deactivate", http.MethodPost),
			"suspend":    link(self+"/lifecycle/suspend", http.MethodPost),
		},
	}
}

// listUsers serves GET /api/v1/users. Like Okta it leaves out deprovisioned
// users unless filter or search asks for them.
func (o *Okta) listUsers(c *call) *reply {
	q := c.r.URL.Query()
	if q.Get("q") != "" && q.Get("filter") != "" {
		return c.fail("E0000033")
	}
	o.directory.mu.Lock()
	list := o.usersSeen(c)
	o.directory.mu.Unlock()

	keep := func(u *user) bool { return u.status != "DEPROVISIONED" }
	if s := strings.ToLower(q.Get("q")); s != "" {
		all := keep
		keep = func(u *user) bool {
			return all(u) && slices.ContainsFunc([]string{"firstName", "lastName", "email", "login"}, func(k string) bool {
				return strings.HasPrefix(strings.ToLower(text(u.profile[k])), s)
			})
		}
	}
	if s := q.Get("filter") + q.Get("search"); s != "" {
		expr, err := parseFilter(s)
		if err != nil {
			return c.fail("E0000031", err.Error())
		}
		keep = func(u *user) bool { return expr(u.attribute) }
	}
	return page(c, keepOnly(list, keep), 200, 200, func(u *user) any { return c.renderUser(u) })
}

// attribute is what filter and search expressions can ask of a user.
func (u *user) attribute(name string) string {
	switch name {
	case "id":
		return u.id
	case "status":
		return u.status
	case "created":
		return stamp(u.created)
	case "activated":
		return stamp(u.activated)
	case "statusChanged":
		return stamp(u.statusChanged)
	case "lastUpdated":
		return stamp(u.lastUpdated)
	}
	if key, ok := strings.CutPrefix(name, "profile."); ok {
		return text(u.profile[key])
	}
	return ""
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

// userBody is what create and update accept.
type userBody struct {
	Profile     map[string]any `json:"profile"`
	GroupIDs    []string       `json:"groupIds"`
	Credentials struct {
		Password map[string]any `json:"password"`
	} `json:"credentials"`
}

// createUser serves POST /api/v1/users?activate=.
func (o *Okta) createUser(c *call) *reply {
	var in userBody
	if bad := c.decode(&in); bad != nil {
		return bad
	}
	now := o.now()
	u := &user{
		status: "STAGED", created: now, statusChanged: now, lastUpdated: now,
		profile:  merge(nil, in.Profile),
		password: len(in.Credentials.Password) > 0,
	}
	if c.r.URL.Query().Get("activate") != "false" {
		u.status, u.activated = "PROVISIONED", now
		if u.password {
			u.status = "ACTIVE"
		}
	}
	o.directory.mu.Lock()
	defer o.directory.mu.Unlock()
	if bad := o.validUser(c, u); bad != nil {
		return bad
	}
	for _, id := range in.GroupIDs {
		if o.directory.groupsByID[id] == nil {
			return c.missing(id, "UserGroup")
		}
	}
	o.directory.addUser(u)
	o.factors.Clear(u.id)
	for _, id := range in.GroupIDs {
		o.directory.setMember(o.directory.groupsByID[id], u.num, true, now)
	}
	return c.user(u)
}

// validUser refuses a user whose profile Okta would not take.
func (o *Okta) validUser(c *call, u *user) *reply {
	for _, field := range []string{"login", "email"} {
		if text(u.profile[field]) == "" {
			return c.invalid(field, "The field cannot be left blank")
		}
	}
	if o.directory.taken(u.login(), u.id) {
		return c.invalid("login", "An object with this field already exists in the current organization")
	}
	return nil
}

// updateUser serves POST (partial) and PUT (full) of a user.
func (o *Okta) updateUser(c *call, u *user, full bool) *reply {
	var in userBody
	if bad := c.decode(&in); bad != nil {
		return bad
	}
	changed := *u
	changed.lastUpdated = o.now()
	changed.password = u.password || len(in.Credentials.Password) > 0
	if full {
		changed.profile = merge(nil, in.Profile)
	} else {
		changed.profile = merge(u.profile, in.Profile)
	}
	if bad := o.validUser(c, &changed); bad != nil {
		return bad
	}
	o.directory.replaceUser(&changed)
	return c.user(&changed)
}

// deleteUser serves DELETE: the first deactivates, the second removes.
func (o *Okta) deleteUser(c *call, u *user) *reply {
	if u.status == "DEPROVISIONED" {
		o.directory.removeUser(u)
	} else {
		o.setStatus(u, "DEPROVISIONED")
	}
	return c.noContent()
}

func (o *Okta) setStatus(u *user, status string) {
	changed := *u
	changed.status = status
	changed.statusChanged = o.now()
	changed.lastUpdated = changed.statusChanged
	if status == "ACTIVE" && u.activated.IsZero() {
		changed.activated = changed.statusChanged
	}
	o.directory.replaceUser(&changed)
}

func (o *Okta) activateUser(c *call, u *user) *reply {
	if u.status == "ACTIVE" || u.status == "SUSPENDED" {
		return c.fail("E0000016")
	}
	o.setStatus(u, "ACTIVE")
	if c.r.URL.Query().Get("sendEmail") == "false" {
		token := o.newID("")
		return c.json(http.StatusOK, map[string]string{
			"activationUrl":   c.base() + "/welcome/" + token,
			"activationToken": token,
		})
	}
	return c.json(http.StatusOK, struct{}{})
}

func (o *Okta) deactivateUser(c *call, u *user) *reply {
	if u.status != "DEPROVISIONED" {
		o.setStatus(u, "DEPROVISIONED")
	}
	return c.json(http.StatusOK, struct{}{})
}

// moveUser changes a status that must be the one named.
func (o *Okta) moveUser(c *call, u *user, from, to, otherwise string) *reply {
	if u.status != from {
		e := oktaError{Code: "E0000001", Summary: "Api validation failed: " + u.id, Causes: causes([]string{otherwise})}
		return c.errorReply(http.StatusBadRequest, e)
	}
	o.setStatus(u, to)
	return c.json(http.StatusOK, struct{}{})
}

func (o *Okta) listUserGroups(c *call, u *user) *reply {
	return page(c, o.groupsOfSeen(c, u), 200, 200, func(g *group) any { return c.renderGroup(g) })
}

func keepOnly[T any](list []T, keep func(T) bool) []T {
	var all []T
	for _, x := range list {
		if keep(x) {
			all = append(all, x)
		}
	}
	return all
}
