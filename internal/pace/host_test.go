// This file tests the limit of calls in flight that the buckets of a host share,
// and the line in which they wait for a slot.

package pace_test

import (
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/internal/pace"
)

func TestSlotRefusalsLowerTheLimit(t *testing.T) {
	g := pace.New(pace.Config{})
	learnNoLimits(t, g, users)
	tickets := sendMany(t, g, epoch, 100)
	for _, ticket := range tickets[:25] {
		ticket.Done(epoch, slotRefusal)
	}
	next := enter(g, epoch, users)
	mustWait(t, next, epoch, pace.Slot, time.Second, time.Second) // 75 are in flight
	if s := state(t, g, epoch, users); s.InFlight != 75 || s.Limit != -1 || !s.HeldUntil.IsZero() {
		t.Errorf("state %+v, want the bucket's limits untouched", s)
	}
	for i, ticket := range tickets[25:] {
		ticket.Done(epoch, noLimits)
		if !woken(next) {
			t.Fatal("the next was not woken by an answer")
		}
		if wait, _ := next.Ready(epoch); wait == 0 {
			if n := 74 - i; n > 74 || n < 65 {
				t.Errorf("the next was sent with %d in flight, want about 71", n)
			}
			return
		}
	}
	t.Error("the next was never sent")
}

// Up to the number that was refused last, the limit grows within a few round trips;
// beyond it only after a second.
func TestLimitGrowsBackToWhatWasRefused(t *testing.T) {
	g := pace.New(pace.Config{})
	learnNoLimits(t, g, users)
	tickets := sendMany(t, g, epoch, 101)
	tickets[0].Done(epoch, slotRefusal) // with 101 in flight: from now on 95
	inFlight := tickets[1:]
	for range 400 { // one call ends, and others are sent while they can
		inFlight[0].Done(epoch, noLimits)
		inFlight = inFlight[1:]
		for {
			next := enter(g, epoch, users)
			if wait, _ := next.Ready(epoch); wait > 0 {
				next.Leave(epoch)
				break
			}
			inFlight = append(inFlight, next)
		}
	}
	if n := len(inFlight); n != 100 {
		t.Errorf("%d are in flight four round trips after 101 were too many, want 100", n)
	}
}

// The call that is refused need not be the last that was sent: those after it may
// have been accepted.
func TestSlotRefusalOfAnOvertakenCallLowersTheLimitLittle(t *testing.T) {
	g := pace.New(pace.Config{})
	learnNoLimits(t, g, users)
	tickets := sendMany(t, g, epoch, 80)
	tickets[3].Done(epoch, slotRefusal)
	mustWait(t, enter(g, epoch, users), epoch, pace.Slot, time.Second, time.Second)
	for _, ticket := range tickets[4:9] {
		ticket.Done(epoch, noLimits)
	}
	n := 0
	for ; n < 100; n++ {
		if wait, _ := enter(g, epoch, users).Ready(epoch); wait > 0 {
			break
		}
	}
	if n > 3 {
		t.Errorf("%d were sent with 74 in flight, want 76 in flight at most", n)
	}
}

func TestHostsShareNoSlots(t *testing.T) {
	g := pace.New(pace.Config{MaxInFlight: 1})
	mustGo(t, enter(g, epoch, users), epoch)
	mustWait(t, enter(g, epoch, pace.Key{Host: users.Host, Credential: 2}), epoch, pace.Slot, time.Second, time.Second)
	mustGo(t, enter(g, epoch, pace.Key{Host: "other.okta.com"}), epoch)
}

func TestOneSlotIsAlwaysLeft(t *testing.T) {
	g := pace.New(pace.Config{})
	for range 100 {
		send(t, g, users, epoch, slotRefusal)
	}
	mustGo(t, enter(g, epoch, pace.Key{Host: users.Host}), epoch)
}

// A slot's wake-up was once lost when the call that got it had left, or could not
// be sent for another reason: with random ends in random buckets, no call may be
// left waiting while a slot is free.
func TestNoCallWaitsWhileASlotIsFree(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 3))
		most := 1 + random.IntN(5)
		g := pace.New(pace.Config{MaxInFlight: most})
		buckets := 1 + random.IntN(6)
		keys := make([]pace.Key, buckets)
		for i := range keys {
			keys[i] = pace.Key{Host: "h", Bucket: strconv.Itoa(i)}
			learnNoLimits(t, g, keys[i])
		}
		var waiting, sent []*pace.Ticket
		ask := func(ticket *pace.Ticket) bool {
			wait, _ := ticket.Ready(epoch)
			return wait == 0
		}
		settle := func() {
			for again := true; again; {
				again = false
				for i, ticket := range waiting {
					if woken(ticket) {
						again = true
						if ask(ticket) {
							waiting = append(waiting[:i:i], waiting[i+1:]...)
							sent = append(sent, ticket)
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
					sent = append(sent, ticket)
				} else {
					waiting = append(waiting, ticket)
				}
			case n < 6 && len(waiting) > 0:
				drop(&waiting).Leave(epoch) // also one that was woken and has not asked yet
			case n < 9 && len(sent) > 0:
				drop(&sent).Done(epoch, noLimits)
			case len(sent) > 0:
				drop(&sent).Leave(epoch)
			}
			if random.IntN(3) > 0 {
				continue // several things happen before a woken call asks
			}
			settle()
			if len(sent) > most {
				t.Fatalf("seed %d, step %d: %d are in flight, want %d at most", seed, step, len(sent), most)
			}
			if len(sent) < most && len(waiting) > 0 {
				t.Fatalf("seed %d, step %d: %d wait and %d of %d are in flight", seed, step, len(waiting), len(sent), most)
			}
		}
	}
}

func TestSlotSkipsABucketThatIsHeld(t *testing.T) {
	g := pace.New(pace.Config{MaxInFlight: 2})
	groups := pace.Key{Host: users.Host, Bucket: "/api/v1/groups"}
	learnNoLimits(t, g, users)
	send(t, g, groups, epoch, noLimits)
	a, b := enter(g, epoch, users), enter(g, epoch, users)
	mustGo(t, a, epoch)
	mustGo(t, b, epoch)
	first, second := enter(g, epoch, users), enter(g, epoch, groups)
	mustWait(t, first, epoch, pace.Slot, time.Second, time.Second)
	mustWait(t, second, epoch, pace.Slot, time.Second, time.Second)
	a.Done(epoch, refusal(100, 0, time.Minute))
	if !woken(first) {
		t.Fatal("the first was not woken")
	}
	mustWait(t, first, epoch, pace.Held, time.Minute, time.Minute+gap)
	if !woken(second) {
		t.Fatal("the second was not woken for the slot that the first could not use")
	}
	mustGo(t, second, epoch)
}

func TestBucketsThatLeftTheLineForSlotsAreRemoved(t *testing.T) {
	g := pace.New(pace.Config{MaxInFlight: 1})
	hung := enter(g, epoch, users)
	mustGo(t, hung, epoch)
	for i := range 10_000 {
		now := after(time.Duration(i) * time.Millisecond)
		ticket := enter(g, now, pace.Key{Host: users.Host, Bucket: strconv.Itoa(i)})
		mustWait(t, ticket, now, pace.Slot, time.Second, time.Second)
		ticket.Leave(now)
		if n := g.LineForSlots(users.Host); n > 128 {
			t.Fatalf("%d buckets stand in line and none waits", n)
		}
	}
	last := enter(g, after(time.Hour), pace.Key{Host: users.Host, Bucket: "last"})
	mustWait(t, last, after(time.Hour), pace.Slot, time.Second, time.Second)
	hung.Done(after(time.Hour), noLimits)
	if !woken(last) {
		t.Error("the only one that waits was not woken")
	}
}
