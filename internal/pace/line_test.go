// This file tests the order in which waiting calls are sent, and how a call leaves
// the line.

package pace_test

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/internal/pace"
)

// runLine lets the tickets ask when they are to, in explicit time, and returns the
// order in which they were sent and when.
func runLine(t *testing.T, tickets []*pace.Ticket, now time.Time) (order []int, times []time.Time) {
	t.Helper()
	next := make([]time.Time, len(tickets))
	for i := range tickets {
		next[i] = now
	}
	left := len(tickets)
	for asked := 0; left > 0; asked++ {
		if asked > 1000*len(tickets) {
			t.Fatalf("%d of %d calls still wait after asking %d times", left, len(tickets), asked)
		}
		first := -1
		for i, ticket := range tickets {
			if ticket == nil {
				continue
			}
			if woken(ticket) {
				next[i] = now
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
			tickets[first].Done(now, noLimits)
			tickets[first] = nil
			left--
			continue
		}
		next[first] = now.Add(wait)
	}
	return order, times
}

func TestWaitingCallsAreSentInOrderAndSpread(t *testing.T) {
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
			order, times := runLine(t, tickets, epoch)
			for i, call := range order {
				if call != i {
					t.Fatalf("call %d was sent in position %d", call, i)
				}
			}
			distinct := map[time.Time]bool{}
			for _, at := range times {
				distinct[at] = true
			}
			switch last := times[n-1].Sub(after(time.Minute)); {
			case times[0].Before(after(time.Minute)):
				t.Error("the first was sent early")
			case last > 250*time.Millisecond+gap:
				t.Errorf("the last was sent %s after the reset", last)
			case len(distinct) < n*9/10:
				t.Errorf("%d calls were sent at %d different times", n, len(distinct))
			}
			if s := state(t, g, times[n-1], users); s.Waiting != 0 || s.InFlight != 0 {
				t.Errorf("state %+v", s)
			}
		})
	}
}

func TestLineIsOrderedByPriorityThenByReturn(t *testing.T) {
	g := pace.New(pace.Config{})
	hold(t, g, users, epoch, after(time.Minute))
	var tickets []*pace.Ticket
	for _, call := range []struct {
		priority  pace.Priority
		returning bool
	}{
		{pace.Background, false}, {pace.Interactive, false}, {pace.Background, true}, {pace.Interactive, true},
		{pace.Background, false}, {pace.Interactive, false}, {pace.Background, true}, {pace.Interactive, true},
	} {
		ticket := new(pace.Ticket)
		g.Enter(ticket, epoch, users, pace.Call{Priority: call.priority, Returning: call.returning}, new(pace.Hint))
		ticket.Ready(epoch)
		tickets = append(tickets, ticket)
	}
	order, _ := runLine(t, tickets, epoch)
	if got, want := fmt.Sprint(order), "[3 7 1 5 2 6 0 4]"; got != want {
		t.Errorf("they were sent in the order %s, want %s", got, want)
	}
}

func TestNewcomerDoesNotOvertakeTheLineOfItsPriority(t *testing.T) {
	g := pace.New(pace.Config{})
	hold(t, g, users, epoch, after(time.Minute))
	first := enter(g, epoch, users)
	first.Ready(epoch)
	late := enter(g, after(time.Minute+time.Second), users)
	mustWait(t, late, after(time.Minute+time.Second), pace.Held, 1, 20*time.Millisecond)
	mustGo(t, first, after(time.Minute+time.Second))
	if !woken(late) {
		t.Error("the next of the line was not woken")
	}
}

func TestLeaveEndsACallInEveryState(t *testing.T) {
	g := pace.New(pace.Config{})
	new(pace.Ticket).Leave(epoch)
	entered := enter(g, epoch, users)
	entered.Leave(epoch)
	entered.Leave(epoch)
	sent := enter(g, epoch, users)
	mustGo(t, sent, epoch)
	sent.Leave(epoch)
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
	if !woken(line[2]) {
		t.Error("the new first of the line was not woken")
	}
	mustWait(t, line[2], epoch, pace.Held, time.Minute, time.Minute+gap)
	order, _ := runLine(t, line[2:4], epoch)
	if fmt.Sprint(order) != "[0 1]" {
		t.Errorf("they were sent in the order %v", order)
	}
}

func TestOnlyTheFirstOfTheLineNapsForItsWait(t *testing.T) {
	g := pace.New(pace.Config{MaxInFlight: 1})
	mustGo(t, enter(g, epoch, users), epoch)
	first, second := enter(g, epoch, users), enter(g, epoch, users)
	wait := mustWait(t, first, epoch, pace.Slot, time.Second, time.Second)
	if nap := first.Nap(wait); nap != wait {
		t.Errorf("the first sleeps for %s, want %s", nap, wait)
	}
	wait = mustWait(t, second, epoch, pace.Slot, 1, time.Second)
	if nap := second.Nap(wait); nap < time.Second {
		t.Errorf("the second sleeps for %s, want a second at least: it is woken when it is the first", nap)
	}
	first.Leave(epoch)
	if !woken(second) {
		t.Error("it was not woken")
	}
}
