// This file holds what a call costs that need not wait.

package pace_test

import (
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/internal/pace"
	"github.com/oktaretry/oktaretry/shared"
)

// callers are the ways of a call that is sent at once, by what the governor
// knows. Each returns a function that makes one such call.
var callers = []struct {
	name   string
	caller func() func()
}{
	{"no limits", func() func() { return caller(pace.New(pace.Config{}), noLimits) }},
	{"known window", func() func() { return caller(pace.New(pace.Config{}), limits(1<<30, 1<<29, time.Minute)) }},
	{"ceiling", func() func() { return caller(pace.New(pace.Config{MaxRate: 1e9, Burst: 1 << 30}), noLimits) }},
	{"shared, no limits", func() func() {
		g := pace.New(pace.Config{})
		g.Share(new(pace.StoreHealth), "p.")
		first := enter(g, epoch, users)
		first.Ready(epoch)
		first.StoreRequest(epoch).Answered(epoch, shared.Lease{Unbound: true, Places: 1, Lasts: time.Second})
		first.Leave(epoch)
		return caller(g, noLimits)
	}},
}

func caller(g *pace.Governor, answer pace.Seen) func() {
	var ticket pace.Ticket
	var hint pace.Hint
	return func() {
		g.Enter(&ticket, epoch, users, pace.Call{}, &hint)
		ticket.Ready(epoch)
		ticket.Observe(epoch, epoch, epoch.Unix())
		ticket.Done(epoch, answer)
	}
}

func TestCallThatNeedNotWaitAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates, too")
	}
	for _, tt := range callers {
		t.Run(tt.name, func(t *testing.T) {
			call := tt.caller()
			call()
			if n := testing.AllocsPerRun(100, call); n > 0 {
				t.Errorf("%g allocations, want none", n)
			}
		})
	}
}

func BenchmarkCall(b *testing.B) {
	for _, tt := range callers {
		b.Run(tt.name, func(b *testing.B) {
			call := tt.caller()
			b.ReportAllocs()
			for b.Loop() {
				call()
			}
		})
	}
}
