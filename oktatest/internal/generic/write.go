// This file holds what is done to resources: read, create, replace, merge, delete.

package generic

import (
	"maps"
	"slices"
	"strings"

	"github.com/oktaretry/oktaretry/oktatest/internal/fill"
	"github.com/oktaretry/oktaretry/oktatest/internal/openapi"
)

// item answers a request to one of several.
func (c *Call) item() *Response {
	if c.at.elsewhere() {
		return c.itemElsewhere()
	}
	o := c.find(c.at, c.segs)
	key := c.segs[len(c.segs)-1]
	if o == nil {
		fresh := c.Method == "PUT" && (c.at.list == nil || c.at.list.Operations["POST"] == nil) ||
			c.Method == "POST" && (c.at.list == nil || c.at.list.Operations["POST"] == nil || c.at.Operations["PUT"] != nil && c.at.rule.Upserts)
		if !fresh {
			return missing(key, c.at.rule.Name).Response()
		}
		return c.create(c.at, joined(c.segs[:len(c.segs)-1]), key)
	}
	switch c.Method {
	case "PUT":
		return c.replace(o)
	case "POST", "PATCH":
		return c.merge(o)
	case "DELETE":
		if f := c.at.rule.refuseDelete(c, o); f != nil {
			return f.Response()
		}
		c.Remove(o)
		return c.done(o)
	}
	return c.done(o)
}

// itemElsewhere answers with what is kept elsewhere, unchanged.
func (c *Call) itemElsewhere() *Response {
	key := c.segs[len(c.segs)-1]
	_, body, ok := c.store.cfg.Find(c.at.plain, key, c.Base)
	if !ok {
		return missing(key, c.at.rule.Name).Response()
	}
	r := &Response{Status: c.op.Status}
	if c.op.Response != nil {
		r.Body = c.filler().Object(c.op.Response, body, 0)
	}
	return r
}

// create adds an item to a collection.
func (c *Call) create(at *place, parent, key string) *Response {
	body := c.accepted(nil)
	if f := at.rule.check(c, nil, body); f != nil {
		return f.Response()
	}
	if at.rule.Key != nil && key == "" {
		own, f := at.rule.Key(c)
		if f != nil {
			return f.Response()
		}
		key = own
		if o := c.store.objects[parent+joined([]string{key})]; o != nil {
			return c.merge(o)
		}
	}
	if own, ok := body[at.key].(string); ok && key == "" && own != "" && !at.rule.made(at.key) {
		key = own
		if o := c.store.objects[parent+joined([]string{key})]; o != nil {
			return (&Failure{Status: 400, Code: "E0000001", Summary: "Api validation failed: " + at.key,
				Causes: []string{at.key + ": An object with this field already exists in the current organization"}}).Response()
		}
	}
	if key != "" && !at.rule.made(at.key) {
		body[at.key] = key
	}
	at.rule.begin(c, body)
	o := c.add(at, parent, key, body)
	if f := at.rule.Created; f != nil {
		f(c, o)
	}
	return c.done(o)
}

// replace puts the request's fields in the place of all that clients have set.
func (c *Call) replace(o *Object) *Response {
	body := c.accepted(nil)
	for k, v := range o.Body {
		if _, there := body[k]; !there && (o.rule.keeps(k) || k == o.rule.keyField || o.invent) {
			body[k] = v
		}
	}
	return c.change(o, body)
}

// merge lays the request's fields over those that are there: null takes one away. A
// list of JSON Patch's operations is carried out.
func (c *Call) merge(o *Object) *Response {
	if list, ok := c.in.([]any); ok {
		body := clone(o.Body).(map[string]any)
		for _, x := range list {
			patch(body, x)
		}
		return c.change(o, body)
	}
	return c.change(o, c.accepted(o.Body))
}

func (c *Call) change(o *Object, body map[string]any) *Response {
	if f := o.rule.check(c, o, body); f != nil {
		return f.Response()
	}
	o.Body, o.Updated = body, c.Now
	if f := o.rule.Changed; f != nil {
		f(c, o)
	}
	return c.done(o)
}

// accepted is what the request sets, laid over what was set before: without what
// the server makes itself.
func (c *Call) accepted(before map[string]any) map[string]any {
	body := map[string]any{}
	if before != nil {
		body = clone(before).(map[string]any)
	}
	overlay(body, writable(c.op.Request, c.body(), c.at.rule))
	return body
}

// overlay merges a change into an object, field by field.
func overlay(into, change map[string]any) {
	for k, v := range change {
		old, was := into[k].(map[string]any)
		fresh, is := v.(map[string]any)
		switch {
		case v == nil:
			delete(into, k)
		case was && is:
			overlay(old, fresh)
		default:
			into[k] = v
		}
	}
}

// writable is an object without the fields that only the server sets. Fields that
// the type does not know are kept.
func writable(t *openapi.Type, in map[string]any, r *Rule) map[string]any {
	t = fill.Chosen(t, in)
	out := map[string]any{}
	for k, v := range in {
		if slices.Contains(serverMade, k) {
			continue
		}
		var f *openapi.Field
		if t != nil {
			f = t.Field(k)
		}
		if f != nil && f.ReadOnly && !r.takes(k) {
			continue
		}
		if f != nil {
			v = writableValue(f.Type, v, r)
		}
		out[k] = v
	}
	return out
}

func writableValue(t *openapi.Type, v any, r *Rule) any {
	switch v := v.(type) {
	case map[string]any:
		return writableInside(t, v)
	case []any:
		if t.Items != nil {
			out := make([]any, len(v))
			for i, x := range v {
				out[i] = writableValue(t.Items, x, r)
			}
			return out
		}
	}
	return v
}

// writableInside is writable of an object within another, where "id" and the like
// are the client's.
func writableInside(t *openapi.Type, in map[string]any) map[string]any {
	t = fill.Chosen(t, in)
	out := map[string]any{}
	for k, v := range in {
		if t != nil {
			if f := t.Field(k); f != nil {
				if f.ReadOnly && k != "id" && k != "type" {
					continue
				}
				v = writableValue(f.Type, v, nil)
			}
		}
		out[k] = v
	}
	return out
}

// serverMade are fields that no request sets.
var serverMade = []string{"id", "created", "createdBy", "lastUpdated", "lastUpdatedBy", "_links", "_embedded"}

// patch carries out one operation of JSON Patch.
func patch(body map[string]any, operation any) {
	m, _ := operation.(map[string]any)
	path, _ := m["path"].(string)
	keys := strings.Split(strings.TrimPrefix(path, "/"), "/")
	at := body
	for _, k := range keys[:len(keys)-1] {
		next, ok := at[k].(map[string]any)
		if !ok {
			next = map[string]any{}
			at[k] = next
		}
		at = next
	}
	last := keys[len(keys)-1]
	if op, _ := m["op"].(string); strings.EqualFold(op, "remove") {
		delete(at, last)
	} else {
		at[last] = m["value"]
	}
}

// clone copies a JSON value.
func clone(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := maps.Clone(v)
		for k, x := range out {
			out[k] = clone(x)
		}
		return out
	case []any:
		out := slices.Clone(v)
		for i, x := range out {
			out[i] = clone(x)
		}
		return out
	}
	return v
}

// single answers a request to the only resource of its kind below its parent. It is
// there from the beginning, as Okta made it, and deleting it puts it back.
func (c *Call) single() *Response {
	path := joined(c.segs)
	o := c.store.objects[path]
	if c.Method == "DELETE" {
		if o != nil {
			c.Remove(o)
		}
		return c.done(nil)
	}
	if o == nil {
		s := c.store
		s.last++
		o = &Object{store: s, number: s.last, Path: path, parent: path + "/", rule: c.at.rule,
			typ: c.at.typ, Body: map[string]any{}, invent: true, Created: c.Now, Updated: c.Now}
		s.objects[path] = o
		c.at.rule.begin(c, o.Body)
	}
	switch c.Method {
	case "PUT":
		return c.replace(o)
	case "POST", "PATCH":
		return c.merge(o)
	}
	return c.done(o)
}
