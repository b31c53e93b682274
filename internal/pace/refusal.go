// This file judges how far a refusal reaches: all calls of the bucket, or only
// those of one user, client or session, of whom the governor knows nothing.

package pace

import (
	"net/url"
	"time"
)

// refusals are a bucket's refusals that its own headers do not explain. bucket.mu
// guards them. The nil refusals are none.
//
// Okta limits single users, clients, state tokens and sessions with the same code
// as buckets, and "no other users in your org are affected". A token's share of a
// bucket, on the other hand, is refused for all of its calls while Remaining is
// above 0. So a refusal that the bucket's headers do not explain holds the call
// that met it, and a scout finds out for the others: accepted, the refusal was
// narrow; refused, and the next one, too, it is the bucket's.
type refusals struct {
	narrow      bool      // the server is known to limit single users here; by the register
	narrowUntil time.Time // a refusal was seen to be narrow; by accepted and refused

	inRow   int       // since the last acceptance, of calls that were sent one after the other
	since   time.Time // when the first of inRow arrived
	until   time.Time // the time that it named
	window  int64     // the bucket's that the first one came in, by its reset; 0: unknown
	inDoubt bool      // a scout is to find out what the first one meant
	scouts  int       // that are out
	overdue time.Time // when its answer is waited for no longer
	spaceAt time.Time // the next call is not sent before

	of        subjects
	bySubject bool  // what was found to be narrow was so by subject
	asides    *line // the calls that wait beside the line, see aside; nil before the first one; by stepAside and leaveLine
}

const (
	// wideAfter is how many unexplained refusals in a row are the bucket's: the
	// first, and those of two scouts.
	wideAfter = 3
	// narrowFor is how long a bucket's refusals count as narrow once one was.
	narrowFor = 10 * time.Minute
	// mostOfOne is the largest limit that Okta documents for a single client.
	mostOfOne = 60
	// spacedAfter is how many narrow refusals in a row slow a bucket down, to one
	// call each spacedBy.
	spacedAfter = 10
	spacedBy    = 100 * time.Millisecond
	// lateBy is how long after the end of its window the time may be that a refusal
	// names: up to a second that the server's clock is unknown by, and one that the
	// server may have cut off.
	lateBy = 2 * time.Second
)

// explained reports whether the bucket's own headers explain a refusal.
func (r *refusals) explained(e entry, s *Seen, w *window) bool {
	switch {
	case !s.hasLimits():
		return !s.Marked || !r.narrow && !w.accepted
	case s.Remaining > 0:
		return w.atOwnShare(e)
	case w.accepted:
		return s.Limit == w.limit && !w.isMixed()
	}
	return !r.narrow
}

// mayBeOnes reports whether a refusal that the bucket's headers explain may be that
// of one user, client or session all the same: all that was accepted may be, too.
func (r *refusals) mayBeOnes(s *Seen) bool {
	return r.narrow && s.hasLimits() && s.Limit <= mostOfOne
}

// refused records a refusal and reports whether it is the bucket's.
func (r *refusals) refused(e entry, u *url.URL, now time.Time, s *Seen, w *window) (wide bool) {
	explained := r.explained(e, s, w)
	if explained && !r.mayBeOnes(s) {
		r.reset()
		if s.Remaining > 0 {
			w.foundShare()
		}
		return true
	}
	if r.inRow == 0 {
		r.inRow, r.since, r.until, r.window = 1, now, s.Hold, 0
		if w.describes(s) {
			r.window = s.Reset
		}
	} else if e.sentAt.After(r.since) { // those sent before were refused with the first
		r.inRow++
	}
	r.of.refused(u, now, s.Hold)
	if r.narrow || now.Before(r.narrowUntil) && (r.inRow < wideAfter || r.bySubject && r.of.inRow() < wideOfMany) {
		r.inDoubt = explained && !now.Before(r.narrowUntil)
		if r.inDoubt || r.inRow >= spacedAfter {
			r.spaceAt = now.Add(spacedBy)
		}
		return false
	}
	if r.inRow < wideAfter {
		if !r.inDoubt {
			w.suspectShare()
		}
		r.inDoubt = true
		return false
	}
	r.reset()
	r.narrowUntil = time.Time{}
	w.foundShare()
	return true
}

// accepted records a call that passed. If it was sent after an unexplained refusal
// and before the time that this named, such refusals are narrow. A call of the
// next window shows that only well before the time, for this may be a little late.
func (r *refusals) accepted(e entry, u *url.URL, now time.Time, s *Seen, w *window) {
	if r == nil {
		return
	}
	one := r.of.find(u)
	if one != nil && e.sentAt.After(one.at) {
		if e.sentAt.Before(one.until.Add(-lateBy)) {
			r.bySubject = false // it was another limit's
		}
		defer r.of.forget(one.id)
		r.wakeAsides()
	}
	if r.inRow == 0 || !e.sentAt.After(r.since) {
		return
	}
	until := r.until
	if r.window > 0 && s.Reset > r.window+sameWindow {
		until = until.Add(-lateBy)
	}
	if e.sentAt.Before(until) {
		if one == nil && len(r.of) > 0 {
			r.bySubject = true
		}
		r.narrowUntil = now.Add(narrowFor)
		w.suspect = 0
	}
	r.reset()
}

func (r *refusals) reset() {
	if r.inDoubt {
		r.wakeAsides()
	}
	r.inRow, r.inDoubt, r.spaceAt = 0, false, time.Time{}
	r.of.endRow()
}

// room returns how long the next call waits for a scout's answer, or for its distance
// from the last call.
func (r *refusals) room(now time.Time) (time.Duration, Reason) {
	if r == nil {
		return 0, NoReason
	}
	if r.inDoubt && r.scouts > 0 && now.Before(r.overdue) {
		return r.overdue.Sub(now), Answers
	}
	return max(r.spaceAt.Sub(now), 0), Turn
}

// enter counts a call that is sent and reports whether it is a scout.
func (r *refusals) enter(now time.Time) (scout bool) {
	if r == nil {
		return false
	}
	if !r.spaceAt.IsZero() && r.inRow >= spacedAfter {
		r.spaceAt = now.Add(spacedBy)
	}
	if r.inDoubt {
		r.scouts++
		r.overdue = now.Add(patience)
	}
	return r.inDoubt
}

// leave counts the end of a call.
func (r *refusals) leave(e entry) {
	if e.inDoubt {
		r.scouts--
	}
}
