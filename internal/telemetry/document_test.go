// This file holds docs/telemetry.md against what calls report.

package telemetry_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/internal/rig/recorders"
	"github.com/oktaretry/oktaretry/internal/rig/script"
)

// document is docs/telemetry.md: of each table, by the first cell of its head,
// the rows by the word in their first cell.
type document map[string]map[string][]string

var quotedWords = regexp.MustCompile("`([^`]+)`")

func readDocument(t *testing.T) document {
	t.Helper()
	text, err := os.ReadFile("../../docs/telemetry.md")
	if err != nil {
		t.Fatal(err)
	}
	doc, head := document{}, ""
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		switch {
		case !strings.HasPrefix(line, "|"):
			head = ""
		case head == "":
			head = cells[0] + " " + cells[1]
			doc[head] = map[string][]string{}
		case !strings.HasPrefix(line, "|--"):
			doc[head][strings.Trim(cells[0], "`")] = cells
		}
	}
	return doc
}

func wordsIn(cell string) []string {
	var words []string
	for _, m := range quotedWords.FindAllStringSubmatch(cell, -1) {
		words = append(words, m[1])
	}
	slices.Sort(words)
	return words
}

// reportEverything runs calls that report all there is to report.
func reportEverything(t *testing.T, r *recorders.Observed) {
	step := func(method string, steps ...script.Step) {
		r.Base.Repeat(steps...)
		r.Do(t.Context(), method, rig.UserURL)
	}
	proto := func(next script.Step) script.Step {
		return script.Do(func(req *http.Request) (*http.Response, error) {
			resp, err := next.Respond(req)
			resp.ProtoMajor, resp.ProtoMinor = 1, 1
			return resp, err
		})
	}
	reset := fmt.Sprint(time.Now().Add(2 * time.Second).Unix())
	limits := []string{"X-Rate-Limit-Limit", "600", "X-Rate-Limit-Remaining", "9", "X-Rate-Limit-Reset", reset, "Date", time.Now().UTC().Format(http.TimeFormat)}
	step("GET", limitedFor7s, script.Down(), proto(script.OK())) // bucket, backoff
	step("GET", script.Limited(script.Set("Retry-After", "45")), script.OK())
	step("GET", script.Concurrency(), script.Code(404, "E0000007")) // concurrency
	step("GET", script.Code(429, "E0000109"), script.OK())          // a resource's own
	step("GET", pending, script.OK())                               // a poll
	step("POST", script.Fail(script.Refused), script.Reply(400, `{"error":"ann"}`))
	step("GET", script.Code(500, "E0000009")) // the endpoint's circuit opens; later it closes
	step("GET", script.OK())                  // refused
	time.Sleep(time.Minute)
	step("GET", script.OK())
	step("GET", script.Bare(502)) // the host's does
	time.Sleep(time.Minute)
	for range 12 {
		step("GET", script.Reply(200, "{}", script.Headers(limits...)))
		time.Sleep(time.Second)
	}
	for i := range 8 { // searches are counted apart
		query := []string{"", "?search=ann"}[i%2]
		limits[1], limits[7] = []string{"600", "50"}[i%2], time.Now().UTC().Format(http.TimeFormat)
		limits[5] = fmt.Sprint(time.Now().Add(time.Minute).Unix())
		r.Base.Repeat(script.Reply(200, "{}", script.Headers(limits...)).Takes(time.Millisecond))
		r.Do(t.Context(), "GET", rig.UserURL+query)
	}
	reset = fmt.Sprint(time.Now().Add(time.Minute).Unix())
	limits[5], limits[7] = reset, time.Now().UTC().Format(http.TimeFormat)
	step("GET", script.Reply(200, "{}", script.Headers(limits...)))
}

func TestDocumentMatchesSpansMetricsAndLogs(t *testing.T) {
	doc := readDocument(t)
	synctest.Test(t, func(t *testing.T) {
		r := recorders.Observe(t, func(p *oktaretry.Policy) { p.Pace.MaxRate, p.Pace.Burst, p.Breaker.MinCalls = 20, 1, 4 }, script.OK())
		r.With(t, oktaretry.WithCircuits(func(*http.Request) string { return "acme" }),
			oktaretry.WithObserver(oktaretry.Observer{CallEnd: func(context.Context, oktaretry.Outcome) { panic("ann@b.c") }}))
		reportEverything(t, r)
		wantDocumentedMetrics(t, doc, r.Metrics(t))
		wantDocumentedSpans(t, doc, r.Spans.Ended())
		wantDocumentedLines(t, doc, r.Lines(t))
	})
}

func wantDocumentedMetrics(t *testing.T, doc document, got map[string]metricdata.Metrics) {
	listed := doc["metric kind"]
	rig.Equal(t, "metrics", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(listed)))
	for name, m := range got {
		row := listed[name]
		if len(row) != 5 {
			continue
		}
		rig.Equal(t, name+"'s kind", kindOf(m), row[1])
		rig.Equal(t, name+"'s unit", "`"+m.Unit+"`", row[2])
		if m.Description == "" {
			t.Errorf("%s has no description", name)
		}
		keys := map[string]bool{}
		for _, set := range recorders.Labels(m) {
			for key, value := range set {
				keys[key] = true
				if values, ok := doc["attribute values"][key]; ok && !slices.Contains(wordsIn(values[1]), fmt.Sprint(value)) {
					t.Errorf("%s: %s is %v, which is not listed", name, key, value)
				}
			}
		}
		rig.Equal(t, name+"'s attributes", slices.Sorted(maps.Keys(keys)), wordsIn(row[3]))
	}
}

func wantDocumentedSpans(t *testing.T, doc document, spans []sdktrace.ReadOnlySpan) {
	got, events := map[string]map[string]bool{}, map[string]map[string]bool{}
	note := func(m map[string]map[string]bool, key, in string) {
		if m[key] == nil {
			m[key] = map[string]bool{}
		}
		m[key][in] = true
	}
	for _, s := range spans {
		kind := "call"
		if s.SpanKind() == trace.SpanKindClient {
			kind = "attempt"
		}
		for _, kv := range s.Attributes() {
			note(got, string(kv.Key), kind)
		}
		for _, e := range s.Events() {
			for _, kv := range e.Attributes {
				note(events, e.Name, string(kv.Key))
			}
		}
	}
	listed := doc["attribute on"]
	rig.Equal(t, "span attributes", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(listed)))
	for key, on := range got {
		if row := listed[key]; len(row) == 4 {
			want := strings.Split(row[1], ", ")
			slices.Sort(want)
			rig.Equal(t, key+" is on", slices.Sorted(maps.Keys(on)), want)
		}
	}
	for name, keys := range events {
		row := doc["event on"][name]
		if row == nil {
			t.Errorf("event %s is not listed", name)
			continue
		}
		rig.Equal(t, name+"'s attributes", slices.Sorted(maps.Keys(keys)), wordsIn(row[3]))
	}
	if len(events) != 2 { // oktaretry.attempt has a test of its own
		t.Errorf("events: %v", events)
	}
}

func wantDocumentedLines(t *testing.T, doc document, lines []map[string]any) {
	common := []string{"level", "msg", "time", "method", "host", "template", "trace_id", "span_id"}
	seen := map[string]bool{}
	for _, l := range lines {
		text := fmt.Sprint(l["msg"])
		row := doc["message level"][text]
		if row == nil {
			t.Errorf("line %q is not listed", text)
			continue
		}
		seen[text] = true
		if level := fmt.Sprint(l["level"]); !slices.Contains(strings.Split(row[1], ", "), level) {
			t.Errorf("%s: level %s is not listed", text, level)
		}
		always, sometimes, _ := strings.Cut(row[3], "; ")
		want := append(wordsIn(always), common...)
		if strings.Contains(sometimes, "no attributes of a call") {
			want = append(wordsIn(always), "level", "msg", "time")
		}
		for _, key := range wordsIn(sometimes) {
			if _, has := l[key]; has {
				want = append(want, key)
			}
		}
		slices.Sort(want)
		rig.Equal(t, text+"'s attributes", slices.Sorted(maps.Keys(l)), want)
	}
	rig.Equal(t, "lines", slices.Sorted(maps.Keys(seen)), slices.Sorted(maps.Keys(doc["message level"])))
}

// Every reason, class and state that has a name is listed under it.
func TestDocumentListsEveryEnumValue(t *testing.T) {
	doc := readDocument(t)
	has := func(key, word string) {
		if !slices.Contains(wordsIn(doc["attribute on"][key][3]), word) {
			t.Errorf("%s: %s is not listed", key, word)
		}
	}
	for s := oktaretry.StopNone; s.String() != "unknown"; s++ {
		has("oktaretry.stop", s.String())
	}
	for c := oktaretry.ClassSuccess; c.String() != "unknown"; c++ {
		has("oktaretry.class", c.String())
	}
	reasons := wordsIn(doc["attribute values"]["oktaretry.wait.reason"][1])
	for w := oktaretry.WaitRateLimit; w.String() != "unknown"; w++ {
		if !slices.Contains(reasons, w.String()) {
			t.Errorf("wait reason %s is not listed", w)
		}
	}
}

func kindOf(m metricdata.Metrics) string {
	switch m.Data.(type) {
	case metricdata.Histogram[float64], metricdata.Histogram[int64]:
		return "histogram"
	case metricdata.Sum[int64]:
		return "counter"
	case metricdata.Gauge[int64], metricdata.Gauge[float64]:
		return "gauge"
	}
	return fmt.Sprintf("%T", m.Data)
}

func TestAttemptsWithoutSpansAreEventsOfTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		id := script.Set("X-Okta-Request-Id", "reqA-1_b")
		r := recorders.Observe(t, nil, script.Down().With(id), pending.With(id), script.OK().With(id))
		r.With(t, oktaretry.WithAttemptSpans(false), oktaretry.WithAttemptMetrics(false))
		begun := time.Now()
		if err := r.Do(t.Context(), "GET", rig.UserURL); err != nil {
			t.Fatal(err)
		}
		calls, attempts := r.Ended(t)
		rig.Equal(t, "attempt spans", len(attempts), 0)
		got := recorders.Events(calls[0], "oktaretry.attempt")
		for i, want := range []map[string]any{
			{"http.response.status_code": int64(503), "error.type": "503", "oktaretry.class": "server-error", "oktaretry.code": "E0000009"},
			{"http.response.status_code": int64(202), "oktaretry.class": "pending", "oktaretry.code": "E0000070"},
			{"http.response.status_code": int64(200), "oktaretry.class": "success", "oktaretry.poll": true},
		} {
			want["oktaretry.request_id"], want["oktaretry.duration"], want["network.protocol.version"] = "reqA-1_b", 0.0, "1.1"
			want["oktaretry.bucket"] = got[i]["oktaretry.bucket"]
			rig.Equal(t, "event", got[i], want)
		}
		for _, e := range calls[0].Events() {
			if e.Name == "oktaretry.attempt" && e.Time.Before(begun) {
				t.Errorf("an attempt at %v, before the call", e.Time)
			}
		}
		if _, on := r.Metrics(t)["http.client.request.duration"]; on {
			t.Error("WithAttemptMetrics(false) and http.client.request.duration")
		}
		sc := calls[0].SpanContext()
		rig.Equal(t, "the call's trace context went out", r.Base.Sent()[0].Header["Traceparent"],
			[]string{"00-" + sc.TraceID().String() + "-" + sc.SpanID().String() + "-01"})
	})
}
