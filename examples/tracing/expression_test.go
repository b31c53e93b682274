package main

// This file holds what any expression of ../../observability is held to: what
// it names is really exported.

import (
	"fmt"
	"math"
	"slices"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
)

// problems says what an expression names that was never scraped: metrics,
// labels that it selects, groups or joins by, and values that it selects.
func (s *store) problems(expr parser.Expr) []string {
	var found []string
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		switch n := node.(type) {
		case *parser.VectorSelector:
			found = append(found, s.selectorProblems(n)...)
		case *parser.AggregateExpr:
			found = append(found, s.labelProblems(n.Expr, n.Grouping)...)
		case *parser.BinaryExpr:
			if m := n.VectorMatching; m != nil {
				found = append(found, s.labelProblems(n, append(slices.Clone(m.MatchingLabels), m.Include...))...)
			}
		}
		return nil
	})
	return found
}

func (s *store) selectorProblems(n *parser.VectorSelector) []string {
	name := labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, n.Name)
	all := s.matching([]*labels.Matcher{name})
	if len(all) == 0 {
		return []string{"there is no metric " + n.Name}
	}
	var found []string
	for _, m := range n.LabelMatchers {
		if !has(all, m.Name) {
			found = append(found, fmt.Sprintf("%s has no label %s", n.Name, m.Name))
		}
	}
	if len(found) == 0 && len(s.matching(n.LabelMatchers)) == 0 {
		found = append(found, n.String()+" selects nothing")
	}
	return found
}

func (s *store) labelProblems(below parser.Node, names []string) []string {
	var all []*series
	parser.Inspect(below, func(node parser.Node, _ []parser.Node) error {
		if n, ok := node.(*parser.VectorSelector); ok {
			all = append(all, s.matching(n.LabelMatchers)...)
		}
		return nil
	})
	var found []string
	for _, name := range names {
		if !has(all, name) {
			found = append(found, fmt.Sprintf("nothing in %s has a label %s", below, name))
		}
	}
	return found
}

func has(list []*series, label string) bool {
	return slices.ContainsFunc(list, func(one *series) bool { return one.labels.Has(label) })
}

// lives reports whether a result shows anything: a number that is not 0.
func lives(m promql.Matrix) bool {
	return slices.ContainsFunc(m, func(one promql.Series) bool {
		return slices.ContainsFunc(one.Floats, func(p promql.FPoint) bool {
			return p.F != 0 && !math.IsNaN(p.F) && !math.IsInf(p.F, 0)
		})
	})
}

// labelled reports whether a result has a series with the label.
func labelled(m promql.Matrix, name string) bool {
	return slices.ContainsFunc(m, func(one promql.Series) bool { return one.Metric.Has(name) })
}
