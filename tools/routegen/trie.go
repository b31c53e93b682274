package main

// The trie of all path templates and bucket rules, before literals and parameters are told apart for good.

import (
	"fmt"
	"slices"
	"strings"
)

// Indexes of what depends on the method; package route uses the same.
const (
	verbGET = iota
	verbOther
	verbs
)

func (m methods) verbs() []int {
	switch m {
	case onlyGET:
		return []int{verbGET}
	case notGET:
		return []int{verbOther}
	default:
		return []int{verbGET, verbOther}
	}
}

type node struct {
	id       int
	parent   *node
	literals map[string]*node
	param    *node

	template string // of the endpoint that ends here; "" if none does
	path     string // how to write the way here: the template, else the start of the first template on its way through
	routed   bool   // a template leads here or through here, not only a bucket rule
	token    bool
	factor   [verbs]bool

	exact, below [verbs]*bucketRule
}

type trie struct {
	root  *node
	nodes int
}

// newTrie refuses two templates for one shape of path, two rules of one kind for one path, and marks on no endpoint.
func newTrie(templates []string, rules []bucketRule, token, factor []endpoint) (*trie, error) {
	t := &trie{}
	t.root = t.newNode(nil, "")
	t.root.template, t.root.routed = "/", true
	for _, template := range slices.Sorted(slices.Values(templates)) {
		n, err := t.insert(template, true)
		if err != nil {
			return nil, err
		}
		if n.template != "" {
			return nil, fmt.Errorf("two templates for one path: %s and %s", n.template, template)
		}
		n.template, n.path = template, template
	}
	for i := range rules {
		r := &rules[i]
		n, err := t.insert(r.path, false)
		if err != nil {
			return nil, err
		}
		slot := &n.exact
		if r.below {
			slot = &n.below
		}
		for _, v := range r.methods.verbs() {
			if slot[v] != nil {
				return nil, fmt.Errorf("two bucket rules for %s", r.path)
			}
			slot[v] = r
		}
	}
	if t.root.below[verbGET] == nil || t.root.below[verbOther] == nil {
		return nil, fmt.Errorf("no bucket rule for all of /")
	}
	if err := t.mark(token, func(n *node, _ int) { n.token = true }); err != nil {
		return nil, err
	}
	if err := t.mark(factor, func(n *node, v int) { n.factor[v] = true }); err != nil {
		return nil, err
	}
	return t, nil
}

func (t *trie) mark(endpoints []endpoint, set func(*node, int)) error {
	for _, e := range endpoints {
		n, err := t.insert(e.path, false)
		if err != nil {
			return err
		}
		if n.template != e.path {
			return fmt.Errorf("%s is marked, but no template", e.path)
		}
		for _, v := range e.methods.verbs() {
			set(n, v)
		}
	}
	return nil
}

func (t *trie) newNode(parent *node, path string) *node {
	n := &node{id: t.nodes, parent: parent, path: path, literals: map[string]*node{}}
	t.nodes++
	return n
}

func (t *trie) insert(path string, routed bool) (*node, error) {
	n, end := t.root, 0
	for _, segment := range split(path) {
		end += len("/") + len(segment)
		next, start := n.literals[segment], path[:end]
		switch {
		case strings.HasPrefix(segment, "{") && strings.HasSuffix(segment, "}") && len(segment) > 2:
			if n.param == nil {
				n.param = t.newNode(n, start)
			}
			next = n.param
		case segment == "" || strings.ContainsAny(segment, "{}*"):
			return nil, fmt.Errorf("path %q: bad segment %q", path, segment)
		case next == nil:
			next = t.newNode(n, start)
			n.literals[segment] = next
		}
		n = next
		n.routed = n.routed || routed
	}
	return n, nil
}

// split returns the segments of a path that starts with a slash.
func split(path string) []string {
	if path == "/" {
		return nil
	}
	return strings.Split(strings.TrimPrefix(path, "/"), "/")
}
