// This file keeps events and answers queries for them.

package syslog

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Log keeps the last events. It is safe for concurrent use.
type Log struct {
	keep int

	mu     sync.Mutex
	ring   []*Event
	next   int    // where the ring is overwritten once it is full
	seq    uint64 // of the last event
	warned map[string]int64
}

// New returns a log of the last keep events; of none, if that is 0.
func New(keep int) *Log { return &Log{keep: keep, warned: map[string]int64{}} }

// Record adds an event. What it leaves empty gets a default: now, INFO, SUCCESS, Okta's
// system as the actor, the words of Okta's catalogue.
func (l *Log) Record(now time.Time, e Event) {
	if l.keep == 0 {
		return
	}
	if e.Published.IsZero() {
		e.Published = now
	}
	e.Published = e.Published.Truncate(time.Millisecond)
	if e.Actor.ID == "" {
		e.Actor = System
	}
	e.Severity = cmp.Or(e.Severity, severity(e.Type))
	e.Outcome.Result = cmp.Or(e.Outcome.Result, "SUCCESS")
	e.DisplayMessage = cmp.Or(e.DisplayMessage, message(e.Type))
	if e.Debug == nil {
		e.Debug = object{}
	}
	if e.Transaction == nil {
		e.Transaction = &Transaction{Type: "JOB", ID: "unknown"}
	}
	if e.Transaction.Detail == nil {
		e.Transaction.Detail = object{}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seq++
	e.seq = l.seq
	if e.UUID == "" {
		e.UUID = uuid(l.seq)
	}
	if len(l.ring) < l.keep {
		l.ring = append(l.ring, &e)
		return
	}
	l.ring[l.next] = &e
	l.next = (l.next + 1) % l.keep
}

// FirstWarning reports whether a warning is due for a rate limit's window, known by the second
// of its end: once each. It remembers the windows of as many limits as there are.
func (l *Log) FirstWarning(limit string, reset int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.warned[limit] >= reset {
		return false
	}
	l.warned[limit] = reset
	return true
}

// Forget drops all events. Cursors stay good: what comes later is behind them.
func (l *Log) Forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ring, l.next = nil, 0
}

// uuid makes a version-4 UUID of a number, the same in each run.
func uuid(n uint64) string {
	x := n * 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	y := (x ^ x>>27) * 0x94d049bb133111eb
	y ^= y >> 31
	return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", x>>32, x>>16&0xffff, x&0xfff, y>>48&0xfff, y&0xffffffffffff)
}

// Filter reports whether an event is meant, by its attributes.
type Filter func(attribute func(name string) string) bool

// Page is a part of the log. Next are the parameters of the request for what follows; nil at
// the end of a bounded query, never nil when polling.
type Page struct {
	Events []*Event
	Next   url.Values
}

// Limits of a query, as Okta has them.
const (
	defaultLimit = 100
	maxLimit     = 1000
	week         = 7 * 24 * time.Hour
)

// query is a request for events, read.
type query struct {
	since, until time.Time
	polling      bool
	descending   bool
	limit        int
	after        cursor
	filter       Filter
	words        []string
}

// cursor is the place of an event: its time in milliseconds and its number.
type cursor struct {
	ms  int64
	seq uint64
}

// Query answers a request with the parameters since, until, after, limit, filter, q and
// sortOrder. Without until it polls: events come in the order in which they were logged, and
// there is always a next page. An error names the parameter that makes no sense.
func (l *Log) Query(now time.Time, params url.Values, parse func(string) (Filter, error)) (Page, error) {
	q, err := newQuery(now, params, parse)
	if err != nil {
		return Page{}, err
	}
	found := l.find(q)
	more := len(found) > q.limit
	if more {
		found = found[:q.limit]
	}
	p := Page{Events: found}
	if more || q.polling {
		p.Next = following(q, params, found)
	}
	return p, nil
}

// following are the parameters of the next page.
func following(q query, params url.Values, found []*Event) url.Values {
	at := q.after
	if n := len(found); n > 0 {
		at = found[n-1].cursor()
	} else if at == (cursor{}) {
		at = cursor{ms: max(q.since.UnixMilli(), 0)}
	}
	next := url.Values{}
	for k, vs := range params {
		next[k] = slices.Clone(vs)
	}
	next.Set("after", strconv.FormatInt(at.ms, 10)+"_"+strconv.FormatUint(at.seq, 10))
	next.Set("limit", strconv.Itoa(q.limit))
	return next
}

func (e *Event) cursor() cursor { return cursor{e.Published.UnixMilli(), e.seq} }

func newQuery(now time.Time, params url.Values, parse func(string) (Filter, error)) (q query, err error) {
	q = query{until: now.Add(1), since: now.Add(-week), limit: defaultLimit, polling: true}
	if s := params.Get("until"); s != "" {
		q.polling = false
		if q.until, err = parseTime(s); err != nil {
			return q, fmt.Errorf("until: %w", err)
		}
		q.since = q.until.Add(-week)
	}
	if s := params.Get("since"); s != "" {
		if q.since, err = parseTime(s); err != nil {
			return q, fmt.Errorf("since: %w", err)
		}
	}
	switch order := params.Get("sortOrder"); order {
	case "", "ASCENDING":
	case "DESCENDING":
		q.polling, q.descending = false, true
	default:
		return q, fmt.Errorf("sortOrder: %q is neither ASCENDING nor DESCENDING", order)
	}
	if s := params.Get("limit"); s != "" {
		if q.limit, err = strconv.Atoi(s); err != nil || q.limit < 0 || q.limit > maxLimit {
			return q, fmt.Errorf("limit: must be a number from 0 to %d", maxLimit)
		}
	}
	if s := params.Get("after"); s != "" {
		if q.after, err = parseCursor(s); err != nil {
			return q, err
		}
	}
	if s := params.Get("filter"); s != "" {
		if q.filter, err = parse(s); err != nil {
			return q, fmt.Errorf("filter: %w", err)
		}
	}
	q.words = strings.Fields(strings.ToLower(params.Get("q")))
	return q, nil
}

func parseTime(s string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700", "2006-01-02T15:04Z07:00", "2006-01-02"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time in ISO 8601", s)
}

func parseCursor(s string) (cursor, error) {
	ms, seq, _ := strings.Cut(s, "_")
	t, err1 := strconv.ParseInt(ms, 10, 64)
	n, err2 := strconv.ParseUint(seq, 10, 64)
	if err1 != nil || err2 != nil {
		return cursor{}, fmt.Errorf("after: not a cursor")
	}
	return cursor{t, n}, nil
}

// find returns the events that a query means, in its order, one more than its limit at most.
func (l *Log) find(q query) []*Event {
	var all []*Event
	for _, e := range l.events() {
		if q.bounds(e) {
			all = append(all, e)
		}
	}
	if !q.polling {
		slices.SortFunc(all, func(a, b *Event) int {
			return cmp.Or(a.Published.Compare(b.Published), cmp.Compare(a.seq, b.seq))
		})
	}
	if q.descending {
		slices.Reverse(all)
	}
	var found []*Event
	for _, e := range all {
		if q.behind(e) && q.means(e) {
			if found = append(found, e); len(found) > q.limit {
				break
			}
		}
	}
	return found
}

// events are those kept, in the order in which they came. Events are never changed.
func (l *Log) events() []*Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Concat(l.ring[l.next:], l.ring[:l.next])
}

// bounds reports whether an event is of the time asked for. A cursor takes the place of since
// when polling: an event that came late, dated back, is not passed over.
func (q *query) bounds(e *Event) bool {
	if q.polling {
		return q.after.seq > 0 || !e.Published.Before(q.since)
	}
	return !e.Published.Before(q.since) && e.Published.Before(q.until)
}

// behind reports whether an event lies behind the cursor.
func (q *query) behind(e *Event) bool {
	at := e.cursor()
	switch {
	case q.after == (cursor{}):
		return true
	case q.polling:
		return e.seq > q.after.seq
	case q.descending:
		return at.ms < q.after.ms || at.ms == q.after.ms && at.seq < q.after.seq
	}
	return at.ms > q.after.ms || at.ms == q.after.ms && at.seq > q.after.seq
}

// means reports whether an event matches filter and q.
func (q *query) means(e *Event) bool {
	return q.passes(e) && q.mentions(e)
}

// passes reports whether the filter is true of the event, with one of its targets.
func (q *query) passes(e *Event) bool {
	if q.filter == nil {
		return true
	}
	targets := make([]*Entity, 0, len(e.Targets)+1)
	for i := range e.Targets {
		targets = append(targets, &e.Targets[i])
	}
	if len(targets) == 0 {
		targets = append(targets, nil)
	}
	return slices.ContainsFunc(targets, func(t *Entity) bool {
		return q.filter(func(name string) string { return e.attribute(name, t) })
	})
}

// mentions reports whether all words of q occur in the event.
func (q *query) mentions(e *Event) bool {
	if len(q.words) == 0 {
		return true
	}
	text := strings.ToLower(e.text())
	return !slices.ContainsFunc(q.words, func(w string) bool { return !strings.Contains(text, w) })
}
