// This file holds one request to the store on its way.

package generic

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"

	"github.com/oktaretry/oktaretry/oktatest/internal/openapi"
)

// Call is one request on its way.
type Call struct {
	*Request
	store *Store
	op    *openapi.Operation
	at    *place
	segs  []string       // the path with the parents' own ids
	above *Object        // the nearest item above
	whose map[string]any // the nearest object above that is kept elsewhere
	in    any            // the body, decoded
}

// resolve finds what lies above the path, and puts ids where the path has names.
func (c *Call) resolve() *Failure {
	c.segs = slices.Clone(c.Segments)
	for _, p := range c.at.parents {
		key := c.segs[p.depth-1]
		if p.at == nil {
			id, body, ok := c.store.cfg.Find(p.plain, key, c.Base)
			if !ok {
				return missing(key, c.store.cfg.Kinds.api().byPlain[p.plain].rule.Name)
			}
			c.segs[p.depth-1], c.whose = id, body
			continue
		}
		o := c.find(p.at, c.segs[:p.depth])
		if o == nil {
			return missing(key, p.at.rule.Name)
		}
		c.segs[p.depth-1], c.above = o.ID, o
	}
	return nil
}

// decode reads the body.
func (c *Call) decode() *Failure {
	t := c.op.Request
	if t == nil {
		return nil
	}
	text := bytes.TrimSpace(c.Body)
	if len(text) == 0 {
		if c.op.NeedsBody && len(t.Fields)+len(t.Choices) > 0 {
			return &Failure{Status: 400, Code: "E0000003"}
		}
		return nil
	}
	if err := json.Unmarshal(text, &c.in); err != nil {
		return &Failure{Status: 400, Code: "E0000003"}
	}
	if f := unknownChoice(t, c.in); f != nil {
		return f
	}
	_, object := c.in.(map[string]any)
	_, array := c.in.([]any)
	if kind := t.Kind; kind == openapi.Object && !object || kind == openapi.Array && !array {
		return &Failure{Status: 400, Code: "E0000003"}
	}
	return nil
}

// unknownChoice refuses an object that is none of those that the type knows.
func unknownChoice(t *openapi.Type, in any) *Failure {
	m, _ := in.(map[string]any)
	want, given := m[t.Property].(string)
	if t.Kind != openapi.Any || t.Property == "" || !given || want == "" {
		return nil
	}
	for _, choice := range t.Choices {
		if choice.Value == want {
			return nil
		}
	}
	return Invalid(t.Property, "Not one of the allowed values.")
}

// Invalid refuses a field.
func Invalid(field, why string) *Failure {
	return &Failure{Status: 400, Code: "E0000001", Summary: "Api validation failed: " + field, Causes: []string{field + ": " + why}}
}

// Refused fails with one of Okta's codes and its own summary.
func Refused(status int, code string, causes ...string) *Failure {
	return &Failure{Status: status, Code: code, Causes: causes}
}

// In is the request's object, which must not be changed; empty if it has none.
func (c *Call) In() map[string]any { return c.body() }

// Above is the nearest object above the path that the Store keeps; nil if there is
// none.
func (c *Call) Above() *Object { return c.above }

// Whose is the nearest user or group above the path; nil if there is none.
func (c *Call) Whose() map[string]any { return c.whose }

// Segment is a segment of the path, with an id in the place of a name.
func (c *Call) Segment(n int) string { return c.segs[n] }

// Elsewhere finds a user or group, by its template; an error of Okta's if there is
// none.
func (c *Call) Elsewhere(template, key string) (id string, body map[string]any, f *Failure) {
	id, body, ok := c.store.cfg.Find(template, key, c.Base)
	if !ok {
		return "", nil, missing(key, c.store.cfg.Kinds.api().byPlain[template].rule.Name)
	}
	return id, body, nil
}

// Siblings are the objects of the collection that the path is in or names, in order
// of creation. The slice must not be changed.
func (c *Call) Siblings() []*Object {
	if c.at.shape == item {
		return c.store.lists[joined(c.segs[:len(c.segs)-1])]
	}
	return c.store.lists[joined(c.segs)]
}

// Collection lists the objects of a collection, by its path's segments. The slice
// must not be changed.
func (c *Call) Collection(segments ...string) []*Object {
	if p := openapi.Load().Find(segments); p != nil {
		if at := c.store.cfg.Kinds.api().places[p]; at.items != nil {
			c.seed(at.items, joined(segments))
		}
	}
	return c.store.lists[joined(segments)]
}

// Has reports whether there is an object at a path.
func (c *Call) Has(segments ...string) bool { return c.store.objects[joined(segments)] != nil }

// Lists answers with a list of objects.
func (c *Call) Lists(all []*Object) *Response { return c.listed(all) }

// body is the request's object; empty if it is none.
func (c *Call) body() map[string]any {
	m, _ := c.in.(map[string]any)
	if m == nil {
		m = map[string]any{}
	}
	return m
}

func (c *Call) answer() *Response {
	if f := c.store.cfg.Kinds.answers[c.at.plain]; f != nil {
		if r := f(c); r != nil {
			return r
		}
	}
	switch c.at.shape {
	case item:
		return c.item()
	case collection:
		return c.collection()
	case single:
		return c.single()
	}
	return c.act()
}

// find returns the item of a path; nil if there is none. What is there without
// being created is made.
func (c *Call) find(at *place, segs []string) *Object {
	parent := joined(segs[:len(segs)-1])
	key := segs[len(segs)-1]
	c.seed(at, parent)
	if o := c.store.objects[joined(segs)]; o != nil {
		return o
	}
	for _, o := range c.store.lists[parent] {
		if at.rule.goesBy(o, key) {
			return o
		}
	}
	if at.rule.Missing != nil {
		if body := at.rule.Missing(c, key); body != nil {
			return c.add(at, parent, key, body)
		}
		return nil
	}
	if at.implicit {
		o := c.add(at, parent, key, map[string]any{at.key: key})
		o.invent = true
		return o
	}
	return nil
}

// add puts an object into a collection. The key is made if it is empty.
func (c *Call) add(at *place, parent, key string, body map[string]any) *Object {
	s := c.store
	if key == "" {
		key = s.cfg.NewID(at.rule.idPrefix(body))
	}
	s.last++
	o := &Object{
		store: s, number: s.last, parent: parent, Path: parent + joined([]string{key}), ID: key,
		rule: at.rule, typ: at.typ, Body: body, Created: c.Now, Updated: c.Now,
	}
	s.objects[o.Path] = o
	s.lists[parent] = append(s.lists[parent], o)
	return o
}

// Remove takes an object out, with all that is below it.
func (c *Call) Remove(o *Object) {
	s := c.store
	s.lists[o.parent] = slices.DeleteFunc(slices.Clone(s.lists[o.parent]), func(x *Object) bool { return x == o })
	below := o.Path + "/"
	under := func(path string) bool { return len(path) > len(below) && path[:len(below)] == below }
	maps.DeleteFunc(s.objects, func(path string, _ *Object) bool { return path == o.Path || under(path) })
	maps.DeleteFunc(s.lists, func(path string, _ []*Object) bool { return under(path) })
	maps.DeleteFunc(s.seeded, func(path string, _ bool) bool { return under(path) })
}

// Missing answers that there is no such resource, by Okta's name of its kind.
func Missing(key, name string) *Response { return missing(key, name).Response() }

func missing(key, name string) *Failure {
	return &Failure{Status: 404, Code: "E0000007", Summary: "Not found: Resource not found: " + key + " (" + name + ")"}
}

// Response is the answer.
func (f *Failure) Response() *Response { return &Response{Status: f.Status, Failure: f} }

// done answers with the operation's success, an object rendered as its type asks.
func (c *Call) done(o *Object) *Response {
	r := &Response{Status: c.op.Status}
	switch t := c.op.Response; {
	case c.op.Media != "":
		r.Media, r.Text = c.op.Media, textOf(c.op.Media)
	case t == nil && c.op.Status == 200 && c.Method == "POST":
		r.Body = map[string]any{} // recorded of all actions whose answer is not described
	case t == nil:
	case t.Kind == openapi.Array && o != nil:
		r.Body = []any{c.render(t.Items, o)}
	case t.Kind == openapi.Array:
		r.Body = []any{}
	case o != nil:
		r.Body = c.render(t, o)
	default:
		r.Body = c.invented(t)
	}
	return r
}

// textOf is a body that is no JSON.
func textOf(media string) string {
	if media == "text/xml" {
		return `<?xml version="1.0" encoding="UTF-8"?><md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="oktatest"></md:EntityDescriptor>`
	}
	return "MIIBCgKCAQEAoktatest"
}

// seed fills a collection with what it has from the beginning, once.
func (c *Call) seed(at *place, parent string) {
	if at.rule.Seeds == nil || c.store.seeded[parent] {
		return
	}
	c.store.seeded[parent] = true
	for _, s := range at.rule.Seeds(c) {
		o := c.add(at, parent, s.ID, s.Body)
		o.invent = !s.Lean
	}
}
