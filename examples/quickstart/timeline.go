// This file tells the story of one call, by its outcome.

package main

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/oktaretry/oktaretry"
)

// width is how many columns the output takes.
const width = 88

// printTimeline prints who did what, and when, of one call.
func printTimeline(w io.Writer, o oktaretry.Outcome, got string, err error) {
	say := func(at time.Duration, who, what string) {
		fmt.Fprintf(w, "   %7s   %-9s  %s\n", seconds(at), who, what)
	}
	var at time.Duration
	for _, a := range o.Attempts {
		for _, wait := range a.Waits {
			say(at, "oktaretry", explainWait(wait))
		}
		at = a.Start.Add(a.Duration).Sub(o.Start)
		say(at, "Okta", explainAnswer(a))
	}
	if why := explainStop(o); why != "" {
		say(o.Elapsed, "oktaretry", why)
	}
	if err == nil {
		say(o.Elapsed, "the SDK", "got "+got)
		return
	}
	const column = 24
	lines := wrap("error: "+err.Error(), width-column)
	say(o.Elapsed, "the SDK", lines[0])
	for _, line := range lines[1:] {
		fmt.Fprintf(w, "%*s%s\n", column, "", line)
	}
}

func explainAnswer(a oktaretry.Attempt) string {
	text := fmt.Sprint(a.Status)
	if a.Err != nil {
		text = a.Err.Error()
	}
	if known, ok := oktaretry.Lookup(a.Code); ok {
		text += " " + a.Code + " " + known.Name
	}
	return fmt.Sprintf("%-46s  (%s)", text, a.Class)
}

func explainWait(w oktaretry.Wait) string {
	switch d := seconds(w.Duration); w.Reason {
	case oktaretry.WaitRateLimit:
		return "waits " + d + ", until Okta's window is over"
	case oktaretry.WaitBackoff:
		return "waits " + d + " and sends it again: a GET does no harm twice"
	case oktaretry.WaitPoll:
		return "asks again after " + d
	default:
		return "waits " + d + ": " + w.Reason.String()
	}
}

func explainStop(o oktaretry.Outcome) string {
	switch o.Stop {
	case oktaretry.StopSuccess:
		return ""
	case oktaretry.StopFailFast:
		return "hands it back at once: asking again would not change it"
	case oktaretry.StopNotIdempotent:
		return "hands it back at once: sent twice, it may create two users"
	case oktaretry.StopDeadline:
		return "gives up at once: a wait of " + seconds(o.Needed) + " ends after the deadline"
	default:
		return "stops: " + o.Stop.String()
	}
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

// wrap breaks a text into lines at its spaces; a longer word has a line of its
// own. There is always one line.
func wrap(text string, columns int) []string {
	lines := []string{""}
	for _, word := range strings.Fields(text) {
		line := &lines[len(lines)-1]
		switch {
		case *line == "":
			*line = word
		case utf8.RuneCountInString(*line)+1+utf8.RuneCountInString(word) <= columns:
			*line += " " + word
		default:
			lines = append(lines, word)
		}
	}
	return lines
}
