package oktatest

import (
	"strconv"
	"testing"
	"time"
)

func TestCounterForgetsKeysWhoseWindowIsOver(t *testing.T) {
	c := &counter{max: 1, windows: layout{length: time.Second}, key: ByUserName}
	now := time.Unix(1_800_000_000, 0)
	for i := range 100_000 {
		c.take(strconv.Itoa(i), now, 1)
		now = now.Add(time.Millisecond)
	}
	if len(c.tallies) > 4096 {
		t.Errorf("%d keys kept, of which at most 1,000 have an open window", len(c.tallies))
	}
	if n := c.used(now.Add(-time.Millisecond)); n != 1000 {
		t.Errorf("%d calls in the last window, want 1000", n)
	}
}

func TestCounterForgetsKeysWithNothingInFlight(t *testing.T) {
	c := &counter{max: -1, inFlight: 1, flying: map[string]int{}}
	for i := range 100 {
		c.fly(strconv.Itoa(i), 1)
		c.fly(strconv.Itoa(i), -1)
	}
	if len(c.flying) != 0 {
		t.Errorf("%d keys kept with nothing in flight", len(c.flying))
	}
}
