// This file holds actions: POSTs to a verb below a resource.

package generic

import (
	"slices"
	"strings"

	"github.com/oktaretry/oktaretry/oktatest/internal/fill"
	"github.com/oktaretry/oktaretry/oktatest/internal/openapi"
)

// statuses are those that an action leads to.
var statuses = map[string]string{
	"activate":   "ACTIVE",
	"deactivate": "INACTIVE",
	"suspend":    "SUSPENDED",
	"unsuspend":  "ACTIVE",
	"publish":    "PUBLISHED",
	"un-publish": "DRAFT",
	"launch":     "ACTIVE",
	"end":        "COMPLETED",
	"verify":     "VERIFIED",
	"enable":     "ENABLED",
	"disable":    "DISABLED",
	"pause":      "Paused",
	"resume":     "InProgress",
	"stop":       "Cancelled",
}

// act answers a POST to an action.
func (c *Call) act() *Response {
	verb := c.segs[len(c.segs)-1]
	o, f := c.acted()
	if f != nil {
		return f.Response()
	}
	if o == nil {
		return c.actAlone(verb)
	}
	switch verb {
	case "clone":
		return c.cloned(o)
	case "generate":
		return c.create(c.at.target, joined(c.segs[:c.at.depth]), "")
	}
	if f := o.rule.act(c, o, verb); f != nil {
		return f.Response()
	}
	c.setStatus(o, verb)
	if c.op.Response == nil || same(c.op.Response, o.typ) {
		return c.done(o)
	}
	return c.done(nil)
}

// acted finds the resource that the action is done to; none where it lies elsewhere
// or is a collection.
func (c *Call) acted() (*Object, *Failure) {
	t := c.at.target
	if t == nil {
		return nil, nil
	}
	segs := c.segs[:c.at.depth]
	if t.elsewhere() {
		return nil, nil
	}
	switch t.shape {
	case item:
		if o := c.find(t, segs); o != nil {
			return o, nil
		}
		if t.Operations["GET"] == nil {
			return nil, nil
		}
		return nil, missing(segs[len(segs)-1], t.rule.Name)
	case single:
		return c.store.objects[joined(segs)], nil
	}
	return nil, nil
}

// actAlone answers an action on nothing that is kept here: with an answer of its
// type, or an object kept elsewhere.
func (c *Call) actAlone(verb string) *Response {
	at := c.at.target
	if at != nil && at.shape == collection && at.items != nil && verb == "generate" {
		return c.create(at.items, joined(c.segs[:c.at.depth]), "")
	}
	if c.whose != nil && c.op.Response != nil && c.op.Response.Name == "User" {
		return &Response{Status: c.op.Status, Body: c.whose}
	}
	return c.done(nil)
}

// cloned answers a clone of an item: a new one, with all that clients have set.
func (c *Call) cloned(o *Object) *Response {
	body, _ := clone(o.Body).(map[string]any)
	delete(body, o.rule.keyField)
	if name, ok := body["name"].(string); ok {
		body["name"] = "[cloned] " + name
	}
	return c.done(c.add(c.at.target, o.parent, "", body))
}

// setStatus moves an object to the status that a verb leads to, if it has it.
func (c *Call) setStatus(o *Object, verb string) {
	want := statuses[verb]
	f := fill.Chosen(o.typ, o.Body).Field("status")
	if want == "" || f == nil || len(f.Type.Enum) > 0 && !slices.ContainsFunc(f.Type.Enum, func(s string) bool { return strings.EqualFold(s, want) }) {
		return
	}
	o.Body["status"], o.Updated = want, c.Now
}

// same reports whether an answer of a type can be an object of another.
func same(answer, t *openapi.Type) bool {
	if answer == t {
		return true
	}
	if answer.Kind == openapi.Any || t.Kind == openapi.Any {
		return len(answer.Choices) > 0 || len(t.Choices) > 0
	}
	return answer.Field("id") != nil && t.Field("id") != nil || answer.Field("kid") != nil && t.Field("kid") != nil
}
