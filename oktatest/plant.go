// This file puts a seed into an org.

package oktatest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/oktaretry/oktaretry/internal/canned"
	"github.com/oktaretry/oktaretry/internal/document"
)

// planting is a seed on its way into an org.
type planting struct {
	o        *Okta
	members  []membership
	ids      map[string]string // what {…} of requests stand for
	problems []document.Problem
}

// membership is of a user in a group.
type membership struct {
	group, user string // a name, an id
	path        []string
}

// everyone is the group that Okta keeps by itself.
const everyone = "Everyone"

func (s Seed) plant(o *Okta) []document.Problem {
	if late := o.lag.Swap(nil); late != nil { // all reads see what a seed brings
		defer o.lag.CompareAndSwap(nil, late)
	}
	p := &planting{o: o, ids: map[string]string{}}
	if s.MFA {
		p.o.signIns.RequireMFA()
	}
	for i, u := range s.Users {
		p.user(u, "users", strconv.Itoa(i))
	}
	for i, g := range s.Groups {
		p.group(g, "groups", strconv.Itoa(i))
	}
	for _, m := range p.members {
		p.join(m)
	}
	for i, r := range s.Requests {
		p.request(r, "requests", strconv.Itoa(i))
	}
	for _, name := range slices.Sorted(maps.Keys(s.Limits)) {
		p.limit(name, s.Limits[name])
	}
	return p.problems
}

func (p *planting) add(text string, path ...string) {
	p.problems = append(p.problems, document.Problem{Path: path, Text: text})
}

// refused adds err, if it is not nil, and reports whether it is.
func (p *planting) refused(err error, path ...string) bool {
	if err != nil {
		p.add("is refused: "+strings.TrimPrefix(err.Error(), "oktatest: "), path...)
	}
	return err != nil
}

func (p *planting) user(u SeedUser, path ...string) {
	profile := map[string]any{"login": u.Login, "email": cmp.Or(u.Email, u.Login), "firstName": u.FirstName, "lastName": u.LastName}
	maps.Copy(profile, u.Profile)
	login := text(profile["login"])
	switch _, _, taken := p.o.User(login); {
	case login == "":
		p.add("has no login", path...)
		return
	case taken:
		p.add(fmt.Sprintf("is %q, which another user has", login), append(path, "login")...)
		return
	case u.Status != "" && !slices.Contains(statuses, u.Status):
		p.add(fmt.Sprintf("is %q, want one of %s", u.Status, strings.Join(statuses, ", ")), append(path, "status")...)
		return
	}
	id, err := p.o.AddUser(u.Status, profile)
	if p.refused(err, path...) {
		return
	}
	p.ids["users."+login] = id
	if u.MFA {
		p.o.signIns.RequireMFA(login)
	}
	for i, group := range u.Groups {
		p.members = append(p.members, membership{group, id, append(slices.Clone(path), "groups", strconv.Itoa(i))})
	}
	if len(u.Credentials) > 0 {
		_, err := p.o.administer(http.MethodPost, "/api/v1/users/"+id, map[string]any{"credentials": u.Credentials})
		p.refused(err, append(path, "credentials")...)
	}
}

func (p *planting) group(g SeedGroup, path ...string) {
	profile := map[string]any{"name": g.Name, "description": g.Description}
	maps.Copy(profile, g.Profile)
	name := text(profile["name"])
	switch {
	case name == "":
		p.add("has no name", path...)
		return
	case p.o.groupNamed(name) != "":
		p.add(fmt.Sprintf("is %q, which another group has", name), append(path, "name")...)
		return
	}
	id, err := p.o.AddGroup(profile)
	if p.refused(err, path...) {
		return
	}
	p.ids["groups."+name] = id
	for i, login := range g.Members {
		at := append(slices.Clone(path), "members", strconv.Itoa(i))
		user, _, ok := p.o.User(login)
		if !ok {
			p.add(fmt.Sprintf("is %q, which is no user's login", login), at...)
			continue
		}
		p.members = append(p.members, membership{name, user, at})
	}
}

// join makes a user a member of a group, which is made if it is not there.
func (p *planting) join(m membership) {
	id := p.o.groupNamed(m.group)
	if strings.EqualFold(m.group, everyone) && id != "" {
		return // whoever is a user is in it
	}
	if id == "" {
		var err error
		id, err = p.o.AddGroup(map[string]any{"name": m.group, "description": ""})
		if p.refused(err, m.path...) {
			return
		}
	}
	p.ids["groups."+m.group] = id
	_, err := p.o.administer(http.MethodPut, "/api/v1/groups/"+id+"/users/"+m.user, nil)
	p.refused(err, m.path...)
}

// groupNamed returns the id of the group of a name, or "".
func (o *Okta) groupNamed(name string) string {
	o.directory.mu.Lock()
	defer o.directory.mu.Unlock()
	for _, g := range o.directory.groups {
		if strings.EqualFold(g.name(), name) {
			return g.id
		}
	}
	return ""
}

func (p *planting) limit(name string, limit int) {
	l := p.o.limits
	l.mu.Lock()
	_, err := l.table.named(name)
	known := err == nil || l.limitNamed(name) != nil
	l.mu.Unlock()
	if !known {
		p.add("is the name of no bucket or limit, and no request that falls into a bucket", "limits", name)
		return
	}
	p.o.SetLimit(name, limit)
}

func (p *planting) request(r SeedRequest, path ...string) {
	target, err := p.filledPath(r.Path)
	if err != nil {
		p.add(err.Error(), append(path, "path")...)
		return
	}
	id, err := p.o.administer(cmp.Or(r.Method, http.MethodPost), target, p.filled(r.Body))
	if p.refused(err, path...) {
		return
	}
	switch _, taken := p.ids[r.As]; {
	case r.As == "":
	case taken:
		p.add(fmt.Sprintf("is %q, which stands for something already", r.As), append(path, "as")...)
	case id == "":
		p.add(fmt.Sprintf("is %q, but the answer has no id", r.As), append(path, "as")...)
	default:
		p.ids[r.As] = id
	}
}

// filledPath returns a path with ids in the place of names.
func (p *planting) filledPath(path string) (string, error) {
	filled := p.fill(path, url.PathEscape)
	switch _, rest, open := strings.Cut(filled, "{"); {
	case !strings.HasPrefix(filled, "/"):
		return "", fmt.Errorf("is %q, want one that begins with a slash", path)
	case open:
		name, _, _ := strings.Cut(rest, "}")
		return "", fmt.Errorf("has {%s}, which stands for nothing that is made before", name)
	}
	if _, err := url.ParseRequestURI(filled); err != nil {
		return "", fmt.Errorf("is %q, which is no path", path)
	}
	return filled, nil
}

func (p *planting) fill(s string, escape func(string) string) string {
	if !strings.Contains(s, "{") {
		return s
	}
	for name, id := range p.ids {
		s = strings.ReplaceAll(s, "{"+name+"}", escape(id))
	}
	return s
}

// filled returns a value of JSON with ids in the place of names.
func (p *planting) filled(v any) any {
	switch v := v.(type) {
	case string:
		return p.fill(v, func(id string) string { return id })
	case []any:
		all := make([]any, len(v))
		for i, x := range v {
			all[i] = p.filled(x)
		}
		return all
	case map[string]any:
		if v == nil {
			return nil
		}
		all := make(map[string]any, len(v))
		for k, x := range v {
			all[k] = p.filled(x)
		}
		return all
	}
	return v
}

// administer sends a request past limits, scripts and the journal, and returns the id in
// the answer. An answer other than 2xx is an error.
func (o *Okta) administer(method, target string, body any) (id string, err error) {
	var sent []byte
	if body != nil {
		if sent, err = json.Marshal(body); err != nil {
			return "", err
		}
	}
	r, err := http.NewRequest(method, "https://oktatest.invalid"+target, bytes.NewReader(sent))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "SSWS oktatest-seed")
	if len(o.cfg.credentials) > 0 {
		r.Header.Set("Authorization", o.cfg.credentials[0])
	}
	rep := o.serve(&call{o: o, r: r, segs: segments(r.URL.EscapedPath()), body: sent, id: o.newID("req"), bucket: -1,
		entry: &Request{Method: method, Path: r.URL.EscapedPath(), RawQuery: r.URL.RawQuery, Time: o.now()}})
	var answer struct {
		ID string `json:"id"`
		canned.Error
	}
	if len(rep.body) > 0 {
		json.Unmarshal(rep.body, &answer) // of no JSON only the status counts
	}
	if rep.status < 200 || rep.status > 299 {
		why := strings.TrimSpace(fmt.Sprintf("%d %s %s", rep.status, answer.Code, answer.Summary))
		for _, cause := range answer.Causes {
			why += "; " + cause.Summary
		}
		return "", fmt.Errorf("%s %s is answered by %s", method, target, why)
	}
	return answer.ID, nil
}
