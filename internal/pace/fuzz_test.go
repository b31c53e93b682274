// This file lets anything happen to a governor in any order.

package pace_test

import (
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/internal/pace"
)

// FuzzGovernor reads operations from bytes, two for each. Whatever they are, no
// call is sent before the end of a hold that the governor reported, a refusal that
// nothing makes doubtful holds its bucket, no wait is negative, and the counts are
// those of the calls that wait and are in flight.
func FuzzGovernor(f *testing.F) {
	f.Add([]byte{0, 0, 1, 0, 3, 0, 0, 1, 1, 1, 4, 1})
	f.Add([]byte{0, 0, 1, 0, 0, 1, 1, 1, 5, 0, 1, 1, 6, 200, 1, 1, 2, 1})
	f.Add([]byte{7, 3, 0, 0, 0, 1, 0, 2, 1, 0, 1, 1, 1, 2, 8, 0, 1, 1, 2, 2, 6, 9, 1, 1})
	f.Fuzz(func(t *testing.T, ops []byte) {
		m := &machine{t: t, g: pace.New(pace.Config{}), held: map[pace.Key]machineHold{}, now: epoch}
		for n := 0; len(ops) >= 2 && n < 2000; n++ {
			m.do(ops[0], int(ops[1]))
			m.check()
			ops = ops[2:]
		}
	})
}

// machine is a governor, its calls, and what is true of them.
type machine struct {
	t     *testing.T
	g     *pace.Governor
	calls [8]machineCall
	held  map[pace.Key]machineHold
	now   time.Time
}

type machineHold struct{ since, until time.Time }

type machineCall struct {
	pace.Ticket
	key               pace.Key
	sentAt            time.Time
	entered, inFlight bool
}

var machineKeys = [4]pace.Key{{Host: "a", Bucket: "x"}, {Host: "a", Bucket: "y"}, {Host: "b", Bucket: "x"}, {Host: "a"}}

func (m *machine) do(op byte, arg int) {
	c := &m.calls[arg%len(m.calls)]
	switch op % 10 {
	case 0:
		if !c.entered {
			c.entered, c.key = true, machineKeys[arg/8%len(machineKeys)]
			m.g.Enter(&c.Ticket, m.now, c.key, pace.Call{Priority: pace.Priority(arg >> 7), Returning: arg&64 != 0}, new(pace.Hint))
		}
	case 1:
		if c.entered && !c.inFlight {
			m.ask(c)
		}
	case 2:
		if c.entered {
			c.Leave(m.now)
			c.entered, c.inFlight = false, false
		}
	case 3, 4, 5:
		if c.inFlight {
			m.answer(c, pace.Seen{Refused: op%10 == 4, Accepted: op%10 == 5}, arg)
		}
	case 6:
		m.now = m.now.Add(time.Duration(arg) * 100 * time.Millisecond)
	case 7:
		m.g.Configure(pace.Config{
			MaxUtilization: float64(arg%5) / 4, MaxInFlight: arg % 3, Smooth: arg&8 != 0,
			MaxRate: float64(arg % 7), Burst: arg % 2, BucketRates: map[string]float64{"x": float64(arg % 11)},
		})
	case 8:
		m.now = m.now.Add(-time.Duration(arg) * time.Second) // the clock is set back
	case 9:
		m.now = m.now.Add(time.Duration(arg) * time.Minute)
	}
}

func (m *machine) ask(c *machineCall) {
	wait, why := c.Ready(m.now)
	switch {
	case wait < 0 || c.Nap(wait) < wait:
		m.t.Fatalf("a wait of %s, a nap of %s", wait, c.Nap(wait))
	case wait > 0 && why == pace.NoReason || wait == 0 && why != pace.NoReason:
		m.t.Fatalf("a wait of %s because of %d", wait, why)
	case wait == 0 && m.now.Before(m.held[c.key].until):
		m.t.Fatalf("it was sent %s before the hold was over", m.held[c.key].until.Sub(m.now))
	}
	c.inFlight, c.sentAt = wait == 0, m.now
}

func (m *machine) answer(c *machineCall, s pace.Seen, arg int) {
	s.Limit, s.Remaining = int(int8(arg))*(1<<(arg%60)), int(int8(arg<<1))*(1<<(arg%57))
	s.Reset = m.now.Unix() + int64(int8(arg<<2))
	s.Slots, s.Answered = s.Refused && arg&1 == 0, s.Accepted || arg&128 == 0
	if arg%16 == 15 {
		s.Reset *= 1000
	}
	if arg%4 < 2 {
		s.Limit, s.Remaining = 10, arg%10
	}
	if s.Refused && !s.Slots {
		s.Hold = m.now.Add(time.Duration(arg) * time.Second)
	}
	c.Observe(m.now.Add(-time.Duration(arg)*time.Millisecond), m.now, m.now.Unix()+int64(int8(arg)))
	if wait, ok := c.Until(s.Reset, m.now); ok && (wait <= 0 || wait > time.Hour+2*time.Second) {
		m.t.Fatalf("a wait of %s until a reset", wait)
	}
	end := c.Done(m.now, s)
	c.entered, c.inFlight = false, false
	m.learn(c, s, end)
}

// learn notes what an answer holds, or ends: a call that was sent after a hold began,
// and accepted, ends it.
func (m *machine) learn(c *machineCall, s pace.Seen, end pace.End) {
	hold := m.held[c.key]
	switch {
	case s.Accepted && c.sentAt.After(hold.since):
		delete(m.held, c.key)
	case end.Held && s.Hold.After(hold.until):
		m.held[c.key] = machineHold{m.now, s.Hold}
	case s.Refused && !s.Slots && s.Limit <= 0 && !end.Held && s.Hold.Before(m.now.Add(time.Minute)):
		m.t.Fatalf("a refusal without limits holds nothing: %+v", s)
	}
}

// check compares the governor's counts with those of the calls.
func (m *machine) check() {
	sent, waiting := map[pace.Key]int{}, map[pace.Key]int{}
	for i := range m.calls {
		if c := &m.calls[i]; c.inFlight {
			sent[c.key]++
		} else if c.entered {
			waiting[c.key]++
		}
	}
	for _, s := range m.g.States(m.now) {
		if s.InFlight != sent[s.Key] || s.Waiting > waiting[s.Key] || s.Waiting < 0 || !(s.Share > 0 && s.Share <= 1) {
			m.t.Fatalf("state %+v; %d are in flight and %d may wait", s, sent[s.Key], waiting[s.Key])
		}
	}
}
