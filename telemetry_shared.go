// This file holds what is told of a store that processes share: that it is
// lost, that it is back, and how long it takes to answer.

package oktaretry

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

const (
	keySharedState     = attribute.Key("oktaretry.shared.state") // "lost" or "back"
	keySharedOperation = attribute.Key("oktaretry.shared.operation")
)

// The operations of a store.
const (
	opLease    = "lease"
	opCircuits = "circuits"
	opProbe    = "probe"
	opReport   = "report"
)

// sharedTelemetry is where the use of a store is told.
type sharedTelemetry struct {
	log      *slog.Logger // nil: nothing is logged
	changes  metric.Int64Counter
	duration metric.Float64Histogram
}

func newSharedTelemetry(c config) (sharedTelemetry, error) {
	if c.meters == nil {
		c.meters = otel.GetMeterProvider()
	}
	m := c.meters.Meter(scopeName, metric.WithSchemaURL(semconv.SchemaURL))
	t := sharedTelemetry{log: c.logger}
	var bad [2]error
	t.changes, bad[0] = m.Int64Counter("oktaretry.shared.changes", metric.WithUnit("{change}"),
		metric.WithDescription("Times that the store which processes share was lost, and was back."))
	t.duration, bad[1] = m.Float64Histogram("oktaretry.shared.duration", metric.WithUnit("s"),
		metric.WithExplicitBucketBoundaries(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1),
		metric.WithDescription("Duration of questions to the store which processes share."))
	return t, errors.Join(bad[:]...)
}

// asked tells of a question.
func (t *sharedTelemetry) asked(ctx context.Context, op string, took time.Duration, err error) {
	if !t.duration.Enabled(ctx) {
		return
	}
	list := []attribute.KeyValue{keySharedOperation.String(op)}
	if err != nil {
		list = append(list, semconv.ErrorTypeKey.String(sharedFailure(err)))
	}
	t.duration.Record(ctx, took.Seconds(), metric.WithAttributes(list...))
}

// changed tells that the store is lost, or back.
func (t *sharedTelemetry) changed(ctx context.Context, lost bool, op string, err error) {
	state, level, text := "back", slog.LevelInfo, "oktaretry: shared store back"
	if lost {
		state, level, text = "lost", slog.LevelWarn, "oktaretry: shared store lost, going on with local state"
	}
	t.changes.Add(ctx, 1, metric.WithAttributes(keySharedState.String(state)))
	if t.log == nil || !t.log.Enabled(ctx, level) {
		return
	}
	list := []slog.Attr{slog.String("operation", op)}
	if err != nil {
		list = append(list, slog.String("kind", sharedFailure(err)), slog.String("error", shorten(shownText(err.Error()))))
	}
	t.log.LogAttrs(ctx, level, text, list...)
}

// sharedFailure is what went wrong, in one word.
func sharedFailure(err error) string {
	var panicked *sharedPanic
	switch {
	case errors.Is(err, errSharedTimeout):
		return "timeout"
	case errors.Is(err, errSharedAbsurd):
		return "absurd"
	case errors.As(err, &panicked):
		return "panic"
	}
	return "error"
}

// shorten bounds a text that the store has made. It speaks of the store, which
// is told neither a path nor a credential of Okta's; what a URL in it says of the
// store's own is cut before.
func shorten(text string) string {
	const most = 200
	if len(text) > most {
		return text[:most] + "…"
	}
	return text
}
