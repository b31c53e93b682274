// This file holds the bad days of a quota that others use too.

package oktatest

import (
	"math/rand/v2"
	"sync"
	"time"
)

// QuotaEaten is another app of the org that takes a share of each bucket's
// places, 0 to 1, as soon as a window opens: what is left is for the caller. A
// share of 1 leaves nothing. The name is "quota-eaten", with 0.9.
//
// Okta's buckets are the org's: all its tokens and apps, and for some endpoints
// its users' logins, draw on the same. One app may have half of a bucket by
// default (https://developer.okta.com/docs/reference/rl2-token-oauth/); several,
// or one whose share was raised, have more.
func QuotaEaten(share float64) Day {
	require(share >= 0 && share <= 1, "QuotaEaten(%v): must lie in [0, 1]", share)
	return Day{name: "quota-eaten", about: "another app takes 90 % of each bucket as soon as its window opens",
		patterns: everything, chance: 1,
		play: func(Day, *rand.Rand) effect {
			eater := &eater{share: share, ate: map[*counter]time.Time{}}
			return effect{atEdge, func(c *call, next func(*call) *reply) *reply {
				eater.eat(c)
				return next(c)
			}}
		}}
}

// eater takes its share once in each window.
type eater struct {
	share float64
	ate   map[*counter]time.Time // the end of the window of which it had its share; the limiter's lock guards it
}

func (e *eater) eat(c *call) {
	l, now := c.o.limits, c.o.now()
	if c.bucket < 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.buckets[c.bucket]
	if !b.limited() || b.at(everybody, now).end.Equal(e.ate[b]) {
		return
	}
	b.take(everybody, now, max(0, min(int(e.share*float64(b.max)), b.max-b.taken(everybody, now))))
	e.ate[b] = b.at(everybody, now).end
}

// ConcurrencyStorm refuses calls, by default every second one, because others of
// the org have too many in flight: 429 with Limit 0, Remaining 0 and a Reset two
// minutes ahead. Places free up in well under a second, so that the Reset is no
// time to wait for. The journal has RefusedBy Concurrency. The name is
// "concurrency-storm".
//
// Okta lets an org have 35 to 75 calls in flight, by plan:
// https://developer.okta.com/docs/reference/rl2-concurrency/. Answers
// recorded of it have 0/0 and resets 111 to 140 s ahead.
func ConcurrencyStorm() Day {
	return Day{name: "concurrency-storm", about: "every second call is refused, since others have too many in flight",
		patterns: everything, narrow: counted429, chance: 0.5,
		play: atTheEdge(func(c *call, _ func(*call) *reply) *reply { return c.refuseCrowd() })}
}

// counted429 reports whether Okta limits such calls at all.
func counted429(c *call) bool { return c.bucket >= 0 && !c.o.limits.table.unlimited(c.bucket) }

// refuseCrowd replies that too many calls are in flight.
func (c *call) refuseCrowd() *reply {
	c.o.journal.refused(c.entry, Concurrency)
	return ConcurrencyLimited().reply(c)
}

// TokenRefusals refuses 3 of each 10 calls to a token endpoint as too many in
// flight, 0/0; the seed says which. Chance refuses that share of them instead,
// each call by itself. The name is "token-refusals".
//
// Recorded of an org: of 10 token calls sent together, 3 got a 429 with 0/0 and
// a Reset 111 to 140 s ahead. Sent again, they were served.
func TokenRefusals() Day {
	const of, refused = 10, 3
	return Day{name: "token-refusals", about: "3 of 10 token calls are refused, as too many in flight",
		patterns: tokenCalls, chance: 1,
		play: func(d Day, random *rand.Rand) effect {
			deck := &deck{random: random, size: of}
			return effect{atEdge, func(c *call, next func(*call) *reply) *reply {
				if d.chance >= 1 && deck.draw() >= refused {
					return next(c)
				}
				return c.refuseCrowd()
			}}
		}}
}

var tokenCalls = []pattern{mustPattern("POST /oauth2/v1/token"), mustPattern("POST /oauth2/{server}/v1/token")}

// deck gives each of the numbers below size once, in an order of chance, and
// then all of them again.
type deck struct {
	random *rand.Rand
	size   int

	mu   sync.Mutex
	left []int
}

func (d *deck) draw() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.left) == 0 {
		d.left = d.random.Perm(d.size)
	}
	n := d.left[0]
	d.left = d.left[1:]
	return n
}
