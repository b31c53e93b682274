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

// printTimeline prints who did what, and when, of one call, and what the SDK got.
func printTimeline(w io.Writer, o oktaretry.Outcome, got string, err error) {
	var timeline strings.Builder
	o.WriteTimeline(&timeline)
	for line := range strings.Lines(timeline.String()) {
		fmt.Fprint(w, " ", line)
	}
	say := func(what string) { fmt.Fprintf(w, " %9s   %-9s  %s\n", seconds(o.Elapsed), "the SDK", what) }
	if err == nil {
		say("got " + got)
		return
	}
	const column = 24
	lines := wrap("error: "+err.Error(), width-column)
	say(lines[0])
	for _, line := range lines[1:] {
		fmt.Fprintf(w, "%*s%s\n", column, "", line)
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
