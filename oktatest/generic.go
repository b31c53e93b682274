// This file joins the operations that nobody has written by hand.

package oktatest

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/oktaretry/oktaretry/oktatest/internal/generic"
	"github.com/oktaretry/oktaretry/oktatest/internal/kinds"
)

// GenericHeader marks the answers that come from Okta's OpenAPI description alone:
// its value is "generic". See WithoutGeneric.
const GenericHeader = "X-Oktatest"

// WithoutGeneric serves only the endpoints that are written by hand, with what
// Okta does beyond its OpenAPI description: all others are not served (see
// Unserved). Without it they are answered by the description, with state, and
// marked in a header (GenericHeader) and in the journal (Request.Generic).
func WithoutGeneric() Option {
	return func(c *config) { c.withoutGeneric = true }
}

// GenericOperations is the number of operations that Okta's OpenAPI descriptions
// have. Those that are not written by hand are answered by the description.
func GenericOperations() int { return generic.Operations() }

// newStore makes the store of everything that is not written by hand.
func (o *Okta) newStore() *generic.Store {
	return generic.New(generic.Config{NewID: o.newID, Find: o.findElsewhere, Kinds: kinds.All})
}

// findElsewhere finds users and groups for the store.
func (o *Okta) findElsewhere(template, key, base string) (id string, body map[string]any, ok bool) {
	o.directory.mu.Lock()
	defer o.directory.mu.Unlock()
	c := &call{o: o, at: base}
	var shown any
	switch template {
	case generic.Users:
		u := o.directory.user(key)
		if u == nil {
			return "", nil, false
		}
		id, shown = u.id, c.renderUser(u)
	case generic.Groups:
		g := o.directory.groupsByID[key]
		if g == nil {
			return "", nil, false
		}
		id, shown = g.id, c.renderGroup(g)
	}
	json.Unmarshal([]byte(encode(shown)), &body) // of our own making
	return id, body, true
}

// generic answers by Okta's OpenAPI description; nil where it has no such path.
func (o *Okta) generic(c *call) *reply {
	if o.cfg.withoutGeneric {
		return nil
	}
	req := &generic.Request{
		Method: readAs(c.r.Method), Segments: c.segs, Query: c.r.URL.Query(),
		Body: c.body, Base: c.base(), Now: o.now(),
	}
	if _, path := generic.Known(req.Method, req.Segments); !path {
		return nil
	}
	if req.Method == "GET" {
		var err error
		if req.Filter, err = filterOf(req.Query.Get("filter"), req.Query.Get("search")); err != nil {
			return c.fail("E0000031", err.Error())
		}
	}
	answer, known := o.store.Answer(req)
	if !known {
		return nil
	}
	o.journal.generic(c.entry)
	r := c.genericReply(answer)
	r.header.Set(GenericHeader, "generic")
	return r
}

func (c *call) genericReply(a *generic.Response) *reply {
	switch {
	case a.Failure != nil && a.Failure.Summary == "":
		return c.fail(a.Failure.Code, a.Failure.Causes...)
	case a.Failure != nil:
		return c.errorReply(a.Failure.Status, oktaError{Code: a.Failure.Code, Summary: a.Failure.Summary, Causes: causes(a.Failure.Causes)})
	case a.IsList:
		var entries []entry
		for _, e := range a.List {
			entries = append(entries, entry{e})
		}
		r := listing[entry]{list: entries, limit: a.Page, most: a.MaxPage, find: a.Next, render: func(e entry) any { return e.Body }}.page(c)
		if r.status == http.StatusOK { // it refuses paging that makes no sense
			r.status = a.Status
		}
		return r
	case a.Media != "":
		r := c.noContent()
		r.status, r.body = a.Status, []byte(a.Text)
		r.header.Set("Content-Type", a.Media)
		return r
	case a.Body != nil:
		return c.json(a.Status, a.Body)
	}
	r := c.noContent()
	r.status = a.Status
	return r
}

// entry is an entry of a generic list, as page takes it.
type entry struct{ *generic.Entry }

func (e entry) number() uint64 { return e.Number }

// identity is what the cursors of its list hold: an entry's id says nothing of its place.
func (e entry) identity() string { return e.Cursor() }

// AddResource puts a resource into a collection of Okta's API ("/api/v1/devices",
// "/api/v1/apps/0oa…/tokens"), as if it had been there before: no request arrives,
// and no limit counts one. It is for what no request can create. The body can leave
// out all that Okta makes; what lies above need not be there. Users and groups are
// added by AddUser and AddGroup. It returns the resource's id.
func (o *Okta) AddResource(collection string, body map[string]any) (id string, err error) {
	id, ok := o.store.Add(segments(collection), body, o.now())
	if !ok {
		return "", fmt.Errorf("oktatest: Okta describes no resources at %q", collection)
	}
	return id, nil
}
