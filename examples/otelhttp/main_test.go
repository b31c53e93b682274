package main

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// parted returns the span of the call, those of attempts, and otelhttp's.
func parted(t *testing.T, r *result) (call sdktrace.ReadOnlySpan, attempts, others []sdktrace.ReadOnlySpan) {
	t.Helper()
	for _, s := range r.of(ours) {
		if s.SpanKind() == trace.SpanKindInternal {
			call = s
		} else {
			attempts = append(attempts, s)
		}
	}
	if call == nil {
		t.Fatal("the call has no span")
	}
	return call, attempts, r.of(theirs)
}

func ids(spans []sdktrace.ReadOnlySpan) (list []trace.SpanID) {
	for _, s := range spans {
		list = append(list, s.SpanContext().SpanID())
	}
	return list
}

func parents(spans []sdktrace.ReadOnlySpan) (list []trace.SpanID) {
	for _, s := range spans {
		list = append(list, s.Parent().SpanID())
	}
	return list
}

func onWire(r *result) (list []trace.SpanID) {
	for _, p := range r.parents {
		list = append(list, p.SpanID())
	}
	return list
}

func twice(s sdktrace.ReadOnlySpan) []trace.SpanID {
	return []trace.SpanID{s.SpanContext().SpanID(), s.SpanContext().SpanID()}
}

// What docs/telemetry.md says of otelhttp is so.
func TestSpansAndMetricsBesideOtelhttp(t *testing.T) {
	want := map[string]func(*testing.T, *result){
		"underneath, spans and metrics off": func(t *testing.T, r *result) {
			call, attempts, others := parted(t, r)
			equal(t, "spans of attempts", len(attempts), 0)
			equal(t, "parents of otelhttp's spans", parents(others), twice(call))
			equal(t, "spans that Okta got", onWire(r), ids(others))
			equal(t, "points", r.points, map[string]uint64{theirs: 2})
			equal(t, "events", events(call), []string{"oktaretry.attempt", "oktaretry.wait", "oktaretry.attempt"})
		},
		"underneath, none": func(t *testing.T, r *result) {
			call, attempts, others := parted(t, r)
			equal(t, "parents of the attempts' spans", parents(attempts), twice(call))
			equal(t, "parents of otelhttp's spans", parents(others), ids(attempts))
			equal(t, "spans that Okta got", onWire(r), ids(others))
			equal(t, "points", r.points, map[string]uint64{ours: 2, theirs: 2})
			equal(t, "events", events(call), []string{"oktaretry.wait"})
		},
		"on top, metrics off": func(t *testing.T, r *result) {
			onTop(t, r)
			equal(t, "points", r.points, map[string]uint64{theirs: 1})
		},
		"on top, otelhttp's metrics off": func(t *testing.T, r *result) {
			onTop(t, r)
			equal(t, "points", r.points, map[string]uint64{ours: 2})
		},
		"on top, none": func(t *testing.T, r *result) {
			onTop(t, r)
			equal(t, "points", r.points, map[string]uint64{ours: 2, theirs: 1})
		},
	}
	for _, s := range stacks() {
		name := s.order + ", " + s.options
		t.Run(name, func(t *testing.T) {
			r, err := s.call(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			want[name](t, r)
			// otelhttp's spans hold what this library's never do.
			for _, span := range r.spans {
				text := attributesOf(span)
				known := strings.Contains(text, "/api/v1/users/00u") && strings.Contains(text, "search=")
				equal(t, span.Name()+" holds the user's id and the search", known, span.InstrumentationScope().Name == theirs)
			}
		})
	}
}

func onTop(t *testing.T, r *result) {
	t.Helper()
	call, attempts, others := parted(t, r)
	if len(others) != 1 {
		t.Fatalf("otelhttp made %d spans, want one", len(others))
	}
	equal(t, "the call's parent", call.Parent().SpanID(), others[0].SpanContext().SpanID())
	equal(t, "parents of the attempts' spans", parents(attempts), twice(call))
	equal(t, "spans that Okta got", onWire(r), ids(attempts))
}

// events returns the names of a span's events in the order of their time.
func events(s sdktrace.ReadOnlySpan) (names []string) {
	list := slices.Clone(s.Events())
	slices.SortStableFunc(list, func(a, b sdktrace.Event) int { return a.Time.Compare(b.Time) })
	for _, e := range list {
		names = append(names, e.Name)
	}
	return names
}

func attributesOf(s sdktrace.ReadOnlySpan) string {
	var b strings.Builder
	for _, kv := range s.Attributes() {
		b.WriteString(kv.Value.String() + "\n")
	}
	return b.String()
}

func TestTheTableIsTheDocuments(t *testing.T) {
	var b strings.Builder
	began := time.Now()
	if err := run(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("took %v, want a second", took)
	}
	document, err := os.ReadFile("../../docs/telemetry.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(document), b.String()) {
		t.Errorf("this is not the table in docs/telemetry.md:\n%s", b.String())
	}
}
