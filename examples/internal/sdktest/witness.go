// This file holds a witness of all that a Transport tells.

package sdktest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/oktaretry/oktaretry"
)

// Witness hears the spans, metrics and log lines of a Transport.
type Witness struct {
	spans   *tracetest.SpanRecorder
	metrics *metric.ManualReader
	log     bytes.Buffer // written by one handler, which locks
}

// NewWitness returns a Witness that has heard nothing.
func NewWitness() *Witness {
	return &Witness{spans: tracetest.NewSpanRecorder(), metrics: metric.NewManualReader()}
}

// Options have a Transport tell w.
func (w *Witness) Options() []oktaretry.Option {
	return []oktaretry.Option{
		oktaretry.WithTracerProvider(trace.NewTracerProvider(trace.WithSpanProcessor(w.spans))),
		oktaretry.WithMeterProvider(metric.NewMeterProvider(metric.WithReader(w.metrics))),
		oktaretry.WithLogger(slog.New(slog.NewTextHandler(&w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))),
	}
}

// CheckSilence fails the test if w has heard one of the secrets, or nothing at
// all of spans, metrics or log lines.
func (w *Witness) CheckSilence(t *testing.T, secrets ...string) {
	t.Helper()
	var spans strings.Builder
	for _, s := range w.spans.Ended() {
		fmt.Fprintln(&spans, s.Name(), s.Attributes(), s.Events(), s.Status())
	}
	var all metricdata.ResourceMetrics
	if err := w.metrics.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	metrics, err := json.Marshal(all.ScopeMetrics)
	if err != nil {
		t.Fatal(err)
	}
	for kind, heard := range map[string]string{
		"spans": spans.String(), "metrics": string(metrics), "log": w.log.String(),
	} {
		if !strings.Contains(heard, "/api/v1/users") {
			t.Errorf("the %s tell nothing: %q", kind, heard)
		}
		for _, secret := range secrets {
			if strings.Contains(heard, secret) {
				t.Errorf("the %s tell %q:\n%s", kind, secret, heard)
			}
		}
	}
}
