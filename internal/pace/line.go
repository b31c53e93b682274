// This file holds the order in which waiting calls go.

package pace

// Priority orders the calls of a bucket.
type Priority uint8

const (
	Interactive Priority = iota // a person waits for it
	Background
)

// Reason says what a call waits for.
type Reason uint8

const (
	NoReason  Reason = iota
	Held             // the bucket refused a call and names a time
	Exhausted        // the window has no place left, as far as is known
	Answers          // it may have; the answers of calls that are out will tell
	Turn             // others go first
	Slot             // too many calls are in flight
	Ceiling          // the user's own limit
	Ask              // the store that processes share must be asked, by the call itself
)

// Each priority has two lanes: calls that were refused and come back go before
// those that were never sent.
const lanes = 4

func laneOf(p Priority, returning bool) uint8 {
	if returning {
		return uint8(p) * 2
	}
	return uint8(p)*2 + 1
}

// line is who waits, lane by lane, first come, first served within a lane.
// All its operations take constant time, amortised.
type line struct {
	lanes [lanes]lane
	count int
}

// lane is a queue whose places are counted from the bucket's beginning, so that
// a ticket knows how many stand before it.
type lane struct {
	first   int       // the place of tickets[0], less one
	tickets []*Ticket // nil where somebody left; never at the front
	live    int       // how many of them are not nil
}

func (l *line) len() int { return l.count }

// push adds t at the end of its lane, unless it is in line already.
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
		q.tickets = nil // let go of the array that the slice has walked along
	}
	t.place, t.wake = 0, nil
	q.live--
	l.count--
	return true
}

// ahead returns how many go before t: of one that has just come exactly, of
// another at most, for the places of those who left its lane are counted until
// the front has passed them. It is 0 exactly when t is the first, or would be.
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

// wakeFirst tells the first of the line to ask again, if there is one.
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
	default: // it has been told already
	}
}
