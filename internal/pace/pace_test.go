package pace_test

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/internal/pace"
)

// epoch is when the tests' explicit time begins.
var epoch = time.Unix(1_700_000_000, 0)

func after(d time.Duration) time.Time { return epoch.Add(d) }

// gap is the most that spreads one waiter from the reset, or from another.
const gap = 10 * time.Millisecond

var users = pace.Key{Host: "example.okta.com", Credential: 1, Bucket: "GET /api/v1/users/{id}"}

// free is an answer that says nothing of limits.
var free = pace.Seen{Limit: -1, Remaining: -1, Answered: true}

// says is an answer with limits; reset is in so long by the server's clock,
// which the tests have in step with theirs unless they say otherwise.
func says(limit, remaining int, reset time.Duration) pace.Seen {
	return pace.Seen{Limit: limit, Remaining: remaining, Reset: after(reset).Unix(), Answered: true}
}

// refuses is a 429 that closes the bucket until its reset.
func refuses(limit, remaining int, reset time.Duration) pace.Seen {
	s := says(limit, remaining, reset)
	s.Refused, s.Hold = true, after(reset)
	return s
}

// crowded is a 429 of the concurrency limit.
var crowded = pace.Seen{Refused: true, Slots: true, Answered: true}

func enter(g *pace.Governor, now time.Time, k pace.Key) *pace.Ticket {
	t := new(pace.Ticket)
	g.Enter(t, now, k, pace.Interactive, false, new(pace.Hint))
	return t
}

// send lets a call of k go and be answered at once.
func send(t *testing.T, g *pace.Governor, k pace.Key, now time.Time, s pace.Seen) {
	t.Helper()
	ticket := enter(g, now, k)
	goes(t, ticket, now)
	ticket.Done(now, s)
}

// hold closes a bucket until a time, by a call that was refused.
func hold(t *testing.T, g *pace.Governor, k pace.Key, now, until time.Time) {
	t.Helper()
	send(t, g, k, now, pace.Seen{Limit: -1, Remaining: -1, Hold: until, Answered: true, Refused: true})
}

// clockOf tells the governor the time of k's host, as if its answers had come
// in no time, at all odd moments.
func clockOf(t *testing.T, g *pace.Governor, k pace.Key, s server) {
	t.Helper()
	ticket := enter(g, epoch, k)
	for i := range 1000 {
		at := epoch.Add(time.Duration(i-1000) * time.Millisecond)
		ticket.Observe(at, at, s.date(at))
	}
	ticket.Leave(epoch)
}

// told reports whether a call was told to ask again.
func told(ticket *pace.Ticket) bool {
	select {
	case <-ticket.Wake():
		return true
	default:
		return false
	}
}

func goes(t *testing.T, ticket *pace.Ticket, now time.Time) {
	t.Helper()
	if wait, why := ticket.Ready(now); wait != 0 || why != pace.NoReason {
		t.Fatalf("at %s: has to wait for %s because of %d, want to go", now.Sub(epoch), wait, why)
	}
}

// waits checks that a call has to wait, and for how long.
func waits(t *testing.T, ticket *pace.Ticket, now time.Time, why pace.Reason, from, to time.Duration) time.Duration {
	t.Helper()
	wait, reason := ticket.Ready(now)
	if wait < from || wait > to || wait == 0 || reason != why {
		t.Fatalf("at %s: wait of %s because of %d, want %s to %s because of %d", now.Sub(epoch), wait, reason, from, to, why)
	}
	return wait
}

// state returns how a bucket stands.
func state(t *testing.T, g *pace.Governor, now time.Time, k pace.Key) pace.State {
	t.Helper()
	for _, s := range g.States(now) {
		if s.Key == k {
			return s
		}
	}
	t.Fatalf("there is no bucket %v", k)
	return pace.State{}
}

func TestBucketWithoutLimitsLetsEverybodyGo(t *testing.T) {
	g := pace.New(pace.Config{})
	send(t, g, users, epoch, free)
	for range 100 {
		goes(t, enter(g, epoch, users), epoch)
	}
	if s := state(t, g, epoch, users); s.InFlight != 100 || s.Waiting != 0 || s.Limit != -1 || s.Remaining != -1 {
		t.Errorf("state %+v", s)
	}
}

func TestHeldBucketLetsNobodyGoBefore(t *testing.T) {
	g := pace.New(pace.Config{})
	hold(t, g, users, epoch, after(time.Minute))
	ticket := enter(g, after(time.Second), users)
	wait := waits(t, ticket, after(time.Second), pace.Held, 59*time.Second, 59*time.Second+gap)
	waits(t, ticket, after(time.Second+wait-1), pace.Held, 1, 1)
	goes(t, ticket, after(time.Second+wait))
}

func TestHoldOfOneBucketLeavesOthersAlone(t *testing.T) {
	g := pace.New(pace.Config{})
	hold(t, g, users, epoch, after(time.Minute))
	for _, k := range []pace.Key{
		{Host: "other.okta.com", Credential: 1, Bucket: users.Bucket},
		{Host: users.Host, Credential: 2, Bucket: users.Bucket},
		{Host: users.Host, Credential: 1, Bucket: "/api/v1/groups"},
	} {
		goes(t, enter(g, epoch, k), epoch)
	}
}

func TestHoldIsExtendedNeverShortened(t *testing.T) {
	g := pace.New(pace.Config{})
	a, b, c := enter(g, epoch, users), enter(g, epoch, users), enter(g, epoch, users)
	goes(t, a, epoch)
	goes(t, b, epoch)
	goes(t, c, epoch)
	a.Done(epoch, pace.Seen{Hold: after(time.Minute)})
	waiting := enter(g, epoch, users)
	waits(t, waiting, epoch, pace.Held, time.Minute, time.Minute+gap)
	b.Done(epoch, pace.Seen{Hold: after(time.Second)})
	waits(t, waiting, epoch, pace.Held, time.Minute, time.Minute+gap)
	c.Done(epoch, pace.Seen{Hold: after(2 * time.Minute)})
	select {
	case <-waiting.Wake():
	default:
		t.Error("a longer hold did not wake the waiting call, which has to judge it anew")
	}
	waits(t, waiting, epoch, pace.Held, 2*time.Minute, 2*time.Minute+gap)
}

// run lets the tickets ask as they are told to, in virtual time, and returns
// when each went.
func run(t *testing.T, tickets []*pace.Ticket, now time.Time) (order []int, times []time.Time) {
	t.Helper()
	next := make([]time.Time, len(tickets))
	for i := range tickets {
		next[i] = now
	}
	left := len(tickets)
	for asked := 0; left > 0; asked++ {
		if asked > 1000*len(tickets) {
			t.Fatalf("%d of %d calls still wait after %d questions", left, len(tickets), asked)
		}
		first := -1
		for i, ticket := range tickets {
			if ticket == nil {
				continue
			}
			select {
			case <-ticket.Wake():
				next[i] = now
			default:
			}
			if first < 0 || next[i].Before(next[first]) {
				first = i
			}
		}
		if next[first].After(now) {
			now = next[first]
		}
		wait, _ := tickets[first].Ready(now)
		if wait == 0 {
			order, times = append(order, first), append(times, now)
			tickets[first].Done(now, free)
			tickets[first] = nil
			left--
			continue
		}
		next[first] = now.Add(wait)
	}
	return order, times
}

func TestWaitersGoFirstComeFirstServedAndSpread(t *testing.T) {
	for _, n := range []int{1, 2, 100, 1000} {
		t.Run(strconv.Itoa(n), func(t *testing.T) {
			g := pace.New(pace.Config{})
			hold(t, g, users, epoch, after(time.Minute))
			tickets := make([]*pace.Ticket, n)
			for i := range tickets {
				tickets[i] = enter(g, epoch, users)
				tickets[i].Ready(epoch)
			}
			if s := state(t, g, epoch, users); s.Waiting != n {
				t.Fatalf("%d wait, want %d", s.Waiting, n)
			}
			order, times := run(t, tickets, epoch)
			for i, who := range order {
				if who != i {
					t.Fatalf("call %d went in place %d", who, i)
				}
			}
			distinct := map[time.Time]bool{}
			for _, at := range times {
				distinct[at] = true
			}
			switch last := times[n-1].Sub(after(time.Minute)); {
			case times[0].Before(after(time.Minute)):
				t.Error("the first went early")
			case last > 250*time.Millisecond+gap:
				t.Errorf("the last went %s after the reset", last)
			case len(distinct) < n*9/10:
				t.Errorf("%d calls went at %d different times", n, len(distinct))
			}
			if s := state(t, g, times[n-1], users); s.Waiting != 0 || s.InFlight != 0 {
				t.Errorf("state %+v", s)
			}
		})
	}
}

func TestLinesOrderIsByPriorityThenByReturn(t *testing.T) {
	g := pace.New(pace.Config{})
	hold(t, g, users, epoch, after(time.Minute))
	var tickets []*pace.Ticket
	for _, who := range []struct {
		priority  pace.Priority
		returning bool
	}{
		{pace.Background, false}, {pace.Interactive, false}, {pace.Background, true}, {pace.Interactive, true},
		{pace.Background, false}, {pace.Interactive, false}, {pace.Background, true}, {pace.Interactive, true},
	} {
		ticket := new(pace.Ticket)
		g.Enter(ticket, epoch, users, who.priority, who.returning, new(pace.Hint))
		ticket.Ready(epoch)
		tickets = append(tickets, ticket)
	}
	order, _ := run(t, tickets, epoch)
	if got, want := fmt.Sprint(order), "[3 7 1 5 2 6 0 4]"; got != want {
		t.Errorf("they went in the order %s, want %s", got, want)
	}
}

func TestNewcomerDoesNotOvertakeTheLineOfItsPriority(t *testing.T) {
	g := pace.New(pace.Config{})
	hold(t, g, users, epoch, after(time.Minute))
	first := enter(g, epoch, users)
	first.Ready(epoch)
	late := enter(g, after(time.Minute+time.Second), users)
	waits(t, late, after(time.Minute+time.Second), pace.Held, 1, 20*time.Millisecond)
	goes(t, first, after(time.Minute+time.Second))
	select {
	case <-late.Wake():
	default:
		t.Error("the next of the line was not woken")
	}
}

func TestMaxRateIsReached(t *testing.T) {
	for _, burst := range []int{1, 5} {
		g := pace.New(pace.Config{MaxRate: 20, Burst: burst})
		tickets := make([]*pace.Ticket, 200)
		for i := range tickets {
			tickets[i] = enter(g, epoch, users)
		}
		_, times := run(t, tickets, epoch)
		want := time.Duration(200-burst) * 50 * time.Millisecond
		if took := times[199].Sub(times[0]); took < want-50*time.Millisecond || took > want+50*time.Millisecond {
			t.Errorf("200 calls at 20 a second in bursts of %d took %s, want %s", burst, took, want)
		}
	}
}

func TestCeilingIsSharedByTheBucketsOfAHost(t *testing.T) {
	g := pace.New(pace.Config{MaxRate: 1, Burst: 1})
	groups := pace.Key{Host: users.Host, Credential: 7, Bucket: "/api/v1/groups"}
	goes(t, enter(g, epoch, users), epoch)
	ticket := enter(g, epoch, groups)
	wait := waits(t, ticket, epoch, pace.Ceiling, time.Second, time.Second+time.Millisecond)
	goes(t, enter(g, epoch, pace.Key{Host: "other.okta.com"}), epoch)
	goes(t, ticket, epoch.Add(wait))
}

func TestConfigureReachesWhoWaits(t *testing.T) {
	g := pace.New(pace.Config{MaxRate: 0.01, Burst: 1})
	send(t, g, users, epoch, free)
	ticket := enter(g, epoch, users)
	waits(t, ticket, epoch, pace.Ceiling, 99*time.Second, 101*time.Second)

	g.Configure(pace.Config{MaxRate: 0.01, Burst: 1}) // no change
	select {
	case <-ticket.Wake():
		t.Error("woken for nothing")
	default:
	}
	g.Configure(pace.Config{})
	select {
	case <-ticket.Wake():
	default:
		t.Error("not woken by a new configuration")
	}
	goes(t, ticket, epoch)

	g.Configure(pace.Config{MaxRate: 1, Burst: 1})
	send(t, g, users, epoch, free)
	waits(t, enter(g, epoch, users), epoch, pace.Ceiling, time.Second, time.Second+time.Millisecond)
	send(t, g, pace.Key{Host: "new.okta.com"}, epoch, free)
	waits(t, enter(g, epoch, pace.Key{Host: "new.okta.com"}), epoch, pace.Ceiling, time.Second, time.Second+time.Millisecond)
}

func TestDoneTellsWhatWasSeenOnceAndOnlyWhatWasSaid(t *testing.T) {
	g := pace.New(pace.Config{})
	a, b := enter(g, epoch, users), enter(g, epoch, users)
	goes(t, a, epoch)
	goes(t, b, epoch)
	a.Done(epoch, says(600, 0, 30*time.Second))
	a.Done(epoch, says(1, 1, 30*time.Second)) // does nothing
	a.Leave(epoch)                            // nor does this
	if s := state(t, g, epoch, users); s.Limit != 600 || s.Remaining != 0 || !s.Reset.Equal(after(30*time.Second)) || s.InFlight != 1 {
		t.Errorf("state %+v", s)
	}
	b.Done(epoch, free)
	if s := state(t, g, epoch, users); s.Limit != 600 || s.Remaining != 0 || !s.Reset.Equal(after(30*time.Second)) || s.InFlight != 0 {
		t.Errorf("state %+v", s)
	}
}

func TestLeaveCountsInEveryState(t *testing.T) {
	g := pace.New(pace.Config{})
	new(pace.Ticket).Leave(epoch)
	entered := enter(g, epoch, users)
	entered.Leave(epoch)
	entered.Leave(epoch)
	flying := enter(g, epoch, users)
	goes(t, flying, epoch)
	flying.Leave(epoch)
	if s := state(t, g, epoch, users); s.InFlight != 0 || s.Waiting != 0 {
		t.Errorf("state %+v", s)
	}

	hold(t, g, users, epoch, after(time.Minute))
	var line []*pace.Ticket
	for range 5 {
		ticket := enter(g, epoch, users)
		ticket.Ready(epoch)
		line = append(line, ticket)
	}
	line[1].Leave(epoch) // from the middle
	line[4].Leave(epoch) // from the end
	line[0].Leave(epoch) // from the front
	if s := state(t, g, epoch, users); s.Waiting != 2 {
		t.Errorf("%d wait, want 2", s.Waiting)
	}
	select {
	case <-line[2].Wake():
	default:
		t.Error("the new first of the line was not woken")
	}
	waits(t, line[2], epoch, pace.Held, time.Minute, time.Minute+gap)
	order, _ := run(t, line[2:4], epoch)
	if fmt.Sprint(order) != "[0 1]" {
		t.Errorf("they went in the order %v", order)
	}
}

func TestTicketCanBeUsedAgain(t *testing.T) {
	g := pace.New(pace.Config{})
	var ticket pace.Ticket
	for range 3 {
		g.Enter(&ticket, epoch, users, pace.Interactive, false, new(pace.Hint))
		goes(t, &ticket, epoch)
		ticket.Done(epoch, free)
	}
	if s := state(t, g, epoch, users); s.InFlight != 0 {
		t.Errorf("%d in flight", s.InFlight)
	}
}

func TestStatesTellOfAHoldOnlyWhileItLasts(t *testing.T) {
	g := pace.New(pace.Config{})
	hold(t, g, users, epoch, after(time.Minute))
	if s := state(t, g, epoch, users); s.HeldUntil.Before(after(time.Minute)) || s.HeldUntil.After(after(time.Minute+gap)) {
		t.Errorf("held until %s", s.HeldUntil)
	}
	if s := state(t, g, after(time.Minute+gap), users); !s.HeldUntil.IsZero() {
		t.Errorf("still held until %s", s.HeldUntil)
	}
}

func TestClockGoingBackwardsHoldsNobodyForEver(t *testing.T) {
	g := pace.New(pace.Config{MaxRate: 10, Burst: 1})
	hold(t, g, users, after(time.Hour), after(time.Hour+time.Second))
	ticket := enter(g, epoch, users)
	waits(t, ticket, epoch, pace.Held, time.Hour+time.Second, time.Hour+time.Second+gap) // as Okta said
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
