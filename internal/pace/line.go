// This file holds the order in which waiting calls are sent.

package pace

// Priority orders the calls of a bucket.
type Priority uint8

const (
	Interactive Priority = iota // a person waits for the answer
	Background
)

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
// that a ticket knows how many stand before it.
type lane struct {
	first   int       // the position of tickets[0], less one
	tickets []*Ticket // nil where one left; never at the front
	live    int       // how many of them are not nil
}

func (l *line) len() int { return l.count }

// waiting returns how many calls of a priority wait.
func (l *line) waiting(p Priority) int {
	return l.lanes[laneOf(p, true)].live + l.lanes[laneOf(p, false)].live
}

// push adds t at the end of its lane, unless it is in line.
func (l *line) push(t *Ticket) {
	if t.place != 0 {
		return
	}
	q := &l.lanes[t.lane]
	q.tickets = append(q.tickets, t)
	t.place = q.first + len(q.tickets)
	t.wake = make(chan struct{}, 1)
	q.live++
	l.count++
}

// remove takes t out of the line and reports whether it was in it.
func (l *line) remove(t *Ticket) bool {
	if t.place == 0 {
		return false
	}
	q := &l.lanes[t.lane]
	q.tickets[t.place-q.first-1] = nil
	for len(q.tickets) > 0 && q.tickets[0] == nil {
		q.tickets = q.tickets[1:]
		q.first++
	}
	if len(q.tickets) == 0 {
		q.tickets = nil // frees the array that the slice has walked along
	}
	t.place, t.wake = 0, nil
	q.live--
	l.count--
	return true
}

// ahead returns how many go before t: exactly for one that is not in line yet, at
// most for another, for those who left its lane are counted until the front has
// passed them. It is 0 exactly when t is the first, or would be.
func (l *line) ahead(t *Ticket) int {
	n := 0
	for i := range int(t.lane) {
		n += l.lanes[i].live
	}
	q := &l.lanes[t.lane]
	if t.place == 0 {
		return n + q.live
	}
	return n + min(t.place-q.first, q.live) - 1
}

// wakeFirst wakes the first of the line, and reports whether there is one.
func (l *line) wakeFirst() bool {
	for i := range l.lanes {
		if q := l.lanes[i].tickets; len(q) > 0 {
			q[0].wakeUp()
			return true
		}
	}
	return false
}

func (l *line) wakeAll() {
	for i := range l.lanes {
		for _, t := range l.lanes[i].tickets {
			if t != nil {
				t.wakeUp()
			}
		}
	}
}

func (t *Ticket) wakeUp() {
	select {
	case t.wake <- struct{}{}:
	default: // it has been woken
	}
}
