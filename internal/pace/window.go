// This file holds what is known of a bucket's window, and how many calls it has
// room for.

package pace

import (
	"math/rand/v2"
	"time"

	"github.com/oktaretry/oktaretry/shared"
)

// window is one rate-limit window as answers describe it, on the local clock.
// bucket.mu guards it. Where no writer is named, learn, merge and begin are.
type window struct {
	limit  int       // -1: unknown
	leftAt time.Time // when left was seen; by count
	left   int       // the least Remaining seen in this window; -1: unknown
	id     int64     // its reset on the server's clock, Unix seconds; 0: none is known
	reset  time.Time // zero: none is known
	seenAt time.Time // when the last answer of this window arrived; by learn and merge
	stray  int       // answers in a row that a call of this window cannot have got

	unbound  bool // the bucket's answers carry no limits
	quiet    int  // accepted calls without limits, while none are known; by learn
	accepted bool // the bucket has accepted calls, so a scout may go at the reset, without waiting for a second more; by learn
	narrow   bool // the server also counts single users, clients or sessions; by the register
	mayBurst bool // the server is known to accept calls beyond the limit for a while; by the register
	mixed    int  // answers that were of another counter, up to severalCounters; by learn
	bursts   int  // calls accepted at Remaining 0 in this window

	// The server may end a window up to a second after the reset that it names, in
	// whole seconds.
	late   bool      // it was seen to; by learn
	opened time.Time // when the first call of this process was answered in this window; zero: none was

	// A token may be allowed a share of the bucket only, whose headers then are not
	// its own.
	mine     int  // calls of this process accepted in this window; by learn
	ownShare int  // how many were accepted when the rest was refused; 0: never; by refusals
	suspect  int  // how many were accepted when a refusal came that may mean a share; 0: none did; by learn and refusals
	pastHalf bool // more than half of a window was accepted; by learn

	// A window is at least as long as the longest time to a reset that was seen,
	// and at most as long as the shortest distance of two resets; 0: unknown.
	atLeast, atMost time.Duration

	// How many places were used, and by this process, over this window and, halved
	// with each, the ones before.
	used, ours float64

	scouts scouts
}

// longestHold is how long a single refusal, or a window that is used up, closes a
// bucket before a scout is sent: Okta's windows last a minute, and one absurd
// answer must close nothing for longer.
const longestHold = time.Minute + time.Second

const (
	// sameWindow: resets of one window that differ by rounding only.
	sameWindow = 1
	// astray is how many answers in a row prove that the window which is believed
	// to be open is not.
	astray = 5
	// most bounds a limit: what is beyond needs no counting.
	most = 1 << 30
	// leastShare: an estimate of a share that is this close to none or to all is noise.
	leastShare = 0.02
)

// lastPlaces is the mean distance of the calls that share the last places of a
// window among processes that don't know of each other.
const lastPlaces = float64(25 * time.Millisecond)

// isSameWindow reports whether two IDs are those of one window.
func isSameWindow(a, b int64) bool { return a-b <= sameWindow && b-a <= sameWindow }

// reserve returns how many places of a window are left to others: never all.
func reserve(limit int, utilization float64) int {
	return limit - max(int(float64(limit)*utilization+1e-9), 1)
}

// describes reports whether a refusal that is not the bucket's carries the bucket's
// headers all the same: they have places left, of the limit that is known.
func (w *window) describes(s *Seen) bool {
	return s.Remaining > 0 && (w.limit < 0 || s.Limit == w.limit)
}

// isOpen reports whether the window is known and not over.
func (w *window) isOpen(now time.Time) bool { return now.Before(w.reset) }

// closedUntil returns when a used-up window takes calls again, as far as it is
// believed: at its reset, but no longer than longestHold after the last answer
// that said so. Then a scout is sent.
func (w *window) closedUntil() time.Time {
	if longest := w.seenAt.Add(longestHold); longest.Before(w.reset) {
		return longest
	}
	return w.reset
}

// isUsedUp reports whether the window is known and has no place left for us.
func (w *window) isUsedUp(utilization float64) bool {
	return w.id != 0 && w.left <= reserve(w.limit, utilization)
}

// usedUp returns why a window with so many places left takes no more calls: by the
// server's headers, or because these are for others.
func usedUp(left int) Reason {
	if left > 0 {
		return Reserved
	}
	return Exhausted
}

// isBursting reports whether the bucket accepts more calls than its headers name.
func (w *window) isBursting() bool { return w.bursts > 1 }

// asksForBurst reports whether the window is used up, and a scout may find out
// whether the server accepts more.
func (w *window) asksForBurst(utilization float64) bool {
	return (w.mayBurst || w.narrow) && w.left <= 0 && reserve(w.limit, utilization) == 0
}

// atOwnShare reports whether a refused call went beyond what is, or may be, this
// credential's share.
func (w *window) atOwnShare(e entry) bool {
	share := w.ownShare
	if share == 0 && e.scout && !w.pastHalf {
		share = w.limit / 2
	}
	return share > 0 && w.mine >= share-share/20
}

// usedShare reports whether what is likely to be this credential's share is used up.
func (w *window) usedShare() bool {
	share := w.likelyShare()
	return share > 0 && w.mine >= share-share/20
}

// entry is how a call was sent into a window.
type entry struct {
	windowID int64 // of the window that was known then
	scout    bool
	over     bool // the known window was over, by its reset
	sentAt   time.Time
	inDoubt  bool // it finds out how far a refusal reaches
}

// enter counts a call that is sent beside so many in flight.
func (w *window) enter(now time.Time, inFlight int) entry {
	if w.unbound || w.isOpen(now) && !w.needsScout(now, inFlight) {
		return entry{windowID: w.id, sentAt: now}
	}
	w.scouts.enter(now)
	return entry{windowID: w.id, scout: true, over: !w.isOpen(now), sentAt: now}
}

// needsScout reports whether a call finds out something about an open window:
// whether a used-up one takes more, or more than this credential's share.
func (w *window) needsScout(now time.Time, inFlight int) bool {
	if w.left <= 0 && !w.isBursting() {
		return w.mayBurst || w.narrow || !now.Before(w.closedUntil())
	}
	return w.nearOwnShare(inFlight)
}

// nearOwnShare reports whether so many calls in flight, and the next, use what may
// be this credential's share, so that one at a time finds out: what was, or may have
// been, refused beyond before or, once for each bucket, half of the limit, which Okta
// allows a token by default.
func (w *window) nearOwnShare(inFlight int) bool {
	switch share := w.likelyShare(); {
	case share > 0:
		return w.mine+inFlight >= share
	case w.pastHalf || w.mayBurst || w.limit < minHalved:
		return false
	}
	return w.mine+inFlight >= w.limit/2
}

// likelyShare returns how many calls a window accepts, as far as refusals show; 0:
// they show nothing.
func (w *window) likelyShare() int {
	if w.ownShare > 0 {
		return w.ownShare
	}
	return w.suspect
}

// foundShare records that calls are refused although the bucket has places: what
// was accepted is this credential's share, unless it is too little for one.
func (w *window) foundShare() {
	if w.mine >= w.limit/10 {
		w.ownShare, w.suspect = max(w.mine, 1), 0
	}
}

// suspectShare records a refusal that may be foundShare's. All that was in flight
// can have been refused with it, so that no scout finds out in this window; those of
// the next one do when as many were accepted.
func (w *window) suspectShare() {
	if w.mine >= w.limit/10 {
		w.suspect = w.mine
	}
}

// minHalved is the least limit of which half is probed.
const minHalved = 20

// leave counts the end of a call. After a scout that has not found the window,
// another may be sent.
func (w *window) leave(e entry) {
	if e.scout && e.windowID == w.id {
		w.scouts.leave()
	}
}

// learn records the limits in the answer to a call. reset is when its window ends
// on the local clock, which may be past; zero when that is not plausible. An
// answer from an older window than the known one is ignored.
func (w *window) learn(s Seen, reset time.Time, e entry, now time.Time) {
	if !s.hasLimits() || reset.IsZero() {
		if w.id == 0 && s.Accepted {
			w.quiet++
			w.unbound = w.unbound || w.quiet >= quietSuccesses
		}
		return
	}

	s.Limit, s.Remaining = min(s.Limit, most), min(s.Remaining, most)
	w.unbound = false
	if w.narrow && s.Accepted && w.contradicts(&s, e, now) {
		w.mixed = min(w.mixed+1, severalCounters)
	}
	switch {
	case w.id == 0 || s.Reset > w.id+sameWindow:
		w.begin(s.Reset, s.Limit, reset)
	case s.Reset < w.id-sameWindow:
		if e.windowID == w.id {
			w.stray++ // it was sent when w was known, and yet counted in an older window
		}
		if w.stray < astray {
			return
		}
		w.atLeast, w.atMost = 0, 0
		w.begin(s.Reset, s.Limit, reset)
	case s.Refused && e.over && e.windowID == w.id && !w.late && reset.Before(now.Add(time.Second)):
		// A scout that was sent at the reset met the old window: the server ends it
		// within the second that it names, not at its start. A reset far ahead was
		// met where the window was not believed for so long.
		w.late = true
	}
	w.stray, w.seenAt = 0, now
	w.count(s.Limit, s.Remaining, now)
	if !s.Refused {
		w.ours++
		w.mine++
		w.accepted = true
		w.pastHalf = w.pastHalf || w.mine > w.limit/2
		if e.scout && w.ownShare > 0 && w.mine > w.ownShare+w.ownShare/20 {
			w.ownShare = w.mine + w.mine/8 // the share has grown
		} else if w.ownShare > 0 && !e.scout {
			w.ownShare = max(w.ownShare, w.mine) // it was in flight when the share was found
		}
		if e.scout && w.mine > w.suspect+w.suspect/20 {
			w.suspect = 0
		}
		if s.Remaining == 0 {
			w.bursts++
		}
		if w.mine == 1 {
			w.opened = now
		}
	}
	if s.Reset == w.id {
		w.reset = w.end(reset)
		w.atLeast = max(w.atLeast, reset.Sub(now))
	}
}

// quietSuccesses is how many accepted calls without limits make a new bucket one
// that has none. A proxy's answer must not open it.
const quietSuccesses = 10

// end returns when the window ends whose reset is named.
func (w *window) end(reset time.Time) time.Time {
	if !w.late {
		return reset
	}
	return w.lateEnd(reset)
}

// lateEnd returns when the window ends if it does so within the second that its
// reset names. Okta's windows open with their first call and last a minute (all 493
// recorded ones), so the window is over a minute after this process saw it open.
func (w *window) lateEnd(reset time.Time) time.Time {
	last := reset.Add(time.Second)
	if exact := w.opened.Add(time.Minute); !w.opened.IsZero() && !exact.Before(reset) && exact.Before(last) {
		return exact
	}
	return last
}

// merge records what other processes saw of a window.
func (w *window) merge(s shared.Window, now time.Time) {
	w.unbound = false
	reset := now.Add(s.Ends)
	switch {
	case w.id == 0 || s.ID > w.id+sameWindow:
		w.begin(s.ID, s.Limit, reset)
	case s.ID < w.id-sameWindow:
		return
	case reset.Before(w.reset):
		w.reset = reset // another knows the server's clock better
	}
	w.seenAt = now
	w.count(s.Limit, s.Remaining, now)
	w.atLeast = max(w.atLeast, s.Ends)
}

// begin replaces the window by a new one.
func (w *window) begin(id int64, limit int, reset time.Time) {
	if distance := time.Duration(id-w.id) * time.Second; w.id != 0 && distance > 0 && (w.atMost == 0 || distance < w.atMost) {
		w.atMost = distance
	}
	w.id, w.reset, w.left, w.limit = id, reset, limit, limit
	w.used, w.ours, w.bursts, w.stray, w.mine = w.used/2, w.ours/2, 0, 0, 0
	w.opened = time.Time{}
	w.scouts.out = 0
}

// count records how many places are left.
func (w *window) count(limit, remaining int, now time.Time) {
	w.limit = limit
	if used := min(w.left, limit) - remaining; used > 0 {
		w.used += float64(used)
	}
	if remaining < w.left {
		w.left, w.leftAt = remaining, now
	}
}

// severalCounters is how many answers show that headers are not those of one
// counter, but of each user's or client's own.
const severalCounters = 2

// contradicts reports whether an answer cannot be of the counter that the earlier
// ones were of: another window runs already, or a later call had more places left.
func (w *window) contradicts(s *Seen, e entry, now time.Time) bool {
	switch {
	case w.id == 0 || !e.sentAt.After(w.leftAt):
		return false
	case isSameWindow(s.Reset, w.id):
		return s.Remaining > w.left+1
	}
	return w.isOpen(now.Add(2 * time.Second)) // clear of what rounding makes of a reset
}

// isMixed reports whether the headers of the bucket's answers are those of several
// counters, so that they describe the bucket for nobody.
func (w *window) isMixed() bool { return w.mixed >= severalCounters }

// length returns how long a window is, or somewhat less.
func (w *window) length() time.Duration {
	if w.atMost > 0 {
		return min(w.atLeast, w.atMost)
	}
	return w.atLeast
}

// share estimates this process's part of the bucket's use.
func (w *window) share(inFlight int) float64 {
	// The server may have counted what is in flight.
	others := w.used - w.ours - float64(inFlight)
	if others <= leastShare*w.used || w.used == 0 {
		return 1
	}
	return max(1-others/w.used, leastShare)
}

// room returns why no more calls may be sent, if so: wait is when to look again
// at the latest; an answer may change it earlier. pause is the distance that the
// next call should keep from this one.
func (w *window) room(now time.Time, inFlight int, utilization float64) (why Reason, wait, pause time.Duration) {
	if w.unbound || w.isMixed() {
		return NoReason, 0, 0
	}
	if !w.isOpen(now) {
		why, wait = w.scouts.room(now, w.mostScouts(utilization))
		return why, wait, 0
	}
	kept := reserve(w.limit, utilization)
	if w.isBursting() && kept == 0 {
		return NoReason, 0, 0
	}
	free := w.left - kept
	if w.asksForBurst(utilization) {
		why, wait = w.scouts.room(now, 1)
		return why, wait, 0
	}
	if free <= 0 {
		if wait := w.closedUntil().Sub(now); wait > 0 {
			return usedUp(w.left), wait, 0
		}
		why, wait = w.scouts.room(now, 1)
		return why, wait, 0
	}
	if w.nearOwnShare(inFlight) {
		if why, wait = w.scouts.room(now, 1); why != NoReason {
			return why, wait, 0
		}
	}
	share := w.share(inFlight)
	places := free
	if share < 1 {
		// Others use the bucket too, and what they did since the last answer is
		// unknown. Each process takes half of its part of what is left, so that the
		// places run out in ever smaller steps and the last ones one by one.
		part := float64(free) * share / 2
		places = max(int(part), 1)
		if part < 1 {
			pause = time.Duration(rand.Float64() * lastPlaces / max(part, 0.1))
		}
	}
	if inFlight < places {
		return NoReason, 0, pause
	}
	// The calls in flight need all places, unless the server has counted them: their
	// answers will show.
	return Answers, min(w.reset.Sub(now), patience), 0
}

// mostScouts returns how many scouts are sent at once into the next window: one
// where the last window was used up, or this credential's share of it, for others
// wait for the next as well, and the server may end the last one a little later.
func (w *window) mostScouts(utilization float64) int {
	switch {
	case w.id == 0:
		return firstFew
	case w.left-reserve(w.limit, utilization) <= w.limit/4, w.usedShare():
		return 1
	}
	return max(firstFew, w.limit/10)
}
