// This file joins the mechanisms in the packages below internal to the fake: factors, group
// rules, the system log, and reads that lag behind writes.

package oktatest

import (
	"cmp"
	"hash/fnv"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/oktaretry/oktaretry/oktatest/internal/authserver"
	"github.com/oktaretry/oktaretry/oktatest/internal/endpoint"
	"github.com/oktaretry/oktaretry/oktatest/internal/factor"
	"github.com/oktaretry/oktaretry/oktatest/internal/lag"
	"github.com/oktaretry/oktaretry/oktatest/internal/render"
	"github.com/oktaretry/oktaretry/oktatest/internal/rules"
	"github.com/oktaretry/oktaretry/oktatest/internal/signin"
	"github.com/oktaretry/oktaretry/oktatest/internal/syslog"
)

// mechanisms are the parts of the fake that know nothing of it.
type mechanisms struct {
	factors *factor.Store
	signIns *signin.Store
	servers *authserver.Server
	rules   *rules.Book
	log     *syslog.Log
	lag     atomic.Pointer[lag.Lag] // nil: no read is late

	ruleEvents []syslog.Event // of rules, until the event is recorded that set them off; under the directory's lock
}

// join makes the mechanisms. The users and groups that the fake begins with are there already.
func (o *Okta) join(cfg config) {
	o.log = syslog.New(cfg.logSize)
	o.factors = factor.New(o.factorUser, cfg.factorResult, cfg.factorWaits)
	o.signIns, o.servers = o.newSignIns(cfg)
	o.rules = rules.New(ruleOrg{o}, cfg.ruleLock)
	if cfg.lagReads != nil {
		o.lag.Store(lag.New(cfg.lagSeed, cfg.lagReads))
	}
	o.directory.lag, o.directory.userChanged = &o.lag, o.rules.Changed
}

// mechanismRoutes adds the endpoints of the mechanisms.
func (o *Okta) mechanismRoutes(add func(string, func(*call) *reply)) {
	for _, rt := range slices.Concat(o.factors.Routes(), o.rules.Routes(), o.signIns.Routes(), o.servers.Routes()) {
		add(rt.Pattern, func(c *call) *reply { return c.answer(rt.Serve(c.request())) })
	}
	add("GET /api/v1/logs", o.listLogs)
	add("DELETE /api/v1/users/{id}/sessions", o.endSessions)
}

// request is the call as a mechanism sees it.
func (c *call) request() *endpoint.Request {
	return &endpoint.Request{
		Method: c.r.Method, Header: c.r.Header,
		Vars: c.vars, Query: c.r.URL.Query(), Body: c.body, Base: c.base(), URI: c.r.URL.RequestURI(),
		Now: c.o.now, NewID: c.o.newID, NewToken: c.o.newToken, Record: c.event,
		Wait: func(d time.Duration) { c.wait(d) },
	}
}

// answer makes a mechanism's answer a reply.
func (c *call) answer(a endpoint.Answer) *reply {
	if e := a.Error; e != nil {
		known, _ := LookupCode(e.Code)
		return c.errorReply(cmp.Or(e.Status, known.Status),
			oktaError{Code: e.Code, Summary: cmp.Or(e.Summary, known.summary()), Causes: causes(e.Causes)})
	}
	if a.Unserved {
		return c.o.unservedReply(c)
	}
	r := c.noContent()
	if a.Body != nil {
		r = c.json(a.Status, a.Body)
	}
	r.status = a.Status
	for k, vs := range a.Header {
		r.header[k] = vs
	}
	return r
}

// factorUser is a user as factors see it.
func (o *Okta) factorUser(key string) (factor.User, bool) {
	o.directory.mu.Lock()
	defer o.directory.mu.Unlock()
	u := o.directory.user(key)
	if u == nil {
		return factor.User{}, false
	}
	return factor.User{
		ID: u.id, Login: u.login(), Email: text(u.profile["email"]), PushID: numberedID("opf", u.num),
		Created: u.created, Entity: u.entity(),
	}, true
}

// ruleOrg is the org as group rules see it.
type ruleOrg struct{ o *Okta }

func (r ruleOrg) Lock()   { r.o.directory.mu.Lock() }
func (r ruleOrg) Unlock() { r.o.directory.mu.Unlock() }

func (r ruleOrg) Users() []rules.User {
	all := make([]rules.User, 0, len(r.o.directory.users))
	for _, u := range r.o.directory.users {
		all = append(all, r.user(u))
	}
	return all
}

func (r ruleOrg) User(id string) (rules.User, bool) {
	u := r.o.directory.usersByID[id]
	if u == nil {
		return rules.User{}, false
	}
	return r.user(u), true
}

func (r ruleOrg) user(u *user) rules.User {
	return rules.User{
		ID: u.id, Entity: u.entity(), Gone: u.gone(), Attributes: u.profile,
		Internal: map[string]any{"id": u.id, "status": u.status, "created": render.Stamp(u.created), "lastUpdated": render.Stamp(u.lastUpdated)},
		Groups: func() []rules.Group {
			var all []rules.Group
			for _, g := range r.o.directory.groupsOf(u) {
				all = append(all, rules.Group{ID: g.id, Name: g.name()})
			}
			return all
		},
	}
}

func (r ruleOrg) Group(id string) (rules.Group, bool) {
	g := r.o.directory.groupsByID[id]
	if g == nil {
		return rules.Group{}, false
	}
	return rules.Group{ID: g.id, Name: g.name()}, true
}

func (r ruleOrg) IsMember(groupID, userID string) bool {
	g, u := r.o.directory.groupsByID[groupID], r.o.directory.usersByID[userID]
	if g == nil || u == nil {
		return false
	}
	_, in := slices.BinarySearch(g.members, u.num)
	return in || g.builtIn && !u.gone()
}

func (r ruleOrg) SetMember(groupID, userID string, in bool) {
	g, u := r.o.directory.groupsByID[groupID], r.o.directory.usersByID[userID]
	if g != nil && u != nil {
		r.o.directory.setMember(g, u.num, in, r.o.stamp())
	}
}

func (r ruleOrg) Record(e syslog.Event) {
	e.Published = r.o.now()
	r.o.ruleEvents = append(r.o.ruleEvents, e)
}

// logRules records what rules have done.
func (o *Okta) logRules() {
	o.directory.mu.Lock()
	events := o.ruleEvents
	o.ruleEvents = nil
	o.directory.mu.Unlock()
	for _, e := range events {
		o.log.Record(e.Published, e)
	}
}

// memberByHand tells the rules that somebody has put a user into a group, or taken one out.
// The directory is locked.
func (o *Okta) memberByHand(g *group, u *user, in bool) {
	if in {
		o.rules.AddedByHand(u.id)
	} else {
		o.rules.RemovedByHand(g.id, u.id)
	}
}

// wroteUser is called when a user has been added, changed or removed, with what was there
// before, if anything. The directory is locked.
func (d *directory) wroteUser(num uint64, id string, before *user) {
	d.pastUsers.Wrote(time.Now(), d.longestLag(), num, before, before != nil)
	if d.userChanged != nil {
		d.userChanged(id)
	}
}

// wroteGroup is wroteUser for groups and their members.
func (d *directory) wroteGroup(num uint64, before *group) {
	d.pastGroups.Wrote(time.Now(), d.longestLag(), num, before, before != nil)
}

func (d *directory) longestLag() time.Duration {
	if d.lag == nil {
		return 0
	}
	return d.lag.Load().Longest()
}

// settle has all reads see the users and groups of those numbers as they are.
func (d *directory) settle(nums ...uint64) {
	for _, num := range nums {
		d.pastUsers.Forget(num)
		d.pastGroups.Forget(num)
	}
}

// behind draws the time of which a read of a list shows the state.
func (c *call) behind() (time.Time, bool) {
	d := c.o.lag.Load().Behind(readAs(c.r.Method), c.segs, c.r.URL.RequestURI())
	return time.Now().Add(-d), d > 0
}

// usersSeen are the users as a list shows them, in order; the directory is locked. So are the
// others below.
func (o *Okta) usersSeen(c *call) []*user {
	if at, late := c.behind(); late {
		return asOf(o.directory.users, o.directory.pastUsers.At(at))
	}
	return o.directory.users
}

// groupsSeen are the groups by name, and where a list of them goes on after an id.
func (o *Okta) groupsSeen(c *call) (list []*group, find func(string) (int, bool)) {
	at, late := c.behind()
	if !late {
		return o.directory.named, o.directory.afterName
	}
	then := directory{groupsByID: map[string]*group{}, goneGroups: o.directory.goneGroups}
	then.named = slices.Clone(asOf(o.directory.groups, o.directory.pastGroups.At(at)))
	slices.SortFunc(then.named, byName)
	for _, g := range then.named {
		then.groupsByID[g.id] = g
	}
	return then.named, then.afterName
}

// membersSeen are a group's members as a list shows them.
func (o *Okta) membersSeen(c *call, g *group) []*user {
	at, late := c.behind()
	if !late {
		return o.directory.members(g)
	}
	if was, changed := o.directory.pastGroups.At(at)[g.num]; changed {
		if g = was.Value; !was.There {
			return nil
		}
	}
	then := directory{users: asOf(o.directory.users, o.directory.pastUsers.At(at))}
	return then.members(g)
}

// groupsOfSeen are a user's groups as a list shows them.
func (o *Okta) groupsOfSeen(c *call, u *user) []*group {
	if at, late := c.behind(); late {
		then := directory{groups: asOf(o.directory.groups, o.directory.pastGroups.At(at))}
		return then.groupsOf(u)
	}
	return o.directory.groupsOf(u)
}

// asOf is a list as it was, given what of it has changed since.
func asOf[T numbered](list []T, past map[uint64]lag.Was[T]) []T {
	if len(past) == 0 {
		return list
	}
	list = keepOnly(list, func(x T) bool { _, changed := past[x.number()]; return !changed })
	for _, was := range past {
		if was.There {
			list = append(list, was.Value)
		}
	}
	slices.SortFunc(list, func(a, b T) int { return cmp.Compare(a.number(), b.number()) })
	return list
}

func (u *user) entity() syslog.Entity {
	name := strings.TrimSpace(text(u.profile["firstName"]) + " " + text(u.profile["lastName"]))
	return syslog.Entity{ID: u.id, Type: syslog.User, AlternateID: u.login(), DisplayName: name}
}

// resolve names what events are about.
func (o *Okta) resolve(kind, id string) (e syslog.Entity, status string) {
	o.directory.mu.Lock()
	defer o.directory.mu.Unlock()
	e = syslog.Entity{ID: id, Type: kind, AlternateID: "unknown"}
	switch kind {
	case syslog.User:
		if u := o.directory.user(id); u != nil {
			return u.entity(), u.status
		}
	case syslog.Group:
		if g := o.directory.groupsByID[id]; g != nil {
			e.DisplayName = g.name()
		}
	case "PolicyRule":
		e.DisplayName = o.rules.Name(id)
	}
	return e, ""
}

// event records an event as caused by this call.
func (c *call) event(e syslog.Event) {
	now := c.o.now()
	if e.Actor.ID == "" {
		e.Actor = c.actor()
	}
	ip, _, err := net.SplitHostPort(c.r.RemoteAddr)
	if err != nil {
		ip = c.r.RemoteAddr
	}
	e.Client = &syslog.Client{UserAgent: c.r.UserAgent(), IP: ip}
	e.Transaction = &syslog.Transaction{Type: "WEB", ID: c.id, Detail: c.credential()}
	debug := map[string]any{"requestId": c.id, "requestUri": c.r.URL.EscapedPath(), "url": c.r.URL.EscapedPath() + "?" + c.r.URL.RawQuery}
	if strings.HasSuffix(c.r.URL.Path, "/token") {
		debug["url"] = c.r.URL.EscapedPath() + "?" // its query may hold an assertion
	}
	for k, v := range e.Debug {
		debug[k] = v
	}
	e.Debug = debug
	c.o.log.Record(now, e)
}

// actor is who called: an app's client at the token endpoint and behind an access token, else an
// admin.
func (c *call) actor() syslog.Entity {
	scheme, _, _ := strings.Cut(c.r.Header.Get("Authorization"), " ")
	if c.segs[0] == "oauth2" {
		id := cmp.Or(c.view().clientID(), "unknown")
		return syslog.Entity{ID: id, Type: "PublicClientApp", AlternateID: id, DisplayName: id}
	}
	if scheme == "Bearer" || scheme == "DPoP" {
		return syslog.Entity{ID: "0oaoktatestclient000", Type: "PublicClientApp", AlternateID: "unknown", DisplayName: "oktatest client"}
	}
	return syslog.Entity{ID: "00uoktatestadmin0000", Type: syslog.User, AlternateID: "admin@oktatest.example", DisplayName: "oktatest admin"}
}

// credential is the id of the API token, if the call has one: the same for the same token, which
// it does not reveal.
func (c *call) credential() map[string]any {
	token, ok := strings.CutPrefix(c.r.Header.Get("Authorization"), "SSWS ")
	if !ok {
		return nil
	}
	h := fnv.New64a()
	h.Write([]byte(token))
	return map[string]any{"requestApiTokenId": numberedID("00T", h.Sum64())}
}

// logAnswer records what a call that the fake has answered by its rules did, and how its rate
// limit stands.
func (c *call) logAnswer(rep *reply, change *syslog.Pending) {
	switch {
	case rep.status == http.StatusTooManyRequests:
		c.logRefusal(rep.header)
		return // whose headers may be another limit's than the bucket's
	case rep.status >= 200 && rep.status < 300:
		for _, e := range change.Done(c.body, rep.body) {
			c.event(e)
		}
	}
	if change != nil {
		c.o.logRules()
	}
	c.logWarning(rep.header)
}

// warningPercent is the share of a limit from which on Okta warns.
const warningPercent = 90

// logWarning records that a window is nearly used up, once for each.
func (c *call) logWarning(h http.Header) {
	limit, _ := strconv.Atoi(h.Get("X-Rate-Limit-Limit"))
	remaining, _ := strconv.Atoi(h.Get("X-Rate-Limit-Remaining"))
	reset, _ := strconv.ParseInt(h.Get("X-Rate-Limit-Reset"), 10, 64)
	if limit <= 0 || (limit-remaining)*100 < limit*warningPercent || !c.o.log.FirstWarning(c.entry.Bucket, reset) {
		return
	}
	c.logRate("system.org.rate_limit.warning", "ORG", h, map[string]any{"warningPercent": strconv.Itoa(warningPercent)})
}

// logRefusal records a 429, by the kind of the limit that refused the call.
func (c *call) logRefusal(h http.Header) {
	if c.refusal || c.entry == nil { // twice, or no request
		return
	}
	c.refusal = true
	event, scope := "system.org.rate_limit.violation", "ORG"
	switch by := c.entry.RefusedBy; {
	case by == Concurrency || h.Get("X-Rate-Limit-Limit") == "0":
		event = "core.concurrency.org.limit.violation"
	case by == LimitPerClient.Name:
		event, scope = "system.client.rate_limit.violation", "CLIENT"
	case by != "" && c.o.limits.limitNamed(by) != nil:
		event, scope = "system.operation.rate_limit.violation", "USER"
	}
	c.logRate(event, scope, h, map[string]any{"rateLimitName": c.entry.RefusedBy})
}

func (c *call) logRate(event, scope string, h http.Header, debug map[string]any) {
	bucket := cmp.Or(c.entry.Bucket, c.r.URL.EscapedPath())
	reset, _ := strconv.ParseInt(h.Get("X-Rate-Limit-Reset"), 10, 64)
	seconds := strconv.FormatInt(max(0, reset-c.o.now().Unix()), 10)
	for k, v := range map[string]string{
		"threshold": h.Get("X-Rate-Limit-Limit"), "timeSpan": "1", "timeUnit": "MINUTES",
		"rateLimitScopeType": scope, "rateLimitSecondsToReset": seconds,
	} {
		debug[k] = v
	}
	c.event(syslog.Event{Type: event, Debug: debug, Targets: []syslog.Entity{
		{ID: bucket, Type: "URL Pattern", AlternateID: "unknown", DisplayName: bucket},
	}})
}

// listLogs serves GET /api/v1/logs.
func (o *Okta) listLogs(c *call) *reply {
	o.logRules() // also of AddUser, which is no request
	q := c.r.URL.Query()
	page, err := o.log.Query(o.now(), q, func(s string) (syslog.Filter, error) {
		f, err := parseFilter(s)
		return syslog.Filter(f), err
	})
	if err != nil {
		name, _, _ := strings.Cut(err.Error(), ":")
		return c.answer(endpoint.Invalid(name, err.Error()))
	}
	r := c.json(http.StatusOK, append([]*syslog.Event{}, page.Events...))
	r.header.Add("Link", "<"+c.base()+c.r.URL.RequestURI()+`>; rel="self"`)
	if page.Next != nil {
		r.header.Add("Link", "<"+c.base()+c.r.URL.EscapedPath()+"?"+page.Next.Encode()+`>; rel="next"`)
	}
	return r
}
