// This file holds what many kinds have in common: fields that they demand and begin
// with.

package kinds

import (
	"strings"

	"github.com/oktaretry/oktaretry/oktatest/internal/generic"
)

// blank is why a field that Okta demands is refused.
const blank = "The field cannot be left blank"

// demand refuses a body that lacks one of the fields.
func demand(fields ...string) func(*generic.Call, *generic.Object, map[string]any) *generic.Failure {
	return func(_ *generic.Call, _ *generic.Object, body map[string]any) *generic.Failure {
		for _, f := range fields {
			if body[f] == nil || body[f] == "" {
				return generic.Invalid(f, blank)
			}
		}
		return nil
	}
}

// demandFirst is demand of a new object only.
func demandFirst(fields ...string) func(*generic.Call, *generic.Object, map[string]any) *generic.Failure {
	return func(c *generic.Call, old *generic.Object, body map[string]any) *generic.Failure {
		if old != nil {
			return nil
		}
		return demand(fields...)(c, old, body)
	}
}

// begin sets fields that a new object has unless clients set them.
func begin(fields map[string]any) func(*generic.Call, map[string]any) {
	return func(_ *generic.Call, body map[string]any) {
		for k, v := range fields {
			if body[k] == nil {
				body[k] = v
			}
		}
	}
}

// complete adds the fields that an object lacks, and those that the objects within it
// lack.
func complete(body, fields map[string]any) {
	for k, v := range fields {
		old, was := body[k].(map[string]any)
		more, is := v.(map[string]any)
		switch {
		case body[k] == nil:
			body[k] = v
		case was && is:
			complete(old, more)
		}
	}
}

// active begins with the status that the query's activate asks for, ACTIVE without.
func active(c *generic.Call, body map[string]any) {
	if body["status"] != nil {
		return
	}
	body["status"] = "ACTIVE"
	if strings.EqualFold(c.Query.Get("activate"), "false") { // as Python writes it: False
		body["status"] = "INACTIVE"
	}
}

// both begins with one and the other.
func both(f, g func(*generic.Call, map[string]any)) func(*generic.Call, map[string]any) {
	return func(c *generic.Call, body map[string]any) { f(c, body); g(c, body) }
}

// unique refuses a second object of one name among those of a collection.
func unique(field string, next func(*generic.Call, *generic.Object, map[string]any) *generic.Failure) func(*generic.Call, *generic.Object, map[string]any) *generic.Failure {
	return func(c *generic.Call, old *generic.Object, body map[string]any) *generic.Failure {
		if f := next(c, old, body); f != nil {
			return f
		}
		for _, o := range c.Siblings() {
			if o != old && body[field] != nil && o.Body[field] == body[field] {
				return generic.Invalid(field, "An object with this field already exists in the current organization")
			}
		}
		return nil
	}
}

// text is a field as a string; empty if it is none.
func text(body map[string]any, field string) string {
	s, _ := body[field].(string)
	return s
}

// number is a field as a number, or the one given if it is none.
func number(body map[string]any, field string, otherwise float64) float64 {
	if n, ok := body[field].(float64); ok {
		return n
	}
	return otherwise
}

// inside is an object within another; empty if there is none.
func inside(body map[string]any, field string) map[string]any {
	m, _ := body[field].(map[string]any)
	if m == nil {
		m = map[string]any{}
	}
	return m
}
