// Package rules keeps the group rules of a fake org, and puts users into groups by them as
// Okta does: when a rule is activated, and whenever a user is created or changes.
package rules

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/oktaretry/oktaretry/oktatest/internal/syslog"
)

// Org is what rules need of the org. Its lock guards the rules as well: all methods but Lock
// are called while it is held.
type Org interface {
	Lock()
	Unlock()
	Users() []User
	User(id string) (User, bool)
	Group(id string) (Group, bool)
	IsMember(groupID, userID string) bool
	SetMember(groupID, userID string, in bool)
	Record(syslog.Event)
}

// User is a user as rules see it.
type User struct {
	ID         string
	Entity     syslog.Entity
	Gone       bool           // deactivated: no rule applies
	Attributes map[string]any // of the profile
	Internal   map[string]any // id, status and so on
	Groups     func() []Group
}

// Group is a group as rules see it.
type Group struct{ ID, Name string }

// Statuses of a rule.
const (
	active   = "ACTIVE"
	inactive = "INACTIVE"
	invalid  = "INVALID"
)

// Book keeps the rules.
type Book struct {
	org  Org
	work time.Duration // how long a change of rules takes

	changing bool    // a change is under way
	applying bool    // memberships change by rules
	rules    []*rule // in order of their ids
	put      map[membership]map[string]bool
}

// membership is a user's place in a group. Book.put has the ids of the rules that put it there.
type membership struct{ group, user string }

type rule struct {
	id          string
	name        string
	status      string
	created     time.Time
	lastUpdated time.Time
	kind        string // of the expression
	value       string
	exclude     []string // ids of users
	groups      []string
	expr        expr
}

// New returns a book without rules. A change of rules takes so long, and another that arrives
// meanwhile is refused.
func New(org Org, work time.Duration) *Book {
	return &Book{org: org, work: work, put: map[membership]map[string]bool{}}
}

// Changed applies the rules to a user that was created or has changed. The org is locked.
func (b *Book) Changed(userID string) {
	if b.applying || len(b.rules) == 0 {
		return
	}
	b.applying = true
	defer func() { b.applying = false }()
	// A rule may ask for groups that another gives: until nothing changes, but no longer than
	// two rules could play with each other.
	for range len(b.rules) + 1 {
		u, ok := b.org.User(userID)
		if !ok {
			b.forgetUser(userID)
			return
		}
		if !b.apply(u) {
			return
		}
	}
}

// apply applies each active rule once, and reports whether a membership has changed.
func (b *Book) apply(u User) (changed bool) {
	for _, r := range b.rules {
		if b.statusOf(r) != active {
			continue
		}
		match := !u.Gone && !slices.Contains(r.exclude, u.ID) && truth(r.expr(u))
		for _, g := range r.groups {
			changed = b.set(r, membership{g, u.ID}, u, match) || changed
		}
	}
	return changed
}

// set has a rule put a user into a group, or takes back that it has, and reports whether the
// group's members have changed. Who is in the group by hand stays.
func (b *Book) set(r *rule, m membership, u User, in bool) (changed bool) {
	by, member := b.put[m], b.org.IsMember(m.group, m.user)
	switch {
	case in && !member:
		b.put[m] = map[string]bool{r.id: true}
		b.move(m, u, true)
		return true
	case in && len(by) > 0:
		by[r.id] = true
	case !in && by[r.id]:
		delete(by, r.id)
		if len(by) == 0 {
			delete(b.put, m)
			if member {
				b.move(m, u, false)
			}
			return member
		}
	}
	return false
}

// move changes a membership and records it as Okta's own doing.
func (b *Book) move(m membership, u User, in bool) {
	b.org.SetMember(m.group, m.user, in)
	event := "group.user_membership.add"
	if !in {
		event = "group.user_membership.remove"
	}
	b.record(event, u, b.groupEntity(m.group))
}

func (b *Book) record(event string, u User, what syslog.Entity) {
	b.org.Record(syslog.Event{Type: event, Actor: syslog.System, Targets: []syslog.Entity{u.Entity, what}})
}

func (b *Book) groupEntity(id string) syslog.Entity {
	g, _ := b.org.Group(id)
	return syslog.Entity{ID: id, Type: syslog.Group, AlternateID: "unknown", DisplayName: g.Name}
}

// AddedByHand is called when somebody has put a user into a group, RemovedByHand when somebody
// has taken one out: rules that had put it there exclude the user from then on, as Okta's do.
// The org is locked.
func (b *Book) AddedByHand(userID string) { b.Changed(userID) }

// RemovedByHand: see AddedByHand.
func (b *Book) RemovedByHand(groupID, userID string) {
	m := membership{groupID, userID}
	u, _ := b.org.User(userID)
	for _, r := range b.rules {
		if b.put[m][r.id] {
			r.exclude = append(slices.Clone(r.exclude), userID)
			b.record("group.user_membership.rule.add_exclusion", u, r.entity())
		}
	}
	delete(b.put, m)
	b.Changed(userID)
}

func (r *rule) entity() syslog.Entity {
	return syslog.Entity{ID: r.id, Type: "PolicyRule", AlternateID: "unknown", DisplayName: r.name}
}

func (b *Book) forgetUser(id string) {
	maps.DeleteFunc(b.put, func(m membership, _ map[string]bool) bool { return m.user == id })
}

// statusOf is a rule's status as it is seen: INVALID while a group of it is gone.
func (b *Book) statusOf(r *rule) string {
	if !b.groupsValid(r) {
		return invalid
	}
	return r.status
}

func (b *Book) groupsValid(r *rule) bool {
	return !slices.ContainsFunc(r.groups, func(id string) bool {
		_, ok := b.org.Group(id)
		return !ok
	})
}

// Name is the name of a rule; empty if there is none. The org is locked.
func (b *Book) Name(id string) string {
	if r := b.find(id); r != nil {
		return r.name
	}
	return ""
}

func (b *Book) find(id string) *rule {
	for _, r := range b.rules {
		if r.id == id {
			return r
		}
	}
	return nil
}

// add keeps a rule in the order of ids.
func (b *Book) add(r *rule) {
	i, _ := slices.BinarySearchFunc(b.rules, r.id, func(x *rule, id string) int { return strings.Compare(x.id, id) })
	b.rules = slices.Insert(b.rules, i, r)
}

// applyToAll applies the rules to everybody.
func (b *Book) applyToAll() {
	for _, u := range b.org.Users() {
		b.Changed(u.ID)
	}
}

// remove takes a rule away; the users that it alone has put into groups leave them, or stay as
// if by hand.
func (b *Book) remove(r *rule, leave bool) {
	b.release(r, leave)
	b.rules = slices.DeleteFunc(slices.Clone(b.rules), func(x *rule) bool { return x == r })
}

// release ends a rule's hold on memberships, except in some groups.
func (b *Book) release(r *rule, leave bool, except ...string) {
	held := slices.SortedFunc(maps.Keys(b.put), func(x, y membership) int {
		return strings.Compare(x.group+x.user, y.group+y.user)
	})
	for _, m := range held {
		if !b.put[m][r.id] || slices.Contains(except, m.group) {
			continue
		}
		delete(b.put[m], r.id)
		if len(b.put[m]) > 0 {
			continue
		}
		delete(b.put, m)
		if u, ok := b.org.User(m.user); ok && leave && b.org.IsMember(m.group, m.user) {
			b.move(m, u, false)
		}
	}
}
