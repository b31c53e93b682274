// This file tests package lag: it is here because each test binary more takes its time to link.

package oktatest_test

import (
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/oktatest/internal/lag"
)

func all(string, []string) bool { return true }

func TestTheSameSeedGivesTheSameLags(t *testing.T) {
	t.Parallel()
	draw := func(seed uint64, between bool) (all200 [200]time.Duration) {
		l := lag.New(seed, []lag.Reads{{Match: all, Chance: 0.3, UpTo: time.Second}})
		for i := range all200 {
			all200[i] = l.Behind("GET", nil, "/a")
			if between {
				l.Behind("GET", nil, "/b")
			}
		}
		return all200
	}
	if draw(1, false) != draw(1, true) {
		t.Error("reads of something else change the lags")
	}
	if draw(1, false) == draw(2, false) {
		t.Error("another seed gives the same lags")
	}
}

func TestAsManyReadsAreLateAsTheChanceHasIt(t *testing.T) {
	t.Parallel()
	l := lag.New(7, []lag.Reads{{Match: all, Chance: 0.25, UpTo: time.Second}})
	late, sum := 0, time.Duration(0)
	const n = 20_000
	for range n {
		d := l.Behind("GET", nil, "/a")
		if d > 0 {
			late++
			sum += d
		}
		if d < 0 || d > time.Second {
			t.Fatal(d)
		}
	}
	if late < n*24/100 || late > n*26/100 {
		t.Errorf("%d of %d are late, want a quarter", late, n)
	}
	if mean := sum / time.Duration(late); mean < 480*time.Millisecond || mean > 520*time.Millisecond {
		t.Errorf("late by %v on average, want half a second", mean)
	}
}

func TestCertainIsCertainAndNeverIsNever(t *testing.T) {
	t.Parallel()
	always := lag.New(1, []lag.Reads{{Match: all, Chance: 1, UpTo: time.Second}})
	never := lag.New(1, []lag.Reads{{Match: all, Chance: 0, UpTo: time.Second}})
	var off *lag.Lag
	for range 1000 {
		if always.Behind("GET", nil, "") <= 0 || never.Behind("GET", nil, "") != 0 || off.Behind("GET", nil, "") != 0 {
			t.Fatal("a read that is never late was, or one that is always late was not")
		}
	}
	if always.Longest() != time.Second || off.Longest() != 0 {
		t.Error(always.Longest(), off.Longest())
	}
}

func TestHistoryKnowsTheStateOfAMoment(t *testing.T) {
	t.Parallel()
	var h lag.History[string, int]
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	h.Wrote(at(1), time.Minute, "a", 0, false)
	h.Wrote(at(2), time.Minute, "a", 1, true)
	h.Wrote(at(3), time.Minute, "b", 5, true)
	if p := h.At(at(3)); len(p) != 0 {
		t.Errorf("at 3 s: %v", p)
	}
	if p := h.At(at(1)); len(p) != 2 || p["a"] != (lag.Was[int]{Value: 1, There: true}) || p["b"].Value != 5 {
		t.Errorf("at 1 s: %v", p)
	}
	if p := h.At(at(0)); p["a"].There {
		t.Errorf("at 0 s: %v", p)
	}
	h.Wrote(at(100), time.Minute, "c", 0, false)
	if p := h.At(at(0)); len(p) != 1 {
		t.Errorf("older than a minute: %v", p)
	}
	h.Wrote(at(101), 0, "d", 0, false)
	if p := h.At(at(0)); len(p) != 0 {
		t.Errorf("switched off: %v", p)
	}
}
