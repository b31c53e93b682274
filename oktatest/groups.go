// This file holds the groups API.

package oktatest

import (
	"net/http"
	"strings"

	"github.com/oktaretry/oktaretry/oktatest/internal/render"
)

func (o *Okta) groupRoutes(add func(string, func(*call) *reply)) {
	add("GET /api/v1/groups", o.listGroups)
	add("POST /api/v1/groups", o.createGroup)
	add("GET /api/v1/groups/{id}", o.withGroup(func(c *call, g *group) *reply {
		return c.json(http.StatusOK, c.renderGroup(g))
	}))
	add("PUT /api/v1/groups/{id}", o.withGroup(o.updateGroup))
	add("DELETE /api/v1/groups/{id}", o.withGroup(o.deleteGroup))
	add("GET /api/v1/groups/{id}/users", o.withGroup(func(c *call, g *group) *reply {
		return page(c, o.membersSeen(c, g), 1000, 1000, c.renderUser)
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
	return render.Group{
		ID: g.id, Type: g.kind(), Profile: g.profile,
		Created: g.created, LastUpdated: g.lastUpdated, LastMembers: g.lastMembers,
	}.JSON(c.base())
}

// listGroups serves GET /api/v1/groups, by name. What q finds is not paged.
func (o *Okta) listGroups(c *call) *reply {
	q := c.r.URL.Query()
	prefix := strings.ToLower(q.Get("q"))
	keep := func(g *group) bool { return strings.HasPrefix(strings.ToLower(g.name()), prefix) }
	switch expr, err := filterOf(q.Get("filter"), q.Get("search")); {
	case err != nil:
		return c.fail("E0000031", err.Error())
	case expr != nil:
		named := keep
		keep = func(g *group) bool { return named(g) && expr(g.attribute) }
	}
	o.directory.mu.Lock()
	defer o.directory.mu.Unlock()
	list, find := o.groupsSeen(c)
	return listing[*group]{
		list: list, keep: keep, find: find,
		limit: 10_000, most: 10_000, unpaged: prefix != "", render: c.renderGroup,
	}.page(c)
}

// attribute is what filter and search expressions can ask of a group.
func (g *group) attribute(name string) string {
	switch name {
	case "id":
		return g.id
	case "type":
		return g.kind()
	case "created":
		return render.Stamp(g.created)
	case "lastUpdated":
		return render.Stamp(g.lastUpdated)
	case "lastMembershipUpdated":
		return render.Stamp(g.lastMembers)
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
	now := o.stamp()
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
	if g.builtIn {
		return c.readOnly("UserGroup")
	}
	changed := *g
	changed.lastUpdated = o.stamp()
	changed.profile = merge(nil, in.Profile)
	if bad := o.validGroup(c, &changed); bad != nil {
		return bad
	}
	o.directory.replaceGroup(&changed)
	return c.json(http.StatusOK, c.renderGroup(&changed))
}

func (o *Okta) deleteGroup(c *call, g *group) *reply {
	if g.builtIn {
		return c.readOnly("UserGroup")
	}
	o.directory.removeGroup(g)
	o.store.Forget(g.id)
	return c.noContent()
}

// validGroup refuses a group whose profile Okta would not take.
func (o *Okta) validGroup(c *call, g *group) *reply {
	if g.name() == "" {
		return c.invalid("name", "The field cannot be left blank")
	}
	if o.directory.groupNamed(g.name(), g.id) {
		return c.invalid("name", "An object with this field already exists in the current organization")
	}
	return nil
}

// setMember serves PUT and DELETE of a member: doing it twice is no error. A deactivated
// user is in no group, and not found. Everyone's members cannot be chosen: terraform-provider-okta
// #903 has "Unsupported operation".
func (o *Okta) setMember(c *call, g *group, in bool) *reply {
	u := o.directory.user(c.vars[1])
	switch {
	case u == nil || u.gone():
		return c.missing(c.vars[1], "User")
	case g.builtIn:
		return c.fail("E0000060")
	}
	o.directory.setMember(g, u.num, in, o.stamp())
	o.memberByHand(g, u, in)
	return c.noContent()
}
