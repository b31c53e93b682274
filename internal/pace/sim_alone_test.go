// This file tests how many places of a server are used, and how many calls are
// refused, by processes that share no store.

package pace_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/internal/pace"
)

// Once the limit is known, a process alone sends no call too many, and yet leaves
// no place of a window unused, whatever the order of the answers.
func TestProcessAloneIsNeverRefusedAndUsesEveryPlace(t *testing.T) {
	for seed := range uint64(30) { // each of the limits with each of the lengths, twice
		random := rand.New(rand.NewPCG(seed, 7))
		limit := []int{4, 10, 50, 100, 600}[seed%5]
		length := []time.Duration{5 * time.Second, 10 * time.Second, time.Minute}[seed%3]
		srv := newServer(limit, length, time.Duration(random.Int64N(int64(length/time.Second)))*time.Second)
		srv.ahead = time.Duration(random.IntN(1201)-600) * time.Second
		if seed%2 == 0 { // answers overtake each other wildly
			srv.takes = func(r *rand.Rand) time.Duration {
				return time.Duration(r.Int64N(int64(time.Second)) * r.Int64N(2) / 2)
			}
		}
		workers := 25 + random.IntN(60)
		calls := 4*limit + limit/2
		name := fmt.Sprintf("seed %d, %d per %s, %d workers", seed, limit, length, workers)
		s := simulate(t, seed, srv, simConfig{workers: workers, calls: calls})
		if n := len(s.refusedAt); n > 0 {
			t.Errorf("%s: %d refusals, want none", name, n)
		}
		// Each window but the first, which is begun in the middle, and the last
		// must be used to the last place.
		for w, n := range srv.accepted {
			if w.After(epoch) && w.Add(length).Before(s.finished) && n != limit {
				t.Errorf("%s: %d places used in the window at %s", name, n, w.Sub(epoch))
			}
		}
		if over := s.overOptimum(calls, limit); over > 5*time.Second {
			t.Errorf("%s: %s over the optimum", name, over)
		}
	}
}

func TestServersOfEveryKindAreUsedWell(t *testing.T) {
	drop := func(at time.Time) int {
		if at.Sub(epoch) > 100*time.Second {
			return 300
		}
		return 600
	}
	for _, tt := range []struct {
		name    string
		edit    func(*server)
		over    time.Duration // over the optimum, at most
		refused int           // at most
	}{
		{"aligned windows", func(*server) {}, 2 * time.Second, 0},
		{"windows from the middle of a second on, reset rounded up", func(s *server) { s.offset, s.roundUp = 20*time.Second+500*time.Millisecond, true }, 5 * time.Second, 0},
		{"reset cut off", func(s *server) { s.offset = 20*time.Second + 500*time.Millisecond }, 7 * time.Second, 1},
		{"clock 10 minutes ahead", func(s *server) { s.ahead = 10 * time.Minute }, 2 * time.Second, 0},
		{"clock 10 minutes and a bit behind", func(s *server) { s.ahead = -10*time.Minute - 300*time.Millisecond }, 5 * time.Second, 1},
		{"windows that open with their first call, reset cut off", func(s *server) { s.opens = true }, 2400 * time.Millisecond, 4},
		{"windows that open with their first call, reset rounded up", func(s *server) { s.opens, s.roundUp = true, true }, 2400 * time.Millisecond, 4},
		{"limit drops", func(s *server) { s.limit = drop }, 7 * time.Minute, 60},
	} {
		for seed := range uint64(2) {
			srv := newServer(600, time.Minute, 0)
			tt.edit(srv)
			s := simulate(t, seed, srv, simConfig{workers: 50, calls: 3000})
			if n := len(s.refusedAt); n > tt.refused {
				t.Errorf("%s: %d refusals, want %d at most", tt.name, n, tt.refused)
			}
			if over := s.overOptimum(3000, 600); over > tt.over {
				t.Errorf("%s: %s over the optimum, want %s at most", tt.name, over, tt.over)
			}
		}
	}
}

// Processes that know nothing of each other share a bucket by its headers.
func TestProcessesShareABucketByItsHeaders(t *testing.T) {
	for seed := range uint64(3) {
		s := simulate(t, seed, newServer(600, time.Minute, 0), simConfig{processes: 4, workers: 25, calls: 3000})
		if n := len(s.refusedAt); n > 60 { // 2 %
			t.Errorf("seed %d: %d refusals", seed, n)
		}
		if over := s.overOptimum(3000, 600); over > 10*time.Second {
			t.Errorf("seed %d: %s over the optimum", seed, over)
		}
	}
}

// Another program takes 150 places of each window at random times. 30 % of the
// window are left to it.
func TestMaxUtilizationLeavesPlacesToAnotherProgram(t *testing.T) {
	for seed := range uint64(3) {
		srv := newServer(600, time.Minute, 0)
		sent, refused := 0, 0
		s := simulate(t, seed, srv, simConfig{pace: pace.Config{MaxUtilization: 0.7}, workers: 50, calls: 2000, edit: func(s *simulation) {
			var other func()
			other = func() {
				sent++
				if !srv.take(s.now) {
					refused++
				}
				s.after(time.Duration(s.random.ExpFloat64()*float64(400*time.Millisecond)), nil, other)
			}
			s.after(0, nil, other)
		}})
		if refused*100 > sent {
			t.Errorf("seed %d: %d of %d calls of the other program were refused", seed, refused, sent)
		}
		if n := len(s.refusedAt); n > 20 {
			t.Errorf("seed %d: %d refusals", seed, n)
		}
		for w, n := range srv.accepted {
			if n > 421 {
				t.Errorf("seed %d: %d places used in the window at %s, want 420 at most", seed, n, w.Sub(epoch))
			}
		}
	}
}

func TestConcurrencyLimitIsFoundAndUsed(t *testing.T) {
	for seed := range uint64(2) {
		srv := newServer(1<<29, time.Hour, 0)
		srv.slots = 75
		settled, late := 0, 0
		s := simulate(t, seed, srv, simConfig{workers: 200, calls: 25_000, edit: func(s *simulation) {
			s.onAnswer = func(at time.Time, seen pace.Seen) {
				if at.Sub(epoch) > 5*time.Second {
					settled++
					if seen.Slots {
						late++
					}
				}
			}
		}})
		if late*50 > settled {
			t.Errorf("seed %d: %d of %d calls were refused once settled, want 2%% at most", seed, late, settled)
		}
		// 75 at a time, 50 ms each
		if took, best := s.finished.Sub(epoch), 25_000/75*50*time.Millisecond; took > best*10/9 {
			t.Errorf("seed %d: it took %s, want %s or a little more", seed, took, best)
		}
	}
}

// Other programs take most of the slots for a while, then let go of them.
func TestSlotsRecoverWithinSeconds(t *testing.T) {
	srv := newServer(1<<29, time.Hour, 0)
	srv.slots = 10
	perSecond := map[int]int{}
	simulate(t, 1, srv, simConfig{workers: 100, calls: 30_000, edit: func(s *simulation) {
		s.after(10*time.Second, nil, func() { srv.slots = 75 })
		s.onAnswer = func(at time.Time, seen pace.Seen) {
			if !seen.Slots {
				perSecond[int(at.Sub(epoch)/time.Second)]++
			}
		}
	}})
	if n := perSecond[8]; n < 150 || n > 260 { // 10 at a time, 50 ms each
		t.Errorf("%d calls a second with 10 slots, want about 200", n)
	}
	if n := perSecond[17]; n < 1200 { // 75 at a time, 50 ms each
		t.Errorf("7 seconds later, %d calls a second with 75 slots; want about 1500", n)
	}
}

func TestMaxInFlightIsKeptAndUsed(t *testing.T) {
	s := simulate(t, 1, newServer(1<<29, time.Hour, 0), simConfig{pace: pace.Config{MaxInFlight: 35}, workers: 100, calls: 10_000})
	if s.maxInFlight > 35 || s.slotRefusals > 0 {
		t.Errorf("%d in flight, %d refused", s.maxInFlight, s.slotRefusals)
	}
	if took, best := s.finished.Sub(epoch), 10_000/35*50*time.Millisecond; took > best*11/10 {
		t.Errorf("it took %s, want about %s", took, best)
	}
}
