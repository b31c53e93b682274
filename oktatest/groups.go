// This file holds the groups API.

package oktatest

import (
	"net/http"
	"strings"
)

func (o *Okta) groupRoutes(add func(string, func(*call) *reply)) {
	add("GET /api/v1/groups", o.listGroups)
	add("POST /api/v1/groups", o.createGroup)
	add("GET /api/v1/groups/{id}", o.withGroup(func(c *call, g *group) *reply {
		return c.json(http.StatusOK, c.renderGroup(g))
	}))
	add("PUT /api/v1/groups/{id}", o.withGroup(o.updateGroup))
	add("DELETE /api/v1/groups/{id}", o.withGroup(func(c *call, g *group) *reply {
		o.directory.removeGroup(g)
		return c.noContent()
	}))
	add("GET /api/v1/groups/{id}/users", o.withGroup(func(c *call, g *group) *reply {
		return page(c, o.membersSeen(c, g), 200, 1000, func(u *user) any { return c.renderUser(u) })
	}))
	add("PUT /api/v1/groups/{id}/users/{user}", o.withGroup(func(c *call, g *group) *reply {
		return o.setMember(c, g, true)
	}))
	add("DELETE /api/v1/groups/{id}/users/{user}", o.withGroup(func(c *call, g *group) *reply {
		return o.setMember(c, g, false)
	}))
}

// withGroup calls f with the group that the path names, the directory locked.
func (o *Okta) withGroup(f func(*call, *group) *reply) func(*call) *reply {
	return func(c *call) *reply {
		o.directory.mu.Lock()
		defer o.directory.mu.Unlock()
		g := o.directory.groupsByID[c.vars[0]]
		if g == nil {
			return c.missing(c.vars[0], "UserGroup")
		}
		return f(c, g)
	}
}

// renderGroup is the group as Okta's JSON has it.
func (c *call) renderGroup(g *group) any {
	self := c.base() + "/api/v1/groups/" + g.id
	return map[string]any{
		"id":                    g.id,
		"created":               timestamp(g.created),
		"lastUpdated":           timestamp(g.lastUpdated),
		"lastMembershipUpdated": timestamp(g.lastMembers),
		"objectClass":           []string{"okta:user_group"},
		"type":                  "OKTA_GROUP",
		"profile":               g.profile,
		"_links": links{
			"self":  link(self),
			"users": link(self + "/users"),
			"apps":  link(self + "/apps"),
		},
	}
}

func (o *Okta) listGroups(c *call) *reply {
	o.directory.mu.Lock()
	list := o.groupsSeen(c)
	o.directory.mu.Unlock()

	q := c.r.URL.Query()
	if s := strings.ToLower(q.Get("q")); s != "" {
		list = keepOnly(list, func(g *group) bool { return strings.HasPrefix(strings.ToLower(g.name()), s) })
	}
	if s := q.Get("filter") + q.Get("search"); s != "" {
		expr, err := parseFilter(s)
		if err != nil {
			return c.fail("E0000031", err.Error())
		}
		list = keepOnly(list, func(g *group) bool { return expr(g.attribute) })
	}
	return page(c, list, 200, 10_000, func(g *group) any { return c.renderGroup(g) })
}

// attribute is what filter and search expressions can ask of a group.
func (g *group) attribute(name string) string {
	switch name {
	case "id":
		return g.id
	case "type":
		return "OKTA_GROUP"
	case "created":
		return stamp(g.created)
	case "lastUpdated":
		return stamp(g.lastUpdated)
	case "lastMembershipUpdated":
		return stamp(g.lastMembers)
	}
	if key, ok := strings.CutPrefix(name, "profile."); ok {
		return text(g.profile[key])
	}
	return ""
}

type groupBody struct {
	Profile map[string]any `json:"profile"`
}

func (o *Okta) createGroup(c *call) *reply {
	var in groupBody
	if bad := c.decode(&in); bad != nil {
		return bad
	}
	now := o.now()
	g := &group{created: now, lastUpdated: now, lastMembers: now, profile: merge(nil, in.Profile)}
	o.directory.mu.Lock()
	defer o.directory.mu.Unlock()
	if bad := o.validGroup(c, g); bad != nil {
		return bad
	}
	o.directory.addGroup(g)
	return c.json(http.StatusOK, c.renderGroup(g))
}

// updateGroup serves PUT of a group, which replaces its profile.
func (o *Okta) updateGroup(c *call, g *group) *reply {
	var in groupBody
	if bad := c.decode(&in); bad != nil {
		return bad
	}
	changed := *g
	changed.lastUpdated = o.now()
	changed.profile = merge(nil, in.Profile)
	if bad := o.validGroup(c, &changed); bad != nil {
		return bad
	}
	o.directory.replaceGroup(&changed)
	return c.json(http.StatusOK, c.renderGroup(&changed))
}

// validGroup refuses a group whose profile Okta would not take.
func (o *Okta) validGroup(c *call, g *group) *reply {
	if g.name() == "" {
		return c.invalid("name", "The field cannot be left blank")
	}
	for _, other := range o.directory.groups {
		if other.id != g.id && strings.EqualFold(other.name(), g.name()) {
			return c.invalid("name", "An object with this field already exists in the current organization")
		}
	}
	return nil
}

// setMember serves PUT and DELETE of a member: doing it twice is no error.
func (o *Okta) setMember(c *call, g *group, in bool) *reply {
	u := o.directory.user(c.vars[1])
	if u == nil {
		return c.missing(c.vars[1], "User")
	}
	o.directory.setMember(g, u.num, in, o.now())
	o.memberByHand(g, u, in)
	return c.noContent()
}
