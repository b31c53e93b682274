package pace_test

// This file tests what the buckets of a host share, slots and ceilings, and the
// estimate of when a call's turn comes.

import (
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/internal/pace"
)

func TestRefusalsForWantOfSlotsShrinkWhatIsInFlight(t *testing.T) {
	g := pace.New(pace.Config{})
	send(t, g, users, epoch, free)
	tickets := flights(t, g, epoch, 100)
	for _, ticket := range tickets[:25] {
		ticket.Done(epoch, crowded)
	}
	next := enter(g, epoch, users)
	waits(t, next, epoch, pace.Slot, time.Second, time.Second) // 75 are out
	if s := state(t, g, epoch, users); s.InFlight != 75 || s.Limit != -1 || !s.HeldUntil.IsZero() {
		t.Errorf("state %+v, want a bucket that knows nothing of it", s)
	}
	for i, ticket := range tickets[25:] {
		ticket.Done(epoch, free)
		if !told(next) {
			t.Fatal("the next was not told of an answer")
		}
		if wait, _ := next.Ready(epoch); wait == 0 {
			if n := 74 - i; n > 74 || n < 65 {
				t.Errorf("the next went when %d were in flight, want about 71", n)
			}
			return
		}
	}
	t.Error("the next never went")
}

// The one that is refused need not be the last that went: those that went after
// it may have been accepted.
func TestRefusalOfACallThatWasOvertakenShrinksToWhatWasInFlight(t *testing.T) {
	g := pace.New(pace.Config{})
	send(t, g, users, epoch, free)
	tickets := flights(t, g, epoch, 80)
	tickets[3].Done(epoch, crowded)
	waits(t, enter(g, epoch, users), epoch, pace.Slot, time.Second, time.Second)
	for _, ticket := range tickets[4:9] {
		ticket.Done(epoch, free)
	}
	n := 0
	for ; n < 100; n++ {
		if wait, _ := enter(g, epoch, users).Ready(epoch); wait > 0 {
			break
		}
	}
	if n > 3 {
		t.Errorf("%d went with 74 in flight, want 76 in flight at most", n)
	}
}

func TestSlotsOfAHostAreNoOthers(t *testing.T) {
	g := pace.New(pace.Config{MaxInFlight: 1})
	goes(t, enter(g, epoch, users), epoch)
	waits(t, enter(g, epoch, pace.Key{Host: users.Host, Credential: 2}), epoch, pace.Slot, time.Second, time.Second)
	goes(t, enter(g, epoch, pace.Key{Host: "other.okta.com"}), epoch)
}

func TestThereIsAlwaysOneSlot(t *testing.T) {
	g := pace.New(pace.Config{})
	for range 100 {
		send(t, g, users, epoch, crowded)
	}
	goes(t, enter(g, epoch, pace.Key{Host: users.Host}), epoch)
}

// A slot's wake-up was once lost when the call that got it had left, or could
// not go for another reason: with random ends in random buckets, nobody may be
// left waiting while a slot is free.
func TestNobodyWaitsWhileASlotIsFree(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 3))
		most := 1 + random.IntN(5)
		g := pace.New(pace.Config{MaxInFlight: most})
		buckets := 1 + random.IntN(6)
		keys := make([]pace.Key, buckets)
		for i := range keys {
			keys[i] = pace.Key{Host: "h", Bucket: strconv.Itoa(i)}
			send(t, g, keys[i], epoch, free)
		}
		var waiting, flying []*pace.Ticket
		why := map[*pace.Ticket]pace.Reason{}
		ask := func(ticket *pace.Ticket) bool {
			wait, reason := ticket.Ready(epoch)
			why[ticket] = reason
			return wait == 0
		}
		settle := func() {
			for again := true; again; {
				again = false
				for i, ticket := range waiting {
					if told(ticket) {
						again = true
						if ask(ticket) {
							waiting = append(waiting[:i:i], waiting[i+1:]...)
							flying = append(flying, ticket)
						}
						break
					}
				}
			}
		}
		drop := func(list *[]*pace.Ticket) *pace.Ticket {
			i := random.IntN(len(*list))
			ticket := (*list)[i]
			*list = append((*list)[:i:i], (*list)[i+1:]...)
			return ticket
		}
		for step := range 200 {
			switch n := random.IntN(10); {
			case n < 4:
				ticket := enter(g, epoch, keys[random.IntN(buckets)])
				if ask(ticket) {
					flying = append(flying, ticket)
				} else {
					waiting = append(waiting, ticket)
				}
			case n < 6 && len(waiting) > 0:
				drop(&waiting).Leave(epoch) // also one that was told and has not asked yet
			case n < 9 && len(flying) > 0:
				drop(&flying).Done(epoch, free)
			case len(flying) > 0:
				drop(&flying).Leave(epoch)
			}
			if random.IntN(3) > 0 {
				continue // several things happen before anybody asks
			}
			settle()
			if len(flying) > most {
				t.Fatalf("seed %d, step %d: %d are in flight, want %d at most", seed, step, len(flying), most)
			}
			if len(flying) < most && len(waiting) > 0 {
				t.Fatalf("seed %d, step %d: %d wait and %d of %d are in flight", seed, step, len(waiting), len(flying), most)
			}
		}
	}
}

// A slot is no use to a bucket that is held; it goes to another.
func TestSlotGoesPastABucketThatIsHeld(t *testing.T) {
	g := pace.New(pace.Config{MaxInFlight: 2})
	groups := pace.Key{Host: users.Host, Bucket: "/api/v1/groups"}
	send(t, g, users, epoch, free)
	send(t, g, groups, epoch, free)
	a, b := enter(g, epoch, users), enter(g, epoch, users)
	goes(t, a, epoch)
	goes(t, b, epoch)
	first, second := enter(g, epoch, users), enter(g, epoch, groups)
	waits(t, first, epoch, pace.Slot, time.Second, time.Second)
	waits(t, second, epoch, pace.Slot, time.Second, time.Second)
	a.Done(epoch, refuses(100, 0, time.Minute))
	if !told(first) {
		t.Fatal("the first was not told")
	}
	waits(t, first, epoch, pace.Held, time.Minute, time.Minute+gap)
	if !told(second) {
		t.Fatal("the second was not told that the first could not go")
	}
	goes(t, second, epoch)
}

func TestBucketsThatLeftTheLineForSlotsAreForgotten(t *testing.T) {
	g := pace.New(pace.Config{MaxInFlight: 1})
	hung := enter(g, epoch, users)
	goes(t, hung, epoch)
	for i := range 100_000 {
		ticket := enter(g, after(time.Duration(i)*time.Millisecond), pace.Key{Host: users.Host, Bucket: strconv.Itoa(i)})
		if wait, _ := ticket.Ready(after(time.Duration(i) * time.Millisecond)); wait == 0 {
			t.Fatal("it went beside the one that hangs")
		}
		ticket.Leave(after(time.Duration(i) * time.Millisecond))
	}
	last := enter(g, after(time.Hour), pace.Key{Host: users.Host, Bucket: "last"})
	waits(t, last, after(time.Hour), pace.Slot, time.Second, time.Second)
	hung.Done(after(time.Hour), free)
	if !told(last) {
		t.Error("the only one that waits was not told")
	}
}

func TestCeilingOfABucket(t *testing.T) {
	groups := pace.Key{Host: users.Host, Bucket: "/api/v1/groups"}
	rates := func(perSecond float64) pace.Config {
		return pace.Config{MaxRate: 10, Burst: 1, BucketRates: map[string]float64{users.Bucket: perSecond}}
	}
	g := pace.New(rates(1))
	now := epoch
	send(t, g, users, now, free)
	now = now.Add(100*time.Millisecond + 1)
	ticket := enter(g, now, users)
	waits(t, ticket, now, pace.Ceiling, 890*time.Millisecond, 900*time.Millisecond)
	send(t, g, groups, now, free) // which only the host's ceiling bounds
	waiting := enter(g, now, groups)
	waits(t, waiting, now, pace.Ceiling, 99*time.Millisecond, 101*time.Millisecond)
	waiting.Leave(now)

	// All credentials count together; another host doesn't.
	now = after(2 * time.Second)
	goes(t, ticket, now)
	now = now.Add(200 * time.Millisecond)
	same := users
	same.Credential++
	waits(t, enter(g, now, same), now, pace.Ceiling, 790*time.Millisecond, 801*time.Millisecond)
	other := users
	other.Host = "other.okta.com"
	goes(t, enter(g, now, other), now)

	next := enter(g, now, users)
	waits(t, next, now, pace.Ceiling, 790*time.Millisecond, 801*time.Millisecond)
	g.Configure(rates(1)) // no change
	if told(next) {
		t.Error("woken for nothing")
	}
	g.Configure(rates(100))
	if !told(next) {
		t.Error("not woken by a new ceiling")
	}
	goes(t, next, now)
	g.Configure(pace.Config{})
	for range 100 {
		goes(t, enter(g, now, groups), now)
	}
}

// A tiny rate once overflowed into no wait at all.
func TestTinyCeilingMakesALongWait(t *testing.T) {
	for _, most := range []float64{math.SmallestNonzeroFloat64, 1e-300, 1e-9} {
		g := pace.New(pace.Config{MaxRate: most, Burst: 1})
		send(t, g, users, epoch, free)
		waits(t, enter(g, epoch, users), epoch, pace.Ceiling, time.Hour, math.MaxInt64)
		waits(t, enter(g, epoch, users), epoch, pace.Ceiling, time.Hour, math.MaxInt64)
	}
}

// A line of n calls that nobody leaves, and how long the last is told to wait.
func estimate(t *testing.T, g *pace.Governor, now time.Time, n int) time.Duration {
	t.Helper()
	for {
		ticket := enter(g, now, users)
		wait, _ := ticket.Ready(now)
		if n--; n == 0 {
			return wait
		}
	}
}

func TestEstimateSeesSeveralWindowsAhead(t *testing.T) {
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
			g := known(t, pace.Config{}, says(100, 0, 0)) // a minute's window follows
			now := state(t, g, epoch, users).Reset
			send(t, g, users, now, says(100, 0, time.Minute))
			if wait := estimate(t, g, now, tt.line); wait < tt.from-50*time.Millisecond || wait > tt.to {
				t.Errorf("%s, want %s to %s", wait, tt.from, tt.to)
			}
		})
	}
}

// A call must not be refused that could have gone, so an estimate is never
// longer than the wait turns out to be.
func TestEstimateErrsOnTheShortSide(t *testing.T) {
	t.Run("length unknown", func(t *testing.T) {
		// Known from its last ten seconds: that the windows last a minute is
		// not.
		g := known(t, pace.Config{}, says(100, 0, 10*time.Second))
		if wait := estimate(t, g, epoch, 250); wait > 30*time.Second+second {
			t.Errorf("%s, want 30s at most", wait)
		}
	})
	t.Run("idle windows", func(t *testing.T) {
		g := known(t, pace.Config{}, says(100, 99, 10*time.Second))
		send(t, g, users, after(10*time.Minute), says(100, 0, 10*time.Minute+10*time.Second))
		if wait := estimate(t, g, after(10*time.Minute), 250); wait > 30*time.Second+second {
			t.Errorf("%s, want 30s at most", wait)
		}
	})
	t.Run("windows that became shorter", func(t *testing.T) {
		g := known(t, pace.Config{}, says(100, 0, time.Minute))
		send(t, g, users, after(61*time.Second), says(100, 0, 70*time.Second))
		send(t, g, users, after(71*time.Second), says(100, 0, 80*time.Second))
		if wait := estimate(t, g, after(71*time.Second), 250); wait > 30*time.Second+second {
			t.Errorf("%s, want 30s at most", wait)
		}
	})
	t.Run("a burst under the ceiling", func(t *testing.T) {
		g := known(t, pace.Config{}, refuses(100, 0, time.Second))
		g.Configure(pace.Config{MaxRate: 1, Burst: 100})
		if wait := estimate(t, g, epoch, 90); wait > 2*time.Second {
			t.Errorf("%s, want about a second: the ceiling has room for all", wait)
		}
		if wait := estimate(t, g, epoch, 60); wait < 45*time.Second || wait > 51*time.Second {
			t.Errorf("%s, want about 50 s for 150 calls", wait)
		}
	})
	t.Run("those that left", func(t *testing.T) {
		g := known(t, pace.Config{}, says(100, 0, time.Minute))
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
		if wait := estimate(t, g, epoch, 1); wait > time.Minute+second {
			t.Errorf("%s with one call ahead, want a minute", wait)
		}
	})
	t.Run("steps of an earlier line", func(t *testing.T) {
		g := pace.New(pace.Config{MaxInFlight: 1})
		hold(t, g, users, epoch, after(time.Second)) // one waits, so steps are long
		lone := enter(g, epoch, users)
		lone.Ready(epoch)
		goes(t, lone, after(2*time.Second))
		if wait := estimate(t, g, after(10*time.Second), 1000); wait > time.Second {
			t.Errorf("%s, want no more than is certain", wait)
		}
	})
}

func TestNapIsTheWaitForTheFirstAndLongerForTheRest(t *testing.T) {
	g := pace.New(pace.Config{MaxInFlight: 1})
	goes(t, enter(g, epoch, users), epoch)
	first, second := enter(g, epoch, users), enter(g, epoch, users)
	wait := waits(t, first, epoch, pace.Slot, time.Second, time.Second)
	if nap := first.Nap(wait); nap != wait {
		t.Errorf("the first sleeps for %s, want %s", nap, wait)
	}
	wait = waits(t, second, epoch, pace.Slot, 1, time.Second)
	if nap := second.Nap(wait); nap < time.Second {
		t.Errorf("the second sleeps for %s; it is told when it's the first", nap)
	}
	first.Leave(epoch)
	if !told(second) {
		t.Error("it was not told")
	}
}
