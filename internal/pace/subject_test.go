// This file tests calls that wait beside the line because calls of their URL were
// refused: they keep their turn, they are woken, and they wait no longer than they need.

package pace_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/internal/pace"
)

// enterURL puts a call of a URL into the line of the bucket of users.
func enterURL(g *pace.Governor, now time.Time, path string) *pace.Ticket {
	t := new(pace.Ticket)
	g.Enter(t, now, users, pace.Call{URL: &url.URL{Path: path}}, new(pace.Hint))
	return t
}

// refuseOne has a call of a URL refused though its bucket has places left.
func refuseOne(t *testing.T, g *pace.Governor, now time.Time, path string, hold time.Duration) {
	t.Helper()
	ticket := enterURL(g, now, path)
	mustGo(t, ticket, now)
	s := refusal(600, 400, time.Minute)
	s.Hold = now.Add(hold)
	ticket.Done(now, s)
}

// acceptOne has a call of a URL accepted.
func acceptOne(t *testing.T, g *pace.Governor, now time.Time, path string) {
	t.Helper()
	ticket := enterURL(g, now, path)
	mustGo(t, ticket, now)
	ticket.Done(now, limits(600, 400, time.Minute))
}

// oneIsHeld returns a governor that knows that refusals of a bucket concern single URLs,
// and that those of /one are refused for 50 s.
func oneIsHeld(t *testing.T, cfg pace.Config) (g *pace.Governor, now time.Time) {
	t.Helper()
	g = knownBucket(t, cfg, limits(600, 500, time.Minute))
	refuseOne(t, g, epoch, "/one", 50*time.Second)
	acceptOne(t, g, after(second), "/other")
	refuseOne(t, g, after(2*second), "/one", 48*time.Second)
	return g, after(2 * second)
}

// A call once went to the line's end, of minutes, when its turn came in such a moment.
func TestCallBesideTheLineKeepsItsTurn(t *testing.T) {
	g := knownBucket(t, pace.Config{MaxInFlight: 1}, limits(600, 500, time.Minute))
	refused := enterURL(g, epoch, "/one")
	mustGo(t, refused, epoch)
	one := enterURL(g, epoch, "/one")
	others := []*pace.Ticket{enterURL(g, epoch, "/a"), enterURL(g, epoch, "/b"), enterURL(g, epoch, "/c")}
	for _, ticket := range append([]*pace.Ticket{one}, others...) {
		mustWait(t, ticket, epoch, pace.Slot, 1, time.Second)
	}
	refused.Done(epoch, refusal(600, 400, time.Minute))
	mustWait(t, one, epoch, pace.Answers, 1, 250*time.Millisecond)
	if !woken(others[0]) {
		t.Fatal("the next of the line was not woken")
	}
	soon := after(time.Millisecond)
	mustGo(t, others[0], soon)
	mustWait(t, others[1], soon, pace.Answers, 1, time.Second)
	others[0].Done(after(second), limits(600, 399, time.Minute))
	if !woken(one) {
		t.Fatal("not woken when it was found out what the refusal meant")
	}
	mustGo(t, one, after(second))
}

func TestCallThatIsNotTheFirstStaysInLine(t *testing.T) {
	g, now := oneIsHeld(t, pace.Config{MaxInFlight: 1})
	busy, other := enterURL(g, now, "/a"), enterURL(g, now, "/b")
	mustGo(t, busy, now)
	mustWait(t, other, now, pace.Slot, 1, time.Second)
	one := enterURL(g, now, "/one")
	mustWait(t, one, now, pace.Held, 48*time.Second, 48*time.Second)
	late := enterURL(g, now, "/c")
	mustWait(t, late, now, pace.Slot, 1, time.Second)
	other.Leave(now)
	if !woken(one) {
		t.Fatal("not woken as the first of the line")
	}
	mustWait(t, one, now, pace.Held, 48*time.Second, 48*time.Second)
	if !woken(late) {
		t.Error("a call stepped aside without waking the next")
	}
}

func TestCallsBesideTheLineCountAsWaiting(t *testing.T) {
	g, now := oneIsHeld(t, pace.Config{})
	one := enterURL(g, now, "/one")
	mustWait(t, one, now, pace.Held, 48*time.Second, 48*time.Second)
	if s := state(t, g, now, users); s.Waiting != 1 {
		t.Errorf("%d calls wait, want 1", s.Waiting)
	}
	one.Leave(now)
	if s := state(t, g, now, users); s.Waiting != 0 {
		t.Errorf("%d calls wait after the call left, want none", s.Waiting)
	}
}

// Such a call once slept on for up to a minute.
func TestNewSettingsWakeCallsBesideTheLine(t *testing.T) {
	g, now := oneIsHeld(t, pace.Config{})
	one := enterURL(g, now, "/one")
	mustWait(t, one, now, pace.Held, 48*time.Second, 48*time.Second)
	g.Configure(pace.Config{Disabled: true})
	if !woken(one) {
		t.Fatal("not woken")
	}
	mustGo(t, one, now)
}

// The answer of another call may end the doubt at any moment, so a deadline is no reason
// not to wait for it.
func TestDoubtIsNoLongWait(t *testing.T) {
	g := knownBucket(t, pace.Config{}, limits(600, 500, time.Minute))
	refuseOne(t, g, epoch, "/one", time.Minute)
	at := after(300 * time.Millisecond)
	refuseOne(t, g, at, "/one", time.Minute)
	one := enterURL(g, at, "/one")
	wait := mustWait(t, one, at, pace.Answers, 1, 10*time.Millisecond)
	if nap := one.Nap(wait); nap < time.Second {
		t.Errorf("asks again after %s, want seconds in which others find out", nap)
	}
	acceptOne(t, g, at.Add(time.Millisecond), "/other")
	if !woken(one) {
		t.Error("not woken when another's call was accepted")
	}
}

func TestDoubtEndsWithTheTimeThatTheRefusalNamed(t *testing.T) {
	g := knownBucket(t, pace.Config{}, limits(600, 500, time.Minute))
	refuseOne(t, g, epoch, "/one", 100*time.Millisecond)
	one := enterURL(g, epoch, "/one")
	wait := mustWait(t, one, epoch, pace.Answers, 1, time.Second)
	if nap := one.Nap(wait); nap > 100*time.Millisecond {
		t.Errorf("asks again after %s, want 100ms at most", nap)
	}
}

func TestWaitBesideTheLineIsNotForWhatTheLineWaitsFor(t *testing.T) {
	g, now := oneIsHeld(t, pace.Config{MaxInFlight: 1})
	one := enterURL(g, now, "/one")
	mustWait(t, one, now, pace.Held, 48*time.Second, 48*time.Second)
	mark := one.Mark(now, pace.Held)
	busy, other := enterURL(g, now, "/a"), enterURL(g, now, "/b")
	mustGo(t, busy, now)
	mustWait(t, other, now, pace.Slot, 1, time.Second)
	if waited := mark.Until(now.Add(10 * second)); waited[pace.Held] != 10*second || waited[pace.Slot] != 0 {
		t.Errorf("waited %v", waited)
	}
}

func TestCallsBesideTheLineDoNotGoInOneInstant(t *testing.T) {
	g, now := oneIsHeld(t, pace.Config{})
	var tickets []*pace.Ticket
	for range 100 {
		tickets = append(tickets, enterURL(g, now, "/one"))
		mustWait(t, tickets[len(tickets)-1], now, pace.Held, 48*time.Second, 48*time.Second)
	}
	atOnce := 0
	for _, ticket := range tickets {
		if wait, _ := ticket.Ready(after(50 * second)); wait == 0 {
			atOnce++
		}
		mustGo(t, ticket, after(50*second+200*time.Millisecond))
	}
	if atOnce > 20 {
		t.Errorf("%d of 100 calls go in one instant", atOnce)
	}
}

// Who names no URL is told apart by none.
func TestRefusalsWithoutURLsBecomeTheBuckets(t *testing.T) {
	g := knownBucket(t, pace.Config{}, limits(600, 500, time.Minute))
	s := refusal(600, 400, time.Minute)
	send(t, g, users, epoch, s)
	send(t, g, users, after(second), limits(600, 399, time.Minute))
	for i := range 3 {
		send(t, g, users, after(time.Duration(2+i)*second), s)
	}
	mustWait(t, enter(g, after(5*second), users), after(5*second), pace.Held, 50*second, 60*second)
}

// After a hold, those who were refused before it once went first, and closed the bucket
// for another minute.
func TestCallsOfURLsRefusedBeforeFindOutLast(t *testing.T) {
	g := knownBucket(t, pace.Config{}, limits(600, 590, 5*time.Minute))
	for i, path := range []string{"/a", "/b", "/c"} {
		refuseOne(t, g, after(time.Duration(i)*3*second), path, 20*second)
	}
	refuseOne(t, g, after(30*second), "/a", 20*second)
	at := after(31 * second)
	mustWait(t, enterURL(g, at.Add(-900*time.Millisecond), "/b"), at.Add(-900*time.Millisecond), pace.Answers, 1, second)
	acceptOne(t, g, at, "/other")
	mustGo(t, enterURL(g, at, "/b"), at)
}
