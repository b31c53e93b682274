// This file holds the log lines: of long waits, of calls given up, of buckets that
// are split, and of changes of circuits.

package telemetry

import (
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// Waiting logs a wait before it begins, so that the log explains a job while it is
// stuck. It reports whether the wait is long enough for a line.
func (c *Call) Waiting(w Where, reason string, d time.Duration) bool {
	if d < c.t.logWaitFrom {
		return false
	}
	if c.logEnabled(slog.LevelInfo) {
		c.logLine(w, slog.LevelInfo, "oktaretry: waiting",
			slog.String("reason", reason), slog.Duration("wait", d), slog.String("bucket", w.Bucket))
	}
	return true
}

// BucketSplit logs that a bucket is several. kinds are what tells the calls of its
// parts apart, with their limits.
func (c *Call) BucketSplit(w Where, bucket, kinds string) {
	if c.logEnabled(slog.LevelInfo) {
		c.logLine(w, slog.LevelInfo, "oktaretry: bucket split", slog.String("bucket", bucket), slog.String("kinds", kinds))
	}
}

// logGivenUp logs the end of a call that failed.
func (c *Call) logGivenUp(w Where, end *CallEnd) {
	if !c.logEnabled(slog.LevelWarn) {
		return
	}
	c.logLine(w, slog.LevelWarn, "oktaretry: call given up",
		slog.String("stop", end.Stop), slog.String("class", end.Class), slog.String("code", end.Code),
		slog.Int("status", end.Status), slog.String("request_id", end.RequestID), slog.Int("attempts", end.Attempts),
		slog.Duration("elapsed", end.Elapsed), slog.Duration("waited", end.Waited), slog.Duration("needed", end.Needed))
}

// logChange logs a change of a circuit.
func (c *Call) logChange(w Where, ch CircuitChange) {
	if !c.logEnabled(slog.LevelWarn) {
		return
	}
	list := []slog.Attr{slog.String("scope", ch.Scope), slog.String("from", ch.From)}
	if ch.Name != "" {
		list = append(list, slog.String("circuit", ch.Name))
	}
	c.logLine(w, slog.LevelWarn, "oktaretry: circuit "+ch.To, list...)
}

func (c *Call) logEnabled(level slog.Level) bool {
	return c.t.log != nil && c.t.log.Enabled(c.ctx, level)
}

// logLine writes one line about the call, with its trace's id.
func (c *Call) logLine(w Where, level slog.Level, text string, list ...slog.Attr) {
	list = append(list, slog.String("method", ShownMethod(w.Method)), slog.String("host", w.Host),
		slog.String("template", w.Template))
	if sc := trace.SpanContextFromContext(c.ctx); sc.IsValid() {
		list = append(list, slog.String("trace_id", sc.TraceID().String()), slog.String("span_id", sc.SpanID().String()))
	}
	c.t.log.LogAttrs(c.ctx, level, text, list...)
}
