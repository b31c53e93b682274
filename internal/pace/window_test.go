// This file tests what is learned of a bucket's window, and how many calls it lets
// be sent.

package pace_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/internal/pace"
)

func TestWindowIsLearnedFromEveryAnswer(t *testing.T) {
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
		{"no limits", []pace.Seen{noLimits}, want{-1, -1, 0}},
		{"a success", []pace.Seen{limits(600, 599, minute)}, want{600, 599, minute}},
		{"a refusal", []pace.Seen{refusal(600, 0, minute)}, want{600, 0, minute}},
		{"a refusal with places left", []pace.Seen{refusal(600, 300, minute)}, want{600, 300, minute}},
		{"no limits after an answer", []pace.Seen{limits(600, 599, minute), noLimits}, want{600, 599, minute}},
		{"in order", []pace.Seen{limits(600, 599, minute), limits(600, 598, minute)}, want{600, 598, minute}},
		{"out of order", []pace.Seen{limits(600, 598, minute), limits(600, 599, minute)}, want{600, 598, minute}},
		{"twice the same", []pace.Seen{limits(600, 598, minute), limits(600, 598, minute)}, want{600, 598, minute}},
		{"a new window", []pace.Seen{limits(600, 5, minute), limits(600, 599, 2*minute)}, want{600, 599, 2 * minute}},
		{"a late answer of the old window", []pace.Seen{limits(600, 599, 2*minute), limits(600, 5, minute)}, want{600, 599, 2 * minute}},
		{"a late refusal of the old window", []pace.Seen{limits(600, 599, 2*minute), {Limit: 600, Reset: after(minute).Unix(), Refused: true, Answered: true}}, want{600, 599, 2 * minute}},
		{"a reset rounded up", []pace.Seen{limits(600, 598, minute), limits(600, 599, minute+second)}, want{600, 598, minute}},
		{"a reset rounded down", []pace.Seen{limits(600, 598, minute), limits(600, 597, minute-second)}, want{600, 597, minute}},
		{"the limit drops", []pace.Seen{limits(600, 400, minute), limits(300, 99, minute)}, want{300, 99, minute}},
		{"the limit rises", []pace.Seen{limits(300, 100, minute), limits(600, 399, minute)}, want{600, 100, minute}},
		{"more left than there is", []pace.Seen{limits(600, 601, minute)}, want{600, 600, minute}},

		{"a limit of 0", []pace.Seen{limits(0, 0, minute)}, want{-1, -1, 0}},
		{"a limit of 0 after a good answer", []pace.Seen{limits(600, 599, minute), limits(0, 0, minute)}, want{600, 599, minute}},
		{"concurrency", []pace.Seen{limits(600, 599, minute), slotRefusal}, want{600, 599, minute}},
		{"no reset", []pace.Seen{{Limit: 600, Remaining: 5, Answered: true}}, want{-1, -1, 0}},
		{"a negative reset", []pace.Seen{{Limit: 600, Remaining: 5, Reset: -1, Answered: true}}, want{-1, -1, 0}},
		{"a reset in milliseconds", []pace.Seen{{Limit: 600, Remaining: 5, Reset: after(minute).UnixMilli(), Answered: true}}, want{-1, -1, 0}},
		{"a reset of yesterday", []pace.Seen{limits(600, 5, -24*time.Hour)}, want{-1, -1, 0}},
		{"the last reset of all", []pace.Seen{{Limit: 600, Remaining: 5, Reset: math.MaxInt64, Answered: true}}, want{-1, -1, 0}},
		{"no remaining", []pace.Seen{{Limit: 600, Remaining: -1, Reset: after(minute).Unix(), Answered: true}}, want{-1, -1, 0}},
		{"no answer", []pace.Seen{{Limit: 600, Remaining: 5, Reset: after(minute).Unix()}}, want{-1, -1, 0}},
		{"nonsense after a good answer", []pace.Seen{limits(600, 599, minute), limits(600, 1, 48*time.Hour)}, want{600, 599, minute}},
		{"a huge limit", []pace.Seen{limits(math.MaxInt, math.MaxInt, minute)}, want{1 << 30, 1 << 30, minute}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := pace.New(pace.Config{})
			learnClock(g, users, serverClock{})
			var tickets []*pace.Ticket
			for i := range tt.seen {
				tickets = append(tickets, enter(g, epoch, users))
				mustGo(t, tickets[i], epoch)
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

// The same reset of the same window moves when more is known of the server's clock.
func TestResetMovesWithTheServersClock(t *testing.T) {
	g := knownBucket(t, pace.Config{}, limits(600, 500, time.Minute))
	send(t, g, users, after(time.Second), limits(600, 499, time.Minute))
	if got := state(t, g, after(time.Second), users).Reset; got.Sub(after(time.Minute)).Abs() > 10*time.Millisecond {
		t.Fatalf("the reset is at %s, want a minute", got.Sub(epoch))
	}
	now := after(2 * time.Second)
	ticket := enter(g, now, users)
	ticket.Observe(now, now, serverClock{ahead: 20 * time.Second}.date(now)) // a clock was set
	ticket.Leave(now)
	send(t, g, users, now, limits(600, 498, time.Minute))
	if got := state(t, g, now, users).Reset; got.Sub(after(40*time.Second)).Abs() > time.Second {
		t.Errorf("the reset is at %s, want 40 s, by a clock that is 20 s ahead", got.Sub(epoch))
	}
}

// Fifty answers of one window, and some of the one before, come in any order.
func TestRemainingNeverGoesBackUpWithinAWindow(t *testing.T) {
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 0))
		g := knownBucket(t, pace.Config{}, limits(100, 60, time.Minute))
		tickets := sendMany(t, g, epoch, 50)
		var answers []pace.Seen
		for i := range 50 {
			s := limits(100, 60-1-i, time.Minute)
			if i < 10 {
				s = limits(100, 3, 0) // its window is over
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

func TestCallsInFlightTakePlacesOfTheWindow(t *testing.T) {
	g := knownBucket(t, pace.Config{}, limits(600, 5, time.Minute))
	tickets := sendMany(t, g, epoch, 5)
	sixth := enter(g, epoch, users)
	mustWait(t, sixth, epoch, pace.Answers, time.Millisecond, time.Minute)
	tickets[0].Done(epoch, limits(600, 4, time.Minute))
	if !woken(sixth) {
		t.Fatal("the first of the line was not woken by an answer")
	}
	mustWait(t, sixth, epoch, pace.Answers, time.Millisecond, time.Minute)

	// A call that was never sent gives its place back.
	tickets[1].Leave(epoch)
	if !woken(sixth) {
		t.Fatal("the first of the line was not woken for a place")
	}
	mustGo(t, sixth, epoch)
	seventh := enter(g, epoch, users)
	for i, ticket := range append(tickets[2:], sixth) {
		ticket.Done(epoch, limits(600, 3-i, time.Minute))
	}
	now := after(2 * gap) // calls that waited keep a distance
	mustWait(t, seventh, now, pace.Exhausted, time.Minute-2*gap, time.Minute)
}

func TestRefusalWithPlacesLeftHoldsTheBucket(t *testing.T) {
	g := knownBucket(t, pace.Config{}, limits(600, 350, time.Minute))
	for i := range 3 { // the first refusal, and those of two scouts
		send(t, g, users, after(time.Duration(i)), refusal(600, 300, time.Minute))
	}
	now := after(3)
	next := enter(g, now, users)
	mustWait(t, next, now, pace.Held, time.Minute-3, time.Minute+gap)
	mustGo(t, next, after(time.Minute+gap))
}

// A refusal may name a time shortly after its window's end, for the server's clock was
// hardly known then. A call that was sent in between, and accepted in the next window,
// once made a token's share, refused for all, look like the limit of one user.
func TestCallAcceptedInTheNextWindowLeavesAShareSuspected(t *testing.T) {
	const accepted, next = 150, 60*second + 300*time.Millisecond
	sendShare := func(g *pace.Governor, from, reset time.Duration) {
		for i := range accepted {
			send(t, g, users, after(from+2*gap*time.Duration(i+1)), limits(600, 599-i, reset))
		}
	}
	for _, tt := range []struct {
		name      string
		hold      time.Duration // that the refusals name
		suspected bool          // from the calls accepted at next
	}{
		{"the refusals named the window's end", 60 * second, true},
		{"the refusals named a little more", next + 200*time.Millisecond, true},
		{"the refusals named far more", 5 * time.Minute, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := pace.New(pace.Config{})
			sendShare(g, 0, time.Minute)
			for _, ticket := range sendMany(t, g, after(10*second), 20) {
				s := refusal(600, 600-accepted, time.Minute)
				s.Hold = after(tt.hold)
				ticket.Done(after(10*second), s)
			}
			sendShare(g, next, 2*time.Minute)
			now := after(next + 10*second)
			mustGo(t, enter(g, now, users), now)
			if wait, _ := enter(g, now, users).Ready(now); wait > 0 != tt.suspected {
				t.Errorf("beside a call that finds out about the share, the next waits for %s; want a wait: %t", wait, tt.suspected)
			}
		})
	}
}

// What was in flight when a share was found was accepted after it. The next window once
// took that for a share that has grown, and let an eighth more go at once.
func TestCallsInFlightWhenAShareIsFoundAreOfIt(t *testing.T) {
	g := pace.New(pace.Config{})
	for i := range 89 {
		send(t, g, users, after(2*gap*time.Duration(i)), limits(200, 199-i, time.Minute))
	}
	now := after(10 * second)
	out := sendMany(t, g, now, 12)
	for i, ticket := range out[:6] {
		ticket.Done(now, limits(200, 110-i, time.Minute))
	}
	out[11].Done(now, refusal(200, 100, time.Minute))
	for i, ticket := range out[6:11] {
		ticket.Done(now, limits(200, 104-i, time.Minute))
	}
	now = after(time.Minute + second)
	for i := range 100 {
		send(t, g, users, now.Add(2*gap*time.Duration(i)), limits(200, 199-i, 2*time.Minute))
	}
	now = now.Add(10 * second)
	mustGo(t, enter(g, now, users), now)
	mustWait(t, enter(g, now, users), now, pace.Answers, 1, second)
}

// A user's own limit may have a window of a second, which says nothing of the bucket's: a
// call that passes in between shows that the refusal was narrow, however short it was.
func TestRefusalByAShortWindowOfOnesOwnIsFoundToBeNarrow(t *testing.T) {
	g := pace.New(pace.Config{})
	refuse := func(at time.Duration) {
		ticket := enter(g, after(at), users)
		mustGo(t, ticket, after(at))
		s := refusal(4, 0, at+second)
		s.Hold = after(at + second)
		ticket.Done(after(at), s)
	}
	send(t, g, users, after(0), limits(600, 599, time.Minute))
	refuse(10 * second)
	send(t, g, users, after(10*second+gap), limits(600, 598, time.Minute))
	refuse(10*second + 2*gap)
	for range 2 { // none has to find out
		mustGo(t, enter(g, after(10*second+3*gap), users), after(10*second+3*gap))
	}
}

func TestBucketThatAcceptsMoreThanItsLimitIsUsed(t *testing.T) {
	for _, tt := range []struct {
		utilization float64
		sent        bool
	}{{1, true}, {0.7, false}} {
		g := knownBucket(t, pace.Config{}, limits(100, 50, time.Minute))
		tickets := sendMany(t, g, epoch, 4)
		g.Configure(pace.Config{MaxUtilization: tt.utilization})
		for _, ticket := range tickets {
			ticket.Done(epoch, limits(100, 0, time.Minute))
		}
		if wait, _ := enter(g, epoch, users).Ready(epoch); wait == 0 != tt.sent {
			t.Errorf("with %g of the window to use, the next waits for %s; want it sent: %t", tt.utilization, wait, tt.sent)
		}
	}
}

func TestCallInTheLastPlaceIsNoBurst(t *testing.T) {
	g := knownBucket(t, pace.Config{}, limits(100, 1, time.Minute))
	send(t, g, users, epoch, limits(100, 0, time.Minute))
	mustWait(t, enter(g, epoch, users), epoch, pace.Exhausted, time.Minute, time.Minute+gap)
}

func TestMaxUtilizationLeavesPlacesToOthers(t *testing.T) {
	for _, tt := range []struct {
		limit, remaining int
		utilization      float64
		want             int // how many are sent at once
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
			g := knownBucket(t, pace.Config{MaxUtilization: tt.utilization}, limits(tt.limit, tt.remaining, time.Minute))
			n := 0
			for ; n <= tt.limit; n++ {
				if wait, _ := enter(g, epoch, users).Ready(epoch); wait > 0 {
					break
				}
			}
			if n != tt.want {
				t.Errorf("%d are sent, want %d", n, tt.want)
			}
		})
	}
}

// Headers show what others use: the last places are then taken in ever smaller
// steps, the very last ones one by one and apart.
func TestUseByOthersSlowsCallsNearTheEndOnly(t *testing.T) {
	g := pace.New(pace.Config{})
	learnClock(g, users, serverClock{})
	left := 600
	for range 100 { // three of four places go to others
		left -= 4
		send(t, g, users, epoch, limits(600, left, time.Minute))
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
		t.Errorf("with 200 left, %d are sent at once, want about 30", n)
	}
	send(t, g, users, epoch, limits(600, 40, time.Minute))
	if n := atOnce(epoch); n > 6 {
		t.Errorf("with 40 left, %d are sent at once, want a few", n)
	}
	send(t, g, users, epoch, limits(600, 3, time.Minute))
	now := epoch
	for range 2 {
		send(t, g, users, now.Add(5*time.Second), limits(600, 3, time.Minute))
		now = now.Add(5 * time.Second)
		if n := atOnce(now); n > 1 {
			t.Errorf("with 3 left, %d are sent at once, want one", n)
		}
		next := enter(g, now, users)
		mustWait(t, next, now, pace.Turn, 1, 250*time.Millisecond) // after the one before
		next.Leave(now)
	}
}

func TestBucketUsedAloneHasAShareOfOne(t *testing.T) {
	g := knownBucket(t, pace.Config{}, limits(600, 599, time.Minute))
	tickets := sendMany(t, g, epoch, 500)
	for i, at := range rand.New(rand.NewPCG(1, 1)).Perm(500) {
		tickets[at].Done(epoch, limits(600, 598-at, time.Minute))
		if s := state(t, g, epoch, users); s.Share != 1 {
			t.Fatalf("after %d answers: a share of %g", i+1, s.Share)
		}
	}
}

// One answer with a wrong reset that is still plausible must not make all true ones
// look stale.
func TestWrongResetFarAheadIsCorrected(t *testing.T) {
	g := knownBucket(t, pace.Config{}, limits(600, 599, 50*time.Minute))
	for i := range 10 {
		send(t, g, users, after(time.Duration(i)*time.Second), limits(600, 590-i, time.Minute))
	}
	if s := state(t, g, epoch, users); s.Remaining != 581 || s.Reset.After(after(2*time.Minute)) {
		t.Errorf("%d remain until %s, want 581 until 1m", s.Remaining, s.Reset.Sub(epoch))
	}
	now := after(10 * time.Second)
	send(t, g, users, now, limits(600, 0, time.Minute))
	if wait := waitOfLast(t, g, now, 1500); wait > 4*time.Minute {
		t.Errorf("an estimate of %s two windows ahead, as if each lasted for 50 minutes", wait)
	}
}
