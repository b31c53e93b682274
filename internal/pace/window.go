// This file holds what is known of a bucket's window, and how many calls it has
// room for.

package pace

import (
	"math/rand/v2"
	"time"
)

// window is one rate-limit window as the answers describe it. Times are local.
type window struct {
	limit int   // -1: unknown
	left  int   // the least Remaining seen in this window
	id    int64 // its reset on the server's clock, Unix seconds; 0: none is known
	reset time.Time
	late  bool // the server opens the next one up to a second after the reset it names
	trust bool // it has accepted calls: a scout may go at the reset, without waiting for a second more
	stray int  // answers in a row that a call of this window cannot have got

	// A window is at least as long as the longest time to a reset that was seen,
	// and at most as long as the shortest distance of two resets; 0: unknown.
	atLeast, atMost time.Duration

	entered  int       // calls let into a window of which nothing is known yet
	expect   time.Time // when their answers are waited for no longer
	unspoken bool      // the bucket's answers carry no limits
	bursts   int       // calls accepted at Remaining 0 in this window

	// How much of what was used was ours, over this window and, halved with
	// each, the ones before.
	used, ours float64
}

const (
	// firstFew is how many calls go at once while a limit is unknown.
	firstFew = 3
	// patience is how long a scout's answer is waited for before another goes.
	patience = time.Second
	// sameWindow: resets of one window that differ by rounding only.
	sameWindow = 1
	// astray is how many answers in a row prove that the window which is
	// thought to be open is not.
	astray = 5
	// most bounds a limit: what is beyond needs no counting.
	most = 1 << 30
)

// learn takes the limits of t's answer. reset is when its window ends on the
// local clock, which may be past; zero when that is not plausible. An answer
// that speaks of an older window than the one known says nothing.
func (w *window) learn(s Seen, reset time.Time, t *Ticket, now time.Time) {
	if s.Limit <= 0 || s.Remaining < 0 || s.Reset <= 0 || reset.IsZero() {
		if w.id == 0 && !s.Refused {
			w.unspoken = true
		}
		return
	}
	s.Limit, s.Remaining = min(s.Limit, most), min(s.Remaining, most)
	w.unspoken = false
	switch {
	case w.id == 0 || s.Reset > w.id+sameWindow:
		w.turn(s, reset)
	case s.Reset < w.id-sameWindow:
		if t.window == w.id {
			// It went when that window was known, and was told of an older one.
			w.stray++
		}
		if w.stray < astray {
			return
		}
		w.atLeast, w.atMost = 0, 0
		w.turn(s, reset)
	case s.Refused && t.scout && t.window == w.id && !w.late:
		// A scout that went at the reset met the old window: the server ends
		// it within the second that it names, not at its start.
		w.late = true
		w.reset = w.reset.Add(time.Second)
	}
	w.stray = 0
	if used := min(w.left, s.Limit) - s.Remaining; used > 0 {
		w.used += float64(used)
	}
	w.left = min(w.left, s.Remaining)
	if !s.Refused {
		w.ours++
		w.trust = true
		if s.Remaining == 0 {
			w.bursts++
		}
	}
	w.limit = s.Limit
	if s.Reset == w.id {
		w.reset = reset
		if w.late {
			w.reset = reset.Add(time.Second)
		}
		w.atLeast = max(w.atLeast, reset.Sub(now))
	}
}

// turn begins a new window.
func (w *window) turn(s Seen, reset time.Time) {
	if distance := time.Duration(s.Reset-w.id) * time.Second; w.id != 0 && distance > 0 && (w.atMost == 0 || distance < w.atMost) {
		w.atMost = distance
	}
	w.id, w.reset, w.left, w.limit = s.Reset, reset, s.Limit, s.Limit
	w.used, w.ours, w.bursts, w.entered, w.stray = w.used/2, w.ours/2, 0, 0, 0
}

// length returns how long a window is, or somewhat less.
func (w *window) length() time.Duration {
	if w.atMost > 0 {
		return min(w.atLeast, w.atMost)
	}
	return w.atLeast
}

// share estimates how much of the bucket's use is this process's own.
func (w *window) share(inFlight int) float64 {
	// What is in flight may be counted by the server already.
	others := w.used - w.ours - float64(inFlight)
	if others <= 0.02*w.used || w.used == 0 {
		return 1
	}
	return max(1-others/w.used, 0.02)
}

// room says why no more call may go, if none may: wait is when to look again
// at the latest; an answer may change it earlier. pause is the distance that
// the next call should keep from this one.
func (w *window) room(now time.Time, inFlight int, utilization float64) (why Reason, wait, pause time.Duration) {
	if w.unspoken {
		return NoReason, 0, 0
	}
	if w.id == 0 || !now.Before(w.reset) {
		return w.unknown(now, utilization)
	}
	kept := reserve(w.limit, utilization)
	if w.bursts > 1 && kept == 0 {
		return NoReason, 0, 0 // the bucket accepts more than it says
	}
	free := w.left - kept
	if free <= 0 {
		return Exhausted, w.reset.Sub(now), 0
	}
	share := w.share(inFlight)
	places := free
	if share < 1 {
		// Others use the bucket too, and what they did since the last answer
		// is unknown. Each goes for half of its part of what is left, so that
		// the places run out in ever smaller steps and the last ones one by one.
		part := float64(free) * share / 2
		places = max(int(part), 1)
		if part < 1 {
			pause = time.Duration(rand.Float64() * lastPlaces / max(part, 0.1))
		}
	}
	if inFlight < places {
		return NoReason, 0, pause
	}
	// Those in flight have the places, unless the server counted them already:
	// their answers will tell.
	return Answers, min(w.reset.Sub(now), patience), 0
}

// unknown is room while nothing is known of the window: of a new bucket, or
// because the last one is over. A few calls, or a single scout where the last
// window was used up, find out.
func (w *window) unknown(now time.Time, utilization float64) (why Reason, wait, pause time.Duration) {
	few := firstFew
	if w.id != 0 {
		few = max(few, w.limit/10)
		if w.left-reserve(w.limit, utilization) <= w.limit/4 {
			few = 1
		}
	}
	if w.entered < few || !now.Before(w.expect) {
		return NoReason, 0, 0
	}
	return Answers, w.expect.Sub(now), 0
}

// enter notes that a call goes and reports whether it is one of those that find
// out.
func (w *window) enter(now time.Time) bool {
	if w.unspoken || w.id != 0 && now.Before(w.reset) {
		return false
	}
	w.entered++
	w.expect = now.Add(patience)
	return true
}

// leave notes that a call has ended. Where it has found out what the window is
// like, that begins the count anew; else another may try.
func (w *window) leave(t *Ticket) {
	if t.scout && t.window == w.id && w.entered > 0 {
		w.entered--
	}
}

// lastPlaces is the mean distance of the calls that share the last places of a
// window among processes that don't know of each other.
const lastPlaces = float64(25 * time.Millisecond)

// reserve is how many places of a window are left to others: never all.
func reserve(limit int, utilization float64) int {
	return limit - max(int(float64(limit)*utilization+1e-9), 1)
}
