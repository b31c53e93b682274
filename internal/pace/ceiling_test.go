// This file tests the user's own limits of calls a second.

package pace_test

import (
	"math"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/internal/pace"
)

func TestMaxRateIsKeptAndReached(t *testing.T) {
	for _, burst := range []int{1, 5} {
		g := pace.New(pace.Config{MaxRate: 20, Burst: burst})
		tickets := make([]*pace.Ticket, 200)
		for i := range tickets {
			tickets[i] = enter(g, epoch, users)
		}
		_, times := runLine(t, tickets, epoch)
		want := time.Duration(200-burst) * 50 * time.Millisecond
		if took := times[199].Sub(times[0]); took < want-50*time.Millisecond || took > want+50*time.Millisecond {
			t.Errorf("200 calls at 20 a second in bursts of %d took %s, want %s", burst, took, want)
		}
	}
}

func TestBucketsOfAHostShareItsCeiling(t *testing.T) {
	g := pace.New(pace.Config{MaxRate: 1, Burst: 1})
	groups := pace.Key{Host: users.Host, Credential: 7, Bucket: "/api/v1/groups"}
	mustGo(t, enter(g, epoch, users), epoch)
	ticket := enter(g, epoch, groups)
	wait := mustWait(t, ticket, epoch, pace.Ceiling, time.Second, time.Second+time.Millisecond)
	mustGo(t, enter(g, epoch, pace.Key{Host: "other.okta.com"}), epoch)
	mustGo(t, ticket, epoch.Add(wait))
}

func TestCeilingOfABucketCountsAllCredentials(t *testing.T) {
	groups := pace.Key{Host: users.Host, Bucket: "/api/v1/groups"}
	rates := func(perSecond float64) pace.Config {
		return pace.Config{MaxRate: 10, Burst: 1, BucketRates: map[string]float64{users.Bucket: perSecond}}
	}
	g := pace.New(rates(1))
	now := epoch
	send(t, g, users, now, noLimits)
	now = now.Add(100*time.Millisecond + 1)
	ticket := enter(g, now, users)
	mustWait(t, ticket, now, pace.Ceiling, 890*time.Millisecond, 900*time.Millisecond)
	send(t, g, groups, now, noLimits) // which only the host's ceiling bounds
	waiting := enter(g, now, groups)
	mustWait(t, waiting, now, pace.Ceiling, 99*time.Millisecond, 101*time.Millisecond)
	waiting.Leave(now)

	// All credentials count together; another host doesn't.
	now = after(2 * time.Second)
	mustGo(t, ticket, now)
	now = now.Add(200 * time.Millisecond)
	same := users
	same.Credential++
	mustWait(t, enter(g, now, same), now, pace.Ceiling, 790*time.Millisecond, 801*time.Millisecond)
	other := users
	other.Host = "other.okta.com"
	mustGo(t, enter(g, now, other), now)

	next := enter(g, now, users)
	mustWait(t, next, now, pace.Ceiling, 790*time.Millisecond, 801*time.Millisecond)
	g.Configure(rates(1)) // no change
	if woken(next) {
		t.Error("woken for nothing")
	}
	g.Configure(rates(100))
	if !woken(next) {
		t.Error("not woken by a new ceiling")
	}
	mustGo(t, next, now)
	g.Configure(pace.Config{})
	learnNoLimits(t, g, groups)
	for range 100 {
		mustGo(t, enter(g, now, groups), now)
	}
}

// A tiny rate once overflowed into no wait at all.
func TestTinyRateMakesALongWait(t *testing.T) {
	for _, most := range []float64{math.SmallestNonzeroFloat64, 1e-300, 1e-9} {
		g := pace.New(pace.Config{MaxRate: most, Burst: 1})
		send(t, g, users, epoch, noLimits)
		mustWait(t, enter(g, epoch, users), epoch, pace.Ceiling, time.Hour, math.MaxInt64)
		mustWait(t, enter(g, epoch, users), epoch, pace.Ceiling, time.Hour, math.MaxInt64)
	}
}
