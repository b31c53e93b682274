// This file tests package openapi: it is here because each test binary more takes its time to link.

package kinds_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/oktaretry/oktaretry/oktatest/internal/openapi"
)

func TestEveryPathIsFound(t *testing.T) {
	api := openapi.Load()
	if len(api.Operations) < 870 || len(api.Paths) < 500 {
		t.Fatalf("%d operations of %d paths", len(api.Operations), len(api.Paths))
	}
	for _, p := range api.Paths {
		segs := strings.Split(strings.Trim(p.Template, "/"), "/")
		for i, s := range segs {
			if openapi.IsVariable(s) {
				segs[i] = "x7"
			}
		}
		if got := api.Find(segs); got == nil || got.Template != p.Template && api.At(p.Template) != got {
			t.Errorf("%q finds %v, want %s", segs, got, p.Template)
		}
	}
	for _, path := range []string{"", "api", "api/v1/none", "api/v1/users/x/y/z", "api/v1/users/"} {
		if p := api.Find(strings.Split(path, "/")); p != nil {
			t.Errorf("%q finds %s", path, p.Template)
		}
	}
}

func TestLiteralsBeatVariables(t *testing.T) {
	for path, want := range map[string]string{
		"api/v1/groups/rules":            "/api/v1/groups/rules",
		"api/v1/groups/rulez":            "/api/v1/groups/{groupId}",
		"api/v1/users/x/factors/catalog": "/api/v1/users/{userId}/factors/catalog",
	} {
		if got := openapi.Load().Find(strings.Split(path, "/")); got == nil || got.Template != want {
			t.Errorf("%s finds %v, want %s", path, got, want)
		}
	}
}

func TestTheTableIsSmall(t *testing.T) {
	info, err := os.Stat("../openapi/api.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > 100<<10 {
		t.Errorf("%d bytes, want at most 100 KiB: it is part of every test that uses oktatest", info.Size())
	}
}

func TestCheck(t *testing.T) {
	text := &openapi.Type{Kind: openapi.String, Enum: []string{"A", "B"}}
	thing := &openapi.Type{Kind: openapi.Object, Fields: []openapi.Field{
		{Name: "kind", Type: text, Required: true},
		{Name: "count", Type: &openapi.Type{Kind: openapi.Integer}},
		{Name: "tags", Type: &openapi.Type{Kind: openapi.Array, Items: &openapi.Type{Kind: openapi.Boolean}}},
	}}
	either := &openapi.Type{Kind: openapi.Any, Property: "kind", Choices: []openapi.Choice{{Value: "A", Type: thing}}}
	for _, c := range []struct {
		t    *openapi.Type
		json string
		why  string
	}{
		{thing, `{"kind":"A","count":3,"tags":[true],"other":1}`, ""},
		{thing, `{"kind":"A","count":null}`, ""},
		{thing, `{}`, "the required field kind"},
		{thing, `{"kind":"C"}`, "answer.kind: want a string"},
		{thing, `{"kind":"A","count":1.5}`, "answer.count: want a number"},
		{thing, `{"kind":"A","tags":["x"]}`, "answer.tags[0]: want true or false"},
		{thing, `[]`, "want an object"},
		{either, `{"kind":"A","tags":{}}`, "answer.tags: want an array"},
	} {
		var v any
		if err := json.Unmarshal([]byte(c.json), &v); err != nil {
			t.Fatal(err)
		}
		err := c.t.Check(v)
		if (err == nil) != (c.why == "") || err != nil && !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s: %v, want %q", c.json, err, c.why)
		}
	}
}
