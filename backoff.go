// This file holds how long to wait: Okta's word first, else a computed
// backoff.

package oktaretry

import (
	"net/http"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/oktaretry/oktaretry/internal/pace"
	"github.com/oktaretry/oktaretry/internal/wire"
)

// tally is what one rule has done within one call.
type tally struct {
	rule  string        // by code or class, as Policy.ruleFor names it
	count int           // answers judged
	spent time.Duration // that the call has waited for the rule
	// One of each for each call: cenkalti's is not safe for concurrent use,
	// and a call must not inherit another's growth.
	backoff, slots *backoff.ExponentialBackOff
}

// Okta's concurrency limit frees its slots within a second, so its answer is
// asked again soon, whatever the rule says of rate limits.
const (
	slotInitialWait = 250 * time.Millisecond
	slotMaxWait     = 2 * time.Second
)

// computed returns the next wait by the rule's own numbers.
func (t *tally) computed(r Rule) time.Duration {
	if t.backoff == nil {
		t.backoff = newBackOff(r.InitialWait, r.MaxWait, r.Multiplier, r.Jitter)
	}
	return min(next(t.backoff), r.MaxWait)
}

// forSlot returns the next wait for a place under the concurrency limit.
func (t *tally) forSlot(r Rule) time.Duration {
	if t.slots == nil {
		t.slots = newBackOff(min(r.InitialWait, slotInitialWait), min(r.MaxWait, slotMaxWait), r.Multiplier, r.Jitter)
	}
	return min(next(t.slots), min(r.MaxWait, slotMaxWait))
}

// longestMean leaves room for jitter to double it.
const longestMean = 1 << 61

func newBackOff(initial, most time.Duration, multiplier, jitter float64) *backoff.ExponentialBackOff {
	initial, most = min(initial, longestMean), min(most, longestMean)
	return backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(initial),
		backoff.WithMaxInterval(most),
		backoff.WithMultiplier(multiplier),
		backoff.WithRandomizationFactor(jitter),
		backoff.WithMaxElapsedTime(0), // bounded by MaxElapsed and the deadline, which know of more than waits
	)
}

// next is never so short that a call would spin.
func next(b *backoff.ExponentialBackOff) time.Duration { return max(b.NextBackOff(), time.Millisecond) }

// serverWait returns how long an answer asks to wait, by Retry-After and, for
// rate limits, by X-Rate-Limit-Reset: the longer of the two. It is 0 when
// neither says something plausible.
func serverWait(class Class, h http.Header, l wire.Limits, ticket *pace.Ticket, arrived time.Time) time.Duration {
	wait, _ := wire.RetryAfter(h, l.Date, arrived)
	if class == ClassRateLimited && !l.Concurrency() {
		if untilReset, ok := ticket.Until(l.Reset, arrived); ok {
			wait = max(wait, untilReset)
		}
	}
	return wait
}

// wait returns how long the rule waits after an answer that names a wait, or none,
// apart from its MinWait.
func (t *tally) wait(r Rule, c Classification, l wire.Limits, named time.Duration) time.Duration {
	var wait time.Duration
	switch {
	case c.Class == ClassRateLimited && named > 0:
		wait = named
	case c.Class == ClassRateLimited && l.Concurrency():
		wait = t.forSlot(r)
	default:
		wait = max(t.computed(r), named)
	}
	return wait
}
