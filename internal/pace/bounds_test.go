package pace_test

// This file tests what bounds the governor's memory, and its use by many
// goroutines at once.

import (
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/internal/pace"
)

func TestAMillionKeysStayWithinAFixedMemory(t *testing.T) {
	keys := 1_000_000
	if raceEnabled {
		keys = 100_000 // thirty times slower
	}
	for name, seen := range map[string]pace.Seen{
		"answered": free,
		"held":     {Limit: -1, Remaining: -1, Hold: after(24 * time.Hour), Answered: true, Refused: true},
	} {
		t.Run(name, func(t *testing.T) {
			var before, afterwards runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			g := pace.New(pace.Config{MaxRate: 10, Burst: 1})
			busy := enter(g, epoch, pace.Key{Host: "busy"})
			goes(t, busy, epoch)
			most := 0
			for i := range keys {
				now := after(time.Duration(i) * time.Millisecond)
				ticket := enter(g, now, pace.Key{Host: "h" + strconv.Itoa(i), Credential: uint64(i), Bucket: "b"})
				goes(t, ticket, now)
				ticket.Done(now, seen)
				if i%10_000 == 0 {
					most = max(most, len(g.States(now)))
				}
			}
			if most > 1<<15+1 {
				t.Errorf("%d buckets at once, want %d at most", most, 1<<15)
			}
			runtime.GC()
			runtime.ReadMemStats(&afterwards)
			if grown := int64(afterwards.HeapAlloc) - int64(before.HeapAlloc); grown > 32<<20 {
				t.Errorf("%d MiB are held", grown>>20)
			}
			if s := state(t, g, after(time.Hour), pace.Key{Host: "busy"}); s.InFlight != 1 {
				t.Errorf("a bucket with a call in flight was dropped")
			}
			busy.Done(epoch, free)
		})
	}
}

func TestIdleBucketIsForgottenAndABusyOneIsNot(t *testing.T) {
	g := pace.New(pace.Config{})
	hold(t, g, users, epoch, after(20*time.Minute))
	now := after(16 * time.Minute)
	for i := range 1 << 10 {
		ticket := enter(g, now, pace.Key{Host: strconv.Itoa(i)})
		goes(t, ticket, now)
		ticket.Leave(now)
	}
	if s := state(t, g, now, users); s.HeldUntil.Before(after(20 * time.Minute)) {
		t.Errorf("held until %s", s.HeldUntil)
	}
}

func TestGovernorServesManyGoroutines(t *testing.T) {
	g := pace.New(pace.Config{MaxRate: 1e6, Burst: 1e6})
	var all sync.WaitGroup
	for worker := range 16 {
		all.Go(func() {
			for i := range 500 {
				now := after(time.Duration(i) * time.Millisecond)
				ticket := new(pace.Ticket)
				g.Enter(ticket, now, pace.Key{Host: "h", Bucket: strconv.Itoa(i % 7)}, pace.Priority(worker%2), i%3 == 0, new(pace.Hint))
				wait, _ := ticket.Ready(now)
				switch {
				case wait > 0 || rand.N(10) == 0:
					ticket.Leave(now)
				case i%5 == 0:
					ticket.Done(now, pace.Seen{Limit: 10, Remaining: 1, Hold: now.Add(time.Millisecond)})
				default:
					ticket.Done(now, free)
				}
				if i%100 == 0 {
					g.States(now)
					g.Configure(pace.Config{MaxRate: 1e6 + float64(i), Burst: 1e6})
				}
			}
		})
	}
	all.Wait()
	for _, s := range g.States(epoch) {
		if s.InFlight != 0 || s.Waiting != 0 {
			t.Errorf("state %+v, want none in flight and none waiting", s)
		}
	}
}
