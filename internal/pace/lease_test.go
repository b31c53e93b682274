// This file tests what a bucket requests of the store that processes share, what
// it reports, and what it does with the places.

package pace_test

import (
	"math"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/internal/pace"
	"github.com/oktaretry/oktaretry/shared"
)

// withStore returns a governor with a store.
func withStore() *pace.Governor {
	g := pace.New(pace.Config{})
	g.Share(new(pace.StoreHealth), "p.")
	return g
}

// mustRequest returns the request that a call is to make.
func mustRequest(t *testing.T, ticket *pace.Ticket, now time.Time) *pace.StoreRequest {
	t.Helper()
	if _, why := ticket.Ready(now); why != pace.Ask {
		t.Fatalf("it waits because of %d, want it to make a request", why)
	}
	e := ticket.StoreRequest(now)
	if e == nil {
		t.Fatal("no request")
	}
	return e
}

// leasePlaces sends a call with one of so many places, into a window that it shows.
func leasePlaces(t *testing.T, g *pace.Governor, now time.Time, places int, s pace.Seen) {
	t.Helper()
	ticket := enter(g, now, users)
	e := mustRequest(t, ticket, now)
	e.Answered(now, shared.Lease{
		Places: places, Lasts: time.Second, Sharers: 1,
		Window: shared.Window{ID: s.Reset, Limit: s.Limit, Remaining: s.Remaining, Ends: time.Minute},
	})
	mustGo(t, ticket, now)
	ticket.Done(now, s)
}

func TestCallsWithoutAPlaceAreReported(t *testing.T) {
	g := withStore()
	leasePlaces(t, g, epoch, 1, limits(600, 599, time.Minute))
	lost := enter(g, after(2*time.Second), users)
	e := mustRequest(t, lost, after(2*time.Second))
	e.Failed()
	if !e.Permit.Failed(after(2 * time.Second)) {
		t.Error("the store was lost before")
	}
	mustGo(t, lost, after(2*time.Second))
	lost.Done(after(2*time.Second), limits(600, 598, time.Minute))
	for i := range 3 {
		send(t, g, users, after(2*time.Second+time.Millisecond), limits(600, 597-i, time.Minute))
	}
	for i, want := range []int{5, 6} { // the first probe fails
		now := after(time.Duration(3+i) * time.Second)
		prober := enter(g, now, users)
		mustGo(t, prober, now)
		e := prober.StoreProbe(now)
		if e == nil {
			t.Fatal("no probe")
		}
		if e.Request.Taken != want {
			t.Errorf("probe %d reports %d calls without a place, want %d", i+1, e.Request.Taken, want)
		}
		e.Failed()
		e.Permit.Failed(now)
		prober.Done(now, limits(600, 590-i, time.Minute))
	}
}

func TestPlacesAreReturnedOnceTheirTimeIsOver(t *testing.T) {
	g := withStore()
	leasePlaces(t, g, epoch, 10, limits(600, 599, time.Minute))
	ticket := enter(g, after(2*time.Second), users)
	e := mustRequest(t, ticket, after(2*time.Second))
	if r := e.Request; r.Returned != 9 || r.Unused != 0 || r.Interactive != 1 {
		t.Errorf("it returns %d and keeps %d for %d calls, want 9 and 0 for 1", r.Returned, r.Unused, r.Interactive)
	}
}

func TestPlaceOfACallThatWasNotSentGoesToAnother(t *testing.T) {
	g := withStore()
	leasePlaces(t, g, epoch, 2, limits(600, 599, time.Minute))
	now := after(800 * time.Millisecond) // the first calls of a window go step by step
	first := enter(g, now, users)
	mustGo(t, first, now)
	first.Leave(now)
	mustGo(t, enter(g, now, users), now)
	mustRequest(t, enter(g, now, users), now)
}

// While one call makes a request, the others wait for the answer.
func TestOneCallMakesTheRequestForAll(t *testing.T) {
	g := withStore()
	first, second := enter(g, epoch, users), enter(g, epoch, users)
	e := mustRequest(t, first, epoch)
	if wait, why := second.Ready(epoch); wait == 0 || why == pace.Ask {
		t.Errorf("the second is to make a request as well: wait %s, reason %d", wait, why)
	}
	if again := second.StoreRequest(epoch); again != nil {
		t.Error("the second makes a request as well")
	}
	mustWait(t, first, epoch, pace.Answers, time.Millisecond, time.Millisecond)
	woken(first)
	e.Answered(epoch, shared.Lease{Places: 1, Lasts: time.Second})
	if !woken(first) {
		t.Error("the answer wakes no call")
	}
	mustGo(t, first, epoch)
}

// After places whose time was over when they came, a call once made the next request
// at once, and again, as fast as the store answered.
func TestNextRequestWaitsAfterPlacesThatCameTooLate(t *testing.T) {
	g := withStore()
	ticket := enter(g, epoch, users)
	e := mustRequest(t, ticket, epoch)
	now := after(10 * time.Millisecond)
	e.Answered(now, shared.Lease{Places: 1, Lasts: time.Millisecond})
	if wait, why := ticket.Ready(now); wait < time.Millisecond || why == pace.Ask {
		t.Errorf("a wait of %s because of %d", wait, why)
	}
	mustRequest(t, ticket, after(20*time.Millisecond))
}

func TestInconsistentAnswersAreFound(t *testing.T) {
	g := withStore()
	e := mustRequest(t, enter(g, epoch, users), epoch)
	e.Request = shared.LeaseRequest{Interactive: 3}
	w := shared.Window{ID: 1, Limit: 10, Remaining: 5, Ends: time.Minute}
	for _, l := range []shared.Lease{
		{Places: 4, Lasts: time.Second}, {Places: -1}, {Places: 1}, {Places: 1, Lasts: time.Hour}, {Retry: -1},
		{Retry: 2 * time.Hour}, {Sharers: -1}, {Sharers: math.MaxInt}, {Window: shared.Window{ID: -1}}, {Window: shared.Window{ID: 1}},
		{Window: shared.Window{ID: 1, Limit: 10, Remaining: 11}}, {Window: shared.Window{ID: 1, Limit: 10, Remaining: -1}},
		{Window: shared.Window{ID: 1, Limit: 10, Ends: 2 * time.Hour}}, {Window: shared.Window{ID: 1, Limit: math.MaxInt}},
	} {
		if !e.Inconsistent(epoch, &l) {
			t.Errorf("%+v counts as consistent", l)
		}
	}
	for _, l := range []shared.Lease{{Places: 3, Lasts: time.Second, Window: w}, {Retry: time.Minute, Window: w}, {}} {
		if e.Inconsistent(epoch, &l) {
			t.Errorf("%+v counts as inconsistent", l)
		}
	}
}

// A store that had a window of the year 3000, by whatever mistake, once made the
// process ignore all headers: their windows seemed to be older ones.
func TestWindowBeyondTheServersClockIsInconsistent(t *testing.T) {
	g := withStore()
	ticket := enter(g, epoch, users)
	e := mustRequest(t, ticket, epoch)
	far := shared.Lease{Retry: time.Minute, Window: shared.Window{ID: 32_503_680_000, Limit: 600, Ends: time.Minute}}
	near := shared.Lease{Retry: time.Minute, Window: shared.Window{ID: after(time.Minute).Unix(), Limit: 600, Ends: time.Minute}}
	if e.Inconsistent(epoch, &far) {
		t.Error("inconsistent while the server's clock is unknown")
	}
	ticket.Observe(epoch, epoch, epoch.Unix())
	if !e.Inconsistent(epoch, &far) || e.Inconsistent(epoch, &near) {
		t.Error("the year 3000 counts as consistent, or a minute ahead does not")
	}
}

// Headers that name older windows once the store's window is over show that it was
// none.
func TestHeadersCorrectAWrongWindowOfTheStore(t *testing.T) {
	g := withStore()
	ticket := enter(g, epoch, users)
	e := mustRequest(t, ticket, epoch)
	e.Answered(epoch, shared.Lease{Places: 1, Lasts: time.Second, Window: shared.Window{ID: after(50 * time.Minute).Unix(), Limit: 600, Remaining: 600, Ends: time.Second}})
	mustGo(t, ticket, epoch)
	ticket.Done(epoch, limits(600, 599, time.Minute))
	for i := range 10 {
		now := after(time.Duration(2+i) * time.Second)
		scout := enter(g, now, users)
		if _, why := scout.Ready(now); why == pace.Ask {
			scout.StoreRequest(now).Answered(now, shared.Lease{Places: 1, Lasts: time.Second})
			mustGo(t, scout, now)
		}
		if e := scout.Done(now, limits(600, 590-i, time.Minute)).Request; e != nil {
			e.Answered(now, shared.Lease{})
		}
	}
	if s := g.States(after(12 * time.Second))[0]; s.Remaining > 590 || !s.Reset.Equal(after(time.Minute)) {
		t.Errorf("%d are left until %s, as if there had been no headers", s.Remaining, s.Reset)
	}
}
