package main

// The trie as a deterministic automaton. A segment can follow a literal and a parameter at once, and which of the two was
// right may show only later. Instead of trying one and coming back, the automaton follows both: a state stands for all
// nodes that a path can have reached, the most literal first. So the reader of the table takes one step a segment, whatever
// the path, and buckets are settled here.

import (
	"fmt"
	"maps"
	"slices"
)

// A state says all that is known of a path once some of its segments are read.
type state struct {
	nodes []*node // which may have been reached; the earlier one has a literal where the later one has a parameter

	end        string        // the template, if the path ends here
	rest       string        // the template, if the path goes on to where no state is
	endBucket  [verbs]string // the bucket, if the path ends here
	restBucket [verbs]string // the bucket, if the path goes on to where no state is
	token      bool
	factor     [verbs]bool

	literals map[string]*state
	param    *state
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
	s.rest = named.path + "/*"
	if s.end = named.template; s.end == "" {
		s.end = named.parent.path + "/*"
	}
	s.token, s.factor = named.token, named.factor

	key := ""
	for _, n := range nodes {
		key += fmt.Sprintf("%d,", n.id)
	}
	for v := range verbs {
		if n := pick(nodes, func(n *node) bool { return n.below[v] != nil }); n != nil {
			below[v] = n.below[v]
		}
		s.restBucket[v], s.endBucket[v] = below[v].bucket, below[v].bucket
		// An endpoint of its own is never the {id} of another one's rule.
		n := pick(nodes, func(n *node) bool { return n.exact[v] != nil || n.template != "" })
		if n != nil && n.exact[v] != nil {
			s.endBucket[v] = n.exact[v].bucket
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
