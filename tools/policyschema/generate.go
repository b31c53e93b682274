// This file turns Go types into schemas.

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/oktaretry/oktaretry"
)

type generator struct {
	docs     comments
	defaults map[string]any
	words    map[string]string // in place of Go's in comments
	err      error
}

func newGenerator(dir string) (*generator, error) {
	g := &generator{}
	var err error
	if g.docs, err = readComments(dir); err != nil {
		return nil, err
	}
	text, err := json.Marshal(oktaretry.DefaultPolicy())
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &g.defaults); err != nil {
		return nil, err
	}
	g.words = translation(g.docs)
	return g, nil
}

// structure returns the schema of a struct's members. Path leads to it in a policy, for trials.
func (g *generator) structure(t reflect.Type, path []string) object {
	properties := object{}
	if len(path) == 0 {
		properties = append(properties, member{"$schema", object{{"type", "string"}, {"description", "The address of this schema, for editors."}}})
	}
	for f := range t.Fields() {
		name := memberName(f.Name)
		properties = append(properties, member{name, g.field(t, f, append(slices.Clone(path), name))})
	}
	return object{{"type", "object"}, {"properties", properties}, {"additionalProperties", false}}
}

// field returns the schema of a field: what it is, what its comment says, and its default.
func (g *generator) field(t reflect.Type, f reflect.StructField, path []string) object {
	s := object{{"description", g.description(t.Name(), f.Name)}}
	s = append(s, g.value(f.Type, path)...)
	if t == reflect.TypeFor[oktaretry.Rule]() {
		return s // the defaults differ by class; the comment has them
	}
	if v, ok := g.byDefault(path); ok {
		s = append(s, member{"default", v})
	}
	return s
}

func (g *generator) value(t reflect.Type, path []string) object {
	switch t {
	case reflect.TypeFor[time.Duration]():
		return object{{"$ref", "#/$defs/duration"}}
	case reflect.TypeFor[oktaretry.Rule]():
		return object{{"$ref", "#/$defs/rule"}}
	case reflect.TypeFor[oktaretry.Action]():
		return object{{"enum", namesOf[oktaretry.Action]()}}
	case reflect.TypeFor[oktaretry.Scope]():
		return object{{"enum", namesOf[oktaretry.Scope]()}}
	case reflect.TypeFor[map[string]oktaretry.Rule]():
		return g.codes()
	}
	switch t.Kind() {
	case reflect.Struct:
		return g.structure(t, path)
	case reflect.Bool:
		return object{{"type", "boolean"}}
	case reflect.Int, reflect.Int64:
		return append(object{{"type", "integer"}}, bounds(path, 1)...)
	case reflect.Float64:
		return append(object{{"type", "number"}}, bounds(path, 0.5)...)
	case reflect.String:
		return object{{"type", "string"}, {"minLength", 1}}
	case reflect.Slice:
		return object{{"type", "array"}, {"items", g.value(t.Elem(), append(path, "0"))}}
	case reflect.Map:
		return object{
			{"type", "object"}, {"propertyNames", object{{"minLength", 1}}},
			{"additionalProperties", g.value(t.Elem(), append(path, "x"))},
		}
	}
	g.err = errors.Join(g.err, fmt.Errorf("no schema for %s, of %s", t, strings.Join(path, ".")))
	return nil
}

// bounds returns what ParsePolicy accepts of a number, by trial. Between is a number above 0 of its type, less than 1 if
// there is one.
func bounds(path []string, between float64) (s object) {
	switch {
	case accepts(path, -1):
	case accepts(path, 0):
		s = append(s, member{"minimum", 0})
	case between < 1 && accepts(path, between):
		s = append(s, member{"exclusiveMinimum", 0})
	default:
		s = append(s, member{"minimum", 1})
	}
	if !accepts(path, 2) {
		s = append(s, member{"maximum", 1})
	}
	return s
}

// accepts reports whether ParsePolicy has nothing against a number at this place.
func accepts(path []string, number float64) bool {
	text := fmt.Sprint(number)
	for _, name := range slices.Backward(path) {
		text = fmt.Sprintf("{%q: %s}", name, text)
	}
	_, err := oktaretry.ParsePolicy([]byte(text))
	if err == nil {
		return true
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return false
	}
	return !slices.ContainsFunc(joined.Unwrap(), func(err error) bool {
		e, ok := errors.AsType[*oktaretry.PolicyError](err)
		return ok && lettersOf(e.Field) == lettersOf(strings.Join(path, "."))
	})
}

func lettersOf(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsLetter(r) {
			return -1
		}
		return unicode.ToLower(r)
	}, s)
}

// namesOf returns the names of a type's values, in order.
func namesOf[T interface {
	~uint8
	MarshalText() ([]byte, error)
}]() (names []string) {
	for v := T(0); ; v++ {
		text, err := v.MarshalText()
		if err != nil {
			return names
		}
		names = append(names, string(text))
	}
}

// byDefault returns what the default policy has at a place.
func (g *generator) byDefault(path []string) (any, bool) {
	var v any = g.defaults
	for _, name := range path {
		m, _ := v.(map[string]any)
		if v = m[name]; v == nil {
			return nil, false
		}
	}
	if _, isObject := v.(map[string]any); isObject && !isRule(v) {
		return nil, false // its members have theirs
	}
	return v, true
}

func isRule(v any) bool {
	m, _ := v.(map[string]any)
	return m["action"] != nil
}

// memberName is the name in JSON of a field.
func memberName(field string) string {
	if strings.ToUpper(field) == field {
		return strings.ToLower(field)
	}
	return strings.ToLower(field[:1]) + field[1:]
}

var links = regexp.MustCompile(`\[\*?([A-Z][A-Za-z.]*)\]`)

// description returns a field's comment, in the words of a policy file.
func (g *generator) description(typeName, field string) string {
	if text, ok := ownWords[typeName+"."+field]; ok {
		return text
	}
	text := links.ReplaceAllString(g.docs[typeName+"."+field], "$1")
	if rest, ok := strings.CutPrefix(text, field+" "); ok {
		text = memberName(field) + " " + rest
	}
	return plain(g.translate(text))
}

// ownWords are descriptions where a comment is about Go alone.
var ownWords = map[string]string{
	"Policy.RateLimited": ofClass(oktaretry.ClassRateLimited),
	"Policy.ServerError": ofClass(oktaretry.ClassServerError),
	"Policy.ClientError": ofClass(oktaretry.ClassClientError),
	"Policy.Pending":     ofClass(oktaretry.ClassPending),
	"Policy.Network":     ofClass(oktaretry.ClassNetwork),
	"Policy.Codes": "Rules of single codes (E0000112, server_error), and of statuses from 400 to 599 (\"408\"): these judge answers " +
		"without a code, or with one that the catalogue lacks. A rule names only what it changes of the rule that is in force " +
		"without it. Default: none.",
}

func ofClass(c oktaretry.Class) string {
	return "The rule of the class " + c.String() + ". What a code's own text asks for is added, such as the least wait of E0000109."
}

// translation returns the words of Go's comments that a policy file has others for: names that no plain word is, such as
// MaxWait, but not Burst.
func translation(docs comments) map[string]string {
	words := map[string]string{
		"TripsNothing": `"nothing"`, "TripsEndpoint": `"endpoint"`, "TripsHost": `"host"`,
		"FailFast": `"fail-fast"`, "Backoff": `"backoff"`, "Poll": `"poll"`, "Network": "network", "Pending": "pending",
	}
	for name := range docs {
		_, field, _ := strings.Cut(name, ".")
		if strings.IndexFunc(field[1:], unicode.IsUpper) >= 0 {
			words[field] = memberName(field)
		}
	}
	return words
}

var capitalized = regexp.MustCompile(`\b((Network|Breaker|Budget|Pace)\.)?[A-Z][A-Za-z]*\b`)

func (g *generator) translate(text string) string {
	return capitalized.ReplaceAllStringFunc(text, func(name string) string {
		part, field, dotted := strings.Cut(name, ".")
		switch {
		case dotted:
			return memberName(part) + "." + memberName(field)
		case g.words[name] != "":
			return g.words[name]
		}
		return name
	})
}

// plain takes the marks of Go's comments away.
func plain(text string) string {
	return strings.NewReplacer("`", "", "*RateLimitError", "RateLimitError").Replace(text)
}
