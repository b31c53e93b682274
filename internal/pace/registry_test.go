// This file tests what bounds the governor's memory, and its use by many
// goroutines at once.

package pace_test

import (
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/internal/pace"
)

// More than twice as many keys as are remembered at once, so that their number comes
// to its bound twice: it is bounded, what they take at most is bounded, and once all
// are idle nothing of them is left.
func TestMemoryIsBoundedForAnyNumberOfKeys(t *testing.T) {
	const (
		mostBuckets = 1 << 14
		keys        = 2*mostBuckets + 1000
	)
	for name, seen := range map[string]pace.Seen{
		"answered": noLimits,
		"held":     {Limit: -1, Remaining: -1, Hold: after(24 * time.Hour), Answered: true, Refused: true},
	} {
		t.Run(name, func(t *testing.T) {
			before := heapInUse()
			g := pace.New(pace.Config{MaxRate: 10, Burst: 1})
			used := enter(g, epoch, pace.Key{Host: "used"})
			mustGo(t, used, epoch)
			var ticket pace.Ticket
			var hint pace.Hint
			measured := false
			for i := range keys {
				now := after(time.Duration(i) * time.Millisecond)
				g.Enter(&ticket, now, pace.Key{Host: "h" + strconv.Itoa(i), Credential: uint64(i), Bucket: "b"}, pace.Call{}, &hint)
				if wait, _ := ticket.Ready(now); wait > 0 {
					t.Fatalf("a wait of %s in an unknown bucket", wait)
				}
				ticket.Done(now, seen)
				buckets, hosts := g.Buckets()
				if buckets > mostBuckets+1 || hosts > buckets {
					t.Fatalf("%d buckets of %d hosts at once, want %d at most", buckets, hosts, mostBuckets)
				}
				if buckets == mostBuckets && !measured {
					measured = true
					if grown := heapInUse() - before; grown > 24<<20 {
						t.Errorf("%d buckets take %d MiB", buckets, grown>>20)
					}
				}
			}
			if !measured {
				t.Errorf("there were never %d buckets", mostBuckets)
			}
			for i := range 2 * mostBuckets { // the next sweep comes, days later
				now := after(48*time.Hour + time.Duration(i))
				g.Enter(&ticket, now, pace.Key{Host: "h" + strconv.Itoa(i)}, pace.Call{}, &hint)
				ticket.Leave(now)
				if buckets, _ := g.Buckets(); buckets < i {
					break
				}
			}
			if grown := heapInUse() - before; grown > 8<<20 {
				t.Errorf("%d MiB are left of buckets that were dropped", grown>>20)
			}
			if s := state(t, g, after(72*time.Hour), pace.Key{Host: "used"}); s.InFlight != 1 {
				t.Errorf("a bucket with a call in flight was dropped")
			}
			used.Done(epoch, noLimits)
		})
	}
}

// heapInUse returns how many bytes are in use.
func heapInUse() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestIdleBucketIsDroppedAndAHeldOneIsNot(t *testing.T) {
	g := pace.New(pace.Config{})
	hold(t, g, users, epoch, after(20*time.Minute)) // of which a minute is believed
	send(t, g, pace.Key{Host: users.Host, Bucket: "idle"}, epoch, noLimits)
	send(t, g, pace.Key{Host: "idle.okta.com"}, epoch, noLimits)
	now := after(16 * time.Minute)
	hold(t, g, users, now, now.Add(time.Minute))
	for i := range 1 << 10 {
		ticket := enter(g, now, pace.Key{Host: strconv.Itoa(i)})
		mustGo(t, ticket, now)
		ticket.Leave(now)
	}
	if s := state(t, g, now, users); s.HeldUntil.Before(now.Add(time.Minute)) {
		t.Errorf("held until %s", s.HeldUntil)
	}
	if buckets, hosts := g.Buckets(); buckets != 1+1<<10 || hosts != 1+1<<10 {
		t.Errorf("%d buckets of %d hosts, want two idle buckets and an idle host dropped", buckets, hosts)
	}
}

func TestGovernorIsSafeForConcurrentUse(t *testing.T) {
	g := pace.New(pace.Config{MaxRate: 1e6, Burst: 1e6})
	var all sync.WaitGroup
	for worker := range 16 {
		all.Go(func() {
			for i := range 500 {
				now := after(time.Duration(i) * time.Millisecond)
				ticket := new(pace.Ticket)
				g.Enter(ticket, now, pace.Key{Host: "h", Bucket: strconv.Itoa(i % 7)}, pace.Call{Priority: pace.Priority(worker % 2), Returning: i%3 == 0}, new(pace.Hint))
				wait, _ := ticket.Ready(now)
				switch {
				case wait > 0 || rand.N(10) == 0:
					ticket.Leave(now)
				case i%5 == 0:
					ticket.Done(now, pace.Seen{Limit: 10, Remaining: 1, Hold: now.Add(time.Millisecond)})
				default:
					ticket.Done(now, noLimits)
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

// A page that shows a bucket must not hold up the calls of others, nor the first call
// of a new one.
func TestStatesHoldsUpNoOtherBucket(t *testing.T) {
	g, now := pace.New(pace.Config{}), time.Now()
	unlock := g.LockBucket(pace.Key{Host: "slow"}, now)
	asked := make(chan []pace.State, 1)
	go func() { asked <- g.States(now) }()
	entered := make(chan struct{})
	go func() {
		defer close(entered)
		for i := range 1000 {
			var (
				ticket pace.Ticket
				hint   pace.Hint
			)
			g.Enter(&ticket, now, pace.Key{Host: strconv.Itoa(i)}, pace.Call{}, &hint)
			ticket.Leave(now)
			time.Sleep(10 * time.Microsecond) // the other begins meanwhile
		}
	}()
	select {
	case <-entered:
	case <-time.After(30 * time.Second):
		t.Error("calls of other buckets wait for a bucket that is being shown")
	}
	unlock()
	if got := <-asked; len(got) == 0 {
		t.Error("no states")
	}
}
