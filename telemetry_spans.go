// This file holds the spans: one for the call, with its waits and changes of
// circuits as events, and one for each attempt.

package oktaretry

import (
	"context"
	"errors"
	"net/http"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// noSpan is the span of a call that nobody traces.
var noSpan = trace.SpanFromContext(context.Background())

// startCall opens the span of the whole call.
func (c *call) startCall() {
	t := c.t.telemetry
	c.span = noSpan
	if !t.tracing() {
		return
	}
	var provider trace.TracerProvider
	if t.global {
		provider = otel.GetTracerProvider()
	}
	l := c.endpoint.labels(c.target)
	parent := trace.SpanContextFromContext(c.ctx)
	c.ctx, c.span = t.tracer.Start(c.ctx, l.callName, l.callStart...)
	c.traced = true
	if c.span.IsRecording() {
		c.now = time.Now() // no wait begins before the span
	}
	if t.global {
		t.heard(provider, c.span, parent)
	}
}

// endCall closes the span of the call, and has it counted and logged.
func (c *call) endCall() {
	o := &c.outcome
	failed := (o.Status >= 400 || o.Err != nil) && !(o.Stop == StopCanceled && c.left())
	if c.span.IsRecording() {
		list := append(c.scratch[:0], keyBucket.String(o.Bucket), keyStop.String(o.Stop.String()),
			keyAttempts.Int(len(o.Attempts)), keyWaited.Float64(o.Waited().Seconds()))
		list = appendResult(list, o.Classification)
		if o.Needed > 0 {
			list = append(list, keyNeeded.Float64(o.Needed.Seconds()))
		}
		if o.Stop == StopCircuitOpen {
			list = append(list, keyScope.String(c.refusedBy.id.Scope.String()))
		}
		if failed {
			list = append(list, semconv.ErrorTypeKey.String(errorType(o.Classification, o.Err)))
			c.span.SetStatus(codes.Error, o.Stop.String())
		}
		c.span.SetAttributes(list...)
		c.scratch = list
	}
	c.countCall()
	c.span.End()
	// An answer that is the caller's own business is not the log's.
	if failed && (o.Err != nil || o.Class != ClassClientError) {
		c.logGivenUp()
	}
}

// startAttempt opens the span of one attempt and returns its context.
func (c *call) startAttempt() (context.Context, trace.Span) {
	t := c.t.telemetry
	if c.polls > 0 {
		c.countPoll()
	}
	if !c.traced || !t.attemptSpans {
		return c.ctx, noSpan
	}
	l := c.endpoint.labels(c.target)
	ctx, span := t.tracer.Start(c.ctx, l.attemptName, l.attemptStart...)
	if (c.resends > 0 || c.polls > 0) && span.IsRecording() {
		if c.resends > 0 {
			span.SetAttributes(semconv.HTTPRequestResendCount(c.resends))
		}
		if c.polls > 0 {
			span.SetAttributes(keyPoll.Bool(true))
		}
	}
	return ctx, span
}

// left reports whether the caller left, which is no error. That its deadline
// passed is one.
func (c *call) left() bool { return errors.Is(c.ctx.Err(), context.Canceled) }

// endAttemptSpan closes the span of one attempt. Where attempts have no spans
// of their own, the call's span has an event for each.
func (c *call) endAttemptSpan(a *attempt, left bool) {
	defer a.span.End()
	ofItsOwn := a.span.IsRecording()
	if !ofItsOwn && (c.t.telemetry.attemptSpans || !c.span.IsRecording()) {
		return
	}
	kind := ""
	if !left {
		kind = errorType(a.record.Classification, a.record.Err)
	}
	if ofItsOwn {
		list := c.appendAnswer(c.scratch[:0], a, kind)
		a.span.SetAttributes(list...)
		c.scratch = list
		if kind != "" {
			a.span.SetStatus(codes.Error, "")
		}
		return
	}
	list := append(c.appendAnswer(c.scratch[:0], a, kind), keyDuration.Float64(a.record.Duration.Seconds()))
	if a.record.Poll {
		list = append(list, keyPoll.Bool(true))
	}
	c.span.AddEvent("oktaretry.attempt", trace.WithTimestamp(a.record.Start), trace.WithAttributes(list...))
	c.scratch = list
}

// appendAnswer appends what an attempt brought.
func (c *call) appendAnswer(list []attribute.KeyValue, a *attempt, kind string) []attribute.KeyValue {
	list = append(list, keyBucket.String(c.route.Bucket))
	list = appendResult(list, a.record.Classification)
	if a.record.Status != 0 {
		list = append(list, semconv.HTTPResponseStatusCode(a.record.Status))
	}
	if v := protocolVersion(c.answer.resp); v != "" {
		list = append(list, semconv.NetworkProtocolVersion(v))
	}
	if l := &c.answer.limits; a.record.Status != 0 {
		if l.Limit >= 0 {
			list = append(list, keyLimit.Int(l.Limit))
		}
		if l.Remaining >= 0 {
			list = append(list, keyRemaining.Int(l.Remaining))
		}
		if l.Reset > 0 {
			list = append(list, keyReset.Int64(l.Reset))
		}
	}
	if kind != "" {
		list = append(list, semconv.ErrorTypeKey.String(kind))
	}
	return list
}

func appendResult(list []attribute.KeyValue, c Classification) []attribute.KeyValue {
	list = append(list, keyClass.String(c.Class.String()))
	if c.Code != "" {
		list = append(list, keyCode.String(shownCode(c.Code)))
	}
	if c.RequestID != "" {
		list = append(list, keyRequestID.String(c.RequestID))
	}
	return list
}

// waited tells of a wait that has ended, and began then.
func (c *call) waited(w Wait, began time.Time) {
	if c.span.IsRecording() {
		c.span.AddEvent("oktaretry.wait", trace.WithTimestamp(began), trace.WithAttributes(
			keyWaitReason.String(w.Reason.String()), keyWait.Float64(w.Duration.Seconds())))
	}
	c.countWait(w)
}

// changed tells of changes of circuits.
func (c *call) changed(changes []circuitChange) {
	for _, ch := range changes {
		if c.span.IsRecording() {
			c.span.AddEvent("oktaretry.circuit", trace.WithAttributes(
				keyScope.String(ch.id.Scope.String()), keyFrom.String(ch.from.String()), keyTo.String(ch.to.String())))
		}
		c.countChange(ch)
		c.logChange(ch)
	}
}

// propagate writes the trace context into the headers of an attempt, which are
// the caller's own on the first one.
func (c *call) propagate(ctx context.Context, out *http.Request) {
	if p := c.t.telemetry.propagator(); p != nil {
		c.carrier = headerCarrier{out, c.first()}
		p.Inject(ctx, &c.carrier)
	}
}
