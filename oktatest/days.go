// This file holds Day: something that goes wrong at Okta for a while, how days
// are put together, and how they begin and end.

package oktatest

import (
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// Day is a bad day: something that goes wrong at Okta, or on the way there, for
// a while. Each has a function that makes it (EdgeOutage, QuotaEaten and so on;
// DayNames lists them), which describes what happens at the real Okta, and how
// that is known. WithDay puts it into an org from the start, Okta.Begin switches
// it on later.
//
//	okta := oktatest.New(oktatest.WithDay(
//		oktatest.EdgeOutage(5*time.Minute).From(time.Minute),
//		oktatest.SlowAnswers(2*time.Second).On("GET /api/v1/users"),
//		oktatest.BrokenBodies().Chance(0.1).Seed(7)))
//
// Several go on at a time: a request meets them in the order in which they were
// switched on, those at Okta's edge first, then the limits, then those inside.
// Requests that a script answers meet none, unless its step is Pass or wraps it.
//
// What is left to chance comes from the day's seed and the order in which the
// requests arrive: the same requests in the same order meet the same.
//
// A Day is a value: its methods return changed copies, so one can be shared,
// built upon and begun any number of times, each time anew.
type Day struct {
	name, about string
	patterns    []pattern        // the requests meant
	narrow      func(*call) bool // to some of them; nil: all
	from, lasts time.Duration    // lasts 0: until it is ended
	waits       bool             // for the first request before it counts from
	every       int              // of so many requests that are meant, the last
	chance      float64          // of those
	seed        uint64
	play        func(d Day, random *rand.Rand) effect
}

// effect is what a day does, with the state of one playing of it.
type effect struct {
	at   stage
	meet func(c *call, next func(*call) *reply) *reply
}

// Name is the day's name, by which DayNamed finds it as it is by default:
// "edge-outage".
func (d Day) Name() string { return d.name }

// About is one line on what goes wrong.
func (d Day) About() string { return d.about }

// On narrows a day to the requests that match one of the patterns, in the
// language of Script, in place of those that it means by default. A day that
// means only some requests of an endpoint (TelephonyDown: those that send an SMS)
// still means only those. On panics if a pattern is malformed or there is none.
func (d Day) On(patterns ...string) Day {
	require(len(patterns) > 0, "Day.On: no pattern")
	d.patterns = nil
	for _, p := range patterns {
		d.patterns = append(d.patterns, mustPattern(p))
	}
	return d
}

// From makes a day begin so long after it is switched on: after New for a day of
// WithDay, after Begin for another.
func (d Day) From(after time.Duration) Day {
	require(after >= 0, "Day.From(%v): must not be negative", after)
	d.from, d.waits = after, false
	return d
}

// FromFirst makes a day begin so long after the first request that it means: of
// use for a server that is there before its callers. 0: with that request.
func (d Day) FromFirst(after time.Duration) Day {
	require(after >= 0, "Day.FromFirst(%v): must not be negative", after)
	d.from, d.waits = after, true
	return d
}

// For makes a day last so long. 0: until it is ended.
func (d Day) For(lasts time.Duration) Day {
	require(lasts >= 0, "Day.For(%v): must not be negative", lasts)
	d.lasts = lasts
	return d
}

// Chance makes a day meet each request that it means with that probability,
// from 0 to 1.
func (d Day) Chance(probability float64) Day {
	require(probability >= 0 && probability <= 1, "Day.Chance(%v): must lie in [0, 1]", probability)
	d.chance = probability
	return d
}

// Every makes a day meet each n-th request that it means; Chance then decides of
// those.
func (d Day) Every(n int) Day {
	require(n > 0, "Day.Every(%d): must be positive", n)
	d.every = n
	return d
}

// Seed changes what chance brings. Default: 0.
func (d Day) Seed(seed uint64) Day {
	d.seed = seed
	return d
}

// WithDay puts bad days into the org: they are switched on as New makes it.
func WithDay(days ...Day) Option {
	checkDays("WithDay", days)
	days = slices.Clone(days)
	return func(c *config) { c.begin = append(c.begin, func(o *Okta) { o.Begin(days...) }) }
}

// Begin switches bad days on, beside those that are on already, and returns a
// function that ends these. Ending them twice does no harm. A request that has
// met a day is not let off by its end.
func (o *Okta) Begin(days ...Day) (end func()) {
	checkDays("Begin", days)
	now := time.Now()
	var begun []trouble
	for _, d := range days {
		begun = append(begun, d.begin(now))
	}
	o.trouble.change(func(list []trouble) []trouble {
		list = slices.DeleteFunc(slices.Clone(list), func(t trouble) bool { return isOver(t, now) })
		return append(list, begun...)
	})
	return func() {
		o.endDays(func(p *playing) bool { return slices.Contains(begun, trouble(p)) })
	}
}

// EndDays ends the days of these names, all days if none is given, and returns
// how many that were.
func (o *Okta) EndDays(names ...string) int {
	return o.endDays(func(p *playing) bool { return len(names) == 0 || slices.Contains(names, p.name) })
}

func (o *Okta) endDays(which func(*playing) bool) (ended int) {
	now := time.Now()
	o.trouble.change(func(list []trouble) []trouble {
		ended = 0
		return slices.DeleteFunc(slices.Clone(list), func(t trouble) bool {
			p, is := t.(*playing)
			if !is || !which(p) {
				return false
			}
			if !p.over(now) {
				ended++
			}
			return true
		})
	})
	return ended
}

// Days are the days that are switched on and not over, those yet to come
// included, in the order in which requests meet them.
func (o *Okta) Days() (days []Day) {
	list := o.trouble.list.Load()
	if list == nil {
		return nil
	}
	now := time.Now()
	for _, t := range *list {
		if p, is := t.(*playing); is && !p.over(now) {
			days = append(days, p.Day)
		}
	}
	return days
}

func checkDays(who string, days []Day) {
	for _, d := range days {
		require(d.play != nil, "%s: a Day that no function of this package has made", who)
	}
}

// playing is a day that has been switched on.
type playing struct {
	Day
	effect effect

	mu     sync.Mutex
	begun  bool // begins is known
	begins time.Time
	meant  int        // requests
	random *rand.Rand // for chance; the effect has its own
}

func (d Day) begin(now time.Time) *playing {
	return &playing{
		Day:    d,
		effect: d.play(d, rand.New(rand.NewPCG(d.seed, 1))),
		begun:  !d.waits,
		begins: now.Add(d.from),
		random: rand.New(rand.NewPCG(d.seed, 2)),
	}
}

func isOver(t trouble, now time.Time) bool {
	p, is := t.(*playing)
	return is && p.over(now)
}

func (p *playing) over(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.begun && p.lasts > 0 && !now.Before(p.begins.Add(p.lasts))
}

func (p *playing) meet(c *call, at stage, next func(*call) *reply) *reply {
	if at != p.effect.at || p.over(time.Now()) || !p.means(c) || !p.strikes(time.Now()) {
		return next(c)
	}
	return p.effect.meet(c, next)
}

// means reports whether a call is one of the day's.
func (p *playing) means(c *call) bool {
	return c.isOneOf(p.patterns) && (p.narrow == nil || p.narrow(c))
}

// strikes reports whether the day meets a call that it means, now.
func (p *playing) strikes(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.begun {
		p.begun, p.begins = true, now.Add(p.from)
	}
	if now.Before(p.begins) {
		return false
	}
	if p.meant++; p.every > 1 && p.meant%p.every != 0 {
		return false
	}
	return p.chance >= 1 || p.random.Float64() < p.chance
}

func (c *call) isOneOf(list []pattern) bool {
	return slices.ContainsFunc(list, func(p pattern) bool { return p.Match(c.r.Method, c.segs) })
}
