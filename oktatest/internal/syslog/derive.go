// This file makes the events of a request that changes something.

package syslog

import (
	"cmp"
	"encoding/json"
	"strings"
)

// Resolve finds what an id means: as it is named in events, and its status.
type Resolve func(kind, id string) (e Entity, status string)

// Pending is a request that may change something: begun before it is served, since what it
// deletes cannot be named afterwards. The nil Pending changes nothing.
type Pending struct {
	Change
	method  string
	segs    []string
	targets []Entity
	status  string // of the first target, before
	resolve Resolve
}

// Begin returns what a request may change; nil if it only reads.
func Begin(method string, segs []string, resolve Resolve) *Pending {
	c, ok := ChangeOf(method, segs)
	if !ok {
		return nil
	}
	p := &Pending{Change: c, method: method, segs: segs, resolve: resolve}
	kinds := c.Kinds
	if p.ofUser() {
		kinds = []string{User}
	}
	for i, id := range c.IDs {
		if i >= len(kinds) || kinds[i] == "-" {
			continue
		}
		e, status := resolve(kinds[i], id)
		if i == 0 {
			p.status = status
		}
		p.targets = append(p.targets, e)
	}
	return p
}

// ofUser reports whether the request is for /api/v1/users/{id} itself, whose event depends on
// what it does.
func (p *Pending) ofUser() bool {
	return len(p.segs) == 4 && strings.Join(p.segs[:3], "/") == "api/v1/users"
}

// Done returns the events of a request that has succeeded, by its body and its answer's.
func (p *Pending) Done(body, answer []byte) []Event {
	switch {
	case p == nil:
		return nil
	case p.ofUser():
		return p.userEvents(body)
	case p.Type == "":
		return nil
	}
	targets := p.targets
	if len(p.Kinds) > len(p.IDs) {
		targets = append(targets, p.made(p.Kinds[len(p.IDs)], answer))
	}
	events := []Event{{Type: p.Type, Targets: targets}}
	if p.Type == "user.lifecycle.create" {
		events = append(events, p.creation(targets, body, answer)...)
	}
	return events
}

// made is the target that the answer shows.
func (p *Pending) made(kind string, answer []byte) Entity {
	var a struct{ ID, Name, Label, DisplayName, Title string }
	json.Unmarshal(answer, &a) // what is no object has no names
	if a.ID != "" {
		if e, _ := p.resolve(kind, a.ID); e.DisplayName != "" {
			return e
		}
	}
	return Entity{ID: a.ID, Type: kind, AlternateID: "unknown", DisplayName: cmp.Or(a.Label, a.DisplayName, a.Name, a.Title)}
}

// creation is what comes with the creation of a user: its activation, its groups.
func (p *Pending) creation(targets []Entity, body, answer []byte) (events []Event) {
	var made struct{ Status string }
	var in struct {
		GroupIDs []string `json:"groupIds"`
	}
	json.Unmarshal(answer, &made) // both have been read or written by the fake
	json.Unmarshal(body, &in)
	if made.Status != "" && made.Status != "STAGED" {
		events = append(events, Event{Type: "user.lifecycle.activate", Targets: targets})
	}
	for _, id := range in.GroupIDs {
		group, _ := p.resolve(Group, id)
		events = append(events, Event{Type: "group.user_membership.add", Targets: append(targets[:1:1], group)})
	}
	return events
}

// userEvents are those of POST, PUT and DELETE of a user.
func (p *Pending) userEvents(body []byte) (events []Event) {
	add := func(eventType string) { events = append(events, Event{Type: eventType, Targets: p.targets}) }
	if p.method == "DELETE" {
		if p.status != "DEPROVISIONED" {
			add("user.lifecycle.deactivate")
			return events
		}
		add("user.lifecycle.delete.initiated")
		add("user.lifecycle.delete.completed")
		return events
	}
	var in struct {
		Profile     map[string]any
		Credentials struct{ Password map[string]any }
	}
	json.Unmarshal(body, &in) // the fake has read it
	if in.Profile != nil {
		add("user.account.update_profile")
	}
	if in.Credentials.Password != nil {
		add("user.account.update_password")
	}
	return events
}
