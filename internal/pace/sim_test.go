// This file simulates processes whose workers call a server with rate limits, in
// explicit time, so that what the governor promises can be counted.

package pace_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/internal/pace"
	"github.com/oktaretry/oktaretry/internal/sharedtest"
	"github.com/oktaretry/oktaretry/shared"
)

// simulation is processes with one governor each, whose workers make calls until
// none is left.
type simulation struct {
	t         *testing.T
	random    *rand.Rand
	server    *server
	processes []*process
	store     *store // nil: the processes know nothing of each other
	onAnswer  func(at time.Time, seen pace.Seen)

	now    time.Time
	events events
	queued int // events so far
	calls  int // not begun yet

	done         int
	refusedAt    []time.Time // by the windows
	slotRefusals int
	maxInFlight  int
	finished     time.Time
}

// simConfig is what one simulation is about.
type simConfig struct {
	pace      pace.Config
	processes int // 0 counts as 1
	workers   int // of each process
	calls     int // in all
	withStore bool
	skew      func(process int) time.Duration // of the processes' clocks; nil: none
	edit      func(*simulation)
}

type process struct {
	governor *pace.Governor
	health   *pace.StoreHealth
	skew     time.Duration // of its clock
	workers  []*worker
	killed   bool
}

type worker struct {
	*process
	ticket    pace.Ticket
	hint      pace.Hint
	calling   bool // it has a call that is not done
	waiting   bool // for a nap to end, or to be woken
	returning bool // its call was refused and comes back
	asked     int  // how often Ready was asked; naps from before are void
}

// store is the store that the processes share.
type store struct {
	*sharedtest.Memory
	takes    time.Duration // a request, there and back
	isDown   func(at time.Time) bool
	requests int
}

var errDown = errors.New("the store is down")

// simulate makes calls until all have succeeded.
func simulate(t *testing.T, seed uint64, srv *server, cfg simConfig) *simulation {
	t.Helper()
	s := &simulation{t: t, random: rand.New(rand.NewPCG(seed, 1)), server: srv, now: epoch, calls: cfg.calls}
	if cfg.withStore {
		s.store = &store{Memory: sharedtest.NewMemory(), takes: 300 * time.Microsecond, isDown: func(time.Time) bool { return false }}
		s.store.Now = func() time.Time { return s.now.Add(-37 * time.Minute) } // a clock of its own
	}
	for i := range max(cfg.processes, 1) {
		s.addProcess(i, cfg)
	}
	if cfg.edit != nil {
		cfg.edit(s)
	}
	s.run(cfg.calls)
	return s
}

func (s *simulation) addProcess(i int, cfg simConfig) {
	p := &process{governor: pace.New(cfg.pace), health: new(pace.StoreHealth)}
	if cfg.skew != nil {
		p.skew = cfg.skew(i)
	}
	if s.store != nil {
		p.governor.Share(p.health, string(rune('a'+i)))
	}
	s.processes = append(s.processes, p)
	for range cfg.workers {
		w := &worker{process: p}
		p.workers = append(p.workers, w)
		var from time.Duration
		if s.store != nil {
			from = time.Duration(s.random.Int64N(int64(20 * time.Millisecond)))
		}
		s.after(from, p, func() { s.begin(w) })
	}
}

// run lets events happen until all calls are done.
func (s *simulation) run(calls int) {
	s.t.Helper()
	for len(s.events) > 0 && s.done < calls {
		e := s.events.pop()
		s.now = after(e.at)
		if e.at > 2*time.Hour {
			s.t.Fatalf("%d of %d calls are done after two hours", s.done, calls)
		}
		e.run()
		if e.process != nil {
			s.wake(e.process)
		}
	}
	if s.done < calls {
		s.t.Fatalf("%d of %d calls are done and nothing is left to happen", s.done, calls)
	}
	s.finished = s.now
}

// wake lets those workers of a process ask again that its governor has woken.
func (s *simulation) wake(p *process) {
	for again := true; again; {
		again = false
		for _, w := range p.workers {
			if w.waiting && woken(&w.ticket) {
				again = true
				s.ask(w)
			}
		}
	}
}

// clock returns the time by the clock of a process.
func (s *simulation) clock(p *process) time.Time { return s.now.Add(p.skew) }

// begin lets a worker make its next call.
func (s *simulation) begin(w *worker) {
	if w.killed {
		return
	}
	if !w.returning {
		if s.calls == 0 {
			return
		}
		s.calls--
		w.calling = true
	}
	w.governor.Enter(&w.ticket, s.clock(w.process), users, pace.Call{Returning: w.returning}, &w.hint)
	s.ask(w)
}

// ask does what a Transport does while a call waits for its turn.
func (s *simulation) ask(w *worker) {
	w.waiting = false
	if w.killed {
		return
	}
	w.asked++
	wait, why := w.ticket.Ready(s.clock(w.process))
	if wait < 0 {
		s.t.Fatalf("a wait of %s", wait)
	}
	if why == pace.Ask {
		if r := w.ticket.StoreRequest(s.clock(w.process)); r != nil {
			s.put(w.process, r, func() { s.ask(w) })
			return
		}
		wait, _ = w.ticket.Ready(s.clock(w.process))
	}
	if wait > 0 {
		w.waiting = true
		asked := w.asked
		s.after(w.ticket.Nap(wait), w.process, func() {
			if w.waiting && w.asked == asked {
				s.ask(w)
			}
		})
		return
	}
	if r := w.ticket.StoreProbe(s.clock(w.process)); r != nil {
		s.put(w.process, r, func() { s.send(w) })
		return
	}
	s.send(w)
}

// put puts a request to the store and then goes on.
func (s *simulation) put(p *process, r *pace.StoreRequest, then func()) {
	takes := s.store.takes
	if s.store.isDown(s.now) {
		takes = 50 * time.Millisecond // a timeout
	}
	s.store.requests++
	var lease shared.Lease
	err := errDown
	s.after(takes/2, nil, func() {
		if s.store.isDown(s.now) {
			return
		}
		lease, err = s.store.Lease(context.Background(), shared.Bucket{Host: "h", Bucket: "b"}, r.Request)
		if r.Inconsistent(s.clock(p), &lease) {
			s.t.Fatalf("an inconsistent answer %+v to %+v", lease, r.Request)
		}
	})
	s.after(takes, p, func() {
		if p.killed {
			return
		}
		if err != nil {
			r.Failed()
			r.Permit.Failed(s.clock(p))
		} else {
			r.Answered(s.clock(p), lease)
			r.Permit.Succeeded(s.clock(p))
		}
		then()
	})
}

// send makes the call.
func (s *simulation) send(w *worker) {
	sent := s.clock(w.process)
	there, back := s.server.takes(s.random)/2, s.server.takes(s.random)/2
	s.after(there, nil, func() {
		s.server.inFlight++
		s.maxInFlight = max(s.maxInFlight, s.server.inFlight)
		seen, date := s.server.answer(s.now)
		if seen.Slots {
			s.server.inFlight--
		}
		s.after(back, w.process, func() {
			if !seen.Slots {
				s.server.inFlight--
			}
			s.answered(w, sent, seen, date)
		})
	})
}

// answered does what a Transport does with an answer.
func (s *simulation) answered(w *worker, sent time.Time, seen pace.Seen, date int64) {
	if s.onAnswer != nil {
		s.onAnswer(s.now, seen)
	}
	if w.killed {
		return
	}
	now := s.clock(w.process)
	w.ticket.Observe(sent, now, date)
	w.returning = seen.Refused
	switch {
	case seen.Slots:
		s.slotRefusals++
		w.ticket.Done(now, seen)
		s.after(125*time.Millisecond+time.Duration(s.random.Int64N(int64(250*time.Millisecond))), w.process, func() { s.begin(w) })
		return
	case seen.Refused:
		s.refusedAt = append(s.refusedAt, s.now)
		wait, ok := w.ticket.Until(seen.Reset, now)
		if !ok || wait <= 0 {
			wait = time.Second
		}
		seen.Hold = now.Add(wait)
	default:
		w.calling = false
		s.done++
	}
	if r := w.ticket.Done(now, seen).Request; r != nil {
		s.put(w.process, r, func() { s.begin(w) })
		return
	}
	s.begin(w)
}

// kill ends a process at once. Others make its calls.
func (s *simulation) kill(p *process) {
	p.killed = true
	for _, w := range p.workers {
		if w.calling {
			s.calls++
		}
	}
}

// optimum returns how long the calls take at best, by the places of a window alone.
func (s *simulation) optimum(calls, limit int) time.Duration {
	first := s.server.begins(epoch)
	if calls <= limit {
		return 0
	}
	return first.Add(s.server.length * time.Duration((calls-1)/limit)).Sub(epoch)
}

// overOptimum returns how much longer the calls took.
func (s *simulation) overOptimum(calls, limit int) time.Duration {
	return s.finished.Sub(epoch) - s.optimum(calls, limit)
}

// after schedules an event. It may wake workers of the process; nil: of none.
func (s *simulation) after(d time.Duration, p *process, run func()) {
	s.queued++
	s.events.push(event{s.now.Add(d).Sub(epoch), s.queued, p, run})
}

type event struct {
	at      time.Duration // since the epoch
	n       int           // the order of events of one moment
	process *process
	run     func()
}

func (e *event) before(other *event) bool {
	return e.at < other.at || e.at == other.at && e.n < other.n
}

// events is a heap, the next one first. It holds values, not pointers behind the
// interface of container/heap, which cost the simulations a tenth more.
type events []event

func (e *events) push(added event) {
	*e = append(*e, added)
	h := *e
	for i := len(h) - 1; i > 0; {
		parent := (i - 1) / 2
		if !h[i].before(&h[parent]) {
			return
		}
		h[i], h[parent] = h[parent], h[i]
		i = parent
	}
}

func (e *events) pop() event {
	h := *e
	first, last := h[0], len(h)-1
	h[0], h[last] = h[last], event{}
	h = h[:last]
	*e = h
	for i := 0; ; {
		next := 2*i + 1
		if next+1 < last && h[next+1].before(&h[next]) {
			next++
		}
		if next >= last || !h[next].before(&h[i]) {
			return first
		}
		h[i], h[next] = h[next], h[i]
		i = next
	}
}
