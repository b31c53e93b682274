// This file turns the trie into a deterministic automaton. A segment can follow a literal and a parameter at once, and
// which of the two was right may show only later. Instead of trying one and coming back, the automaton follows both: a
// state stands for all nodes that a path can have reached, the most literal first. The reader of the table takes one step
// a segment, whatever the path, and finds the buckets settled.

package main

import (
	"fmt"
	"maps"
	"slices"
)

// A state is all that is known of a path once some of its segments are read.
type state struct {
	nodes []*node // which may have been reached; the earlier one has a literal where the later one has a parameter

	end, rest outcome // of a path that ends here; of one that goes on to where no state is

	literals map[string]*state
	param    *state
}

// An outcome is what the table holds of a path that is read to its end, or as far as it is known.
type outcome struct {
	template string
	known    bool // the template is an endpoint's, whole
	buckets  [verbs]string
	marks
}

// automaton returns the states, the start first, in an order that depends on nothing but the trie.
func (t *trie) automaton() []*state {
	start := newState([]*node{t.root}, [verbs]*bucketRule{})
	states := []*state{start.state}
	known := map[string]*state{start.key: start.state}
	inherited := map[*state][verbs]*bucketRule{start.state: start.below}
	reach := func(nodes []*node, from *state) *state {
		next := newState(nodes, inherited[from])
		if s, ok := known[next.key]; ok {
			return s
		}
		known[next.key], inherited[next.state] = next.state, next.below
		states = append(states, next.state)
		return next.state
	}
	for i := 0; i < len(states); i++ {
		s := states[i]
		labels := map[string]bool{}
		var params []*node
		for _, n := range s.nodes {
			for label := range n.literals {
				labels[label] = true
			}
			if n.param != nil {
				params = append(params, n.param)
			}
		}
		for _, label := range slices.Sorted(maps.Keys(labels)) {
			var nodes []*node
			for _, n := range s.nodes {
				if literal := n.literals[label]; literal != nil {
					nodes = append(nodes, literal)
				}
				if n.param != nil {
					nodes = append(nodes, n.param)
				}
			}
			s.literals[label] = reach(nodes, s)
		}
		if len(params) > 0 {
			s.param = reach(params, s)
		}
	}
	return states
}

type keyedState struct {
	*state
	key   string
	below [verbs]*bucketRule // the longest prefix rules so far
}

// newState decides what the nodes mean together. below holds the longest prefix rules of the way here.
func newState(nodes []*node, below [verbs]*bucketRule) keyedState {
	s := &state{nodes: nodes, literals: map[string]*state{}}
	named := pick(nodes, func(n *node) bool { return n.template != "" })
	if named == nil {
		named = pick(nodes, func(n *node) bool { return n.routed })
	}
	if named == nil {
		named = nodes[0]
	}
	s.rest = outcome{template: named.path + "/*", marks: named.rest}
	s.end = outcome{template: named.template, known: named.template != "", marks: named.end}
	if !s.end.known {
		s.end.template = named.parent.path + "/*"
	}

	key := ""
	for _, n := range nodes {
		key += fmt.Sprintf("%d,", n.id)
	}
	for v := range verbs {
		if n := pick(nodes, func(n *node) bool { return n.below[v] != nil }); n != nil {
			below[v] = n.below[v]
		}
		s.rest.buckets[v], s.end.buckets[v] = below[v].bucket, below[v].bucket
		// An endpoint of its own is never the {id} of another one's rule.
		n := pick(nodes, func(n *node) bool { return n.exact[v] != nil || n.template != "" })
		if n != nil && n.exact[v] != nil {
			s.end.buckets[v] = n.exact[v].bucket
		}
		key += fmt.Sprintf(" %s", below[v].path)
	}
	return keyedState{s, key, below}
}

// pick returns the first node that ok accepts, or nil.
func pick(nodes []*node, ok func(*node) bool) *node {
	if i := slices.IndexFunc(nodes, ok); i >= 0 {
		return nodes[i]
	}
	return nil
}
