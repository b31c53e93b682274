// Command house checks the layout of the root module: how large the root package and its type call are, which files
// depend on each other in a circle, which package imports which, and that no file is long or without a comment of its own.
//
//	go -C tools run ./house           checks the checkout it is part of
//	go -C tools run ./house -root x   checks another
//
// It prints the figures and their bounds, and exits 1 if one is exceeded.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
)

const (
	maxRootFiles   = 27  // the root is the promise and the loop: a mechanism is a package
	maxRootTests   = 32  // a mechanism's tests stand with the mechanism
	maxRootKnot    = 8   // the loop is one algorithm in some six files: all else can be understood by itself
	maxKnot        = 8   // no mechanism is a larger algorithm than the loop; the largest, pace, has 7
	maxCallFields  = 20  // more have no writers that a reader could name
	maxCallMethods = 32  // a step that needs no call is a function
	maxCallFiles   = 5   // one for each phase of a call
	maxLines       = 450 // about 400, and room to end a thought
)

// largerKnots are the packages with a bound above maxKnot: what they had when the bound was set. It may only fall.
var largerKnots = map[string]int{
	"contract": 14, // the list of cases names the files of cases, and all of them use the lab
	"oktatest": 23, // the files are the endpoints of one fake org, which hold its users, groups and factors in common
}

const (
	root      = "."                // the name of the root package
	mainType  = "call"             // the root's type that is bounded
	longTable = "catalog_table.go" // data, a line for each error code: as long as Okta's list
)

// layers are the packages of the module, the highest layer first. A package imports those of lower layers. Those of the
// first are for tests: they also import each other, and no others import them.
var layers = [...][]string{
	{"oktatest/internal/authserver", "oktatest/internal/endpoint", "oktatest/internal/factor", "oktatest/internal/lag", "oktatest/internal/rules", "oktatest/internal/signin", "oktatest/internal/syslog",
		"contract", "oktatest", "oktatest/control", "oktatest/internal/edge", "oktatest/internal/render", "oktatest/internal/token", "internal/docs", "internal/rig", "internal/rig/gotest", "internal/rig/recorders", "internal/rig/script", "internal/sharedtest", "internal/soak"},
	{"chaos", "debug", "internal/words", "oktatest/internal/kinds", "oktatest/internal/unserved"},
	{root, "observability", "oktatest/internal/generic"},
	{"internal/ask", "internal/budget", "internal/circuit", "internal/document", "internal/exchange", "internal/fault", "internal/pace", "internal/replay", "internal/telemetry", "oktatest/internal/fill"},
	{"internal/canned", "internal/h2raw", "internal/identity", "internal/pattern", "internal/recent", "internal/route", "internal/show", "internal/wire", "oktatest/internal/openapi", "shared"},
}

// alone are packages that import none of the module, whatever their layer.
var alone = []string{"internal/replay", "observability"}

// restricted are imports that few packages may have; the first prefix that fits counts. The root has them for the types
// of its options, the rig's recorders to record with OpenTelemetry's SDK.
var restricted = []struct {
	prefix string
	who    []string
}{
	{"github.com/sony/gobreaker", []string{"internal/circuit"}},
	{"log/slog", []string{"internal/telemetry", "internal/show", "internal/rig/recorders", root}},
	{"go.opentelemetry.io/otel/metric", []string{"internal/telemetry", "internal/rig/recorders", root}},
	{"go.opentelemetry.io/otel/propagation", []string{"internal/telemetry", "internal/rig/recorders", root}},
	{"go.opentelemetry.io/otel/trace", []string{"internal/telemetry", "internal/rig/recorders", "chaos", root}}, // chaos marks the caller's span
	{"go.opentelemetry.io/otel/attribute", []string{"internal/telemetry", "internal/rig/recorders", "chaos"}},
	{"go.opentelemetry.io", []string{"internal/telemetry", "internal/rig/recorders"}}, // codes, semconv, the SDK
}

func main() {
	dir := flag.String("root", "..", "the `directory` of the root module")
	flag.Parse()
	if flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	r, err := inspect(*dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, "house:", err)
		os.Exit(1)
	}
	r.print(os.Stdout)
	if len(r.violations) > 0 {
		os.Exit(1)
	}
}

// report is what the checks find.
type report struct {
	figures    []string // lines, their cells separated by tabs
	violations []string
}

// bound records a figure, which is a violation above most. The names are those of the files that are counted.
func (r *report) bound(what string, got, most int, names ...string) {
	line := fmt.Sprintf("%s\t%d\tof %d\t%s", what, got, most, strings.Join(names, " "))
	r.figures = append(r.figures, strings.TrimRight(line, "\t"))
	if got > most {
		r.violate("%s: %d, at most %d", what, got, most)
	}
}

func (r *report) violate(format string, args ...any) {
	r.violations = append(r.violations, fmt.Sprintf(format, args...))
}

func (r *report) print(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, line := range r.figures {
		fmt.Fprintln(t, line)
	}
	t.Flush()
	fmt.Fprintf(w, "violations: %d\n", len(r.violations))
	for _, v := range r.violations {
		fmt.Fprintln(w, "  "+v)
	}
}
