// Package pace is the rate-limit governor: it decides when a call may go. It
// takes the time as an argument, knows no HTTP and never sleeps; its caller
// does.
//
// A call enters the line of its bucket with a [Ticket] and asks [Ticket.Ready]
// until the wait is zero. It then is in flight, and reports with [Ticket.Done]
// what its answer said. A call that gives up says so with [Ticket.Leave].
//
// This file holds the governor and its buckets; line.go the order in which
// waiting calls go; clock.go the server's clock.
package pace

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// Key names a bucket. Two credentials have a share of a limit each, so they
// are told apart, by a hash.
type Key struct {
	Host       string
	Credential uint64
	Bucket     string
}

// Config is what a user can set.
type Config struct {
	MaxRate float64 // calls a second for each host; 0: no ceiling
	Burst   int     // calls that may go at once under MaxRate
}

// Seen is what an answer said about its bucket.
type Seen struct {
	Limit, Remaining int       // -1: not said
	Reset            time.Time // on the local clock; zero: not said
	Hold             time.Time // the bucket refused: nobody goes before; zero: it did not
}

// Calls that wait for the same moment go one after the other, at most gap
// apart and within spread in all, in random steps.
const (
	gap    = 10 * time.Millisecond
	spread = time.Second
)

// Governor holds what is known of every bucket. It is safe for concurrent use.
type Governor struct {
	mu      sync.RWMutex
	cfg     Config
	buckets map[Key]*bucket
	hosts   map[string]*host
	sweepAt int // the number of buckets at which idle ones are looked for
}

// bucket is one rate-limit bucket of one host and credential.
type bucket struct {
	key  Key
	host *host
	refs atomic.Int64 // tickets that hold this bucket; it isn't dropped meanwhile

	mu               sync.Mutex
	limit, remaining int       // as last seen; -1: unknown
	reset            time.Time // as last seen, on the local clock
	held             time.Time // nobody goes before
	next             time.Time // the next of the line doesn't go before
	line             line
	inFlight         int
	used             time.Time // when a call last entered
}

// host is what the buckets of a host share.
type host struct {
	ceiling atomic.Pointer[rate.Limiter] // nil: none
}

// New returns a Governor that knows nothing yet.
func New(cfg Config) *Governor {
	return &Governor{cfg: cfg, buckets: make(map[Key]*bucket), hosts: make(map[string]*host), sweepAt: minSweep}
}

// Configure changes the settings for all calls, those that wait included.
func (g *Governor) Configure(cfg Config) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if cfg == g.cfg {
		return
	}
	g.cfg = cfg
	for _, h := range g.hosts {
		h.ceiling.Store(cfg.limiter())
	}
	for _, b := range g.buckets {
		b.mu.Lock()
		b.line.wakeAll()
		b.mu.Unlock()
	}
}

func (c Config) limiter() *rate.Limiter {
	if c.MaxRate <= 0 {
		return nil
	}
	return rate.NewLimiter(rate.Limit(c.MaxRate), max(c.Burst, 1))
}

// Enter puts a call into the line of its bucket. returning marks a call that
// has been sent before: it goes before the others of its priority, for it came
// before them. The ticket must be zero or done with.
func (g *Governor) Enter(t *Ticket, now time.Time, k Key, p Priority, returning bool) {
	*t = Ticket{bucket: g.bucket(k, now), lane: laneOf(p, returning)}
}

// bucket finds or makes a bucket and counts one reference to it.
func (g *Governor) bucket(k Key, now time.Time) *bucket {
	g.mu.RLock()
	b := g.buckets[k]
	if b != nil {
		b.refs.Add(1) // under mu, so that sweep sees it
	}
	g.mu.RUnlock()
	if b != nil {
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
			h.ceiling.Store(g.cfg.limiter())
			g.hosts[k.Host] = h
		}
		b = &bucket{key: k, host: h, limit: -1, remaining: -1, used: now}
		g.buckets[k] = b
	}
	b.refs.Add(1)
	return b
}

// Ready returns 0 when the call may go: it then counts as in flight. Else it
// returns how long to wait before asking again, by the best estimate of when
// the call's turn comes, and what for. A value on [Ticket.Wake] is a reason to
// ask earlier.
func (t *Ticket) Ready(now time.Time) (time.Duration, Reason) {
	b := t.bucket
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used = now
	if ahead := b.line.ahead(t); ahead > 0 {
		b.line.push(t)
		return max(b.held.Sub(now), 0) + time.Duration(ahead)*b.step(), Turn
	}
	if wait, why := b.gate(now); wait > 0 {
		b.line.push(t)
		return wait, why
	}
	if b.line.remove(t) {
		b.next = now.Add(time.Duration(float64(b.apart()) * (0.5 + rand.Float64())))
		b.line.wakeFirst()
	}
	b.inFlight++
	t.flying = true
	return 0, NoReason
}

// gate says how long the first of the line has to wait. When it need not, a
// place under the ceiling has been taken for it.
func (b *bucket) gate(now time.Time) (time.Duration, Reason) {
	if wait := b.held.Sub(now); wait > 0 {
		return wait, Held
	}
	if wait := b.next.Sub(now); wait > 0 && b.line.len() > 0 {
		return wait, Turn
	}
	c := b.host.ceiling.Load()
	if c == nil || c.AllowN(now, 1) {
		return 0, NoReason
	}
	missing := 1 - c.TokensAt(now)
	return time.Duration(missing/float64(c.Limit())*float64(time.Second)) + 1, Ceiling
}

// apart is how far apart the line's calls are sent, on average. A ceiling sees
// to itself: what is waited here on top of it would be lost.
func (b *bucket) apart() time.Duration {
	return min(gap, spread/time.Duration(max(b.line.len(), 1)))
}

// step is the mean distance between two calls of the line.
func (b *bucket) step() time.Duration {
	step := b.apart()
	if c := b.host.ceiling.Load(); c != nil {
		step = max(step, time.Duration(float64(time.Second)/float64(c.Limit())))
	}
	return step
}

// Done ends a call that was sent, with what its answer said; a zero Limit and
// Remaining are a claim, so say -1 for what is not known. It does nothing for
// a ticket that is not in flight.
func (t *Ticket) Done(now time.Time, seen Seen) {
	if !t.flying {
		return
	}
	b := t.bucket
	b.mu.Lock()
	b.inFlight--
	b.used = now
	if seen.Limit >= 0 {
		b.limit = seen.Limit
	}
	if seen.Remaining >= 0 {
		b.remaining = seen.Remaining
	}
	if !seen.Reset.IsZero() {
		b.reset = seen.Reset
	}
	if seen.Hold.After(b.held) {
		b.held = seen.Hold
		b.next = seen.Hold.Add(time.Duration(rand.Int64N(int64(gap))))
		// Who waits must judge anew whether the longer wait still fits.
		b.line.wakeAll()
	}
	b.mu.Unlock()
	t.release()
}

// Leave ends a call that was not sent. It does nothing for a ticket that is
// done with.
func (t *Ticket) Leave() {
	if t.bucket == nil {
		return
	}
	b := t.bucket
	b.mu.Lock()
	if t.flying {
		b.inFlight--
	} else if b.line.remove(t) {
		b.line.wakeFirst()
	}
	b.mu.Unlock()
	t.release()
}

// release gives up the ticket's reference to its bucket.
func (t *Ticket) release() {
	t.bucket.refs.Add(-1)
	t.bucket, t.flying = nil, false
}

// State is a bucket as it stands.
type State struct {
	Key
	Limit, Remaining  int       // -1: unknown
	Reset             time.Time // zero: unknown
	HeldUntil         time.Time // zero: not held
	InFlight, Waiting int
}

// States returns every bucket that is limited, in no order.
func (g *Governor) States(now time.Time) []State {
	g.mu.RLock()
	defer g.mu.RUnlock()
	states := make([]State, 0, len(g.buckets))
	for k, b := range g.buckets {
		b.mu.Lock()
		s := State{Key: k, Limit: b.limit, Remaining: b.remaining, Reset: b.reset, InFlight: b.inFlight, Waiting: b.line.len()}
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
			if unused && b.refs.Load() == 0 {
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
