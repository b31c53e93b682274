package pace_test

// This file simulates a server with fixed windows and the workers that call it,
// in explicit time, so that what the governor promises can be counted.

import (
	"container/heap"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/internal/pace"
)

// org is a server that counts calls in fixed windows, as Okta does.
type org struct {
	limit   func(at time.Time) int
	length  time.Duration
	offset  time.Duration // of the windows' beginnings
	ahead   time.Duration // its clock
	roundUp bool          // its Reset; else the fraction is cut off
	slots   int           // in flight at once; 0: any number
	takes   func(*rand.Rand) time.Duration

	window   time.Time
	used     int
	inFlight int
	accepted map[time.Time]int // by window
}

// begins returns when the window around a time began.
func (o *org) begins(at time.Time) time.Time {
	into := at.Add(-o.offset).Sub(epoch) % o.length
	if into < 0 {
		into += o.length
	}
	return at.Add(-into)
}

// take counts one call of anybody and reports whether it is accepted.
func (o *org) take(at time.Time) bool {
	if w := o.begins(at); !w.Equal(o.window) {
		o.window, o.used = w, 0
	}
	if o.used >= o.limit(at) {
		return false
	}
	o.used++
	return true
}

// answer decides a call of ours.
func (o *org) answer(at time.Time) (seen pace.Seen, date int64) {
	date = at.Add(o.ahead).Unix()
	if o.slots > 0 && o.inFlight > o.slots {
		return crowded, date
	}
	ok := o.take(at)
	end := o.window.Add(o.length).Add(o.ahead)
	reset := end.Unix()
	if o.roundUp && end.Nanosecond() > 0 {
		reset++
	}
	limit := o.limit(at)
	if ok {
		o.accepted[o.window]++
	}
	return pace.Seen{Limit: limit, Remaining: max(limit-o.used, 0), Reset: reset, Refused: !ok, Answered: true}, date
}

// fleet is workers of several processes that make calls until none is left.
type fleet struct {
	t         *testing.T
	random    *rand.Rand
	org       *org
	governors []*pace.Governor
	key       pace.Key
	left      int
	// each, if set, is told of every answer.
	each func(at time.Time, seen pace.Seen)

	now      time.Time
	events   events
	waiting  map[*worker]bool
	order    []*worker
	done     int
	refused  int // by the windows
	crowded  int // by the slots
	mostOut  int
	finished time.Time
}

type worker struct {
	g         *pace.Governor
	ticket    pace.Ticket
	hint      pace.Hint
	returning bool
	asks      int // the number of the question that is due; older events are void
}

type event struct {
	at  time.Time
	n   int
	run func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at.Before(e[j].at) || e[i].at.Equal(e[j].at) && e[i].n < e[j].n
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}

func (f *fleet) after(d time.Duration, run func()) {
	heap.Push(&f.events, event{f.now.Add(d), f.done<<20 + len(f.events), run})
}

// limited is a server with one limit and answers within 20 to 80 ms.
func limited(limit int, length, offset time.Duration) *org {
	return &org{
		limit: func(time.Time) int { return limit }, length: length, offset: offset,
		takes: func(r *rand.Rand) time.Duration {
			return 20*time.Millisecond + time.Duration(r.Int64N(int64(60*time.Millisecond)))
		},
	}
}

// simulate makes calls by so many workers of each process until all have succeeded.
func simulate(t *testing.T, seed uint64, o *org, cfg pace.Config, processes, workers, calls int, edit func(*fleet)) *fleet {
	t.Helper()
	f := newFleet(t, seed, o, calls)
	for range processes {
		f.governors = append(f.governors, pace.New(cfg))
	}
	if edit != nil {
		edit(f)
	}
	for _, g := range f.governors {
		for range workers {
			w := &worker{g: g}
			f.order = append(f.order, w)
			f.after(0, func() { f.begin(w) })
		}
	}
	f.run(calls, f.wake)
	return f
}

func newFleet(t *testing.T, seed uint64, o *org, calls int) *fleet {
	o.accepted = map[time.Time]int{}
	return &fleet{
		t: t, random: rand.New(rand.NewPCG(seed, 1)), org: o, key: users, left: calls,
		now: epoch, waiting: map[*worker]bool{},
	}
}

// run lets happen what will, until all calls are done.
func (f *fleet) run(calls int, wake func()) {
	f.t.Helper()
	for f.events.Len() > 0 && f.done < calls {
		e := heap.Pop(&f.events).(event)
		if e.at.After(f.now) {
			f.now = e.at
		}
		if f.now.Sub(epoch) > 2*time.Hour {
			f.t.Fatalf("%d of %d calls are done after two hours", f.done, calls)
		}
		e.run()
		wake()
	}
	if f.done < calls {
		f.t.Fatalf("%d of %d calls are done and nothing will happen any more", f.done, calls)
	}
	f.finished = f.now
}

// wake lets those ask who were told to.
func (f *fleet) wake() {
	for again := true; again; {
		again = false
		for _, w := range f.order {
			if f.waiting[w] && told(&w.ticket) {
				again = true
				f.ask(w)
			}
		}
	}
}

func (f *fleet) begin(w *worker) {
	if !w.returning {
		if f.left == 0 {
			return
		}
		f.left--
	}
	w.g.Enter(&w.ticket, f.now, f.key, pace.Interactive, w.returning, &w.hint)
	f.ask(w)
}

func (f *fleet) ask(w *worker) {
	w.asks++
	wait, _ := w.ticket.Ready(f.now)
	if wait < 0 {
		f.t.Fatalf("a wait of %s", wait)
	}
	if wait > 0 {
		f.waiting[w] = true
		asks := w.asks
		f.after(w.ticket.Nap(wait), func() {
			if f.waiting[w] && w.asks == asks {
				f.ask(w)
			}
		})
		return
	}
	delete(f.waiting, w)
	sent := f.now
	there, back := f.org.takes(f.random)/2, f.org.takes(f.random)/2
	f.after(there, func() {
		f.org.inFlight++
		f.mostOut = max(f.mostOut, f.org.inFlight)
		seen, date := f.org.answer(f.now)
		if seen.Slots {
			f.org.inFlight--
		}
		f.after(back, func() {
			if !seen.Slots {
				f.org.inFlight--
			}
			f.answered(w, sent, seen, date)
		})
	})
}

// answered does what a Transport does.
func (f *fleet) answered(w *worker, sent time.Time, seen pace.Seen, date int64) {
	if f.each != nil {
		f.each(f.now, seen)
	}
	w.ticket.Observe(sent, f.now, date)
	w.returning = seen.Refused
	switch {
	case seen.Slots:
		f.crowded++
		w.ticket.Done(f.now, seen)
		f.after(125*time.Millisecond+time.Duration(f.random.Int64N(int64(250*time.Millisecond))), func() { f.begin(w) })
		return
	case seen.Refused:
		f.refused++
		wait, ok := w.ticket.Until(seen.Reset, f.now)
		if !ok || wait <= 0 {
			wait = time.Second
		}
		seen.Hold = f.now.Add(wait)
	default:
		f.done++
	}
	w.ticket.Done(f.now, seen)
	f.begin(w)
}

// optimum is how long the calls take at best, by a window's places alone.
func (f *fleet) optimum(calls, limit int) time.Duration {
	first := f.org.begins(epoch)
	if calls <= limit {
		return 0
	}
	return first.Add(f.org.length * time.Duration((calls-1)/limit)).Sub(epoch)
}
