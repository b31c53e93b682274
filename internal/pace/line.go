// This file holds the order in which waiting calls are sent.

package pace

// Priority orders the calls of a bucket.
type Priority uint8

const (
	Interactive Priority = iota // a person waits for the answer
	Background
)

// waiter is a call's place in the line of its bucket. push and remove write its
// fields, for the call's own goroutine and under bucket.mu.
type waiter struct {
	lane     uint8         // by stepAside, between two lines
	isAside  bool          // it stands beside the line: in refusals.asides; by stepAside and leaveLine
	later    uint8         // how long after others of its URL it comes back, of 256 parts; 0 until it first steps aside; by stepAside
	position int           // in the lane, counted from 1; 0: not in line
	wake     chan struct{} // nil: not in line
}

// Each priority has two lanes: calls that have been sent before, and after them
// those that have not.
const lanes = 4

func laneOf(p Priority, returning bool) uint8 {
	if returning {
		return uint8(p) * 2
	}
	return uint8(p)*2 + 1
}

// line is the calls that wait, lane by lane, first come, first served within a
// lane. All its operations but wakeAll take constant time, amortised. bucket.mu
// guards it; push and remove write its fields.
type line struct {
	lanes [lanes]lane
	count int
}

// lane is a queue whose positions are counted from the bucket's beginning, so
// that a waiter knows how many stand before it.
type lane struct {
	first   int       // the position of waiters[0], less one
	waiters []*waiter // nil where one left; never at the front
	live    int       // how many of them are not nil
}

func (l *line) len() int { return l.count }

// waiting returns how many calls of a priority wait.
func (l *line) waiting(p Priority) int {
	return l.lanes[laneOf(p, true)].live + l.lanes[laneOf(p, false)].live
}

// push adds w at the end of its lane, unless it is in line.
func (l *line) push(w *waiter) {
	if w.position != 0 {
		return
	}
	q := &l.lanes[w.lane]
	q.waiters = append(q.waiters, w)
	w.position = q.first + len(q.waiters)
	w.wake = make(chan struct{}, 1)
	q.live++
	l.count++
}

// remove takes w out of the line and reports whether it was in it.
func (l *line) remove(w *waiter) bool {
	if w.position == 0 {
		return false
	}
	q := &l.lanes[w.lane]
	q.waiters[w.position-q.first-1] = nil
	for len(q.waiters) > 0 && q.waiters[0] == nil {
		q.waiters = q.waiters[1:]
		q.first++
	}
	if len(q.waiters) == 0 {
		q.waiters = nil // frees the array that the slice has walked along
	}
	w.position, w.wake = 0, nil
	q.live--
	l.count--
	return true
}

// ahead returns how many go before w: exactly for one that is not in line yet, at
// most for another, for those who left its lane are counted until the front has
// passed them. It is 0 exactly when w is the first, or would be.
func (l *line) ahead(w *waiter) int {
	n := 0
	for i := range int(w.lane) {
		n += l.lanes[i].live
	}
	q := &l.lanes[w.lane]
	if w.position == 0 {
		return n + q.live
	}
	return n + min(w.position-q.first, q.live) - 1
}

// wakeFirst wakes the first of the line, and reports whether there is one.
func (l *line) wakeFirst() bool {
	for i := range l.lanes {
		if q := l.lanes[i].waiters; len(q) > 0 {
			q[0].wakeUp()
			return true
		}
	}
	return false
}

func (l *line) wakeAll() {
	for i := range l.lanes {
		for _, w := range l.lanes[i].waiters {
			if w != nil {
				w.wakeUp()
			}
		}
	}
}

func (w *waiter) wakeUp() {
	select {
	case w.wake <- struct{}{}:
	default: // it has been woken
	}
}
