// This file holds the metrics that calls record. gauges.go holds those that are
// read from a Transport.

package telemetry

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/oktaretry/oktaretry/internal/route"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/semconv/v1.43.0/httpconv"
)

// metrics are the instruments of a Transport.
type metrics struct {
	callDuration    metric.Float64Histogram
	callAttempts    metric.Int64Histogram
	waitDuration    metric.Float64Histogram
	refusals        metric.Int64Counter
	polls           metric.Int64Counter
	circuitChanges  metric.Int64Counter
	attemptDuration metric.Float64Histogram // nil: off
	gauges          gauges
	meter           metric.Meter
}

// callSeconds reach from a quick answer to half of the ten minutes that a call
// waits by default.
var callSeconds = metric.WithExplicitBucketBoundaries(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)

func newMetrics(m metric.Meter, ofAttempts bool) (metrics, error) {
	x := metrics{meter: m}
	var bad [8]error
	x.callDuration, bad[0] = m.Float64Histogram("oktaretry.call.duration", metric.WithUnit("s"), callSeconds,
		metric.WithDescription("Duration of calls, waits and resends included."))
	x.callAttempts, bad[1] = m.Int64Histogram("oktaretry.call.attempts", metric.WithUnit("{attempt}"),
		metric.WithExplicitBucketBoundaries(0, 1, 2, 3, 4, 5, 10, 20, 50),
		metric.WithDescription("Requests sent for each call."))
	x.waitDuration, bad[2] = m.Float64Histogram("oktaretry.wait.duration", metric.WithUnit("s"), callSeconds,
		metric.WithDescription("Duration of waits, by what was waited for."))
	x.refusals, bad[3] = m.Int64Counter("oktaretry.rate_limit.refusals", metric.WithUnit("{response}"),
		metric.WithDescription("Answers by which a rate limit refused a request."))
	x.polls, bad[4] = m.Int64Counter("oktaretry.polls", metric.WithUnit("{poll}"),
		metric.WithDescription("Requests for the result of a pending answer."))
	x.circuitChanges, bad[5] = m.Int64Counter("oktaretry.circuit.changes", metric.WithUnit("{change}"),
		metric.WithDescription("Changes of the state of circuits."))
	if ofAttempts {
		var h httpconv.ClientRequestDuration
		h, bad[6] = httpconv.NewClientRequestDuration(m,
			metric.WithExplicitBucketBoundaries(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10))
		x.attemptDuration = h.Inst()
	}
	x.gauges, bad[7] = newGauges(m)
	return x, errors.Join(bad[:]...)
}

// countCall counts a call that has ended. Its context may have ended, too; the span
// and the baggage in it are still used.
func (c *Call) countCall(origin Where, end *CallEnd, timed, counted bool) {
	m := &c.t.metrics
	if !timed && !counted {
		return
	}
	l := origin.labels()
	options := l.ends.of(callEnd{end.Class, end.Stop}, func() []attribute.KeyValue {
		return append(origin.attributes(), keyClass.String(end.Class), keyStop.String(end.Stop))
	})
	if timed {
		m.callDuration.Record(c.ctx, end.Elapsed.Seconds(), options...)
	}
	if counted {
		m.callAttempts.Record(c.ctx, int64(end.Attempts), options...)
	}
}

// countAttempt counts an attempt, in the context of its span.
func (c *Call) countAttempt(ctx context.Context, w Where, a *AttemptEnd) {
	h := c.t.metrics.attemptDuration
	end := attemptEnd{status: a.Status, protocol: a.Protocol}
	if a.Status == 0 && !a.Left {
		end.failure = a.failure()
	}
	h.Record(ctx, a.Duration.Seconds(), w.labels().attempts.of(end, func() []attribute.KeyValue {
		list := slices.Clone(w.labels().where) // NewSet sorts in place, and nothing may be appended
		if end.status != 0 {
			list = append(list, semconv.HTTPResponseStatusCode(end.status))
		}
		if kind := a.errorType(); kind != "" && !a.Left {
			list = append(list, semconv.ErrorTypeKey.String(kind))
		}
		if end.protocol != "" {
			list = append(list, semconv.NetworkProtocolVersion(end.protocol))
		}
		return list
	})...)
}

func (c *Call) countWait(w Where, reason string, d time.Duration) {
	if h := c.t.metrics.waitDuration; h.Enabled(c.ctx) {
		h.Record(c.ctx, d.Seconds(), metric.WithAttributeSet(attribute.NewSet(append(w.attributes(),
			keyBucket.String(w.Bucket), keyWaitReason.String(reason))...)))
	}
}

// Refused counts a refusal by a rate limit. kind is what the limit is for: "bucket",
// "resource" or "concurrency".
func (c *Call) Refused(w Where, kind, code string) {
	if n := c.t.metrics.refusals; n.Enabled(c.ctx) {
		n.Add(c.ctx, 1, metric.WithAttributeSet(attribute.NewSet(append(serverAttributes(w.Host, route.Port(w.URL)),
			keyBucket.String(w.Bucket), keyCode.String(code), keyKind.String(kind))...)))
	}
}

func (c *Call) countPoll(w Where) {
	if n := c.t.metrics.polls; n.Enabled(c.ctx) {
		where := slices.Clone(w.labels().where) // NewSet sorts in place
		n.Add(c.ctx, 1, metric.WithAttributeSet(attribute.NewSet(where...)))
	}
}

func (c *Call) countChange(w Where, ch CircuitChange) {
	if n := c.t.metrics.circuitChanges; n.Enabled(c.ctx) {
		n.Add(c.ctx, 1, metric.WithAttributeSet(attribute.NewSet(append(ch.attributes(route.Port(w.URL)),
			keyFrom.String(ch.From), keyTo.String(ch.To))...)))
	}
}
