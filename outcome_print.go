// This file holds how values are shown, as a text, in JSON and in a log: by names and
// seconds, and without what is private. What Okta's error bodies say of people, and what
// errors of other packages say at all, is in the fields only.

package oktaretry

import (
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/oktaretry/oktaretry/internal/show"
	"github.com/oktaretry/oktaretry/internal/telemetry"
)

// Each type below lists once what may be shown of it. Its methods:
//
//   - LogValue, for log/slog: a group of the names below.
//   - MarshalJSON: an object of the same names. They are stable; what they hold cannot be
//     read back into the type.
//   - String and MarshalText: one line.
//   - Format: that line, by every verb.
//
// They have value receivers, so that a value and a pointer show the same.

// MarshalText returns the class's name.
func (c Class) MarshalText() ([]byte, error) { return nameOf(c, classNames[:], "class") }

// UnmarshalText accepts the names that String returns.
func (c *Class) UnmarshalText(text []byte) error { return parseName(c, classNames[:], "class", text) }

// MarshalText returns the reason's name.
func (s StopReason) MarshalText() ([]byte, error) { return nameOf(s, stopNames[:], "stop reason") }

// UnmarshalText accepts the names that String returns.
func (s *StopReason) UnmarshalText(text []byte) error {
	return parseName(s, stopNames[:], "stop reason", text)
}

// MarshalText returns the reason's name.
func (w WaitReason) MarshalText() ([]byte, error) { return nameOf(w, waitNames[:], "wait reason") }

// UnmarshalText accepts the names that String returns.
func (w *WaitReason) UnmarshalText(text []byte) error {
	return parseName(w, waitNames[:], "wait reason", text)
}

func (w Wait) shown() (a show.Attrs) {
	a.Text("reason", w.Reason.String())
	a.Seconds("duration_seconds", w.Duration)
	return a
}

// String returns the wait's reason and duration: "rate-limit 36s".
func (w Wait) String() string                { return w.Reason.String() + " " + show.Seconds(w.Duration) }
func (w Wait) Format(s fmt.State, verb rune) { show.Format(s, verb, w.String()) }
func (w Wait) LogValue() slog.Value          { return group(w.shown()) }
func (w Wait) MarshalJSON() ([]byte, error)  { return w.shown().JSON() }
func (w Wait) MarshalText() ([]byte, error)  { return []byte(w.String()), nil }

func (e APIError) shown() (a show.Attrs) {
	a.Text("code", shownCode(e.Code))
	a.Text("error_id", shownID(e.ID))
	return a
}

func (e APIError) String() string                { return e.Error() }
func (e APIError) Format(s fmt.State, verb rune) { show.Format(s, verb, e.Error()) }
func (e APIError) LogValue() slog.Value          { return group(e.shown()) }
func (e APIError) MarshalJSON() ([]byte, error)  { return e.shown().JSON() }
func (e APIError) MarshalText() ([]byte, error)  { return []byte(e.Error()), nil }

func (c Classification) shown() (a show.Attrs) {
	a.Text("class", c.Class.String())
	a.IntIf("status", c.Status, c.Status != 0)
	a.Text("code", shownCode(c.Code))
	a.Text("request_id", shownID(c.RequestID))
	if c.Error != nil {
		a.Text("error_id", shownID(c.Error.ID))
	}
	a.True("terminal", c.Terminal)
	a.True("not_sent", c.NotSent)
	return a
}

// String returns status, code and class: "429 E0000047 (rate-limited)".
func (c Classification) String() string {
	text := shownCode(c.Code)
	if c.Status != 0 {
		text = strings.TrimSpace(strconv.Itoa(c.Status) + " " + text)
	}
	return strings.TrimSpace(text + " (" + c.Class.String() + ")")
}
func (c Classification) Format(s fmt.State, verb rune) { show.Format(s, verb, c.String()) }
func (c Classification) LogValue() slog.Value          { return group(c.shown()) }
func (c Classification) MarshalJSON() ([]byte, error)  { return c.shown().JSON() }
func (c Classification) MarshalText() ([]byte, error)  { return []byte(c.String()), nil }

func (a Attempt) shown() show.Attrs {
	shown := a.Classification.shown()
	shown.Time("start", a.Start)
	shown.Seconds("duration_seconds", a.Duration)
	shown.True("poll", a.Poll)
	shown.Text("error_type", errorType(a.Err))
	shown.Text("error", errorName(a.Err))
	return shown
}

// String returns what the attempt brought, after how long:
// "429 E0000047 (rate-limited) in 120ms".
func (a Attempt) String() string {
	text := a.Classification.String()
	if a.Err != nil {
		text = errorName(a.Err) + " " + text
	}
	return text + " in " + show.Seconds(a.Duration)
}
func (a Attempt) Format(s fmt.State, verb rune) { show.Format(s, verb, a.String()) }
func (a Attempt) LogValue() slog.Value {
	shown := a.shown()
	shown.Text("waits", joinWaits(a.Waits))
	return group(shown)
}
func (a Attempt) MarshalText() ([]byte, error) { return []byte(a.String()), nil }
func (a Attempt) MarshalJSON() ([]byte, error) {
	shown := a.shown()
	show.List(&shown, "waits", a.Waits)
	return shown.JSON()
}

// allWaits returns the call's waits, those of one reason added up, in the order in
// which the reasons came up.
func (o Outcome) allWaits() (sums []Wait) {
	add := func(waits []Wait) {
		for _, w := range waits {
			i := 0
			for i < len(sums) && sums[i].Reason != w.Reason {
				i++
			}
			if i == len(sums) {
				sums = append(sums, Wait{Reason: w.Reason})
			}
			sums[i].Duration += w.Duration
		}
	}
	for _, a := range o.Attempts {
		add(a.Waits)
	}
	add(o.Waits)
	return sums
}

func joinWaits(waits []Wait) string {
	var parts []string
	for _, w := range waits {
		parts = append(parts, w.String())
	}
	return strings.Join(parts, ", ")
}

func (o Outcome) shown() (a show.Attrs) {
	a.Text("method", telemetry.ShownMethod(o.Method))
	a.Text("host", o.Host)
	a.Text("template", o.Template)
	a.Text("bucket", o.Bucket)
	a = append(a, o.Classification.shown()...)
	a.Text("stop", o.Stop.String())
	a.Time("start", o.Start)
	a.Seconds("elapsed_seconds", o.Elapsed)
	a.Seconds("waited_seconds", o.Waited())
	a.SecondsIf("needed_seconds", o.Needed)
	a.Text("error_type", errorType(o.Err))
	a.Text("error", errorName(o.Err))
	return a
}

// String returns the outcome in one line: what was called, the last answer, why the
// call ended, how often it was sent, how long it took and what it waited for.
func (o Outcome) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s%s: %s, stop %s, ", telemetry.ShownMethod(o.Method), o.Host, o.Template, o.Classification, o.Stop)
	switch n := len(o.Attempts); n {
	case 0:
		b.WriteString("nothing sent")
	case 1:
		b.WriteString("1 attempt")
	default:
		fmt.Fprintf(&b, "%d attempts", n)
	}
	fmt.Fprintf(&b, " in %s", show.Seconds(o.Elapsed))
	if waits := o.allWaits(); len(waits) > 0 {
		fmt.Fprintf(&b, ", waited %s (%s)", show.Seconds(o.Waited()), joinWaits(waits))
	}
	if o.Needed > 0 {
		fmt.Fprintf(&b, ", needed %s", show.Seconds(o.Needed))
	}
	if id := shownID(o.RequestID); id != "" {
		b.WriteString(", request id " + id)
	}
	if name := errorName(o.Err); name != "" {
		b.WriteString(", error " + name)
	}
	return b.String()
}
func (o Outcome) Format(s fmt.State, verb rune) { show.Format(s, verb, o.String()) }
func (o Outcome) LogValue() slog.Value {
	a := o.shown()
	a.Int("attempts", len(o.Attempts))
	a.Text("waits", joinWaits(o.allWaits()))
	return group(a)
}
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// MarshalJSON returns what LogValue does, with each attempt and each wait.
func (o Outcome) MarshalJSON() ([]byte, error) {
	a := o.shown()
	show.List(&a, "attempts", o.Attempts)
	show.List(&a, "waits", o.Waits)
	return a.JSON()
}

// WriteTimeline writes a line for each attempt and each wait of the call, and one for
// why it ended where that was no success: when it began, counted from the call's
// beginning, who acted, and what happened. It holds nothing private, and returns the
// error of w.
func (o Outcome) WriteTimeline(w io.Writer) error {
	t := timeline{w: w}
	for _, a := range o.Attempts {
		sent := a.Start.Sub(o.Start)
		t.waits(sent, a.Waits)
		who := "Okta"
		if a.Err != nil {
			who = "network"
		}
		t.line(sent+a.Duration, who, describeAnswer(a))
	}
	t.waits(o.Elapsed, o.Waits)
	if why := describeStop(o); why != "" {
		t.line(o.Elapsed, "oktaretry", why)
	}
	return t.err
}

type timeline struct {
	w   io.Writer
	err error
}

func (t *timeline) line(at time.Duration, who, what string) {
	if t.err == nil {
		_, t.err = fmt.Fprintf(t.w, "%7.2f s   %-9s  %s\n", at.Seconds(), who, what)
	}
}

// waits writes the waits that ended at a time.
func (t *timeline) waits(end time.Duration, waits []Wait) {
	for _, w := range waits {
		end -= w.Duration
	}
	for _, w := range waits {
		t.line(end, "oktaretry", describeWait(w))
		end += w.Duration
	}
}

func describeAnswer(a Attempt) string {
	text := errorName(a.Err)
	if a.Err == nil {
		text = strconv.Itoa(a.Status)
	}
	if code := shownCode(a.Code); code != "" {
		text += " " + code
		if known, ok := Lookup(code); ok {
			text += " " + known.Name
		}
	}
	return fmt.Sprintf("%-46s  (%s)", text, a.Class)
}

func describeWait(w Wait) string {
	d := fmt.Sprintf("%.2f s", w.Duration.Seconds())
	switch w.Reason {
	case WaitRateLimit:
		return "waits " + d + ", until Okta's window is over"
	case WaitLearning:
		return "waits " + d + " for what other calls find out about the bucket"
	case WaitTurn:
		return "waits " + d + " in line"
	case WaitCeiling:
		return "waits " + d + " for your own limit"
	case WaitConcurrency:
		return "waits " + d + ": too many calls are in flight"
	case WaitBackoff:
		return "waits " + d + " and sends it again"
	case WaitPoll:
		return "asks again after " + d
	}
	return "waits " + d
}

func describeStop(o Outcome) string {
	needed := fmt.Sprintf("%.2f s", o.Needed.Seconds())
	switch o.Stop {
	case StopNone, StopSuccess:
		return ""
	case StopFailFast:
		return "hands it back at once: asking again would not change it"
	case StopNotIdempotent:
		return "hands it back at once: sent twice, it could do its work twice"
	case StopNotReplayable:
		return "hands it back: it cannot be sent again as it was"
	case StopNoRetry:
		return "hands it back at once: it is not to be sent again"
	case StopMaxAttempts:
		return fmt.Sprintf("gives up: %d attempts are enough by its rule", len(o.Attempts))
	case StopDeadline:
		if o.Needed == 0 {
			return "gives up: the deadline has passed"
		}
		return "gives up at once: a wait of " + needed + " ends after the deadline"
	case StopMaxElapsed:
		return "gives up at once: a wait of " + needed + " is longer than its rule allows"
	case StopMaxWait:
		return "gives up at once: a wait in line of " + needed + " is longer than Pace.MaxWait"
	case StopCanceled:
		return "stops: the caller has left"
	case StopBudget:
		return "hands it back: the retry budget is empty"
	case StopCircuitOpen:
		return "refuses it: its circuit is open for " + needed
	}
	return "stops: " + o.Stop.String()
}
