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
	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/internal/rig/script"
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
func telEverything(t *testing.T, r *rig.Observed) {
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
	step("GET", script.Limited(script.Set("Retry-After", "7")), script.Down(), proto(script.OK())) // bucket, backoff
	step("GET", script.Concurrency(), script.Code(404, "E0000007"))                                // concurrency
	step("GET", script.Code(429, "E0000109"), script.OK())                                         // a resource's own
	step("GET", script.Pending("/api/v1/users/00u1/factors/f1/transactions/t1"), script.OK())      // a poll
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
	reset = fmt.Sprint(time.Now().Add(time.Minute).Unix())
	limits[5], limits[7] = reset, time.Now().UTC().Format(http.TimeFormat)
	step("GET", script.Reply(200, "{}", script.Headers(limits...)))
}

func TestTelemetryDocument(t *testing.T) {
	doc := telReadDocument(t)
	synctest.Test(t, func(t *testing.T) {
		r := rig.Observe(t, func(p *oktaretry.Policy) { p.Pace.MaxRate, p.Pace.Burst, p.Breaker.MinCalls = 20, 1, 4 }, script.OK())
		telEverything(t, r)
		telDocumentMetrics(t, doc, r.Metrics(t))
		telDocumentSpans(t, doc, r.Spans.Ended())
		telDocumentLines(t, doc, r.Lines(t))
	})
}

func telDocumentMetrics(t *testing.T, doc telDocument, got map[string]metricdata.Metrics) {
	listed := doc["metric kind"]
	rig.Equal(t, "metrics", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(listed)))
	for name, m := range got {
		row := listed[name]
		if len(row) != 5 {
			continue
		}
		rig.Equal(t, name+"'s kind", telKind(m), row[1])
		rig.Equal(t, name+"'s unit", "`"+m.Unit+"`", row[2])
		if m.Description == "" {
			t.Errorf("%s has no description", name)
		}
		keys := map[string]bool{}
		for _, set := range rig.Labels(m) {
			for key, value := range set {
				keys[key] = true
				if values, ok := doc["attribute values"][key]; ok && !slices.Contains(telListed(values[1]), fmt.Sprint(value)) {
					t.Errorf("%s: %s is %v, which is not listed", name, key, value)
				}
			}
		}
		rig.Equal(t, name+"'s attributes", slices.Sorted(maps.Keys(keys)), telListed(row[3]))
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
		rig.Equal(t, name+"'s attributes", slices.Sorted(maps.Keys(keys)), telListed(row[3]))
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
		rig.Equal(t, text+"'s level", l["level"], any(row[1]))
		want := append(telListed(row[3]), common...)
		slices.Sort(want)
		rig.Equal(t, text+"'s attributes", slices.Sorted(maps.Keys(l)), want)
	}
	rig.Equal(t, "lines", slices.Sorted(maps.Keys(seen)), slices.Sorted(maps.Keys(doc["message level"])))
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
		id := script.Set("X-Okta-Request-Id", "reqA-1_b")
		r := rig.Observe(t, nil, script.Down().With(id), script.Pending("/api/v1/users/00u1/factors/f1/transactions/t1").With(id), script.OK().With(id))
		r.With(t, oktaretry.WithAttemptSpans(false), oktaretry.WithAttemptMetrics(false))
		begun := time.Now()
		if err := r.Do(t.Context(), "GET", rig.UserURL); err != nil {
			t.Fatal(err)
		}
		calls, attempts := r.Ended(t)
		rig.Equal(t, "attempt spans", len(attempts), 0)
		got := rig.Events(calls[0], "oktaretry.attempt")
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

func TestLogThreshold(t *testing.T) {
	for _, tt := range []struct {
		from time.Duration
		want int
	}{{0, 2}, {time.Second, 1}, {time.Minute, 0}} {
		synctest.Test(t, func(t *testing.T) {
			r := rig.Observe(t, nil, script.Down(), script.Limited(script.Set("Retry-After", "7")), script.OK()) // waits of 0.5 s and 7 s
			r.With(t, oktaretry.WithLogThreshold(tt.from))
			r.Do(t.Context(), "GET", rig.UserURL)
			rig.Equal(t, fmt.Sprint("lines from ", tt.from), len(r.Lines(t)), tt.want)
		})
	}
	if _, err := oktaretry.NewTransport(nil, oktaretry.WithLogThreshold(-1)); err == nil {
		t.Error("a negative threshold is accepted")
	}
}

// A handler that is not enabled costs no line, and none of its parts.
func TestNothingIsBuiltForALogThatDoesNotListen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rig.Observe(t, nil, script.Limited(script.Set("Retry-After", "7")), script.OK())
		r.With(t, oktaretry.WithLogger(slog.New(deafHandler{t})))
		r.Do(t.Context(), "GET", rig.UserURL)
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
		r := rig.Observe(t, func(p *oktaretry.Policy) { p.Breaker.MinCalls = 2 }, script.OK())
		r.With(t, oktaretry.WithShared(store))
		step := func(steps ...script.Step) {
			r.Base.Repeat(steps...)
			r.Do(t.Context(), "GET", rig.UserURL)
			time.Sleep(3 * time.Second)
		}
		step(script.OK())
		step(script.Down(), script.Down(), script.Down())
		time.Sleep(time.Minute)
		step(script.OK()) // a probe
		for _, i := range []illness{hung, failing, panicking, absurdCircuits, well} {
			store.becomes(i)
			step(script.OK())
			store.becomes(well)
			step(script.OK())
		}
		words := map[string]map[string]bool{}
		for name, m := range r.Metrics(t) {
			if !strings.HasPrefix(name, "oktaretry.shared.") {
				continue
			}
			words[name] = map[string]bool{}
			for _, set := range rig.Labels(m) {
				for key, value := range set {
					words[name][key], words[name][fmt.Sprint(value)] = true, true
				}
			}
			if row := doc[name]; row != nil {
				rig.Equal(t, name, telKind(m)+", `"+m.Unit+"`", row[1])
			}
		}
		for _, l := range r.Lines(t) {
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
				rig.Equal(t, text, "log line, "+fmt.Sprint(l["level"]), row[1])
			}
		}
		rig.Equal(t, "what is told of the store", slices.Sorted(maps.Keys(words)), slices.Sorted(maps.Keys(doc)))
		for name, row := range doc {
			rig.Equal(t, name+"'s words", slices.Sorted(maps.Keys(words[name])), telListed(row[2]))
		}
	})
}
