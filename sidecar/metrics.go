// This file holds the sidecar's own metrics; those of the calls are the transport's.

package sidecar

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/oktaretry/oktaretry"
)

type metrics struct {
	active  metric.Int64UpDownCounter
	refused metric.Int64Counter
	answers metric.Int64Counter
}

func newMetrics(p metric.MeterProvider) (*metrics, error) {
	if p == nil {
		p = noop.NewMeterProvider()
	}
	m := p.Meter("github.com/oktaretry/oktaretry/sidecar", metric.WithInstrumentationVersion(oktaretry.Version))
	active, err1 := m.Int64UpDownCounter("oktaretry.sidecar.active", metric.WithUnit("{call}"),
		metric.WithDescription("Calls in flight and in line."))
	refused, err2 := m.Int64Counter("oktaretry.sidecar.refused", metric.WithUnit("{request}"),
		metric.WithDescription("Requests that were refused and not sent to Okta."))
	answers, err3 := m.Int64Counter("oktaretry.sidecar.answers", metric.WithUnit("{answer}"),
		metric.WithDescription("Errors that the sidecar answered with in Okta's place."))
	return &metrics{active, refused, answers}, errors.Join(err1, err2, err3)
}

func (m *metrics) refusedFor(reason string) {
	m.refused.Add(context.Background(), 1, metric.WithAttributes(attribute.String("oktaretry.sidecar.reason", reason)))
}

func (m *metrics) answered(kind string) {
	m.answers.Add(context.Background(), 1, metric.WithAttributes(attribute.String("error.type", kind)))
}
