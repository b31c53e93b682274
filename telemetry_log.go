// This file holds the log lines: of long waits, of calls that were given up, of
// changes of circuits.

package oktaretry

import (
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// defaultLogWaitFrom is how long a wait must be to be logged, unless the user
// says otherwise.
const defaultLogWaitFrom = time.Second

// waiting logs a wait before it begins, so that a stuck job can be understood
// while it is stuck. It reports whether the wait was worth a line.
func (c *call) waiting(w Wait) bool {
	if w.Duration < c.t.telemetry.logWaitFrom {
		return false
	}
	if c.logs(slog.LevelInfo) {
		c.logf(slog.LevelInfo, "oktaretry: waiting",
			slog.String("reason", w.Reason.String()), slog.Duration("wait", w.Duration), slog.String("bucket", c.route.Bucket))
	}
	return true
}

// logGivenUp logs the end of a call that brought its caller nothing.
func (c *call) logGivenUp() {
	if !c.logs(slog.LevelWarn) {
		return
	}
	o := &c.outcome
	c.logf(slog.LevelWarn, "oktaretry: call given up",
		slog.String("stop", o.Stop.String()), slog.String("class", o.Class.String()), slog.String("code", shownCode(o.Code)),
		slog.Int("status", o.Status), slog.String("request_id", o.RequestID), slog.Int("attempts", len(o.Attempts)),
		slog.Duration("elapsed", o.Elapsed), slog.Duration("waited", o.Waited()), slog.Duration("needed", o.Needed))
}

// logChange logs a change of a circuit.
func (c *call) logChange(ch circuitChange) {
	if c.logs(slog.LevelWarn) {
		c.logf(slog.LevelWarn, "oktaretry: circuit "+ch.to.String(),
			slog.String("scope", ch.id.Scope.String()), slog.String("from", ch.from.String()))
	}
}

func (c *call) logs(level slog.Level) bool {
	log := c.t.telemetry.log
	return log != nil && log.Enabled(c.ctx, level)
}

// logf writes one line about the call, with its trace's id.
func (c *call) logf(level slog.Level, text string, list ...slog.Attr) {
	list = append(list, slog.String("method", shownMethod(c.method)), slog.String("host", c.target.Host),
		slog.String("template", c.route.Template))
	if sc := trace.SpanContextFromContext(c.ctx); sc.IsValid() {
		list = append(list, slog.String("trace_id", sc.TraceID().String()), slog.String("span_id", sc.SpanID().String()))
	}
	c.t.telemetry.log.LogAttrs(c.ctx, level, text, list...)
}
