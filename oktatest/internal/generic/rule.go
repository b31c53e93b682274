// This file holds what a kind of resource does beyond what all do.

package generic

import (
	"slices"
	"strings"
)

// Rule is what is known of a kind of resource. Its zero value knows nothing. The
// functions are called with the Store's lock held.
type Rule struct {
	Name    string   // in "Not found: Resource not found: … (Name)"; empty: from the path
	Prefix  string   // of ids; empty: from the Name
	Own     bool     // clients make the id
	ByLabel bool     // found by its label or name, too
	Sets    []string // fields that clients set although the description calls them read-only
	Keeps   []string // fields that a PUT without them keeps, beside the status
	Loose   bool     // what lies below it needs no such resource
	Upserts bool     // a POST to an item that is missing creates it

	// PrefixOf is Prefix where it depends on the object.
	PrefixOf func(body map[string]any) string

	// Key finds the id of a new object in the request, where it is not made.
	Key func(c *Call) (string, *Failure)

	// Check refuses a body that is to be set: of a new object where old is nil.
	Check func(c *Call, old *Object, body map[string]any) *Failure

	// Begin completes the body of a new object.
	Begin func(c *Call, body map[string]any)

	// Created and Changed do what else happens.
	Created, Changed func(c *Call, o *Object)

	// Delete and Act refuse; Act of an action, by its verb.
	Delete func(c *Call, o *Object) *Failure
	Act    func(c *Call, o *Object, verb string) *Failure

	// Show changes what an answer shows.
	Show func(c *Call, o *Object, out map[string]any)

	// Related are attributes that filters know of an object beside its fields, each with
	// several values, of which one is enough: the users of an app.
	Related func(c *Call, o *Object) map[string][]string

	// Order sorts lists, by the order of creation without it.
	Order func(a, b *Object) int

	// Means reports whether an object is meant by a key that is not its id.
	Means func(o *Object, key string) bool

	// Missing makes an object that is asked for and was not created; nil: there is none.
	Missing func(c *Call, key string) map[string]any

	// Seeds are there from the beginning.
	Seeds func(c *Call) []Seed

	keyField string // the field that holds the id
}

// Seed is an object that is there from the beginning.
type Seed struct {
	ID   string // empty: made
	Body map[string]any
	Lean bool // as a client would have set it: only the fields that answers always have are added
}

func (r *Rule) idPrefix(body map[string]any) string {
	if r.PrefixOf != nil {
		return r.PrefixOf(body)
	}
	return r.Prefix
}

func (r *Rule) check(c *Call, old *Object, body map[string]any) *Failure {
	if r.Check == nil {
		return nil
	}
	return r.Check(c, old, body)
}

func (r *Rule) begin(c *Call, body map[string]any) {
	if r.Begin != nil {
		r.Begin(c, body)
	}
}

func (r *Rule) refuseDelete(c *Call, o *Object) *Failure {
	if r.Delete == nil {
		return nil
	}
	return r.Delete(c, o)
}

func (r *Rule) act(c *Call, o *Object, verb string) *Failure {
	if r.Act == nil {
		return nil
	}
	return r.Act(c, o, verb)
}

// made reports whether the server makes the key.
func (r *Rule) made(key string) bool { return !r.Own && key == "id" }

// takes reports whether clients set a field that is read-only by the description.
func (r *Rule) takes(field string) bool { return r != nil && slices.Contains(r.Sets, field) }

// keeps reports whether a PUT without a field keeps it.
func (r *Rule) keeps(field string) bool {
	return field == "status" || slices.Contains(r.Keeps, field)
}

// goesBy reports whether an object is meant by something else than its id.
func (r *Rule) goesBy(o *Object, key string) bool {
	if r.Means != nil && r.Means(o, key) {
		return true
	}
	return r.ByLabel && (o.Body["label"] == key || o.Body["name"] == key)
}

// ruleOf completes the rule of a place from its template.
func ruleOf(p *place, r Rule) *Rule {
	last := p.Segments[len(p.Segments)-1]
	if r.Name == "" {
		r.Name = kindName(p.Segments)
	}
	if r.Prefix == "" {
		r.Prefix = strings.ToLower((r.Name + "xxx")[:3])
	}
	r.ByLabel = r.ByLabel || strings.HasSuffix(last, "OrLabel}")
	return &r
}

// kindName makes a name of the collection's: "trustedOrigins" holds TrustedOrigin.
func kindName(segments []string) string {
	for _, s := range slices.Backward(segments) {
		if strings.HasPrefix(s, "{") {
			continue
		}
		var b strings.Builder
		for _, word := range strings.FieldsFunc(s, func(r rune) bool { return r == '-' || r == '_' }) {
			b.WriteString(strings.ToUpper(word[:1]) + word[1:])
		}
		name := b.String()
		switch {
		case strings.HasSuffix(name, "ies"):
			return strings.TrimSuffix(name, "ies") + "y"
		case strings.HasSuffix(name, "ss"):
			return name
		}
		return strings.TrimSuffix(name, "s")
	}
	return "Resource"
}
