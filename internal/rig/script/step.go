// This file holds the steps of a script: one answer each, as data.

package script

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"
)

// A Step answers one request. It is data: a step may stand in several scripts,
// and the methods below return changed copies.
//
// What happens, in order: Hook runs, the request's body is read and closed,
// Delay passes (if the request's context ends first, its cause is the answer),
// and then the first of Hang, Panic, Err, Do and Status that is set decides.
type Step struct {
	Status int
	Fields []Field
	Body   string        // of a known length
	Stream io.ReadCloser // instead of Body: of unknown length; for one request

	Err   error
	Hang  bool // no answer; the cause of the request's end is the error
	Panic any
	Do    func(*http.Request) (*http.Response, error) // answers by code

	KeepBody bool // the request's body is left to Do, which closes it

	Delay time.Duration
	Hook  func(*http.Request) // before the body is read

	due *interval
}

// interval is when a request must come, counted from the answer before it.
type interval struct{ after, slack time.Duration }

// After makes the base check when the request comes: at least after later than
// the answer before it, at most slack later than that.
func (s Step) After(after, slack time.Duration) Step {
	s.due = &interval{after, slack}
	return s
}

// Takes delays the answer.
func (s Step) Takes(d time.Duration) Step {
	s.Delay = d
	return s
}

// With adds header fields.
func (s Step) With(fields ...Field) Step {
	s.Fields = append(s.Fields[:len(s.Fields):len(s.Fields)], fields...)
	return s
}

// On calls hook when the request has arrived.
func (s Step) On(hook func(*http.Request)) Step {
	s.Hook = hook
	return s
}

// OK is a 200 with an empty JSON object.
func OK() Step { return Reply(http.StatusOK, `{}`) }

// Bare is an answer without a body.
func Bare(status int, fields ...Field) Step { return Step{Status: status, Fields: fields} }

// Reply is an answer in JSON.
func Reply(status int, body string, fields ...Field) Step {
	return Step{Status: status, Body: body, Fields: append([]Field{Set("Content-Type", "application/json")}, fields...)}
}

// Code is an error of Okta's, with its request id "req-" and the code. Its
// summary holds an address that nobody may show.
func Code(status int, code string, fields ...Field) Step {
	body := `{"errorCode":"` + code + `","errorSummary":"for jane@example.com","errorLink":"` + code + `","errorId":"oae1","errorCauses":[]}`
	return Reply(status, body, append([]Field{Set("X-Okta-Request-Id", "req-"+code)}, fields...)...)
}

// Limited is a 429 of the endpoint's bucket.
func Limited(fields ...Field) Step { return Code(http.StatusTooManyRequests, "E0000047", fields...) }

// LimitedFor is a 429 of a bucket of 600 whose window ends after d.
func LimitedFor(d time.Duration) Step { return Limited(Window(600, 0, d)...) }

// Concurrency is a 429 of the limit of calls in flight.
func Concurrency(fields ...Field) Step {
	return Limited(Set("X-Rate-Limit-Limit", "0"), Set("X-Rate-Limit-Remaining", "0")).With(fields...)
}

// Down is a 503 with Okta's E0000009, which counts against an endpoint.
func Down() Step { return Code(http.StatusServiceUnavailable, "E0000009") }

// Pending is Okta's 202 for a factor that waits for its user, with the place of
// its result.
func Pending(location string, fields ...Field) Step {
	return Code(http.StatusAccepted, "E0000070", append([]Field{Set("Location", location)}, fields...)...)
}

// Stream is an answer whose body is the test's own, of unknown length.
func Stream(status int, body io.ReadCloser, fields ...Field) Step {
	return Step{Status: status, Stream: body, Fields: fields}
}

// Stalled is an answer whose body begins with start, and then brings nothing
// until it is closed or its request ends.
func Stalled(status int, start string, fields ...Field) Step {
	return Step{Status: status, Do: func(req *http.Request) (*http.Response, error) {
		body := NewBody(io.MultiReader(strings.NewReader(start), untilDone{req.Context()}))
		return Stream(status, body, fields...).Respond(req)
	}}
}

// Fail is an error instead of an answer.
func Fail(err error) Step { return Step{Err: err} }

// Nothing is neither an answer nor an error, as no base may give.
func Nothing() Step { return Do(func(*http.Request) (*http.Response, error) { return nil, nil }) }

// Hang is no answer for as long as the request lasts.
func Hang() Step { return Step{Hang: true} }

// Panic is a panic of the base.
func Panic(v any) Step { return Step{Panic: v} }

// Do is an answer made by code, also one that no base may give.
func Do(answer func(*http.Request) (*http.Response, error)) Step { return Step{Do: answer} }

// Errors as net/http's Transport returns them.
var (
	// Refused is a connection that nobody accepted: nothing was written.
	Refused error = &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	// Reset is a connection that ended after the request may have arrived.
	Reset error = &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
)

// Respond gives the answer after its delay. A step that answers by code uses it
// to answer as another one does.
func (s Step) Respond(req *http.Request) (*http.Response, error) {
	if err := Sleep(req.Context(), s.Delay); err != nil {
		return nil, err
	}
	switch {
	case s.Hang:
		<-req.Context().Done()
		return nil, context.Cause(req.Context())
	case s.Panic != nil:
		panic(s.Panic)
	case s.Err != nil:
		return nil, s.Err
	case s.Do != nil:
		return s.Do(req)
	case s.Status == 0:
		return nil, errors.New("script: a step without an answer")
	}
	resp := &http.Response{
		StatusCode: s.Status, Status: fmt.Sprintf("%d %s", s.Status, http.StatusText(s.Status)),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{}, Body: http.NoBody, ContentLength: int64(len(s.Body)), Request: req,
	}
	switch {
	case s.Stream != nil:
		resp.Body, resp.ContentLength = s.Stream, -1
	case s.Body != "":
		resp.Body = io.NopCloser(strings.NewReader(s.Body))
	}
	now := time.Now()
	for _, set := range s.Fields {
		set(resp.Header, now)
	}
	return resp, nil
}
