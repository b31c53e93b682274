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
	refs atomic.Int64 // tickets that hold this bucket; negative once it was dropped

	wantsSlot bool // it stands in host.waiting; guarded by host.mu

	mu       sync.Mutex
	window   window
	held     time.Time // nobody goes before
	next     time.Time // the next call doesn't go before
	line     line
	why      Reason // what the first of the line waits for, or waited for last
	inFlight int
	used     time.Time // when a call last came
	smooth   *rate.Limiter
	reckoned reckoned
	lease    *lease // nil: no store is shared with other processes

	// After a wait of all, those in line go one by one, step apart.
	step      time.Duration
	stepUntil time.Time
}

// hold counts a ticket and reports whether the bucket can have it: not once it
// was dropped.
func (b *bucket) hold() bool {
	if b.refs.Add(1) > 0 {
		return true
	}
	b.refs.Add(-1)
	return false
}

// drop takes the bucket out of use, and reports whether nobody held it.
func (b *bucket) drop() bool { return b.refs.CompareAndSwap(0, dropped) }

const dropped = -1 << 62

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
	place  int  // position in its lane, counted from 1; 0: not in line
	behind bool // others go first, as far as it knows
	flying bool
	scout  bool  // it counts in window.entered
	window int64 // the window in which it went
	wake   chan struct{}

	went   time.Time     // when it went
	leased bool          // it has a place of the store's
	finds  bool          // it finds out for all processes what the window is like
	nap    time.Duration // how long to sleep before asking again; 0: as long as the wait
}

// Wake yields a value when Ready should be asked again. It is nil, which
// blocks for ever, while the ticket is not in line.
func (t *Ticket) Wake() <-chan struct{} { return t.wake }

// Observe takes note of an answer's Date, see [Clock.Observe].
func (t *Ticket) Observe(sent, arrived time.Time, date int64) {
	t.bucket.host.clock.Observe(sent, arrived, date)
}

// Ready returns 0 when the call may go: it then counts as in flight. Else it
// returns how long the wait is, by an estimate of when the call's turn comes
// that errs on the short side, and what it, or the line before it, waits for.
// Ask again after [Ticket.Nap] of it, or at once on a value of [Ticket.Wake].
func (t *Ticket) Ready(now time.Time) (time.Duration, Reason) {
	b := t.bucket
	cfg := b.cfg.Load()
	b.mu.Lock()
	wait, why := b.ready(t, now, cfg)
	b.mu.Unlock()
	// It may have been told of a slot that it did not take, or not the only one.
	b.host.passOn(cfg.MaxInFlight)
	return wait, why
}

// Nap returns how long to sleep at most before asking again, when Ready has
// returned wait. Those behind others are woken when they come to be the first,
// and ask on their own only to see whether a longer wait still fits.
func (t *Ticket) Nap(wait time.Duration) time.Duration {
	switch {
	case t.behind:
		return max(wait, patience)
	case t.nap > 0:
		return t.nap
	}
	return wait
}

func (b *bucket) ready(t *Ticket, now time.Time, cfg *Config) (time.Duration, Reason) {
	b.used = now
	ahead := b.line.ahead(t)
	if t.behind = ahead > 0; t.behind {
		b.line.push(t)
		if b.why == NoReason {
			return b.estimate(now, ahead, cfg), Turn
		}
		return b.estimate(now, ahead, cfg), b.why
	}
	wait, why := b.gate(t, now, cfg)
	if wait > 0 {
		if why != Ask { // that is for t alone to do
			b.why = why
		}
		b.line.push(t)
		return wait, why
	}
	if b.line.remove(t) {
		if now.Before(b.stepUntil) {
			b.next = later(b.next, now.Add(jitter(b.step)))
		}
		b.line.wakeFirst()
	}
	if b.line.len() == 0 {
		b.why = NoReason
	}
	t.scout = b.window.enter(now)
	t.window = b.window.id
	b.use(t, now)
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
	if b.next.After(now) {
		return b.next.Sub(now), Turn
	}
	why, wait, pause := b.room(t, now, cfg)
	if why != NoReason {
		return max(wait, time.Millisecond), why
	}
	even := b.evenly(now, cfg)
	if wait := untilTokens(even, now, 1); wait > 0 {
		return wait, Turn
	}
	wait, why = b.host.take(now, b, cfg)
	if wait > 0 {
		return wait, why
	}
	if even != nil {
		even.AllowN(now, 1)
	}
	if pause > 0 {
		b.next = now.Add(pause)
	}
	return 0, NoReason
}

// open begins the time in which the line goes step by step.
func (b *bucket) open(now time.Time) {
	b.step = min(gap, spread/time.Duration(max(b.line.len(), 1)))
	b.stepUntil = now.Add(2 * spread)
	if b.why == Held || b.why == Exhausted {
		b.why = Turn
	}
}

// evenly returns what spreads the places that are left of a window over the
// time that is left of it; nil where nothing does.
func (b *bucket) evenly(now time.Time, cfg *Config) *rate.Limiter {
	w := &b.window
	if !cfg.Smooth || w.unspoken || w.id == 0 || !now.Before(w.reset) {
		return nil
	}
	free := max((w.left-b.inFlight-reserve(w.limit, cfg.utilization()))/b.sharers(), 1)
	each := rate.Limit(float64(free) / w.reset.Sub(now).Seconds())
	if b.smooth == nil {
		b.smooth = rate.NewLimiter(each, 1)
	}
	b.smooth.SetLimitAt(now, each)
	return b.smooth
}

// untilTokens returns how long a limiter needs until it has n tokens, if nobody
// takes any meanwhile and its burst is no bound.
func untilTokens(l *rate.Limiter, now time.Time, n int) time.Duration {
	if l == nil {
		return 0
	}
	missing := float64(n) - l.TokensAt(now)
	if missing <= 1e-9 { // that is rounding
		return 0
	}
	seconds := missing / float64(l.Limit())
	return time.Duration(min(seconds, longest.Seconds())*float64(time.Second)) + 1
}

// longest is a wait that no call has the time for, and far from overflow.
const longest = 1000 * time.Hour

// estimate says when the turn of a call comes that has others before it. It
// errs on the short side: a call must not be refused that could have gone.
func (b *bucket) estimate(now time.Time, ahead int, cfg *Config) time.Duration {
	wait := max(b.held.Sub(now), 0)
	w := &b.window
	kept := reserve(w.limit, cfg.utilization())
	left := w.left
	if b.lease != nil && now.Before(b.lease.full) {
		left, wait = kept, max(wait, b.lease.full.Sub(now))
	}
	if now.Before(w.reset) && !w.unspoken && w.bursts <= 1 {
		if beyond := ahead - max(left-kept, 0); beyond >= 0 {
			windows := min(time.Duration(beyond/(w.limit-kept)), longest/max(w.length(), 1))
			wait = max(wait, w.reset.Sub(now)+w.length()*windows)
		}
	}
	wait = max(wait, b.host.turn(now, b, ahead+1, cfg))
	return wait + max(min(time.Duration(ahead)*b.step, b.stepUntil.Sub(now)), gap)
}

// Done ends a call that was sent, with what its answer said. It does nothing
// for a ticket that is not in flight. What it returns, if anything, is to be
// asked of the shared store now.
func (t *Ticket) Done(now time.Time, seen Seen) *StoreRequest {
	if !t.flying {
		return nil
	}
	b := t.bucket
	b.mu.Lock()
	b.inFlight--
	b.used = now
	known := b.window.id
	if seen.Answered && !seen.Slots {
		b.window.learn(seen, b.localReset(seen.Reset, now), t, now)
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
	var errand *StoreRequest
	if b.lease != nil {
		errand = b.ended(t, now, seen)
	}
	b.mu.Unlock()
	verdict := slotUnused
	switch {
	case seen.Slots:
		verdict = slotRefused
	case seen.Answered:
		verdict = slotUsed
	}
	b.host.putBack(now, verdict)
	b.host.passOn(b.cfg.Load().MaxInFlight)
	t.release()
	return errand
}

// Until returns how long to wait after now for the window to end whose reset a
// refusal names; false when that is not plausible. A second is added because
// the server may cut the fraction off its reset: where it is known to, where
// it just did, and for a bucket that is known by refusals only. Else a single
// scout finds out, and where it meets the old window, window.late adds the
// second from then on.
func (t *Ticket) Until(reset int64, now time.Time) (time.Duration, bool) {
	b := t.bucket
	wait, sharp, ok := b.host.clock.Until(reset, now)
	if !ok {
		return 0, false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if wait <= 0 || b.window.late || !b.window.trust && !sharp {
		wait += time.Second
	}
	return wait, wait > 0
}

// localReset is when the server's clock will have passed reset, or has, on the
// local clock; zero when that is not plausible. No second is added here: at
// most one scout meets the old window, and then window.late adds it.
func (b *bucket) localReset(reset int64, now time.Time) time.Time {
	by := b.host.clock.known.Load()
	if by != nil && b.reckoned.by == by && b.reckoned.reset == reset {
		return b.reckoned.local
	}
	wait, _, ok := b.host.clock.Until(reset, now)
	if !ok {
		return time.Time{}
	}
	b.reckoned = reckoned{reset, by, now.Add(wait)}
	return b.reckoned.local
}

// reckoned is what a reset came to by what was known of the server's clock. It
// is the same for most answers of a second.
type reckoned struct {
	reset int64
	by    *bounds
	local time.Time
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
		b.giveBack(t)
	}
	b.line.remove(t)
	b.line.wakeFirst()
	b.mu.Unlock()
	if flying {
		b.host.putBack(now, slotUnused)
	}
	b.host.passOn(b.cfg.Load().MaxInFlight)
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
