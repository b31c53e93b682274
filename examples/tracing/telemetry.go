// This file sets up OpenTelemetry and the log as a program would: one place,
// standard parts.

package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/oktaretry/oktaretry/examples/internal/spantree"
)

// telemetry is where the program's traces, metrics and log lines go.
type telemetry struct {
	tracers *sdktrace.TracerProvider
	meters  *sdkmetric.MeterProvider
	logger  *slog.Logger
	handler http.Handler // serves the metrics

	spans *spantree.Collector // to print them
	log   *bytes.Buffer       // to print it; read while no call is running
}

// newTelemetry sends what goes out over a network; nil is the exporters' own, which
// the environment shapes.
func newTelemetry(ctx context.Context, network http.RoundTripper) (*telemetry, error) {
	t := &telemetry{spans: new(spantree.Collector), log: new(bytes.Buffer)}

	// The service's name comes from here, or from OTEL_SERVICE_NAME.
	about, err := resource.New(ctx, resource.WithAttributes(attribute.String("service.name", "directory-sync")),
		resource.WithFromEnv(), resource.WithTelemetrySDK())
	if err != nil {
		return nil, err
	}
	traces := []sdktrace.TracerProviderOption{sdktrace.WithResource(about), sdktrace.WithSpanProcessor(t.spans)}

	registry := prometheus.NewRegistry()
	scraped, err := otelprometheus.New(otelprometheus.WithRegisterer(registry))
	if err != nil {
		return nil, err
	}
	metrics := []sdkmetric.Option{sdkmetric.WithResource(about), sdkmetric.WithReader(scraped)}
	// OpenMetrics is what carries exemplars: the trace of one call in each
	// bucket of a histogram.
	t.handler = promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true})

	// The exporters read the rest of the OTEL_EXPORTER_OTLP_ variables themselves.
	if os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" {
		var forSpans []otlptracehttp.Option
		var forNumbers []otlpmetrichttp.Option
		if network != nil {
			client := &http.Client{Transport: network}
			forSpans = append(forSpans, otlptracehttp.WithHTTPClient(client))
			forNumbers = append(forNumbers, otlpmetrichttp.WithHTTPClient(client))
		}
		spans, err := otlptracehttp.New(ctx, forSpans...)
		if err != nil {
			return nil, err
		}
		numbers, err := otlpmetrichttp.New(ctx, forNumbers...)
		if err != nil {
			return nil, err
		}
		traces = append(traces, sdktrace.WithBatcher(spans))
		metrics = append(metrics, sdkmetric.WithReader(sdkmetric.NewPeriodicReader(numbers)))
	}
	t.tracers = sdktrace.NewTracerProvider(traces...)
	t.meters = sdkmetric.NewMeterProvider(metrics...)

	t.logger = slog.New(slog.NewTextHandler(t.log, &slog.HandlerOptions{ReplaceAttr: withoutTime}))
	return t, nil
}

// shutdown sends what has not gone out yet.
func (t *telemetry) shutdown(ctx context.Context) error {
	return errors.Join(t.tracers.Shutdown(ctx), t.meters.Shutdown(ctx))
}

// withoutTime leaves the time out of the lines, for room: the trees have it.
func withoutTime(groups []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey && len(groups) == 0 {
		return slog.Attr{}
	}
	return a
}
