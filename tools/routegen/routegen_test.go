// This file tests the generator on small trees, and the table on what is committed.

package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func TestCheckFindsAStaleTable(t *testing.T) {
	want, err := generate()
	if err != nil {
		t.Fatal(err)
	}
	if err := compare("../../internal/route/table.go", want); err != nil {
		t.Error(err)
	}
	stale := filepath.Join(t.TempDir(), "table.go")
	if err := os.WriteFile(stale, append(want, '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := compare(stale, want); err == nil || !strings.Contains(err.Error(), "not up to date") {
		t.Errorf("compare = %v, want an error for a stale table", err)
	}
	if err := compare(stale+"x", want); err == nil {
		t.Error("no error for a missing table")
	}
}

func TestParsePathsKeepsPathsWithoutOperations(t *testing.T) {
	got, err := parsePaths([]byte("openapi: 3.0.3\npaths:\n  /a/{x}:\n    get: {summary: s}\n  /b: {}\ncomponents: {}\n"))
	slices.Sort(got)
	if err != nil || !slices.Equal(got, []string{"/a/{x}", "/b"}) {
		t.Errorf("parsePaths = %q, %v", got, err)
	}
	for _, bad := range []string{"", "paths: {}", "paths: ["} {
		if got, err := parsePaths([]byte(bad)); err == nil {
			t.Errorf("parsePaths(%q) = %q, want an error", bad, got)
		}
	}
}

func TestTrieRefusesContradictions(t *testing.T) {
	all, a := bucketRule{anyMethod, "/", prefix, "/"}, bucketRule{anyMethod, "/a", prefix, "/a"}
	for _, tt := range []struct {
		name      string
		templates []string
		rules     []bucketRule
		token     []endpoint
		login     []endpoint
		want      string
	}{
		{name: "TwoNames", templates: []string{"/a/{x}", "/a/{y}"}, rules: []bucketRule{all}, want: "two templates"},
		{name: "Twice", templates: []string{"/a", "/a"}, rules: []bucketRule{all}, want: "two templates"},
		{name: "PartOfASegment", templates: []string{"/a/b{x}"}, rules: []bucketRule{all}, want: "bad segment"},
		{name: "EmptySegment", templates: []string{"/a//b"}, rules: []bucketRule{all}, want: "bad segment"},
		{name: "Wildcard", templates: []string{"/a/*"}, rules: []bucketRule{all}, want: "bad segment"},
		{name: "NoDefault", templates: []string{"/a"}, want: "no bucket rule for all"},
		{name: "NoDefaultForOthers", rules: []bucketRule{{onlyGET, "/", prefix, "/"}}, want: "no bucket rule for all of /"},
		{name: "NoBucketOfAFirstSegment", templates: []string{"/a"}, rules: []bucketRule{all}, want: "no bucket rule for all of /a"},
		{name: "TwoRules", rules: []bucketRule{all, {anyMethod, "/a", exact, "a"}, {onlyGET, "/a", exact, "b"}}, want: "two bucket rules"},
		{name: "MarkOfNoEndpoint", templates: []string{"/a/b"}, rules: []bucketRule{all, a}, token: []endpoint{{anyMethod, "/a", exact}}, want: "no template"},
		{name: "MarkBelowNoEndpoint", templates: []string{"/a/b"}, rules: []bucketRule{all, a}, login: []endpoint{{anyMethod, "/a/c", prefix}}, want: "no template"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := newTrie(tt.templates, rules{buckets: tt.rules, token: tt.token, login: tt.login})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("newTrie: %v, want %q", err, tt.want)
			}
		})
	}
}

func TestAutomatonSettlesPrecedence(t *testing.T) {
	trie, err := newTrie(
		[]string{"/a/{x}", "/a/b/c", "/a/{x}/d", "/a/{x}/d/{y}/e", "/a/b/{z}/f", "/g/rules", "/g/{x}"},
		rules{buckets: []bucketRule{
			{anyMethod, "/", prefix, "rest"},
			{anyMethod, "/a", prefix, "a*"},
			{onlyGET, "/a/{x}", exact, "GET a/x"},
			{anyMethod, "/a/b", prefix, "a/b*"},
			{anyMethod, "/g", prefix, "g*"},
			{anyMethod, "/g/{x}", exact, "g/x"},
		}})
	if err != nil {
		t.Fatal(err)
	}
	states := trie.automaton()
	for _, tt := range []struct{ path, template, get, other string }{
		{"/", "/", "rest", "rest"},
		{"/a", "/*", "a*", "a*"},
		{"/a/1", "/a/{x}", "GET a/x", "a*"},
		{"/a/1/d", "/a/{x}/d", "a*", "a*"},
		{"/a/b", "/a/{x}", "GET a/x", "a/b*"}, // exact beats the longer prefix
		{"/a/b/c", "/a/b/c", "a/b*", "a/b*"},
		{"/a/b/d", "/a/{x}/d", "a/b*", "a/b*"}, // the prefix holds although the endpoint is the parameter's
		{"/a/b/d/f", "/a/b/{z}/f", "a/b*", "a/b*"},
		{"/a/b/d/1/e", "/a/{x}/d/{y}/e", "a/b*", "a/b*"},
		{"/a/b/d/f/e", "/a/{x}/d/{y}/e", "a/b*", "a/b*"}, // the literal f leads nowhere
		{"/a/b/1", "/a/b/*", "a/b*", "a/b*"},
		{"/a/b/c/1", "/a/b/c/*", "a/b*", "a/b*"},
		{"/a/1/q/r", "/a/{x}/*", "a*", "a*"},
		{"/g/1", "/g/{x}", "g/x", "g/x"},
		{"/g/rules", "/g/rules", "g*", "g*"}, // an endpoint is nobody's {x}
		{"/q", "/*", "rest", "rest"},
	} {
		got := walk(states, tt.path)
		if got.template != tt.template || got.buckets != [verbs]string{tt.get, tt.other} || got.known == strings.HasSuffix(tt.template, "/*") {
			t.Errorf("%s: %+v, want %q %q %q", tt.path, got, tt.template, tt.get, tt.other)
		}
	}
}

func TestMarksHoldForTheirPathsOnly(t *testing.T) {
	trie, err := newTrie(
		[]string{"/a", "/a/b/c", "/a/{x}/d", "/a/{x}/e"},
		rules{
			buckets: []bucketRule{{anyMethod, "/", prefix, "/"}, {anyMethod, "/a", prefix, "/a"}},
			token:   []endpoint{{anyMethod, "/a/{x}/d", exact}},
			factor:  []endpoint{{notGET, "/a", exact}},
			login:   []endpoint{{anyMethod, "/a/b", prefix}, {anyMethod, "/a/{x}/e", exact}},
		})
	if err != nil {
		t.Fatal(err)
	}
	states := trie.automaton()
	for _, tt := range []struct {
		path string
		marks
	}{
		{"/", marks{}},
		{"/a", marks{factor: [verbs]bool{verbOther: true}}},
		{"/a/1", marks{}},
		{"/a/1/d", marks{token: true}},
		{"/a/1/d/x", marks{}},
		{"/a/1/e", marks{login: true}},
		{"/a/1/e/x", marks{}},
		{"/a/b", marks{login: true}},
		{"/a/b/c", marks{login: true}},
		{"/a/b/x", marks{login: true}},
		{"/a/b/c/x/y", marks{login: true}},
	} {
		if got := walk(states, tt.path).marks; got != tt.marks {
			t.Errorf("%s: %+v, want %+v", tt.path, got, tt.marks)
		}
	}
}

func TestListsHoldPathsAndComments(t *testing.T) {
	got, err := listedPaths(fstest.MapFS{
		"paths/a.txt": {Data: []byte("# A list.\n\n/a/{x}\n/b")},
		"paths/b.txt": {Data: []byte("/c\n")},
		"paths/c.md":  {Data: []byte("no list")},
	})
	if want := []string{"/a/{x}", "/b", "/c"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("listedPaths = %q, %v, want %q", got, err, want)
	}
	if got, err := listedPaths(fstest.MapFS{"paths/a.txt": {Data: []byte("a/b\n")}}); err == nil {
		t.Errorf("listedPaths = %q, want an error for a path without a slash", got)
	}
}

func TestTableRefusesBurstsOfAnUnknownBucket(t *testing.T) {
	trie, err := newTrie([]string{"/a"}, rules{buckets: []bucketRule{{anyMethod, "/", prefix, "/"}, {anyMethod, "/a", prefix, "/a"}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := emit(trie.automaton(), []string{"/a"}); err != nil {
		t.Error(err)
	}
	if _, err := emit(trie.automaton(), []string{"/b"}); err == nil {
		t.Error("no error for a bucket that nothing leads to")
	}
}

func TestGenerationIsDeterministic(t *testing.T) {
	source := func(templates []string) string {
		trie, err := newTrie(templates, rules{buckets: bucketRules, token: tokenEndpoints})
		if err != nil {
			t.Fatal(err)
		}
		src, err := emit(trie.automaton(), nil)
		if err != nil {
			t.Fatal(err)
		}
		return string(src)
	}
	templates, err := listedPaths(pathLists)
	if err != nil {
		t.Fatal(err)
	}
	want := source(templates)
	slices.Reverse(templates)
	for range 3 {
		if source(templates) != want {
			t.Fatal("the same templates in another order give another table")
		}
	}
}

func walk(states []*state, path string) outcome {
	s := states[0]
	for _, segment := range split(path) {
		next, ok := s.literals[segment]
		if !ok {
			next = s.param
		}
		if next == nil {
			return s.rest
		}
		s = next
	}
	return s.end
}
