// This file tests reading, binding and paths, where policies do not show it.

package document_test

import (
	"reflect"
	"testing"

	"github.com/oktaretry/oktaretry/internal/document"
)

func TestPathQuotesWhatIsNoPlainName(t *testing.T) {
	for want, path := range map[string][]string{
		"":                        nil,
		"codes.E0000047.jitter":   {"codes", "E0000047", "jitter"},
		`a["GET /x"]["b.c"].0`:    {"a", "GET /x", "b.c", "0"},
		`[""].rate_limit-2["\n"]`: {"", "rate_limit-2", "\n"},
	} {
		if got := document.Path(path); got != want {
			t.Errorf("%q: got %s, want %s", path, got, want)
		}
	}
}

func TestFindReturnsTheLastPlaceThatThereIs(t *testing.T) {
	root, problem := document.Read([]byte("{\"a\": [1,\n {\"b\": 2}], \"a\": 3}"))
	if problem != nil {
		t.Fatal(problem)
	}
	for _, tt := range []struct {
		path  []string
		at    document.Place
		whole bool
	}{
		{nil, document.Place{Line: 1, Column: 1}, true},
		{[]string{"a"}, document.Place{Line: 1, Column: 2}, true},
		{[]string{"a", "0"}, document.Place{Line: 1, Column: 8}, true},
		{[]string{"a", "1", "b"}, document.Place{Line: 2, Column: 8}, true},
		{[]string{"a", "1", "c"}, document.Place{Line: 2, Column: 2}, false},
		{[]string{"x", "y"}, document.Place{Line: 1, Column: 1}, false},
	} {
		if at, whole := root.Find(tt.path); at != tt.at || whole != tt.whole {
			t.Errorf("%v: got %+v, %t", tt.path, at, whole)
		}
	}
}

func TestBindTakesTheFirstOfMembersGivenTwice(t *testing.T) {
	type inner struct {
		C []int `json:"c"`
	}
	var got struct {
		A int                `json:"a"`
		M map[string]float64 `json:"m"`
		I inner              `json:"i"`
	}
	want := got
	want.A, want.M, want.I = 1, map[string]float64{"x": 1.5}, inner{[]int{1, 2}}
	root, _ := document.Read([]byte(`{"a": 1, "m": {"x": 1.5, "x": 2}, "a": "2", "i": {"c": [1, 2], "c": []}}`))
	problems := root.Bind(&got, []string{"top"}, nil)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	var where []string
	for _, p := range problems {
		where = append(where, document.Path(p.Path)+" "+p.Text)
	}
	if expected := []string{
		"top.m.x is given twice: first in line 1, column 16",
		"top.a is given twice: first in line 1, column 2", `top.a is "2", want a whole number`,
		"top.i.c is given twice: first in line 1, column 51",
	}; !reflect.DeepEqual(where, expected) {
		t.Errorf("got %q", where)
	}
}

func TestBindPutsIntoAnyWhatEncodingJSONDoesExceptNull(t *testing.T) {
	var got map[string]any
	root, _ := document.Read([]byte(`{"s": "x", "n": 1.5, "b": true, "l": [1, "y", {"z": false}], "null": null, "deep": {"o": [null]}}`))
	problems := root.Bind(&got, nil, nil)
	delete(got, "null")
	want := map[string]any{
		"s": "x", "n": 1.5, "b": true, "l": []any{1.0, "y", map[string]any{"z": false}}, "deep": map[string]any{"o": []any{nil}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	var where []string
	for _, p := range problems {
		where = append(where, document.Path(p.Path)+" "+p.Text)
	}
	if expected := []string{"null is null, want a value", "deep.o.0 is null, want a value"}; !reflect.DeepEqual(where, expected) {
		t.Errorf("got %q, want %q", where, expected)
	}
}
