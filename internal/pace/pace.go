// Package pace is the rate-limit governor: it decides when a call may be sent.
// It takes the time as an argument, knows no HTTP, does no I/O and never sleeps:
// its caller does.
//
// A call joins the line of its bucket with [Governor.Enter] and asks
// [Ticket.Ready] until the wait is zero. It then counts as in flight until
// [Ticket.Done] reports the limits in its answer, or [Ticket.Leave] that it was
// not sent.
//
// What the words mean here:
//
//   - bucket: the calls that the server counts together, by host, credential and endpoint.
//   - window: the time over which the server counts a bucket's calls up to a limit, until its reset.
//   - place: one call that a window has room for.
//   - slot: one call that a bucket, or a host whatever the bucket, has room for in flight.
//   - ceiling: the user's own limit of calls a second.
//   - line: the calls that wait for their bucket, in the order in which they go.
//   - hold: the time until which a bucket sends nothing, because a refusal named it.
//   - scout: a call sent into a window of which nothing is known; its answer describes it.
//   - lease: the places that a store, shared with other processes, grants for a moment.
//   - kind: what the server may count apart within a bucket; part: a bucket of the kinds with one limit.
//   - epoch: the calls sent within a moment, whose refusals for want of a slot are judged together.
//
// Governor.mu guards which buckets and hosts there are, bucket.mu the state of
// one bucket and of the tickets in its line, host.mu what the buckets of a host
// share. They are locked in this order. The comment of a field names the functions
// that write it.
//
// This file holds the governor as its users see it.
package pace

import (
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// Key identifies a bucket. Each credential has its own share of a limit; it is
// given as a hash. The bucket "" holds the calls that are not known to be limited.
type Key struct {
	Host       string
	Credential uint64
	Bucket     string
}

// Governor holds what is known of every bucket. It is safe for concurrent use.
type Governor struct {
	cfg     atomic.Pointer[Config] // written by Configure, under mu
	store   *StoreHealth           // of the shared store, nil without one; written by Share
	holder  string                 // this process's name at the store; written by Share
	holders atomic.Uint64          // how many buckets have been given a holder's name

	mu      sync.RWMutex
	buckets map[Key]*bucket  // under mu
	hosts   map[string]*host // those of buckets; under mu
	sweepAt int              // the number of buckets at which idle ones are dropped; under mu
}

// New returns a Governor that knows nothing yet.
func New(cfg Config) *Governor {
	g := &Governor{buckets: make(map[Key]*bucket), hosts: make(map[string]*host), sweepAt: minSweep}
	g.cfg.Store(&cfg)
	return g
}

// Share makes all buckets lease their places from a store that processes share.
// holder names this process. It must be called before any other method.
func (g *Governor) Share(store *StoreHealth, holder string) { g.store, g.holder = store, holder }

// Configure changes the settings for all calls, waiting ones included.
func (g *Governor) Configure(cfg Config) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if cfg.equal(g.cfg.Load()) {
		return
	}
	g.cfg.Store(&cfg)
	for _, b := range g.buckets {
		b.mu.Lock()
		b.wakeAll()
		b.mu.Unlock()
	}
}

// Call is what a call brings to its bucket.
type Call struct {
	Priority  Priority
	Returning bool     // it was sent before: it goes before the others of its priority
	Kind      Kind     // must not change before the call ends; nil: it does not split the bucket
	URL       *url.URL // tells refusals apart, must not change; nil: it does not
	Traits
}

// Traits are what is known of a bucket from its endpoints. Those of the first
// call count.
type Traits struct {
	Narrow bool // the server also limits single users, clients or sessions here
	Bursts bool // the server accepts calls beyond the limit for a while
}

// Enter puts a call into the line of its bucket. t must be zero or done with.
func (g *Governor) Enter(t *Ticket, now time.Time, k Key, c Call, hint *Hint) {
	*t = Ticket{
		governor: g, call: c, bucket: g.find(k, c.Traits, now, hint),
		waiter: waiter{lane: laneOf(c.Priority, c.Returning)},
	}
}

// find finds or makes a bucket, and retains it.
func (g *Governor) find(k Key, traits Traits, now time.Time, hint *Hint) *bucket {
	b := hint.bucket.Load()
	if b == nil || b.key != k || !b.retain() {
		b = g.bucket(k, traits, now)
		hint.bucket.Store(b)
	}
	return b
}

// Hint caches the bucket of the last call from one place in the program, which
// saves the next one the search. The zero Hint is ready for use with one
// Governor. It is safe for concurrent use.
type Hint struct{ bucket atomic.Pointer[bucket] }

// State is the state of one bucket.
type State struct {
	Key
	Limit, Remaining  int       // -1: unknown
	Reset             time.Time // zero: unknown
	HeldUntil         time.Time // zero: not held
	Share             float64   // this process's part of the bucket's use, as estimated
	InFlight, Waiting int
}

// States returns the state of every bucket, in no order. It takes the lock of one
// bucket at a time and none else meanwhile, so it holds up no call.
func (g *Governor) States(now time.Time) []State {
	g.mu.RLock()
	all := make([]*bucket, 0, len(g.buckets))
	for _, b := range g.buckets {
		all = append(all, b)
	}
	g.mu.RUnlock()
	states := make([]State, len(all))
	for i, b := range all {
		states[i] = b.state(now)
	}
	return states
}
