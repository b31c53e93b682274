// This file injects faults: it makes answers and breaks connections.

package chaos

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/oktaretry/oktaretry/internal/canned"
	"github.com/oktaretry/oktaretry/internal/route"
)

// Error is a connection that a fault has broken. It matches syscall.ECONNRESET.
type Error struct {
	Fault string // its name
	Sent  bool   // the request had been sent
}

func (e *Error) Error() string {
	if e.Sent {
		return "chaos: injected fault " + e.Fault + ": connection reset after the request was sent"
	}
	return "chaos: injected fault " + e.Fault + ": connection reset before the request was sent"
}

// Unwrap is ECONNRESET.
func (e *Error) Unwrap() error { return syscall.ECONNRESET }

// inject lets a request meet faults: latency and then at most one more.
func (t *Transport) inject(req *http.Request, latency []*fault, hit *fault) (resp *http.Response, err error) {
	var names []string
	struck := func(f *fault) {
		names = append(names, f.Name())
		t.mark(req, names)
	}
	for _, f := range latency {
		struck(f)
		if !wait(req.Context(), f.duration) {
			closeBody(req)
			return nil, context.Cause(req.Context())
		}
	}
	switch {
	case hit == nil:
		resp, err = t.send(req)
	case hit.afterSend(req.Method):
		resp, err = t.replace(req, hit, struck)
	default:
		closeBody(req)
		if req.Context().Err() != nil {
			return nil, context.Cause(req.Context())
		}
		struck(hit)
		resp, err = t.fail(req, hit, false)
	}
	if err == nil && len(names) > 0 {
		resp.Header.Set(Header, strings.Join(names, ", "))
	}
	return resp, err
}

// replace sends a request and lets a fault strike its answer. One that fails by itself is left as it is, and so is an
// answer without a body that could break.
func (t *Transport) replace(req *http.Request, f *fault, struck func(*fault)) (*http.Response, error) {
	resp, err := t.send(req)
	switch {
	case err != nil:
		return nil, err
	case f.kind != kindBrokenBody:
		struck(f)
		discard(resp.Body)
		return t.fail(req, f, true)
	case breakBody(resp, f):
		struck(f)
	}
	return resp, nil
}

// fail makes the answer or the error of a fault.
func (t *Transport) fail(req *http.Request, f *fault, sent bool) (*http.Response, error) {
	if f.kind == kindReset || f.kind == kindBrokenBody {
		return nil, &Error{Fault: f.Name(), Sent: sent}
	}
	return t.answer(req, f), nil
}

// answer makes the answer of a fault.
func (t *Transport) answer(req *http.Request, f *fault) *http.Response {
	last, known := t.rates.last(bucketOf(req))
	now := time.Now().Add(last.ahead)
	h := http.Header{"Date": {canned.Date(now)}}
	body := f.body(h)
	if f.kind != kindEdge {
		h.Set("X-Okta-Request-Id", randomID())
		h.Set("Cache-Control", "no-cache, no-store")
		f.stampRates(h, last, known, now)
	}
	resp := &http.Response{
		Status: strings.TrimSpace(strconv.Itoa(f.status) + " " + http.StatusText(f.status)), StatusCode: f.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: h, Body: http.NoBody, ContentLength: int64(len(body)), Request: req,
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if req.Method != http.MethodHead {
		resp.Body = io.NopCloser(bytes.NewReader(body))
	}
	return resp
}

// body makes the body of a fault's answer and sets the headers that describe it.
func (f *fault) body(h http.Header) []byte {
	switch f.kind {
	case kindEdge:
		contentType, page := canned.EdgePage(f.status)
		h.Set("Content-Type", contentType)
		h.Set("Server", canned.EdgeServer)
		return []byte(page)
	case kindOAuth:
		h.Set("Content-Type", "application/json")
		return canned.JSON(canned.OAuthError{Error: f.code, Description: "Injected by chaos."})
	}
	h.Set("Content-Type", "application/json")
	c, known := canned.Lookup(f.code)
	if !known {
		c = canned.Code{Code: f.code, Name: f.code}
	}
	return canned.JSON(c.Error("oae" + randomID()[:22]))
}

// send sends a request, and remembers the rates that its answer reports.
func (t *Transport) send(req *http.Request) (*http.Response, error) {
	resp, err := t.pass(req)
	if err == nil {
		t.rates.see(bucketOf(req), resp.Header)
	}
	return resp, err
}

func bucketOf(req *http.Request) string {
	return req.URL.Host + " " + route.Match(req.Method, req.URL.EscapedPath()).Bucket
}

// ratesSeen holds the rates that buckets reported last, so that injected answers teach their caller nothing wrong.
type ratesSeen struct {
	mu sync.Mutex
	of map[string]seen
}

// seen is what an answer reported.
type seen struct {
	canned.Rates
	ahead time.Duration // of Okta's clock before ours
}

// maxRates bounds the buckets remembered; one host has about 40.
const maxRates = 4096

func (r *ratesSeen) see(bucket string, h http.Header) {
	limit, errLimit := strconv.Atoi(h.Get("X-Rate-Limit-Limit"))
	remaining, errRemaining := strconv.Atoi(h.Get("X-Rate-Limit-Remaining"))
	reset, errReset := strconv.ParseInt(h.Get("X-Rate-Limit-Reset"), 10, 64)
	date, errDate := http.ParseTime(h.Get("Date"))
	if errors.Join(errLimit, errRemaining, errReset, errDate) != nil || limit <= 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.of == nil || len(r.of) >= maxRates {
		r.of = map[string]seen{}
	}
	r.of[bucket] = seen{canned.Rates{Limit: limit, Remaining: remaining, Reset: reset}, time.Until(date).Round(time.Second)}
}

func (r *ratesSeen) last(bucket string) (s seen, known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, known = r.of[bucket]
	return s, known
}

// unknownLimit is what a bucket that has not reported any gets for its Limit: Okta's usual one.
const unknownLimit = 600

// stampRates sets the rate-limit headers of a fault's answer at a time of Okta's clock.
func (f *fault) stampRates(h http.Header, last seen, known bool, now time.Time) {
	switch f.kind {
	case kindConcurrency:
		canned.Rates{Reset: canned.WholeSecond(now.Add(canned.ConcurrencyReset))}.Stamp(h)
	case kindRateLimited:
		if !known {
			last.Limit = unknownLimit
		}
		canned.Rates{Limit: last.Limit, Reset: canned.WholeSecond(now.Add(f.duration))}.Stamp(h)
	default:
		if known && last.Reset > now.Unix() {
			last.Stamp(h)
		}
	}
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		req.Body.Close()
	}
}

// discard reads what a small body still holds, for the connection's sake, and closes it.
func discard(body io.ReadCloser) {
	io.CopyN(io.Discard, body, 64<<10)
	body.Close()
}

// randomID is 32 hex digits, as Okta's request ids are.
func randomID() string {
	var b [16]byte
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	return hex.EncodeToString(b[:])
}

// breakBody makes an answer's body end in the middle, and reports whether there is one that can.
func breakBody(resp *http.Response, f *fault) bool {
	if resp.Body == nil || resp.Body == http.NoBody || resp.ContentLength == 0 || resp.StatusCode == http.StatusSwitchingProtocols {
		return false
	}
	left := resp.ContentLength / 2
	if resp.ContentLength < 0 {
		left = 16 // of a length that is not known: little, since it may be little
	}
	resp.Body = &brokenBody{ReadCloser: resp.Body, left: left, err: &Error{Fault: f.Name(), Sent: true}}
	return true
}

// brokenBody ends in an error before its end.
type brokenBody struct {
	io.ReadCloser
	left int64
	err  error
}

func (b *brokenBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, b.err
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	if b.left -= int64(n); err == io.EOF {
		err = b.err // shorter than it said
	}
	return n, err
}
