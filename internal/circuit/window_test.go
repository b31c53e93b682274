// This file holds the rolling count against one that keeps every event.

package circuit

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestWindowCountsWhatHappenedWithinIt(t *testing.T) {
	const length = 30 * time.Second
	const step = length / steps
	random := rand.New(rand.NewPCG(1, 2))
	now := time.Now()
	r := window{step: step, born: now}
	var events []time.Time
	for range 10_000 {
		pause := time.Duration(random.Int64N(int64(step)))
		if random.IntN(100) == 0 {
			pause *= 25 // longer than the window, sometimes
		}
		now = now.Add(pause)
		r.add(now)
		events = append(events, now)

		// A step counts as a whole until the window has left all of it behind.
		exact, most := 0, 0
		for i := len(events) - 1; i >= 0 && now.Sub(events[i]) < length; i-- {
			most++
			if now.Sub(events[i]) < length-step {
				exact++
			}
		}
		if n := r.total(now); n < exact || n > most {
			t.Fatalf("%d counted, want %d to %d", n, exact, most)
		}
	}
	if r.reset(); r.total(now) != 0 {
		t.Error("something is left after a reset")
	}
}

// A clock that goes back counts into the step that it knows.
func TestWindowSurvivesAClockThatGoesBack(t *testing.T) {
	now := time.Now().Round(0) // without its monotonic part
	r := window{step: time.Second, born: now}
	r.add(now.Add(5 * time.Second))
	r.add(now.Add(-time.Hour))
	if n := r.total(now.Add(5 * time.Second)); n != 2 {
		t.Errorf("%d counted, want 2", n)
	}
}
