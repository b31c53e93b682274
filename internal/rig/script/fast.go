// This file holds a base for benchmarks.

package script

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// ErrorBody is an error of Okta's, 200 bytes long.
const ErrorBody = `{"errorCode":"E0000007","errorSummary":"Not found: Resource not found: 00u1nobody (User)",` +
	`"errorLink":"E0000007","errorId":"oaeUZEcyZz-Sg6MBchNjHwSxA","errorCauses":[{"errorSummary":"no user"}]}`

const refusalBody = `{"errorCode":"E0000047","errorSummary":"API call exceeded rate limit due to too many requests.",` +
	`"errorLink":"E0000047","errorId":"oaeQxLY2ni4Se6oQS3CSyfzqA","errorCauses":[]}`

// UserBody is a user of Okta's, as short as the SDKs take them.
const UserBody = `{"id":"00u1","status":"ACTIVE","created":"2024-01-01T00:00:00.000Z","profile":{"login":"a@example.com","email":"a@example.com"}}`

// Fast is a base for benchmarks: it answers from memory as cheaply as it can, but
// no cheaper than where that would flatter what stands above it. It records
// nothing.
//
// Like net/http's Transport it reads and closes a request's body, derives a
// context of its own from the request's and ends that with the answer's body,
// and takes its header fields from a clock that moves. What a library does to the
// context is then paid for where it is paid for in real life too.
//
// It is safe for concurrent use, unless it is Flaky.
type Fast struct {
	Status int    // of the answers
	Body   string // of the answers
	Limit  int    // of the bucket; 0: 600 calls a minute, of which 100 are used
	Flaky  bool   // every other answer is a 429, beginning with the first

	// Plain leaves the request's context alone, as no real base does: what a
	// library puts off until somebody derives from its context is never done.
	Plain bool

	Unlimited bool // the answers have no limits: not even a 429 has how long to wait

	flip   bool
	header atomic.Pointer[header]
}

// header is what the answers of one second have in common.
type header struct {
	second  int64
	answer  http.Header
	refusal http.Header
}

// RoundTrip answers the request.
func (b *Fast) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		drain(req.Body)
	}
	ctx, cancel := req.Context(), ignore
	if !b.Plain {
		ctx, cancel = context.WithCancelCause(ctx)
	}
	if err := ctx.Err(); err != nil {
		cancel(nil)
		return nil, err
	}
	h := b.fields()
	a := &answer{cancel: cancel, text: b.Body}
	a.resp = http.Response{
		StatusCode: b.Status, Status: statusText[b.Status],
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: h.answer, Body: a, Request: req,
	}
	if b.Flaky {
		if b.flip = !b.flip; b.flip {
			a.text, a.resp.Header = refusalBody, h.refusal
			a.resp.StatusCode, a.resp.Status = http.StatusTooManyRequests, "429 Too Many Requests"
		}
	}
	a.resp.ContentLength = int64(len(a.text))
	return &a.resp, nil
}

var ignore context.CancelCauseFunc = func(error) {}

var statusText = map[int]string{200: "200 OK", 404: "404 Not Found", 503: "503 Service Unavailable"}

// answer is a response and its body.
type answer struct {
	resp   http.Response
	text   string
	off    int
	cancel context.CancelCauseFunc
}

func (a *answer) Read(p []byte) (int, error) {
	n := copy(p, a.text[a.off:])
	if a.off += n; a.off == len(a.text) {
		a.cancel(nil)
		return n, io.EOF
	}
	return n, nil
}

func (a *answer) Close() error {
	a.cancel(nil)
	return nil
}

// fields are the header fields of now, as many as matter of what an org answers
// with. A window ends with the minute.
func (b *Fast) fields() *header {
	now := time.Now()
	if h := b.header.Load(); h != nil && h.second == now.Unix() {
		return h
	}
	limit := b.Limit
	if limit == 0 {
		limit = 600
	}
	second := now.Unix()
	field := func(remaining int) http.Header {
		return http.Header{
			"Cache-Control":             {"no-cache, no-store"},
			"Content-Type":              {"application/json"},
			"Date":                      {now.UTC().Format(http.TimeFormat)},
			"Strict-Transport-Security": {"max-age=315360000; includeSubDomains"},
			"Vary":                      {"Accept-Encoding"},
			"X-Content-Type-Options":    {"nosniff"},
			"X-Okta-Request-Id":         {"Y3OJZpwB2Vgu6vPYbkRfcQAAAAE"},
			"X-Rate-Limit-Limit":        {strconv.Itoa(limit)},
			"X-Rate-Limit-Remaining":    {strconv.Itoa(remaining)},
			"X-Rate-Limit-Reset":        {strconv.FormatInt(second-second%60+60, 10)},
		}
	}
	if b.Unlimited {
		named := field
		field = func(n int) http.Header {
			h := named(n)
			delete(h, "X-Rate-Limit-Limit")
			delete(h, "X-Rate-Limit-Remaining")
			delete(h, "X-Rate-Limit-Reset")
			return h
		}
	}
	h := &header{second: second, answer: field(limit - limit/6), refusal: field(0)}
	b.header.Store(h)
	return h
}

var buffers = sync.Pool{New: func() any { return new([4096]byte) }}

// drain reads a body to its end and closes it.
func drain(body io.ReadCloser) {
	buf := buffers.Get().(*[4096]byte)
	for {
		if _, err := body.Read(buf[:]); err != nil {
			break
		}
	}
	body.Close()
	buffers.Put(buf)
}
