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
	_, object := c.in.(map[string]any)
	_, array := c.in.([]any)
	if kind := t.Kind; kind == openapi.Object && !object || kind == openapi.Array && !array {
		return &Failure{Status: 400, Code: "E0000003"}
	}
	return nil
}

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
		number: s.last, parent: parent, Path: parent + joined([]string{key}), ID: key,
		rule: at.rule, typ: at.typ, Body: body, Created: c.Now, Updated: c.Now,
	}
	s.objects[o.Path] = o
	s.lists[parent] = append(slices.Clip(s.lists[parent]), o)
	return o
}

// remove takes an object out, with all that is below it.
func (c *Call) remove(o *Object) {
	s := c.store
	s.lists[o.parent] = slices.DeleteFunc(slices.Clone(s.lists[o.parent]), func(x *Object) bool { return x == o })
	below := o.Path + "/"
	under := func(path string) bool { return len(path) > len(below) && path[:len(below)] == below }
	maps.DeleteFunc(s.objects, func(path string, _ *Object) bool { return path == o.Path || under(path) })
	maps.DeleteFunc(s.lists, func(path string, _ []*Object) bool { return under(path) })
	maps.DeleteFunc(s.seeded, func(path string, _ bool) bool { return under(path) })
}

func missing(key, name string) *Failure {
	return &Failure{Status: 404, Code: "E0000007", Summary: "Not found: Resource not found: " + key + " (" + name + ")"}
}

func (f *Failure) response() *Response { return &Response{Status: f.Status, Failure: f} }

// done answers with the operation's success, an object rendered as its type asks.
func (c *Call) done(o *Object) *Response {
	r := &Response{Status: c.op.Status}
	switch t := c.op.Response; {
	case c.op.Media != "":
		r.Media, r.Text = c.op.Media, textOf(c.op.Media)
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
