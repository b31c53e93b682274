// This file holds how many calls are taken to be in flight when many end at once.

package pace

import "time"

// tides is how high the calls in flight rose just now. Many calls may end
// together, and others take their slots: a refusal that arrives between the two
// finds few in flight, though the server has seen no fewer than its limit. host.mu
// guards it.
type tides struct {
	present, before tide
	turnedAt        time.Time // when the present one began; by turn
}

type tide struct {
	most    int // calls in flight; by rise and turn
	refused int // of them, which the server did not count; by refuse
}

const tideLasts = 20 * time.Millisecond

// rise records a call that is sent; inFlight counts it.
func (t *tides) rise(now time.Time, inFlight int) {
	t.turn(now, inFlight)
	t.present.most = max(t.present.most, inFlight)
}

// refuse records a call that was refused and returns how many were too many;
// inFlight counts it. The tide has been turned.
func (t *tides) refuse(inFlight int) (level int) {
	level = max(inFlight, t.present.most-t.present.refused, t.before.most-t.before.refused-t.present.refused)
	t.present.refused++
	return level
}

// turn begins a new tide when the present one is over. It precedes the end of
// any call in flight.
func (t *tides) turn(now time.Time, inFlight int) {
	since := now.Sub(t.turnedAt)
	if since >= 0 && since < tideLasts {
		return
	}
	t.before = t.present
	if since < 0 || since >= 2*tideLasts {
		t.before = tide{most: inFlight}
	}
	t.present, t.turnedAt = tide{most: inFlight}, now
}
