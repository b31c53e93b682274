// This file tests that each alert leads to its section of the runbook, and that each
// section belongs to one.

package observability

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

const runbookURL = "https://github.com/oktaretry/oktaretry/blob/main/docs/runbook.md#"

func TestEachAlertHasItsSectionOfTheRunbook(t *testing.T) {
	rules, err := Files.ReadFile("alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	book, err := os.ReadFile("../docs/runbook.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]string{} // by anchor, as GitHub makes them
	for _, s := range strings.Split(string(book), "\n## ")[1:] {
		title, text, _ := strings.Cut(s, "\n")
		sections[strings.ReplaceAll(strings.ToLower(title), " ", "-")] = text
	}
	alerts := regexp.MustCompile(`(?s)- alert: (\w+)\n(.*?)\n\n|- alert: (\w+)\n(.*)$`).FindAllStringSubmatch(string(rules), -1)
	if len(alerts) < 10 {
		t.Fatalf("%d alerts: is the file in another form?", len(alerts))
	}
	for _, a := range alerts {
		name, rule := a[1]+a[3], a[2]+a[4]
		anchor := strings.ToLower(name)
		if !strings.Contains(rule, "runbook_url: "+runbookURL+anchor+"\n") {
			t.Errorf("%s: its runbook_url is not %s%s", name, runbookURL, anchor)
		}
		text, ok := sections[anchor]
		if !ok {
			t.Errorf("%s has no section in the runbook", name)
			continue
		}
		for _, part := range []string{"**What it means.**", "**Look at**", "**Do**"} {
			if !strings.Contains(text, part) {
				t.Errorf("%s: its section has no %s", name, part)
			}
		}
		delete(sections, anchor)
	}
	for anchor := range sections {
		t.Errorf("section %s belongs to no alert", anchor)
	}
}

// A link within the runbook, or to a row of the dashboard, must lead somewhere.
func TestRunbookNamesWhatIsThere(t *testing.T) {
	b, err := os.ReadFile("../docs/runbook.md")
	if err != nil {
		t.Fatal(err)
	}
	book := string(b)
	for _, m := range regexp.MustCompile(`\]\(#([a-z0-9-]+)\)`).FindAllStringSubmatch(book, -1) {
		if !strings.Contains(strings.ToLower(book), "\n## "+m[1]+"\n") {
			t.Errorf("the link #%s leads nowhere", m[1])
		}
	}
	panels, err := Files.ReadFile("dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`[Rr]ow \*([^*]+)\*(?:, \*([^*]+)\*)?`).FindAllStringSubmatch(book, -1) {
		for _, title := range m[1:] {
			if title != "" && !strings.Contains(string(panels), `"title": "`+title+`"`) {
				t.Errorf("the dashboard has no %q", title)
			}
		}
	}
}
