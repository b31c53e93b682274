// This file keeps the users and groups.

package oktatest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oktaretry/oktaretry/oktatest/internal/lag"
)

// directory holds users and groups by id, and in order of creation. Its lock
// is held for single operations only, never while a reply is sent.
type directory struct {
	mu         sync.Mutex
	last       uint64 // number of the last user or group
	users      []*user
	usersByID  map[string]*user
	idsByLogin map[string]string // logins in lower case
	groups     []*group
	groupsByID map[string]*group

	lag         *atomic.Pointer[lag.Lag]   // nil until the first users and groups are there
	pastUsers   lag.History[uint64, *user] // by number
	pastGroups  lag.History[uint64, *group]
	userChanged func(id string) // may change memberships
}

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
	profile       map[string]any
	password      bool
}

func (u *user) number() uint64 { return u.num }
func (u *user) login() string  { return text(u.profile["login"]) }

type group struct {
	num         uint64
	id          string
	created     time.Time
	lastUpdated time.Time
	lastMembers time.Time
	profile     map[string]any
	members     []uint64 // numbers of users, in order; some may be deleted since
}

func (g *group) number() uint64 { return g.num }
func (g *group) name() string   { return text(g.profile["name"]) }

func text(v any) string {
	s, _ := v.(string)
	return s
}

func (d *directory) init(now time.Time, users, groups int) {
	d.usersByID = map[string]*user{}
	d.idsByLogin = map[string]string{}
	d.groupsByID = map[string]*group{}
	now = now.Truncate(time.Millisecond)
	for i := range users {
		login := fmt.Sprintf("user%05d@example.com", i)
		d.addUser(&user{
			status: "ACTIVE", created: now, activated: now, statusChanged: now, lastUpdated: now,
			profile: map[string]any{
				"login": login, "email": login,
				"firstName": "User", "lastName": fmt.Sprintf("%05d", i),
			},
		})
	}
	for i := range groups {
		d.addGroup(&group{created: now, lastUpdated: now, lastMembers: now,
			profile: map[string]any{"name": fmt.Sprintf("group %05d", i), "description": ""}})
	}
}

func (d *directory) addUser(u *user) {
	d.last++
	u.num, u.id = d.last, numberedID("00u", d.last)
	d.users = append(d.users, u)
	d.usersByID[u.id] = u
	d.idsByLogin[strings.ToLower(u.login())] = u.id
	d.wroteUser(u.num, u.id, nil)
}

func (d *directory) addGroup(g *group) {
	d.last++
	g.num, g.id = d.last, numberedID("00g", d.last)
	d.groups = append(d.groups, g)
	d.groupsByID[g.id] = g
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

// replaceUser puts a changed copy in a user's place.
func (d *directory) replaceUser(u *user) {
	old := d.usersByID[u.id]
	i, _ := slices.BinarySearchFunc(d.users, u.num, byNumber[*user])
	d.users = slices.Clone(d.users) // lists may be reading the old one
	d.users[i] = u
	d.usersByID[u.id] = u
	delete(d.idsByLogin, strings.ToLower(old.login()))
	d.idsByLogin[strings.ToLower(u.login())] = u.id
	d.wroteUser(u.num, u.id, old)
}

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
	if in {
		changed.members = slices.Insert(slices.Clone(g.members), i, num)
	} else {
		changed.members = slices.Delete(slices.Clone(g.members), i, i+1)
	}
	d.replaceGroup(&changed)
}

func (d *directory) replaceGroup(g *group) {
	i, _ := slices.BinarySearchFunc(d.groups, g.num, byNumber[*group])
	d.wroteGroup(g.num, d.groups[i])
	d.groups = slices.Clone(d.groups)
	d.groups[i] = g
	d.groupsByID[g.id] = g
}

func (d *directory) removeGroup(g *group) {
	delete(d.groupsByID, g.id)
	d.groups = without(d.groups, g.num)
	d.wroteGroup(g.num, g)
}

// members lists a group's users, in order.
func (d *directory) members(g *group) []*user {
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
	var all []*group
	for _, g := range d.groups {
		if _, in := slices.BinarySearch(g.members, u.num); in {
			all = append(all, g)
		}
	}
	return all
}

func byNumber[T numbered](x T, num uint64) int { return cmp.Compare(x.number(), num) }

// without is a copy of a list that lacks one entry.
func without[T numbered](list []T, num uint64) []T {
	i, found := slices.BinarySearchFunc(list, num, byNumber[T])
	if !found {
		return list
	}
	return append(slices.Clone(list[:i]), list[i+1:]...)
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

// timestamp is a time as Okta writes it; null if it has not come.
type timestamp time.Time

func (t timestamp) MarshalJSON() ([]byte, error) {
	if time.Time(t).IsZero() {
		return []byte("null"), nil
	}
	return json.Marshal(time.Time(t).UTC().Format("2006-01-02T15:04:05.000Z"))
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

// GroupIDs returns the ids of all groups, in order of creation.
func (o *Okta) GroupIDs() []string {
	o.directory.mu.Lock()
	defer o.directory.mu.Unlock()
	ids := make([]string, 0, len(o.directory.groups))
	for _, g := range o.directory.groups {
		ids = append(ids, g.id)
	}
	return ids
}

// statuses are those that a user can have.
var statuses = []string{
	"STAGED", "PROVISIONED", "ACTIVE", "RECOVERY", "PASSWORD_EXPIRED", "LOCKED_OUT", "SUSPENDED", "DEPROVISIONED",
}

// AddUser adds a user as if an admin had done so before: no request arrives, and no
// limit counts one. An empty status is ACTIVE. The profile needs a login that no other
// user has, and an email. It returns the user's id.
func (o *Okta) AddUser(status string, profile map[string]any) (id string, err error) {
	status = cmp.Or(status, "ACTIVE")
	now := o.now().Truncate(time.Millisecond)
	u := &user{status: status, created: now, activated: now, statusChanged: now, lastUpdated: now, profile: merge(nil, profile)}
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
	o.directory.addUser(u)
	o.directory.settle(u.num)
	return u.id, nil
}

// AddGroup adds a group as AddUser adds a user. The profile needs a name that no other
// group has; members are users by login or id.
func (o *Okta) AddGroup(profile map[string]any, members ...string) (id string, err error) {
	now := o.now().Truncate(time.Millisecond)
	g := &group{created: now, lastUpdated: now, lastMembers: now, profile: merge(nil, profile)}
	o.directory.mu.Lock()
	defer o.directory.mu.Unlock()
	if g.name() == "" {
		return "", fmt.Errorf("oktatest: a group has no name")
	}
	for _, other := range o.directory.groups {
		if strings.EqualFold(other.name(), g.name()) {
			return "", fmt.Errorf("oktatest: there is a group %q already", g.name())
		}
	}
	for _, key := range members {
		if o.directory.user(key) == nil {
			return "", fmt.Errorf("oktatest: group %q has a member %q, who is no user", g.name(), key)
		}
	}
	o.directory.addGroup(g)
	for _, key := range members {
		o.directory.setMember(o.directory.groupsByID[g.id], o.directory.user(key).num, true, now)
	}
	o.directory.settle(g.num)
	return g.id, nil
}
