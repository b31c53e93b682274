// This file holds the retry budget: resends after errors may be a share of the
// calls, so that retrying never multiplies an outage.

package oktaretry

import (
	"sync"
	"sync/atomic"
	"time"
)

// budget counts deposits and withdrawals by the second, over the last TTL.
// Both expire: neither a quiet hour nor a bad minute is remembered for longer.
//
// Every call of a host deposits, from every core, so deposits of a second are
// counted first and booked when the second is over or somebody withdraws.
type budget struct {
	cfg Budget

	deposits atomic.Int64
	current  atomic.Int64 // second, for who has no lock

	mu     sync.Mutex
	ring   []float64 // deposits less withdrawals of each second
	second int64     // the Unix second of the newest entry
	sum    float64   // of the ring
}

func newBudget(cfg Budget) *budget {
	if cfg.Disabled {
		return nil
	}
	return &budget{cfg: cfg, ring: make([]float64, cfg.TTL/time.Second)}
}

// deposit is made once by each call.
func (b *budget) deposit(now time.Time) {
	if b == nil {
		return
	}
	if now.Unix() != b.current.Load() {
		b.book(now, func(*budget) float64 { return 0 })
	}
	b.deposits.Add(1)
}

// withdraw takes one resend and reports whether there was one.
func (b *budget) withdraw(now time.Time) bool {
	return b.book(now, func(b *budget) float64 {
		if b.balance() < 1 {
			return 0
		}
		return -1
	}) < 0
}

// left returns how many resends there are.
func (b *budget) left(now time.Time) (n float64) {
	b.book(now, func(b *budget) float64 { n = max(b.balance(), 0); return 0 })
	return n
}

// balance is what may be withdrawn. The margin forgives what adding and taking
// away again rounds off. The caller holds mu.
func (b *budget) balance() float64 { return b.sum + b.cfg.Reserve*b.cfg.TTL.Seconds() + 1e-9 }

// refund gives a resend back that was not sent after all.
func (b *budget) refund(now time.Time) { b.book(now, func(*budget) float64 { return 1 }) }

// book moves the window to now and adds what amount says.
func (b *budget) book(now time.Time, amount func(*budget) float64) float64 {
	if b == nil {
		return -1 // no budget: nothing is counted, every withdrawal succeeds
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.add(b.cfg.Ratio * float64(b.deposits.Swap(0)))
	n := int64(len(b.ring))
	if s := now.Unix(); s-b.second >= n || b.second-s >= n {
		clear(b.ring)
		b.sum, b.second = 0, s
	} else {
		// A clock that went back a little books into the newest second; one
		// that went back further has begun anew.
		for ; b.second < s; b.second++ {
			i := (b.second + 1) % n
			b.sum -= b.ring[i]
			b.ring[i] = 0
		}
	}
	b.current.Store(b.second)
	x := amount(b)
	b.add(x)
	return x
}

// add books x into the newest second. The caller holds mu.
func (b *budget) add(x float64) {
	b.ring[b.second%int64(len(b.ring))] += x
	b.sum += x
}
