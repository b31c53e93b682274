// This file tests when a bucket lets a call be sent: holds, settings, smooth
// spreading, and the estimate of when a call's turn comes.

package pace_test

import (
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/internal/pace"
)

func TestBucketWithoutLimitsSendsEveryCall(t *testing.T) {
	g := pace.New(pace.Config{})
	learnNoLimits(t, g, users)
	for range 100 {
		mustGo(t, enter(g, epoch, users), epoch)
	}
	if s := state(t, g, epoch, users); s.InFlight != 100 || s.Waiting != 0 || s.Limit != -1 || s.Remaining != -1 {
		t.Errorf("state %+v", s)
	}
}

func TestHeldBucketSendsNothingBeforeItsTime(t *testing.T) {
	g := pace.New(pace.Config{})
	hold(t, g, users, epoch, after(time.Minute))
	ticket := enter(g, after(time.Second), users)
	wait := mustWait(t, ticket, after(time.Second), pace.Held, 59*time.Second, 59*time.Second+gap)
	mustWait(t, ticket, after(time.Second+wait-1), pace.Held, 1, 1)
	mustGo(t, ticket, after(time.Second+wait))
}

func TestHoldStopsOneBucketOnly(t *testing.T) {
	g := pace.New(pace.Config{})
	hold(t, g, users, epoch, after(time.Minute))
	for _, k := range []pace.Key{
		{Host: "other.okta.com", Credential: 1, Bucket: users.Bucket},
		{Host: users.Host, Credential: 2, Bucket: users.Bucket},
		{Host: users.Host, Credential: 1, Bucket: "/api/v1/groups"},
	} {
		mustGo(t, enter(g, epoch, k), epoch)
	}
}

func TestHoldIsExtendedNeverShortened(t *testing.T) {
	g := pace.New(pace.Config{})
	a, b, c := enter(g, epoch, users), enter(g, epoch, users), enter(g, epoch, users)
	mustGo(t, a, epoch)
	mustGo(t, b, epoch)
	mustGo(t, c, epoch)
	a.Done(epoch, pace.Seen{Limit: -1, Remaining: -1, Refused: true, Answered: true, Hold: after(20 * time.Second)})
	first, second := enter(g, epoch, users), enter(g, epoch, users)
	mustWait(t, first, epoch, pace.Held, 20*time.Second, 20*time.Second+gap)
	mustWait(t, second, epoch, pace.Held, 20*time.Second, 20*time.Second+2*gap)
	b.Done(epoch, pace.Seen{Limit: -1, Remaining: -1, Refused: true, Answered: true, Hold: after(time.Second)})
	woken(first)
	mustWait(t, first, epoch, pace.Held, 20*time.Second, 20*time.Second+gap)
	c.Done(epoch, pace.Seen{Limit: -1, Remaining: -1, Refused: true, Answered: true, Hold: after(40 * time.Second)})
	if !woken(first) || !woken(second) {
		t.Error("a longer hold did not wake the waiting calls")
	}
	mustWait(t, first, epoch, pace.Held, 40*time.Second, 40*time.Second+gap)
}

func TestStatesReportAHoldWhileItLasts(t *testing.T) {
	g := pace.New(pace.Config{})
	hold(t, g, users, epoch, after(time.Minute))
	if s := state(t, g, epoch, users); s.HeldUntil.Before(after(time.Minute)) || s.HeldUntil.After(after(time.Minute+gap)) {
		t.Errorf("held until %s", s.HeldUntil)
	}
	if s := state(t, g, after(time.Minute+gap), users); !s.HeldUntil.IsZero() {
		t.Errorf("still held until %s", s.HeldUntil)
	}
}

func TestHoldEndsAfterTheClockWasSetBack(t *testing.T) {
	g := pace.New(pace.Config{MaxRate: 10, Burst: 1})
	hold(t, g, users, after(time.Hour), after(time.Hour+time.Second))
	ticket := enter(g, epoch, users)
	mustWait(t, ticket, epoch, pace.Held, time.Hour+time.Second, time.Hour+time.Second+gap) // as the refusal named
	for now, asked := after(time.Hour+time.Second), 0; ; asked++ {
		wait, _ := ticket.Ready(now)
		if wait == 0 {
			break
		}
		if asked > 10 {
			t.Fatal("it still waits")
		}
		now = now.Add(wait)
	}
}

func TestDoneCountsOnceAndRecordsOnlyReportedLimits(t *testing.T) {
	g := pace.New(pace.Config{})
	a, b := enter(g, epoch, users), enter(g, epoch, users)
	mustGo(t, a, epoch)
	mustGo(t, b, epoch)
	a.Done(epoch, limits(600, 0, 30*time.Second))
	a.Done(epoch, limits(1, 1, 30*time.Second)) // does nothing
	a.Leave(epoch)                              // nor does this
	if s := state(t, g, epoch, users); s.Limit != 600 || s.Remaining != 0 || !s.Reset.Equal(after(30*time.Second)) || s.InFlight != 1 {
		t.Errorf("state %+v", s)
	}
	b.Done(epoch, noLimits)
	if s := state(t, g, epoch, users); s.Limit != 600 || s.Remaining != 0 || !s.Reset.Equal(after(30*time.Second)) || s.InFlight != 0 {
		t.Errorf("state %+v", s)
	}
}

func TestTicketCanBeUsedAgain(t *testing.T) {
	g := pace.New(pace.Config{})
	var ticket pace.Ticket
	for range 3 {
		g.Enter(&ticket, epoch, users, pace.Call{}, new(pace.Hint))
		mustGo(t, &ticket, epoch)
		ticket.Done(epoch, noLimits)
	}
	if s := state(t, g, epoch, users); s.InFlight != 0 {
		t.Errorf("%d in flight", s.InFlight)
	}
}

func TestConfigureWakesWaitingCalls(t *testing.T) {
	g := pace.New(pace.Config{MaxRate: 0.01, Burst: 1})
	send(t, g, users, epoch, noLimits)
	ticket := enter(g, epoch, users)
	mustWait(t, ticket, epoch, pace.Ceiling, 99*time.Second, 101*time.Second)

	g.Configure(pace.Config{MaxRate: 0.01, Burst: 1}) // no change
	if woken(ticket) {
		t.Error("woken for nothing")
	}
	g.Configure(pace.Config{})
	if !woken(ticket) {
		t.Error("not woken by a new configuration")
	}
	mustGo(t, ticket, epoch)

	g.Configure(pace.Config{MaxRate: 1, Burst: 1})
	send(t, g, users, epoch, noLimits)
	mustWait(t, enter(g, epoch, users), epoch, pace.Ceiling, time.Second, time.Second+time.Millisecond)
	send(t, g, pace.Key{Host: "new.okta.com"}, epoch, noLimits)
	mustWait(t, enter(g, epoch, pace.Key{Host: "new.okta.com"}), epoch, pace.Ceiling, time.Second, time.Second+time.Millisecond)
}

func TestSmoothSpreadsCallsOverTheWindow(t *testing.T) {
	srv := newServer(60, time.Minute, 0)
	var at []time.Time
	simulate(t, 1, srv, simConfig{pace: pace.Config{Smooth: true}, workers: 10, calls: 175, edit: func(s *simulation) {
		s.onAnswer = func(now time.Time, _ pace.Seen) { at = append(at, now) }
	}})
	for w := range 2 {
		from := after(time.Duration(w) * time.Minute)
		var third [3]int
		for _, a := range at {
			if d := a.Sub(from); d >= 0 && d < time.Minute {
				third[d/(20*time.Second)]++
			}
		}
		for i, n := range third {
			if n < 15 || n > 25 {
				t.Errorf("window %d, third %d: %d calls, want about 20", w, i, n)
			}
		}
	}
	for w, n := range srv.accepted {
		if n < 54 && w.Before(after(2*time.Minute)) {
			t.Errorf("%d of 60 places were used in the window at %s", n, w.Sub(epoch))
		}
	}
}

// A token of the smooth mode was once lost when there was no slot for the call.
func TestSmoothKeepsItsTokenWhenThereIsNoSlot(t *testing.T) {
	g := knownBucket(t, pace.Config{}, limits(60, 59, time.Minute))
	g.Configure(pace.Config{Smooth: true, MaxInFlight: 1})
	other := enter(g, epoch, pace.Key{Host: users.Host})
	mustGo(t, other, epoch)
	ticket := enter(g, epoch, users)
	mustWait(t, ticket, epoch, pace.Slot, time.Second, time.Second)
	other.Done(epoch, noLimits)
	mustGo(t, ticket, epoch)
}

// waitOfLast puts n calls into the line and returns the wait of the last.
func waitOfLast(t *testing.T, g *pace.Governor, now time.Time, n int) time.Duration {
	t.Helper()
	for {
		ticket := enter(g, now, users)
		wait, _ := ticket.Ready(now)
		if n--; n == 0 {
			return wait
		}
	}
}

func TestEstimateCountsSeveralWindows(t *testing.T) {
	for _, tt := range []struct {
		name     string
		line     int
		from, to time.Duration
	}{
		{"the next window", 50, time.Minute, time.Minute + second},
		{"the next window's last place", 100, time.Minute, time.Minute + second},
		{"the one after", 150, 2 * time.Minute, 2*time.Minute + second},
		{"ten windows", 1050, 11 * time.Minute, 11*time.Minute + second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := knownBucket(t, pace.Config{}, limits(100, 0, 0)) // a minute's window follows
			now := state(t, g, epoch, users).Reset
			send(t, g, users, now, limits(100, 0, time.Minute))
			if wait := waitOfLast(t, g, now, tt.line); wait < tt.from-50*time.Millisecond || wait > tt.to {
				t.Errorf("%s, want %s to %s", wait, tt.from, tt.to)
			}
		})
	}
}

// A call must not be refused that could have been sent, so an estimate is never
// longer than the wait turns out to be.
func TestEstimateErrsOnTheShortSide(t *testing.T) {
	t.Run("length unknown", func(t *testing.T) {
		// Of a minute, only the last ten seconds were seen.
		g := knownBucket(t, pace.Config{}, limits(100, 0, 10*time.Second))
		if wait := waitOfLast(t, g, epoch, 250); wait > 30*time.Second+second {
			t.Errorf("%s, want 30s at most", wait)
		}
	})
	t.Run("idle windows", func(t *testing.T) {
		g := knownBucket(t, pace.Config{}, limits(100, 99, 10*time.Second))
		send(t, g, users, after(10*time.Minute), limits(100, 0, 10*time.Minute+10*time.Second))
		if wait := waitOfLast(t, g, after(10*time.Minute), 250); wait > 30*time.Second+second {
			t.Errorf("%s, want 30s at most", wait)
		}
	})
	t.Run("windows that became shorter", func(t *testing.T) {
		g := knownBucket(t, pace.Config{}, limits(100, 0, time.Minute))
		send(t, g, users, after(61*time.Second), limits(100, 0, 70*time.Second))
		send(t, g, users, after(71*time.Second), limits(100, 0, 80*time.Second))
		if wait := waitOfLast(t, g, after(71*time.Second), 250); wait > 30*time.Second+second {
			t.Errorf("%s, want 30s at most", wait)
		}
	})
	t.Run("a burst under the ceiling", func(t *testing.T) {
		g := knownBucket(t, pace.Config{}, refusal(100, 0, time.Second))
		g.Configure(pace.Config{MaxRate: 1, Burst: 100})
		if wait := waitOfLast(t, g, epoch, 90); wait > 2*time.Second {
			t.Errorf("%s, want about a second: the ceiling has room for all", wait)
		}
		if wait := waitOfLast(t, g, epoch, 60); wait < 45*time.Second || wait > 51*time.Second {
			t.Errorf("%s, want about 50 s for 150 calls", wait)
		}
	})
	t.Run("those that left", func(t *testing.T) {
		g := knownBucket(t, pace.Config{}, limits(100, 0, time.Minute))
		first := enter(g, epoch, users)
		first.Ready(epoch)
		var line []*pace.Ticket
		for range 1000 {
			line = append(line, enter(g, epoch, users))
			line[len(line)-1].Ready(epoch)
		}
		for _, ticket := range line {
			ticket.Leave(epoch)
		}
		if wait := waitOfLast(t, g, epoch, 1); wait > time.Minute+second {
			t.Errorf("%s with one call ahead, want a minute", wait)
		}
	})
	t.Run("steps of an earlier line", func(t *testing.T) {
		g := pace.New(pace.Config{MaxInFlight: 1})
		hold(t, g, users, epoch, after(time.Second)) // one waits, so steps are long
		lone := enter(g, epoch, users)
		lone.Ready(epoch)
		mustGo(t, lone, after(2*time.Second))
		if wait := waitOfLast(t, g, after(10*time.Second), 1000); wait > time.Second {
			t.Errorf("%s, want a second at most", wait)
		}
	})
}
