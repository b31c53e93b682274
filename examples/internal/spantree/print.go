// This file prints spans as trees with times.

package spantree

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Width is how many columns a line takes at most.
const Width = 104

// timesWidth is what the two columns of times take.
const timesWidth = 19

// The attributes that tell the story. The spans have more: where the call
// went, its bucket and what is left of it, error.type, the class of each
// attempt.
var (
	ofCalls = []attribute.Key{
		"oktaretry.class", "oktaretry.stop", "oktaretry.attempts", "oktaretry.waited"}
	ofAttempts = []attribute.Key{
		"http.request.resend_count", "oktaretry.poll", "http.response.status_code", "oktaretry.code",
		"oktaretry.request_id"}

	// leftOut of the names, for room.
	leftOut = strings.NewReplacer("oktaretry.", "", "http.request.", "", "http.response.", "")
)

// node is a line of the tree and what hangs below it: a span, or an event of
// one.
type node struct {
	at    time.Time
	took  time.Duration
	timed bool // took means something
	name  string
	notes []string
	below []node
	trace trace.TraceID // of a root
}

// Print prints the spans as trees, the children and events of each in the order
// of time. Before each line stand the time since the trace began and the
// duration; a wait, which is an event, has the duration that it tells.
func Print(w io.Writer, spans []sdktrace.ReadOnlySpan) {
	for _, root := range trees(spans) {
		fmt.Fprintf(w, "\ntrace %s\n", root.trace)
		root.print(w, root.at, "", "")
	}
}

// trees returns the roots of the spans in the order of time.
func trees(spans []sdktrace.ReadOnlySpan) []node {
	known, children := map[trace.SpanID]bool{}, map[trace.SpanID][]sdktrace.ReadOnlySpan{}
	for _, s := range spans {
		known[s.SpanContext().SpanID()] = true
		children[s.Parent().SpanID()] = append(children[s.Parent().SpanID()], s)
	}
	var roots []node
	for _, s := range spans {
		if !known[s.Parent().SpanID()] {
			root := nodeOf(s, children)
			root.trace = s.SpanContext().TraceID()
			roots = append(roots, root)
		}
	}
	sortByTime(roots)
	return roots
}

func sortByTime(list []node) {
	slices.SortStableFunc(list, func(a, b node) int { return a.at.Compare(b.at) })
}

func nodeOf(s sdktrace.ReadOnlySpan, children map[trace.SpanID][]sdktrace.ReadOnlySpan) node {
	n := node{at: s.StartTime(), took: s.EndTime().Sub(s.StartTime()), timed: true, name: s.Name()}
	if s.SpanKind() == trace.SpanKindClient {
		n.notes = pick(s.Attributes(), ofAttempts)
		if _, answered := find(s.Attributes(), "http.response.status_code"); !answered {
			n.notes = append(n.notes, pick(s.Attributes(), []attribute.Key{"error.type"})...)
		}
	} else {
		n.notes = pick(s.Attributes(), ofCalls)
	}
	for _, e := range s.Events() {
		n.below = append(n.below, nodeOfEvent(e))
	}
	for _, child := range children[s.SpanContext().SpanID()] {
		n.below = append(n.below, nodeOf(child, children))
	}
	sortByTime(n.below)
	return n
}

func nodeOfEvent(e sdktrace.Event) node {
	n := node{at: e.Time, name: e.Name}
	switch e.Name {
	case "oktaretry.wait":
		d, _ := find(e.Attributes, "oktaretry.wait")
		n.took, n.timed = time.Duration(d.AsFloat64()*float64(time.Second)), true
		n.name = "wait: " + text(e.Attributes, "oktaretry.wait.reason")
	case "oktaretry.circuit":
		n.name = fmt.Sprintf("circuit of the %s: %s → %s", text(e.Attributes, "oktaretry.circuit.scope"),
			text(e.Attributes, "oktaretry.circuit.from"), text(e.Attributes, "oktaretry.circuit.to"))
	}
	return n
}

// print prints n and what is below it. Branch stands before its own name,
// trunk before what follows.
func (n node) print(w io.Writer, began time.Time, branch, trunk string) {
	took := ""
	if n.timed {
		took = duration(n.took)
	}
	name := shorten(n.name, Width-timesWidth-utf8.RuneCountInString(branch))
	line := fmt.Sprintf("%8s %8s  %s%s", fmt.Sprintf("%.3f s", max(n.at.Sub(began), 0).Seconds()), took, branch, name)
	more := "\n" + strings.Repeat(" ", timesWidth) + trunk + "   "
	if len(n.below) > 0 {
		more = "\n" + strings.Repeat(" ", timesWidth) + trunk + "│  "
	}
	column, gap := utf8.RuneCountInString(line), "  "
	for _, note := range n.notes {
		if column+len(gap)+utf8.RuneCountInString(note) > Width {
			line += more
			column, gap = utf8.RuneCountInString(more)-1, ""
		}
		line += gap + note
		column, gap = column+len(gap)+utf8.RuneCountInString(note), " "
	}
	fmt.Fprintln(w, line)
	for i, child := range n.below {
		if i == len(n.below)-1 {
			child.print(w, began, trunk+"└─ ", trunk+"   ")
		} else {
			child.print(w, began, trunk+"├─ ", trunk+"│  ")
		}
	}
}

// shorten leaves out what is in the middle of a name that is too long: its
// method and its end tell most.
func shorten(name string, columns int) string {
	r := []rune(name)
	if len(r) <= columns {
		return name
	}
	head := strings.LastIndexByte(name, ' ') + 1
	if head+1 >= columns {
		head = 0
	}
	tail := string(r[len(r)-(columns-head-1):])
	if i := strings.IndexByte(tail, '/'); i > 0 {
		tail = tail[i:]
	}
	return string(r[:head]) + "…" + tail
}

// duration has one decimal of a millisecond below a second: attempts are short
// and waits are long.
func duration(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
	}
	return fmt.Sprintf("%.2f s ", d.Seconds())
}

// pick returns the attributes named, those that are there and no 0.00.
func pick(list []attribute.KeyValue, keys []attribute.Key) []string {
	var parts []string
	for _, key := range keys {
		v, ok := find(list, key)
		if !ok {
			continue
		}
		value := v.String()
		if v.Type() == attribute.FLOAT64 {
			if v.AsFloat64() == 0 {
				continue
			}
			value = fmt.Sprintf("%.2f", v.AsFloat64())
		}
		parts = append(parts, leftOut.Replace(string(key))+"="+value)
	}
	return parts
}

func find(list []attribute.KeyValue, key attribute.Key) (attribute.Value, bool) {
	for _, kv := range list {
		if kv.Key == key {
			return kv.Value, true
		}
	}
	return attribute.Value{}, false
}

func text(list []attribute.KeyValue, key attribute.Key) string {
	v, _ := find(list, key)
	return v.String()
}
