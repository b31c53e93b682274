// This file holds a call's way through its bucket: it comes, waits, goes and
// reports.

package pace

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// Seen is what an answer said about limits.
type Seen struct {
	Limit, Remaining int       // -1: not said
	Reset            int64     // Unix seconds on the server's clock; 0: not said
	Refused          bool      // a 429
	Hold             time.Time // the bucket refused: nobody goes before; zero: it did not
	Slots            bool      // the refusal came from the host's limit of calls in flight
	Answered         bool      // there was an answer
}

// bucket is one rate-limit bucket of one host and credential.
type bucket struct {
	cfg  *atomic.Pointer[Config]
	key  Key
	host *host
	refs atomic.Int64 // tickets that hold this bucket; it isn't dropped meanwhile

	wantsSlot bool // it stands in host.waiting; guarded by host.mu

	mu       sync.Mutex
	window   window
	held     time.Time // nobody goes before
	next     time.Time // the next call doesn't go before
	line     line
	inFlight int
	used     time.Time // when a call last came
	smooth   *rate.Limiter

	// After a wait of all, those in line go one by one, step apart.
	step      time.Duration
	stepUntil time.Time
}

// A line that waited for the same moment goes in random steps, at most gap
// apart and within about spread in all.
const (
	gap    = 10 * time.Millisecond
	spread = 200 * time.Millisecond
)

// Ticket is one call's place in the line of a bucket. It is for one goroutine.
type Ticket struct {
	bucket *bucket
	lane   uint8
	place  int // position in its lane, counted from 1; 0: not in line
	flying bool
	scout  bool  // it counts in window.entered
	window int64 // the window in which it went
	level  int   // how many were in flight to the host with it
	wake   chan struct{}
}

// Wake yields a value when Ready should be asked again. It is nil, which
// blocks for ever, while the ticket is not in line.
func (t *Ticket) Wake() <-chan struct{} { return t.wake }

// Observe takes note of an answer's Date, see [Clock.Observe].
func (t *Ticket) Observe(sent, arrived time.Time, date int64) {
	t.bucket.host.clock.Observe(sent, arrived, date)
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
		return b.estimate(now, ahead), Turn
	}
	cfg := b.cfg.Load()
	if wait, why := b.gate(t, now, cfg); wait > 0 {
		b.line.push(t)
		return wait, why
	}
	if b.line.remove(t) {
		if now.Before(b.stepUntil) {
			b.next = later(b.next, now.Add(jitter(b.step)))
		}
		b.line.wakeFirst()
	}
	t.scout = b.window.enter(now)
	t.window = b.window.id
	b.inFlight++
	t.flying = true
	return 0, NoReason
}

// gate says how long the first of the line has to wait. When it need not, it
// has what it needs: a slot, and a place under the ceiling.
func (b *bucket) gate(t *Ticket, now time.Time, cfg *Config) (time.Duration, Reason) {
	if !b.held.IsZero() {
		if wait := b.held.Sub(now); wait > 0 {
			return wait, Held
		}
		b.held = time.Time{}
		b.open(now)
	}
	if wait := b.next.Sub(now); wait > 0 {
		return wait, Turn
	}
	ok, wait, pause := b.window.room(now, b.inFlight, cfg.utilization())
	if !ok {
		return max(wait, time.Millisecond), Exhausted
	}
	if cfg.Smooth {
		if wait := b.smoothly(now, cfg); wait > 0 {
			return wait, Exhausted
		}
	}
	level, wait, why := b.host.take(now, b, cfg.MaxInFlight)
	if wait > 0 {
		return wait, why
	}
	t.level = level
	if pause > 0 {
		b.next = now.Add(pause)
	}
	return 0, NoReason
}

// open begins the time in which the line goes step by step.
func (b *bucket) open(now time.Time) {
	b.step = min(gap, spread/time.Duration(max(b.line.len(), 1)))
	b.stepUntil = now.Add(2 * spread)
}

// smoothly spreads what is left of a window over what is left of its time.
func (b *bucket) smoothly(now time.Time, cfg *Config) time.Duration {
	w := &b.window
	if w.unspoken || w.id == 0 || !now.Before(w.reset) {
		return 0
	}
	free := max(w.left-b.inFlight-reserve(w.limit, cfg.utilization()), 1)
	each := rate.Limit(float64(free) / w.reset.Sub(now).Seconds())
	if b.smooth == nil {
		b.smooth = rate.NewLimiter(each, 1)
	}
	b.smooth.SetLimitAt(now, each)
	if b.smooth.AllowN(now, 1) {
		return 0
	}
	return shortOf(b.smooth, now)
}

// shortOf returns how long a limiter needs to gather the token that it lacks.
func shortOf(l *rate.Limiter, now time.Time) time.Duration {
	return time.Duration((1-l.TokensAt(now))/float64(l.Limit())*float64(time.Second)) + 1
}

// estimate says when the turn of a call comes that has others before it. It
// errs on the short side: a call must not be refused that could have gone.
func (b *bucket) estimate(now time.Time, ahead int) time.Duration {
	wait := max(b.held.Sub(now), 0)
	w := &b.window
	if now.Before(w.reset) && !w.unspoken && w.bursts <= 1 {
		capacity := w.limit - reserve(w.limit, b.cfg.Load().utilization())
		free := max(w.left-reserve(w.limit, b.cfg.Load().utilization()), 0)
		if beyond := ahead - free; beyond >= 0 && capacity > 0 {
			wait = max(wait, w.reset.Sub(now)+w.long*time.Duration(beyond/capacity))
		}
	}
	if each := b.host.interval(); each > 0 {
		wait = max(wait, time.Duration(ahead)*each)
	}
	return wait + max(time.Duration(ahead)*b.step, gap)
}

// Done ends a call that was sent, with what its answer said. It does nothing
// for a ticket that is not in flight.
func (t *Ticket) Done(now time.Time, seen Seen) {
	if !t.flying {
		return
	}
	b := t.bucket
	b.mu.Lock()
	b.inFlight--
	b.used = now
	known := b.window.id
	if seen.Answered && !seen.Slots {
		b.window.learn(seen, b.localReset(seen.Reset, now), seen.Refused, now)
	}
	if b.window.id != known {
		b.open(now)
	}
	b.window.leave(t)
	if seen.Hold.After(b.held) {
		b.held = seen.Hold.Add(rand.N(gap))
		// Who waits must judge anew whether the longer wait still fits.
		b.line.wakeAll()
	} else {
		b.line.wakeFirst()
	}
	b.mu.Unlock()
	verdict := slotUnused
	switch {
	case seen.Slots:
		verdict = slotRefused
	case seen.Answered:
		verdict = slotUsed
	}
	b.host.wake(b.host.putBack(now, t.level, verdict))
	t.release()
}

// Until returns how long to wait after now for the window to end whose reset an
// answer names; false when that is not plausible. A second is added because
// the server may cut the fraction off its reset: for a bucket that is known by
// refusals only. Else a single scout finds out, and where it meets the old
// window, window.late adds the second from then on.
func (t *Ticket) Until(reset int64, now time.Time) (time.Duration, bool) {
	b := t.bucket
	wait, sharp, ok := b.host.clock.Until(reset, now)
	if !ok {
		return 0, false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.window.late || !b.window.trust && !sharp {
		wait += time.Second
	}
	return wait, true
}

// localReset is when the server's clock will have passed reset, on the local
// clock; zero when that is not plausible. No second is added here: at most one
// scout meets the old window, and then window.late adds it.
func (b *bucket) localReset(reset int64, now time.Time) time.Time {
	wait, _, ok := b.host.clock.Until(reset, now)
	if !ok {
		return time.Time{}
	}
	return now.Add(wait)
}

// Leave ends a call that was not sent. It does nothing for a ticket that is
// done with.
func (t *Ticket) Leave(now time.Time) {
	if t.bucket == nil {
		return
	}
	b := t.bucket
	b.mu.Lock()
	flying := t.flying
	if flying {
		b.inFlight--
		b.window.leave(t)
	}
	b.line.remove(t)
	b.line.wakeFirst()
	b.mu.Unlock()
	if flying {
		b.host.wake(b.host.putBack(now, t.level, slotUnused))
	}
	t.release()
}

// release gives up the ticket's reference to its bucket.
func (t *Ticket) release() {
	t.bucket.refs.Add(-1)
	t.bucket, t.flying = nil, false
}

// jitter returns between a half and one and a half of d.
func jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.5 + rand.Float64()))
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
