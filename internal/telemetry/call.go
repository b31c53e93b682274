// This file holds the spans of a call: one for the whole, with its waits and the
// changes of circuits as events, and one for each attempt. Their ends are also
// counted and logged from here.

package telemetry

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// Call reports one call. It is for one goroutine.
type Call struct {
	t       *Telemetry
	ctx     context.Context      // with the call's span
	span    trace.Span           // nil until Start
	traced  bool                 // the call's span was started, so attempts may have spans
	carrier headerCarrier        // of the attempt in flight
	scratch []attribute.KeyValue // for spans, which copy
	waits   []reasonWait         // that have ended, by reason
	wait    waiting              // the last one that was logged
}

// Result is the meaning of an answer, in words that may be shown.
type Result struct {
	Class, Code, RequestID string
	Status                 int
	Err                    error              // of an attempt without an answer, or of the call
	Kind                   func(error) string // names the part of the network that Err is about, else ""; nil: none does
	Terminal, NotSent      bool               // of a network error
}

func (r *Result) errorType() string {
	if r.Status >= 400 {
		return strconv.Itoa(r.Status)
	}
	return r.failure()
}

// failure is the error.type of a call or an attempt without an error status: that
// of the error, if it has one.
func (r *Result) failure() string {
	if r.Err == nil {
		return ""
	}
	var (
		typed   interface{ ErrorType() string }
		timeout interface{ Timeout() bool }
	)
	if errors.As(r.Err, &typed) {
		return typed.ErrorType()
	}
	if r.Kind != nil {
		if kind := r.Kind(r.Err); kind != "" {
			return kind
		}
	}
	switch {
	case r.Terminal:
		return "terminal"
	case errors.As(r.Err, &timeout) && timeout.Timeout():
		return "timeout"
	case r.NotSent:
		return "connect"
	}
	return semconv.ErrorTypeOther.Value.AsString()
}

// CallEnd is how a call ended.
type CallEnd struct {
	Result
	Stop, Bucket            string
	Circuit                 string // the scope of the circuit that refused; "" if none did
	Attempts                int
	Elapsed, Waited, Needed time.Duration
	Failed                  bool   // and not because the caller canceled it
	GivenUp                 bool   // Failed, and not with a client error: its line is a warning
	Cause                   Result // of the last answer that was no success; of the last one if there was none
}

// AttemptEnd is how an attempt ended.
type AttemptEnd struct {
	Result
	Start            time.Time
	Duration         time.Duration
	Poll             bool
	Left             bool // the caller canceled it, which is no error
	Protocol         string
	Limit, Remaining int   // -1: unknown
	Reset            int64 // 0: unknown
}

// CircuitChange is one change of a circuit's state.
type CircuitChange struct{ Scope, Host, Name, Method, Template, From, To string }

// noSpan is the span of a call or an attempt that is not traced.
var noSpan = trace.SpanFromContext(context.Background())

// Start starts the span of the whole call and returns its context.
func (c *Call) Start(ctx context.Context, t *Telemetry, w Where) context.Context {
	c.t, c.ctx, c.span = t, ctx, noSpan
	if !t.tracing() {
		return ctx
	}
	var provider trace.TracerProvider
	if t.global {
		provider = otel.GetTracerProvider()
	}
	l := w.labels()
	parent := trace.SpanContextFromContext(ctx)
	c.ctx, c.span = t.tracer.Start(ctx, l.callName, l.callStart...)
	c.traced = true
	if t.global {
		t.detectPlaceholder(provider, c.span, parent)
	}
	return c.ctx
}

// Started reports whether Start was called.
func (c *Call) Started() bool { return c.span != nil }

// Recording reports whether the call's span is recorded.
func (c *Call) Recording() bool { return c.span.IsRecording() }

// Reset returns an empty Call that reuses the memory of c.
func (c *Call) Reset() Call {
	clear(c.scratch)
	return Call{scratch: c.scratch[:0], waits: c.waits[:0]}
}

// End counts and logs the call, which began at origin and ended at w, and ends its
// span. It calls end only if something is to be reported.
func (c *Call) End(origin, w Where, end func() CallEnd) {
	defer c.span.End()
	recording := c.span.IsRecording()
	m := &c.t.metrics
	timed, counted := m.callDuration.Enabled(c.ctx), m.callAttempts.Enabled(c.ctx)
	if !recording && !timed && !counted && c.t.log == nil {
		return
	}
	e := end()
	if recording {
		list := append(c.scratch[:0], keyBucket.String(e.Bucket), keyStop.String(e.Stop),
			keyAttempts.Int(e.Attempts), keyWaited.Float64(e.Waited.Seconds()))
		list = e.append(list)
		if e.Needed > 0 {
			list = append(list, keyNeeded.Float64(e.Needed.Seconds()))
		}
		if e.Circuit != "" {
			list = append(list, keyScope.String(e.Circuit))
		}
		if e.Failed {
			list = append(list, semconv.ErrorTypeKey.String(e.errorType()))
			c.span.SetStatus(codes.Error, e.Stop)
		}
		c.span.SetAttributes(list...)
		c.scratch = list
	}
	c.countCall(origin, &e, timed, counted)
	if level, logged := c.logsEnd(&e); logged {
		c.logEnd(w, level, &e)
	}
}

// StartAttempt starts the span of one attempt and returns its context.
func (c *Call) StartAttempt(w Where, resends int, poll bool) (context.Context, trace.Span) {
	if poll {
		c.countPoll(w)
	}
	if !c.traced || !c.t.attemptSpans {
		return c.ctx, noSpan
	}
	l := w.labels()
	ctx, span := c.t.tracer.Start(c.ctx, l.attemptName, l.attemptStart...)
	if (resends > 0 || poll) && span.IsRecording() {
		if resends > 0 {
			span.SetAttributes(semconv.HTTPRequestResendCount(resends))
		}
		if poll {
			span.SetAttributes(keyPoll.Bool(true))
		}
	}
	return ctx, span
}

// EndAttempt counts an attempt, in the context of its span, and ends the span. Where
// attempts have no spans of their own, the call's span gets an event for each. It
// calls end only if something is to be reported.
func (c *Call) EndAttempt(ctx context.Context, span trace.Span, w Where, end func() AttemptEnd) {
	var options []trace.SpanEndOption
	defer func() { span.End(options...) }()
	h := c.t.metrics.attemptDuration
	timed, recording := h != nil && h.Enabled(ctx), span.IsRecording()
	event := !recording && !c.t.attemptSpans && c.span.IsRecording()
	if !timed && !recording && !event {
		return
	}
	a := end()
	if timed {
		c.countAttempt(ctx, w, &a)
	}
	if !recording && !event {
		return
	}
	kind := ""
	if !a.Left {
		kind = a.errorType()
	}
	list := a.appendAll(append(c.scratch[:0], keyBucket.String(w.Bucket)), kind)
	if recording {
		if end := a.Start.Add(a.Duration); time.Since(end) >= time.Millisecond { // its body was long in coming
			options = []trace.SpanEndOption{trace.WithTimestamp(end)}
		}
		span.SetAttributes(list...)
		c.scratch = list
		if kind != "" {
			span.SetStatus(codes.Error, "")
		}
		return
	}
	list = append(list, keyDuration.Float64(a.Duration.Seconds()))
	if a.Poll {
		list = append(list, keyPoll.Bool(true))
	}
	c.span.AddEvent("oktaretry.attempt", trace.WithTimestamp(a.Start), trace.WithAttributes(list...))
	c.scratch = list
}

func (a *AttemptEnd) appendAll(list []attribute.KeyValue, kind string) []attribute.KeyValue {
	list = a.append(list)
	if a.Status != 0 {
		list = append(list, semconv.HTTPResponseStatusCode(a.Status))
	}
	if a.Protocol != "" {
		list = append(list, semconv.NetworkProtocolVersion(a.Protocol))
	}
	if a.Status != 0 {
		if a.Limit >= 0 {
			list = append(list, keyLimit.Int(a.Limit))
		}
		if a.Remaining >= 0 {
			list = append(list, keyRemaining.Int(a.Remaining))
		}
		if a.Reset > 0 {
			list = append(list, keyReset.Int64(a.Reset))
		}
	}
	if kind != "" {
		list = append(list, semconv.ErrorTypeKey.String(kind))
	}
	return list
}

func (r *Result) append(list []attribute.KeyValue) []attribute.KeyValue {
	list = append(list, keyClass.String(r.Class))
	if r.Code != "" {
		list = append(list, keyCode.String(r.Code))
	}
	if r.RequestID != "" {
		list = append(list, keyRequestID.String(r.RequestID))
	}
	return list
}

// Waited reports a wait that has ended, and when it began.
func (c *Call) Waited(w Where, reason string, d time.Duration, began time.Time) {
	if c.span.IsRecording() {
		c.span.AddEvent("oktaretry.wait", trace.WithTimestamp(began), trace.WithAttributes(
			keyWaitReason.String(reason), keyWait.Float64(d.Seconds())))
	}
	c.countWait(w, reason, d)
	c.addWait(reason, d)
}

// Changed reports a change of a circuit.
func (c *Call) Changed(w Where, ch CircuitChange) {
	if c.span.IsRecording() {
		list := []attribute.KeyValue{keyScope.String(ch.Scope), keyFrom.String(ch.From), keyTo.String(ch.To)}
		if ch.Name != "" {
			list = append(list, keyCircuit.String(ch.Name))
		}
		c.span.AddEvent("oktaretry.circuit", trace.WithAttributes(list...))
	}
	c.countChange(w, ch)
	c.logChange(w, ch)
}

// Propagate writes the trace context of an attempt into its headers, or into a copy
// of them if they are the caller's.
func (c *Call) Propagate(ctx context.Context, out *http.Request, callersOwn bool) {
	if p := c.t.propagator(); p != nil {
		c.carrier = headerCarrier{out, callersOwn}
		p.Inject(ctx, &c.carrier)
	}
}
