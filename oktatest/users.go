// This file holds the users API: lists, profiles and credentials.

package oktatest

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/oktaretry/oktaretry/oktatest/internal/render"
	"github.com/oktaretry/oktaretry/oktatest/internal/signin"
)

func (o *Okta) userRoutes(add func(string, func(*call) *reply)) {
	add("GET /api/v1/users", o.listUsers)
	add("POST /api/v1/users", o.createUser)
	add("GET /api/v1/users/{id}", o.withUser(func(c *call, u *user) *reply { return c.user(u) }))
	add("POST /api/v1/users/{id}", o.withUser(func(c *call, u *user) *reply { return o.updateUser(c, u, false) }))
	add("PUT /api/v1/users/{id}", o.withUser(func(c *call, u *user) *reply { return o.updateUser(c, u, true) }))
	add("DELETE /api/v1/users/{id}", o.withUser(o.deleteUser))
	add("GET /api/v1/users/{id}/groups", o.withUser(func(c *call, u *user) *reply {
		return page(c, o.groupsOfSeen(c, u), 200, 200, c.renderGroup)
	}))
	add("POST /api/v1/meta/schemas/user/{schema}", o.changeSchema)
	o.lifecycleRoutes(add)
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
func (c *call) user(u *user) *reply { return c.json(http.StatusOK, u.rendered().JSON(c.base())) }

// renderUser is the user as a list has it.
func (c *call) renderUser(u *user) any { return u.rendered().Entry(c.base()) }

func (u *user) rendered() render.User {
	return render.User{
		ID: u.id, Status: u.status,
		Created: u.created, Activated: u.activated, StatusChanged: u.statusChanged,
		LastLogin: u.lastLogin, LastUpdated: u.lastUpdated, PasswordSince: u.passwordSince,
		Profile: u.profile, Password: u.password, Question: u.question, Provider: u.provider,
	}
}

// listUsers serves GET /api/v1/users. Like Okta it leaves out deprovisioned
// users unless filter or search asks for them.
func (o *Okta) listUsers(c *call) *reply {
	q := c.r.URL.Query()
	if q.Get("q") != "" && q.Get("filter") != "" {
		return c.fail("E0000033")
	}
	keep := func(u *user) bool { return !u.gone() }
	if s := strings.ToLower(q.Get("q")); s != "" {
		keep = func(u *user) bool {
			return !u.gone() && slices.ContainsFunc([]string{"firstName", "lastName", "email", "login"}, func(k string) bool {
				return strings.HasPrefix(strings.ToLower(text(u.profile[k])), s)
			})
		}
	}
	switch expr, err := filterOf(q.Get("filter"), q.Get("search")); {
	case err != nil:
		return c.fail("E0000031", err.Error())
	case expr != nil:
		keep = func(u *user) bool { return expr(u.attribute) }
	}
	o.directory.mu.Lock()
	defer o.directory.mu.Unlock()
	return listing[*user]{list: o.usersSeen(c), keep: keep, limit: 200, most: 200, render: c.renderUser}.page(c)
}

// attribute is what filter and search expressions can ask of a user.
func (u *user) attribute(name string) string {
	switch name {
	case "id":
		return u.id
	case "status":
		return u.status
	case "created":
		return render.Stamp(u.created)
	case "activated":
		return render.Stamp(u.activated)
	case "statusChanged":
		return render.Stamp(u.statusChanged)
	case "lastUpdated":
		return render.Stamp(u.lastUpdated)
	}
	if key, ok := strings.CutPrefix(name, "profile."); ok {
		return text(u.profile[key])
	}
	return ""
}

// userBody is what create and update accept.
type userBody struct {
	Profile     map[string]any `json:"profile"`
	GroupIDs    []string       `json:"groupIds"`
	Credentials struct {
		Password map[string]any `json:"password"`
		Question struct {
			Question string `json:"question"`
		} `json:"recovery_question"`
		Provider render.Provider `json:"provider"`
	} `json:"credentials"`
}

// takeCredentials changes a user by the credentials of a body.
func (o *Okta) takeCredentials(u *user, in userBody) {
	if len(in.Credentials.Password) > 0 {
		u.setPassword(o.stamp(), signin.PasswordOf(in.Credentials.Password))
	}
	u.question = cmp.Or(in.Credentials.Question.Question, u.question)
	u.provider = cmp.Or(in.Credentials.Provider, u.provider)
}

// createUser serves POST /api/v1/users?activate=&provider=&nextLogin=.
func (o *Okta) createUser(c *call) *reply {
	var in userBody
	if bad := c.decode(&in); bad != nil {
		return bad
	}
	now := o.stamp()
	u := &user{status: "STAGED", created: now, lastUpdated: now, profile: merge(nil, in.Profile)}
	o.takeCredentials(u, in)
	if c.flag("activate", true) {
		u.status, u.activated, u.statusChanged = u.activeStatus(), now, now
		if q := c.r.URL.Query(); u.password && cmp.Or(q.Get("nextLogin"), q.Get("nextlogin")) == "changePassword" {
			u.status = "PASSWORD_EXPIRED"
		}
	}
	o.directory.mu.Lock()
	defer o.directory.mu.Unlock()
	if bad := o.undefined(c, "newUser", in.Profile); bad != nil {
		return bad
	}
	if bad := o.validUser(c, u); bad != nil {
		return bad
	}
	for _, id := range in.GroupIDs {
		switch g := o.directory.groupsByID[id]; {
		case g == nil:
			return c.missing(id, "UserGroup")
		case g.builtIn:
			return c.fail("E0000060")
		}
	}
	o.directory.addUser(u)
	o.factors.Clear(u.id)
	for _, id := range in.GroupIDs {
		o.directory.setMember(o.directory.groupsByID[id], u.num, true, now)
	}
	return c.user(u)
}

// undefined refuses a profile with attributes that the org's schema lacks.
func (o *Okta) undefined(c *call, what string, profile map[string]any) *reply {
	var unknown []string
	for _, name := range slices.Sorted(maps.Keys(profile)) {
		if !o.directory.attributes[name] {
			unknown = append(unknown, "Property name '"+name+"' is not defined in profile")
		}
	}
	if unknown == nil {
		return nil
	}
	return c.errorReply(http.StatusBadRequest,
		oktaError{Code: "E0000001", Summary: "Api validation failed: " + what, Causes: causes(unknown)})
}

// changeSchema serves POST of a user schema: its custom properties are attributes that
// profiles may have from then on, those that are null no longer. All users share them,
// whatever their type.
func (o *Okta) changeSchema(c *call) *reply {
	var in struct {
		Definitions struct {
			Custom struct {
				Properties map[string]any `json:"properties"`
			} `json:"custom"`
		} `json:"definitions"`
	}
	r := o.generic(c)
	if r == nil {
		return o.unservedReply(c)
	}
	if r.status != http.StatusOK || c.decode(&in) != nil {
		return r
	}
	o.directory.mu.Lock()
	defer o.directory.mu.Unlock()
	for name, property := range in.Definitions.Custom.Properties {
		if !slices.Contains(render.BaseAttributes, name) {
			o.directory.attributes[name] = property != nil
		}
	}
	return r
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

// updateUser serves POST (partial) and PUT (full) of a user. A PUT without a profile, with
// credentials only, keeps it.
func (o *Okta) updateUser(c *call, u *user, full bool) *reply {
	var in userBody
	if bad := c.decode(&in); bad != nil {
		return bad
	}
	if u.gone() {
		return c.fail("E0000038")
	}
	if bad := o.undefined(c, "user", in.Profile); bad != nil {
		return bad
	}
	changed := *u
	changed.lastUpdated = o.stamp()
	o.takeCredentials(&changed, in)
	if full && in.Profile != nil {
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
	if u.gone() {
		o.directory.removeUser(u)
		o.store.Forget(u.id)
	} else {
		o.setStatus(u, "DEPROVISIONED")
	}
	return c.noContent()
}
