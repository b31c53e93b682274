// This file tests what a request to the shared store reports, and how many places
// it is for.

package pace_test

import (
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/internal/pace"
	"github.com/oktaretry/oktaretry/shared"
)

// A scout that has ended is reported at once, and again if the store did not answer.
func TestScoutThatEndedIsReportedUntilTheStoreAnswers(t *testing.T) {
	g := withStore()
	scout := enter(g, epoch, users)
	mustRequest(t, scout, epoch).Answered(epoch, shared.Lease{Places: 1, Lasts: time.Second})
	mustGo(t, scout, epoch)
	r := scout.Done(epoch, limits(600, 599, time.Minute)).Request
	if r == nil || r.Request.ScoutsEnded != 1 || r.Request.Seen.Remaining != 599 {
		t.Fatalf("a scout's end makes the request %+v", r)
	}
	r.Failed()
	r.Permit.Failed(epoch)
	now := after(time.Second)
	prober := enter(g, now, users)
	mustGo(t, prober, now)
	if r = prober.StoreProbe(now); r == nil || r.Request.ScoutsEnded != 1 {
		t.Fatalf("after a lost request the next is %+v, want the scout in it", r)
	}
	r.Answered(now, shared.Lease{})
	r.Permit.Succeeded(epoch)
	prober.Done(now, limits(600, 598, time.Minute))
	now = now.Add(10 * time.Millisecond)
	if r = mustRequest(t, enter(g, now, users), now); r.Request.ScoutsEnded != 0 {
		t.Errorf("the scout is reported again")
	}
}

// The store counts the calls sent after Age as not yet in the headers.
func TestAgeIsThatOfTheCallSentLast(t *testing.T) {
	g := withStore()
	leasePlaces(t, g, epoch, 3, limits(600, 599, time.Minute))
	early, late := enter(g, after(700*time.Millisecond), users), enter(g, after(800*time.Millisecond), users)
	mustGo(t, early, after(700*time.Millisecond))
	mustGo(t, late, after(800*time.Millisecond))
	late.Done(after(900*time.Millisecond), limits(600, 597, time.Minute))
	early.Done(after(900*time.Millisecond), limits(600, 598, time.Minute))
	now := after(1200 * time.Millisecond)
	r := mustRequest(t, enter(g, now, users), now).Request
	if r.Age != 400*time.Millisecond || r.Seen.Remaining != 597 {
		t.Errorf("an age of %s with %d remaining, want 400ms with 597", r.Age, r.Seen.Remaining)
	}
}

func TestRequestIsForTheCallsThatCanBeSent(t *testing.T) {
	for _, tt := range []struct {
		name                    string
		cfg                     pace.Config
		interactive, background int // calls that wait
		want                    [3]int
	}{
		{"no settings", pace.Config{}, 20, 5, [3]int{20, 5, 0}},
		{"calls in flight", pace.Config{MaxInFlight: 2}, 20, 5, [3]int{8, 0, 0}},
		{"calls in flight, interactive first", pace.Config{MaxInFlight: 2}, 5, 20, [3]int{5, 3, 0}},
		{"a ceiling", pace.Config{MaxRate: 3, Burst: 1}, 20, 5, [3]int{7, 0, 0}},
		{"a bucket's ceiling", pace.Config{MaxRate: 3, Burst: 1, BucketRates: map[string]float64{users.Bucket: 1}}, 20, 5, [3]int{3, 0, 0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := withStore()
			g.Configure(tt.cfg)
			first := enter(g, epoch, users)
			first.Ready(epoch)
			for i := range tt.interactive + tt.background - 1 {
				p := pace.Interactive
				if i >= tt.interactive-1 {
					p = pace.Background
				}
				ticket := new(pace.Ticket)
				g.Enter(ticket, epoch, users, pace.Call{Priority: p}, new(pace.Hint))
				ticket.Ready(epoch)
			}
			r := mustRequest(t, first, epoch).Request
			if got := [3]int{r.Interactive, r.Background, r.Prefetch}; got != tt.want {
				t.Errorf("a request for %v, want %v", got, tt.want)
			}
		})
	}
}
