// This file tests what an attempt has beyond its limit.

package exchange

import (
	"testing"
	"testing/synctest"
	"time"
)

// granting grants up to a minute and a half in steps of 10 s, as long as it lasts.
type granting struct{ lasts time.Duration }

func (g granting) Grant(limit, elapsed time.Duration) time.Duration {
	if elapsed >= g.lasts {
		return 0
	}
	return min(limit+10*time.Second, 90*time.Second)
}

// An attempt ends when no more time is granted, for a base that asked for Done before
// its limit passed, and for one that never does.
func TestOvertimeProlongsAnAttempt(t *testing.T) {
	for _, tt := range []struct{ lasts, ends time.Duration }{
		{time.Hour, 90 * time.Second}, {75 * time.Second, 80 * time.Second}, {time.Minute, time.Minute},
	} {
		for _, asked := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				c := newContext(t.Context(), time.Minute)
				c.Overtime = granting{tt.lasts}
				if asked {
					c.Done()
				}
				for range tt.ends/time.Second - 1 {
					time.Sleep(time.Second)
					if err := c.Err(); err != nil {
						t.Fatalf("it ended after %s: %v", time.Since(c.Began), err)
					}
				}
				time.Sleep(time.Second)
				synctest.Wait()
				if c.Err() == nil {
					t.Errorf("it did not end after %s", tt.ends)
				}
				wantEnd(t, c, c.Err())
				if passed := c.Settle(time.Now()); passed != tt.ends {
					t.Errorf("the limit that passed is %s, want %s", passed, tt.ends)
				}
			})
		}
	}
}

// What was settled or released asks nobody.
func TestOvertimeIsOverWithTheAttempt(t *testing.T) {
	for name, end := range map[string]func(*Context){
		"settled": func(c *Context) { c.Settle(time.Now()) }, "released": (*Context).Release,
	} {
		synctest.Test(t, func(t *testing.T) {
			c := newContext(t.Context(), time.Minute)
			c.Overtime = refusing{t, name}
			c.Done()
			end(c)
			time.Sleep(time.Hour)
			c.Err()
			c.Release()
		})
	}
}

type refusing struct {
	t    *testing.T
	when string
}

func (r refusing) Grant(time.Duration, time.Duration) time.Duration {
	r.t.Errorf("asked for more once it was %s", r.when)
	return 0
}
