package cost_test

// This file measures everything and writes it down.

import (
	"fmt"
	"math"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/oktaretry/oktaretry/benchmarks/internal/docfile"
	"github.com/oktaretry/oktaretry/benchmarks/internal/meter"
)

const (
	docFile  = "../../docs/cost.md"
	plotFile = "cost.svg"
)

// measuredCase is a case and what was measured of it.
type measuredCase struct {
	costCase
	*meter.Series
}

// measureAll runs every case with everybody, and writes it down even where a
// target is missed.
func measureAll(t *testing.T) {
	all := make(map[string]measuredCase)
	for _, c := range append(append(cases, loopback), bySDK...) {
		s := c.series(nil)
		c.run(t, s, turns, sliceLength)
		t.Log(c.summary(s, s.Ratio))
		for _, miss := range c.misses(s, s.Ratio, 1) {
			t.Errorf("%s: %s", c.name, miss)
		}
		all[c.name] = measuredCase{c, s}
	}
	write(t, all)
}

func write(t *testing.T, all map[string]measuredCase) {
	doc := read(t, docFile)
	for name, text := range map[string]string{
		"cost":     compact(all),
		"machine":  machine(),
		"targets":  targetTable(all),
		"calls":    callTable(all),
		"beside":   besideTable(all),
		"loopback": shareTable(all[loopback.name]),
		"cores":    coreTable(all[cores.name]),
		"known":    plainTable(all[known.name], "calls"),
		"sdks":     sdkTable(all),
	} {
		doc = between(t, doc, name, text)
	}
	for file, text := range map[string]string{
		docFile:  doc,
		plotFile: plotted(t, all),
	} {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func read(t *testing.T, file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func between(t *testing.T, text, name, body string) string {
	text, err := docfile.Between(text, name, body)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// machine says what it was measured on, as far as figures depend on it.
func machine() string {
	model := "a processor of unknown make"
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	return fmt.Sprintf("%d cores of %s, %s/%s, %s; a virtual machine that others use as well.\n",
		runtime.NumCPU(), model, runtime.GOOS, runtime.GOARCH, strings.Replace(runtime.Version(), "go", "Go ", 1))
}

// targetTable says what this library may cost, and does.
func targetTable(all map[string]measuredCase) string {
	var b strings.Builder
	b.WriteString("| case | above the base | allocations | of the peer's time | target | |\n|---|--:|--:|--:|---|---|\n")
	for _, c := range cases {
		m := all[c.name]
		for _, want := range c.targets {
			got := m.Over(want.name)
			name, ratio := c.name, ""
			if how, traced := strings.CutPrefix(want.name, ours); traced {
				name += how
			}
			var wanted []string
			if want.peer != "" {
				ratio = fmt.Sprintf("%.2f", m.Ratio(want.name, want.peer))
				wanted = append(wanted, fmt.Sprintf("≤ %g × %s", want.ratio, title(want.peer)))
			}
			if want.allocs >= 0 {
				wanted = append(wanted, fmt.Sprintf("≤ %.0f allocations", want.allocs))
			}
			if want.bytes > 0 {
				wanted = append(wanted, fmt.Sprintf("≤ %.0f B", want.bytes))
			}
			if want.advised > 0 {
				wanted = append(wanted, "≤ "+duration(want.advised))
			}
			fmt.Fprintf(&b, "| %s | %s | %.0f, %.0f B | %s | %s | %s |\n",
				name, duration(got.NS), got.Allocs, got.Bytes, ratio, strings.Join(wanted, ", "), verdict(m.Series, want))
		}
	}
	got, most := scaling(all[cores.name].Series, ours), scaling(all[cores.name].Series, bare)
	fmt.Fprintf(&b, "| GET 200 on two cores, of what one gets done | %.2f × | | | ≥ %g × | %s; the base alone gets %.2f × |\n",
		got, twoCores, met(got >= twoCores), most)
	times := all[known.name].Ratio(oneOfMany, oneKnown)
	fmt.Fprintf(&b, "| GET 200 with 10,000 endpoints and buckets known, of what it costs with one | %.2f × | | | the same | %s |\n",
		times, met(times <= sameCost))
	return b.String()
}

// beside are pairs whose times are compared in a table of their own: this
// library with peers that do as much, and both with what none can do without.
var beside = []struct{ name, peer string }{
	{ours, failsafe},
	{ours, failsafeFull},
	{ours, assembled},
	{ours, necessary},
	{necessary, failsafe},
	{ours + sampled, assembled + sampled},
	{ours + sampled, twoSpans},
	{twoSpans, assembled + sampled},
}

// besideTable has a row for each pair and a column for each call that all make.
func besideTable(all map[string]measuredCase) string {
	var columns []measuredCase
	head, line := "| | of the time of |", "|---|---|"
	for _, c := range cases {
		if c.base == bare && c.name != "429, then 200" {
			columns = append(columns, all[c.name])
			head += " " + c.name + " |"
			line += "--:|"
		}
	}
	var b strings.Builder
	b.WriteString(head + "\n" + line + "\n")
	for _, pair := range beside {
		fmt.Fprintf(&b, "| %s | %s |", strong(pair.name), title(pair.peer))
		for _, m := range columns {
			fmt.Fprintf(&b, " %.2f |", m.Ratio(pair.name, pair.peer))
		}
		b.WriteString("\n")
	}
	return b.String()
}

// verdict says whether a target is met, whatever the guard of CI lets pass.
func verdict(s *meter.Series, want target) string {
	want.guard = nil
	return met((costCase{targets: []target{want}}).misses(s, s.Ratio, 1) == nil)
}

func met(ok bool) string {
	if ok {
		return "met"
	}
	return "missed"
}

// callTable has a row for each contender and a column for each call.
func callTable(all map[string]measuredCase) string {
	var columns []measuredCase
	head, line := "| above the base: time, allocations |", "|---|"
	for _, c := range cases {
		if c.base == bare || c.name == "circuit open" {
			columns = append(columns, all[c.name])
			head += " " + c.name + " |"
			line += "--:|"
		}
	}
	var b strings.Builder
	b.WriteString(head + "\n" + line + "\n")
	for _, who := range contenders {
		if who.name == bare {
			continue
		}
		fmt.Fprintf(&b, "| %s |", strong(who.name))
		for _, m := range columns {
			b.WriteString(" " + m.cell(who.name) + " |")
		}
		b.WriteString("\n")
	}
	b.WriteString("| *the base itself* |")
	for _, m := range columns {
		if m.base == "" {
			b.WriteString(" |")
			continue
		}
		fmt.Fprintf(&b, " *%s* |", duration(meter.Median(m.values(bare))))
	}
	return b.String() + "\n"
}

func strong(name string) string {
	if strings.HasPrefix(name, ours) {
		return "**" + name + "**"
	}
	return title(name)
}

// cell is what a contender cost in a case; empty where it has no part.
func (m measuredCase) cell(name string) string {
	for _, b := range m.Benches {
		if b.Name == name {
			o := m.Over(name)
			return fmt.Sprintf("%s, %.0f", duration(o.NS), o.Allocs)
		}
	}
	return ""
}

// values are what a call cost in each turn, the base included.
func (m measuredCase) values(name string) (values []float64) {
	for _, turn := range m.Turns {
		values = append(values, turn[name].NS)
	}
	return values
}

// shareTable says what part of a whole round trip a contender costs.
func shareTable(m measuredCase) string {
	var b strings.Builder
	trip := meter.Median(m.values(bare))
	fmt.Fprintf(&b, "| a round trip without any of them: %s | adds | of it | allocations |\n|---|--:|--:|--:|\n", duration(trip))
	for _, bench := range m.Benches {
		if bench.Name == bare {
			continue
		}
		o := m.Over(bench.Name)
		fmt.Fprintf(&b, "| %s | %s | %.1f %% | %.0f |\n", strong(bench.Name), duration(o.NS), 100*o.NS/trip, o.Allocs)
	}
	return b.String()
}

func coreTable(m measuredCase) string {
	var b strings.Builder
	b.WriteString("| the base included | one core | two cores | gets done |\n|---|--:|--:|--:|\n")
	for _, bench := range m.Benches {
		name, first := strings.CutSuffix(bench.Name, onCores("", 1))
		if !first {
			continue
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %.2f × |\n", strong(name),
			duration(m.Quartile(onCores(name, 1))), duration(m.Quartile(onCores(name, 2))), scaling(m.Series, name))
	}
	return b.String()
}

func plainTable(m measuredCase, what string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "| %s | time | allocations |\n|---|--:|--:|\n", what)
	for _, bench := range m.Benches {
		o := m.Over(bench.Name)
		fmt.Fprintf(&b, "| %s | %s | %.0f |\n", bench.Name, duration(o.NS), o.Allocs)
	}
	return b.String()
}

func sdkTable(all map[string]measuredCase) string {
	var b strings.Builder
	head, line := "| the base included: time, allocations |", "|---|"
	for _, c := range bySDK {
		head += " " + c.name + " |"
		line += "--:|"
	}
	b.WriteString(head + "\n" + line + "\n")
	for _, bench := range all[bySDK[0].name].Benches {
		fmt.Fprintf(&b, "| %s |", sdkTitle(bench.Name))
		for _, c := range bySDK {
			b.WriteString(" " + all[c.name].cell(bench.Name) + " |")
		}
		b.WriteString("\n")
	}
	return b.String()
}

// compact is the document's beginning: three figures.
func compact(all map[string]measuredCase) string {
	get, trip := all["GET 200"], all[loopback.name]
	plain, traced := get.Over(ours), get.Over(ours+sampled)
	return fmt.Sprintf("- **%s and %.0f allocations** for a GET without tracing: %.2f times what failsafehttp costs with retry and circuit breaker, "+
		"%.2f times what it costs with a rate limiter and a time limit for each attempt as well, which this library has.\n"+
		"- **%s and %.0f allocations** with both of its spans recorded by OpenTelemetry's SDK: %.2f times otelhttp around failsafehttp, which make one; "+
		"%.2f times what the SDK takes for the two spans alone.\n"+
		"- **%.1f %%** of what a whole round trip over a socket of the same machine takes of the processor, server included.\n",
		duration(plain.NS), plain.Allocs, get.Ratio(ours, failsafe), get.Ratio(ours, failsafeFull),
		duration(traced.NS), traced.Allocs, get.Ratio(ours+sampled, assembled+sampled), get.Ratio(ours+sampled, twoSpans),
		100*trip.Over(ours).NS/meter.Median(trip.values(bare)))
}

// duration has two significant digits.
func duration(ns float64) string {
	sign := ""
	if ns < 0 {
		sign, ns = "−", -ns
	}
	switch {
	case ns < 1000:
		return fmt.Sprintf("%s%.0f ns", sign, ns)
	case ns < 9950:
		return fmt.Sprintf("%s%.1f µs", sign, ns/1000)
	}
	return fmt.Sprintf("%s%.0f µs", sign, math.Round(ns/1000))
}
