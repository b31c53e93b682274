// This file shows who used what: on a terminal it is drawn anew all the time,
// elsewhere a line is printed when a window is over.

package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

type screen struct {
	w     io.Writer
	live  bool
	lines int // that are drawn now
	done  int // windows printed for good
}

func newScreen(w io.Writer) *screen {
	s := &screen{w: w}
	if f, ok := w.(*os.File); ok {
		info, err := f.Stat()
		s.live = err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
	}
	return s
}

// show prints the windows that are over and, on a terminal, the one that runs.
func (s *screen) show(all []tally, now time.Time) {
	s.clear()
	for s.done < len(all) && !now.Before(all[s.done].begins.Add(window)) {
		s.print(s.done, all[s.done])
		s.done++
	}
	if s.live && s.done < len(all) {
		s.print(s.done, all[s.done])
		fmt.Fprintf(s.w, "          the next window begins in %.1f s\n", all[s.done].begins.Add(window).Sub(now).Seconds())
		s.lines = 2
	}
}

// note prints a line between the windows.
func (s *screen) note(text string) {
	s.clear()
	fmt.Fprintln(s.w, "          "+text)
}

func (s *screen) clear() {
	if s.lines > 0 {
		fmt.Fprintf(s.w, "\x1b[%dA\x1b[J", s.lines)
		s.lines = 0
	}
}

func (s *screen) print(n int, t tally) {
	total := 0
	fmt.Fprintf(s.w, "window %d  ", n+1)
	for i, used := range t.used {
		total += used
		fmt.Fprintf(s.w, "%d %-*s", i+1, limit/workers+8, strings.Repeat("█", (used+1)/2)+fmt.Sprintf(" %d", used))
	}
	fmt.Fprintf(s.w, "  %d of %d used, %d × 429\n", total, limit, t.refused)
}
