// This file holds what is told of a store that processes share: that it is
// lost, that it is back, and how long it takes to answer.

package telemetry

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

const (
	keySharedState     = attribute.Key("oktaretry.shared.state") // "lost" or "back"
	keySharedOperation = attribute.Key("oktaretry.shared.operation")
)

// Store is where the use of a store is told.
type Store struct {
	log      *slog.Logger // nil: nothing is logged
	changes  metric.Int64Counter
	duration metric.Float64Histogram
}

func NewStore(c Config) (Store, error) {
	m := c.meter()
	t := Store{log: c.Logger}
	var bad [2]error
	t.changes, bad[0] = m.Int64Counter("oktaretry.shared.changes", metric.WithUnit("{change}"),
		metric.WithDescription("Times that the store which processes share was lost, and was back."))
	t.duration, bad[1] = m.Float64Histogram("oktaretry.shared.duration", metric.WithUnit("s"),
		metric.WithExplicitBucketBoundaries(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1),
		metric.WithDescription("Duration of questions to the store which processes share."))
	return t, errors.Join(bad[:]...)
}

// Asked tells of a question; failure is what went wrong, in one word.
func (t *Store) Asked(ctx context.Context, op string, took time.Duration, failure string) {
	if !t.duration.Enabled(ctx) {
		return
	}
	list := []attribute.KeyValue{keySharedOperation.String(op)}
	if failure != "" {
		list = append(list, semconv.ErrorTypeKey.String(failure))
	}
	t.duration.Record(ctx, took.Seconds(), metric.WithAttributes(list...))
}

// Changed tells that the store is lost, or back; text is what it said.
func (t *Store) Changed(ctx context.Context, lost bool, op, failure, said string) {
	state, level, text := "back", slog.LevelInfo, "oktaretry: shared store back"
	if lost {
		state, level, text = "lost", slog.LevelWarn, "oktaretry: shared store lost, going on with local state"
	}
	t.changes.Add(ctx, 1, metric.WithAttributes(keySharedState.String(state)))
	if t.log == nil || !t.log.Enabled(ctx, level) {
		return
	}
	list := []slog.Attr{slog.String("operation", op)}
	if failure != "" {
		list = append(list, slog.String("kind", failure), slog.String("error", shorten(said)))
	}
	t.log.LogAttrs(ctx, level, text, list...)
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
