// This file holds how a window of which nothing is known is found out: a few
// calls are sent, the scouts, and the others wait for their answers.

package pace

import "time"

// scouts are the calls sent into a window of which nothing is known. bucket.mu
// guards them.
type scouts struct {
	out     int       // in flight; by enter, leave and window.begin
	overdue time.Time // when their answers are waited for no longer; by enter
}

// firstFew is how many scouts are sent at once while a limit is unknown.
const firstFew = 3

// scoutRoom is room while nothing is known of the window: of a new bucket, or
// because the last window is over.
func (w *window) scoutRoom(now time.Time, utilization float64) (why Reason, wait time.Duration) {
	if w.scouts.out < w.mostScouts(utilization) || !now.Before(w.scouts.overdue) {
		return NoReason, 0
	}
	return Answers, w.scouts.overdue.Sub(now)
}

// mostScouts returns how many scouts are sent at once: a single one where the
// last window was used up, for others wait for the next as well.
func (w *window) mostScouts(utilization float64) int {
	switch {
	case w.id == 0:
		return firstFew
	case w.left-reserve(w.limit, utilization) <= w.limit/4:
		return 1
	}
	return max(firstFew, w.limit/10)
}

// enter counts a call that is sent, and reports whether it is a scout.
func (w *window) enter(now time.Time) bool {
	if w.unbound || w.isOpen(now) {
		return false
	}
	w.scouts.out++
	w.scouts.overdue = now.Add(patience)
	return true
}

// leave counts the end of a call. If it was a scout and the window is still
// unknown, another may be sent.
func (w *window) leave(t *Ticket) {
	if t.scout && t.windowID == w.id && w.scouts.out > 0 {
		w.scouts.out--
	}
}
