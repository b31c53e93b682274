// This file keeps the users and groups.

package oktatest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oktaretry/oktaretry/oktatest/internal/lag"
	"github.com/oktaretry/oktaretry/oktatest/internal/render"
	"github.com/oktaretry/oktaretry/oktatest/internal/signin"
)

// directory holds users and groups by id, and in order of their ids, which is that of
// creation. Its lock is held for single operations only, never while a reply is sent;
// what is in its slices and maps is read and changed under it.
type directory struct {
	mu         sync.Mutex
	last       uint64 // number of the last user or group
	users      []*user
	usersByID  map[string]*user
	idsByLogin map[string]string // logins in lower case
	groups     []*group
	groupsByID map[string]*group
	named      []*group          // in order of their names
	goneGroups map[string]*group // deleted, for lists that go on after one
	everyone   string            // the id of the group that all users are in
	attributes map[string]bool   // of users' profiles: the schema

	lag         *atomic.Pointer[lag.Lag]   // nil until the first users and groups are there
	pastUsers   lag.History[uint64, *user] // by number
	pastGroups  lag.History[uint64, *group]
	userChanged func(id string) // may change memberships
}

// goneMemory is how many deleted groups are remembered before they are forgotten.
const goneMemory = 10_000

// user is stored as a value that is never changed once it can be seen: changes
// make a new one.
type user struct {
	num           uint64
	id            string
	status        string
	created       time.Time
	activated     time.Time
	statusChanged time.Time
	lastUpdated   time.Time
	passwordSince time.Time
	profile       map[string]any
	lastLogin     time.Time
	password      bool
	secret        signin.Password
	question      string // for recovery
	provider      render.Provider
}

func (u *user) number() uint64   { return u.num }
func (u *user) identity() string { return u.id }
func (u *user) login() string    { return text(u.profile["login"]) }

// gone reports whether the user is deactivated, and so in no group.
func (u *user) gone() bool { return u.status == "DEPROVISIONED" }

type group struct {
	num         uint64
	id          string
	created     time.Time
	lastUpdated time.Time
	lastMembers time.Time
	profile     map[string]any
	members     []uint64 // numbers of users, in order; some may be deleted since
	builtIn     bool     // Everyone: its members are not kept
}

func (g *group) number() uint64   { return g.num }
func (g *group) identity() string { return g.id }
func (g *group) name() string     { return text(g.profile["name"]) }

func (g *group) kind() string {
	if g.builtIn {
		return "BUILT_IN"
	}
	return "OKTA_GROUP"
}

// byName is the order of lists of groups.
func byName(a, b *group) int {
	return cmp.Or(strings.Compare(strings.ToLower(a.name()), strings.ToLower(b.name())), strings.Compare(a.id, b.id))
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

func (d *directory) init(now time.Time, cfg config) {
	d.usersByID = map[string]*user{}
	d.idsByLogin = map[string]string{}
	d.groupsByID, d.goneGroups = map[string]*group{}, map[string]*group{}
	d.attributes = map[string]bool{}
	for _, name := range slices.Concat(render.BaseAttributes, cfg.attributes) {
		d.attributes[name] = true
	}
	now = now.Truncate(time.Second)
	everyone := &group{created: now, lastUpdated: now, lastMembers: now, builtIn: true,
		profile: map[string]any{"name": "Everyone", "description": "All users in your organization"}}
	d.addGroup(everyone)
	d.everyone = everyone.id
	for i := range cfg.users {
		login := fmt.Sprintf("user%05d@example.com", i)
		d.addUser(newUser("ACTIVE", now, map[string]any{
			"login": login, "email": login,
			"firstName": "User", "lastName": fmt.Sprintf("%05d", i),
		}))
	}
	for i := range cfg.groups {
		d.addGroup(&group{created: now, lastUpdated: now, lastMembers: now,
			profile: map[string]any{"name": fmt.Sprintf("group %05d", i), "description": ""}})
	}
}

// newUser is a user who has been given that status at once.
func newUser(status string, now time.Time, profile map[string]any) *user {
	u := &user{status: status, created: now, lastUpdated: now, profile: profile}
	if status != "STAGED" {
		u.activated, u.statusChanged = now, now
	}
	if status != "STAGED" && status != "PROVISIONED" {
		u.setPassword(now, signin.Default)
	}
	return u
}

func (u *user) setPassword(now time.Time, p signin.Password) {
	u.password, u.passwordSince, u.secret = true, now, p
}

func (d *directory) addUser(u *user) {
	d.last++
	u.num, u.id = d.last, numberedID("00u", d.last)
	d.users = append(d.users, u)
	d.usersByID[u.id] = u
	d.idsByLogin[strings.ToLower(u.login())] = u.id
	d.everyoneChanged(u.created)
	d.wroteUser(u.num, u.id, nil)
}

// everyoneChanged notes that a user has joined or left the org. The group itself is
// changed: a copy for each user would be dear, and nobody reads it without the lock.
func (d *directory) everyoneChanged(now time.Time) { d.groupsByID[d.everyone].lastMembers = now }

func (d *directory) addGroup(g *group) {
	d.last++
	g.num, g.id = d.last, numberedID("00g", d.last)
	d.groups = append(d.groups, g)
	d.groupsByID[g.id] = g
	i, _ := slices.BinarySearchFunc(d.named, g, byName)
	d.named = slices.Insert(d.named, i, g)
	d.wroteGroup(g.num, nil)
}

// user finds a user by id, login or "me", who is the first user there is.
func (d *directory) user(key string) *user {
	if u := d.usersByID[key]; u != nil {
		return u
	}
	if id, ok := d.idsByLogin[strings.ToLower(key)]; ok {
		return d.usersByID[id]
	}
	if key == "me" && len(d.users) > 0 {
		return d.users[0]
	}
	return nil
}

// taken reports whether another user than this one has the login.
func (d *directory) taken(login, id string) bool {
	other, ok := d.idsByLogin[strings.ToLower(login)]
	return ok && other != id
}

// replaceUser puts a changed copy in a user's place. One who is deactivated by it leaves
// its groups.
func (d *directory) replaceUser(u *user) {
	old := d.usersByID[u.id]
	i, _ := slices.BinarySearchFunc(d.users, u.num, byNumber[*user])
	d.users[i] = u
	d.usersByID[u.id] = u
	delete(d.idsByLogin, strings.ToLower(old.login()))
	d.idsByLogin[strings.ToLower(u.login())] = u.id
	d.wroteUser(u.num, u.id, old)
	if u.gone() == old.gone() {
		return
	}
	d.everyoneChanged(u.lastUpdated)
	if u.gone() {
		for _, g := range slices.Clone(d.groups) {
			d.setMember(g, u.num, false, u.lastUpdated)
		}
	}
}

// removeUser deletes a user who is deactivated.
func (d *directory) removeUser(u *user) {
	delete(d.usersByID, u.id)
	delete(d.idsByLogin, strings.ToLower(u.login()))
	d.users = without(d.users, u.num)
	d.wroteUser(u.num, u.id, u)
}

// setMember puts a user into a group or takes it out of it.
func (d *directory) setMember(g *group, num uint64, in bool, now time.Time) {
	i, found := slices.BinarySearch(g.members, num)
	if found == in {
		return
	}
	changed := *g
	changed.lastMembers = now
	if d.longestLag() > 0 { // a late read may look at the old ones
		changed.members = slices.Clone(g.members)
	}
	if in {
		changed.members = slices.Insert(changed.members, i, num)
	} else {
		changed.members = slices.Delete(changed.members, i, i+1)
	}
	d.replaceGroup(&changed)
}

func (d *directory) replaceGroup(g *group) {
	old := d.groupsByID[g.id]
	d.wroteGroup(g.num, old)
	i, _ := slices.BinarySearchFunc(d.groups, g.num, byNumber[*group])
	d.groups[i] = g
	d.groupsByID[g.id] = g
	at, _ := slices.BinarySearchFunc(d.named, old, byName)
	if byName(old, g) == 0 {
		d.named[at] = g
		return
	}
	d.named = slices.Delete(d.named, at, at+1)
	at, _ = slices.BinarySearchFunc(d.named, g, byName)
	d.named = slices.Insert(d.named, at, g)
}

func (d *directory) removeGroup(g *group) {
	delete(d.groupsByID, g.id)
	d.groups = without(d.groups, g.num)
	d.wroteGroup(g.num, g)
	at, _ := slices.BinarySearchFunc(d.named, g, byName)
	d.named = slices.Delete(d.named, at, at+1)
	if len(d.goneGroups) >= goneMemory {
		clear(d.goneGroups)
	}
	d.goneGroups[g.id] = &group{id: g.id, profile: g.profile}
}

// groupNamed reports whether another group than that of the id has the name, in any case.
func (d *directory) groupNamed(name, id string) bool {
	name = strings.ToLower(name)
	at, _ := slices.BinarySearchFunc(d.named, name, func(g *group, name string) int {
		return strings.Compare(strings.ToLower(g.name()), name)
	})
	for ; at < len(d.named) && strings.ToLower(d.named[at].name()) == name; at++ {
		if d.named[at].id != id {
			return true
		}
	}
	return false
}

// afterName is where a list of groups by name goes on after the group of an id.
func (d *directory) afterName(id string) (next int, ok bool) {
	last := cmp.Or(d.groupsByID[id], d.goneGroups[id])
	if last == nil {
		return 0, false
	}
	at, found := slices.BinarySearchFunc(d.named, last, byName)
	if found {
		at++
	}
	return at, true
}

// members lists a group's users, in order.
func (d *directory) members(g *group) []*user {
	if g.builtIn {
		return keepOnly(d.users, func(u *user) bool { return !u.gone() })
	}
	var all []*user
	for _, num := range g.members {
		i, found := slices.BinarySearchFunc(d.users, num, byNumber[*user])
		if found {
			all = append(all, d.users[i])
		}
	}
	return all
}

// groupsOf lists the groups of a user, in order.
func (d *directory) groupsOf(u *user) []*group {
	return keepOnly(d.groups, func(g *group) bool {
		_, in := slices.BinarySearch(g.members, u.num)
		return in || g.builtIn && !u.gone()
	})
}

func byNumber[T numbered](x T, num uint64) int { return cmp.Compare(x.number(), num) }

// without takes one entry out of a list.
func without[T numbered](list []T, num uint64) []T {
	i, found := slices.BinarySearchFunc(list, num, byNumber[T])
	if !found {
		return list
	}
	return slices.Delete(list, i, i+1)
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

// merge lays changes over a profile, in a new map: null takes an attribute away.
func merge(profile, changes map[string]any) map[string]any {
	p := maps.Clone(profile)
	if p == nil {
		p = map[string]any{}
	}
	for k, v := range changes {
		if v == nil {
			delete(p, k)
		} else {
			p[k] = v
		}
	}
	return p
}

// User returns the id of the user with that login (or id), and whether there
// is one: for tests that look behind the API.
func (o *Okta) User(loginOrID string) (id, status string, ok bool) {
	o.directory.mu.Lock()
	defer o.directory.mu.Unlock()
	u := o.directory.user(loginOrID)
	if u == nil {
		return "", "", false
	}
	return u.id, u.status, true
}

// UserIDs returns the ids of all users, in order of creation.
func (o *Okta) UserIDs() []string {
	o.directory.mu.Lock()
	defer o.directory.mu.Unlock()
	ids := make([]string, 0, len(o.directory.users))
	for _, u := range o.directory.users {
		ids = append(ids, u.id)
	}
	return ids
}

// GroupIDs returns the ids of all groups but Everyone, in order of creation.
func (o *Okta) GroupIDs() []string {
	o.directory.mu.Lock()
	defer o.directory.mu.Unlock()
	ids := make([]string, 0, len(o.directory.groups))
	for _, g := range o.directory.groups {
		if !g.builtIn {
			ids = append(ids, g.id)
		}
	}
	return ids
}

// EveryoneID returns the id of the group Everyone, which each user is in who is not
// deactivated, and which can be neither changed nor deleted.
func (o *Okta) EveryoneID() string { return o.directory.everyone }

// statuses are those that a user can have.
var statuses = []string{
	"STAGED", "PROVISIONED", "ACTIVE", "RECOVERY", "PASSWORD_EXPIRED", "LOCKED_OUT", "SUSPENDED", "DEPROVISIONED",
}

// AddUser adds a user as if an admin had done so before: no request arrives, and no
// limit counts one. An empty status is ACTIVE. The profile needs a login that no other
// user has, and an email; attributes that the schema lacks are added to it, as by
// WithProfileAttributes. A user has the password UserPassword unless it is STAGED or
// PROVISIONED. It returns the user's id.
func (o *Okta) AddUser(status string, profile map[string]any) (id string, err error) {
	status = cmp.Or(status, "ACTIVE")
	u := newUser(status, o.stamp(), merge(nil, profile))
	o.directory.mu.Lock()
	defer o.directory.mu.Unlock()
	switch {
	case !slices.Contains(statuses, status):
		return "", fmt.Errorf("oktatest: user %q: status %q, want one of %s", u.login(), status, strings.Join(statuses, ", "))
	case u.login() == "":
		return "", fmt.Errorf("oktatest: a user has no login")
	case text(u.profile["email"]) == "":
		return "", fmt.Errorf("oktatest: user %q has no email", u.login())
	case o.directory.taken(u.login(), ""):
		return "", fmt.Errorf("oktatest: there is a user %q already", u.login())
	}
	for name := range u.profile {
		o.directory.attributes[name] = true
	}
	o.directory.addUser(u)
	o.directory.settle(u.num)
	return u.id, nil
}

// AddGroup adds a group as AddUser adds a user. The profile needs a name that no other
// group has; members are users by login or id.
func (o *Okta) AddGroup(profile map[string]any, members ...string) (id string, err error) {
	now := o.stamp()
	g := &group{created: now, lastUpdated: now, lastMembers: now, profile: merge(nil, profile)}
	o.directory.mu.Lock()
	defer o.directory.mu.Unlock()
	if g.name() == "" {
		return "", fmt.Errorf("oktatest: a group has no name")
	}
	if o.directory.groupNamed(g.name(), "") {
		return "", fmt.Errorf("oktatest: there is a group %q already", g.name())
	}
	for _, key := range members {
		if u := o.directory.user(key); u == nil || u.gone() {
			return "", fmt.Errorf("oktatest: group %q has a member %q, who is no user, or deactivated", g.name(), key)
		}
	}
	o.directory.addGroup(g)
	for _, key := range members {
		o.directory.setMember(o.directory.groupsByID[g.id], o.directory.user(key).num, true, now)
	}
	o.directory.settle(g.num)
	return g.id, nil
}
