// Package fill makes JSON values of the types of Okta's API: what is known of them,
// and for the rest what the type demands and what Okta's answers commonly have.
package fill

import (
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/oktaretry/oktaretry/oktatest/internal/openapi"
)

// Filler makes the values of one answer. What it makes up depends on nothing but
// its fields: asked again, it makes the same.
type Filler struct {
	Base    string    // scheme and host, for links
	Path    string    // of what is shown
	Now     time.Time // when it was made
	Updated time.Time // when it was last changed
	Invent  bool      // all fields, not only those that answers always have
}

// maxDepth is how deep objects that nobody has set are filled.
const maxDepth = 3

// Stamp is a time as Okta writes it.
func Stamp(t time.Time) string {
	return t.UTC().Truncate(time.Second).Format("2006-01-02T15:04:05.000Z")
}

// Chosen is the type that a value has of several: by the field that selects it,
// else the one that its fields fit best. For nothing it is the first.
func Chosen(t *openapi.Type, given map[string]any) *openapi.Type {
	for range 4 { // of a choice among choices
		if t == nil || len(t.Choices) == 0 {
			return t
		}
		next := choose(t, given)
		if next == t {
			return t
		}
		t = next
	}
	return t
}

func choose(t *openapi.Type, given map[string]any) *openapi.Type {
	if t.Property != "" {
		if want, ok := given[t.Property].(string); ok {
			for _, choice := range t.Choices {
				if choice.Value == want {
					return choice.Type
				}
			}
		}
		if t.Kind == openapi.Object && len(t.Fields) > 0 {
			return t // the base of the choices is a type itself
		}
		return t.Choices[0].Type
	}
	best, score := t.Choices[0].Type, -1<<30
	for _, choice := range t.Choices {
		if n := fit(choice.Type, given); n > score {
			best, score = choice.Type, n
		}
	}
	return best
}

// fit is how well fields fit a type: those that it knows, less those that it lacks.
func fit(t *openapi.Type, given map[string]any) int {
	n := 0
	for k, v := range given {
		f := t.Field(k)
		text, isText := v.(string)
		switch {
		case f == nil:
		case isText && len(f.Type.Enum) > 0 && !slices.Contains(f.Type.Enum, text):
			n -= 10
		default:
			n++
		}
	}
	for _, f := range t.Fields {
		if f.Required && given[f.Name] == nil {
			n--
		}
	}
	return n
}

// Object makes an object of a type around the fields that are given.
func (f *Filler) Object(t *openapi.Type, given map[string]any, depth int) map[string]any {
	shown := Chosen(t, given)
	out := map[string]any{}
	for k, v := range given {
		switch field := shown.Field(k); {
		case field == nil && shown.Extra == nil:
			out[k] = v
		case field == nil:
			out[k] = f.Value(shown.Extra, v, depth+1)
		case field.WriteOnly:
		default:
			out[k] = f.Value(field.Type, v, depth+1)
		}
	}
	lean := len(t.Choices) > 1 && t.Property == "" // a field too many would fit another choice as well
	for i := range shown.Fields {
		field := &shown.Fields[i]
		if _, there := out[field.Name]; !there && f.wants(field, depth, lean) {
			out[field.Name] = f.Value(field.Type, nil, depth+1, field.Name)
		}
	}
	if t.Property != "" {
		f.discriminate(t, shown, out)
	}
	return out
}

// discriminate sets the field that selects a choice.
func (f *Filler) discriminate(t, shown *openapi.Type, out map[string]any) {
	current, _ := out[t.Property].(string)
	var first string
	for _, choice := range t.Choices {
		if Chosen(choice.Type, out) != shown && choice.Type != shown {
			continue
		}
		if choice.Value == current {
			return
		}
		if first == "" {
			first = choice.Value
		}
	}
	if first != "" {
		out[t.Property] = first
	}
}

// wants reports whether a field that nobody has set is shown all the same.
func (f *Filler) wants(field *openapi.Field, depth int, lean bool) bool {
	t := field.Type
	switch {
	case depth > 2*maxDepth:
		return false // a type that demands itself
	case field.Required:
		return true // a secret, too: the SDKs demand it
	case field.WriteOnly || t.Kind == openapi.Any && len(t.Choices) > 1 && t.Property == "":
		return false
	case lean || field.Name == "_embedded" || depth > maxDepth:
		return false
	case f.Invent:
		return depth < maxDepth && !(t.Nullable && t.Kind != openapi.Object)
	case slices.Contains(common, field.Name):
		return depth == 0
	case t.Default:
		return true
	}
	return depth == 0 && t.Kind == openapi.Object && !field.ReadOnly && len(t.Fields) > 0
}

// common are fields that Okta's answers have, also where its description does not
// demand them.
var common = []string{"id", "created", "createdBy", "lastUpdated", "lastUpdatedBy", "status", "system", "orn", "_links", "features"}

// Value makes a value of a type around the one that is given, if it fits.
func (f *Filler) Value(t *openapi.Type, given any, depth int, name ...string) any {
	field := strings.Join(name, "")
	if m, ok := given.(map[string]any); (ok || given == nil) && t.Kind == openapi.Any && Chosen(t, m).Kind == openapi.Object {
		return f.Object(t, m, depth)
	}
	t = f.among(t, given)
	switch t.Kind {
	case openapi.Object:
		m, _ := given.(map[string]any)
		return f.Object(t, m, depth)
	case openapi.Array:
		return f.array(t, given, depth)
	case openapi.String:
		if s, ok := given.(string); ok && (len(t.Enum) == 0 || slices.Contains(t.Enum, s)) {
			return s
		}
		return f.text(t, field)
	case openapi.Integer, openapi.Number:
		if n, ok := given.(float64); ok {
			return n
		}
		if n, ok := t.Sample.(float64); ok {
			return n
		}
		return float64(t.Min)
	case openapi.Boolean:
		if b, ok := given.(bool); ok {
			return b
		}
		b, _ := t.Sample.(bool)
		return b
	}
	if given != nil {
		return given
	}
	return map[string]any{}
}

// among is the type that is to be made of one with choices.
func (f *Filler) among(t *openapi.Type, given any) *openapi.Type {
	for range 4 {
		if len(t.Choices) == 0 || t.Kind == openapi.Object {
			return t
		}
		if m, ok := given.(map[string]any); ok || given == nil {
			t = choose(t, m)
			continue
		}
		at := slices.IndexFunc(t.Choices, func(c openapi.Choice) bool { return c.Type.Check(given) == nil })
		t = t.Choices[max(0, at)].Type
	}
	return t
}

func (f *Filler) array(t *openapi.Type, given any, depth int) any {
	out := []any{}
	list, _ := given.([]any)
	for _, x := range list {
		out = append(out, f.Value(t.Items, x, depth+1))
	}
	for len(out) < t.Min {
		out = append(out, f.Value(t.Items, nil, depth+1))
	}
	return out
}

// text makes a string.
func (f *Filler) text(t *openapi.Type, name string) string {
	if s, ok := t.Sample.(string); ok {
		return s
	}
	if len(t.Enum) > 0 {
		if slices.Contains(t.Enum, "ACTIVE") {
			return "ACTIVE"
		}
		return t.Enum[0]
	}
	switch t.Format {
	case "date-time":
		if name == "lastUpdated" {
			return Stamp(f.Updated)
		}
		if strings.HasPrefix(name, "expire") {
			return Stamp(f.Now.AddDate(1, 0, 0))
		}
		return Stamp(f.Now)
	case "date":
		return f.Now.UTC().Format(time.DateOnly)
	case "uri", "url":
		return f.Base + f.Path
	case "email":
		return "admin@example.com"
	case "uuid":
		return "00000000-0000-4000-8000-" + f.id(12, "0123456789abcdef", name)
	}
	switch {
	case name == "href":
		return f.Base + f.Path
	case name == "createdBy" || name == "lastUpdatedBy" || strings.HasSuffix(name, "Id") || name == "id":
		return "00u" + f.id(17, base62, name)
	case name == "orn":
		return "orn:okta:oktatest:" + strings.ReplaceAll(strings.Trim(f.Path, "/"), "/", ":")
	case name == "status":
		return "ACTIVE"
	case name == "":
		return "value"
	}
	return name
}

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// id makes characters that depend on the path and the field only.
func (f *Filler) id(n int, alphabet, name string) string {
	h := fnv.New64a()
	h.Write([]byte(f.Path + " " + name))
	x := h.Sum64()
	b := make([]byte, n)
	for i := range b {
		if x == 0 {
			h.Write([]byte(strconv.Itoa(i)))
			x = h.Sum64()
		}
		b[i] = alphabet[x%uint64(len(alphabet))]
		x /= uint64(len(alphabet))
	}
	return string(b)
}
