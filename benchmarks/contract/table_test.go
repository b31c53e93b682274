package contract_test

// This file holds the comparison: it is measured, written down, and fails when
// what is written is no longer true.

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/oktaretry/oktaretry/benchmarks/internal/docfile"
	"github.com/oktaretry/oktaretry/benchmarks/internal/peers"
	"github.com/oktaretry/oktaretry/benchmarks/internal/race"
	"github.com/oktaretry/oktaretry/contract"
)

var update = flag.Bool("update", false, "write what was measured into docs/contract.md and RESULTS.md")

const command = "go test ./benchmarks/contract -run TestPeers -update"

// results are by case, and in each by peer.
type results struct {
	cases    []contract.Case
	verdicts [][]error
}

func TestPeers(t *testing.T) {
	if race.Enabled {
		t.Skip("peers that race with their caller's request would end the run; contract's own tests hold this library to it with -race")
	}
	log.SetOutput(io.Discard) // peers' own http.Clients complain of the bases there
	defer log.SetOutput(os.Stderr)
	r := measure(t)
	for i, c := range r.cases {
		if err := r.verdicts[i][0]; err != nil {
			t.Errorf("this library: %s: %v", c.Name, err)
		}
	}
	compare(t, "../../docs/contract.md", func(old []byte) []byte {
		fresh, err := docfile.Between(string(old), "contract", r.table())
		if err != nil {
			t.Fatal("docs/contract.md: ", err)
		}
		return []byte(fresh)
	})
	compare(t, "RESULTS.md", func(old []byte) []byte {
		fresh := r.report()
		if by := writtenBy(string(old)); by != thisGo() && !*update {
			t.Logf("RESULTS.md was written with %s and this is %s: which cases are missed is compared, and not how, which is the doing of net/http", by, thisGo())
			fresh = withDetails(fresh, string(old))
		}
		return []byte(fresh)
	})
}

// thisGo is the minor version that the test runs with, "Go 1.26".
func thisGo() string {
	major, minor, _ := strings.Cut(strings.TrimPrefix(runtime.Version(), "go"), ".")
	return "Go " + major + "." + strings.TrimRight(minor[:min(len(minor), 2)], ".")
}

// writtenBy is the version that a report was written with.
func writtenBy(report string) string {
	_, rest, _ := strings.Cut(report, "` with ")
	version, _, _ := strings.Cut(rest, ". What each")
	return version
}

// withDetails is a fresh report with the version of an old one, and with the
// details of those misses that the old one has as well.
func withDetails(fresh, old string) string {
	details, section := make(map[string]string), ""
	key := func(line string) string {
		if strings.HasPrefix(line, "## ") {
			section = line
		}
		miss, _, _ := strings.Cut(line, "**: ")
		return section + miss
	}
	for line := range strings.Lines(old) {
		details[key(line)] = line
	}
	section = ""
	var b strings.Builder
	for line := range strings.Lines(strings.Replace(fresh, thisGo(), writtenBy(old), 1)) {
		at := key(line)
		if same, ok := details[at]; ok && strings.HasPrefix(line, "- ✗ **") {
			line = same
		}
		b.WriteString(line)
	}
	return b.String()
}

func measure(t *testing.T) results {
	r := results{cases: contract.Cases()}
	for _, c := range r.cases {
		var row []error
		for _, p := range compared {
			row = append(row, c.Check(t, p.wrap))
		}
		r.verdicts = append(r.verdicts, row)
	}
	return r
}

// compare holds a file to what it should be, or makes it so.
func compare(t *testing.T, path string, want func(old []byte) []byte) {
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	fresh := want(old)
	switch {
	case bytes.Equal(old, fresh):
	case !*update:
		t.Errorf("%s is stale: run %s\n%s", path, command, difference(old, fresh))
	default:
		if err := os.WriteFile(path, fresh, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// difference shows the lines that are only in one of two texts.
func difference(old, fresh []byte) string {
	var b strings.Builder
	show := func(sign string, of, other []byte) {
		for line := range strings.Lines(string(of)) {
			if !bytes.Contains(other, []byte(line)) {
				b.WriteString(sign + line)
			}
		}
	}
	show("- ", old, fresh)
	show("+ ", fresh, old)
	return b.String()
}

func mark(err error) string {
	switch {
	case err == nil:
		return "✓"
	case errors.Is(err, contract.ErrNotApplicable):
		return "n/a"
	}
	return "✗"
}

// table is that of docs/contract.md: behaviours against libraries.
func (r results) table() string {
	var b strings.Builder
	b.WriteString("| |")
	for _, p := range compared {
		b.WriteString(" " + p.title() + " |")
	}
	b.WriteString("\n|---|" + strings.Repeat(":-:|", len(compared)) + "\n")
	list := ""
	for i, c := range r.cases {
		if c.List != list {
			list = c.List
			fmt.Fprintf(&b, "| **%s** |%s\n", list, strings.Repeat(" |", len(compared)))
		}
		fmt.Fprintf(&b, "| %s |", c.Name+star(c))
		for _, err := range r.verdicts[i] {
			b.WriteString(" " + mark(err) + " |")
		}
		b.WriteString("\n")
	}
	b.WriteString("| kept, of those that apply |")
	for i := range compared {
		kept, asked := r.count(i)
		fmt.Fprintf(&b, " %d/%d |", kept, asked)
	}
	return b.String() + "\n"
}

func star(c contract.Case) string {
	if c.Feature {
		return " ★"
	}
	return ""
}

func (r results) count(peer int) (kept, asked int) {
	for _, row := range r.verdicts {
		switch mark(row[peer]) {
		case "✓":
			kept, asked = kept+1, asked+1
		case "✗":
			asked++
		}
	}
	return kept, asked
}

func (p peer) title() string { return peers.Title(p.name, p.module) }

// report is RESULTS.md: each miss with what was measured.
func (r results) report() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# The contract, held against peers\n\nWritten by `%s` with %s. What each case asks, and why, is in the package\n"+
		"[`contract`](../../contract); ★ marks what a good transport may leave out.\n", command, thisGo())
	for i, p := range compared {
		kept, asked := r.count(i)
		fmt.Fprintf(&b, "\n## %s: %d of %d\n\nSet-up: %s\n\n", p.title(), kept, asked, p.setup)
		for j, c := range r.cases {
			if err := r.verdicts[j][i]; mark(err) == "✗" {
				fmt.Fprintf(&b, "- ✗ **%s**%s: %s\n", c.Name, star(c), oneLine(err))
			}
		}
		if n := len(r.cases) - asked; n > 0 {
			fmt.Fprintf(&b, "- n/a: %d of the cases (%s)\n", n, strings.Join(r.reasons(i), "; "))
		} else if kept == asked {
			b.WriteString("Nothing is missing.\n")
		}
	}
	b.WriteString("\n## Why each matters\n\n| | |\n|---|---|\n")
	for _, c := range r.cases {
		fmt.Fprintf(&b, "| %s | %s |\n", c.Name+star(c), c.Why)
	}
	return b.String()
}

// reasons are why cases could not be asked of a peer.
func (r results) reasons(peer int) []string {
	reasons := make(map[string]bool)
	for _, row := range r.verdicts {
		if err := row[peer]; errors.Is(err, contract.ErrNotApplicable) {
			_, why, _ := strings.Cut(err.Error(), ", ")
			reasons[why] = true
		}
	}
	return slices.Sorted(maps.Keys(reasons))
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
