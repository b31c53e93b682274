package pace_test

// This file tests what a bucket tells the store, in explicit time.

import (
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/internal/pace"
	"github.com/oktaretry/oktaretry/shared"
)

// sharing returns a governor with a store.
func sharing() (*pace.Governor, *pace.StoreHealth) {
	g, f := pace.New(pace.Config{}), new(pace.StoreHealth)
	g.Share(f, "p.")
	return g, f
}

// asks lets a ticket come to the point where it asks the store.
func asks(t *testing.T, ticket *pace.Ticket, now time.Time) *pace.StoreRequest {
	t.Helper()
	if _, why := ticket.Ready(now); why != pace.Ask {
		t.Fatalf("it waits for reason %d, want to ask", why)
	}
	e := ticket.StoreRequest(now)
	if e == nil {
		t.Fatal("nothing to ask")
	}
	return e
}

// lease lets calls of a known window go with a place each.
func lease(t *testing.T, g *pace.Governor, now time.Time, places int, s pace.Seen) {
	t.Helper()
	ticket := enter(g, now, users)
	e := asks(t, ticket, now)
	e.Answered(now, shared.Lease{
		Places: places, Lasts: time.Second, Sharers: 1,
		Window: shared.Window{ID: s.Reset, Limit: s.Limit, Remaining: s.Remaining, Ends: time.Minute},
	})
	goes(t, ticket, now)
	ticket.Done(now, s)
}

func TestCallsWithoutAPlaceAreTold(t *testing.T) {
	g, f := sharing()
	lease(t, g, epoch, 1, says(600, 599, time.Minute))
	lost := enter(g, after(2*time.Second), users)
	e := asks(t, lost, after(2*time.Second))
	e.Failed()
	if !f.Failed(e.Permit, after(2*time.Second)) {
		t.Error("that the store is lost is no news")
	}
	goes(t, lost, after(2*time.Second))
	lost.Done(after(2*time.Second), says(600, 598, time.Minute))
	for i := range 3 {
		send(t, g, users, after(2*time.Second+time.Millisecond), says(600, 597-i, time.Minute))
	}
	for i, want := range []int{5, 6} { // the first visit fails
		now := after(time.Duration(3+i) * time.Second)
		visitor := enter(g, now, users)
		goes(t, visitor, now)
		e := visitor.StoreProbe(now)
		if e == nil {
			t.Fatal("nobody sees whether the store is back")
		}
		if e.Request.Taken != want {
			t.Errorf("visit %d tells of %d calls without a place, want %d", i+1, e.Request.Taken, want)
		}
		e.Failed()
		f.Failed(e.Permit, now)
		visitor.Done(now, says(600, 590-i, time.Minute))
	}
}

func TestPlacesWhoseTimeIsOverAreReturned(t *testing.T) {
	g, _ := sharing()
	lease(t, g, epoch, 10, says(600, 599, time.Minute))
	ticket := enter(g, after(2*time.Second), users)
	e := asks(t, ticket, after(2*time.Second))
	if r := e.Request; r.Returned != 9 || r.Unused != 0 || r.Interactive != 1 {
		t.Errorf("it returns %d and keeps %d for %d calls, want 9 and 0 for 1", r.Returned, r.Unused, r.Interactive)
	}
}

func TestAPlaceOfACallThatWasNotSentIsUsedByAnother(t *testing.T) {
	g, _ := sharing()
	lease(t, g, epoch, 2, says(600, 599, time.Minute))
	now := after(800 * time.Millisecond) // the first calls of a window go step by step
	first := enter(g, now, users)
	goes(t, first, now)
	first.Leave(now)
	goes(t, enter(g, now, users), now)
	asks(t, enter(g, now, users), now)
}

// While one asks, the others wait for its answer and are woken by it.
func TestOneAsksForAll(t *testing.T) {
	g, _ := sharing()
	first, second := enter(g, epoch, users), enter(g, epoch, users)
	e := asks(t, first, epoch)
	if wait, why := second.Ready(epoch); wait == 0 || why == pace.Ask {
		t.Errorf("the second asks as well: wait %s, reason %d", wait, why)
	}
	if again := second.StoreRequest(epoch); again != nil {
		t.Error("the second asks as well")
	}
	told(first)
	e.Answered(epoch, shared.Lease{Places: 1, Lasts: time.Second})
	if !told(first) {
		t.Error("nobody was woken")
	}
	goes(t, first, epoch)
}

func TestInconsistentAnswers(t *testing.T) {
	g, _ := sharing()
	e := asks(t, enter(g, epoch, users), epoch)
	e.Request = shared.LeaseRequest{Interactive: 3}
	w := shared.Window{ID: 1, Limit: 10, Remaining: 5, Ends: time.Minute}
	for _, l := range []shared.Lease{
		{Places: 4, Lasts: time.Second}, {Places: -1}, {Places: 1}, {Places: 1, Lasts: time.Hour}, {Retry: -1},
		{Retry: 2 * time.Hour}, {Sharers: -1}, {Sharers: 1 << 40}, {Window: shared.Window{ID: -1}}, {Window: shared.Window{ID: 1}},
		{Window: shared.Window{ID: 1, Limit: 10, Remaining: 11}}, {Window: shared.Window{ID: 1, Limit: 10, Remaining: -1}},
		{Window: shared.Window{ID: 1, Limit: 10, Ends: 2 * time.Hour}}, {Window: shared.Window{ID: 1, Limit: 1 << 40}},
	} {
		if !e.Inconsistent(epoch, &l) {
			t.Errorf("%+v is taken", l)
		}
	}
	for _, l := range []shared.Lease{{Places: 3, Lasts: time.Second, Window: w}, {Retry: time.Minute, Window: w}, {}} {
		if e.Inconsistent(epoch, &l) {
			t.Errorf("%+v is not taken", l)
		}
	}
}

// A store that was told of the year 3000, by whatever mistake, once had the
// process deaf to all that headers said: their windows seemed to be older ones.
func TestAWindowThatTheServersClockDeniesIsAbsurd(t *testing.T) {
	g, _ := sharing()
	ticket := enter(g, epoch, users)
	e := asks(t, ticket, epoch)
	far := shared.Lease{Retry: time.Minute, Window: shared.Window{ID: 32_503_680_000, Limit: 600, Ends: time.Minute}}
	near := shared.Lease{Retry: time.Minute, Window: shared.Window{ID: after(time.Minute).Unix(), Limit: 600, Ends: time.Minute}}
	if e.Inconsistent(epoch, &far) {
		t.Error("nothing is known of the server's clock yet")
	}
	ticket.Observe(epoch, epoch, epoch.Unix())
	if !e.Inconsistent(epoch, &far) || e.Inconsistent(epoch, &near) {
		t.Error("the year 3000 is taken, or what is near is not")
	}
}

// The window is over, and yet headers tell of older ones: it was none.
func TestHeadersCorrectAWindowThatIsOver(t *testing.T) {
	g, _ := sharing()
	ticket := enter(g, epoch, users)
	e := asks(t, ticket, epoch)
	e.Answered(epoch, shared.Lease{Places: 1, Lasts: time.Second, Window: shared.Window{ID: after(50 * time.Minute).Unix(), Limit: 600, Remaining: 600, Ends: time.Second}})
	goes(t, ticket, epoch)
	ticket.Done(epoch, says(600, 599, time.Minute))
	for i := range 10 {
		now := after(time.Duration(2+i) * time.Second)
		scout := enter(g, now, users)
		if _, why := scout.Ready(now); why == pace.Ask {
			scout.StoreRequest(now).Answered(now, shared.Lease{Places: 1, Lasts: time.Second})
			goes(t, scout, now)
		}
		if e := scout.Done(now, says(600, 590-i, time.Minute)); e != nil {
			e.Answered(now, shared.Lease{})
		}
	}
	if s := g.States(after(12 * time.Second))[0]; s.Remaining > 590 || !s.Reset.Equal(after(time.Minute)) {
		t.Errorf("%d are left until %s: nobody heard the headers", s.Remaining, s.Reset)
	}
}

// Of a cluster that lost some of its slots, questions about the others bring the
// store back, and the next about those lose it again: twenty times a second once,
// with two log lines and a timeout each.
func TestAStoreThatComesAndGoesIsAskedEverMoreSeldom(t *testing.T) {
	f, now := new(pace.StoreHealth), epoch
	loss := func() time.Duration {
		if !f.Failed(pace.Permit{}, now) {
			t.Fatal("it is lost already")
		}
		began := now
		for {
			now = now.Add(time.Millisecond)
			if a, ok := f.Try(now); ok {
				if !f.Succeeded(a) {
					t.Fatal("it is not back")
				}
				return now.Sub(began)
			}
		}
	}
	if wait := loss(); wait > 70*time.Millisecond {
		t.Errorf("after the first loss it is asked after %s", wait)
	}
	for range 6 {
		now = now.Add(100 * time.Millisecond)
		loss()
	}
	now = now.Add(100 * time.Millisecond)
	if wait := loss(); wait < 1500*time.Millisecond {
		t.Errorf("after the eighth loss in a row it is asked after %s", wait)
	}
	now = now.Add(5 * time.Second)
	if wait := loss(); wait > 70*time.Millisecond {
		t.Errorf("after it was well for long it is asked after %s", wait)
	}
}

// Places whose time was over when they came: the call asked again at once, and
// again, as fast as the store answered.
func TestPlacesThatComeTooLateAreNotAskedForAgainAtOnce(t *testing.T) {
	g, _ := sharing()
	ticket := enter(g, epoch, users)
	e := asks(t, ticket, epoch)
	now := after(10 * time.Millisecond)
	e.Answered(now, shared.Lease{Places: 1, Lasts: time.Millisecond})
	if wait, why := ticket.Ready(now); wait < time.Millisecond || why == pace.Ask {
		t.Errorf("it waits %s for reason %d", wait, why)
	}
	asks(t, ticket, after(20*time.Millisecond))
}
