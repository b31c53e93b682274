// This file holds the metrics that calls write as they go. telemetry_gauges.go
// holds those that are read off the Transport.

package oktaretry

import (
	"context"
	"errors"
	"slices"

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

// A call waits up to ten minutes at most by default, and ends within seconds
// when all is well.
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
		metric.WithDescription("Answers that refused a request because of a rate limit."))
	x.polls, bad[4] = m.Int64Counter("oktaretry.polls", metric.WithUnit("{poll}"),
		metric.WithDescription("Requests that asked for the result of a pending answer."))
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

// countCall counts a call that has ended, under the endpoint that the caller
// called. The context is over, perhaps; its span and baggage still count.
func (c *call) countCall() {
	m, o := &c.t.telemetry.metrics, &c.outcome
	timed, counted := m.callDuration.Enabled(c.ctx), m.callAttempts.Enabled(c.ctx)
	if !timed && !counted {
		return
	}
	l := c.origin.labels(c.req.URL)
	options := l.ends.of(callEnd{o.Class, o.Stop}, func() []attribute.KeyValue {
		return append(l.where[:len(l.where):len(l.where)], keyClass.String(o.Class.String()), keyStop.String(o.Stop.String()))
	})
	if timed {
		m.callDuration.Record(c.ctx, o.Elapsed.Seconds(), options...)
	}
	if counted {
		m.callAttempts.Record(c.ctx, int64(len(o.Attempts)), options...)
	}
}

// countAttempt counts an attempt, in the context of its span.
func (c *call) countAttempt(ctx context.Context, a *Attempt, left bool) {
	h := c.t.telemetry.metrics.attemptDuration
	if h == nil || !h.Enabled(ctx) {
		return
	}
	end := attemptEnd{status: a.Status, protocol: protocolVersion(c.answer.resp)}
	if a.Status == 0 && !left {
		end.failure = failureType(a.Classification, a.Err)
	}
	l := c.endpoint.labels(c.target)
	h.Record(ctx, a.Duration.Seconds(), l.attempts.of(end, func() []attribute.KeyValue {
		list := slices.Clone(l.where) // NewSet sorts what it gets, and there may be nothing to append
		if end.status != 0 {
			list = append(list, semconv.HTTPResponseStatusCode(end.status))
		}
		if kind := errorType(a.Classification, a.Err); kind != "" && !left {
			list = append(list, semconv.ErrorTypeKey.String(kind))
		}
		if end.protocol != "" {
			list = append(list, semconv.NetworkProtocolVersion(end.protocol))
		}
		return list
	})...)
}

func (c *call) countWait(w Wait) {
	h := c.t.telemetry.metrics.waitDuration
	if h.Enabled(c.ctx) {
		where := c.endpoint.labels(c.target).where
		h.Record(c.ctx, w.Duration.Seconds(), metric.WithAttributeSet(attribute.NewSet(append(where[:len(where):len(where)],
			keyBucket.String(c.route.Bucket), keyWaitReason.String(w.Reason.String()))...)))
	}
}

// countRefusal counts an answer that a rate limit gave, by what the limit is of.
func (c *call) countRefusal() {
	n := c.t.telemetry.metrics.refusals
	if !n.Enabled(c.ctx) {
		return
	}
	kind := "bucket"
	switch a := &c.answer; {
	case local(a.Code):
		kind = "resource"
	case a.limits.Concurrency():
		kind = "concurrency"
	}
	n.Add(c.ctx, 1, metric.WithAttributeSet(attribute.NewSet(append(serverAttributes(c.endpoint.key.host, serverPort(c.target)),
		keyBucket.String(c.route.Bucket), keyCode.String(countedCode(c.answer.Code)), keyKind.String(kind))...)))
}

func (c *call) countPoll() {
	n := c.t.telemetry.metrics.polls
	if n.Enabled(c.ctx) {
		where := slices.Clone(c.endpoint.labels(c.target).where) // NewSet sorts it in place
		n.Add(c.ctx, 1, metric.WithAttributeSet(attribute.NewSet(where...)))
	}
}

func (c *call) countChange(ch circuitChange) {
	n := c.t.telemetry.metrics.circuitChanges
	if n.Enabled(c.ctx) {
		n.Add(c.ctx, 1, metric.WithAttributeSet(attribute.NewSet(append(circuitAttributes(ch.id, serverPort(c.target)),
			keyFrom.String(ch.from.String()), keyTo.String(ch.to.String()))...)))
	}
}
