// This file tests how a window of which nothing is known is found out.

package pace_test

import (
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/internal/pace"
)

func TestUnknownBucketSendsThreeScouts(t *testing.T) {
	g := pace.New(pace.Config{})
	tickets := sendMany(t, g, epoch, 3)
	fourth, fifth := enter(g, epoch, users), enter(g, epoch, users)
	mustWait(t, fourth, epoch, pace.Answers, time.Second, time.Second)
	mustWait(t, fifth, epoch, pace.Answers, 1, time.Second)

	t.Run("another is sent for one without an answer", func(t *testing.T) {
		tickets[0].Done(epoch, pace.Seen{Limit: -1, Remaining: -1})
		if !woken(fourth) {
			t.Fatal("not woken")
		}
		mustGo(t, fourth, epoch)
		mustWait(t, fifth, epoch, pace.Answers, time.Second, time.Second)
	})
	t.Run("another is sent for those that take too long", func(t *testing.T) {
		mustGo(t, fifth, after(time.Second))
		sixth := enter(g, after(time.Second), users)
		mustWait(t, sixth, after(time.Second), pace.Answers, time.Second, time.Second)
		sixth.Leave(after(time.Second))
	})
	t.Run("the others are sent after an answer", func(t *testing.T) {
		tickets[1].Done(after(time.Second), limits(600, 599, time.Minute))
		for range 100 {
			mustGo(t, enter(g, after(2*time.Second), users), after(2*time.Second))
		}
	})
}

func TestBucketWithoutANameNeedsNoScouts(t *testing.T) {
	g := pace.New(pace.Config{})
	for range 100 {
		mustGo(t, enter(g, epoch, pace.Key{Host: "h"}), epoch)
	}
}

// The answer to a slow first call can come when its window is over: that once made
// the bucket look as if it had no limits.
func TestLateFirstAnswerLeavesABucketLimited(t *testing.T) {
	g := pace.New(pace.Config{})
	learnClock(g, users, serverClock{})
	first := enter(g, epoch, users)
	mustGo(t, first, epoch)
	now := after(2 * time.Second)
	first.Done(now, limits(600, 0, time.Second))
	mustGo(t, enter(g, now, users), now)
	mustWait(t, enter(g, now, users), now, pace.Answers, time.Second, time.Second)
}

func TestOneScoutIsSentIntoANewWindow(t *testing.T) {
	g := knownBucket(t, pace.Config{}, limits(100, 0, time.Minute))
	var line []*pace.Ticket
	for range 50 {
		line = append(line, enter(g, epoch, users))
		mustWait(t, line[len(line)-1], epoch, pace.Exhausted, time.Minute, time.Minute+second)
	}
	reset := state(t, g, epoch, users).Reset
	mustWait(t, line[0], reset.Add(-1), pace.Exhausted, 1, time.Millisecond)
	mustGo(t, line[0], reset)
	mustWait(t, line[1], reset, pace.Answers, time.Second, time.Second)

	now := reset.Add(50 * time.Millisecond)
	line[0].Done(now, limits(100, 99, 2*time.Minute))
	if !woken(line[1]) {
		t.Fatal("the next was not woken for the new window")
	}
	last := now
	order := 1
	for ; order < 50; order++ {
		wait, _ := line[order].Ready(now)
		if wait > 0 {
			if now = now.Add(wait); wait > 3*gap {
				t.Fatalf("call %d waits for %s after another", order, wait)
			}
			mustGo(t, line[order], now)
		}
		last = now
	}
	if took := last.Sub(reset); took < 100*time.Millisecond || took > 50*time.Millisecond+320*time.Millisecond {
		t.Errorf("the line was sent within %s of the reset, want about 250ms", took)
	}
}

func TestAnotherScoutIsSentForOneThatFindsNothing(t *testing.T) {
	for name, end := range map[string]func(*pace.Ticket, time.Time) time.Duration{
		"it hangs":       func(*pace.Ticket, time.Time) time.Duration { return time.Second },
		"it is canceled": func(s *pace.Ticket, now time.Time) time.Duration { s.Leave(now); return 0 },
		"it has no answer": func(s *pace.Ticket, now time.Time) time.Duration {
			s.Done(now, pace.Seen{Limit: -1, Remaining: -1})
			return 0
		},
		"its answer has no limits": func(s *pace.Ticket, now time.Time) time.Duration { s.Done(now, noLimits); return 0 },
	} {
		t.Run(name, func(t *testing.T) {
			g := knownBucket(t, pace.Config{}, limits(100, 0, time.Minute))
			now := state(t, g, epoch, users).Reset
			scout, second, third := enter(g, now, users), enter(g, now, users), enter(g, now, users)
			mustGo(t, scout, now)
			mustWait(t, second, now, pace.Answers, time.Second, time.Second)
			now = now.Add(end(scout, now))
			mustGo(t, second, now)
			mustWait(t, third, now, pace.Answers, time.Second, time.Second)
		})
	}
}

// A server that cuts the fraction off its reset opens the next window up to a
// second later. One scout finds that out; none is refused after it.
func TestScoutInTheOldWindowAddsASecondFromThenOn(t *testing.T) {
	sim := simulate(t, 1, newServer(10, 10*time.Second, 700*time.Millisecond), simConfig{workers: 5, calls: 100})
	if n := len(sim.refusedAt); n > 1+3 { // the first ones may have to find the limit
		t.Errorf("%d refusals", n)
	}
	if over := sim.overOptimum(100, 10); over > 2*time.Second {
		t.Errorf("%s over the optimum", over)
	}

	g := knownBucket(t, pace.Config{}, limits(100, 0, time.Minute))
	now := state(t, g, epoch, users).Reset
	scout := enter(g, now, users)
	mustGo(t, scout, now)
	now = now.Add(50 * time.Millisecond)
	wait, ok := scout.Until(after(time.Minute).Unix(), now)
	if !ok || wait < 900*time.Millisecond || wait > time.Second {
		t.Errorf("a refusal right after its reset makes a wait of %s, %t; want the rest of a second", wait, ok)
	}
	s := refusal(100, 0, time.Minute)
	s.Hold = now.Add(wait)
	scout.Done(now, s)
	if reset := state(t, g, now, users).Reset; reset.Before(after(61*time.Second)) || reset.After(after(61*time.Second+gap)) {
		t.Errorf("reset at %s, want a second later", reset.Sub(epoch))
	}
	now = now.Add(wait + gap)
	send(t, g, users, now, limits(100, 0, 2*time.Minute))
	if reset := state(t, g, now, users).Reset; reset.Before(after(121*time.Second)) || reset.After(after(121*time.Second+gap)) {
		t.Errorf("next reset at %s, want a second later too", reset.Sub(epoch))
	}
}

// A refusal's reset may lack a fraction of a second, and so may its Date: the wait by
// both is never before the reset, and up to a second after it. The local clock's
// second stands for a Date that no answer had.
func TestUntilAddsASecondAtMost(t *testing.T) {
	for _, tt := range []struct {
		name       string
		accepted   bool // a call of the bucket
		knownClock bool
		want       time.Duration
	}{
		{"nothing is known", false, false, 60 * second},
		{"a window is known, by the local clock", true, false, 60 * second},
		{"the clock is known", false, true, 60 * second},
		{"both are", true, true, 60 * second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := pace.New(pace.Config{})
			if tt.knownClock {
				learnClock(g, users, serverClock{})
			}
			if tt.accepted {
				send(t, g, users, epoch, limits(600, 599, time.Minute))
			}
			ticket := enter(g, epoch, users)
			wait, ok := ticket.Until(after(time.Minute).Unix(), epoch)
			if late := wait - tt.want; !ok || late < 0 || late > gap {
				t.Errorf("a wait of %s, %t; want %s", wait, ok, tt.want)
			}
			if wait, ok := ticket.Until(after(2*time.Hour).Unix(), epoch); ok {
				t.Errorf("a wait of %s for a reset beyond belief", wait)
			}
		})
	}
}

// Only a scout's refusal shows that a window ends late: a call that was sent before
// the reset may be refused while the scout is out.
func TestLateRefusalOfAnotherCallAddsNoSecond(t *testing.T) {
	g := knownBucket(t, pace.Config{}, limits(100, 1, time.Minute))
	straggler := enter(g, epoch, users)
	mustGo(t, straggler, epoch)
	now := state(t, g, epoch, users).Reset
	scout := enter(g, now, users)
	mustGo(t, scout, now)
	straggler.Done(now, pace.Seen{Limit: 100, Remaining: 0, Reset: after(time.Minute).Unix(), Refused: true, Answered: true})
	scout.Done(now, limits(100, 99, 2*time.Minute))
	if reset := state(t, g, now, users).Reset; reset.After(after(2*time.Minute + gap)) {
		t.Errorf("next reset at %s, want no second more", reset.Sub(epoch))
	}
}
