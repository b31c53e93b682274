package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/oktaretry/oktaretry/observability"
)

// dashboard is the part of Grafana's form that the tests look at.
type dashboard struct {
	UID           string
	Title         string
	SchemaVersion int
	Templating    struct{ List []variable }
	Panels        []panel
}

type variable struct {
	Name, Type string
	Definition string
	Query      any
	AllValue   string
	IncludeAll bool
	Datasource struct{ UID string }
}

type panel struct {
	ID                       int
	Type, Title, Description string
	Collapsed                bool
	Datasource               struct{ Type, UID string }
	GridPos                  struct{ H, W, X, Y int }
	FieldConfig              struct{ Defaults struct{ Unit string } }
	Targets                  []struct {
		RefID, Expr, LegendFormat string
		Datasource                struct{ UID string }
	}
}

func readDashboard(t *testing.T) dashboard {
	t.Helper()
	b, err := observability.Files.ReadFile("dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var d dashboard
	if err := json.Unmarshal(b, &d); err != nil {
		t.Fatal(err)
	}
	if len(d.Panels) < 20 {
		t.Fatalf("%d panels: is the file in Grafana's present form?", len(d.Panels))
	}
	return d
}

var (
	reference   = regexp.MustCompile(`\$\{?([a-z_]+)\}?`)
	labelValues = regexp.MustCompile(`^label_values\((.+), *([a-z_]+)\)$`)
	legendLabel = regexp.MustCompile(`{{ *([a-z_]+) *}}`)
)

// substitute puts in what Grafana would, with All chosen in every variable.
func (d dashboard) substitute(expr string) (string, error) {
	var err error
	expr = reference.ReplaceAllStringFunc(expr, func(ref string) string {
		name := reference.FindStringSubmatch(ref)[1]
		switch name {
		case "__rate_interval":
			return rateInterval
		case "__range":
			return "1m"
		}
		i := slices.IndexFunc(d.Templating.List, func(v variable) bool { return v.Name == name })
		if i < 0 {
			err = fmt.Errorf("there is no variable %s", ref)
			return ref
		}
		return d.Templating.List[i].AllValue
	})
	return expr, err
}

// TestNoPanelIsDead evaluates every query of the dashboard over what the
// example exported: each must show a number.
func TestNoPanelIsDead(t *testing.T) {
	p, d := thePlay(t), readDashboard(t)
	for _, panel := range d.Panels {
		for _, target := range panel.Targets {
			where := panel.Title + ", " + target.RefID
			text, err := d.substitute(target.Expr)
			if err != nil {
				t.Errorf("%s: %v", where, err)
				continue
			}
			expr, err := p.store.parser.ParseExpr(text)
			if err != nil {
				t.Errorf("%s: %v", where, err)
				continue
			}
			if found := p.store.problems(expr); len(found) > 0 {
				t.Errorf("%s: %s", where, strings.Join(found, "\n\t"))
				continue
			}
			result, err := p.store.query(t.Context(), text)
			switch {
			case err != nil:
				t.Errorf("%s: %v", where, err)
			case !lives(result):
				t.Errorf("%s is dead: %s gives %d series and nothing but 0 or NaN", where, text, len(result))
			}
			for _, label := range legendLabel.FindAllStringSubmatch(target.LegendFormat, -1) {
				if !labelled(result, label[1]) {
					t.Errorf("%s: its legend says {{%s}}, a label that no result has", where, label[1])
				}
			}
		}
	}
}

// TestVariablesHaveChoices: what label_values asks for is there.
func TestVariablesHaveChoices(t *testing.T) {
	p, d := thePlay(t), readDashboard(t)
	for _, v := range d.Templating.List {
		if v.Type == "datasource" {
			continue
		}
		q := labelValues.FindStringSubmatch(v.Definition)
		if q == nil {
			t.Errorf("variable %s: %q is no label_values(…)", v.Name, v.Definition)
			continue
		}
		selector, err := d.substitute(q[1])
		if err != nil {
			t.Errorf("variable %s: %v", v.Name, err)
			continue
		}
		matchers, err := p.store.parser.ParseMetricSelector(selector)
		if err != nil {
			t.Errorf("variable %s: %v", v.Name, err)
			continue
		}
		if !has(p.store.matching(matchers), q[2]) {
			t.Errorf("variable %s has no choices: %s", v.Name, v.Definition)
		}
		if v.AllValue != ".*" || !v.IncludeAll || v.Datasource.UID != "${datasource}" {
			t.Errorf("variable %s: want All, as .*, from ${datasource}", v.Name)
		}
	}
}

// TestPanelsAreComplete holds each panel to the habits of the others.
func TestPanelsAreComplete(t *testing.T) {
	d := readDashboard(t)
	if d.SchemaVersion < 38 {
		t.Errorf("schemaVersion %d, want that of Grafana 10 at least", d.SchemaVersion)
	}
	ids := map[int]bool{}
	taken := map[[2]int]string{}
	for _, p := range d.Panels {
		if ids[p.ID] {
			t.Errorf("%s: id %d is taken", p.Title, p.ID)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("%s lies on %q, or outside, at %d, %d", p.Title, other, x, y)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		if len(p.Description) < 60 {
			t.Errorf("%s: its description does not say what to do: %q", p.Title, p.Description)
		}
		if p.FieldConfig.Defaults.Unit == "" {
			t.Errorf("%s has no unit", p.Title)
		}
		if p.Datasource.UID != "${datasource}" || p.Datasource.Type != "prometheus" {
			t.Errorf("%s: data source %v", p.Title, p.Datasource)
		}
		if len(p.Targets) == 0 {
			t.Errorf("%s asks for nothing", p.Title)
		}
		for _, target := range p.Targets {
			if target.Datasource.UID != "${datasource}" || target.LegendFormat == "" {
				t.Errorf("%s, %s: data source %q, legend %q", p.Title, target.RefID, target.Datasource.UID, target.LegendFormat)
			}
			// Each selector, so that the variables choose.
			for _, selector := range regexp.MustCompile(`[a-z_]+{[^}]*}`).FindAllString(target.Expr, -1) {
				for _, label := range []string{"job", "instance", "server_address"} {
					if label == "server_address" && strings.HasPrefix(selector, "oktaretry_shared_") {
						continue // a store is no Okta's: it has no such label
					}
					if !strings.Contains(selector, label+`=~"$`+label+`"`) {
						t.Errorf("%s, %s: %s is not filtered by $%s", p.Title, target.RefID, selector, label)
					}
				}
			}
			if strings.Contains(target.Expr, "[") && !regexp.MustCompile(`\[\$__(rate_interval|range)\]|\[5m\]`).MatchString(target.Expr) {
				t.Errorf("%s, %s: an interval of its own: %s", p.Title, target.RefID, target.Expr)
			}
		}
	}
}
