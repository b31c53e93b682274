// This file tests the limits of calls in flight in explicit time: how a refusal
// is judged, and whose limit it lowers.

package pace_test

import (
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/internal/pace"
)

var (
	groups = pace.Key{Host: users.Host, Credential: 1, Bucket: "GET /api/v1/groups"}
	apps   = pace.Key{Host: users.Host, Credential: 1, Bucket: "GET /api/v1/apps"}
)

// ample is an answer of a window that no test uses up.
func ample() pace.Seen { return limits(1<<20, 1<<20-1, 30*time.Minute) }

// roomy returns a governor that knows the windows of users, groups and apps to be
// ample.
func roomy(t *testing.T) *pace.Governor {
	t.Helper()
	g := knownBucket(t, pace.Config{}, ample())
	send(t, g, groups, epoch, ample())
	send(t, g, apps, epoch, ample())
	return g
}

// fly sends n calls of k.
func fly(t *testing.T, g *pace.Governor, k pace.Key, now time.Time, n int) []*pace.Ticket {
	t.Helper()
	tickets := make([]*pace.Ticket, n)
	for i := range tickets {
		tickets[i] = enter(g, now, k)
		mustGo(t, tickets[i], now)
	}
	return tickets
}

// end ends calls with an answer.
func end(tickets []*pace.Ticket, now time.Time, answer pace.Seen) {
	for _, ticket := range tickets {
		ticket.Done(now, answer)
	}
}

// overload sends n calls of k and has all refused but those allowed.
func overload(t *testing.T, g *pace.Governor, k pace.Key, now time.Time, n, allowed int) {
	t.Helper()
	tickets := fly(t, g, k, now, n)
	end(tickets[allowed:], now, slotRefusal)
	end(tickets[:allowed], now, ample())
}

// canGo returns how many calls of k go together, up to 1000, and leaves none of
// them in flight.
func canGo(g *pace.Governor, k pace.Key, now time.Time) (n int) {
	for ; n < 1000; n++ {
		ticket := enter(g, now, k)
		defer ticket.Leave(now)
		if wait, _ := ticket.Ready(now); wait > 0 {
			break
		}
	}
	return n
}

// Calls of one wave end in one moment. A refusal among them once was measured by
// how few were left at that moment, and most of the slots were given up.
func TestRefusalWhileOthersEndCostsFewSlots(t *testing.T) {
	g := roomy(t)
	tickets := fly(t, g, users, epoch, 76)
	now := after(50 * time.Millisecond)
	end(tickets[1:60], now, ample())
	tickets[0].Done(now, slotRefusal)
	end(tickets[60:], now, ample())
	if n := canGo(g, users, now); n < 70 || n > 75 {
		t.Errorf("%d go after a refusal of one of 76, want about 72", n)
	}
}

// A refusal can take longer than the calls that were sent with its own.
func TestRefusalIsJudgedByWhatWasInFlightWhenItsCallWasSent(t *testing.T) {
	for _, late := range []time.Duration{15 * time.Millisecond, 300 * time.Millisecond, 3 * time.Second} {
		g := roomy(t)
		tickets := fly(t, g, users, epoch, 76)
		end(tickets[1:], after(10*time.Millisecond), ample())
		one := fly(t, g, users, after(late), 1) // of a later epoch
		tickets[0].Done(after(late), slotRefusal)
		end(one, after(late), ample())
		if n := canGo(g, users, after(late)); n < 70 || n > 75 {
			t.Errorf("%d go after a refusal of one of 76 that took %s, want about 72", n, late)
		}
	}
}

// The calls that were refused themselves are not what the server counted.
func TestManyRefusalsTogetherShowTheLimit(t *testing.T) {
	g := roomy(t)
	tickets := fly(t, g, users, epoch, 200)
	now := after(50 * time.Millisecond)
	for i, ticket := range tickets { // 75 are answered, in between
		if i%8 < 3 {
			ticket.Done(now, ample())
		} else {
			ticket.Done(now, slotRefusal)
		}
	}
	if n := canGo(g, users, now); n < 70 || n > 75 {
		t.Errorf("%d go after 125 of 200 were refused, want about 72", n)
	}
}

// A refusal of an epoch that is over lowers what the present one is judged by.
func TestRefusalOfAnOlderCallDoesNotCountAsInFlightLater(t *testing.T) {
	g := roomy(t)
	tickets := fly(t, g, users, epoch, 100)
	now := after(50 * time.Millisecond)
	tickets[0].Done(now, slotRefusal)
	end(tickets[60:], now, ample())
	later := fly(t, g, users, now, 1) // 60 are in flight
	end(tickets[1:50], now, slotRefusal)
	later[0].Done(now, slotRefusal) // with 10 others
	end(tickets[50:60], now, ample())
	if n := canGo(g, users, now); n != 10 {
		t.Errorf("%d go after a refusal with 10 others in flight, want 10", n)
	}
}

func TestWhatWasInFlightBeforeACallWasSentIsForgotten(t *testing.T) {
	g := roomy(t)
	tickets := fly(t, g, users, epoch, 100)
	end(tickets[:80], after(10*time.Millisecond), ample())
	now := after(1500 * time.Millisecond)
	late := fly(t, g, users, now, 1)
	late[0].Done(now, slotRefusal)
	end(tickets[80:], now, ample())
	if n := canGo(g, users, now); n != 19 {
		t.Errorf("%d go after a refusal with 20 others in flight, want 19", n)
	}
}

// A call that is alone shows a limit of one, whatever went before it.
func TestRefusalOfACallThatWasAloneLeavesOneSlot(t *testing.T) {
	g := roomy(t)
	end(fly(t, g, users, epoch, 100), epoch, ample())
	send(t, g, users, epoch, slotRefusal)
	if n := canGo(g, users, epoch); n != 1 {
		t.Errorf("%d go, want 1", n)
	}
}

func TestRefusalsOfOneBucketShrinkNoOther(t *testing.T) {
	g := roomy(t)
	overload(t, g, users, epoch, 12, 5)
	if n := canGo(g, users, epoch); n != 5 {
		t.Errorf("%d calls of the bucket go, want the 5 that were accepted", n)
	}
	if n := canGo(g, groups, epoch); n != 1000 {
		t.Errorf("%d calls of another bucket go, want any number", n)
	}
}

func TestCallThatWaitsForItsBucketsSlotIsWokenWhenOneIsFree(t *testing.T) {
	for name, ends := range map[string]func(*pace.Ticket){
		"answered": func(ticket *pace.Ticket) { ticket.Done(epoch, ample()) },
		"not sent": func(ticket *pace.Ticket) { ticket.Leave(epoch) },
	} {
		t.Run(name, func(t *testing.T) {
			g := roomy(t)
			overload(t, g, users, epoch, 20, 10)
			flying := fly(t, g, users, epoch, canGo(g, users, epoch))
			next := enter(g, epoch, users)
			mustWait(t, next, epoch, pace.Slot, time.Second, time.Second)
			ends(flying[0])
			if !woken(next) {
				t.Fatal("not woken")
			}
			mustGo(t, next, epoch)
		})
	}
}

// A limit of the host meets every bucket; one of a client at an endpoint does not.
func TestRefusalsOfTwoEndpointsShrinkTheHost(t *testing.T) {
	for _, tt := range []struct {
		name     string
		refuse   func(*testing.T, *pace.Governor) (now time.Time)
		from, to int // how many calls of a third bucket go
	}{
		{"together", func(t *testing.T, g *pace.Governor) time.Time {
			a, b := fly(t, g, users, epoch, 100), fly(t, g, groups, epoch, 100)
			end(a[40:], epoch, slotRefusal)
			end(b[35:], epoch, slotRefusal)
			end(a[:40], epoch, ample())
			end(b[:35], epoch, ample())
			return epoch
		}, 70, 75},
		{"one after the other", func(t *testing.T, g *pace.Governor) time.Time {
			overload(t, g, users, epoch, 50, 10)
			overload(t, g, groups, after(time.Second), 50, 10)
			return after(time.Second)
		}, 9, 10},
		{"long after each other", func(t *testing.T, g *pace.Governor) time.Time {
			overload(t, g, users, epoch, 50, 10)
			overload(t, g, groups, after(2*time.Second), 50, 10)
			return after(2 * time.Second)
		}, 1000, 1000},
		{"of one endpoint only", func(t *testing.T, g *pace.Governor) time.Time {
			other := users
			other.Credential++
			send(t, g, other, epoch, ample())
			overload(t, g, users, epoch, 50, 10)
			overload(t, g, other, epoch, 50, 10)
			return epoch
		}, 1000, 1000},
		{"a while ago", func(t *testing.T, g *pace.Governor) time.Time {
			overload(t, g, users, epoch, 50, 10)
			overload(t, g, groups, epoch, 50, 10)
			return after(10*time.Second + 1)
		}, 1000, 1000},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := roomy(t)
			now := tt.refuse(t, g)
			if n := canGo(g, apps, now); n < tt.from || n > tt.to {
				t.Errorf("%d calls of a third bucket go, want %d to %d", n, tt.from, tt.to)
			}
		})
	}
}

// A bucket whose own limit is known probes it about once a second. What two of
// them meet so says nothing of the host.
func TestRefusalsAtTheBucketsOwnLimitsDoNotShrinkTheHost(t *testing.T) {
	g := roomy(t)
	overload(t, g, users, epoch, 12, 5)
	overload(t, g, groups, after(5*time.Second), 12, 7)
	now := after(10 * time.Second)
	for range 20 {
		for k, allowed := range map[pace.Key]int{users: 5, groups: 7} {
			n := canGo(g, k, now)
			overload(t, g, k, now, n, min(n, allowed))
		}
		now = now.Add(600 * time.Millisecond)
	}
	if n := canGo(g, apps, now); n != 1000 {
		t.Errorf("%d calls of a third bucket go, want any number", n)
	}
	for k, allowed := range map[pace.Key]int{users: 5, groups: 7} {
		if n := canGo(g, k, now); n < allowed-1 || n > allowed+1 {
			t.Errorf("%d calls of %s go, want about %d", n, k.Bucket, allowed)
		}
	}
}

// An epoch that no call in flight refers to is used again.
func TestCallThatIsAloneAllocatesNothingInALaterEpoch(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates, too")
	}
	g := pace.New(pace.Config{})
	learnNoLimits(t, g, users)
	var ticket pace.Ticket
	var hint pace.Hint
	now := epoch
	n := testing.AllocsPerRun(100, func() {
		now = now.Add(2 * time.Second)
		g.Enter(&ticket, now, users, pace.Call{}, &hint)
		ticket.Ready(now)
		ticket.Done(now, noLimits)
	})
	if n > 0 {
		t.Errorf("%g allocations, want none", n)
	}
}
