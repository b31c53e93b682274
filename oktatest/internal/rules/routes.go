// This file serves /api/v1/groups/rules.

package rules

import (
	"net/http"
	"slices"
	"strings"

	"github.com/oktaretry/oktaretry/oktatest/internal/endpoint"
)

const path = "/api/v1/groups/rules"

// Routes are the endpoints of group rules.
func (b *Book) Routes() []endpoint.Route {
	return []endpoint.Route{
		{Pattern: "GET " + path, Serve: b.list},
		{Pattern: "POST " + path, Serve: b.change(b.create)},
		{Pattern: "GET " + path + "/{id}", Serve: b.get},
		{Pattern: "PUT " + path + "/{id}", Serve: b.change(b.withRule(b.update))},
		{Pattern: "DELETE " + path + "/{id}", Serve: b.change(b.withRule(b.delete))},
		{Pattern: "POST " + path + "/{id}/lifecycle/activate", Serve: b.change(b.withRule(b.activate))},
		{Pattern: "POST " + path + "/{id}/lifecycle/deactivate", Serve: b.change(b.withRule(b.deactivate))},
	}
}

// change has f change the rules, after the time that a change takes. Another change under way
// is 423 E0000239, as at Okta, where it heals within a second: nothing was done.
func (b *Book) change(f func(*endpoint.Request) endpoint.Answer) func(*endpoint.Request) endpoint.Answer {
	return func(r *endpoint.Request) endpoint.Answer {
		if !b.begin() {
			return endpoint.Fail("E0000239")
		}
		r.Wait(b.work)
		b.org.Lock()
		defer b.org.Unlock()
		defer func() { b.changing = false }()
		return f(r)
	}
}

// begin takes the lock of the rules, if it is free.
func (b *Book) begin() bool {
	b.org.Lock()
	defer b.org.Unlock()
	if b.changing {
		return false
	}
	b.changing = true
	return true
}

func (b *Book) withRule(f func(*endpoint.Request, *rule) endpoint.Answer) func(*endpoint.Request) endpoint.Answer {
	return func(r *endpoint.Request) endpoint.Answer {
		found := b.find(r.Vars[0])
		if found == nil {
			return endpoint.Missing(r.Vars[0], "GroupRule")
		}
		return f(r, found)
	}
}

// body is a rule as it is sent and answered. The order is Okta's.
type body struct {
	Type        string         `json:"type"`
	ID          string         `json:"id"`
	Status      string         `json:"status"`
	Name        string         `json:"name"`
	Created     string         `json:"created"`
	LastUpdated string         `json:"lastUpdated"`
	Conditions  conditions     `json:"conditions"`
	Actions     actions        `json:"actions"`
	AllValid    bool           `json:"allGroupsValid"`
	Embedded    map[string]any `json:"_embedded,omitempty"`
}

type conditions struct {
	People     people     `json:"people"`
	Expression expression `json:"expression"`
}

type people struct {
	Users  excluded `json:"users"`
	Groups excluded `json:"groups"`
}

type excluded struct {
	Exclude []string `json:"exclude"`
}

type expression struct {
	Value string `json:"value"`
	Type  string `json:"type"`
}

type actions struct {
	Assign struct {
		GroupIDs []string `json:"groupIds"`
	} `json:"assignUserToGroups"`
}

func (b *Book) render(r *rule, embed bool) any {
	v := body{
		Type: "group_rule", ID: r.id, Status: b.statusOf(r), Name: r.name,
		Created: endpoint.Timestamp(r.created), LastUpdated: endpoint.Timestamp(r.lastUpdated),
		AllValid: b.groupsValid(r),
	}
	v.Conditions.Expression = expression{r.value, r.kind}
	v.Conditions.People = people{excluded{append([]string{}, r.exclude...)}, excluded{[]string{}}}
	v.Actions.Assign.GroupIDs = r.groups
	if embed {
		names := map[string]string{}
		for _, id := range r.groups {
			if g, ok := b.org.Group(id); ok {
				names[id] = g.Name
			}
		}
		v.Embedded = map[string]any{"groupIdToGroupNameMap": names}
	}
	return v
}

func expands(r *endpoint.Request) bool { return r.Query.Get("expand") == "groupIdToGroupNameMap" }

func (b *Book) list(r *endpoint.Request) endpoint.Answer {
	b.org.Lock()
	defer b.org.Unlock()
	search := strings.ToLower(r.Query.Get("search"))
	var found []*rule
	for _, x := range b.rules {
		if strings.Contains(strings.ToLower(x.name), search) {
			found = append(found, x)
		}
	}
	id := func(x *rule) string { return x.id }
	return endpoint.Page(r, found, 50, 200, id, func(x *rule) any { return b.render(x, expands(r)) })
}

func (b *Book) get(r *endpoint.Request) endpoint.Answer {
	b.org.Lock()
	defer b.org.Unlock()
	return b.withRule(func(r *endpoint.Request, found *rule) endpoint.Answer {
		return endpoint.OK(b.render(found, expands(r)))
	})(r)
}

func (b *Book) create(r *endpoint.Request) endpoint.Answer {
	now := r.Now()
	made := &rule{status: inactive, created: now, lastUpdated: now}
	if bad, ok := b.fill(r, made); !ok {
		return bad
	}
	made.id = r.NewID("0pr")
	b.add(made)
	return endpoint.OK(b.render(made, false))
}

// fill reads a rule from the request's body, or says what is wrong with it.
func (b *Book) fill(r *endpoint.Request, into *rule) (bad endpoint.Answer, ok bool) {
	var in body
	if bad, ok := r.Decode(&in); !ok {
		return bad, false
	}
	if in.Name == "" || len([]rune(in.Name)) > 50 {
		return endpoint.Invalid("name", "name: The field must have 1 to 50 characters"), false
	}
	if slices.ContainsFunc(b.rules, func(x *rule) bool { return x != b.find(into.id) && x.name == in.Name }) {
		return endpoint.Invalid("name", "name: Policy rule name already in use"), false
	}
	expr, err := parse(in.Conditions.Expression.Value)
	if err != nil {
		return endpoint.Invalid("validateRule", err.Error()), false
	}
	groups := in.Actions.Assign.GroupIDs
	if len(groups) == 0 {
		return endpoint.Invalid("actions", "actions: A rule needs a group to assign users to"), false
	}
	for _, id := range groups {
		if _, ok := b.org.Group(id); !ok {
			return endpoint.Missing(id, "UserGroup"), false
		}
	}
	into.name, into.expr, into.groups = in.Name, expr, groups
	into.value, into.kind = in.Conditions.Expression.Value, in.Conditions.Expression.Type
	if into.kind == "" {
		into.kind = "urn:okta:expression:1.0"
	}
	into.exclude = in.Conditions.People.Users.Exclude
	return bad, true
}

func (b *Book) update(r *endpoint.Request, found *rule) endpoint.Answer {
	if b.statusOf(found) != inactive {
		return endpoint.Invalid("status", "status: Only INACTIVE rules can be updated")
	}
	changed := *found
	if bad, ok := b.fill(r, &changed); !ok {
		return bad
	}
	changed.lastUpdated = r.Now()
	*found = changed
	b.release(found, false, changed.groups...)
	return endpoint.OK(b.render(found, false))
}

func (b *Book) activate(_ *endpoint.Request, found *rule) endpoint.Answer {
	if b.statusOf(found) == invalid {
		return endpoint.Invalid("status", "status: A group of the rule does not exist any more")
	}
	found.status = active
	b.applyToAll()
	return endpoint.Answer{Status: http.StatusNoContent}
}

// deactivate leaves everybody in the groups: as Okta has it, they stay as if put there by hand.
func (b *Book) deactivate(_ *endpoint.Request, found *rule) endpoint.Answer {
	if b.statusOf(found) == invalid {
		return endpoint.Invalid("status", "status: A group of the rule does not exist any more")
	}
	found.status = inactive
	return endpoint.Answer{Status: http.StatusNoContent}
}

func (b *Book) delete(r *endpoint.Request, found *rule) endpoint.Answer {
	if b.statusOf(found) == active {
		return endpoint.Invalid("status", "status: An ACTIVE rule cannot be deleted")
	}
	b.remove(found, strings.EqualFold(r.Query.Get("removeUsers"), "true"))
	return endpoint.Answer{Status: http.StatusAccepted}
}
