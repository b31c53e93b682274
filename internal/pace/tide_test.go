// This file tests how many calls are taken to be in flight when many end at once.

package pace_test

import (
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/internal/pace"
)

// Calls of one wave end in one moment. A refusal among them was once measured by how
// few were left at that moment, and most of the slots were given up.
func TestRefusalWhileOthersEndCostsFewSlots(t *testing.T) {
	g := pace.New(pace.Config{})
	learnNoLimits(t, g, users)
	tickets := sendMany(t, g, epoch, 76)
	now := after(50 * time.Millisecond)
	for _, ticket := range tickets[1:60] {
		ticket.Done(now, noLimits)
	}
	tickets[0].Done(now, slotRefusal)
	for _, ticket := range tickets[60:] {
		ticket.Done(now, noLimits)
	}
	if n := canGo(g, now); n < 70 || n > 75 {
		t.Errorf("%d are sent after a refusal with 76 in flight, want about 72", n)
	}
}

// A wave does not end all in one moment: its first calls can end in the tide
// before the one in which the refusal arrives.
func TestRefusalInTheNextTideCostsFewSlots(t *testing.T) {
	g := pace.New(pace.Config{})
	learnNoLimits(t, g, users)
	tickets := sendMany(t, g, epoch, 76)
	for _, ticket := range tickets[1:60] {
		ticket.Done(after(15*time.Millisecond), noLimits)
	}
	now := after(25 * time.Millisecond)
	tickets[0].Done(now, slotRefusal)
	for _, ticket := range tickets[60:] {
		ticket.Done(now, noLimits)
	}
	if n := canGo(g, now); n < 70 || n > 75 {
		t.Errorf("%d are sent after a refusal with 76 in flight, want about 72", n)
	}
}

// The server did not count the calls that it refused.
func TestManyRefusalsTogetherShowTheLimit(t *testing.T) {
	g := pace.New(pace.Config{})
	learnNoLimits(t, g, users)
	tickets := sendMany(t, g, epoch, 200)
	now := after(50 * time.Millisecond)
	for i, ticket := range tickets { // 75 are answered, in between
		if i%8 < 3 {
			ticket.Done(now, noLimits)
		} else {
			ticket.Done(now, slotRefusal)
		}
	}
	if n := canGo(g, now); n < 66 || n > 76 {
		t.Errorf("%d are sent after 125 of 200 were refused, want about 72", n)
	}
}

// Calls in flight a while ago are no measure.
func TestTideIsForgotten(t *testing.T) {
	g := pace.New(pace.Config{})
	learnNoLimits(t, g, users)
	tickets := sendMany(t, g, epoch, 100)
	for i, ticket := range tickets[:80] {
		ticket.Done(after(time.Duration(i)*time.Millisecond), noLimits)
	}
	now := after(150 * time.Millisecond)
	tickets[80].Done(now, slotRefusal)
	for _, ticket := range tickets[81:] {
		ticket.Done(now, noLimits)
	}
	if n := canGo(g, now); n < 17 || n > 20 {
		t.Errorf("%d are sent after a refusal with 20 in flight, want 19", n)
	}
}

// canGo returns how many calls are sent at once.
func canGo(g *pace.Governor, now time.Time) int {
	n := 0
	for ; n < 1000; n++ {
		if wait, _ := enter(g, now, users).Ready(now); wait > 0 {
			break
		}
	}
	return n
}
