package pace_test

// This file tests how many calls are taken to be in flight when many end at
// once.

import (
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/internal/pace"
)

// Calls of one wave end in one moment. A refusal among them once was measured
// by how few were left at that moment, and most of the slots were given up.
func TestRefusalWhileOthersEndCostsFewSlots(t *testing.T) {
	g := pace.New(pace.Config{})
	send(t, g, users, epoch, free)
	tickets := flights(t, g, epoch, 76)
	now := after(50 * time.Millisecond)
	for _, ticket := range tickets[1:60] {
		ticket.Done(now, free)
	}
	tickets[0].Done(now, crowded)
	for _, ticket := range tickets[60:] {
		ticket.Done(now, free)
	}
	if n := canGo(g, now); n < 70 || n > 75 {
		t.Errorf("%d go after a refusal with 76 in flight, want about 72", n)
	}
}

// A wave does not end all in one moment: its first calls can end in the tide
// before the one in which the refusal arrives.
func TestRefusalJustAfterTheTideCostsFewSlots(t *testing.T) {
	g := pace.New(pace.Config{})
	send(t, g, users, epoch, free)
	tickets := flights(t, g, epoch, 76)
	for _, ticket := range tickets[1:60] {
		ticket.Done(after(15*time.Millisecond), free)
	}
	now := after(25 * time.Millisecond)
	tickets[0].Done(now, crowded)
	for _, ticket := range tickets[60:] {
		ticket.Done(now, free)
	}
	if n := canGo(g, now); n < 70 || n > 75 {
		t.Errorf("%d go after a refusal with 76 in flight, want about 72", n)
	}
}

// The calls that were refused themselves are not what the server counted.
func TestManyRefusalsTogetherShowTheLimit(t *testing.T) {
	g := pace.New(pace.Config{})
	send(t, g, users, epoch, free)
	tickets := flights(t, g, epoch, 200)
	now := after(50 * time.Millisecond)
	for i, ticket := range tickets { // 75 are answered, in between
		if i%8 < 3 {
			ticket.Done(now, free)
		} else {
			ticket.Done(now, crowded)
		}
	}
	if n := canGo(g, now); n < 66 || n > 76 {
		t.Errorf("%d go after 125 of 200 were refused, want about 72", n)
	}
}

// What was in flight a while ago says nothing.
func TestTideIsForgotten(t *testing.T) {
	g := pace.New(pace.Config{})
	send(t, g, users, epoch, free)
	tickets := flights(t, g, epoch, 100)
	for i, ticket := range tickets[:80] {
		ticket.Done(after(time.Duration(i)*time.Millisecond), free)
	}
	now := after(150 * time.Millisecond)
	tickets[80].Done(now, crowded)
	for _, ticket := range tickets[81:] {
		ticket.Done(now, free)
	}
	if n := canGo(g, now); n < 17 || n > 20 {
		t.Errorf("%d go after a refusal with 20 in flight, want 19", n)
	}
}

// canGo is how many calls go together.
func canGo(g *pace.Governor, now time.Time) int {
	n := 0
	for ; n < 1000; n++ {
		if wait, _ := enter(g, now, users).Ready(now); wait > 0 {
			break
		}
	}
	return n
}
