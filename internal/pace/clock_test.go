// This file tests what is learned of the server's clock.

package pace_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/internal/pace"
)

func TestClockUntilReset(t *testing.T) {
	const skew = 10 * time.Minute
	local := epoch.Add(123 * time.Millisecond)
	unix := func(ahead, in time.Duration) int64 { return local.Add(ahead + in).Unix() }
	never := time.Duration(math.MinInt64)
	for _, tt := range []struct {
		name  string
		date  int64 // a Date observed at local; 0: none
		reset int64
		want  time.Duration
	}{
		// The server's clock may be at the beginning of the Date's second.
		{"server in step", unix(0, 0), unix(0, 30*second), 30 * second},
		{"server ahead", unix(skew, 0), unix(skew, 30*second), 30 * second},
		{"server behind", unix(-skew, 0), unix(-skew, 30*second), 30 * second},
		{"at once", unix(0, 0), unix(0, 0), 0},
		{"past", unix(0, 0), unix(0, -second), -second},
		{"an hour", unix(0, 0), unix(0, time.Hour), time.Hour},
		{"more than an hour", unix(0, 0), unix(0, time.Hour+second), never},
		{"past for more than an hour", unix(0, 0), unix(0, -time.Hour-second), never},
		{"no reset", unix(0, 0), 0, never},
		{"negative reset", unix(0, 0), -5, never},
		{"the last of all resets", unix(0, 0), math.MaxInt64, never},
		{"the first of all dates", 1, unix(0, 0), never},
		{"the last of all dates", math.MaxInt64, unix(0, 0), never},

		{"local clock", 0, unix(0, 30*second), 30*second - 123*time.Millisecond},
		{"local clock, the longest window", 0, unix(0, 5*time.Minute), 5*time.Minute - 123*time.Millisecond},
		{"local clock, farther", 0, unix(0, 6*time.Minute), never},
		{"local clock, past", 0, unix(0, -second), never},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var c pace.Clock
			c.Observe(local, local, tt.date)
			got, _, ok := c.Until(tt.reset, local)
			if tt.want == never {
				if ok {
					t.Errorf("%s, want none", got)
				}
				return
			}
			if !ok || got != tt.want {
				t.Errorf("%s, %t; want %s", got, ok, tt.want)
			}
		})
	}
}

// serverClock is a clock that is ahead of the local one and drifts.
type serverClock struct {
	ahead time.Duration
	drift float64
}

func (s serverClock) date(now time.Time) int64 {
	return now.Add(s.ahead + time.Duration(s.drift*float64(now.Sub(epoch)))).Unix()
}

// until is how long after now the server's clock passes reset.
func (s serverClock) until(reset int64, now time.Time) time.Duration {
	return time.Unix(reset, 0).Sub(now.Add(s.ahead + time.Duration(s.drift*float64(now.Sub(epoch)))))
}

// One Date leaves a second of doubt; those of some answers, at various moments, leave
// about as much as the answers take.
func TestSeveralDatesNarrowTheServersClock(t *testing.T) {
	for _, tt := range []struct {
		name   string
		server serverClock
		takes  time.Duration // between request and answer, at most
		want   time.Duration // how much later than necessary a wait ends, at most
	}{
		{"in step", serverClock{}, 50 * time.Millisecond, 200 * time.Millisecond},
		{"ahead by half a second", serverClock{ahead: 500 * time.Millisecond}, 50 * time.Millisecond, 200 * time.Millisecond},
		{"ahead by 10 minutes", serverClock{ahead: 10*time.Minute + 333*time.Millisecond}, 50 * time.Millisecond, 200 * time.Millisecond},
		{"behind by 10 minutes", serverClock{ahead: -10*time.Minute - 777*time.Millisecond}, 50 * time.Millisecond, 200 * time.Millisecond},
		{"slow answers", serverClock{ahead: 900 * time.Millisecond}, 400 * time.Millisecond, 600 * time.Millisecond},
		{"drifts ahead", serverClock{drift: 100e-6}, 50 * time.Millisecond, 250 * time.Millisecond},
		{"falls behind", serverClock{drift: -100e-6}, 50 * time.Millisecond, 250 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(1, 2))
			var c pace.Clock
			now := epoch
			for i := range 2000 {
				now = now.Add(time.Duration(random.Int64N(int64(300 * time.Millisecond))))
				takes := time.Duration(random.Int64N(int64(tt.takes)))
				at := time.Duration(random.Int64N(int64(takes) + 1))
				c.Observe(now, now.Add(takes), tt.server.date(now.Add(at)))
				now = now.Add(takes)
				reset := tt.server.date(now) + 30
				wait, sharp, ok := c.Until(reset, now)
				truth := tt.server.until(reset, now)
				switch {
				case !ok:
					t.Fatalf("answer %d: no wait", i)
				case wait < truth:
					t.Fatalf("answer %d: a wait of %s ends %s early", i, wait, truth-wait)
				case i >= 100 && wait > truth+tt.want:
					t.Fatalf("answer %d: a wait of %s ends %s late", i, wait, wait-truth)
				case i >= 100 && tt.takes < 100*time.Millisecond && !sharp:
					t.Fatalf("answer %d: the clock does not count as known", i)
				}
			}
		})
	}
}

func TestDatesOutOfOrderGiveTheSameClock(t *testing.T) {
	s := serverClock{ahead: 3*time.Minute + 400*time.Millisecond}
	random := rand.New(rand.NewPCG(3, 4))
	var c pace.Clock
	for _, i := range random.Perm(200) {
		at := after(time.Duration(i) * 137 * time.Millisecond)
		c.Observe(at, at.Add(20*time.Millisecond), s.date(at.Add(10*time.Millisecond)))
	}
	now := after(30 * time.Second)
	reset := s.date(now) + 20
	wait, sharp, ok := c.Until(reset, now)
	if truth := s.until(reset, now); !ok || !sharp || wait < truth || wait > truth+100*time.Millisecond {
		t.Errorf("%s, sharp %t, %t; want %s", wait, sharp, ok, truth)
	}
}

func TestClockThatIsSetIsLearnedAnew(t *testing.T) {
	for _, by := range []time.Duration{time.Hour, -time.Hour, 5 * time.Second, -5 * time.Second, 2 * time.Second} {
		var c pace.Clock
		s := serverClock{}
		for i := range 100 {
			at := after(time.Duration(i) * 137 * time.Millisecond)
			c.Observe(at, at, s.date(at))
		}
		s.ahead = by
		now := after(20 * time.Second)
		c.Observe(now, now, s.date(now))
		wait, sharp, ok := c.Until(s.date(now)+30, now)
		if truth := s.until(s.date(now)+30, now); !ok || sharp || wait < truth || wait > truth+second {
			t.Errorf("set by %s: %s, sharp %t, %t; want %s to %s, not sharp", by, wait, sharp, ok, truth, truth+second)
		}
	}
}

func TestDateIsIgnoredIfTheLocalClockWasSetBack(t *testing.T) {
	var c pace.Clock
	c.Observe(epoch, epoch, epoch.Unix())
	c.Observe(after(time.Hour), epoch, epoch.Unix())
	if wait, _, ok := c.Until(epoch.Unix()+30, epoch); !ok || wait != 30*second {
		t.Errorf("%s, %t; want 30s", wait, ok)
	}
}

func TestNonsenseDatesAreIgnored(t *testing.T) {
	var c pace.Clock
	c.Observe(epoch, epoch, after(time.Minute).Unix())
	c.Observe(epoch, epoch, 0)
	c.Observe(epoch, epoch, -1)
	if wait, _, ok := c.Until(after(90*second).Unix(), epoch); !ok || wait != 30*second {
		t.Errorf("%s, %t; want 30s", wait, ok)
	}
}
