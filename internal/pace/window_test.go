package pace_test

// This file tests what is learned of a bucket's window, and whom it lets go.

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/internal/pace"
)

// flights lets n calls go at once from a bucket that has a limit far above.
func flights(t *testing.T, g *pace.Governor, now time.Time, n int) []*pace.Ticket {
	t.Helper()
	tickets := make([]*pace.Ticket, n)
	for i := range tickets {
		tickets[i] = enter(g, now, users)
		goes(t, tickets[i], now)
	}
	return tickets
}

// known returns a governor that knows a bucket and its host's clock. What was
// used of the bucket was used by it alone, unless the answer is a refusal.
func known(t *testing.T, cfg pace.Config, s pace.Seen) *pace.Governor {
	t.Helper()
	g := pace.New(pace.Config{})
	clockOf(t, g, users, server{})
	used := 1
	if !s.Refused && s.Remaining < s.Limit {
		used = s.Limit - s.Remaining
	}
	for i := used - 1; i >= 0; i-- {
		earlier := s
		earlier.Remaining += i
		send(t, g, users, epoch, earlier)
	}
	g.Configure(cfg)
	return g
}

func TestBucketIsLearnedFromEveryAnswer(t *testing.T) {
	const minute = time.Minute
	type want struct {
		limit, remaining int
		reset            time.Duration // 0: unknown
	}
	for _, tt := range []struct {
		name string
		seen []pace.Seen
		want want
	}{
		{"nothing said", []pace.Seen{free}, want{-1, -1, 0}},
		{"a success", []pace.Seen{says(600, 599, minute)}, want{600, 599, minute}},
		{"a refusal", []pace.Seen{refuses(600, 0, minute)}, want{600, 0, minute}},
		{"a refusal with places left", []pace.Seen{refuses(600, 300, minute)}, want{600, 300, minute}},
		{"silence after an answer", []pace.Seen{says(600, 599, minute), free}, want{600, 599, minute}},
		{"in order", []pace.Seen{says(600, 599, minute), says(600, 598, minute)}, want{600, 598, minute}},
		{"out of order", []pace.Seen{says(600, 598, minute), says(600, 599, minute)}, want{600, 598, minute}},
		{"twice the same", []pace.Seen{says(600, 598, minute), says(600, 598, minute)}, want{600, 598, minute}},
		{"a new window", []pace.Seen{says(600, 5, minute), says(600, 599, 2*minute)}, want{600, 599, 2 * minute}},
		{"a late answer of the old window", []pace.Seen{says(600, 599, 2*minute), says(600, 5, minute)}, want{600, 599, 2 * minute}},
		{"a late refusal of the old window", []pace.Seen{says(600, 599, 2*minute), {Limit: 600, Reset: after(minute).Unix(), Refused: true, Answered: true}}, want{600, 599, 2 * minute}},
		{"a reset rounded up", []pace.Seen{says(600, 598, minute), says(600, 599, minute+second)}, want{600, 598, minute}},
		{"a reset rounded down", []pace.Seen{says(600, 598, minute), says(600, 597, minute-second)}, want{600, 597, minute}},
		{"the limit drops", []pace.Seen{says(600, 400, minute), says(300, 99, minute)}, want{300, 99, minute}},
		{"the limit rises", []pace.Seen{says(300, 100, minute), says(600, 399, minute)}, want{600, 100, minute}},
		{"more left than there is", []pace.Seen{says(600, 601, minute)}, want{600, 600, minute}},

		{"a limit of 0", []pace.Seen{says(0, 0, minute)}, want{-1, -1, 0}},
		{"a limit of 0 after a good answer", []pace.Seen{says(600, 599, minute), says(0, 0, minute)}, want{600, 599, minute}},
		{"concurrency", []pace.Seen{says(600, 599, minute), crowded}, want{600, 599, minute}},
		{"no reset", []pace.Seen{{Limit: 600, Remaining: 5, Answered: true}}, want{-1, -1, 0}},
		{"a negative reset", []pace.Seen{{Limit: 600, Remaining: 5, Reset: -1, Answered: true}}, want{-1, -1, 0}},
		{"a reset in milliseconds", []pace.Seen{{Limit: 600, Remaining: 5, Reset: after(minute).UnixMilli(), Answered: true}}, want{-1, -1, 0}},
		{"a reset of yesterday", []pace.Seen{says(600, 5, -24*time.Hour)}, want{-1, -1, 0}},
		{"the last reset of all", []pace.Seen{{Limit: 600, Remaining: 5, Reset: math.MaxInt64, Answered: true}}, want{-1, -1, 0}},
		{"no remaining", []pace.Seen{{Limit: 600, Remaining: -1, Reset: after(minute).Unix(), Answered: true}}, want{-1, -1, 0}},
		{"no answer", []pace.Seen{{Limit: 600, Remaining: 5, Reset: after(minute).Unix()}}, want{-1, -1, 0}},
		{"nonsense after a good answer", []pace.Seen{says(600, 599, minute), says(600, 1, 48*time.Hour)}, want{600, 599, minute}},
		{"a huge limit", []pace.Seen{says(math.MaxInt, math.MaxInt, minute)}, want{1 << 30, 1 << 30, minute}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := pace.New(pace.Config{})
			clockOf(t, g, users, server{})
			var tickets []*pace.Ticket
			for i := range tt.seen {
				tickets = append(tickets, enter(g, epoch, users))
				goes(t, tickets[i], epoch)
			}
			for i, s := range tt.seen {
				s.Hold = time.Time{}
				tickets[i].Done(epoch, s)
			}
			s := state(t, g, epoch, users)
			if s.Limit != tt.want.limit || s.Remaining != tt.want.remaining {
				t.Errorf("%d of %d, want %d of %d", s.Remaining, s.Limit, tt.want.remaining, tt.want.limit)
			}
			switch late := s.Reset.Sub(after(tt.want.reset)); {
			case tt.want.reset == 0 && !s.Reset.IsZero():
				t.Errorf("reset %s, want none", s.Reset)
			case tt.want.reset > 0 && (late < 0 || late > 10*time.Millisecond):
				t.Errorf("reset %s after what it should be", late)
			}
			if s.InFlight != 0 {
				t.Errorf("%d in flight", s.InFlight)
			}
		})
	}
}

// The same reset, of the same window, is reckoned anew when more is known of the
// server's clock.
func TestResetMovesWithTheServersClock(t *testing.T) {
	g := known(t, pace.Config{}, says(600, 500, time.Minute))
	send(t, g, users, after(time.Second), says(600, 499, time.Minute))
	if got := state(t, g, after(time.Second), users).Reset; got.Sub(after(time.Minute)).Abs() > 10*time.Millisecond {
		t.Fatalf("the reset is at %s, want a minute", got.Sub(epoch))
	}
	now := after(2 * time.Second)
	ticket := enter(g, now, users)
	ticket.Observe(now, now, server{ahead: 20 * time.Second}.date(now)) // a clock was set
	ticket.Leave(now)
	send(t, g, users, now, says(600, 498, time.Minute))
	if got := state(t, g, now, users).Reset; got.Sub(after(40*time.Second)).Abs() > time.Second {
		t.Errorf("the reset is at %s, want 40 s, by a clock that is 20 s ahead", got.Sub(epoch))
	}
}

// Fifty answers of one window, and some of the one before, come in any order.
func TestRemainingNeverGoesBackUpWithinAWindow(t *testing.T) {
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 0))
		g := known(t, pace.Config{}, says(100, 60, time.Minute))
		tickets := flights(t, g, epoch, 50)
		var answers []pace.Seen
		for i := range 50 {
			s := says(100, 60-1-i, time.Minute)
			if i < 10 {
				s = says(100, 3, 0) // its window is over
			}
			answers = append(answers, s)
		}
		least := 60
		for _, i := range random.Perm(50) {
			tickets[i].Done(epoch, answers[i])
			if i >= 10 {
				least = min(least, answers[i].Remaining)
			}
			if s := state(t, g, epoch, users); s.Remaining != least {
				t.Fatalf("seed %d: %d remain, want %d", seed, s.Remaining, least)
			}
		}
	}
}

func TestCallsInFlightCountAgainstWhatRemains(t *testing.T) {
	g := known(t, pace.Config{}, says(600, 5, time.Minute))
	tickets := flights(t, g, epoch, 5)
	sixth := enter(g, epoch, users)
	waits(t, sixth, epoch, pace.Answers, time.Millisecond, time.Minute)
	tickets[0].Done(epoch, says(600, 4, time.Minute))
	if !told(sixth) {
		t.Fatal("the first of the line was not told of an answer")
	}
	waits(t, sixth, epoch, pace.Answers, time.Millisecond, time.Minute)

	// A call that was never sent gives its place back.
	tickets[1].Leave(epoch)
	if !told(sixth) {
		t.Fatal("the first of the line was not told of a place")
	}
	goes(t, sixth, epoch)
	seventh := enter(g, epoch, users)
	for i, ticket := range append(tickets[2:], sixth) {
		ticket.Done(epoch, says(600, 3-i, time.Minute))
	}
	now := after(2 * gap) // for those that waited keep a distance
	waits(t, seventh, now, pace.Exhausted, time.Minute-2*gap, time.Minute)
}

func TestUnknownBucketLetsThreeGoAtATime(t *testing.T) {
	g := pace.New(pace.Config{})
	tickets := flights(t, g, epoch, 3)
	fourth, fifth := enter(g, epoch, users), enter(g, epoch, users)
	waits(t, fourth, epoch, pace.Answers, time.Second, time.Second)
	waits(t, fifth, epoch, pace.Answers, 1, time.Second)

	t.Run("another goes for one that had no answer", func(t *testing.T) {
		tickets[0].Done(epoch, pace.Seen{Limit: -1, Remaining: -1})
		if !told(fourth) {
			t.Fatal("not told")
		}
		goes(t, fourth, epoch)
		waits(t, fifth, epoch, pace.Answers, time.Second, time.Second)
	})
	t.Run("another goes for those that take too long", func(t *testing.T) {
		goes(t, fifth, after(time.Second))
		sixth := enter(g, after(time.Second), users)
		waits(t, sixth, after(time.Second), pace.Answers, time.Second, time.Second)
		sixth.Leave(after(time.Second))
	})
	t.Run("the others go when there is an answer", func(t *testing.T) {
		tickets[1].Done(after(time.Second), says(600, 599, time.Minute))
		for range 100 {
			goes(t, enter(g, after(2*time.Second), users), after(2*time.Second))
		}
	})
}

func TestBucketThatOktaDoesNotLimitIsNeverUnknown(t *testing.T) {
	g := pace.New(pace.Config{})
	for range 100 {
		goes(t, enter(g, epoch, pace.Key{Host: "h"}), epoch)
	}
}

// The answer of a slow first call can come when its window is over: that once
// made the bucket look as if it had no limits.
func TestLateFirstAnswerDoesNotMakeABucketFree(t *testing.T) {
	g := pace.New(pace.Config{})
	clockOf(t, g, users, server{})
	first := enter(g, epoch, users)
	goes(t, first, epoch)
	now := after(2 * time.Second)
	first.Done(now, says(600, 0, time.Second))
	goes(t, enter(g, now, users), now)
	waits(t, enter(g, now, users), now, pace.Answers, time.Second, time.Second)
}

func TestScoutGoesFirstIntoANewWindow(t *testing.T) {
	g := known(t, pace.Config{}, says(100, 0, time.Minute))
	var line []*pace.Ticket
	for range 50 {
		line = append(line, enter(g, epoch, users))
		waits(t, line[len(line)-1], epoch, pace.Exhausted, time.Minute, time.Minute+second)
	}
	reset := state(t, g, epoch, users).Reset
	waits(t, line[0], reset.Add(-1), pace.Exhausted, 1, time.Millisecond)
	goes(t, line[0], reset)
	waits(t, line[1], reset, pace.Answers, time.Second, time.Second)

	now := reset.Add(50 * time.Millisecond)
	line[0].Done(now, says(100, 99, 2*time.Minute))
	if !told(line[1]) {
		t.Fatal("the next was not told of the new window")
	}
	last := now
	order := 1
	for ; order < 50; order++ {
		wait, _ := line[order].Ready(now)
		if wait > 0 {
			if now = now.Add(wait); wait > 3*gap {
				t.Fatalf("call %d waits for %s after another", order, wait)
			}
			goes(t, line[order], now)
		}
		last = now
	}
	if took := last.Sub(reset); took < 100*time.Millisecond || took > 50*time.Millisecond+320*time.Millisecond {
		t.Errorf("the line had gone %s after the reset, want about 250ms", took)
	}
}

func TestScoutIsNotWaitedForForEver(t *testing.T) {
	for name, end := range map[string]func(*pace.Ticket, time.Time) time.Duration{
		"it hangs":        func(*pace.Ticket, time.Time) time.Duration { return time.Second },
		"it is cancelled": func(s *pace.Ticket, now time.Time) time.Duration { s.Leave(now); return 0 },
		"it has no answer": func(s *pace.Ticket, now time.Time) time.Duration {
			s.Done(now, pace.Seen{Limit: -1, Remaining: -1})
			return 0
		},
		"its answer has no limits": func(s *pace.Ticket, now time.Time) time.Duration { s.Done(now, free); return 0 },
	} {
		t.Run(name, func(t *testing.T) {
			g := known(t, pace.Config{}, says(100, 0, time.Minute))
			now := state(t, g, epoch, users).Reset
			scout, second, third := enter(g, now, users), enter(g, now, users), enter(g, now, users)
			goes(t, scout, now)
			waits(t, second, now, pace.Answers, time.Second, time.Second)
			now = now.Add(end(scout, now))
			goes(t, second, now)
			waits(t, third, now, pace.Answers, time.Second, time.Second)
		})
	}
}

// A server that cuts the fraction off its reset opens the next window up to a
// second later. One scout finds that out, and no other does.
func TestScoutThatMeetsTheOldWindowAddsASecondFromThenOn(t *testing.T) {
	o := limited(10, 10*time.Second, 700*time.Millisecond)
	f := simulate(t, 1, o, pace.Config{}, 1, 5, 100, nil)
	if f.refused > 1+3 { // the first ones may have to find the limit
		t.Errorf("%d refusals", f.refused)
	}
	late := f.finished.Sub(epoch) - f.optimum(100, 10)
	if late > 2*time.Second {
		t.Errorf("%s over the optimum", late)
	}

	g := known(t, pace.Config{}, says(100, 0, time.Minute))
	now := state(t, g, epoch, users).Reset
	scout := enter(g, now, users)
	goes(t, scout, now)
	now = now.Add(50 * time.Millisecond)
	wait, ok := scout.Until(after(time.Minute).Unix(), now)
	if !ok || wait < 900*time.Millisecond || wait > time.Second {
		t.Errorf("a refusal right after its reset makes a wait of %s, %t; want the rest of a second", wait, ok)
	}
	s := refuses(100, 0, time.Minute)
	s.Hold = now.Add(wait)
	scout.Done(now, s)
	if reset := state(t, g, now, users).Reset; reset.Before(after(61*time.Second)) || reset.After(after(61*time.Second+gap)) {
		t.Errorf("reset at %s, want a second later", reset.Sub(epoch))
	}
	now = now.Add(wait + gap)
	send(t, g, users, now, says(100, 0, 2*time.Minute))
	if reset := state(t, g, now, users).Reset; reset.Before(after(121*time.Second)) || reset.After(after(121*time.Second+gap)) {
		t.Errorf("next reset at %s, want a second later too", reset.Sub(epoch))
	}
}

// Only a scout's refusal tells that a window ends late; a call that was sent
// before the reset may be refused when the scout is out.
func TestLateRefusalOfTheOldWindowIsNoScouts(t *testing.T) {
	g := known(t, pace.Config{}, says(100, 1, time.Minute))
	straggler := enter(g, epoch, users)
	goes(t, straggler, epoch)
	now := state(t, g, epoch, users).Reset
	scout := enter(g, now, users)
	goes(t, scout, now)
	straggler.Done(now, pace.Seen{Limit: 100, Remaining: 0, Reset: after(time.Minute).Unix(), Refused: true, Answered: true})
	scout.Done(now, says(100, 99, 2*time.Minute))
	if reset := state(t, g, now, users).Reset; reset.After(after(2*time.Minute + gap)) {
		t.Errorf("next reset at %s, want no second more", reset.Sub(epoch))
	}
}

func TestRefusalWithPlacesLeftIsBelieved(t *testing.T) {
	g := known(t, pace.Config{}, says(600, 350, time.Minute))
	send(t, g, users, epoch, refuses(600, 300, time.Minute))
	next := enter(g, epoch, users)
	waits(t, next, epoch, pace.Held, time.Minute, time.Minute+gap)
	goes(t, next, after(time.Minute+gap))
}

func TestBucketThatAcceptsMoreThanItSaysIsBelievedToo(t *testing.T) {
	for _, tt := range []struct {
		utilization float64
		goes        bool
	}{{1, true}, {0.7, false}} {
		g := known(t, pace.Config{}, says(100, 50, time.Minute))
		tickets := flights(t, g, epoch, 4)
		g.Configure(pace.Config{MaxUtilization: tt.utilization})
		for _, ticket := range tickets {
			ticket.Done(epoch, says(100, 0, time.Minute))
		}
		if wait, _ := enter(g, epoch, users).Ready(epoch); wait == 0 != tt.goes {
			t.Errorf("with %g of the window to use, the next waits for %s; want it to go: %t", tt.utilization, wait, tt.goes)
		}
	}
}

func TestLastPlaceTakenIsNoBurst(t *testing.T) {
	g := known(t, pace.Config{}, says(100, 1, time.Minute))
	send(t, g, users, epoch, says(100, 0, time.Minute))
	waits(t, enter(g, epoch, users), epoch, pace.Exhausted, time.Minute, time.Minute+gap)
}

func TestMaxUtilizationKeepsPlacesForOthers(t *testing.T) {
	for _, tt := range []struct {
		limit, remaining int
		utilization      float64
		goes_            int // how many go at once
	}{
		{600, 600, 0, 600},
		{600, 600, 1, 600},
		{600, 600, 0.7, 420},
		{600, 300, 0.7, 120},
		{600, 180, 0.7, 0},
		{600, 100, 0.7, 0}, // others took some of what was kept for them
		{100, 100, 0.7, 70},
		{10, 10, 0.05, 1}, // never none
		{1, 1, 0.1, 1},
		{2, 2, 0.5, 1},
		{3, 3, 0.01, 1},
	} {
		t.Run(fmt.Sprintf("%d of %d by %g", tt.remaining, tt.limit, tt.utilization), func(t *testing.T) {
			g := known(t, pace.Config{MaxUtilization: tt.utilization}, says(tt.limit, tt.remaining, time.Minute))
			n := 0
			for ; n <= tt.limit; n++ {
				if wait, _ := enter(g, epoch, users).Ready(epoch); wait > 0 {
					break
				}
			}
			if n != tt.goes_ {
				t.Errorf("%d go, want %d", n, tt.goes_)
			}
		})
	}
}

// What others use is told from the headers: the last places are then taken in
// ever smaller steps, the very last ones one by one and apart.
func TestUseByOthersSlowsDownNearTheEndOnly(t *testing.T) {
	g := pace.New(pace.Config{})
	clockOf(t, g, users, server{})
	left := 600
	for range 100 { // three of four places go to others
		left -= 4
		send(t, g, users, epoch, says(600, left, time.Minute))
	}
	if s := state(t, g, epoch, users); s.Share < 0.2 || s.Share > 0.3 {
		t.Errorf("a share of %g, want about 0.25", s.Share)
	}
	atOnce := func(now time.Time) (n int) {
		for {
			ticket := enter(g, now, users)
			if wait, _ := ticket.Ready(now); wait > 0 {
				ticket.Leave(now)
				return n
			}
			defer ticket.Leave(now)
			n++
		}
	}
	if n := atOnce(epoch); n < 15 || n > 45 {
		t.Errorf("with 200 left, %d go at once; want about 30", n)
	}
	send(t, g, users, epoch, says(600, 40, time.Minute))
	if n := atOnce(epoch); n > 6 {
		t.Errorf("with 40 left, %d go at once; want a few", n)
	}
	send(t, g, users, epoch, says(600, 3, time.Minute))
	now := epoch
	for range 2 {
		send(t, g, users, now.Add(5*time.Second), says(600, 3, time.Minute))
		now = now.Add(5 * time.Second)
		if n := atOnce(now); n > 1 {
			t.Errorf("with 3 left, %d go at once; want one", n)
		}
	}
}

func TestAloneABucketIsNotShared(t *testing.T) {
	g := known(t, pace.Config{}, says(600, 599, time.Minute))
	tickets := flights(t, g, epoch, 500)
	for i, at := range rand.New(rand.NewPCG(1, 1)).Perm(500) {
		tickets[at].Done(epoch, says(600, 598-at, time.Minute))
		if s := state(t, g, epoch, users); s.Share != 1 {
			t.Fatalf("after %d answers: a share of %g", i+1, s.Share)
		}
	}
}

// One answer with a reset of nonsense, but not beyond belief, must not make all
// true ones look stale.
func TestNonsenseResetFarAheadIsForgotten(t *testing.T) {
	g := known(t, pace.Config{}, says(600, 599, 50*time.Minute))
	for i := range 10 {
		send(t, g, users, after(time.Duration(i)*time.Second), says(600, 590-i, time.Minute))
	}
	if s := state(t, g, epoch, users); s.Remaining != 581 || s.Reset.After(after(2*time.Minute)) {
		t.Errorf("%d remain until %s, want 581 until 1m", s.Remaining, s.Reset.Sub(epoch))
	}
}

func TestSmoothSpreadsCallsOverTheWindow(t *testing.T) {
	o := limited(60, time.Minute, 0)
	var at []time.Time
	simulate(t, 1, o, pace.Config{Smooth: true}, 1, 10, 175, func(f *fleet) {
		f.each = func(now time.Time, _ pace.Seen) { at = append(at, now) }
	})
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
	for w, n := range o.accepted {
		if n < 54 && w.Before(after(2*time.Minute)) {
			t.Errorf("%d of 60 places were used in the window at %s", n, w.Sub(epoch))
		}
	}
}

// A token of the smooth mode was once lost when there was no slot for the call.
func TestSmoothKeepsItsTokenWhenThereIsNoSlot(t *testing.T) {
	g := known(t, pace.Config{}, says(60, 59, time.Minute))
	g.Configure(pace.Config{Smooth: true, MaxInFlight: 1})
	other := enter(g, epoch, pace.Key{Host: users.Host})
	goes(t, other, epoch)
	ticket := enter(g, epoch, users)
	waits(t, ticket, epoch, pace.Slot, time.Second, time.Second)
	other.Done(epoch, free)
	goes(t, ticket, epoch)
}
