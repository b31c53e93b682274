// This file holds the reports on a store that processes share: its losses, its
// returns, and how long it takes to answer.

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

// Store reports the use of a store. It is safe for concurrent use.
type Store struct {
	log      *slog.Logger // nil: nothing is logged
	changes  metric.Int64Counter
	duration metric.Float64Histogram
}

// NewStore returns a Store, or the error of a provider that refuses an instrument.
func NewStore(c Config) (Store, error) {
	m := c.meter()
	t := Store{log: c.Logger}
	var bad [2]error
	t.changes, bad[0] = m.Int64Counter("oktaretry.shared.changes", metric.WithUnit("{change}"),
		metric.WithDescription("Losses and returns of the store that processes share."))
	t.duration, bad[1] = m.Float64Histogram("oktaretry.shared.duration", metric.WithUnit("s"),
		metric.WithExplicitBucketBoundaries(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1),
		metric.WithDescription("Duration of requests to the store that processes share."))
	return t, errors.Join(bad[:]...)
}

// Asked records a request to the store; failure is the kind of its error, or "".
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

// Changed reports that the store is lost, or back. failure is the kind of the error
// that lost it, and reason its text.
func (t *Store) Changed(ctx context.Context, lost bool, op, failure, reason string) {
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
		list = append(list, slog.String("kind", failure), slog.String("error", shorten(reason)))
	}
	t.log.LogAttrs(ctx, level, text, list...)
}

// shorten bounds the text of a store's error. A store gets neither a path nor a
// credential of Okta's, and its own URLs are reduced to their host before.
func shorten(text string) string {
	const most = 200
	if len(text) > most {
		return text[:most] + "…"
	}
	return text
}
