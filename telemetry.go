// This file holds what OpenTelemetry and the log are told: never a path, a
// query, a body, a summary or a credential; templates and codes instead.

package oktaretry

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// scopeName is the instrumentation scope.
const scopeName = "github.com/oktaretry/oktaretry"

// The attributes of ours. The others are those of the HTTP semantic
// conventions.
const (
	keyClass      = attribute.Key("oktaretry.class")
	keyCode       = attribute.Key("oktaretry.code")
	keyRequestID  = attribute.Key("oktaretry.request_id")
	keyBucket     = attribute.Key("oktaretry.bucket")
	keyAttempts   = attribute.Key("oktaretry.attempts")
	keyStop       = attribute.Key("oktaretry.stop")
	keyWaited     = attribute.Key("oktaretry.waited")      // seconds
	keyWait       = attribute.Key("oktaretry.wait")        // seconds
	keyWaitReason = attribute.Key("oktaretry.wait.reason") // "rate-limit", "ceiling", "backoff", "poll"
	keyPoll       = attribute.Key("oktaretry.poll")        // true on the attempts that poll
	keyScope      = attribute.Key("oktaretry.circuit.scope")
	keyFrom       = attribute.Key("oktaretry.circuit.from")
	keyTo         = attribute.Key("oktaretry.circuit.to")
)

// logWaitsFrom is how long a wait must be to be logged.
const logWaitsFrom = time.Second

// telemetry is where a Transport reports to.
type telemetry struct {
	tracer      trace.Tracer
	propagators propagation.TextMapPropagator
	log         *slog.Logger // nil: nothing is logged

	callDuration metric.Float64Histogram
	waitDuration metric.Float64Histogram
	attempts     metric.Int64Histogram
	changes      metric.Int64Counter
}

func newTelemetry(c config) (*telemetry, error) {
	if c.tracers == nil {
		c.tracers = otel.GetTracerProvider()
	}
	if c.meters == nil {
		c.meters = otel.GetMeterProvider()
	}
	if c.propagators == nil {
		c.propagators = otel.GetTextMapPropagator()
	}
	t := &telemetry{
		tracer:      c.tracers.Tracer(scopeName, trace.WithSchemaURL(semconv.SchemaURL)),
		propagators: c.propagators,
		log:         c.logger,
	}
	m := c.meters.Meter(scopeName, metric.WithSchemaURL(semconv.SchemaURL))
	var bad [4]error
	t.callDuration, bad[0] = m.Float64Histogram("oktaretry.call.duration", metric.WithUnit("s"),
		metric.WithDescription("Duration of calls, waits and resends included"),
		metric.WithExplicitBucketBoundaries(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300))
	t.waitDuration, bad[1] = m.Float64Histogram("oktaretry.wait.duration", metric.WithUnit("s"),
		metric.WithDescription("Duration of waits, by reason"),
		metric.WithExplicitBucketBoundaries(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300))
	t.attempts, bad[2] = m.Int64Histogram("oktaretry.call.attempts", metric.WithUnit("{attempt}"),
		metric.WithDescription("Requests sent for each call"),
		metric.WithExplicitBucketBoundaries(0, 1, 2, 3, 4, 5, 10, 20, 50))
	t.changes, bad[3] = m.Int64Counter("oktaretry.circuit.changes", metric.WithUnit("{change}"),
		metric.WithDescription("Changes of circuit state"))
	return t, errors.Join(bad[:]...)
}

// where describes the present target of a call.
func (c *call) where() []attribute.KeyValue { return c.whereOf(c.method, c.route.Template) }

// whereOf describes a target. Polling moves a call, but never to another host.
func (c *call) whereOf(method, template string) []attribute.KeyValue {
	name, port := hostPort(c.target)
	return append(methodAttributes(method),
		semconv.URLTemplate(template),
		semconv.ServerAddress(name),
		semconv.ServerPort(port),
	)
}

func methodAttributes(method string) []attribute.KeyValue {
	if m, ok := knownMethods[method]; ok {
		return []attribute.KeyValue{m}
	}
	return []attribute.KeyValue{semconv.HTTPRequestMethodOther}
}

// knownMethods bounds the method attribute: any text can stand there.
var knownMethods = map[string]attribute.KeyValue{
	http.MethodGet: semconv.HTTPRequestMethodGet, http.MethodHead: semconv.HTTPRequestMethodHead,
	http.MethodPost: semconv.HTTPRequestMethodPost, http.MethodPut: semconv.HTTPRequestMethodPut,
	http.MethodPatch: semconv.HTTPRequestMethodPatch, http.MethodDelete: semconv.HTTPRequestMethodDelete,
	http.MethodOptions: semconv.HTTPRequestMethodOptions, http.MethodTrace: semconv.HTTPRequestMethodTrace,
	http.MethodConnect: semconv.HTTPRequestMethodConnect,
}

// shownMethod is the method as span names and error texts show it.
func shownMethod(method string) string {
	if _, ok := knownMethods[method]; ok {
		return method
	}
	return "HTTP"
}

// startCall opens the span of the whole call.
func (c *call) startCall() {
	c.ctx, c.span = c.t.telemetry.tracer.Start(c.req.Context(),
		"oktaretry "+shownMethod(c.method)+" "+c.route.Template, trace.WithSpanKind(trace.SpanKindInternal))
	if c.span.IsRecording() {
		c.span.SetAttributes(c.where()...)
		c.span.SetAttributes(keyBucket.String(c.route.Bucket))
	}
}

// endCall closes the span of the call and writes its metrics.
func (c *call) endCall() {
	o := &c.outcome
	kind := errorType(o.Classification, o.Err)
	if o.Stop == StopCanceled && c.left() {
		kind = ""
	}
	if c.span.IsRecording() {
		c.span.SetAttributes(
			keyStop.String(o.Stop.String()), keyAttempts.Int(len(o.Attempts)), keyWaited.Float64(o.Waited().Seconds()))
		c.span.SetAttributes(resultAttributes(o.Classification)...)
		if kind != "" {
			c.span.SetAttributes(semconv.ErrorTypeKey.String(kind))
			c.span.SetStatus(codes.Error, o.Stop.String())
		}
	}
	c.span.End()
	labels := metric.WithAttributeSet(attribute.NewSet(append(c.whereOf(o.Method, o.Template),
		keyClass.String(o.Class.String()), keyStop.String(o.Stop.String()))...))
	// The context is over, perhaps; its span and baggage still count.
	c.t.telemetry.callDuration.Record(c.ctx, o.Elapsed.Seconds(), labels)
	c.t.telemetry.attempts.Record(c.ctx, int64(len(o.Attempts)), labels)
	// An answer that fails fast is the caller's business, not the log's.
	if kind != "" && (o.Err != nil || o.Stop != StopFailFast) {
		c.logf(slog.LevelWarn, "oktaretry: call given up",
			slog.String("stop", o.Stop.String()), slog.String("code", shownCode(o.Code)), slog.Int("status", o.Status),
			slog.String("request_id", o.RequestID), slog.Int("attempts", len(o.Attempts)), slog.Duration("elapsed", o.Elapsed))
	}
}

// startAttempt opens the span of one attempt and returns its context.
func (c *call) startAttempt() (context.Context, trace.Span) {
	ctx, span := c.t.telemetry.tracer.Start(c.ctx,
		shownMethod(c.method)+" "+c.route.Template, trace.WithSpanKind(trace.SpanKindClient))
	if span.IsRecording() {
		span.SetAttributes(c.where()...)
		span.SetAttributes(
			semconv.URLScheme(c.target.Scheme),
			semconv.URLFull(c.target.Scheme+"://"+c.target.Host+c.route.Template))
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

// endAttempt closes the span of one attempt.
func endAttempt(span trace.Span, a *Attempt, left bool) {
	if span.IsRecording() {
		span.SetAttributes(resultAttributes(a.Classification)...)
		if a.Status != 0 {
			span.SetAttributes(semconv.HTTPResponseStatusCode(a.Status))
		}
		if kind := errorType(a.Classification, a.Err); kind != "" && !left {
			span.SetAttributes(semconv.ErrorTypeKey.String(kind))
			span.SetStatus(codes.Error, "")
		}
	}
	span.End()
}

func resultAttributes(c Classification) []attribute.KeyValue {
	list := []attribute.KeyValue{keyClass.String(c.Class.String())}
	if c.Code != "" {
		list = append(list, keyCode.String(shownCode(c.Code)))
	}
	if c.RequestID != "" {
		list = append(list, keyRequestID.String(c.RequestID))
	}
	return list
}

// errorType is the error.type of the semantic conventions: the status, or the
// kind of a network error; "" where there is no error.
func errorType(c Classification, err error) string {
	var (
		timeout interface{ Timeout() bool }
		limited *RateLimitError
		open    *CircuitOpenError
		pending *PendingError
	)
	switch {
	case c.Status >= 400:
		return strconv.Itoa(c.Status)
	case err == nil:
		return ""
	case errors.As(err, &limited):
		return "rate_limited"
	case errors.As(err, &open):
		return "circuit_open"
	case errors.As(err, &pending):
		return "pending"
	case c.Terminal:
		return "terminal"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	case c.NotSent:
		return "connect"
	}
	return semconv.ErrorTypeOther.Value.AsString()
}

// shownCode is a code that may stand in a text or a label. Any word can stand
// in an answer's "error"; one that neither Okta's table nor OAuth's registry
// knows could be a person's.
func shownCode(code string) string {
	if code == "" || isOktaCode(code) || knownOAuthCodes[code] {
		return code
	}
	if _, ok := lookup(code); ok {
		return code
	}
	return "_OTHER"
}

// knownOAuthCodes are errors that OAuth, OpenID Connect and DPoP register and
// the catalogue leaves to their status.
var knownOAuthCodes = map[string]bool{
	"invalid_grant": true, "invalid_token": true, "insufficient_scope": true, "unsupported_grant_type": true,
	"authorization_pending": true, "slow_down": true, "expired_token": true, "too_many_user_codes": true,
	"invalid_dpop_proof": true, "use_dpop_nonce": true, "interaction_required": true, "consent_required": true,
	"account_selection_required": true, "invalid_client_metadata": true, "invalid_redirect_uri": true,
	"unsupported_token_type": true, "invalid_target": true, "mfa_required": true,
}

// waited tells of a wait that has ended.
func (c *call) waited(w Wait) {
	if c.span.IsRecording() {
		c.span.AddEvent("oktaretry.wait", trace.WithAttributes(
			keyWaitReason.String(w.Reason.String()), keyWait.Float64(w.Duration.Seconds())))
	}
	c.t.telemetry.waitDuration.Record(c.ctx, w.Duration.Seconds(), metric.WithAttributeSet(attribute.NewSet(append(c.where(),
		keyWaitReason.String(w.Reason.String()))...)))
}

// waiting logs a wait before it begins, so that a stuck job can be understood
// while it is stuck. It reports whether the wait was worth a line.
func (c *call) waiting(w Wait) bool {
	if w.Duration < logWaitsFrom {
		return false
	}
	c.logf(slog.LevelInfo, "oktaretry: waiting",
		slog.String("reason", w.Reason.String()), slog.Duration("wait", w.Duration), slog.String("bucket", c.route.Bucket))
	return true
}

// changed tells of changes of circuits.
func (c *call) changed(changes []circuitChange) {
	for _, ch := range changes {
		list := []attribute.KeyValue{
			keyScope.String(ch.id.Scope.String()), keyFrom.String(ch.from.String()), keyTo.String(ch.to.String())}
		if c.span.IsRecording() {
			c.span.AddEvent("oktaretry.circuit", trace.WithAttributes(list...))
		}
		c.t.telemetry.changes.Add(c.ctx, 1, metric.WithAttributes(list...))
		c.logf(slog.LevelWarn, "oktaretry: circuit "+ch.to.String(),
			slog.String("scope", ch.id.Scope.String()), slog.String("from", ch.from.String()))
	}
}

// logf writes one line about the call, with its trace's id.
func (c *call) logf(level slog.Level, text string, list ...slog.Attr) {
	log := c.t.telemetry.log
	if log == nil || !log.Enabled(c.ctx, level) {
		return
	}
	list = append(list, slog.String("method", shownMethod(c.method)), slog.String("host", c.target.Host),
		slog.String("template", c.route.Template))
	if sc := c.span.SpanContext(); sc.IsValid() {
		list = append(list, slog.String("trace_id", sc.TraceID().String()), slog.String("span_id", sc.SpanID().String()))
	}
	log.LogAttrs(c.ctx, level, text, list...)
}

// propagate writes the trace context into the headers of an attempt.
func (t *telemetry) propagate(ctx context.Context, h http.Header) {
	t.propagators.Inject(ctx, propagation.HeaderCarrier(h))
}

// hostPort splits a URL's host for the server.* attributes.
func hostPort(u *url.URL) (string, int) {
	if port, err := strconv.Atoi(u.Port()); err == nil {
		return u.Hostname(), port
	}
	if u.Scheme == "http" {
		return u.Hostname(), 80
	}
	return u.Hostname(), 443
}
