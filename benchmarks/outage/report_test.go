package outage_test

// This file writes down what was measured.

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

const (
	resultsFile = "RESULTS.md"
	plotFile    = "outage.svg"
	barsFile    = "requests.svg"
)

func read(t *testing.T, file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func write(t *testing.T, all []result, swept map[string]measure) {
	for file, text := range map[string]string{resultsFile: report(all, swept), plotFile: lines(t, of(all, plotted)), barsFile: bars(t, of(all, plotted))} {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// of are the results of one scenario.
func of(all []result, name string) (some []result) {
	for _, r := range all {
		if r.scenario.name == name {
			some = append(some, r)
		}
	}
	return some
}

// own are this library's results in scenarios that have targets, or not.
func own(all []result, targeted bool) (some []result) {
	for _, r := range all {
		if r.contender.name == ours.name && (r.scenario.target != target{}) == targeted {
			some = append(some, r)
		}
	}
	return some
}

// report is RESULTS.md.
func report(all []result, swept map[string]measure) string {
	var b strings.Builder
	fmt.Fprintf(&b, `# Outages, measured

Written by `+"`%s`"+`. The time is virtual (testing/synctest). 100 workers make a call a
second each, a fifth of them POSTs; the server is well, in trouble, and well again. [doc.go](doc.go) says what each figure
means. This library's figures are the worst of three runs, with its default policy; the peers ran once.

![requests that a server gets in an outage of two minutes, and how soon callers are served after it, by client](requests.svg)

![requests a second of three clients, before, in and after an outage of two minutes](outage.svg)

## This library and its targets

| outage | requests | load | target | refused in | first success | target | recovered | target | peak | target | POSTs read twice |
|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|
`, command)
	for _, r := range own(all, true) {
		if r.scenario.target.first == 0 {
			continue
		}
		want, load := r.scenario.target, ""
		if want.load > 0 {
			load = "≤ " + percent(want.load)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | ≤ %.0f s | %s | ≤ %.0f s | %s | ≤ %s | %d |\n", r.scenario.words, count(r.hits), percent(r.load), load,
			seconds(r.refusedIn), seconds(r.first), want.first.Seconds(), seconds(r.recovered), want.recovered.Seconds(), percent(r.peak), percent(want.peak), r.twice)
	}
	fmt.Fprintf(&b, "\nHow soon a circuit notices depends on where between two probes the outage ends. The worst of outages of %.0f to %.0f s, in steps of ½ s:\n\n"+
		"| outage | first success | recovered | peak |\n|---|--:|--:|--:|\n", shortest.Seconds(), longest.Seconds())
	for _, k := range kinds {
		m := swept[k.words]
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", k.words, seconds(m.first), seconds(m.recovered), percent(m.peak))
	}
	b.WriteString("\n| brown-out | GETs that ended well | target | load | target | peak | POSTs read twice |\n|---|--:|--:|--:|--:|--:|--:|\n")
	for _, r := range own(all, true) {
		if want := r.scenario.target; want.gets > 0 {
			fmt.Fprintf(&b, "| %s | %s | ≥ %s | %s | ≤ %s | %s | %d |\n", r.scenario.words, percent(r.gets), percent(want.gets), percent(r.load), percent(want.load), percent(r.peak), r.twice)
		}
	}
	b.WriteString("\n## The peers\n\nOkta's SDK tries neither a 503 nor a lost connection again: it does what the bare client does.\n")
	for _, name := range shown {
		b.WriteString(outageTable(of(all, name)))
	}
	for _, r := range own(all, true) {
		if r.scenario.target.gets > 0 {
			b.WriteString(brownOutTable(of(all, r.scenario.name)))
		}
	}
	b.WriteString(hostileTable(all))
	b.WriteString("\n## Set-up\n\n")
	for _, c := range compared {
		fmt.Fprintf(&b, "- **%s**: %s\n", c.title(), c.setup)
	}
	return b.String()
}

func title(words string) string { return strings.ToUpper(words[:1]) + words[1:] }

func outageTable(some []result) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n### %s\n\n| | requests | load | longest call that failed | first success | recovered | peak | POSTs read twice |\n"+
		"|---|--:|--:|--:|--:|--:|--:|--:|\n", title(some[0].scenario.words))
	for _, r := range some {
		failed := seconds(r.failedIn)
		if r.failedIn == never {
			failed = "for ever"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s | %s |\n", r.contender.title(), count(r.hits), percent(r.load), failed,
			seconds(r.first), seconds(r.recovered), percent(r.peak), count(r.twice))
	}
	return b.String()
}

func brownOutTable(some []result) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n### %s\n\n| | GETs that ended well | POSTs | calls begun | work done | load | peak | POSTs read twice |\n"+
		"|---|--:|--:|--:|--:|--:|--:|--:|\n", title(some[0].scenario.words))
	for _, r := range some {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s | %s |\n", r.contender.title(), percent(r.gets), percent(r.posts), count(r.calls),
			percent(r.done), percent(r.load), percent(r.peak), count(r.twice))
	}
	return b.String()
}

// hostileTable has what this library has no targets for, beside the bare client.
func hostileTable(all []result) string {
	var b strings.Builder
	b.WriteString("\n## Without targets\n\nThis library, and in parentheses the bare client. \"After\" is the work done in the first 30 s after the trouble.\n\n" +
		"| | load | GETs that ended well | POSTs | work done | first success | recovered | after | peak |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, r := range own(all, false) {
		bare := of(all, r.scenario.name)[1]
		fmt.Fprintf(&b, "| %s |", r.scenario.words)
		for _, figure := range []func(measure) string{
			func(m measure) string { return percent(m.load) },
			func(m measure) string { return percent(m.gets) },
			func(m measure) string { return percent(m.posts) },
			func(m measure) string { return percent(m.done) },
			func(m measure) string { return seconds(m.first) },
			func(m measure) string { return seconds(m.recovered) },
			func(m measure) string { return percent(m.early) },
			func(m measure) string { return percent(m.peak) },
		} {
			fmt.Fprintf(&b, " %s (%s) |", figure(r.measure), figure(bare.measure))
		}
		b.WriteString("\n")
	}
	return b.String()
}

func seconds(d time.Duration) string {
	switch {
	case d == never:
		return "never"
	case d == 0:
		return "0 s"
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

func percent(share float64) string {
	switch p := 100 * share; {
	case p == 0 || p == 100:
		return fmt.Sprintf("%.0f %%", p)
	case p < 2 || p > 95 && p < 100:
		return fmt.Sprintf("%.2f %%", p)
	default:
		return fmt.Sprintf("%.0f %%", p)
	}
}

func count(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
