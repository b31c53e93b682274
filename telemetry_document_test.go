package oktaretry_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
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
)

// telDocument is TELEMETRY.md: of each table, by the first cell of its head,
// the rows by the word in their first cell.
type telDocument map[string]map[string][]string

var telWords = regexp.MustCompile("`([^`]+)`")

func telReadDocument(t *testing.T) telDocument {
	t.Helper()
	text, err := os.ReadFile("TELEMETRY.md")
	if err != nil {
		t.Fatal(err)
	}
	doc, head := telDocument{}, ""
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

func telListed(cell string) []string {
	var words []string
	for _, m := range telWords.FindAllStringSubmatch(cell, -1) {
		words = append(words, m[1])
	}
	slices.Sort(words)
	return words
}

// telEverything runs calls that report all there is to report.
func telEverything(t *testing.T, r *telRig) {
	step := func(method string, steps ...telStep) {
		r.script, r.sent = steps, nil
		r.do(t.Context(), method, telURL)
	}
	proto := func(next telStep) telStep {
		return func(req *http.Request) (*http.Response, error) {
			resp, err := next(req)
			resp.ProtoMajor, resp.ProtoMinor = 1, 1
			return resp, err
		}
	}
	reset := fmt.Sprint(time.Now().Add(2 * time.Second).Unix())
	limits := []string{"X-Rate-Limit-Limit", "600", "X-Rate-Limit-Remaining", "9", "X-Rate-Limit-Reset", reset, "Date", time.Now().UTC().Format(http.TimeFormat)}
	step("GET", telRateLimited, telDown, proto(telOK))                                                                        // bucket, backoff
	step("GET", telCode(429, "E0000047", "X-Rate-Limit-Limit", "0", "X-Rate-Limit-Remaining", "0"), telCode(404, "E0000007")) // concurrency
	step("GET", telCode(429, "E0000109"), telOK)                                                                              // a resource's own
	step("GET", telPending, telOK)                                                                                            // a poll
	step("POST", telRefused, telAnswer(400, `{"error":"ann"}`))
	step("GET", telCode(500, "E0000009")) // the endpoint's circuit opens; later it closes
	step("GET", telOK)                    // refused
	time.Sleep(time.Minute)
	step("GET", telOK)
	step("GET", telAnswer(502, "")) // the host's does
	time.Sleep(time.Minute)
	for range 12 {
		step("GET", telAnswer(200, "{}", limits...))
		time.Sleep(time.Second)
	}
	reset = fmt.Sprint(time.Now().Add(time.Minute).Unix())
	limits[5], limits[7] = reset, time.Now().UTC().Format(http.TimeFormat)
	step("GET", telAnswer(200, "{}", limits...))
}

func TestTelemetryDocument(t *testing.T) {
	doc := telReadDocument(t)
	synctest.Test(t, func(t *testing.T) {
		r := telNew(t, func(p *oktaretry.Policy) { p.Pace.MaxRate, p.Pace.Burst, p.Breaker.MinCalls = 20, 1, 4 }, telOK)
		telEverything(t, r)
		telDocumentMetrics(t, doc, r.metrics(t))
		telDocumentSpans(t, doc, r.spans.Ended())
		telDocumentLines(t, doc, r.lines(t))
	})
}

func telDocumentMetrics(t *testing.T, doc telDocument, got map[string]metricdata.Metrics) {
	listed := doc["metric kind"]
	telEqual(t, "metrics", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(listed)))
	for name, m := range got {
		row := listed[name]
		if len(row) != 5 {
			continue
		}
		telEqual(t, name+"'s kind", telKind(m), row[1])
		telEqual(t, name+"'s unit", "`"+m.Unit+"`", row[2])
		if m.Description == "" {
			t.Errorf("%s has no description", name)
		}
		keys := map[string]bool{}
		for _, set := range telLabels(m) {
			for key, value := range set {
				keys[key] = true
				if values, ok := doc["attribute values"][key]; ok && !slices.Contains(telListed(values[1]), fmt.Sprint(value)) {
					t.Errorf("%s: %s is %v, which is not listed", name, key, value)
				}
			}
		}
		telEqual(t, name+"'s attributes", slices.Sorted(maps.Keys(keys)), telListed(row[3]))
	}
}

func telDocumentSpans(t *testing.T, doc telDocument, spans []sdktrace.ReadOnlySpan) {
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
	telEqual(t, "span attributes", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(listed)))
	for key, on := range got {
		if row := listed[key]; len(row) == 4 {
			want := strings.Split(row[1], ", ")
			slices.Sort(want)
			telEqual(t, key+" is on", slices.Sorted(maps.Keys(on)), want)
		}
	}
	for name, keys := range events {
		row := doc["event on"][name]
		if row == nil {
			t.Errorf("event %s is not listed", name)
			continue
		}
		telEqual(t, name+"'s attributes", slices.Sorted(maps.Keys(keys)), telListed(row[3]))
	}
	if len(events) != 2 { // oktaretry.attempt has a test of its own
		t.Errorf("events: %v", events)
	}
}

func telDocumentLines(t *testing.T, doc telDocument, lines []map[string]any) {
	common := []string{"level", "msg", "time", "method", "host", "template", "trace_id", "span_id"}
	seen := map[string]bool{}
	for _, l := range lines {
		text := fmt.Sprint(l["msg"])
		if strings.HasPrefix(text, "oktaretry: circuit ") {
			text = "oktaretry: circuit open"
		}
		row := doc["message level"][text]
		if row == nil {
			t.Errorf("line %q is not listed", text)
			continue
		}
		seen[text] = true
		telEqual(t, text+"'s level", l["level"], any(row[1]))
		want := append(telListed(row[3]), common...)
		slices.Sort(want)
		telEqual(t, text+"'s attributes", slices.Sorted(maps.Keys(l)), want)
	}
	telEqual(t, "lines", slices.Sorted(maps.Keys(seen)), slices.Sorted(maps.Keys(doc["message level"])))
}

// Every reason, class and state that has a name is listed under it.
func TestTelemetryDocumentListsEveryWord(t *testing.T) {
	doc := telReadDocument(t)
	has := func(key, word string) {
		if !slices.Contains(telListed(doc["attribute on"][key][3]), word) {
			t.Errorf("%s: %s is not listed", key, word)
		}
	}
	for s := oktaretry.StopNone; s.String() != "unknown"; s++ {
		has("oktaretry.stop", s.String())
	}
	for c := oktaretry.ClassSuccess; c.String() != "unknown"; c++ {
		has("oktaretry.class", c.String())
	}
	reasons := telListed(doc["attribute values"]["oktaretry.wait.reason"][1])
	for w := oktaretry.WaitRateLimit; w.String() != "unknown"; w++ {
		if !slices.Contains(reasons, w.String()) {
			t.Errorf("wait reason %s is not listed", w)
		}
	}
}

func telKind(m metricdata.Metrics) string {
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
		r := telNew(t, nil, telDown, telPending, telOK)
		r.with(t, oktaretry.WithAttemptSpans(false), oktaretry.WithAttemptMetrics(false))
		begun := time.Now()
		if err := r.do(t.Context(), "GET", telURL); err != nil {
			t.Fatal(err)
		}
		calls, attempts := r.split(t)
		telEqual(t, "attempt spans", len(attempts), 0)
		got := telEvents(calls[0], "oktaretry.attempt")
		for i, want := range []map[string]any{
			{"http.response.status_code": int64(503), "error.type": "503", "oktaretry.class": "server-error", "oktaretry.code": "E0000009"},
			{"http.response.status_code": int64(202), "oktaretry.class": "pending", "oktaretry.code": "E0000070"},
			{"http.response.status_code": int64(200), "oktaretry.class": "success", "oktaretry.poll": true},
		} {
			want["oktaretry.request_id"], want["oktaretry.duration"] = "reqA-1_b", 0.0
			want["oktaretry.bucket"] = got[i]["oktaretry.bucket"]
			telEqual(t, "event", got[i], want)
		}
		for _, e := range calls[0].Events() {
			if e.Name == "oktaretry.attempt" && e.Time.Before(begun) {
				t.Errorf("an attempt at %v, before the call", e.Time)
			}
		}
		if _, on := r.metrics(t)["http.client.request.duration"]; on {
			t.Error("WithAttemptMetrics(false) and http.client.request.duration")
		}
		sc := calls[0].SpanContext()
		telEqual(t, "the call's trace context went out", r.sent[0].Header["Traceparent"],
			[]string{"00-" + sc.TraceID().String() + "-" + sc.SpanID().String() + "-01"})
	})
}

func TestLogThreshold(t *testing.T) {
	for _, tt := range []struct {
		from time.Duration
		want int
	}{{0, 2}, {time.Second, 1}, {time.Minute, 0}} {
		synctest.Test(t, func(t *testing.T) {
			r := telNew(t, nil, telDown, telRateLimited, telOK) // waits of 0.5 s and 7 s
			r.with(t, oktaretry.WithLogThreshold(tt.from))
			r.do(t.Context(), "GET", telURL)
			telEqual(t, fmt.Sprint("lines from ", tt.from), len(r.lines(t)), tt.want)
		})
	}
	if _, err := oktaretry.NewTransport(nil, oktaretry.WithLogThreshold(-1)); err == nil {
		t.Error("a negative threshold is accepted")
	}
}

// A handler that is not enabled costs no line, and none of its parts.
func TestNothingIsBuiltForALogThatDoesNotListen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := telNew(t, nil, telRateLimited, telOK)
		r.with(t, oktaretry.WithLogger(slog.New(deafHandler{t})))
		r.do(t.Context(), "GET", telURL)
	})
}

type deafHandler struct{ t *testing.T }

func (h deafHandler) Enabled(context.Context, slog.Level) bool { return false }
func (h deafHandler) Handle(_ context.Context, r slog.Record) error {
	b, _ := json.Marshal(r.Message)
	h.t.Errorf("a line for nobody: %s", b)
	return nil
}
func (h deafHandler) WithAttrs([]slog.Attr) slog.Handler { return h }
func (h deafHandler) WithGroup(string) slog.Handler      { return h }

// What is told of a store stands in a table of its own, for it comes with
// WithShared only.
func TestTelemetryDocumentOfSharedState(t *testing.T) {
	doc := telReadDocument(t)["name what"]
	synctest.Test(t, func(t *testing.T) {
		store := newSickStore(t)
		r := telNew(t, func(p *oktaretry.Policy) { p.Breaker.MinCalls = 2 }, telOK)
		r.with(t, oktaretry.WithShared(store))
		step := func(steps ...telStep) {
			r.script, r.sent = steps, nil
			r.do(t.Context(), "GET", telURL)
			time.Sleep(3 * time.Second)
		}
		step(telOK)
		step(telDown, telDown, telDown)
		time.Sleep(time.Minute)
		step(telOK) // a probe
		for _, i := range []illness{hung, failing, panicking, absurdCircuits, well} {
			store.becomes(i)
			step(telOK)
			store.becomes(well)
			step(telOK)
		}
		words := map[string]map[string]bool{}
		for name, m := range r.metrics(t) {
			if !strings.HasPrefix(name, "oktaretry.shared.") {
				continue
			}
			words[name] = map[string]bool{}
			for _, set := range telLabels(m) {
				for key, value := range set {
					words[name][key], words[name][fmt.Sprint(value)] = true, true
				}
			}
			if row := doc[name]; row != nil {
				telEqual(t, name, telKind(m)+", `"+m.Unit+"`", row[1])
			}
		}
		for _, l := range r.lines(t) {
			text := fmt.Sprint(l["msg"])
			if !strings.HasPrefix(text, "oktaretry: shared store") {
				continue
			}
			words[text] = map[string]bool{}
			if _, failed := l["kind"]; failed {
				words[text]["error.type"] = true // which says what kinds there are
			}
			for key := range l {
				if key != "msg" && key != "time" && key != "level" {
					words[text][key] = true
				}
			}
			if row := doc[text]; row != nil {
				telEqual(t, text, "log line, "+fmt.Sprint(l["level"]), row[1])
			}
		}
		telEqual(t, "what is told of the store", slices.Sorted(maps.Keys(words)), slices.Sorted(maps.Keys(doc)))
		for name, row := range doc {
			telEqual(t, name+"'s words", slices.Sorted(maps.Keys(words[name])), telListed(row[2]))
		}
	})
}
