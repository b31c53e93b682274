// Package pace is the rate-limit governor: it decides when a call may go. It
// takes the time as an argument, knows no HTTP and never sleeps; its caller
// does.
//
// A call enters the line of its bucket with a [Ticket] and asks [Ticket.Ready]
// until the wait is zero. It then is in flight, and reports with [Ticket.Done]
// what its answer said. A call that gives up says so with [Ticket.Leave].
//
// This file holds the governor and its register of buckets; ticket.go a call's
// way through a bucket; window.go what is known of a bucket's window; line.go
// the order in which waiting calls go; host.go what buckets share; clock.go the
// server's clock.
package pace

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

// Key names a bucket. Two credentials have a share of a limit each, so they
// are told apart, by a hash. Calls of the bucket "" are not known to be limited.
type Key struct {
	Host       string
	Credential uint64
	Bucket     string
}

// Config is what a user can set.
type Config struct {
	MaxUtilization float64 // the share of each window to use at most; 0 counts as 1
	MaxInFlight    int     // calls in flight for each host at most; 0: no cap
	Smooth         bool    // spread calls evenly over each window
	MaxRate        float64 // calls a second for each host; 0: no ceiling
	Burst          int     // calls that may go at once under a ceiling

	BucketRates map[string]float64 // calls a second by bucket, for each host; never changed
}

func (c *Config) equal(o *Config) bool {
	return c.MaxUtilization == o.MaxUtilization && c.MaxInFlight == o.MaxInFlight && c.Smooth == o.Smooth &&
		c.MaxRate == o.MaxRate && c.Burst == o.Burst && maps.Equal(c.BucketRates, o.BucketRates)
}

// Governor holds what is known of every bucket. It is safe for concurrent use.
type Governor struct {
	cfg     atomic.Pointer[Config]
	fleet   *StoreHealth // nil: no store is shared with other processes
	holder  string
	holders atomic.Uint64

	mu      sync.RWMutex
	buckets map[Key]*bucket
	hosts   map[string]*host
	sweepAt int // the number of buckets at which idle ones are looked for
}

// New returns a Governor that knows nothing yet.
func New(cfg Config) *Governor {
	g := &Governor{buckets: make(map[Key]*bucket), hosts: make(map[string]*host), sweepAt: minSweep}
	g.cfg.Store(&cfg)
	return g
}

// Share has all buckets lease their places from a store that processes share.
// holder names this process. It must be called before anything else.
func (g *Governor) Share(f *StoreHealth, holder string) { g.fleet, g.holder = f, holder }

// Configure changes the settings for all calls, those that wait included.
func (g *Governor) Configure(cfg Config) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if cfg.equal(g.cfg.Load()) {
		return
	}
	g.cfg.Store(&cfg)
	for _, b := range g.buckets {
		b.mu.Lock()
		b.line.wakeAll()
		b.mu.Unlock()
	}
}

func (c *Config) utilization() float64 {
	if c.MaxUtilization == 0 {
		return 1
	}
	return c.MaxUtilization
}

// Enter puts a call into the line of its bucket. returning marks a call that
// has been sent before: it goes before the others of its priority, for it came
// before them. The ticket must be zero or done with.
func (g *Governor) Enter(t *Ticket, now time.Time, k Key, p Priority, returning bool, hint *Hint) {
	b := hint.bucket.Load()
	if b == nil || b.key != k || !b.hold() {
		b = g.bucket(k, now)
		hint.bucket.Store(b)
	}
	*t = Ticket{bucket: b, lane: laneOf(p, returning)}
}

// Hint remembers the bucket of the calls that came last from one place, and so
// saves looking for it. The zero Hint is ready for use, by any number of
// goroutines at once, with one Governor.
type Hint struct{ bucket atomic.Pointer[bucket] }

// bucket finds or makes a bucket and counts one reference to it.
func (g *Governor) bucket(k Key, now time.Time) *bucket {
	g.mu.RLock()
	b := g.buckets[k]
	held := b != nil && b.hold()
	g.mu.RUnlock()
	if held {
		return b
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if b = g.buckets[k]; b == nil {
		if len(g.buckets) >= g.sweepAt {
			g.sweep(now)
		}
		h := g.hosts[k.Host]
		if h == nil {
			h = new(host)
			g.hosts[k.Host] = h
		}
		b = &bucket{cfg: &g.cfg, key: k, host: h, window: window{limit: -1, left: -1, unspoken: k.Bucket == ""}, used: now}
		if g.fleet != nil {
			b.lease = g.newLease()
		}
		g.buckets[k] = b
	}
	b.hold() // it is in the register, and only who has mu drops it
	return b
}

// State is a bucket as it stands.
type State struct {
	Key
	Limit, Remaining  int       // -1: unknown
	Reset             time.Time // zero: unknown
	HeldUntil         time.Time // zero: not held
	Share             float64   // this process's part of the bucket's use, as estimated
	InFlight, Waiting int
}

// States returns every bucket, in no order.
func (g *Governor) States(now time.Time) []State {
	g.mu.RLock()
	defer g.mu.RUnlock()
	states := make([]State, 0, len(g.buckets))
	for k, b := range g.buckets {
		b.mu.Lock()
		s := State{
			Key: k, Limit: b.window.limit, Remaining: b.window.left, Reset: b.window.reset,
			Share: b.window.share(b.inFlight), InFlight: b.inFlight, Waiting: b.line.len(),
		}
		if b.held.After(now) {
			s.HeldUntil = b.held
		}
		b.mu.Unlock()
		states = append(states, s)
	}
	return states
}

// Memory is bounded: a bucket that nobody uses is dropped when more than
// minSweep of them have come together; beyond maxBuckets the ones used longest
// ago go first, and at last those that are held.
const (
	minSweep   = 1 << 10
	maxBuckets = 1 << 14
	idle       = 15 * time.Minute
)

// sweep drops buckets that nobody holds: all those that are idle and, if too
// many are left, the oldest. It looks again when their number has doubled, so
// that its cost for each new bucket stays constant. The caller holds mu.
func (g *Governor) sweep(now time.Time) {
	for _, drop := range []struct {
		after time.Duration
		held  bool
	}{{idle, false}, {idle / 15, false}, {0, false}, {0, true}} {
		for k, b := range g.buckets {
			b.mu.Lock()
			unused := now.Sub(b.used) >= drop.after && (drop.held || !b.held.After(now))
			b.mu.Unlock()
			if unused && b.drop() {
				delete(g.buckets, k)
			}
		}
		if len(g.buckets) < maxBuckets {
			break
		}
	}
	inUse := make(map[string]bool, len(g.hosts))
	for k := range g.buckets {
		inUse[k.Host] = true
	}
	for name := range g.hosts {
		if !inUse[name] {
			delete(g.hosts, name)
		}
	}
	g.sweepAt = max(minSweep, 2*len(g.buckets))
}
