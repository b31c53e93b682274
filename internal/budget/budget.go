// Package budget is a retry budget: resends after errors may be a share of the
// calls, so that retrying never multiplies an outage.
package budget

import (
	"sync"
	"sync/atomic"
	"time"
)

// Config shapes a budget. Its fields are those of oktaretry.Budget, in the same
// order.
type Config struct {
	Disabled bool
	Ratio    float64
	Reserve  float64
	TTL      time.Duration
}

// Budget counts deposits and withdrawals by the second, over the last TTL. Both
// expire: neither a quiet hour nor a bad minute is remembered for longer. It is
// safe for concurrent use. The nil Budget is without bounds.
//
// Every call of a host deposits, from every core, so the deposits of the current
// second are a counter of their own, booked when that second is over or when
// somebody withdraws.
type Budget struct {
	cfg Config

	deposits atomic.Int64 // not booked yet
	current  atomic.Int64 // second, readable without mu

	mu     sync.Mutex
	ring   []float64 // deposits less withdrawals of each second
	second int64     // the Unix second of the newest entry
	sum    float64   // of the ring
}

// New returns a budget with nothing but its reserve, or nil if cfg is disabled.
func New(cfg Config) *Budget {
	if cfg.Disabled {
		return nil
	}
	return &Budget{cfg: cfg, ring: make([]float64, cfg.TTL/time.Second)}
}

// Deposit adds the share of a resend that one call pays for.
func (b *Budget) Deposit(now time.Time) {
	if b == nil {
		return
	}
	if now.Unix() != b.current.Load() {
		b.mu.Lock()
		b.advance(now)
		b.mu.Unlock()
	}
	b.deposits.Add(1)
}

// Withdraw takes one resend and reports whether there was one.
func (b *Budget) Withdraw(now time.Time) bool {
	if b == nil {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.advance(now)
	if b.balance() < 1 {
		return false
	}
	b.book(-1)
	return true
}

// Refund returns a resend that was withdrawn and not sent.
func (b *Budget) Refund(now time.Time) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.advance(now)
	b.book(1)
}

// Left returns how many resends can be withdrawn; 0 of the nil Budget.
func (b *Budget) Left(now time.Time) float64 {
	if b == nil {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.advance(now)
	return max(b.balance(), 0)
}

// balance is what can be withdrawn. The margin forgives what adding and
// subtracting again rounds off. The caller holds mu.
func (b *Budget) balance() float64 { return b.sum + b.cfg.Reserve*b.cfg.TTL.Seconds() + 1e-9 }

// advance books the deposits and moves the window to now. A clock that was set
// back by less than TTL books into the newest second; by more, the window begins
// anew. The caller holds mu.
func (b *Budget) advance(now time.Time) {
	b.book(b.cfg.Ratio * float64(b.deposits.Swap(0)))
	n, s := int64(len(b.ring)), now.Unix()
	if s-b.second >= n || b.second-s >= n {
		clear(b.ring)
		b.sum, b.second = 0, s
	}
	for ; b.second < s; b.second++ {
		i := (b.second + 1) % n
		b.sum -= b.ring[i]
		b.ring[i] = 0
	}
	b.current.Store(b.second)
}

// book adds x to the newest second. The caller holds mu.
func (b *Budget) book(x float64) {
	b.ring[b.second%int64(len(b.ring))] += x
	b.sum += x
}
