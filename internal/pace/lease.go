// This file holds a bucket's dealings with a store that many processes share:
// the places that it has leased, what it tells the store, and what it takes from
// the store's answers. The asking itself is done by others.

package pace

import (
	"math"
	"strconv"
	"time"
)

// Window is a window of a bucket as headers describe it.
type Window struct {
	ID        int64 // the reset that the headers name, Unix seconds by the server's clock; 0: unknown
	Limit     int
	Remaining int           // the least that a header said
	Ends      time.Duration // from now on
}

// LeaseRequest is what a bucket tells the store, and asks it for.
type LeaseRequest struct {
	Holder  string        // who asks: this bucket of this process
	Seen    Window        // what answers said; an ID of 0 says nothing
	Age     time.Duration // since the last of the calls went whose answers are in Seen
	Late    bool          // the server opens the next window up to a second after the reset that it names
	Unbound bool          // its answers carry no limits
	Told    int64         // the ID of the window that the store told of last
	Refused time.Duration // nobody goes before: the server refused a call
	Back    int           // calls that went to find out and have ended, since the last request

	Returned int // places of the window in Told that will not be used
	Taken    int // calls of the window in Seen that went without a place
	Unused   int // places leased that may be used
	InFlight int // calls that the headers in Seen may not count yet

	Interactive, Background int // calls that wait
	Ahead                   int // calls that will come soon, by what came lately
	Utilization             float64
}

// Wants is how many places the request is for.
func (r *LeaseRequest) Wants() int { return r.Interactive + r.Background + r.Ahead }

// Lease is the store's answer.
type Lease struct {
	Places  int
	Lasts   time.Duration // for which the places may be used, from the asking on
	Retry   time.Duration // when Places is 0: ask again after this
	Window  Window        // what all processes together know of it; an ID of 0: nothing
	Unbound bool          // the bucket has no limits
	Held    bool          // the server refused a call: nobody goes before Retry is over
	Sharers int           // processes that use the bucket, this one included
	Wanted  bool          // others wait for places: return what is not needed
}

// Absurd reports whether no honest store gives that answer to r.
func (a *Lease) Absurd(r *LeaseRequest) bool {
	w := &a.Window
	return a.Places < 0 || a.Places > max(r.Wants(), 0) ||
		a.Places > 0 && (a.Lasts <= 0 || a.Lasts > time.Minute) ||
		a.Retry < 0 || a.Retry > farthest || a.Sharers < 0 ||
		w.ID < 0 || w.ID > 0 && (w.Limit <= 0 || w.Limit > most || w.Remaining < 0 || w.Remaining > w.Limit || w.Ends > farthest)
}

// newLease returns what a new bucket holds: nothing. Buckets of one name follow
// each other when a credential is renewed, and are told apart.
func (g *Governor) newLease() *lease {
	return &lease{fleet: g.fleet, holder: g.holder + strconv.FormatUint(g.holders.Add(1), 36)}
}

// lease is what a bucket holds of the store's.
type lease struct {
	fleet  *Fleet
	holder string

	places int // that may still be used
	until  time.Time
	given  int  // places that were given up since the store was told
	found  bool // the places are for finding out what the window is like
	asking bool

	retry   time.Time // when to ask again
	why     Reason    // what is waited for until then
	full    time.Time // no place comes before, as far as the store knows
	told    int64
	sharers int
	wanted  bool

	spent   int64     // the ID of the window that the store was told to be used up
	heard   Window    // by headers alone, not by the store; Ends is not used
	heardOf time.Time // when the last of the calls went that told
	lost    int       // calls of this window that were sent and not answered
	back    int       // calls that found out, or could not, since the store was told

	crowd   int   // the most calls in flight since places were granted
	taken   int   // calls that went without a place
	takenOf int64 // the ID of their window
	batch   int   // how many places are asked for ahead
	granted time.Time
}

const (
	// mostAhead bounds the places that are leased for calls still to come.
	mostAhead = 32
	// oftenAsked: places that were used up sooner than this were too few.
	oftenAsked = time.Second
	// soonest is how soon the store is asked again at the earliest, latest how
	// late: it may have been emptied, or others may have returned places.
	soonest = 5 * time.Millisecond
	latest  = 5 * time.Second
	// moment is what a call expects to wait for an answer of the store.
	moment = time.Millisecond
)

// room is what the window, or the store where there is one, says to the next
// call: see [window.room].
func (b *bucket) room(t *Ticket, now time.Time, cfg *Config) (why Reason, wait, pause time.Duration) {
	w, l := &b.window, b.lease
	t.nap = 0
	if l == nil || w.unspoken {
		return w.room(now, b.inFlight, cfg.utilization())
	}
	if !l.fleet.Works() {
		if l.usable(now) > 0 {
			return NoReason, 0, 0 // the store may be lost, these places are not
		}
		return w.room(now, b.inFlight, cfg.utilization())
	}
	if w.id != 0 && now.Before(w.reset) {
		kept := reserve(w.limit, cfg.utilization())
		if w.bursts > 1 && kept == 0 {
			return NoReason, 0, 0
		}
		if w.left <= kept && l.spent == w.id { // the headers' word goes before the store's
			return Exhausted, w.reset.Sub(now), 0
		}
		if w.left <= kept && !l.asking {
			return Ask, moment, 0 // rather tell: others may wait to hear of it
		}
	}
	if l.usable(now) > 0 {
		return NoReason, 0, 0
	}
	if l.asking {
		t.nap = patience // it will be woken
		return Answers, moment, 0
	}
	if wait = l.retry.Sub(now); wait > 0 {
		t.nap = wait
		return l.why, max(wait, l.full.Sub(now)), 0
	}
	return Ask, moment, 0
}

// sharers is how many processes use the bucket, as far as is known; 1 at least.
func (b *bucket) sharers() int {
	if l := b.lease; l != nil && l.fleet.Works() {
		return max(l.sharers, 1)
	}
	return 1
}

// usable is how many places may be used now.
func (l *lease) usable(now time.Time) int {
	if now.Before(l.until) {
		return l.places
	}
	return 0
}

// use gives a place to a call that goes.
func (b *bucket) use(t *Ticket, now time.Time) {
	l := b.lease
	if l == nil {
		return
	}
	t.went = now
	switch {
	case l.usable(now) > 0:
		l.places--
		l.crowd = max(l.crowd, b.inFlight+1)
		t.leased, t.finds = true, l.found
	case abs(l.takenOf-b.window.id) > sameWindow:
		l.taken, l.takenOf = 1, b.window.id
	default:
		l.taken++
	}
}

// giveBack takes the place of a call that was not sent.
func (b *bucket) giveBack(t *Ticket) {
	if t.leased {
		b.lease.places++
	}
}

// ended takes note of what a call brought. It returns an errand when the store
// must hear of it now, for no other call may come that tells it: of a refusal,
// of what a window is like that others wait to hear of, of places that others
// want.
func (b *bucket) ended(t *Ticket, now time.Time, s Seen) *Errand {
	l, w := b.lease, &b.window
	if t.finds {
		l.back++
	}
	switch {
	case !s.Answered:
		l.lost++ // the server may have counted it or not
	case s.Slots || s.Limit <= 0 || s.Remaining < 0 || abs(s.Reset-w.id) > sameWindow:
	case abs(l.heard.ID-w.id) > sameWindow:
		l.heard = Window{ID: s.Reset, Limit: min(s.Limit, most), Remaining: min(s.Remaining, most)}
		l.heardOf, l.lost = t.went, 0
	default:
		l.heard = Window{ID: s.Reset, Limit: min(s.Limit, most), Remaining: min(s.Remaining, l.heard.Remaining)}
		l.heardOf = later(l.heardOf, t.went)
	}
	// The headers' word goes before the store's. Where they say that less is left
	// than all hold, as far as this process can tell, somebody else took places.
	if n := b.sharers(); w.id != 0 {
		part := (max(w.left-reserve(w.limit, b.cfg.Load().utilization()), 0) + n - 1) / n
		l.given += max(l.places-part, 0)
		l.places = min(l.places, part)
	}
	if l.asking || !l.fleet.Works() {
		return nil
	}
	// One worker is idle after each of its calls, several seldom are.
	quiet := b.inFlight == 0 && b.line.len() == 0
	spare := quiet && !w.unspoken && (l.wanted || l.crowd > 1) && (l.usable(now) > 0 || l.wanted && l.crowd > 1)
	if spare {
		l.until, l.crowd = now, 0
	}
	if spare || t.finds || s.Refused && !s.Slots {
		return b.errand(now, Attempt{})
	}
	return nil
}

// Errand is a question to the store, to be answered once with [Errand.Answered]
// or [Errand.Failed]. The bucket stays meanwhile.
type Errand struct {
	Request LeaseRequest
	Attempt Attempt
	bucket  *bucket
	at      time.Time
}

// Errand returns the question that t asks in the name of its bucket, after
// Ready has said Ask; nil when another has asked it meanwhile.
func (t *Ticket) Errand(now time.Time) *Errand {
	b := t.bucket
	if b == nil || b.lease == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.lease
	used := b.window.id != 0 && b.window.left <= reserve(b.window.limit, b.cfg.Load().utilization()) && l.spent != b.window.id
	if l.asking || !l.fleet.Works() || !used && (l.usable(now) > 0 || l.retry.After(now)) {
		return nil
	}
	return b.errand(now, Attempt{})
}

// Visit returns a question for a store that was lost, to see whether it is
// back; nil when it is not yet time, or another does. t is in flight: it goes
// whatever comes of it, and nobody waits for it.
func (t *Ticket) Visit(now time.Time) *Errand {
	b := t.bucket
	if b == nil || b.lease == nil || b.lease.fleet.Works() {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.lease.asking || b.window.unspoken {
		return nil
	}
	a, ok := b.lease.fleet.Try(now)
	if !ok || a.of == nil { // or it has come back this moment
		return nil
	}
	return b.errand(now, a)
}

// errand writes down what the store is told and asked. The caller holds mu.
func (b *bucket) errand(now time.Time, a Attempt) *Errand {
	l, w, cfg := b.lease, &b.window, b.cfg.Load()
	l.asking = true
	b.refs.Add(1)
	defer func() { l.back = 0 }()
	r := LeaseRequest{
		Holder: l.holder, Late: w.late, Unbound: w.unspoken, Told: l.told, Refused: max(b.held.Sub(now), 0), Back: l.back,
		Unused: l.usable(now), InFlight: b.inFlight + l.lost, Utilization: cfg.utilization(),
	}
	if l.heard.ID != 0 && abs(l.heard.ID-w.id) <= sameWindow {
		r.Seen, r.Age = l.heard, now.Sub(l.heardOf)
		r.Seen.Ends = w.reset.Sub(now)
		if w.late {
			r.Seen.Ends -= time.Second
		}
	}
	r.Interactive = b.line.lanes[0].live + b.line.lanes[1].live
	r.Background = b.line.lanes[2].live + b.line.lanes[3].live
	// Calls in flight are followed by as many more, as a rule; and who came
	// back soon last time will come back soon.
	if now.Sub(l.granted) < oftenAsked {
		l.batch = min(max(2*l.batch, 1), mostAhead)
	} else {
		l.batch /= 2
	}
	r.Ahead = max(min(b.inFlight, mostAhead), l.batch)
	b.atMost(&r, now, cfg)
	l.back = 0
	if abs(l.takenOf-w.id) <= sameWindow {
		r.Taken = l.taken
	}
	l.taken = 0
	if l.places > 0 && r.Unused == 0 { // their time is over, or nobody needs them
		l.given, l.places = l.given+l.places, 0
	}
	r.Returned, l.given = l.given, 0
	if w.left <= reserve(w.limit, cfg.utilization()) {
		l.spent = w.id
	}
	return &Errand{Request: r, Attempt: a, bucket: b, at: now}
}

// atMost trims what is asked for to what can go within the life of a lease.
func (b *bucket) atMost(r *LeaseRequest, now time.Time, cfg *Config) {
	if b.line.len() == 0 && b.inFlight == 0 {
		r.Ahead = 0 // nobody is there who would use it
	}
	most := math.MaxInt32
	trim := func(perSecond float64) {
		if perSecond > 0 && perSecond < 1e6 {
			most = min(most, int(2*perSecond)+1)
		}
	}
	trim(cfg.MaxRate)
	trim(cfg.BucketRates[b.key.Bucket])
	if even := b.evenly(now, cfg); even != nil {
		trim(float64(even.Limit()))
	}
	if cfg.MaxInFlight > 0 {
		most = min(most, 4*cfg.MaxInFlight)
	}
	r.Interactive = min(r.Interactive, most)
	r.Background = min(r.Background, most-r.Interactive)
	r.Ahead = min(r.Ahead, most-r.Interactive-r.Background)
}

// Answered takes the store's answer, which is not absurd.
func (e *Errand) Answered(now time.Time, a Lease) {
	b := e.bucket
	l, w := b.lease, &b.window
	b.mu.Lock()
	l.asking = false
	known := w.id
	if a.Window.ID != 0 && a.Window.Ends > 0 {
		w.hear(a.Window, now.Add(a.Window.Ends), now)
	}
	if w.id != known {
		b.open(now)
		l.retry = time.Time{}
	}
	if a.Unbound && w.id == 0 {
		w.unspoken = true
	}
	l.told, l.sharers, l.wanted = a.Window.ID, a.Sharers, a.Wanted
	l.full = time.Time{}
	switch {
	case a.Places > 0:
		// Those that were left are part of what the store knows of: they stay.
		l.places, l.until = l.usable(now)+a.Places, e.at.Add(a.Lasts)
		l.found = !a.Unbound && (a.Window.ID == 0 || a.Window.Ends <= 0)
		l.granted, l.retry, l.crowd = now, time.Time{}, 0
	case e.Request.Wants() == 0:
	default:
		if !now.Before(l.until) {
			l.places = 0
		}
		l.retry = now.Add(min(max(a.Retry, soonest), latest))
		switch {
		case a.Held:
			l.why, l.full = Held, now.Add(a.Retry)
		case a.Window.ID != 0 && a.Window.Ends > 0:
			l.why, l.full = Exhausted, now.Add(a.Retry)
		default:
			l.why = Answers
		}
	}
	b.line.wakeFirst()
	b.mu.Unlock()
	b.release()
}

// Failed says that the store gave no answer. From now on, and until it is
// found to be back, the bucket goes by what it knows itself.
func (e *Errand) Failed() {
	b := e.bucket
	b.mu.Lock()
	b.lease.asking = false
	b.line.wakeFirst()
	b.mu.Unlock()
	b.release()
}

func (b *bucket) release() { b.refs.Add(-1) }

// hear takes what others saw of a window.
func (w *window) hear(s Window, reset, now time.Time) {
	w.unspoken = false
	switch {
	case w.id == 0 || s.ID > w.id+sameWindow:
		w.turn(Seen{Limit: s.Limit, Reset: s.ID}, reset)
	case s.ID < w.id-sameWindow:
		return
	case reset.Before(w.reset):
		w.reset = reset // another knows the server's clock better
	}
	w.limit = s.Limit
	if used := min(w.left, s.Limit) - s.Remaining; used > 0 {
		w.used += float64(used)
	}
	w.left = min(w.left, s.Remaining)
	w.atLeast = max(w.atLeast, reset.Sub(now))
}

func abs(n int64) int64 {
	if n < 0 {
		return -n
	}
	return n
}
