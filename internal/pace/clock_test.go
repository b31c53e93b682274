package pace_test

import (
	"math"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/internal/pace"
)

func TestClockTellsHowLongUntilAReset(t *testing.T) {
	const skew = 10 * time.Minute
	local := epoch.Add(123 * time.Millisecond)
	unix := func(ahead, in time.Duration) int64 { return local.Add(ahead + in).Unix() }
	never := time.Duration(-1)
	for _, tt := range []struct {
		name        string
		taught      int64 // a Date observed before, at local
		reset, date int64
		want        time.Duration
	}{
		{"by the answer's own date", 0, unix(0, 30*time.Second), unix(0, 0), 31 * time.Second},
		{"server ahead", 0, unix(skew, 30*time.Second), unix(skew, 0), 31 * time.Second},
		{"server behind", 0, unix(-skew, 30*time.Second), unix(-skew, 0), 31 * time.Second},
		{"own date before what was taught", unix(skew, 0), unix(0, 30*time.Second), unix(0, 0), 31 * time.Second},
		{"at once", 0, unix(0, 0), unix(0, 0), time.Second},
		{"past", 0, unix(0, -time.Second), unix(0, 0), never},
		{"an hour", 0, unix(0, time.Hour), unix(0, 0), time.Hour + time.Second},
		{"more than an hour", 0, unix(0, time.Hour+time.Second), unix(0, 0), never},
		{"no reset", 0, 0, unix(0, 0), never},
		{"negative reset", 0, -5, unix(0, 0), never},
		{"the last of all resets", 0, math.MaxInt64, unix(0, 0), never},
		{"the first of all dates", 0, unix(0, 0), 1, never},
		{"the last of all dates", 0, unix(0, 0), math.MaxInt64, never},

		{"taught, server ahead", unix(skew, 0), unix(skew, 30*time.Second), 0, 31*time.Second + 0},
		{"taught, server behind", unix(-skew, 0), unix(-skew, 30*time.Second), 0, 31 * time.Second},
		{"taught nonsense", math.MaxInt64, unix(0, 30*time.Second), 0, never},
		{"local clock", 0, unix(0, 30*time.Second), 0, 31*time.Second - 123*time.Millisecond},
		{"local clock, the longest window", 0, unix(0, 5*time.Minute), 0, 5*time.Minute + time.Second - 123*time.Millisecond},
		{"local clock, farther", 0, unix(0, 6*time.Minute), 0, never},
		{"local clock, past", 0, unix(0, -time.Second), 0, never},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var c pace.Clock
			c.Observe(local, tt.taught)
			got, ok := c.Until(tt.reset, tt.date, local)
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

func TestClockGoesByTheLastDateThatItSaw(t *testing.T) {
	var c pace.Clock
	for _, skew := range []time.Duration{time.Minute, -time.Minute, 0, 9 * time.Minute} {
		now := epoch.Add(time.Hour)
		c.Observe(now, now.Add(skew).Unix())
		c.Observe(now, 0)  // none
		c.Observe(now, -1) // nonsense
		got, ok := c.Until(now.Add(skew+30*time.Second).Unix(), 0, now)
		if want := 31 * time.Second; !ok || got != want {
			t.Errorf("skew %s: %s, %t; want %s", skew, got, ok, want)
		}
	}
}
