// This file holds what the tests of this package have in common: the time, the
// answers of calls, and calls that are sent or wait.

package pace_test

import (
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/internal/pace"
)

// epoch is when the tests' explicit time begins.
var epoch = time.Unix(1_700_000_000, 0)

func after(d time.Duration) time.Time { return epoch.Add(d) }

const (
	second = time.Second
	// gap is the most that spreads one waiting call from the reset, or from another.
	gap = 10 * time.Millisecond
)

var users = pace.Key{Host: "example.okta.com", Credential: 1, Bucket: "GET /api/v1/users/{id}"}

// noLimits is an answer without limits.
var noLimits = pace.Seen{Limit: -1, Remaining: -1, Answered: true, Accepted: true}

// limits is an answer whose window ends in reset. The server's clock is in step
// with the local one unless a test sets it.
func limits(limit, remaining int, reset time.Duration) pace.Seen {
	return pace.Seen{Limit: limit, Remaining: remaining, Reset: after(reset).Unix(), Answered: true, Accepted: true}
}

// refusal is a 429 that holds the bucket until its reset.
func refusal(limit, remaining int, reset time.Duration) pace.Seen {
	s := limits(limit, remaining, reset)
	s.Accepted, s.Refused, s.Hold = false, true, after(reset)
	return s
}

// slotRefusal is a 429 of the concurrency limit.
var slotRefusal = pace.Seen{Refused: true, Slots: true, Answered: true}

func enter(g *pace.Governor, now time.Time, k pace.Key) *pace.Ticket {
	t := new(pace.Ticket)
	g.Enter(t, now, k, pace.Call{}, new(pace.Hint))
	return t
}

// send sends a call of k that is answered at once.
func send(t *testing.T, g *pace.Governor, k pace.Key, now time.Time, s pace.Seen) {
	t.Helper()
	ticket := enter(g, now, k)
	mustGo(t, ticket, now)
	ticket.Done(now, s)
}

// sendMany sends n calls at once that are not answered yet.
func sendMany(t *testing.T, g *pace.Governor, now time.Time, n int) []*pace.Ticket {
	t.Helper()
	tickets := make([]*pace.Ticket, n)
	for i := range tickets {
		tickets[i] = enter(g, now, users)
		mustGo(t, tickets[i], now)
	}
	return tickets
}

// learnNoLimits makes enough calls of k for the governor to learn that its answers
// carry no limits.
func learnNoLimits(t *testing.T, g *pace.Governor, k pace.Key) {
	t.Helper()
	for range 10 {
		send(t, g, k, epoch, noLimits)
	}
}

// hold stops a bucket until a time, by a call that is refused.
func hold(t *testing.T, g *pace.Governor, k pace.Key, now, until time.Time) {
	t.Helper()
	send(t, g, k, now, pace.Seen{Limit: -1, Remaining: -1, Hold: until, Answered: true, Refused: true})
}

// knownBucket returns a governor that knows the bucket of users and its host's
// clock. What was used of the bucket it has used itself, unless s is a refusal.
func knownBucket(t *testing.T, cfg pace.Config, s pace.Seen) *pace.Governor {
	t.Helper()
	g := pace.New(pace.Config{})
	learnClock(g, users, serverClock{})
	g.GrantWhole(users)
	used := 1
	if !s.Refused && s.Remaining < s.Limit {
		used = s.Limit - s.Remaining
	}
	for i := used - 1; i >= 0; i-- {
		earlier := s
		earlier.Remaining += i
		send(t, g, users, epoch, earlier)
	}
	g.Configure(cfg)
	return g
}

// learnClock lets the governor observe the clock of k's host, by answers that took
// no time, at all moments of a second.
func learnClock(g *pace.Governor, k pace.Key, c serverClock) {
	ticket := enter(g, epoch, k)
	for i := range 1000 {
		at := epoch.Add(time.Duration(i-1000) * time.Millisecond)
		ticket.Observe(at, at, c.date(at))
	}
	ticket.Leave(epoch)
}

// woken reports whether a call is to ask again.
func woken(ticket *pace.Ticket) bool {
	wake := ticket.Wake()
	if len(wake) == 0 {
		return false
	}
	<-wake
	return true
}

// mustGo checks that a call may be sent.
func mustGo(t *testing.T, ticket *pace.Ticket, now time.Time) {
	t.Helper()
	if wait, why := ticket.Ready(now); wait != 0 || why != pace.NoReason {
		t.Fatalf("at %s: it has to wait for %s because of %d, want it sent", now.Sub(epoch), wait, why)
	}
}

// mustWait checks that a call has to wait, and for how long.
func mustWait(t *testing.T, ticket *pace.Ticket, now time.Time, why pace.Reason, from, to time.Duration) time.Duration {
	t.Helper()
	wait, reason := ticket.Ready(now)
	if wait < from || wait > to || wait == 0 || reason != why {
		t.Fatalf("at %s: a wait of %s because of %d, want %s to %s because of %d", now.Sub(epoch), wait, reason, from, to, why)
	}
	return wait
}

// state returns the state of a bucket.
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
