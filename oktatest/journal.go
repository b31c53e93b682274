// This file keeps what arrived, the journal that tests read afterwards, and finds in a
// request what limits count it by.

package oktatest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/oktaretry/oktaretry/oktatest/internal/signin"
)

// Request is one request as the fake received it.
type Request struct {
	Method     string
	Path       string // as sent, escapes and all
	RawQuery   string
	Host       string
	RemoteAddr string
	Header     http.Header
	Body       []byte // at most as much as WithBodyLimit keeps; *** in the place of passwords
	BodySize   int64  // all of it, also what was not kept
	BodyErr    error  // what broke the reading of the body, if anything did

	// Time is when the request arrived, by the clock of the program: the
	// fake's own clock, which WithClockSkew shifts, is left out of it.
	Time time.Time

	// Done is when its answer was sent or its connection broken, by the same
	// clock; zero while it is in flight.
	Done time.Time

	// Bucket names the rate-limit bucket the request fell into; empty for
	// endpoints without limits.
	Bucket string

	// RefusedBy names the limit that answered 429: the bucket's name, that of a
	// Limit, Concurrency, or the bucket's name and ", share of a credential".
	// Empty where none did, and where a script did.
	RefusedBy string

	// Generic is true if the answer came from Okta's OpenAPI description alone
	// (see WithoutGeneric).
	Generic bool

	// Status is what was answered; 0 while no answer has been given, and for
	// ever where the answer was a fault without a status (Hang, Reset, EOF).
	Status int

	// Reset is until when a 429 asked to wait, by the clock of the program and
	// not the fake's. Zero for other answers, for 429s that report places left,
	// and for 0/0 (ConcurrencyLimited), whose Reset means nothing.
	Reset time.Time

	// RequestID is the X-Okta-Request-Id given to the request, also where the
	// answer did not carry it.
	RequestID string

	signingIn string // the id of the user whose sign-in it goes on with, for limits
}

// journal is a ring of the last requests, with counts that outlive it.
type journal struct {
	keep int

	mu       sync.Mutex
	ring     []*Request
	next     int // where the ring is overwritten once it is full
	arrived  int
	statuses map[int]int
	refusals map[string]int // by the limit's name
}

// open records that a request came in.
func (j *journal) open(r *Request) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.arrived++
	switch {
	case j.keep == 0:
	case len(j.ring) < j.keep:
		j.ring = append(j.ring, r)
	default:
		j.ring[j.next] = r
		j.next = (j.next + 1) % j.keep
	}
}

// received records its body.
func (j *journal) received(r *Request, body []byte, size int64, err error) {
	body = signin.Redact(body)
	j.mu.Lock()
	defer j.mu.Unlock()
	r.Body, r.BodySize, r.BodyErr = body, size, err
}

// refused records which limit refused it.
func (j *journal) refused(r *Request, by string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	r.RefusedBy = by
	j.refusals[by]++
}

// generic records that nothing of its answer is written by hand.
func (j *journal) generic(r *Request) {
	j.mu.Lock()
	defer j.mu.Unlock()
	r.Generic = true
}

// answered records its status, and until when the answer asks to wait.
func (j *journal) answered(r *Request, status int, reset time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	r.Status, r.Reset = status, reset
	j.statuses[status]++
}

// done records that nothing more is sent.
func (j *journal) done(r *Request) {
	j.mu.Lock()
	defer j.mu.Unlock()
	r.Done = time.Now()
}

// Requests returns what arrived, oldest first, as it stands now: at most as
// many as WithJournal keeps. The slice is the caller's; Header and Body are
// shared and must not be changed.
func (o *Okta) Requests() []Request {
	j := &o.journal
	j.mu.Lock()
	defer j.mu.Unlock()
	all := make([]Request, 0, len(j.ring))
	for i := range j.ring {
		all = append(all, *j.ring[(j.next+i)%len(j.ring)])
	}
	return all
}

// RequestsTo is Requests, only those that match the pattern ("GET
// /api/v1/users/{id}"; see Script for the language).
func (o *Okta) RequestsTo(pattern string) []Request {
	p := mustPattern(pattern)
	return slices.DeleteFunc(o.Requests(), func(r Request) bool {
		return !p.Match(r.Method, segments(r.Path))
	})
}

// Count is the number of requests in the journal that match the pattern.
func (o *Okta) Count(pattern string) int {
	return len(o.RequestsTo(pattern))
}

// Arrived is the number of requests since the fake was made or Forget was
// called, also with the journal off.
func (o *Okta) Arrived() int {
	o.journal.mu.Lock()
	defer o.journal.mu.Unlock()
	return o.journal.arrived
}

// Answered is the number of answers with that status since the fake was made
// or Forget was called, also with the journal off.
func (o *Okta) Answered(status int) int {
	o.journal.mu.Lock()
	defer o.journal.mu.Unlock()
	return o.journal.statuses[status]
}

// RefusedBy is the number of requests that the limit of that name (see
// Request.RefusedBy) has refused since the fake was made or Forget was called,
// also with the journal off.
func (o *Okta) RefusedBy(limit string) int {
	o.journal.mu.Lock()
	defer o.journal.mu.Unlock()
	return o.journal.refusals[limit]
}

// Forget empties the journal and its counts.
func (o *Okta) Forget() {
	j := &o.journal
	j.mu.Lock()
	defer j.mu.Unlock()
	j.ring, j.next, j.arrived = nil, 0, 0
	j.statuses, j.refusals = map[int]int{}, map[string]int{}
}

func (r Request) query() url.Values {
	v, _ := url.ParseQuery(r.RawQuery) // what can be read of it
	return v
}

// field is a parameter of the body, in JSON or as a form, or of the query;
// empty if there is none.
func (r Request) field(name string) string {
	body := bytes.TrimSpace(r.Body)
	if bytes.HasPrefix(body, []byte("{")) {
		var object map[string]any
		json.Unmarshal(body, &object) // a body that is no object has no fields
		s, _ := object[name].(string)
		return s
	}
	if form, err := url.ParseQuery(string(body)); err == nil && form.Has(name) {
		return form.Get(name)
	}
	return r.query().Get(name)
}

// cookie is the value of a cookie; empty if there is none.
func (r Request) cookie(name string) string {
	c, err := (&http.Request{Header: r.Header}).Cookie(name)
	if err != nil {
		return ""
	}
	return c.Value
}

// clientID is the OAuth client that the request names.
func (r Request) clientID() string {
	if id := r.field("client_id"); id != "" {
		return id
	}
	id, _, _ := (&http.Request{Header: r.Header}).BasicAuth()
	return id
}

// at makes a key one of the request's bucket; an empty one stays empty.
func (r Request) at(key string) string {
	if key == "" {
		return ""
	}
	return r.Bucket + " " + key
}
