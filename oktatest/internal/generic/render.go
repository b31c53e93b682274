// This file shows objects as answers have them.

package generic

import (
	"github.com/oktaretry/oktaretry/oktatest/internal/fill"
	"github.com/oktaretry/oktaretry/oktatest/internal/openapi"
)

// filler makes the values of what is no object of the store.
func (c *Call) filler() *fill.Filler {
	return &fill.Filler{Base: c.Base, Path: joined(c.segs), Now: c.Now, Updated: c.Now}
}

// render is an object as a type shows it.
func (c *Call) render(t *openapi.Type, o *Object) any {
	if t == nil {
		return nil
	}
	f := &fill.Filler{Base: c.Base, Path: o.Path, Now: o.Created, Updated: o.Updated, Invent: o.invent}
	given, _ := clone(o.Body).(map[string]any)
	shown := fill.Chosen(t, given)
	if shown.Kind != openapi.Object {
		if shown.Kind == openapi.String {
			return o.ID
		}
		return f.Value(shown, nil, 0)
	}
	c.serverMade(shown, given, o)
	out := f.Object(t, given, 0)
	if o.rule.Show != nil {
		o.rule.Show(c, o, out)
	}
	return out
}

// serverMade adds what the server makes of an object.
func (c *Call) serverMade(t *openapi.Type, given map[string]any, o *Object) {
	for k, v := range map[string]any{
		"id": o.ID, "created": fill.Stamp(o.Created), "lastUpdated": fill.Stamp(o.Updated),
		o.rule.keyField: o.ID,
	} {
		if k == "" || v == "" {
			continue
		}
		if field := t.Field(k); field != nil && field.Type.Kind == openapi.String && given[k] == nil {
			given[k] = v
		}
	}
	if field := t.Field("_links"); field != nil {
		links, _ := given["_links"].(map[string]any)
		if links == nil {
			links = map[string]any{}
		}
		if links["self"] == nil {
			links["self"] = map[string]any{"href": c.Base + o.Path}
		}
		given["_links"] = links
	}
}

// invented is a value of which nothing is known but its type and the request.
func (c *Call) invented(t *openapi.Type) any {
	f := c.filler()
	f.Invent = true
	if m := c.body(); t.Kind == openapi.Object || len(t.Choices) > 0 {
		return f.Object(t, writable(t, m, nil), 0)
	}
	return f.Value(t, nil, 0)
}
