// This file holds how many calls are in flight when many end at once.

package pace

import "time"

// tides is how high the calls in flight rose just now. Many calls may end
// together, and others take their places: a refusal that arrives between the
// two finds few in flight, though the server has not seen less than its limit.
type tides struct {
	present, before tide
	turned          time.Time // when the present one began
}

type tide struct {
	most    int // in flight
	refused int // of them, which the server did not count
}

const tideLasts = 20 * time.Millisecond

// rise takes note of a call that went; inFlight counts it.
func (t *tides) rise(now time.Time, inFlight int) {
	t.turn(now, inFlight)
	t.present.most = max(t.present.most, inFlight)
}

// refuse takes note of a call that was refused and returns how many were too
// many; inFlight counts it. The tide has been turned.
func (t *tides) refuse(inFlight int) (level int) {
	level = max(inFlight, t.present.most-t.present.refused, t.before.most-t.before.refused-t.present.refused)
	t.present.refused++
	return level
}

// turn begins a new tide when the present one is over. It must be asked before
// any call in flight ends.
func (t *tides) turn(now time.Time, inFlight int) {
	since := now.Sub(t.turned)
	if since >= 0 && since < tideLasts {
		return
	}
	t.before = t.present
	if since < 0 || since >= 2*tideLasts {
		t.before = tide{most: inFlight}
	}
	t.present, t.turned = tide{most: inFlight}, now
}
