package pace_test

// This file simulates processes that share a store, in explicit time: each has a
// clock of its own, the store another.

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/internal/pace"
	"github.com/oktaretry/oktaretry/internal/sharedtest"
	"github.com/oktaretry/oktaretry/shared"
)

// crew is processes that share a store.
type crew struct {
	*fleet
	store     *sharedtest.Memory
	takes     time.Duration // a question to the store
	down      func(at time.Time) bool
	skew      []time.Duration // by process
	fleets    []*pace.StoreHealth
	commands  int
	refusedAt []time.Time
	used      map[int]int // calls by process
	dead      map[int]bool
	workers   []*member
}

// member is one worker of a process.
type member struct {
	process   int
	ticket    pace.Ticket
	priority  pace.Priority
	waiting   bool
	returning bool
	asks      int
	since     time.Time
}

type crewConfig struct {
	processes, workers, calls int
	cfg                       pace.Config
	skew                      func(process int) time.Duration
	unshared                  bool
	edit                      func(*crew)
}

var errDown = errors.New("down")

// simulateCrew is simulate for processes that share a store.
func simulateCrew(t *testing.T, seed uint64, o *org, c crewConfig) *crew {
	t.Helper()
	f := newFleet(t, seed, o, c.calls)
	x := &crew{
		fleet: f, store: sharedtest.NewMemory(), takes: 300 * time.Microsecond, used: map[int]int{}, dead: map[int]bool{},
		down: func(time.Time) bool { return false },
	}
	x.store.Now = func() time.Time { return f.now.Add(-37 * time.Minute) } // a clock of its own
	for p := range c.processes {
		g := pace.New(c.cfg)
		x.fleets = append(x.fleets, new(pace.StoreHealth))
		if !c.unshared {
			g.Share(x.fleets[p], string(rune('a'+p)))
		}
		f.governors = append(f.governors, g)
		var skew time.Duration
		if c.skew != nil {
			skew = c.skew(p)
		}
		x.skew = append(x.skew, skew)
		for range c.workers {
			m := &member{process: p}
			x.workers = append(x.workers, m)
			f.after(time.Duration(f.random.Int64N(int64(20*time.Millisecond))), func() { x.begin(m) })
		}
	}
	if c.edit != nil {
		c.edit(x)
	}
	f.run(c.calls, x.wakeUp)
	return x
}

// now is what the clock of a process says.
func (x *crew) clock(m *member) time.Time { return x.now.Add(x.skew[m.process]) }

func (x *crew) wakeUp() {
	for again := true; again; {
		again = false
		for _, m := range x.workers {
			if m.waiting && told(&m.ticket) {
				again = true
				x.ask(m)
			}
		}
	}
}

func (x *crew) begin(m *member) {
	if x.dead[m.process] {
		return
	}
	if !m.returning {
		if x.left == 0 {
			return
		}
		x.left--
		m.since = x.now
	}
	x.governors[m.process].Enter(&m.ticket, x.clock(m), x.key, m.priority, m.returning, new(pace.Hint))
	x.ask(m)
}

func (x *crew) ask(m *member) {
	if x.dead[m.process] {
		m.waiting = false
		return
	}
	m.asks++
	wait, why := m.ticket.Ready(x.clock(m))
	m.waiting = wait > 0
	if why == pace.Ask && wait > 0 {
		if e := m.ticket.StoreRequest(x.clock(m)); e != nil {
			m.waiting = false
			x.errand(m, e, func() { x.ask(m) })
			return
		}
		wait, _ = m.ticket.Ready(x.clock(m))
		m.waiting = wait > 0
	}
	if wait > 0 {
		asks := m.asks
		x.after(m.ticket.Nap(wait), func() {
			if m.waiting && m.asks == asks {
				x.ask(m)
			}
		})
		return
	}
	if x.fleets[m.process].Due(x.clock(m)) {
		if e := m.ticket.StoreProbe(x.clock(m)); e != nil {
			x.errand(m, e, func() { x.send(m) })
			return
		}
	}
	x.send(m)
}

// errand asks the store and goes on.
func (x *crew) errand(m *member, e *pace.StoreRequest, then func()) {
	takes := x.takes
	if x.down(x.now) {
		takes = 50 * time.Millisecond
	}
	x.commands++
	var a shared.Lease
	err := errDown
	x.after(takes/2, func() {
		if !x.down(x.now) {
			a, err = x.store.Lease(context.Background(), shared.Bucket{Host: "h", Bucket: "b"}, e.Request)
			if e.Inconsistent(x.now, &a) {
				x.t.Fatalf("an inconsistent answer %+v to %+v", a, e.Request)
			}
		}
	})
	x.after(takes, func() {
		if x.dead[m.process] {
			return
		}
		if err != nil {
			e.Failed()
			x.fleets[m.process].Failed(e.Permit, x.clock(m))
		} else {
			e.Answered(x.clock(m), a)
			x.fleets[m.process].Succeeded(e.Permit)
		}
		then()
	})
}

func (x *crew) send(m *member) {
	sent := x.clock(m)
	there, back := x.org.takes(x.random)/2, x.org.takes(x.random)/2
	x.after(there, func() {
		seen, date := x.org.answer(x.now)
		x.after(back, func() { x.answered(m, sent, seen, date) })
	})
}

func (x *crew) answered(m *member, sent time.Time, seen pace.Seen, date int64) {
	if x.each != nil {
		x.each(x.now, seen)
	}
	if x.dead[m.process] {
		x.left++ // nobody has its answer
		return
	}
	now := x.clock(m)
	m.ticket.Observe(sent, now, date)
	m.returning = seen.Refused
	if seen.Refused {
		x.refused++
		x.refusedAt = append(x.refusedAt, x.now)
		wait, ok := m.ticket.Until(seen.Reset, now)
		if !ok || wait <= 0 {
			wait = time.Second
		}
		seen.Hold = now.Add(wait)
	} else {
		x.done++
		x.used[m.process]++
	}
	if e := m.ticket.Done(now, seen); e != nil {
		x.errand(m, e, func() { x.begin(m) })
		return
	}
	x.begin(m)
}

// kill ends a process without a word.
func (x *crew) kill(process int) {
	x.dead[process] = true
	for _, m := range x.workers {
		if m.process == process && m.waiting {
			x.left++ // another makes its call
		}
	}
}
