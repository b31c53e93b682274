// This file holds the log lines: of long waits, of calls that took long or were
// given up, of buckets that are split, and of changes of circuits.

package telemetry

import (
	"log/slog"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// WaitStart is a wait that begins.
type WaitStart struct {
	Reason   string
	AtMost   time.Duration // as far as is known when it begins
	Attempts int           // that were sent
	Result                 // of the last one, which made the call wait; without a class if there was none
}

// progressEvery is the distance between the lines of one wait.
const progressEvery = 30 * time.Second

// waiting is the wait that a call is in.
type waiting struct {
	where  Where
	reason string
	until  time.Time // as was last known
	began  time.Time
	next   time.Time // when the next line is due; zero: the wait is not logged
	logged bool      // one of the call's waits was
}

// LogsWait reports whether a wait is long enough for a line.
func (c *Call) LogsWait(d time.Duration) bool {
	return d >= c.t.logFrom && c.logEnabled(slog.LevelInfo)
}

// LogWait logs a wait before it is over, so that the log explains a job while it is
// stuck. began is when the wait began.
func (c *Call) LogWait(w Where, began time.Time, s WaitStart) {
	c.wait = waiting{where: w, reason: s.Reason, until: began.Add(s.AtMost), began: began, next: began.Add(progressEvery), logged: true}
	list := make([]slog.Attr, 0, 12)
	list = append(list, slog.String("reason", s.Reason), duration("at_most", s.AtMost), slog.String("bucket", w.Bucket),
		slog.Int("attempt", s.Attempts))
	if s.Class != "" {
		list = append(list, slog.Int("status", s.Status), slog.String("code", s.Code), slog.String("request_id", s.RequestID))
	}
	c.logLine(w, slog.LevelInfo, "oktaretry: waiting", list...)
}

// WaitIsNow records what a wait is for now, and until when, for the lines to come.
func (c *Call) WaitIsNow(reason string, until time.Time) { c.wait.reason, c.wait.until = reason, until }

// WaitIsOver ends the lines about a wait.
func (c *Call) WaitIsOver() { c.wait.next = time.Time{} }

// UntilProgress returns how long it is until [Call.LogProgress] is due; 0 if it never is.
func (c *Call) UntilProgress(now time.Time) time.Duration {
	if c.wait.next.IsZero() {
		return 0
	}
	return max(c.wait.next.Sub(now), 1)
}

// LogProgress logs that a logged wait goes on, if its next line is due.
func (c *Call) LogProgress(now time.Time) {
	w := &c.wait
	if w.next.IsZero() || now.Before(w.next) {
		return
	}
	for !now.Before(w.next) {
		w.next = w.next.Add(progressEvery)
	}
	c.logLine(w.where, slog.LevelInfo, "oktaretry: still waiting", slog.String("reason", w.reason),
		duration("waited", now.Sub(w.began)), duration("at_most", max(w.until.Sub(now), 0)), slog.String("bucket", w.where.Bucket))
}

// BucketSplit logs that a bucket is several. kinds are what tells the calls of its
// parts apart, with their limits.
func (c *Call) BucketSplit(w Where, bucket, kinds string) {
	if c.logEnabled(slog.LevelInfo) {
		c.logLine(w, slog.LevelInfo, "oktaretry: bucket split", slog.String("bucket", bucket), slog.String("kinds", kinds))
	}
}

// logsEnd reports whether the end of a call has a line, and at which level: where it
// was given up, took long, or one of its waits was logged.
func (c *Call) logsEnd(end *CallEnd) (level slog.Level, logged bool) {
	if end.GivenUp {
		return slog.LevelWarn, c.logEnabled(slog.LevelWarn)
	}
	return slog.LevelInfo, (end.Elapsed >= c.t.logFrom || c.wait.logged) && c.logEnabled(slog.LevelInfo)
}

// logEnd logs the end of a call.
func (c *Call) logEnd(w Where, level slog.Level, end *CallEnd) {
	list := make([]slog.Attr, 0, 20)
	list = append(list, duration("elapsed", end.Elapsed), duration("waited", end.Waited), slog.String("reasons", c.reasons()),
		slog.Int("attempts", end.Attempts), slog.String("stop", end.Stop), slog.String("class", end.Class),
		slog.Int("status", end.Status), slog.String("code", end.Cause.Code), slog.String("request_id", end.Cause.RequestID))
	if end.Failed {
		list = append(list, slog.String("error_type", end.errorType()))
	}
	if end.Needed > 0 {
		list = append(list, duration("needed", end.Needed))
	}
	list = append(list, slog.String("bucket", end.Bucket))
	c.logLine(w, level, "oktaretry: call done", list...)
}

// reasonWait is how long a call waited for one reason.
type reasonWait struct {
	reason string
	d      time.Duration
}

// addWait adds a wait to the sum of its reason, where that is logged.
func (c *Call) addWait(reason string, d time.Duration) {
	if !c.logEnabled(slog.LevelWarn) {
		return
	}
	for i := range c.waits {
		if c.waits[i].reason == reason {
			c.waits[i].d += d
			return
		}
	}
	c.waits = append(c.waits, reasonWait{reason, d})
}

// reasons lists what the call waited for, in the order in which it came up:
// "rate-limit 36s, backoff 2s".
func (c *Call) reasons() string {
	var b strings.Builder
	for i, w := range c.waits {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(w.reason + " " + shownDuration(w.d))
	}
	return b.String()
}

// logChange logs a change of a circuit: that it refuses calls is a warning, that it
// no longer does is news, and its probe is a detail.
func (c *Call) logChange(w Where, ch CircuitChange) {
	level := slog.LevelInfo
	switch ch.To {
	case "open":
		level = slog.LevelWarn
	case "half-open":
		level = slog.LevelDebug
	}
	if !c.logEnabled(level) {
		return
	}
	list := []slog.Attr{slog.String("scope", ch.Scope), slog.String("from", ch.From), slog.String("to", ch.To)}
	if ch.Name != "" {
		list = append(list, slog.String("circuit", ch.Name))
	}
	c.logLine(w, level, "oktaretry: circuit", list...)
}

// duration is a duration as every line shows it: text, rounded to the millisecond.
func duration(key string, d time.Duration) slog.Attr { return slog.String(key, shownDuration(d)) }

func shownDuration(d time.Duration) string { return d.Round(time.Millisecond).String() }

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
