// This file finds what the paths of the API are: which is a resource, which holds
// several, which acts on one.

package generic

import (
	"slices"
	"strings"

	"github.com/oktaretry/oktaretry/oktatest/internal/fill"
	"github.com/oktaretry/oktaretry/oktatest/internal/openapi"
)

// shape is what a path is.
type shape int

const (
	item       shape = iota // one of several: its last segment is its key
	collection              // lists and creates items
	single                  // the only one of its kind below its parent
	action                  // does something to what is above it
)

// place is a path of the API, with what is known of it.
type place struct {
	*openapi.Path
	shape    shape
	plain    string // the template with nameless variables
	rule     *Rule
	key      string        // an item's field that holds its key
	typ      *openapi.Type // of an item or single, as it is read
	parents  []parent      // the items above it
	list     *place        // an item's collection, if that is described
	items    *place        // a collection's items, if they are
	wrapper  string        // the field of a collection's answer that holds the list; empty: it is the list
	target   *place        // what an action acts on; nil: nothing
	depth    int           // how many segments lead to the target
	creates  bool          // an item: requests can create it
	implicit bool          // an item: it is there without being created
}

// parent is an item above a path.
type parent struct {
	depth int    // how many segments lead to it
	plain string // its template
	at    *place // nil: it is kept elsewhere
}

// api is the API, its places found.
type api struct {
	places  map[*openapi.Path]*place
	byPlain map[string]*place
	rules   map[string]Rule
}

func newAPI(described *openapi.API, rules map[string]Rule) *api {
	a := &api{rules: rules, places: map[*openapi.Path]*place{}, byPlain: map[string]*place{}}
	for _, p := range described.Paths {
		at := &place{Path: p, plain: plain(p.Segments)}
		a.places[p] = at
		a.byPlain[at.plain] = at
	}
	for _, p := range described.Paths {
		at := a.places[p]
		if openapi.IsVariable(p.Segments[len(p.Segments)-1]) && (len(p.Operations) > 1 || p.Operations["POST"] == nil) {
			at.shape = item
			at.list = a.byPlain[plain(p.Segments[:len(p.Segments)-1])]
			if at.list != nil {
				at.list.items = at
			}
		}
	}
	for _, p := range described.Paths { // all shapes first: the rest refers to them
		a.places[p].shape = a.shapeOf(a.places[p])
	}
	for _, p := range described.Paths {
		a.complete(a.places[p])
	}
	return a
}

// plain is a template with nameless variables: Okta names them one way here and
// another there.
func plain(segments []string) string {
	var b strings.Builder
	for _, s := range segments {
		if openapi.IsVariable(s) {
			s = "{}"
		}
		b.WriteString("/" + s)
	}
	return b.String()
}

func (a *api) shapeOf(p *place) shape {
	last := p.Segments[len(p.Segments)-1]
	get := p.Operations["GET"]
	switch {
	case openapi.IsVariable(last):
		if len(p.Operations) == 1 && p.Operations["POST"] != nil {
			return action
		}
		return item
	case p.items != nil && (get == nil || wrapperOf(p) != "" || get.Response.Kind == openapi.Array):
		return collection
	case get != nil && get.Response != nil && get.Response.Kind == openapi.Array:
		return collection
	case get != nil || p.Operations["PUT"] != nil || p.Operations["DELETE"] != nil || p.Operations["PATCH"] != nil:
		return single
	}
	return action
}

// complete finds what else is known of a place.
func (a *api) complete(p *place) {
	if p.items != nil {
		p.rule = ruleOf(p.items, a.rules[p.items.plain])
	} else {
		p.rule = ruleOf(p, a.rules[p.plain])
	}
	for n := 1; n < len(p.Segments); n++ {
		if !openapi.IsVariable(p.Segments[n-1]) {
			continue
		}
		above := plain(p.Segments[:n])
		at := a.byPlain[above]
		switch {
		case at != nil && at.elsewhere():
			p.parents = append(p.parents, parent{n, above, nil})
		case at != nil && at.shape == item && at.Operations["GET"] != nil && !a.rules[above].Loose:
			p.parents = append(p.parents, parent{n, above, at})
		}
	}
	switch p.shape {
	case item:
		a.completeItem(p)
	case collection:
		p.wrapper = wrapperOf(p)
	case single:
		p.typ = p.read()
	case action:
		a.completeAction(p)
	}
}

// elsewhere reports whether Config.Find finds the items.
func (p *place) elsewhere() bool { return p.plain == Users || p.plain == Groups }

// read is the type of a resource as it is read, else as it is written.
func (p *place) read() *openapi.Type {
	for _, method := range []string{"GET", "PUT", "POST", "PATCH"} {
		if op := p.Operations[method]; op != nil && op.Response != nil && op.Media == "" {
			return op.Response
		}
	}
	return nil
}

func (a *api) completeItem(p *place) {
	p.typ = p.read()
	if p.typ == nil && p.list != nil {
		p.typ = p.list.itemType()
	}
	p.key = keyOf(p)
	if p.key != "id" {
		p.rule.keyField = p.key
	}
	p.creates = p.Operations["PUT"] != nil && (p.list == nil || p.list.Operations["POST"] == nil) ||
		p.list != nil && p.list.Operations["POST"] != nil
	variable := strings.Trim(p.Segments[len(p.Segments)-1], "{}")
	named := slices.ContainsFunc([]string{"Name", "Type", "path", "domain", "schemaId", "caseNumber", "targetPrincipalId", "roleRef"},
		func(end string) bool { return strings.HasSuffix(variable, end) })
	creatable := p.list != nil && p.list.Operations["POST"] != nil || p.Operations["POST"] != nil && p.Operations["GET"] != nil && p.Operations["DELETE"] != nil
	p.implicit = named && !creatable && p.Operations["DELETE"] == nil
}

// keyOf is the field of an item that its path ends in.
func keyOf(p *place) string {
	variable := strings.Trim(p.Segments[len(p.Segments)-1], "{}")
	names := []string{"id", variable}
	if strings.HasSuffix(variable, "keyId") || variable == "kid" || strings.HasSuffix(variable, "KeyId") {
		names = []string{"kid", "id"}
	}
	if strings.HasSuffix(variable, "Id") && variable != "keyId" {
		names = []string{"id", variable}
	}
	names = append(names, "name", "label", "externalId", "type", "key")
	for _, name := range names {
		if has(p.typ, name) {
			return name
		}
	}
	return "id"
}

// has reports whether a type, or one of its choices, has a field.
func has(t *openapi.Type, name string) bool {
	if t == nil {
		return false
	}
	return t.Field(name) != nil || len(t.Choices) > 0 && t.Choices[0].Type != t && has(t.Choices[0].Type, name)
}

// itemType is the type of a collection's entries.
func (p *place) itemType() *openapi.Type {
	get := p.Operations["GET"]
	if get == nil || get.Response == nil {
		return nil
	}
	if get.Response.Kind == openapi.Array {
		return get.Response.Items
	}
	if f := fill.Chosen(get.Response, nil).Field(wrapperOf(p)); f != nil {
		return f.Type.Items
	}
	return nil
}

// wrapperOf is the field of a list's answer that holds the list.
func wrapperOf(p *place) string {
	get := p.Operations["GET"]
	if get == nil || get.Response == nil || get.Response.Kind == openapi.Array {
		return ""
	}
	for _, f := range fill.Chosen(get.Response, nil).Fields {
		if f.Type.Kind == openapi.Array && f.Type.Items.Kind != openapi.String {
			return f.Name
		}
	}
	return ""
}

// completeAction finds what an action acts on: the nearest resource above it.
func (a *api) completeAction(p *place) {
	for n := len(p.Segments) - 1; n > 0; n-- {
		at := a.byPlain[plain(p.Segments[:n])]
		if at != nil && at.shape != action {
			p.target, p.depth = at, n
			return
		}
	}
}
