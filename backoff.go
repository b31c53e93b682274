// This file computes how long to wait after an answer: as long as Okta asks for,
// else by a backoff.

package oktaretry

import (
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/oktaretry/oktaretry/internal/pace"
	"github.com/oktaretry/oktaretry/internal/wire"
)

// tally counts what one rule has judged within one call.
type tally struct {
	rule  string        // by code or class, as Policy.ruleFor names it
	count int           // answers judged
	spent time.Duration // that the call has waited for the rule
	// Each call has its own: cenkalti's is not safe for concurrent use, and its
	// growth is the call's.
	backoff, slots *backoff.ExponentialBackOff
}

// Okta's concurrency limit frees its slots within a second, so a call that it
// refused is sent again soon, whatever the rule's waits. Its bucket's line then
// keeps it until a slot is free; the wait grows for calls that are refused again.
const (
	slotInitialWait = 50 * time.Millisecond
	slotMaxWait     = 2 * time.Second
)

// computed returns the next wait by the rule's own figures.
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
		backoff.WithMaxElapsedTime(0), // fits bounds the waits
	)
}

// next returns the next wait, long enough that no call spins.
func next(b *backoff.ExponentialBackOff) time.Duration { return max(b.NextBackOff(), time.Millisecond) }

// serverWait returns the wait that an answer asks for: the longer of Retry-After
// and, for rate limits, X-Rate-Limit-Reset; 0 if neither is plausible.
func serverWait(class Class, h http.Header, l wire.Limits, ticket *pace.Ticket, arrived time.Time) time.Duration {
	wait, _ := wire.RetryAfter(h, l.Date, arrived)
	if class == ClassRateLimited && !l.Concurrency() {
		if untilReset, ok := ticket.Until(l.Reset, arrived); ok {
			wait = max(wait, untilReset)
		}
	}
	return wait
}

// wait returns the rule's wait after an answer that asks for named, which may be 0,
// and whether it varies at random by itself. It leaves out the rule's MinWait.
func (t *tally) wait(r Rule, c Classification, l wire.Limits, named time.Duration) (wait time.Duration, varies bool) {
	switch {
	case c.Class == ClassRateLimited && named > 0:
		return named, false
	case c.Class == ClassRateLimited && l.Concurrency():
		return t.forSlot(r), true
	}
	wait = t.computed(r)
	return max(wait, named), wait >= named
}

// spread returns what is added at random to a wait that an answer names or its code
// asks for: it names the same to all callers, and they must not come back at once.
func spread(r *Rule, wait time.Duration) time.Duration {
	most := time.Duration(r.Jitter * float64(min(r.InitialWait, wait, longestMean)))
	if most <= 0 {
		return 0
	}
	return rand.N(most)
}

// hangsPerSpread is the part of its time limit over which the resend of an attempt
// is spread that met it: 1 s of a minute, by default.
const hangsPerSpread = 30

// afterHang returns what is added to the wait after an attempt that hung until its
// time limit; 0 after any other. What hung together ends together, and a server that
// has come back would get all of it within half a second, beside what is new.
func afterHang(a *answer) time.Duration {
	if !a.hung() || a.rule.Jitter == 0 {
		return 0
	}
	spread := a.rule.Jitter * float64(a.arrived.Sub(a.sent)) / hangsPerSpread
	return time.Duration(rand.Float64() * min(spread, float64(max(a.rule.MaxWait-a.wait, 0))))
}
