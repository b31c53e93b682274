// This file builds the trie of all path templates and bucket rules, in which a segment can still be a literal and a
// parameter at once.

package main

import (
	"errors"
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

	end, rest    marks // of a path that ends here; of one that goes on to where no node is
	exact, below [verbs]*bucketRule
}

// marks are the properties of an endpoint.
type marks struct {
	token, login bool
	factor       [verbs]bool
}

type trie struct {
	root  *node
	nodes int
}

// newTrie refuses two templates for one shape of path, two rules of one kind for one path, a first segment without a
// bucket, and marks on no endpoint.
func newTrie(templates []string, r rules) (*trie, error) {
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
	if err := t.addBuckets(r.buckets); err != nil {
		return nil, err
	}
	return t, errors.Join(
		t.mark(r.token, func(m *marks, _ int) { m.token = true }),
		t.mark(r.factor, func(m *marks, v int) { m.factor[v] = true }),
		t.mark(r.login, func(m *marks, _ int) { m.login = true }),
	)
}

func (t *trie) addBuckets(rules []bucketRule) error {
	for i := range rules {
		r := &rules[i]
		n, err := t.insert(r.path, false)
		if err != nil {
			return err
		}
		slot := &n.exact
		if r.below {
			slot = &n.below
		}
		for _, v := range r.methods.verbs() {
			if slot[v] != nil {
				return fmt.Errorf("two bucket rules for %s", r.path)
			}
			slot[v] = r
		}
	}
	for v := range verbs {
		if t.root.below[v] == nil {
			return errors.New("no bucket rule for all of /")
		}
		for _, first := range t.root.literals {
			if first.below[v] == nil {
				return fmt.Errorf("no bucket rule for all of %s", first.path)
			}
		}
	}
	return nil
}

// mark sets a mark of endpoints. Buckets must be added before, as what they add to the trie is marked, too.
func (t *trie) mark(endpoints []endpoint, set func(*marks, int)) error {
	for _, e := range endpoints {
		n, err := t.insert(e.path, false)
		if err != nil {
			return err
		}
		if !n.routed || !e.below && n.template != e.path {
			return fmt.Errorf("%s is marked, but no template", e.path)
		}
		for _, v := range e.methods.verbs() {
			if e.below {
				n.each(func(n *node) { set(&n.end, v); set(&n.rest, v) })
			} else {
				set(&n.end, v)
			}
		}
	}
	return nil
}

// each calls f with the node and all nodes below it.
func (n *node) each(f func(*node)) {
	f(n)
	for _, literal := range n.literals {
		literal.each(f)
	}
	if n.param != nil {
		n.param.each(f)
	}
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
