// This file tests package fill: it is here because each test binary more takes its time to link.

package kinds_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/oktatest/internal/fill"
	"github.com/oktaretry/oktaretry/oktatest/internal/openapi"
)

var (
	text = &openapi.Type{Kind: openapi.String}
	when = &openapi.Type{Kind: openapi.String, Format: "date-time"}
)

func made(t *testing.T, f *fill.Filler, typ *openapi.Type, given any) string {
	t.Helper()
	b, err := json.Marshal(f.Value(typ, given, 0))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestValuesHaveTheirTypes(t *testing.T) {
	inner := &openapi.Type{Kind: openapi.Object, Fields: []openapi.Field{
		{Name: "value", Type: text, Required: true}, {Name: "note", Type: text},
	}}
	outer := &openapi.Type{Kind: openapi.Object, Fields: []openapi.Field{
		{Name: "created", Type: when, ReadOnly: true},
		{Name: "inner", Type: inner},
		{Name: "list", Type: &openapi.Type{Kind: openapi.Array, Items: inner, Min: 1}, Required: true},
		{Name: "secret", Type: text, WriteOnly: true},
		{Name: "state", Type: &openapi.Type{Kind: openapi.String, Enum: []string{"OLD", "NEW"}}, Required: true},
		{Name: "size", Type: &openapi.Type{Kind: openapi.Integer, Min: 2}, Required: true},
	}}
	f := &fill.Filler{Base: "https://acme.okta.test", Path: "/x", Now: now, Updated: now}
	for given, want := range map[string]string{
		`{}`: `{"created":"2026-11-28T09:00:00.000Z","inner":{"value":"value"},"list":[{"value":"value"}],"size":2,"state":"OLD"}`,
		`{"inner":"a string","state":"GONE","size":"many","secret":"s","more":1}`: `{"created":"2026-11-28T09:00:00.000Z","inner":{"value":"value"},"list":[{"value":"value"}],"more":1,"size":2,"state":"OLD"}`,
		`{"inner":{"note":"n"},"list":[],"state":"NEW","size":5}`:                 `{"created":"2026-11-28T09:00:00.000Z","inner":{"note":"n","value":"value"},"list":[{"value":"value"}],"size":5,"state":"NEW"}`,
	} {
		var v any
		if err := json.Unmarshal([]byte(given), &v); err != nil {
			t.Fatal(err)
		}
		if got := made(t, f, outer, v); got != want {
			t.Errorf("%s becomes\n%s, want\n%s", given, got, want)
		}
	}
}

func TestAFieldSelectsTheType(t *testing.T) {
	a := &openapi.Type{Kind: openapi.Object, Fields: []openapi.Field{{Name: "type", Type: text}, {Name: "a", Type: text, Required: true}}}
	b := &openapi.Type{Kind: openapi.Object, Fields: []openapi.Field{{Name: "type", Type: text}, {Name: "b", Type: text, Required: true}}}
	either := &openapi.Type{Kind: openapi.Any, Property: "type", Choices: []openapi.Choice{{Value: "A", Type: a}, {Value: "B", Type: b}}}
	f := &fill.Filler{Now: now}
	for _, c := range []struct {
		given any
		want  string
	}{
		{nil, `{"a":"a","type":"A"}`},
		{map[string]any{"type": "B"}, `{"b":"b","type":"B"}`},
	} {
		if got := made(t, f, either, c.given); got != c.want {
			t.Errorf("%v becomes %s, want %s", c.given, got, c.want)
		}
	}
	either.Property = ""
	if got := made(t, f, either, map[string]any{"b": "x"}); got != `{"b":"x"}` {
		t.Errorf("by its fields: %s", got)
	}
}

func TestWhatIsMadeUpDependsOnThePathAlone(t *testing.T) {
	id := &openapi.Type{Kind: openapi.Object, Fields: []openapi.Field{{Name: "userId", Type: text, Required: true}}}
	one := made(t, &fill.Filler{Path: "/a", Now: now}, id, nil)
	if again := made(t, &fill.Filler{Path: "/a", Now: now.Add(time.Hour)}, id, nil); again != one {
		t.Errorf("%s, then %s", one, again)
	}
	if other := made(t, &fill.Filler{Path: "/b", Now: now}, id, nil); other == one {
		t.Errorf("%s of two paths", other)
	}
}

// A type that holds itself ends.
func TestFillingEnds(t *testing.T) {
	node := &openapi.Type{Kind: openapi.Object}
	node.Fields = []openapi.Field{{Name: "next", Type: node}, {Name: "name", Type: text}}
	made(t, &fill.Filler{Now: now, Invent: true}, node, nil)
	node.Fields[0].Required = true
	if got := made(t, &fill.Filler{Now: now}, node, nil); len(got) > 1000 {
		t.Errorf("%d bytes", len(got))
	}
}
