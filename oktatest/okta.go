// This file holds the fake itself: how a request flows through it.

package oktatest

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/oktaretry/oktaretry/internal/canned"
	"github.com/oktaretry/oktaretry/oktatest/internal/edge"
	"github.com/oktaretry/oktaretry/oktatest/internal/generic"
	"github.com/oktaretry/oktaretry/oktatest/internal/signin"
	"github.com/oktaretry/oktaretry/oktatest/internal/syslog"
	"github.com/oktaretry/oktaretry/oktatest/internal/unserved"
)

// Okta is a fake Okta org: an http.Handler with users, groups, factors, a token
// endpoint, the rest of Okta's API by its description, rate limits, scripts and a
// journal. All of its methods are safe for concurrent use. It holds no lock while it
// waits or writes, starts no goroutines, and knows the time only from time.Now and
// timers, so that it lives in the virtual time of testing/synctest when served by
// Transport.
type Okta struct {
	cfg     config
	routes  []route
	limits  *limiter
	scripts scriptBook
	trouble troubleBook
	journal journal

	directory directory
	mechanisms
	unserved unserved.Book
	store    *generic.Store // what is not written by hand

	latency atomic.Int64
	skew    atomic.Int64
	ids     atomic.Uint64
}

// New makes a fake Okta. It panics if an option makes no sense, naming it.
func New(opts ...Option) *Okta {
	cfg := defaultConfig()
	for _, opt := range opts {
		if opt == nil {
			panic("oktatest: New: a nil option")
		}
		opt(&cfg)
	}
	o := &Okta{cfg: cfg}
	limits, err := newLimiter(cfg)
	if err != nil {
		panic("oktatest: " + err.Error())
	}
	o.limits = limits
	o.journal = journal{keep: cfg.journal, statuses: map[int]int{}, refusals: map[string]int{}}
	o.latency.Store(int64(cfg.latency))
	o.skew.Store(int64(cfg.skew))
	o.directory.init(o.now(), cfg)
	o.join(cfg)
	o.store = o.newStore()
	o.routes = append(cfg.routes, o.api()...)
	for _, f := range cfg.begin {
		f(o)
	}
	return o
}

// now is the fake's own clock: wall time, since windows are laid out in it.
func (o *Okta) now() time.Time { return time.Now().Round(0).Add(o.ClockSkew()) }

// SetClockSkew changes what WithClockSkew has set, at once. Setting it further ahead
// ends windows, pushes and tokens as if that time had passed.
func (o *Okta) SetClockSkew(d time.Duration) { o.skew.Store(int64(d)) }

// ClockSkew is how far the fake's clock is ahead of the program's.
func (o *Okta) ClockSkew() time.Duration { return time.Duration(o.skew.Load()) }

// stamp is the present as users and groups keep it, in whole seconds.
func (o *Okta) stamp() time.Time { return o.now().Truncate(time.Second) }

// SetLatency changes what WithLatency has set, for requests yet to come.
func (o *Okta) SetLatency(d time.Duration) { o.latency.Store(int64(max(0, d))) }

// acceptsOrRefuses marks the handler that decides in memory whether a request
// gets a connection.
func (*Okta) acceptsOrRefuses() {}

// call is one request on its way.
type call struct {
	o       *Okta
	r       *http.Request
	segs    []string
	vars    []string // what the {…} of the route's pattern stand for
	body    []byte
	at      string // the scheme and host, where there is no request
	id      string // its X-Okta-Request-Id
	bucket  int
	places  []place // what it counts for, once its body is here
	crowded string  // the limit that has too many others in flight
	entry   *Request
	refusal bool // whether a 429 is in the system log

	next func(*call) *reply // what Pass means in a step of a trouble's; nil: the normal answer
}

// ServeHTTP answers one request: the script that matches it, or else the API
// as far as rate limits let it.
func (o *Okta) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	segs := segments(r.URL.EscapedPath())
	step := o.scripts.next(r.Method, segs)
	if m := inMemory(w); m != nil {
		if isRefused(step) && m.refuse() {
			return
		}
		m.x.connect()
	}
	c := &call{o: o, r: r, segs: segs, id: hex.EncodeToString(o.random())}
	c.arrive()
	defer o.journal.done(c.entry)
	if !isEarly(step) && !c.readBody() {
		c.deliver(w, &reply{fault: faultGone})
		return
	}
	if !o.anonymous(c) || step != nil { // what is refused for want of a credential counts nowhere
		c.places = o.limits.places(c)
	}
	if c.crowded = o.limits.enter(c.places); c.crowded == "" {
		defer o.limits.leave(c.places)
	}
	if step == nil {
		step = Pass
	}
	// Half of the latency lies before the decision and half after it: by the
	// time an answer is read, its Date is a little old.
	latency := time.Duration(o.latency.Load())
	if o.cfg.latencyOf != nil {
		latency = o.cfg.latencyOf(r)
	}
	c.wait(latency / 2)
	rep := step.reply(c)
	c.wait(latency - latency/2)
	if r.Context().Err() != nil && rep.handler == nil {
		rep = &reply{fault: faultGone}
	}
	c.deliver(w, rep)
}

// normal answers a request by the rules, as far as no trouble comes in between.
func (o *Okta) normal(c *call) *reply { return o.trouble.meet(c, atEdge, o.reached) }

// reached answers a request that no edge has kept away: credentials first, then limits, then the API.
func (o *Okta) reached(c *call) *reply {
	now := o.now()
	header := http.Header{}
	c.stamp(header, now)
	change := syslog.Begin(c.r.Method, c.segs, o.resolve)
	rep := o.admitted(c, now, header)
	for k, vs := range header {
		rep.header[k] = vs
	}
	c.logAnswer(rep, change)
	return rep
}

// admitted answers a request that has a credential and a place in each limit, or refuses it.
func (o *Okta) admitted(c *call, now time.Time, header http.Header) *reply {
	if o.anonymous(c) {
		return c.fail("E0000011") // without rate-limit headers, as at Okta
	}
	refusedBy := c.crowded
	if refusedBy != "" {
		concurrencyRate(now).Stamp(header)
	} else {
		v := o.limits.admit(c.places, now, false)
		if v.reported {
			v.rate.Stamp(header)
		}
		refusedBy = v.refusedBy
	}
	if refusedBy != "" {
		o.journal.refused(c.entry, refusedBy)
		return c.fail("E0000047")
	}
	return o.trouble.meet(c, inside, o.serve)
}

// stamp sets what every answer of Okta's carries.
func (c *call) stamp(h http.Header, now time.Time) {
	h.Set("Date", httpDate(now))
	h.Set("X-Okta-Request-Id", c.id)
	if c.o.cfg.oktaHeaders {
		_, none := c.r.Cookie("sid")
		edge.Usual(h, c.o.random(), none == nil)
	}
}

func httpDate(t time.Time) string { return canned.Date(t) }

// base is the scheme and host that the request was sent to.
func (c *call) base() string {
	if c.r == nil {
		return c.at
	}
	if c.r.TLS != nil {
		return "https://" + c.r.Host
	}
	return "http://" + c.r.Host
}

// wait waits for d, and reports whether the caller is still there.
func (c *call) wait(d time.Duration) bool {
	ctx := c.r.Context()
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (c *call) arrive() {
	c.entry = &Request{
		Method:     c.r.Method,
		Path:       c.r.URL.EscapedPath(),
		RawQuery:   signin.RedactQuery(c.r.URL.RawQuery),
		Host:       c.r.Host,
		RemoteAddr: c.r.RemoteAddr,
		Time:       time.Now(),
		RequestID:  c.id,
	}
	if c.o.cfg.journal > 0 {
		c.entry.Header = c.r.Header.Clone()
	}
	if c.bucket = c.o.limits.table.of(c.r.Method, c.segs, c.view); c.bucket >= 0 {
		c.entry.Bucket = c.o.limits.table.buckets[c.bucket].Name
	}
	c.o.journal.open(c.entry)
}

// view is the request as far as it has come, for functions of the user's.
func (c *call) view() Request {
	r := *c.entry // written by this goroutine alone
	r.Header, r.Body = c.r.Header, c.body
	if len(c.body) > 0 && len(c.segs) > 3 && c.segs[2] == "authn" && c.segs[3] == "factors" {
		r.signingIn = c.o.signIns.UserOf(r.field("stateToken"))
	}
	return r
}

func (c *call) answered(status int, h http.Header) {
	if status != 0 {
		c.o.journal.answered(c.entry, status, resetOf(status, h))
	}
}

// readBody takes in the whole body, keeping no more than the limit, and reports
// whether it arrived whole.
func (c *call) readBody() bool {
	if c.r.Body == nil || c.r.Body == http.NoBody {
		return true
	}
	body, err := io.ReadAll(io.LimitReader(c.r.Body, c.o.cfg.bodyLimit))
	size := int64(len(body))
	if err == nil {
		var more int64
		more, err = io.Copy(io.Discard, c.r.Body)
		size += more
	}
	c.body = body
	c.r.Body = io.NopCloser(bytes.NewReader(body))
	c.o.journal.received(c.entry, body, size, err)
	return err == nil
}

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// newID makes an id that this fake has not used yet: the prefix and 17
// characters, as Okta's own. The same calls in the same order give the same ids.
func (o *Okta) newID(prefix string) string {
	return numberedID(prefix, o.ids.Add(1))
}

// random makes 16 bytes that look random. The same calls in the same order give the same.
func (o *Okta) random() []byte {
	n := o.ids.Add(1)
	b := binary.BigEndian.AppendUint64(nil, scatter(n))
	return binary.BigEndian.AppendUint64(b, scatter(^n))
}

// newToken makes a secret of 42 characters, as Okta's tokens are.
func (o *Okta) newToken() string {
	return "00" + base64.RawURLEncoding.EncodeToString(append(o.random(), o.random()...))[:40]
}

// errorID makes an errorId: as at Okta "oae" and 16 bytes in base64url.
func (o *Okta) errorID() string { return "oae" + base64.RawURLEncoding.EncodeToString(o.random()) }

// numberedID makes an id of n: the prefix and 17 characters, as Okta's own. The ids of one
// prefix grow with n, as byte strings.
func numberedID(prefix string, n uint64) string {
	b := make([]byte, len(prefix)+17)
	copy(b, prefix)
	id := b[len(prefix):]
	ordered, x := firstID+n*idStep, scatter(n)
	for i := range 9 {
		id[8-i] = base62[ordered%62]
		ordered /= 62
	}
	for i := range 5 {
		id[9+i] = base62[x%62]
		x /= 62
	}
	copy(id[14:], "5d7") // the part of Okta that the org is on
	return string(b)
}

const (
	firstID = ((52*62+53)*62 + 46) * 62 * 62 * 62 * 62 * 62 * 62 // ids begin with qrk
	idStep  = 140_000_041                                        // so that most characters of two ids differ
)

// scatter is splitmix64, a permutation of the 64-bit numbers.
func scatter(n uint64) uint64 {
	x := n * 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
