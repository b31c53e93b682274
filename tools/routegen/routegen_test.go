package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestCheckTellsWhetherTheTableIsUpToDate(t *testing.T) {
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
		t.Errorf("compare = %v, want an error that says so", err)
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
	all := bucketRule{anyMethod, "/", prefix, "/"}
	for _, tt := range []struct {
		name      string
		templates []string
		rules     []bucketRule
		token     []endpoint
		want      string
	}{
		{name: "TwoNames", templates: []string{"/a/{x}", "/a/{y}"}, rules: []bucketRule{all}, want: "two templates"},
		{name: "Twice", templates: []string{"/a", "/a"}, rules: []bucketRule{all}, want: "two templates"},
		{name: "PartOfASegment", templates: []string{"/a/b{x}"}, rules: []bucketRule{all}, want: "bad segment"},
		{name: "EmptySegment", templates: []string{"/a//b"}, rules: []bucketRule{all}, want: "bad segment"},
		{name: "Wildcard", templates: []string{"/a/*"}, rules: []bucketRule{all}, want: "bad segment"},
		{name: "NoDefault", templates: []string{"/a"}, want: "no bucket rule for all"},
		{name: "TwoRules", rules: []bucketRule{all, {anyMethod, "/a", exact, "a"}, {onlyGET, "/a", exact, "b"}}, want: "two bucket rules"},
		{name: "MarkOfNoEndpoint", templates: []string{"/a/b"}, rules: []bucketRule{all}, token: []endpoint{{anyMethod, "/a"}}, want: "no template"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := newTrie(tt.templates, tt.rules, tt.token, nil)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("newTrie: %v, want %q", err, tt.want)
			}
		})
	}
}

func TestAutomatonSettlesPrecedence(t *testing.T) {
	trie, err := newTrie(
		[]string{"/a/{x}", "/a/b/c", "/a/{x}/d", "/a/{x}/d/{y}/e", "/a/b/{z}/f", "/g/rules", "/g/{x}"},
		[]bucketRule{
			{anyMethod, "/", prefix, "rest"},
			{anyMethod, "/a", prefix, "a*"},
			{onlyGET, "/a/{x}", exact, "GET a/x"},
			{anyMethod, "/a/b", prefix, "a/b*"},
			{anyMethod, "/g/{x}", exact, "g/x"},
		}, nil, nil)
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
		{"/g/rules", "/g/rules", "rest", "rest"}, // an endpoint is nobody's {x}
		{"/q", "/*", "rest", "rest"},
	} {
		template, buckets := walk(states, tt.path)
		if template != tt.template || buckets[verbGET] != tt.get || buckets[verbOther] != tt.other {
			t.Errorf("%s: %q %q, want %q %q %q", tt.path, template, buckets, tt.template, tt.get, tt.other)
		}
	}
}

func TestGenerationIsDeterministic(t *testing.T) {
	source := func(templates []string) string {
		trie, err := newTrie(templates, bucketRules, tokenEndpoints, nil)
		if err != nil {
			t.Fatal(err)
		}
		src, err := emit(trie.automaton())
		if err != nil {
			t.Fatal(err)
		}
		return string(src)
	}
	templates := slices.Clone(undescribedPaths)
	want := source(templates)
	slices.Reverse(templates)
	for range 3 {
		if source(templates) != want {
			t.Fatal("the same templates in another order give another table")
		}
	}
}

func walk(states []*state, path string) (string, [verbs]string) {
	s := states[0]
	for _, segment := range split(path) {
		next, ok := s.literals[segment]
		if !ok {
			next = s.param
		}
		if next == nil {
			return s.rest, s.restBucket
		}
		s = next
	}
	return s.end, s.endBucket
}
