package pace_test

// This file writes down what was measured.

import (
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/oktaretry/oktaretry/benchmarks/internal/docfile"
)

const (
	docFile     = "../../docs/pace.md"
	resultsFile = "RESULTS.md"
	plotFile    = "pace.svg"
	barsFile    = "../../docs/img/429s.svg"
)

func read(t *testing.T, file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func write(t *testing.T, all []summary, throttled string) {
	doc, err := docfile.Between(read(t, docFile), "pace", compact(all))
	if err != nil {
		t.Fatal(docFile, ": ", err)
	}
	for file, text := range map[string]string{
		docFile:     doc,
		resultsFile: report(all, throttled),
		plotFile:    lines(t, all),
		barsFile:    bars(t, all),
	} {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// of are the summaries of one scenario.
func of(all []summary, name string) (some []summary) {
	for _, m := range all {
		if m.scenario.name == name {
			some = append(some, m)
		}
	}
	return some
}

func (m summary) ours() bool { return m.peer.module == "" }

// compact is the table of docs/pace.md: three scenarios.
func compact(all []summary) string {
	var b strings.Builder
	b.WriteString("| 3,000 calls, 600 a minute | 1 process: over the optimum | 429s | 4 processes: over the optimum | 429s | " +
		"another app at work: over the optimum | 429s | its calls refused |\n" +
		"|---|--:|--:|--:|--:|--:|--:|--:|\n")
	one, four, shared := of(all, "one"), of(all, "four"), of(all, "shared")
	for i, m := range one {
		name := m.peer.title()
		if !m.ours() {
			name += ", " + m.peer.form()
		} else {
			name = "**" + name + "**"
		}
		fmt.Fprintf(&b, "| %s |", name)
		for _, m := range []summary{m, four[i], shared[i]} {
			fmt.Fprintf(&b, " %s | %s |", m.time(), count(m.median(refused)))
		}
		fmt.Fprintf(&b, " %s |\n", percent(shared[i].median(othersRefused)))
	}
	return b.String()
}

// time is what a table says of the time that was taken.
func (m summary) time() string {
	if n := m.median(failed); n > 0 {
		return count(n) + " calls failed"
	}
	return seconds(m.median(overSeconds))
}

func seconds(s float64) string {
	switch {
	case s == math.Trunc(s) || math.Abs(s) >= 100:
		return strings.Replace(count(s), "-", "−", 1) + " s"
	case s <= -10:
		return fmt.Sprintf("−%.0f s", -s)
	case s < 0:
		return fmt.Sprintf("−%.1f s", -s)
	case s < 1:
		return fmt.Sprintf("%.2f s", s)
	}
	return fmt.Sprintf("%.1f s", s)
}

func percent(share float64) string {
	switch p := 100 * share; {
	case math.Abs(p-math.Round(p)) < 1e-9:
		return fmt.Sprintf("%.0f %%", p)
	case p < 1:
		return fmt.Sprintf("%.2f %%", p)
	case p < 10:
		return fmt.Sprintf("%.1f %%", p)
	default:
		return fmt.Sprintf("%.0f %%", p)
	}
}

func count(n float64) string {
	s := fmt.Sprintf("%.0f", n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// report is RESULTS.md.
func report(all []summary, throttled string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `# Pace, measured

Written by `+"`%s`"+`. The time is virtual (testing/synctest), Okta is the fake of `+"`oktatest`"+`
with fixed windows; each call takes %d ms, half of it each way. Unless said otherwise a job is 3,000 calls, and
all processes and apps of the org share one bucket of 600 calls in 60 s, each with a credential of its own.

- **The optimum** is that of a client who knows everything beforehand: all workers are busy as long as the window has
  places, the first call of a window leaves at the very moment of the reset that the header names, and none is refused.
- **Windows** begin %s after the full minute of Okta's clock. The header rounds the end of the last kind
  up to a whole second, so half a second of each window is lost to whoever believes it; the optimum believes it, too.
- **Jobs** begin at a random moment of a second. This library ran %d times in each scenario, with each of these windows and
  %d seeds each (what is not about windows: once with each seed), the peers once with each. Figures are medians; in parentheses, the range.
- **429s** are those that the job met; the percentage is of its calls. Peers may give calls up: what failed was not tried again.
- Goroutines are scheduled differently in every run, so figures differ a little when they are made anew.

![429s and time over the optimum of a job of 3,000 calls, by library](../../docs/img/429s.svg)

![429s over time of three libraries that share a limit of 50 calls a minute with 200 workers](pace.svg)

## This library and its targets

| scenario | optimum | over it | target | 429s | of calls | target |
|---|--:|--:|--:|--:|--:|--:|
`, command, latency.Milliseconds(), offsetList(), len(scenarios[0].settings(3)), 3)
	for _, m := range all {
		if m.ours() {
			b.WriteString(m.targetRow())
		}
	}
	b.WriteString("\nNo call failed. By the windows' beginning, the time over the optimum:\n\n| scenario |")
	for _, offset := range offsets {
		fmt.Fprintf(&b, " %s |", seconds(offset.Seconds()))
	}
	b.WriteString("\n|---|" + strings.Repeat("--:|", len(offsets)) + "\n")
	for _, m := range all {
		if !m.ours() || m.scenario.limit == 0 {
			continue
		}
		fmt.Fprintf(&b, "| %s |", m.scenario.words)
		for _, offset := range offsets {
			fmt.Fprintf(&b, " %s |", seconds(m.with(offset).median(overSeconds)))
		}
		b.WriteString("\n")
	}
	b.WriteString("\n## The peers\n")
	for _, s := range scenarios {
		b.WriteString(peersTable(of(all, s.name)))
	}
	b.WriteString("\n" + throttled)
	b.WriteString("\n## Set-up\n\n")
	for _, p := range compared {
		fmt.Fprintf(&b, "- **%s**, %s: %s\n", p.title(), p.form(), p.setup)
	}
	return b.String()
}

func offsetList() string {
	var all []string
	for _, offset := range offsets[:len(offsets)-1] {
		all = append(all, seconds(offset.Seconds()))
	}
	return strings.Join(all, ", ") + " or " + seconds(offsets[len(offsets)-1].Seconds())
}

// targetRow is the row of a table that says how this library did.
func (m summary) targetRow() string {
	want := m.scenario.target
	over := "≤ " + seconds(want.over.Seconds())
	took := fmt.Sprintf("%s (%s to %s)", seconds(m.median(overSeconds)), seconds(m.least(overSeconds)), seconds(m.most(overSeconds)))
	if want.best > 0 {
		over = "≥ " + percent(want.best) + " of the best throughput"
		took = fmt.Sprintf("%s (%s at least)", percent(m.median(ofBest)), percent(m.least(ofBest)))
	}
	no := fmt.Sprintf("%s (%s to %s)", count(m.median(refused)), count(m.least(refused)), count(m.most(refused)))
	part, most := percent(m.median(refusedShare)), "≤ "+percent(want.refused)
	if want.refusals > 0 {
		most = fmt.Sprintf("≤ %d in all", want.refusals)
	}
	if want.settled > 0 {
		part = percent(m.median(settledShare)) + " after 3 s"
		most = "≤ " + percent(want.settled) + " once settled"
	}
	if want.others > 0 {
		part += fmt.Sprintf("; of the other app's %s (%s at most)", percent(m.median(othersRefused)), percent(m.most(othersRefused)))
		most += "; ≤ " + percent(want.others)
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %s | %s | %s |\n", m.scenario.words, seconds(m.median(optimal)), took, over, no, part, most)
}

// peersTable is one scenario with all libraries.
func peersTable(some []summary) string {
	var b strings.Builder
	s := some[0].scenario
	fmt.Fprintf(&b, "\n### %s\n\n| | calls that failed | time | over the optimum | 429s | of calls |", strings.ToUpper(s.words[:1])+s.words[1:])
	if s.others > 0 {
		b.WriteString(" the other app refused |")
	}
	b.WriteString("\n|---|--:|--:|--:|--:|--:|" + strings.Repeat("--:|", min(s.others, 1)) + "\n")
	for _, m := range some {
		took := m.median(func(r result) float64 { return r.took.Seconds() })
		over, time := seconds(m.median(overSeconds)), seconds(math.Round(took*10)/10)
		if m.median(failed) > 0 {
			over = ""
		}
		if m.median(func(r result) float64 {
			if r.notDone {
				return 1
			}
			return 0
		}) > 0 {
			over, time = "", "not done after "+longest.String()
		}
		fmt.Fprintf(&b, "| %s, %s | %s | %s | %s | %s | %s |", m.peer.title(), m.peer.form(), count(m.median(failed)), time, over,
			count(m.median(refused)), percent(m.median(refusedShare)))
		if s.others > 0 {
			fmt.Fprintf(&b, " %s |", percent(m.median(othersRefused)))
		}
		b.WriteString("\n")
	}
	return b.String()
}
