package main

import (
	"log/slog"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"

	"github.com/oktaretry/oktaretry/observability"
)

// readAlerts reads the rules as Prometheus does, its own checks included.
func readAlerts(t *testing.T, p parser.Parser) []rulefmt.Rule {
	t.Helper()
	b, err := observability.Files.ReadFile("alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	groups, bad := rulefmt.Parse(b, false, model.UTF8Validation, p, slog.New(slog.DiscardHandler))
	for _, err := range bad {
		t.Error(err)
	}
	if groups == nil || len(groups.Groups) == 0 {
		t.Fatal("no rules")
	}
	var rules []rulefmt.Rule
	for _, g := range groups.Groups {
		rules = append(rules, g.Rules...)
	}
	return rules
}

var alertLabel = regexp.MustCompile(`\$labels\.([a-z_]+)`)

// TestAlertsNameWhatIsExported: no alert is silent for a misspelt name, and
// what its text names is there.
func TestAlertsNameWhatIsExported(t *testing.T) {
	p := thePlay(t)
	for _, rule := range readAlerts(t, p.store.parser) {
		expr, err := p.store.parser.ParseExpr(rule.Expr)
		if err != nil {
			t.Fatal(err)
		}
		if found := p.store.problems(expr); len(found) > 0 {
			t.Errorf("%s: %s", rule.Alert, strings.Join(found, "\n\t"))
			continue
		}
		// Without its thresholds, the expression says what the alert would
		// look at.
		result, err := p.store.query(t.Context(), withoutThresholds(expr).String())
		if err != nil || !lives(result) {
			t.Errorf("%s looks at nothing (%v): %s", rule.Alert, err, expr)
		}
		for _, text := range rule.Annotations {
			for _, name := range alertLabel.FindAllStringSubmatch(text, -1) {
				if !labelled(result, name[1]) {
					t.Errorf("%s: its text says $labels.%s, a label that no result has", rule.Alert, name[1])
				}
			}
		}
		if rule.Labels["severity"] == "" || rule.Annotations["summary"] == "" || rule.Annotations["action"] == "" {
			t.Errorf("%s lacks a severity, a summary or an action", rule.Alert)
		}
	}
}

// withoutThresholds changes an expression: comparisons hold always, and what
// was long ago is now.
func withoutThresholds(expr parser.Expr) parser.Expr {
	if b, ok := expr.(*parser.BinaryExpr); ok {
		if b.Op.IsComparisonOperator() {
			return withoutThresholds(b.LHS)
		}
		b.LHS, b.RHS = withoutThresholds(b.LHS), withoutThresholds(b.RHS)
	}
	return expr
}

// TestEachAlertIsTested: promtool runs alerts_test.yaml (see .ci/run); here it
// is held to have a case that fires and one that is silent for each alert.
func TestEachAlertIsTested(t *testing.T) {
	b, err := observability.Files.ReadFile("alerts_test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Tests []struct {
			Expressions []struct {
				Expr    string
				Samples []any `yaml:"exp_samples"`
			} `yaml:"promql_expr_test"`
		}
	}
	if err := yaml.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	fires, silent := map[string]bool{}, map[string]bool{}
	name := regexp.MustCompile(`^ALERTS{alertname="(\w+)"`)
	for _, test := range file.Tests {
		for _, e := range test.Expressions {
			match := name.FindStringSubmatch(e.Expr)
			if match == nil {
				t.Fatalf("%q is about no alert", e.Expr)
			}
			if len(e.Samples) > 0 {
				fires[match[1]] = true
			} else {
				silent[match[1]] = true
			}
		}
	}
	for _, rule := range readAlerts(t, parser.NewParser(parser.Options{})) {
		if !fires[rule.Alert] || !silent[rule.Alert] {
			t.Errorf("%s: tested to fire: %t, and to be silent: %t", rule.Alert, fires[rule.Alert], silent[rule.Alert])
		}
	}
}
