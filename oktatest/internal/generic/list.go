// This file holds collections: their lists, and what is done to all of them.

package generic

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/oktaretry/oktaretry/oktatest/internal/fill"
	"github.com/oktaretry/oktaretry/oktatest/internal/openapi"
)

// collection answers a request to the path that items lie below.
func (c *Call) collection() *Response {
	parent := joined(c.segs)
	if c.at.items != nil {
		c.seed(c.at.items, parent)
	}
	switch c.Method {
	case "GET":
		return c.listed(c.members(parent))
	case "DELETE":
		for _, o := range c.store.lists[parent] {
			c.Remove(o)
		}
		return c.done(nil)
	}
	if c.Method == "POST" && c.at.items != nil {
		return c.createIn(parent)
	}
	return c.done(nil)
}

// createIn creates what the body asks for: one item, or each of a list.
func (c *Call) createIn(parent string) *Response {
	at := c.at.items
	if at == nil {
		at = c.at
	}
	list, several := c.in.([]any)
	if !several {
		return c.create(at, parent, "")
	}
	for _, x := range list {
		if m, ok := x.(map[string]any); ok {
			c.add(at, parent, "", writable(nil, m, at.rule))
		}
	}
	if c.op.Response != nil && c.op.Response.Kind != openapi.Array {
		return c.listed(c.members(parent))
	}
	return c.done(nil)
}

// members are the objects of a collection that the query asks for.
func (c *Call) members(parent string) []*Object {
	var all []*Object
	t := c.at.itemType()
	for _, o := range c.store.lists[parent] {
		if c.wants(t, o) {
			all = append(all, o)
		}
	}
	if f := c.at.rule.Order; f != nil {
		slices.SortStableFunc(all, f)
	}
	return all
}

// wants reports whether the query asks for an object: by q, by filter, or by fields
// that the query names.
func (c *Call) wants(t *openapi.Type, o *Object) bool {
	q := c.Query
	if len(q) == 0 && c.Filter == nil {
		return true
	}
	body, _ := c.render(t, o).(map[string]any)
	if s := strings.ToLower(q.Get("q")); s != "" {
		named := slices.ContainsFunc([]string{"name", "label", "displayName", "title"}, func(k string) bool {
			text, _ := body[k].(string)
			return strings.HasPrefix(strings.ToLower(text), s)
		})
		if !named {
			return false
		}
	}
	for _, k := range []string{"type", "status", "sourceId", "targetId", "poolType"} {
		if want := q.Get(k); want != "" && body[k] != nil && body[k] != want {
			return false
		}
	}
	return c.Filter == nil || c.passes(o, body)
}

// passes reports whether the filter is true of an object, with one of what it is related to.
func (c *Call) passes(o *Object, body map[string]any) bool {
	with := func(attribute, value string) bool {
		return c.Filter(func(field string) string {
			if field == attribute {
				return value
			}
			return fieldOf(body, field)
		})
	}
	if with("", "") {
		return true
	}
	if o.rule.Related == nil {
		return false
	}
	for attribute, values := range o.rule.Related(c, o) {
		if slices.ContainsFunc(values, func(v string) bool { return with(attribute, v) }) {
			return true
		}
	}
	return false
}

// fieldOf is a field of an object by its path, as text.
func fieldOf(body map[string]any, path string) string {
	var v any = body
	for _, k := range strings.Split(path, ".") {
		m, _ := v.(map[string]any)
		v = m[k]
	}
	if v == nil {
		return ""
	}
	if _, object := v.(map[string]any); object {
		return ""
	}
	return fmt.Sprint(v)
}

// listed answers with a list: bare, for the caller to page, or within an object.
func (c *Call) listed(all []*Object) *Response {
	t := c.at.itemType()
	if c.at.wrapper != "" {
		return c.wrapped(t, all)
	}
	r := &Response{Status: c.op.Status, IsList: true, Page: len(all) + 1, MaxPage: len(all) + 1}
	if c.op.Paged {
		r.Page, r.MaxPage = c.op.Limit, c.op.MaxLimit
		if r.MaxPage == 0 {
			r.MaxPage = maxPage
		}
		if r.Page == 0 {
			r.Page = min(r.MaxPage, defaultPage)
		}
	}
	for _, o := range all {
		r.List = append(r.List, &Entry{Number: o.number, ID: o.ID, Body: c.render(t, o)})
	}
	return r
}

// Entries of a page where the description does not say.
const (
	defaultPage = 20
	maxPage     = 200
)

// wrapped answers with a list within an object, which has the next page's link.
func (c *Call) wrapped(t *openapi.Type, all []*Object) *Response {
	all, next, ok := c.cut(all)
	if !ok {
		return fail(400, "E0000029", "after: not a cursor")
	}
	list := make([]any, 0, len(all))
	for _, o := range all {
		list = append(list, c.render(t, o))
	}
	f := c.filler()
	t = fill.Chosen(c.op.Response, nil)
	body := f.Object(t, map[string]any{c.at.wrapper: list}, 0)
	links := map[string]any{"self": map[string]any{"href": c.Base + joined(c.Segments)}}
	if next != "" {
		q := c.Query
		q.Set("after", next)
		links["next"] = map[string]any{"href": c.Base + joined(c.Segments) + "?" + q.Encode()}
	}
	if t.Field("_links") != nil {
		body["_links"] = f.Value(t.Field("_links").Type, links, 1)
	}
	return &Response{Status: c.op.Status, Body: body}
}

// cut is the page that limit and after ask for, and the cursor of the next; false if after
// is none.
func (c *Call) cut(all []*Object) (page []*Object, next string, ok bool) {
	if !c.op.Paged {
		return all, "", true
	}
	if after := c.Query.Get("after"); after != "" {
		from, ok := following(len(all), func(i int) uint64 { return all[i].number }, after)
		if !ok {
			return nil, "", false
		}
		all = all[from:]
	}
	limit := c.op.Limit
	if n, err := strconv.Atoi(c.Query.Get("limit")); err == nil && n > 0 {
		limit = n
	}
	if limit == 0 {
		limit = defaultPage
	}
	if m := c.op.MaxLimit; m > 0 {
		limit = min(limit, m)
	}
	if len(all) <= limit {
		return all, "", true
	}
	return all[:limit], cursor(all[limit-1].number), true
}

// Cursor is what the next page's link holds after this entry.
func (e *Entry) Cursor() string { return cursor(e.Number) }

// Next is where the List goes on after an entry, by its cursor; false if that is none.
func (r *Response) Next(after string) (next int, ok bool) {
	return following(len(r.List), func(i int) uint64 { return r.List[i].Number }, after)
}

// cursor names an object so that its place is known when it is gone.
func cursor(number uint64) string { return fmt.Sprintf("%020d", number) }

// following is where a list of n objects goes on after one of them: behind it, or, if it is
// there no more, with the first that was created later.
func following(n int, number func(i int) uint64, after string) (next int, ok bool) {
	last, err := strconv.ParseUint(after, 10, 64)
	if err != nil {
		return 0, false
	}
	next = n
	for i := range n {
		switch at := number(i); {
		case at == last:
			return i + 1, true
		case at > last && next == n:
			next = i
		}
	}
	return next, true
}
