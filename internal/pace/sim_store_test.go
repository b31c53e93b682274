// This file tests how many places of a server are used, how many calls are
// refused and how many requests are made by processes that share a store.

package pace_test

import (
	"testing"
	"time"
)

// apart sets the clocks of processes up to 10 minutes apart.
func apart(process int) time.Duration {
	return time.Duration(process%3-1)*10*time.Minute + time.Duration(process)*137*time.Millisecond
}

func TestFleetUsesEveryPlaceAndIsNeverRefused(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(*server)
		skew func(int) time.Duration
		over time.Duration
	}{
		{"aligned windows", func(*server) {}, nil, 1200 * time.Millisecond},
		{"clocks 10 minutes apart", func(*server) {}, apart, 1200 * time.Millisecond},
		{"windows from the middle of a second on", func(s *server) { s.offset, s.roundUp = 2500*time.Millisecond, true }, apart, 1600 * time.Millisecond},
	} {
		for seed := range uint64(2) {
			srv := newServer(600, 10*time.Second, 0)
			tt.edit(srv)
			s := simulate(t, seed, srv, simConfig{processes: 8, workers: 25, calls: 6000, withStore: true, skew: tt.skew})
			over, refused, requests := s.overOptimum(6000, 600), len(s.refusedAt), float64(s.store.requests)/6000
			t.Logf("%s, seed %d: %d refused, %s over the optimum, %.3f requests a call", tt.name, seed, refused, over, requests)
			if refused > 0 {
				t.Errorf("%s, seed %d: %d refusals, want none", tt.name, seed, refused)
			}
			if over > tt.over {
				t.Errorf("%s, seed %d: %s over the optimum", tt.name, seed, over)
			}
			if requests > 0.2 {
				t.Errorf("%s, seed %d: %.2f requests to the store for each call", tt.name, seed, requests)
			}
			for w, n := range srv.accepted {
				if w.After(epoch) && w.Add(srv.length).Before(s.finished) && n != 600 {
					t.Errorf("%s, seed %d: %d places used in the window at %s", tt.name, seed, n, w.Sub(epoch))
				}
			}
		}
	}
}

// Three of eight processes are killed while they hold places.
func TestFleetUsesThePlacesOfKilledProcesses(t *testing.T) {
	for seed := range uint64(3) {
		srv := newServer(600, 10*time.Second, 0)
		killed := 15*time.Second + time.Duration(seed)*100*time.Millisecond
		s := simulate(t, seed, srv, simConfig{processes: 8, workers: 25, calls: 5000, withStore: true, skew: apart, edit: func(s *simulation) {
			s.after(killed, nil, func() {
				for _, p := range s.processes[:3] {
					s.kill(p)
				}
			})
		}})
		if n := len(s.refusedAt); n > 0 {
			t.Errorf("seed %d: %d refusals", seed, n)
		}
		for w, n := range srv.accepted {
			if w.After(epoch.Add(killed)) && w.Add(srv.length).Before(s.finished) && n != 600 {
				t.Errorf("seed %d: %d places used in the window at %s", seed, n, w.Sub(epoch))
			}
		}
	}
}

// The store is gone from the middle of one window to the middle of another, in
// which nobody has a place any more: that it is back is found out in the next.
func TestFleetSendsCallsWithoutItsStore(t *testing.T) {
	for seed := range uint64(3) {
		s := simulate(t, seed, newServer(600, 10*time.Second, 0), simConfig{processes: 8, workers: 25, calls: 9000, withStore: true, skew: apart, edit: func(s *simulation) {
			s.store.isDown = func(at time.Time) bool {
				return at.Sub(epoch) > 30200*time.Millisecond && at.Sub(epoch) < 70300*time.Millisecond
			}
			s.after(50*time.Second, nil, s.store.Flush)
		}})
		down, up := 0, 0
		for _, at := range s.refusedAt {
			if d := at.Sub(epoch); d > 30*time.Second && d < 90*time.Second {
				down++
			} else {
				up++
			}
		}
		if up > 0 {
			t.Errorf("seed %d: %d refusals while the store was up", seed, up)
		}
		if down > 6*600/50 {
			t.Errorf("seed %d: %d of 3600 calls were refused while it was down, want 2 %% at most", seed, down)
		}
	}
}
