package main

// This file is an OpenTelemetry collector's receiver for OTLP over HTTP, as
// far as a test needs one, and what the example is held to send to it.

import (
	"encoding/hex"
	"io"
	"net/http"
	"strings"
	gosync "sync"
	"testing"

	collectormetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	collectortrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// collector keeps what it is sent.
type collector struct {
	mu       gosync.Mutex
	services map[string]bool
	spans    []*trace.Span
	metrics  map[string]bool
	bad      []string
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var answer proto.Message
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err != nil:
		c.bad = append(c.bad, err.Error())
	case r.Header.Get("Content-Type") != "application/x-protobuf":
		c.bad = append(c.bad, r.URL.Path+" of type "+r.Header.Get("Content-Type"))
	case r.URL.Path == "/v1/traces":
		answer = new(collectortrace.ExportTraceServiceResponse)
		c.addTraces(body)
	case r.URL.Path == "/v1/metrics":
		answer = new(collectormetrics.ExportMetricsServiceResponse)
		c.addMetrics(body)
	default:
		c.bad = append(c.bad, "nothing is at "+r.URL.Path)
	}
	if answer == nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	b, _ := proto.Marshal(answer) // an empty message
	w.Header().Set("Content-Type", "application/x-protobuf")
	w.Write(b)
}

func (c *collector) addTraces(body []byte) {
	var request collectortrace.ExportTraceServiceRequest
	if err := proto.Unmarshal(body, &request); err != nil {
		c.bad = append(c.bad, err.Error())
	}
	for _, resource := range request.ResourceSpans {
		c.addService(resource.Resource.GetAttributes())
		for _, scope := range resource.ScopeSpans {
			c.spans = append(c.spans, scope.Spans...)
		}
	}
}

func (c *collector) addMetrics(body []byte) {
	var request collectormetrics.ExportMetricsServiceRequest
	if err := proto.Unmarshal(body, &request); err != nil {
		c.bad = append(c.bad, err.Error())
	}
	if c.metrics == nil {
		c.metrics = map[string]bool{}
	}
	for _, resource := range request.ResourceMetrics {
		c.addService(resource.Resource.GetAttributes())
		for _, scope := range resource.ScopeMetrics {
			for _, m := range scope.Metrics {
				c.metrics[m.Name] = true
			}
		}
	}
}

func (c *collector) addService(about []*common.KeyValue) {
	if c.services == nil {
		c.services = map[string]bool{}
	}
	c.services[text(about, "service.name")+" in "+text(about, "deployment.environment.name")] = true
}

func text(list []*common.KeyValue, key string) string {
	for _, kv := range list {
		if kv.Key == key {
			return kv.Value.GetStringValue()
		}
	}
	return ""
}

// TestOTLPSaysTheSame: the collector has every trace that was printed, whole,
// and every metric.
func TestOTLPSaysTheSame(t *testing.T) {
	p := thePlay(t)
	c := p.collector
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.bad) > 0 {
		t.Errorf("bad requests: %q", c.bad)
	}
	if len(c.services) != 1 || !c.services["directory-sync in test"] {
		t.Errorf("services %v, want directory-sync in test only", c.services)
	}

	byID, traces := map[string]*trace.Span{}, map[string]int{}
	for _, s := range c.spans {
		byID[hex.EncodeToString(s.SpanId)] = s
		traces[hex.EncodeToString(s.TraceId)]++
	}
	for line := range strings.Lines(p.text) {
		if id, found := strings.CutPrefix(strings.TrimSpace(line), "trace "); found && traces[id] < 3 {
			t.Errorf("trace %s has %d spans, want the step's, a call's and an attempt's at least", id, traces[id])
		}
	}
	waits, changes := 0, 0
	for _, s := range c.spans {
		call := strings.HasPrefix(s.Name, "oktaretry ")
		parent := byID[hex.EncodeToString(s.ParentSpanId)]
		switch s.Kind {
		case trace.Span_SPAN_KIND_CLIENT:
			if parent == nil || !strings.HasPrefix(parent.Name, "oktaretry ") {
				t.Errorf("attempt %q is below %v, want a call", s.Name, parent)
			}
			if text(s.Attributes, "url.template") == "" {
				t.Errorf("attempt %q has no url.template", s.Name)
			}
		case trace.Span_SPAN_KIND_INTERNAL:
			if call && (parent == nil || text(s.Attributes, "oktaretry.stop") == "") {
				t.Errorf("call %q has no parent or no oktaretry.stop", s.Name)
			}
		default:
			t.Errorf("span %q is of kind %v", s.Name, s.Kind)
		}
		for _, e := range s.Events {
			switch {
			case e.TimeUnixNano < s.StartTimeUnixNano || e.TimeUnixNano > s.EndTimeUnixNano:
				t.Errorf("event %s lies outside of its span %q", e.Name, s.Name)
			case e.Name == "oktaretry.wait":
				waits++
			case e.Name == "oktaretry.circuit" && text(e.Attributes, "oktaretry.circuit.scope") == "host":
				changes++
			}
		}
	}
	if waits < 10 || changes < 3*rounds {
		t.Errorf("%d waits and %d changes of the host's circuit, want ten and %d at least", waits, changes, 3*rounds)
	}
	for _, name := range []string{"oktaretry.call.duration", "oktaretry.bucket.utilization", "http.client.request.duration"} {
		if !c.metrics[name] {
			t.Errorf("no metric %s", name)
		}
	}
}
