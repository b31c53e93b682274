package pace_test

// This file lets anything happen to a governor in any order.

import (
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/internal/pace"
)

// FuzzGovernor reads operations from bytes, two for each. Whatever they are,
// nobody goes before a hold is over, no wait is negative, and the counts are
// those of the calls that are out and wait.
func FuzzGovernor(f *testing.F) {
	f.Add([]byte{0, 0, 1, 0, 3, 0, 0, 1, 1, 1, 4, 1})
	f.Add([]byte{0, 0, 1, 0, 0, 1, 1, 1, 5, 0, 1, 1, 6, 200, 1, 1, 2, 1})
	f.Add([]byte{7, 3, 0, 0, 0, 1, 0, 2, 1, 0, 1, 1, 1, 2, 8, 0, 1, 1, 2, 2, 6, 9, 1, 1})
	f.Fuzz(func(t *testing.T, ops []byte) {
		g := pace.New(pace.Config{})
		type call struct {
			pace.Ticket
			key     pace.Key
			in, out bool
		}
		var calls [8]call
		keys := [4]pace.Key{{Host: "a", Bucket: "x"}, {Host: "a", Bucket: "y"}, {Host: "b", Bucket: "x"}, {Host: "a"}}
		held := map[pace.Key]time.Time{}
		now, most := epoch, 0
		for len(ops) >= 2 && most < 2000 {
			op, arg := ops[0], int(ops[1])
			ops, most = ops[2:], most+1
			c := &calls[arg%len(calls)]
			switch op % 10 {
			case 0:
				if !c.in {
					c.in, c.out, c.key = true, false, keys[arg/8%len(keys)]
					g.Enter(&c.Ticket, now, c.key, pace.Priority(arg>>7), arg&64 != 0, new(pace.Hint))
				}
			case 1:
				if !c.in || c.out {
					continue
				}
				wait, why := c.Ready(now)
				switch {
				case wait < 0 || c.Nap(wait) < wait:
					t.Fatalf("a wait of %s, a nap of %s", wait, c.Nap(wait))
				case wait > 0 && why == pace.NoReason || wait == 0 && why != pace.NoReason:
					t.Fatalf("a wait of %s because of %d", wait, why)
				case wait == 0 && now.Before(held[c.key]):
					t.Fatalf("it went %s before the hold was over", held[c.key].Sub(now))
				}
				c.out = wait == 0
			case 2:
				if c.in {
					c.Leave(now)
					c.in, c.out = false, false
				}
			case 3, 4, 5: // answers
				if !c.out {
					continue
				}
				s := pace.Seen{
					Limit: int(int8(arg)) * (1 << (arg % 60)), Remaining: int(int8(arg<<1)) * (1 << (arg % 57)),
					Reset: now.Unix() + int64(int8(arg<<2)), Refused: op%10 == 4, Slots: op%10 == 4 && arg&1 == 0, Answered: arg&128 == 0,
				}
				if arg%16 == 15 {
					s.Reset *= 1000
				}
				if arg%4 < 2 {
					s.Limit, s.Remaining = 10, arg%10
				}
				if s.Refused && !s.Slots {
					s.Hold = now.Add(time.Duration(arg) * time.Second)
					if s.Hold.After(held[c.key]) {
						held[c.key] = s.Hold
					}
				}
				c.Observe(now.Add(-time.Duration(arg)*time.Millisecond), now, now.Unix()+int64(int8(arg)))
				if wait, ok := c.Until(s.Reset, now); ok && (wait <= 0 || wait > time.Hour+2*time.Second) {
					t.Fatalf("a wait of %s until a reset", wait)
				}
				c.Done(now, s)
				c.in, c.out = false, false
			case 6:
				now = now.Add(time.Duration(arg) * 100 * time.Millisecond)
			case 7:
				g.Configure(pace.Config{
					MaxUtilization: float64(arg%5) / 4, MaxInFlight: arg % 3, Smooth: arg&8 != 0,
					MaxRate: float64(arg % 7), Burst: arg % 2, BucketRates: map[string]float64{"x": float64(arg % 11)},
				})
			case 8:
				now = now.Add(-time.Duration(arg) * time.Second) // the clock is set back
			case 9:
				now = now.Add(time.Duration(arg) * time.Minute)
			}
			out, in := map[pace.Key]int{}, map[pace.Key]int{}
			for i := range calls {
				if c := &calls[i]; c.out {
					out[c.key]++
				} else if c.in {
					in[c.key]++
				}
			}
			for _, s := range g.States(now) {
				if s.InFlight != out[s.Key] || s.Waiting > in[s.Key] || s.Waiting < 0 || !(s.Share > 0 && s.Share <= 1) {
					t.Fatalf("state %+v; %d are out and %d are in", s, out[s.Key], in[s.Key])
				}
			}
		}
	})
}
